//! Observations of every kind, to see that a policy stands them.

use super::{NOW, Run, instance, observation, window};
use crate::{InstanceState, Observation, Policy, Series, Window, glue};

/// How many calls follow each other with the state carried over.
const CALLS: u64 = 12;

/// Calls a policy with observations made from `seed`: no windows, no series, one sample, huge and tiny values, instances in
/// every state, bounds that contradict each other, long and short times in between, and a clock that jumps back.
///
/// `metrics` are the names of the windows.
///
/// ```
/// # use dynamite_policy::{prelude::*, testing::stress};
/// # struct Keep;
/// # impl Policy for Keep {
/// #     type Config = NoConfig;
/// #     type State = ();
/// #     fn decide(_: &NoConfig, _: &Observation, (): &mut ()) -> Result<Verdict, String> { Ok(hold("so")) }
/// # }
/// for seed in 0..100 {
///     stress::<Keep>("{}", &["cpu_user"], seed);
/// }
/// ```
///
/// # Panics
/// When the policy panics, refuses the configuration, answers the same question in two ways, gives no reason, or leaves
/// more than 64 KiB of state.
pub fn stress<P: Policy>(config: &str, metrics: &[&str], seed: u64) {
    let run = Run::<P>::new(config);
    assert!(run.is_ok(), "{config}: {:?}", run.err());
    let mut dice = Dice(seed);
    let mut state = Vec::new();
    let mut now = NOW;
    for call in 0..CALLS {
        now = dice.pick(&[now + 1_000, now + 10_000, now + 7_000_000, now, now.saturating_sub(60_000)]);
        let shown = dice.observation(metrics, now);
        let answer = glue::decide::<P>(config, &shown, &state);
        let twice = glue::decide::<P>(config, &shown, &state);
        assert!(answer == twice, "seed {seed}, call {call}: {answer:?}, and then: {twice:?}");
        if let Err(why) = &answer {
            assert!(!why.contains("the state has"), "seed {seed}, call {call}: {why}");
        }
        if let Ok(answer) = answer {
            assert!(!answer.reason.is_empty(), "seed {seed}, call {call}: no reason");
            state = answer.state;
        }
    }
}

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices[index]
    }

    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    fn value(&mut self) -> f64 {
        let usual = self.below(100_000) as f64 / 1_000.0;
        let odd = [0.0, -0.0, 1.0, -5.0, 1e-300, 5e-324, 1e9, 1e300, f64::MAX, f64::MIN];
        if self.below(8) == 0 { self.pick(&odd) } else { usual }
    }

    fn observation(&mut self, metrics: &[&str], now: u64) -> Observation {
        let count = self.pick(&[0, 1, 2, 3, 10, 50]);
        let mut seen = observation(count).with_now(now);
        seen.service.min_instances = self.pick(&[0, 1, 2, 20, u32::MAX]);
        seen.service.max_instances = self.pick(&[None, Some(0), Some(3), Some(10), Some(u32::MAX)]);
        for index in 0..seen.service.instances.len() {
            let states = [InstanceState::Starting, InstanceState::Stopping, InstanceState::Failed];
            if self.below(4) == 0 {
                seen =
                    seen.with_instance(index, self.pick(&states), now.saturating_sub(self.roll() % 600_000));
            }
        }
        for _ in 0..self.below(3) {
            let (before, after) = (self.pick(&[0, 1, 3, u32::MAX]), self.pick(&[0, 1, 3, u32::MAX]));
            seen = seen.with_scaling(now.saturating_sub(self.below(600_000)), before, after);
        }
        let left_out = self.below(20) == 0;
        for metric in metrics.iter().filter(|_| !left_out) {
            let window = self.window(metric, now);
            seen = seen.with_window(window);
        }
        seen
    }

    fn window(&mut self, metric: &str, now: u64) -> Window {
        let mut window = window(metric);
        window.aggregated = self.below(2) == 0;
        window.length_ms = self.pick(&[0, 1_000, 300_000, u64::MAX]);
        let series = if window.aggregated { self.below(2) } else { self.pick(&[0, 1, 3, 20]) };
        for index in 0..series {
            let number = 8000 + u32::try_from(index).unwrap_or(0);
            let (length, gap) = (self.pick(&[0, 1, 2, 30]), self.pick(&[1, 999, 10_000, 1 << 40]));
            let newest = now.saturating_sub(self.pick(&[0, 1, 5_000, 1 << 41]));
            let mut at: Vec<u64> = (0..length).rev().map(|age| newest.saturating_sub(age * gap)).collect();
            at.dedup();
            let values = at.iter().map(|_| self.value()).collect();
            let instance = Some(instance(number).name).filter(|_| !window.aggregated && number % 4 != 3);
            let id = if window.aggregated { String::new() } else { number.to_string() };
            window = window.with_series(Series { id, instance, at, values });
        }
        window
    }
}
