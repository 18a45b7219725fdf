//! Every estimator against `SciPy` and `NumPy`, case by case; see `reference/statistics.py`.

use serde_json::Value;

use super::super::distribution::{normal_quantile, student_quantile};
use super::super::ratio::Sums;
use super::super::{
    Level, Match, Observation, Outcome, Resampling, StandardisedSample, bradley_terry, clustered_share, hodges_lehmann,
    hodges_lehmann_interval, quantile, ratio_difference, ratio_interval, sample_size, sign_flip_test, wilson,
};

/// The committed cases.
const CASES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/statistics.json"));

/// Largest relative deviation allowed of everything with a closed form.
const CLOSED: f64 = 1e-9;

/// Runs all cases of one estimator: `compute` returns (name of the expected value, computed value) pairs.
fn compare(name: &str, allowed: f64, compute: impl Fn(&Value) -> Vec<(&'static str, Option<f64>)>) {
    let all: Value = serde_json::from_str(CASES).unwrap();
    let cases = all[name].as_array().unwrap();
    let (mut values, mut largest) = (0, 0.0_f64);
    for case in cases {
        let computed = compute(&case["input"]);
        assert_eq!(computed.len(), case["expected"].as_object().unwrap().len(), "{name}: some value is not compared");
        for (key, value) in computed {
            let expected = case["expected"][key].as_f64();
            assert_eq!(value.is_some(), expected.is_some(), "{name} {key}: {value:?} and {expected:?} in {case}");
            values += 1;
            if let (Some(value), Some(expected)) = (value, expected) {
                let deviation = (value - expected).abs() / expected.abs().max(1e-3);
                assert!(deviation <= allowed, "{name} {key}: {value} and {expected} in {case}");
                largest = largest.max(deviation);
            }
        }
    }
    assert!(!cases.is_empty(), "{name} has no case");
    println!("{name}: {} cases, {values} values, largest deviation {largest:.1e}", cases.len());
}

fn real(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn index(value: &Value) -> usize {
    usize::try_from(whole(value)).unwrap()
}

fn reals(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(real).collect()
}

fn counted(n: Option<u64>) -> Option<f64> {
    n.map(|n| f64::from(u32::try_from(n).unwrap()))
}

fn resampling(case: &Value, clusters: usize) -> Resampling {
    let draws = u32::try_from(whole(&case["draws"])).unwrap();
    Resampling { clusters, draws, seed: whole(&case["seed"]), level: Level::NINETY_FIVE }
}

#[test]
fn normal_quantiles_agree() {
    compare("normal_quantile", CLOSED, |case| vec![("value", normal_quantile(real(&case["p"])))]);
}

#[test]
fn student_quantiles_agree() {
    compare("student_quantile", CLOSED, |case| {
        vec![("value", student_quantile(real(&case["p"]), real(&case["degrees"])))]
    });
}

#[test]
fn wilson_intervals_agree() {
    compare("wilson", CLOSED, |case| {
        let level = Level::new(real(&case["level"])).unwrap();
        let interval = wilson(real(&case["successes"]), real(&case["n"]), level);
        vec![("low", interval.map(|i| i.low)), ("high", interval.map(|i| i.high))]
    });
}

#[test]
fn clustered_shares_agree() {
    compare("clustered_share", CLOSED, |case| {
        let estimate = clustered_share(&reals(&case["successes"]), &reals(&case["trials"]), Level::NINETY_FIVE);
        parts(estimate)
    });
}

fn parts(estimate: Option<super::super::Estimate>) -> Vec<(&'static str, Option<f64>)> {
    vec![("value", estimate.map(|e| e.value)), ("low", estimate.map(|e| e.low)), ("high", estimate.map(|e| e.high))]
}

#[test]
fn ratios_agree_with_the_covariance_form_and_a_jackknife() {
    compare("ratio", CLOSED, |case| {
        let (numerators, denominators) = (reals(&case["numerators"]), reals(&case["denominators"]));
        let sums = Sums { numerators: &numerators, denominators: &denominators };
        parts(ratio_interval(sums, Level::NINETY_FIVE))
    });
}

#[test]
fn differences_of_ratios_agree_with_the_covariance_form_and_a_jackknife() {
    compare("ratio_difference", CLOSED, |case| {
        let (n1, d1) = (reals(&case["numerators_1"]), reals(&case["denominators_1"]));
        let (n2, d2) = (reals(&case["numerators_2"]), reals(&case["denominators_2"]));
        let first = Sums { numerators: &n1, denominators: &d1 };
        let second = Sums { numerators: &n2, denominators: &d2 };
        parts(ratio_difference(first, second, Level::NINETY_FIVE))
    });
}

#[test]
fn weighted_quantiles_agree_and_failures_are_beyond() {
    compare("quantile", CLOSED, |case| {
        let cell = |cell: &Value| (whole(&cell[0]), whole(&cell[1]));
        let cells: Vec<(u64, u64)> = case["cells"].as_array().unwrap().iter().map(cell).collect();
        vec![("value", counted(quantile(&cells, whole(&case["beyond"]), real(&case["q"]))))]
    });
}

#[test]
fn standardised_figures_agree() {
    compare("standardised", CLOSED, |case| {
        let observation = |row: &Value| Observation {
            cluster: index(&row[0]),
            stratum: index(&row[1]),
            value: Some(whole(&row[2])),
            count: u32::try_from(whole(&row[3])).unwrap(),
        };
        let observations = case["observations"].as_array().unwrap().iter().map(observation).collect();
        let sample = StandardisedSample::new(&reals(&case["shares"]), observations).unwrap();
        let times = |value: &Value| u32::try_from(whole(value)).unwrap();
        let multiplicities: Vec<u32> = case["multiplicities"].as_array().unwrap().iter().map(times).collect();
        vec![
            ("quantile", sample.drawn(&multiplicities).quantile(real(&case["q"]))),
            ("mean", sample.drawn(&multiplicities).mean()),
            ("within", Some(sample.drawn(&multiplicities).share_within(whole(&case["limit"])))),
        ]
    });
}

#[test]
fn hodges_lehmann_agrees_with_brute_force() {
    compare("hodges_lehmann", CLOSED, |case| vec![("value", hodges_lehmann(&reals(&case["differences"])))]);
}

#[test]
fn the_sign_flip_test_agrees_with_all_permutations() {
    compare("sign_flip", CLOSED, |case| {
        let test = sign_flip_test(&reals(&case["blocks"]), 0, 0).unwrap();
        assert!(test.exact);
        vec![("p", Some(test.p))]
    });
}

#[test]
fn the_bootstrap_agrees_draw_by_draw_with_the_same_generator_elsewhere() {
    compare("bootstrap", CLOSED, |case| {
        let values = reals(&case["values"]);
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let figures = resampling(case, values.len()).intervals(2, |multiplicities, results| {
            let total: u32 = multiplicities.iter().sum();
            let sum: f64 = values.iter().zip(multiplicities).map(|(x, &m)| x * f64::from(m)).sum();
            results[0] = Some(sum / f64::from(total));
            let mut reached = 0;
            results[1] = order.iter().find_map(|&i| {
                reached += multiplicities[i];
                (2 * reached >= total).then_some(values[i])
            });
        });
        vec![
            ("mean", figures[0].value),
            ("mean_low", figures[0].low),
            ("mean_high", figures[0].high),
            ("median_low", figures[1].low),
            ("median_high", figures[1].high),
        ]
    });
}

#[test]
fn the_interval_of_hodges_lehmann_agrees_draw_by_draw() {
    compare("hodges_lehmann_interval", CLOSED, |case| {
        let blocks: Vec<Vec<f64>> = case["blocks"].as_array().unwrap().iter().map(reals).collect();
        let figure = hodges_lehmann_interval(&blocks, &resampling(case, blocks.len()));
        vec![("value", figure.value), ("low", figure.low), ("high", figure.high)]
    });
}

#[test]
fn bradley_terry_agrees_with_a_general_optimiser() {
    let names: [&'static str; 6] = ["0", "1", "2", "3", "4", "5"];
    let all: Value = serde_json::from_str(CASES).unwrap();
    let (mut values, mut largest) = (0, 0.0_f64);
    for case in all["bradley_terry"].as_array().unwrap() {
        let duel = |(participant, row): (usize, &Value)| Match {
            participant,
            first: index(&row[0]),
            second: index(&row[1]),
            outcome: match real(&row[2]) {
                score if score > 0.9 => Outcome::First,
                score if score < 0.1 => Outcome::Second,
                _ => Outcome::Tie,
            },
        };
        let rows = case["input"]["matches"].as_array().unwrap();
        let matches: Vec<Match> = rows.iter().enumerate().map(duel).collect();
        let plan = Resampling { clusters: rows.len(), draws: 0, seed: 0, level: Level::NINETY_FIVE };
        let ranking = bradley_terry(index(&case["input"]["models"]), &matches, &plan).unwrap();
        let expected = reals(&case["expected"]["scores"]);
        assert_eq!(ranking.models.len(), expected.len());
        for ((name, model), expected) in names.iter().zip(&ranking.models).zip(expected) {
            let score = model.score.value.unwrap();
            let deviation = ((score - expected) / expected).abs();
            assert!(deviation <= 1e-6, "model {name}: {score} and {expected}");
            largest = largest.max(deviation);
            values += 1;
        }
    }
    println!("bradley_terry: {values} scores, largest deviation {largest:.1e}");
}

#[test]
fn sample_sizes_agree() {
    let level = Level::NINETY_FIVE;
    compare("quantile_interval_size", CLOSED, |case| {
        let size = if whole(&case["sides"]) == 2 {
            sample_size::for_quantile_interval
        } else {
            sample_size::for_quantile_bound
        };
        vec![("n", counted(size(real(&case["q"]), level)))]
    });
    compare("quantile_ranks", CLOSED, |case| {
        let ranks = sample_size::quantile_ranks(whole(&case["n"]), real(&case["q"]), level);
        vec![("lower", counted(ranks.map(|r| r.0))), ("upper", counted(ranks.map(|r| r.1)))]
    });
    compare("preference_size", CLOSED, |case| {
        vec![("n", counted(sample_size::for_preference(real(&case["p"]), level, real(&case["power"]))))]
    });
    compare("median_ratio_size", CLOSED, |case| {
        let n = sample_size::for_median_ratio(real(&case["ratio"]), real(&case["sigma"]), level, real(&case["power"]));
        vec![("n", counted(n))]
    });
}
