//! Whatever is asked of a cluster in whatever order, it keeps its books and comes to rest where it should.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::embedded::fleet::behaviour::Unload;
use crate::embedded::fleet::simulated::Simulated;
use crate::embedded::fleet::systemd::Forgetful;

#[derive(Clone, Debug)]
enum Step {
    Put { unit: u8, version: u8, desired: &'static str, requirement: u8 },
    Target { unit: u8, desired: &'static str },
    Delete { unit: u8 },
    Crash { unit: u8 },
    Wait { millis: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let desired = || prop::sample::select(vec!["", "inactive", "loaded", "launched"]);
    let step = prop_oneof![
        (0..6u8, 0..2u8, desired(), 0..6u8).prop_map(|(unit, version, desired, requirement)| Step::Put {
            unit,
            version,
            desired,
            requirement
        }),
        (0..6u8, desired()).prop_map(|(unit, desired)| Step::Target { unit, desired }),
        (0..6u8).prop_map(|unit| Step::Delete { unit }),
        (0..6u8).prop_map(|unit| Step::Crash { unit }),
        (0..7000u64).prop_map(|millis| Step::Wait { millis }),
    ];
    proptest::collection::vec(step, 0..60)
}

fn name(unit: u8) -> String {
    format!("u@{unit}.service")
}

fn body(version: u8, desired: &str, requirement: u8) -> PutBody {
    let option = |section: &str, name: &str, value: &str| {
        Some(UnitOption { section: section.into(), name: name.into(), value: value.into() })
    };
    let mut options = vec![option("Service", "ExecStart", &format!("/bin/sleep {version}"))];
    options.push(match requirement {
        1 => option("X-Fleet", "MachineOf", "u@0.service"),
        2 => option("X-Fleet", "Conflicts", "u@*.service"),
        3 => option("X-Fleet", "Global", "true"),
        4 => option("X-Fleet", "MachineID", "b"),
        _ => option("Unit", "Description", "x"),
    });
    PutBody { desired: desired.into(), options }
}

fn cluster(timings: Timings) -> Cluster {
    let machine = |id: &str| Machine { id: id.into(), metadata: BTreeMap::new(), primary_ip: String::new() };
    let systemd = Simulated::new(Arc::new(Behaviour::expected));
    Cluster::new(timings, vec![machine("a"), machine("b")], Box::new(systemd), Box::new(Forgetful))
}

fn run(cluster: &mut Cluster, steps: Vec<Step>) {
    let mut now = Duration::ZERO;
    for step in steps {
        match step {
            Step::Put { unit, version, desired, requirement } => {
                let _ = cluster.put(now, &name(unit), body(version, desired, requirement));
            }
            Step::Target { unit, desired } => {
                let body = PutBody { desired: desired.into(), options: Vec::new() };
                let _ = cluster.put(now, &name(unit), body);
            }
            Step::Delete { unit } => {
                let _ = cluster.delete(now, &name(unit));
            }
            Step::Crash { unit } => {
                cluster.crash(now, &name(unit));
            }
            Step::Wait { millis } => now += Duration::from_millis(millis),
        }
        check_books(cluster);
    }
    check_rest(cluster, now + Duration::from_hours(1));
}

fn check_books(cluster: &Cluster) {
    for (index, host) in cluster.hosts.iter().enumerate() {
        let scheduled = cluster.units.values().filter(|unit| unit.scheduled == Some(index)).count();
        assert_eq!(host.load, scheduled);
    }
}

/// After an hour nothing is due, and what is loaded is what belongs there, in its last version.
fn check_rest(cluster: &mut Cluster, now: Duration) {
    cluster.advance(now);
    assert_eq!((cluster.engine_due, cluster.agent_due), (None, None));
    assert!(cluster.engine_work.is_empty() && cluster.agent_work.is_empty());
    for row in cluster.rows(now) {
        let unit = &cluster.units[&row.name];
        assert_eq!(row.hash, unit.hash);
        assert_ne!(unit.wanted(), DesiredState::Inactive, "{}", row.name);
    }
    let views = cluster.units(now);
    for view in views {
        let unconstrained = !cluster.constrained.contains(&view.name);
        if view.current.is_some() && unconstrained && cluster.constrained.is_empty() {
            assert_eq!(view.current.map(DesiredState::as_str), Some(view.desired.as_str()), "{}", view.name);
        }
    }
}

proptest! {
    #[test]
    fn a_quick_cluster_keeps_its_books(steps in steps()) {
        run(&mut cluster(Timings::instant()), steps);
    }

    #[test]
    fn a_slow_cluster_keeps_its_books(steps in steps()) {
        run(&mut cluster(Timings::real()), steps);
    }

    #[test]
    fn a_cluster_without_pauses_removes_one_after_another(steps in steps()) {
        run(&mut cluster(Timings { unload: Unload::OnePerPass, ..Timings::instant() }), steps);
    }
}
