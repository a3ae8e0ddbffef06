//! Limits on how fast instances come and go.

use dynamite_policy::testing::{NOW, observation};

use super::*;

fn instances(value: u32, period_seconds: u64) -> Limit {
    Limit { unit: Unit::Instances, value, period_seconds }
}

fn percent(value: u32, period_seconds: u64) -> Limit {
    Limit { unit: Unit::Percent, value, period_seconds }
}

#[test]
fn ten_percent_or_four_a_minute_as_in_the_documentation_of_the_hpa() {
    let limits = [percent(10, 60), instances(4, 60)];
    let none = Changes::default();
    let fewest = |count| none.fewest(NOW, count, Select::Max, &limits);
    assert_eq!([fewest(80), fewest(72), fewest(64)], [72, 64, 57]);
    assert_eq!([fewest(40), fewest(39), fewest(3)], [36, 35, 0], "below 40, four are more than 10 %");
    assert_eq!(none.fewest(NOW, 80, Select::Min, &limits), 76);
    assert_eq!(none.fewest(NOW, 80, Select::Disabled, &limits), 80);
    assert_eq!(none.fewest(NOW, 80, Select::Max, &[]), 0);
}

#[test]
fn twice_as_many_or_four_more_as_by_default() {
    let limits = [percent(100, 15), instances(4, 15)];
    let none = Changes::default();
    let most = |count| none.most(NOW, count, Select::Max, &limits);
    assert_eq!([most(0), most(1), most(4), most(5), most(u32::MAX)], [4, 5, 8, 10, u32::MAX]);
    assert_eq!(none.most(NOW, 1, Select::Min, &limits), 2);
    assert_eq!(none.most(NOW, 1, Select::Disabled, &limits), 1);
    assert_eq!(none.most(NOW, 3, Select::Max, &[percent(10, 15)]), 4, "rounded up");
    assert_eq!(none.most(NOW, 3, Select::Max, &[]), u32::MAX);
}

#[test]
fn what_changed_within_the_period_counts_whoever_decided_it() {
    let mut changes = Changes::default();
    changes.note(&observation(6).with_scaling(NOW - 30_000, 4, 6));
    changes.note(&observation(8).with_scaling(NOW - 10_000, 6, 8));
    changes.note(&observation(8).with_scaling(NOW - 10_000, 6, 8));
    let most = |now| changes.most(now, 8, Select::Max, &[instances(5, 60)]);
    assert_eq!(most(NOW), 9, "4 a minute ago");
    assert_eq!(most(NOW + 30_000), 11, "the two of exactly a minute ago do not count any more");
    assert_eq!(most(NOW + 50_000), 13);
    assert_eq!(changes.most(NOW, 8, Select::Max, &[instances(1, 60)]), 8, "never below what there is");
    assert_eq!(changes.fewest(NOW, 8, Select::Max, &[percent(50, 60)]), 2, "half of four");
}

#[test]
fn little_is_kept() {
    let mut changes = Changes::default();
    for second in 0..1_000 {
        let at = NOW + second * 1_000;
        changes.note(&observation(1).with_now(at).with_scaling(at, 1, 2));
    }
    assert_eq!((changes.added.len(), changes.removed.len()), (CHANGES_MAX, 0));
    changes.note(&observation(1).with_now(NOW + 10_000_000));
    assert_eq!(changes, Changes::default());
}
