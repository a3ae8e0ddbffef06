//! What the core costs at full size: 10,000 services with 20,000 policies and 100,000 series. Run it with
//! `cargo bench -p dynamite --bench core`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on shall stop")]

use divan::Bencher;
use divan::counter::ItemsCount;
use dynamite::config::{
    Cleanup, Config, EtcdPaths, MetricWindow, PolicyKind, Role, ScalingPolicy, Service, UnitFile,
};
use dynamite::metrics::{MetricName, Metrics};
use dynamite::registrations::registrations;
use dynamite::store::Change;
use dynamite_core::{
    Bounds, Input, Look, Operator, Planner, Ports, RegistrationChange, Stored, ThresholdRule,
};
use dynamite_units::UnitOption;
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
    let rule = ThresholdRule {
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
    // Later than all samples, and before any series has been silent for long.
    Timestamp::from_second(BASE + 1_000).unwrap()
}

fn sample(types: Types, service: usize, instance: usize, second: i64, value: &str) -> Change {
    let at = Timestamp::from_second(BASE + second).unwrap();
    let key = format!("/metrics/{}/i{service}-{instance}/cpu_user/{at}", types.of(service));
    Change::Put { key, value: value.to_owned() }
}

/// What decides, behind what reads keys of etcd.
struct Core {
    metrics: Metrics,
    planner: Planner,
}

impl Core {
    fn new(config: &Config) -> Self {
        let spec = config.spec();
        let metrics = Metrics::new("/metrics", Cleanup::WhenUnneeded, &spec.signals);
        let mut planner = Planner::default();
        for input in [Input::Spec(spec), Input::Stored(Stored::default()), Input::Look(Look::default())] {
            drop(planner.take(input, now()));
        }
        Self { metrics, planner }
    }

    /// Takes changes in, and says how many orders follow.
    fn take(&mut self, changes: &[Change]) -> usize {
        let mut orders = 0;
        for batch in self.metrics.take(changes, now()) {
            let effects = self.planner.take(Input::Samples(batch), now());
            for (series, until) in effects.released {
                self.metrics.release(series, until);
            }
            orders += effects.orders.len();
        }
        orders
    }
}

/// One that has a sample of each series.
fn full_core(types: Types) -> Core {
    let mut core = Core::new(&config(types, SERVICES));
    let each = || (0..SERVICES).flat_map(|service| (0..INSTANCES).map(move |instance| (service, instance)));
    let register = |(service, instance)| Change::Put {
        key: format!("/services/{}/i{service}-{instance}/service_instance_name", types.of(service)),
        value: format!("s{service}@{}.service", instance + 1),
    };
    let mut changes: Vec<Change> = each().map(register).collect();
    changes.push(Change::SnapshotEnd);
    drop(core.planner.take(Input::Registrations(registrations("/services", &changes)), now()));
    let samples = each().map(|(service, instance)| sample(types, service, instance, 0, "50"));
    let changes: Vec<Change> =
        [Change::SnapshotStart].into_iter().chain(samples).chain([Change::SnapshotEnd]).collect();
    core.take(&changes);
    assert!(core.planner.is_live());
    core
}

/// A sample of some series that decides nothing, with 10,000 services there.
#[divan::bench(args = [Types::Own, Types::Shared], sample_count = 100, sample_size = 1000)]
fn sample_that_decides_nothing(bencher: Bencher, types: Types) {
    let mut core = full_core(types);
    let mut turn = 0;
    let next = || {
        turn += 1;
        let (service, second) = (turn * 7919 % SERVICES, 1 + i64::try_from(turn / SERVICES).unwrap());
        [sample(types, service, turn % INSTANCES, second, "50")]
    };
    bencher.with_inputs(next).bench_local_values(|changes| core.take(&changes));
    assert_eq!(core.take(&[sample(types, 1, 0, 500, "95")]), 0);
    assert_eq!(core.take(&[sample(types, 1, 0, 600, "95")]), 1, "its samples were seen");
}

/// A sample that completes a period, and the decision that comes of it, with 10,000 services there.
#[divan::bench(args = [Types::Own, Types::Shared], sample_count = 90, sample_size = 100)]
fn sample_that_scales_up(bencher: Bencher, types: Types) {
    let mut core = full_core(types);
    for service in 0..SERVICES {
        core.take(&[sample(types, service, 0, 10, "95")]);
    }
    let mut service = 0;
    let next = || {
        service += 1;
        [sample(types, service, 0, 40, "95")]
    };
    bencher.with_inputs(next).bench_local_values(|changes| assert_eq!(core.take(&changes), 1));
}

/// 20,000 samples of 100 series that were there before the start.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn backlog_of_20_000_samples(bencher: Bencher) {
    let each = (0..200).flat_map(|second| (0..100).map(move |service| (service, second)));
    let samples = each.map(|(service, second)| sample(Types::Own, service, 0, second, "95"));
    let changes: Vec<Change> =
        [Change::SnapshotStart].into_iter().chain(samples).chain([Change::SnapshotEnd]).collect();
    bencher
        .counter(ItemsCount::new(20_000_usize))
        .with_inputs(|| {
            let mut core = Core::new(&config(Types::Own, 100));
            drop(core.planner.take(Input::Registrations(vec![RegistrationChange::Complete]), now()));
            core
        })
        .bench_local_values(|mut core| core.take(&changes));
}
