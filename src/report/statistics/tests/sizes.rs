//! The table of minimum sizes of the project's comparison method, reproduced to the unit.

use super::super::sample_size::{
    for_median_ratio, for_preference, for_quantile_bound, for_quantile_interval, for_zero_failures, quantile_ranks,
};
use super::super::{Level, rule_of_three};

const LEVEL: Level = Level::NINETY_FIVE;

#[test]
fn any_two_sided_interval_of_the_usual_quantiles_needs_6_36_72_and_368() {
    let sizes = [0.5, 0.9, 0.95, 0.99].map(|q| for_quantile_interval(q, LEVEL));
    assert_eq!(sizes, [Some(6), Some(36), Some(72), Some(368)]);
}

#[test]
fn a_one_sided_bound_needs_59_and_299() {
    assert_eq!([0.95, 0.99].map(|q| for_quantile_bound(q, LEVEL)), [Some(59), Some(299)]);
}

#[test]
fn with_200_requests_p95_is_known_within_p92_and_p98_5_and_with_1000_within_p93_6_and_p96_4() {
    assert_eq!(quantile_ranks(200, 0.95, LEVEL), Some((184, 197)));
    assert_eq!(quantile_ranks(1000, 0.95, LEVEL), Some((936, 964)));
}

#[test]
fn ranks_exist_exactly_from_the_smallest_size_on() {
    for q in [0.05, 0.5, 0.9, 0.95, 0.99] {
        let n = for_quantile_interval(q, LEVEL).unwrap();
        assert!(quantile_ranks(n, q, LEVEL).is_some(), "{q} at {n}");
        assert_eq!(quantile_ranks(n - 1, q, LEVEL), None, "{q} at {}", n - 1);
    }
}

#[test]
fn a_preference_of_55_60_and_65_percent_needs_783_194_and_85_decisive_votes() {
    assert_eq!([0.55, 0.6, 0.65].map(|p| for_preference(p, LEVEL, 0.8)), [Some(783), Some(194), Some(85)]);
    assert_eq!(for_preference(0.45, LEVEL, 0.8), Some(783), "the side does not matter");
    assert_eq!(for_preference(0.5, LEVEL, 0.8), None, "no size tells an even preference from an even one");
}

#[test]
fn medians_that_differ_by_20_10_and_30_percent_need_268_978_and_129_requests() {
    let size = |ratio, sigma| for_median_ratio(ratio, sigma, LEVEL, 0.8);
    assert_eq!([size(1.2, 0.6), size(1.1, 0.6), size(1.3, 0.6)], [Some(268), Some(978), Some(129)]);
    assert_eq!(size(1.2, 0.8), Some(475));
    assert_eq!(size(1.0 / 1.2, 0.6), Some(268), "the direction does not matter");
}

#[test]
fn no_failure_in_300_requests_means_less_than_one_percent() {
    assert_eq!(for_zero_failures(0.01), Some(300));
    assert_eq!(rule_of_three(300), Some(0.01));
    assert_eq!(rule_of_three(2), Some(1.0), "a rate has an upper bound of its own");
    assert_eq!(rule_of_three(0), None);
}

#[test]
fn a_plan_outside_its_domain_has_no_size() {
    for q in [0.0, 1.0, -0.1, f64::NAN] {
        assert_eq!(for_quantile_interval(q, LEVEL), None);
        assert_eq!(for_quantile_bound(q, LEVEL), None);
        assert_eq!(for_preference(q, LEVEL, 0.8), None);
        assert_eq!(for_preference(0.6, LEVEL, q), None);
    }
    assert_eq!(for_zero_failures(0.0), None);
    for (ratio, sigma) in [(1.0, 0.6), (0.0, 0.6), (-1.0, 0.6), (f64::NAN, 0.6), (1.2, 0.0)] {
        assert_eq!(for_median_ratio(ratio, sigma, LEVEL, 0.8), None);
    }
}
