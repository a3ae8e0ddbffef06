//! The load of the demo: how it goes over time, and which share of it an instance has.

use std::time::Duration;

/// Seconds after the start, and requests per second then: quiet, a rush, quiet again. In between it goes smoothly.
const CURVE: [(f64, f64); 6] =
    [(0.0, 40.0), (4.0, 40.0), (21.0, 390.0), (27.0, 390.0), (42.0, 40.0), (50.0, 40.0)];

/// How long the curve is. With a start and an end it stays within a minute.
pub(super) const LENGTH: Duration = Duration::from_secs(50);

/// By which part a measured share is off at most, so that instances differ as real ones do.
const NOISE: f64 = 0.02;

/// The load at a time, in requests per second; the curve begins anew when it ends.
pub(super) fn load(at: Duration) -> f64 {
    let second = at.as_secs_f64() % LENGTH.as_secs_f64();
    let next = CURVE.iter().position(|(when, _)| *when > second).unwrap_or(CURVE.len() - 1).max(1);
    let ((from, low), (to, high)) = (CURVE[next - 1], CURVE[next]);
    let part = ((second - from) / (to - from)).clamp(0.0, 1.0);
    low + (high - low) * part * part * (3.0 - 2.0 * part)
}

/// What one of `instances` measures, in requests per second with one decimal. Without any, nobody does.
pub(super) fn share(load: f64, instances: u32, random: &mut fastrand::Rng) -> Option<f64> {
    if instances == 0 {
        return None;
    }
    let off = 1.0 + (random.f64() * 2.0 - 1.0) * NOISE;
    Some((load / f64::from(instances) * off * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_quiet_rises_and_is_quiet_again() {
        let at = |second| load(Duration::from_secs_f64(second));
        for (second, expected) in
            [(0.0, 40.0), (3.9, 40.0), (12.5, 215.0), (24.0, 390.0), (34.5, 215.0), (49.9, 40.0)]
        {
            assert!((at(second) - expected).abs() < 1e-9, "{second} s: {}", at(second));
        }
        assert!((at(62.5) - at(12.5)).abs() < 1e-9, "it begins anew");
    }

    #[test]
    fn a_share_falls_as_instances_are_added() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut before = f64::INFINITY;
        for instances in 1..=8 {
            let share = share(390.0, instances, &mut random).unwrap();
            let exact = 390.0 / f64::from(instances);
            assert!(share < before && (share - exact).abs() <= exact * NOISE + 0.05, "{share}");
            before = share;
        }
        assert_eq!(share(390.0, 0, &mut random), None);
    }
}
