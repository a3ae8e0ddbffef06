//! Starting from what is in etcd.

use super::{EXAMPLE, good, restored};

const ORIGINAL: &str = include_str!("cases/original.json");
const APACHE: &[&str] = &["apache", "apache_discovery", "apache_logging"];

#[test]
fn what_the_original_stored_is_accepted() {
    let loaded = restored(ORIGINAL, APACHE);
    assert_eq!(loaded.report.to_string(), "");
    let config = loaded.config.expect("a configuration");
    assert_eq!(config.services["apache"].bounds.max, Some(5));
    assert_eq!(config.services["apache_logging"].unit.options.len(), 1);
    let original: serde_json::Value = serde_json::from_str(ORIGINAL).expect("JSON");
    assert_eq!(config.document, original);
}

#[test]
fn what_is_stored_reads_back_as_the_same() {
    let config = good(EXAMPLE);
    let stored = restored(&config.document.to_string(), APACHE).config.expect("a configuration");
    assert_eq!(format!("{:?}", stored.policies), format!("{:?}", config.policies));
    assert_eq!(stored.document, config.document);
    for (name, service) in &config.services {
        let restored = &stored.services[name];
        assert_eq!((restored.bounds, restored.ports), (service.bounds, service.ports));
        assert_eq!((&restored.attached, &restored.scale_up), (&service.attached, &service.scale_up));
    }
}

#[test]
fn a_name_in_surrogate_pairs_is_read() {
    let text = r#"{"Service": {"\ud83d\ude80": {"name_of_unit_file": "web@"}}}"#;
    let loaded = restored(text, &["🚀"]);
    assert!(loaded.config.is_some(), "{}", loaded.report);
}

#[test]
fn a_service_without_its_unit_file_is_named() {
    insta::assert_snapshot!(restored(ORIGINAL, &APACHE[1..]).report);
}

#[test]
fn what_is_no_configuration_is_refused() {
    insta::assert_snapshot!(restored("{\"Dynamite\": {\"Service\": [1, 2]", &[]).report);
}
