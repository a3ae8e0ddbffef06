//! How many instances a metric wants.

use super::*;

/// `(count, values, missing, unready, wanted)` with a target of 60 and a tolerance of 0.1.
fn check(table: &[(u32, &[f64], u32, u32, u32)]) {
    for &(count, values, missing, unready, expected) in table {
        let groups = Groups { values: values.to_vec(), missing, unready };
        let wanted = of_each(count, &groups, mean(values).unwrap(), 60.0, 0.1);
        assert_eq!(wanted, expected, "{count} instances, {groups:?}");
    }
}

#[test]
fn as_many_as_there_are_times_the_ratio_rounded_up() {
    check(&[
        (3, &[120.0; 3], 0, 0, 6),
        (3, &[80.0; 3], 0, 0, 4),
        (3, &[81.0; 3], 0, 0, 5),
        (4, &[30.0; 4], 0, 0, 2),
        (4, &[0.0; 4], 0, 0, 0),
        (2, &[10.0, 50.0], 0, 0, 1),
    ]);
}

#[test]
fn nothing_within_the_tolerance() {
    check(&[
        (10, &[66.0; 10], 0, 0, 10),
        (10, &[54.0; 10], 0, 0, 10),
        (10, &[66.1; 10], 0, 0, 12),
        (10, &[53.9; 10], 0, 0, 9),
    ]);
}

#[test]
fn those_without_sample_damp_whatever_is_wanted() {
    check(&[
        // 1.5 of the target; with two idle ones 0.9 of it, which turns it around.
        (5, &[90.0; 3], 2, 0, 5),
        // 2 of the target; with one idle one 1.5, and 1.5 times 4 is 6.
        (4, &[120.0; 3], 1, 0, 6),
        // 0.5 of the target; with one at the target 0.625, and 0.625 times 4 is 2.5.
        (4, &[30.0; 3], 1, 0, 3),
        // 0.8 of the target; with four at the target 0.96 of it.
        (5, &[48.0], 4, 0, 5),
        // At the target, with a tolerance of 0.1, whatever is missing: idle ones would turn it.
        (3, &[60.0, 60.0], 1, 0, 3),
    ]);
}

#[test]
fn those_not_yet_ready_damp_only_what_goes_up() {
    check(&[
        // 2 of the target; with one idle one 1.33 of it, times 3.
        (3, &[120.0; 2], 0, 1, 4),
        // 1.2 of the target; with one idle one 0.8 of it, which turns it around.
        (3, &[72.0; 2], 0, 1, 3),
        // Half of the target: those not yet ready are left out.
        (3, &[30.0; 2], 0, 1, 1),
    ]);
}

#[test]
fn what_moves_against_the_ratio_is_held() {
    // There are 9, of which 3 are known: 1.33 of the target with the idle one, times 4 is fewer than 9.
    check(&[(9, &[120.0, 100.0, 100.0], 0, 1, 9)]);
}

#[test]
fn a_metric_of_all_together() {
    use TargetType::{AverageValue, Value};
    let table = [
        (Value, 3, 3, 200.0, 6),
        (Value, 3, 2, 200.0, 4),
        (Value, 3, 3, 105.0, 3),
        (Value, 0, 0, 250.0, 3),
        (AverageValue, 3, 3, 1_000.0, 10),
        (AverageValue, 3, 3, 320.0, 3),
        (AverageValue, 3, 3, 340.0, 4),
        (AverageValue, 0, 0, 340.0, 4),
        (AverageValue, 0, 0, 0.0, 0),
    ];
    for (kind, count, running, value, expected) in table {
        assert_eq!(
            of_all(count, running, value, 100.0, kind, 0.1),
            expected,
            "{kind:?} {count} {running} {value}"
        );
    }
}
