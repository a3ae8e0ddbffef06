//! Policies with a module: what is read, what is loaded, and what a module's configuration must be.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::SignedDuration;

use super::messages::reports_of;
use super::{Files, ModuleLoader, restored};
use crate::config::{Loaded, PolicyKind, WasmPolicy};
use crate::metrics::MetricName;
use crate::wasm::test_modules::{self, Policy};
use crate::wasm::{Limits, sha256_of};

const SCHEMA: &str = include_str!("cases/config_schema.json");

/// Every module that the cases name.
static MODULES: LazyLock<BTreeMap<&str, Vec<u8>>> = LazyLock::new(|| {
    let plain = Policy::default;
    let of_schema = |schema: &str| Policy { schema, ..plain() }.build();
    let good = of_schema(SCHEMA);
    let wide = (0..26)
        .map(|level| {
            let next = format!(r##"{{"$ref": "#/$defs/{}"}}"##, level + 1);
            format!(r#""{level}": {{"allOf": [{next}, {next}]}}"#)
        })
        .chain([r#""26": true"#.to_owned()])
        .collect::<Vec<_>>()
        .join(",");
    let nested = |defs: &str| of_schema(&format!(r##"{{"$ref": "#/$defs/0", "$defs": {{{defs}}}}}"##));
    let refusal = "a target of 60 is nothing to aim at";
    BTreeMap::from([
        ("cut.wasm", good[..good.len() / 2].to_owned()),
        ("good.wasm", good),
        ("text.wasm", b"name: good\n".to_vec()),
        ("core.wasm", plain().core()),
        ("world.wasm", test_modules::of_another_world()),
        ("later.wasm", test_modules::of_later_times()),
        ("version.wasm", plain().build_for("0.2.0")),
        ("trap.wasm", Policy { describe: "unreachable", ..plain() }.build()),
        ("loop.wasm", Policy { describe: "(loop (br 0)) unreachable", ..plain() }.build()),
        ("kind.wasm", of_schema(r#"{"type": "nombre"}"#)),
        ("elsewhere.wasm", of_schema(r#"{"$ref": "file:///etc/passwd"}"#)),
        ("wide.wasm", nested(&wide)),
        ("refusing.wasm", Policy { refusal, validate: "(i32.const 64)", ..plain() }.build()),
        ("trapping.wasm", Policy { validate: "unreachable", ..plain() }.build()),
    ])
});

/// Files with every module beside the configuration.
fn with_modules(config: &str) -> Files {
    let files = Files::new(config);
    MODULES.iter().for_each(|(name, bytes)| files.write(name, bytes));
    files
}

macro_rules! snapshots {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                let reports = reports_of(include_str!($file), with_modules);
                // It differs with the tools that make the module.
                insta::assert_snapshot!(reports.replace(&sha256_of(&MODULES["good.wasm"]), "[SHA-256]"));
            }
        )*
    };
}

snapshots! {
    keys_of_policies_with_modules_are_checked: "cases/wasm.yaml",
    modules_are_checked: "cases/wasm_files.yaml",
    what_a_module_takes_is_checked: "cases/wasm_config.yaml",
}

/// What the policy `p` of a configuration with a good module has become.
fn policy(loaded: &Loaded) -> &WasmPolicy {
    let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{}", loaded.report));
    match &config.policies["p"].kind {
        PolicyKind::Wasm(policy) => policy,
        PolicyKind::Threshold(_) => panic!("it has a module"),
    }
}

const SERVICE: &str = "Service: {a: {name_of_unit_file: web@, scaling_policy: {ScalingPolicy: p}}}\n";

#[test]
fn a_policy_may_say_nothing_but_its_module() {
    let files = with_modules(&format!("{SERVICE}ScalingPolicy: {{p: {{module: refusing.wasm}}}}"));
    files.write("refusing.wasm", Policy::default().build());
    let loaded = files.load();
    let policy = policy(&loaded);
    assert_eq!((policy.config.as_str(), &policy.sha256, policy.limits), ("{}", &None, Limits::default()));
    assert_eq!((policy.interval, policy.cooldown), (SignedDuration::from_secs(10), SignedDuration::ZERO));
    let config = loaded.config.as_ref().expect("a configuration");
    assert_eq!(config.policies["p"].windows, []);
    assert_eq!(config.services["a"].scale_both, ["p"]);
}

#[test]
fn everything_that_is_said_is_taken() {
    let hash = sha256_of(&MODULES["good.wasm"]);
    let files = with_modules(&format!(
        "{SERVICE}ScalingPolicy:
  p:
    module: good.wasm
    sha256: {}
    service_type: web
    metric: cpu.p95
    period: 5
    period_unit: minute
    metrics: [{{service_type: lb, metric: rps, metric_aggregated: true, threshold_unit: 1/s}}]
    interval: 2
    interval_unit: minute
    config: {{target: 60, select: max, name: abc}}
    limits: {{memory: 64 MiB, time: 2s, fuel: 1000000000}}
    cooldown_period: 1
    cooldown_period_unit: minute
",
        hash.to_uppercase()
    ));
    let loaded = files.load();
    let policy = policy(&loaded);
    assert_eq!(policy.module, files.path().join("good.wasm"));
    assert_eq!(policy.sha256, Some(hash.clone()));
    assert_eq!(policy.config, r#"{"target":60,"select":"max","name":"abc"}"#);
    assert_eq!(
        (policy.interval, policy.cooldown),
        (SignedDuration::from_mins(2), SignedDuration::from_mins(1))
    );
    let limits = Limits { memory_bytes: 64 << 20, fuel: 1_000_000_000, time: Duration::from_secs(2) };
    assert_eq!(policy.limits, limits);
    let windows = &loaded.config.as_ref().expect("a configuration").policies["p"].windows;
    let seen = windows.iter().map(|window| (&window.metric, window.aggregated, window.span.as_secs()));
    let expected = [(&MetricName::new("cpu.p95"), false, 300), (&MetricName::new("rps"), true, 0)];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert_eq!(loaded.modules["p"].as_ref().expect("a module").sha256(), hash);
}

#[test]
fn policies_with_one_file_share_its_module_and_a_restart_reads_the_same() {
    let files = with_modules(
        "ScalingPolicy:
  p: {module: good.wasm, config: {target: 60}, limits: {memory: 256MiB}}
  q: {module: units/../good.wasm, config: {target: 70}}
Service: {a: {name_of_unit_file: web@, scale_up_policy: {ScalingPolicy: p}, scale_down_policy: {ScalingPolicy: q}}}",
    );
    let loaded = files.load();
    assert!(loaded.config.is_some(), "{}", loaded.report);
    let module = |policy: &str| loaded.modules[policy].as_ref().expect("a module");
    assert!(Arc::ptr_eq(module("p"), module("q")));
    let document = loaded.config.expect("a configuration").document.to_string();
    let missing = restored(&document, &["a"]);
    assert_eq!(missing.report.errors(), 2, "{}", missing.report);
    insta::assert_snapshot!(missing.report);
}

#[test]
fn a_module_that_cannot_be_used_is_an_error_and_leaves_the_rest_usable() {
    let files = with_modules(
        "ScalingPolicy:
  p: {module: nowhere.wasm}
  q: {module: good.wasm, config: {target: much}}
Service: {a: {name_of_unit_file: web@, scaling_policy: {ScalingPolicy: [p, q]}}}",
    );
    let loaded = files.load();
    assert_eq!((loaded.report.errors(), loaded.config.is_some()), (2, true), "{}", loaded.report);
    assert_eq!(loaded.summary(), "2 errors");
    let folder = format!("{}/", files.path().display());
    let why = |policy: &str| loaded.modules[policy].as_ref().err().map(|why| why.replace(&folder, ""));
    insta::assert_snapshot!(["p", "q"].map(|policy| why(policy).unwrap_or_default()).join("\n"));
    files.write("config.yaml", "Service: {a: {name_of_unit_file: web@, scaling_policy: {ScalingPolicy: p}, max_instance: some}}\nScalingPolicy: {p: {module: nowhere.wasm}}");
    assert!(files.load().config.is_none(), "what is wrong with the file itself is not forgiven");
}

#[test]
fn modules_are_compiled_once_for_all_starts() {
    let files =
        with_modules(&format!("{SERVICE}ScalingPolicy: {{p: {{module: good.wasm, config: {{target: 1}}}}}}"));
    let cache = files.path().join("cache");
    for _ in 0..2 {
        let mut modules = ModuleLoader::new(Some(cache.clone()));
        let loaded = files.load_with(&mut modules);
        assert!(loaded.modules["p"].is_ok(), "{}", loaded.report);
        assert_eq!(std::fs::read_dir(&cache).expect("a folder").count(), 1);
    }
}
