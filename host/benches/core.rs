//! What the core costs at full size: 10,000 services with 20,000 policies and 100,000 series. Run it with
//! `cargo bench -p dynamite --bench core`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on shall stop")]

use divan::Bencher;
use divan::counter::ItemsCount;
use dynamite::config::{
    Cleanup, Config, EtcdPaths, MetricWindow, PolicyKind, Role, ScalingPolicy, Service, UnitFile,
};
use dynamite::engine::Brain;
use dynamite::fleet::UnitOption;
use dynamite::record::Stored;
use dynamite::scaling::{Bounds, MetricName, Operator, Ports, Rule};
use dynamite::store::Change;
use jiff::{SignedDuration, Timestamp};

const SERVICES: usize = 10_000;
const INSTANCES: usize = 10;
const BASE: i64 = 1_438_089_350;

fn main() {
    divan::main();
}

/// Whether each service has a type of its own, or all have one and instances register.
#[derive(Clone, Copy, Debug)]
enum Types {
    Own,
    Shared,
}

impl Types {
    fn of(self, service: usize) -> String {
        match self {
            Self::Own => format!("type{service}"),
            Self::Shared => "web".to_owned(),
        }
    }
}

fn policy(name: String, service_type: String, operator: Operator, threshold: f64) -> ScalingPolicy {
    let rule = Rule {
        operator,
        threshold,
        period: SignedDuration::from_secs(30),
        cooldown: SignedDuration::from_mins(1),
    };
    let window = MetricWindow {
        service_type,
        metric: MetricName::new("cpu_user"),
        aggregated: false,
        unit: None,
        span: rule.period,
    };
    ScalingPolicy { name, windows: vec![window], kind: PolicyKind::Threshold(rule) }
}

fn config(types: Types, services: usize) -> Config {
    let mut config = Config {
        fleet_endpoint: None,
        etcd_endpoint: None,
        etcd: EtcdPaths {
            application_base: "/services".to_owned(),
            metrics_base: "/metrics".to_owned(),
            cleanup: Cleanup::WhenUnneeded,
        },
        services: indexmap::IndexMap::default(),
        policies: indexmap::IndexMap::default(),
        document: serde_json::Value::Null,
    };
    let options =
        vec![UnitOption { section: "Service".into(), name: "ExecStart".into(), value: "/bin/true".into() }];
    for index in 0..services {
        let (name, up, down) = (format!("s{index}"), format!("up{index}"), format!("down{index}"));
        config.policies.insert(up.clone(), policy(up.clone(), types.of(index), Operator::Greater, 90.0));
        config.policies.insert(down.clone(), policy(down.clone(), types.of(index), Operator::Less, 10.0));
        let service = Service {
            name: name.clone(),
            service_type: types.of(index),
            role: Role::Scaled,
            unit: UnitFile {
                name: format!("{name}@.service"),
                path: "/units".into(),
                options: options.clone(),
            },
            bounds: Bounds { min: 1, max: None },
            ports: Ports { base: 1, per_instance: 1 },
            attached: Vec::new(),
            depends_on: Vec::new(),
            scale_up: Some(up),
            scale_down: Some(down),
            scale_both: Vec::new(),
        };
        config.services.insert(name, service);
    }
    config
}

fn now() -> Timestamp {
    Timestamp::from_second(BASE + 100_000).unwrap()
}

fn sample(types: Types, service: usize, instance: usize, second: i64, value: &str) -> Change {
    let at = Timestamp::from_second(BASE + second).unwrap();
    let key = format!("/metrics/{}/i{service}-{instance}/cpu_user/{at}", types.of(service));
    Change::Put { key, value: value.to_owned() }
}

/// A brain that has one sample of each series.
fn full_brain(types: Types) -> Brain {
    let mut brain = Brain::new(&config(types, SERVICES), &Stored::default());
    let each = || (0..SERVICES).flat_map(|service| (0..INSTANCES).map(move |instance| (service, instance)));
    let register = |(service, instance)| Change::Put {
        key: format!("/services/{}/i{service}-{instance}/service_instance_name", types.of(service)),
        value: format!("s{service}@{}.service", instance + 1),
    };
    let mut changes: Vec<Change> = each().map(register).collect();
    changes.push(Change::SnapshotEnd);
    brain.take_registrations(&changes);
    let mut changes: Vec<Change> =
        each().map(|(service, instance)| sample(types, service, instance, 0, "50")).collect();
    changes.push(Change::SnapshotEnd);
    drop(brain.take_metrics(&changes, now()));
    assert!(brain.is_live());
    brain
}

/// A sample of some series that decides nothing, with 10,000 services there.
#[divan::bench(args = [Types::Own, Types::Shared], sample_count = 100, sample_size = 1000)]
fn sample_that_decides_nothing(bencher: Bencher, types: Types) {
    let mut brain = full_brain(types);
    let mut turn = 0;
    let next = || {
        turn += 1;
        let (service, second) = (turn * 7919 % SERVICES, 1 + i64::try_from(turn / SERVICES).unwrap());
        [sample(types, service, turn % INSTANCES, second, "50")]
    };
    bencher.with_inputs(next).bench_local_values(|changes| brain.take_metrics(&changes, now()));
}

/// A sample that completes a period, and the decision that comes of it, with 10,000 services there.
#[divan::bench(args = [Types::Own, Types::Shared], sample_count = 90, sample_size = 100)]
fn sample_that_scales_up(bencher: Bencher, types: Types) {
    let mut brain = full_brain(types);
    for service in 0..SERVICES {
        drop(brain.take_metrics(&[sample(types, service, 0, 10, "95")], now()));
    }
    let mut service = 0;
    let next = || {
        service += 1;
        [sample(types, service, 0, 40, "95")]
    };
    bencher.with_inputs(next).bench_local_values(|changes| {
        let effects = brain.take_metrics(&changes, now());
        assert_eq!(effects.job_count(), 1);
        effects
    });
}

/// 20,000 samples of 100 series that were there before the start.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn backlog_of_20_000_samples(bencher: Bencher) {
    let each = (0..200).flat_map(|second| (0..100).map(move |service| (service, second)));
    let mut changes: Vec<Change> =
        each.map(|(service, second)| sample(Types::Own, service, 0, second, "95")).collect();
    changes.push(Change::SnapshotEnd);
    bencher
        .counter(ItemsCount::new(20_000_usize))
        .with_inputs(|| {
            let mut brain = Brain::new(&config(Types::Own, 100), &Stored::default());
            brain.take_registrations(&[Change::SnapshotEnd]);
            brain
        })
        .bench_local_values(|mut brain| drop(brain.take_metrics(&changes, now())));
}
