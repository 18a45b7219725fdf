use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Figures of the library itself.
const LIBRARY: &str = include_str!("../../../tests/reference/energy.json");

fn table() -> EnergyTable {
    EnergyTable::shipped().unwrap()
}

fn tokens(tokens: f64) -> Output {
    Output { tokens, seconds: None }
}

fn deviation(ours: f64, theirs: f64) -> f64 {
    (ours / theirs - 1.0).abs()
}

/// Half a unit in the last decimal that was printed, and a hair for what is exactly on the edge.
fn rounding(printed: &str) -> f64 {
    let decimals = printed.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    0.500_001 * 10_f64.powi(-i32::try_from(decimals).unwrap())
}

/// Model, zone, then energy Wh, usage gCO2e, embodied gCO2e and water mL of 400 output tokens, each low and high.
type Vector = (&'static str, &'static str, &'static str, [[&'static str; 2]; 4]);

const VECTORS: [Vector; 7] = [
    (
        "mistral_ai",
        "mistral-small-2603",
        "SWE",
        [["0.09597", "0.09597"], ["0.00338", "0.00338"], ["0.00265", "0.00265"], ["0.586", "0.586"]],
    ),
    (
        "mistral_ai",
        "mistral-small-2603",
        "FRA",
        [["0.09597", "0.09597"], ["0.00398", "0.00398"], ["0.00265", "0.00265"], ["0.360", "0.360"]],
    ),
    (
        "mistral_ai",
        "mistral-medium-3-5",
        "SWE",
        [["0.22451", "0.22451"], ["0.00792", "0.00792"], ["0.00302", "0.00302"], ["1.372", "1.372"]],
    ),
    (
        "mistral_ai",
        "mistral-large-2512",
        "SWE",
        [["1.12693", "1.12693"], ["0.03974", "0.03974"], ["0.03847", "0.03847"], ["6.885", "6.885"]],
    ),
    (
        "openai",
        "gpt-6-luna",
        "USA",
        [["0.05466", "0.05860"], ["0.02101", "0.02253"], ["0.00285", "0.00285"], ["0.197", "0.211"]],
    ),
    (
        "openai",
        "gpt-5.4-mini",
        "USA",
        [["0.07704", "0.53119"], ["0.02961", "0.20419"], ["0.00157", "0.00627"], ["0.278", "1.916"]],
    ),
    (
        "openai",
        "gpt-6-sol",
        "USA",
        [["0.56914", "0.89274"], ["0.21878", "0.34317"], ["0.01910", "0.01910"], ["2.052", "3.219"]],
    ),
];

#[test]
fn every_published_vector_is_reproduced_to_its_last_printed_digit() {
    let table = table();
    let mut largest = 0.0_f64;
    for (provider, model, zone, printed) in VECTORS {
        let impact = table.impact(provider, model, zone, tokens(400.0)).unwrap();
        let ours = [impact.energy_wh, impact.usage_gco2e, impact.embodied_gco2e, impact.water_ml];
        for (ours, printed) in ours.iter().zip(printed) {
            for (ours, printed) in [ours.low, ours.high].into_iter().zip(printed) {
                let theirs: f64 = printed.parse().unwrap();
                assert!((ours - theirs).abs() <= rounding(printed), "{model} {zone}: {ours}, printed {printed}");
                // Where the print has three digits it is itself no better than a few thousandths.
                if rounding(printed) / theirs < 0.001 {
                    largest = largest.max(deviation(ours, theirs));
                }
            }
        }
    }
    println!("largest deviation from a printed vector: {:.4} %", largest * 100.0);
    assert!(largest < 0.001, "{largest}");
}

#[test]
fn the_library_gives_the_same_for_every_model_zone_length_and_measured_cap() {
    let table = table();
    let library: Value = serde_json::from_str(LIBRARY).unwrap();
    assert_eq!(library["version"], table.method().version.as_str());
    let cases = library["cases"].as_array().unwrap();
    assert!(cases.len() >= 60);
    let mut largest = 0.0_f64;
    for case in cases {
        let provider = case["provider"].as_str().unwrap();
        let zone = match case["zone"].as_str() {
            Some(zone) => zone,
            None => table.zone_of_host(provider, "global").unwrap().zone,
        };
        let output = Output { tokens: case["tokens"].as_f64().unwrap(), seconds: case["seconds"].as_f64() };
        let impact = table.impact(provider, case["model"].as_str().unwrap(), zone, output).unwrap();
        let ours = serde_json::to_value(impact).unwrap();
        for (key, range) in ours.as_object().unwrap() {
            for (end, at) in [("low", 0), ("high", 1)] {
                let (ours, theirs) = (range[end].as_f64().unwrap(), case[key][at].as_f64().unwrap());
                largest = largest.max(deviation(ours, theirs));
                assert!(deviation(ours, theirs) < 1e-9, "{case}: {key} {end} is {ours}, library {theirs}");
            }
        }
    }
    println!("largest deviation from the library: {largest:e}, {} cases", cases.len());
}

#[test]
fn the_shipped_table_holds_every_model_of_both_vendors() {
    let table = table();
    let of = |vendor| table.models().filter(|(provider, ..)| *provider == vendor).count();
    assert_eq!((of("mistral_ai"), of("openai")), (34, 86));
    assert_eq!(table.zones().count(), 8);
    assert!(table.model("openai", "gpt-6-luna").unwrap().estimated);
    assert!(!table.model("mistral_ai", "mistral-small-2603").unwrap().estimated);
    assert_eq!(table.method().as_of, jiff::civil::date(2026, 11, 23));
}

#[test]
fn what_is_not_in_the_table_has_no_figure_and_no_limits() {
    let table = table();
    assert_eq!(table.impact("openai", "gpt-99", "USA", tokens(400.0)), None);
    assert_eq!(table.impact("other", "gpt-6-luna", "USA", tokens(400.0)), None);
    assert_eq!(table.impact("openai", "gpt-6-luna", "XXX", tokens(400.0)), None);
    assert_eq!(table.limits("openai", "gpt-99", "USA"), []);
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(table.impact("openai", "gpt-6-luna", "USA", tokens(bad)), None, "{bad} tokens");
        let output = Output { tokens: 400.0, seconds: Some(bad) };
        assert_eq!(table.impact("openai", "gpt-6-luna", "USA", output), None, "{bad} seconds");
    }
}

#[test]
fn a_host_that_promises_no_region_takes_the_methods_assumption_and_says_so() {
    let table = table();
    let zone = |provider, region| table.zone_of_host(provider, region).map(|assumed| assumed.zone);
    assert_eq!(zone("openai", "global"), Some("USA"));
    assert_eq!(zone("openai", "eu"), Some("EEE"));
    assert_eq!(zone("mistral_ai", "global"), Some("SWE"));
    assert_eq!(zone("mistral_ai", "eu"), Some("EEE"));
    assert_eq!(zone("mistral_ai", "us"), Some("USA"));
    assert_eq!(zone("mistral_ai", "moon"), None);
    assert_eq!(zone("other", "eu"), None);
    for basis in [LocationBasis::MethodDefault, LocationBasis::EuropeanHost, LocationBasis::AmericanHost] {
        assert!(basis.english().contains("assumption") && basis.french().contains("hypothèse"));
    }
    for region in ["global", "eu", "us"] {
        let zone = zone("mistral_ai", region).unwrap();
        assert!(table.zone(zone).is_some(), "{zone} has a mix");
    }
}

#[test]
fn a_guessed_model_in_europe_carries_both_of_its_own_limits() {
    let table = table();
    let limits = table.limits("openai", "gpt-6-luna", "EEE");
    assert_eq!(limits[..8], Limit::ALWAYS);
    assert_eq!(limits[8..], [Limit::ArchitectureGuessed, Limit::WorldWater]);
    assert_eq!(table.limits("mistral_ai", "mistral-small-2603", "FRA"), Limit::ALWAYS);
    let mut seen = std::collections::BTreeSet::new();
    for limit in limits {
        assert_eq!(serde_json::to_value(limit).unwrap(), limit.key());
        assert!(limit.english().ends_with('.') && limit.french().ends_with('.'));
        assert!(limit.english() != limit.french() && seen.insert(limit.key()));
    }
}

#[test]
fn five_watt_hours_are_an_hour_of_light_and_317_grams_ten_hours_of_video() {
    let range = |value| Range { low: value, high: 2.0 * value };
    let mut impact = table().impact("openai", "gpt-6-luna", "USA", tokens(400.0)).unwrap();
    (impact.energy_wh, impact.total_gco2e) = (range(5.0), range(317.0));
    let everyday = impact.everyday();
    let near = |left: f64, right: f64| (left - right).abs() < 1e-9;
    assert!(near(everyday.led_bulb_minutes.low, 60.0) && near(everyday.led_bulb_minutes.high, 120.0));
    assert!(near(everyday.hd_video_minutes.low, 600.0) && near(everyday.hd_video_minutes.high, 1200.0));
}

#[test]
fn a_table_with_mistakes_is_refused_with_every_one_of_them() {
    let broken = ENERGY_TOML
        .replacen("default_zone = \"SWE\"", "default_zone = \"SWX\"", 1)
        .replacen("pue = 1.2\n", "pue = 0.2\n", 1)
        .replacen("active_b = [3.8, 11.0]", "active_b = [11.0, 3.8]", 1)
        .replacen("id = \"codestral-latest\"", "id = \"codestral-2508\"", 1)
        .replacen("gwp = 0.04144", "gwp = nan", 1);
    let mistakes = EnergyTable::parse(&broken).unwrap_err().mistakes;
    for part in ["no zone `SWX`", "pue is below 1", "minimum, maximum", "codestral-2508` comes twice", "gwp must be"] {
        assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{part}: {mistakes:?}");
    }
    assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    let unknown = ENERGY_TOML.replacen("licence =", "license =", 1);
    assert!(EnergyTable::parse(&unknown).unwrap_err().to_string().contains("license"));
}

fn any_model() -> impl Strategy<Value = (String, String)> {
    let all: Vec<_> = table().models().map(|(provider, id, _)| (provider.to_owned(), id.to_owned())).collect();
    proptest::sample::select(all)
}

fn close(left: Range, right: Range) -> bool {
    let near = |left: f64, right: f64| (left - right).abs() <= 1e-9 * right.abs();
    near(left.low, right.low) && near(left.high, right.high)
}

fn ranges(impact: Impact) -> [Range; 7] {
    [
        impact.energy_wh,
        impact.usage_gco2e,
        impact.embodied_gco2e,
        impact.total_gco2e,
        impact.water_ml,
        impact.adpe_ugsbe,
        impact.primary_energy_kj,
    ]
}

proptest! {
    #[test]
    fn the_sum_of_answers_is_the_answer_of_the_sum(
        (provider, model) in any_model(),
        answers in proptest::collection::vec(0_u32..20_000, 1..30),
    ) {
        let table = table();
        let each = answers.iter().map(|count| {
            table.impact(&provider, &model, "EEE", tokens(f64::from(*count))).unwrap()
        });
        let added = each.reduce(Add::add).unwrap();
        let total: f64 = answers.iter().copied().map(f64::from).sum();
        let summed = table.impact_of_sum(&provider, &model, "EEE", answers.len() as u64, tokens(total)).unwrap();
        for (added, summed) in ranges(added).into_iter().zip(ranges(summed)) {
            prop_assert!(close(added, summed), "{added:?} {summed:?}");
        }
    }

    #[test]
    fn a_cap_on_the_sum_never_gives_less_than_caps_on_each(
        (provider, model) in any_model(),
        answers in proptest::collection::vec((0_u32..20_000, 0.0_f64..400.0), 1..30),
    ) {
        let table = table();
        let each = answers.iter().map(|(count, seconds)| {
            let output = Output { tokens: f64::from(*count), seconds: Some(*seconds) };
            table.impact(&provider, &model, "FRA", output).unwrap()
        });
        let added = each.reduce(Add::add).unwrap();
        let total: f64 = answers.iter().map(|(count, _)| f64::from(*count)).sum();
        let seconds = Some(answers.iter().map(|(_, seconds)| seconds).sum());
        let capped = Output { tokens: total, seconds };
        let summed = table.impact_of_sum(&provider, &model, "FRA", answers.len() as u64, capped).unwrap();
        let free = table.impact_of_sum(&provider, &model, "FRA", answers.len() as u64, tokens(total)).unwrap();
        for ((added, summed), free) in ranges(added).into_iter().zip(ranges(summed)).zip(ranges(free)) {
            prop_assert!(added.low <= summed.low * (1.0 + 1e-9) && added.high <= summed.high * (1.0 + 1e-9));
            prop_assert!(summed.low <= free.low * (1.0 + 1e-9) && summed.high <= free.high * (1.0 + 1e-9));
        }
    }

    #[test]
    fn the_low_end_is_never_above_the_high_end_and_more_tokens_never_use_less(
        (provider, model) in any_model(), count in 0_u32..100_000, more in 1_u32..1000,
    ) {
        let table = table();
        let less = table.impact(&provider, &model, "WOR", tokens(f64::from(count))).unwrap();
        let longer = table.impact(&provider, &model, "WOR", tokens(f64::from(count + more))).unwrap();
        for (less, longer) in ranges(less).into_iter().zip(ranges(longer)) {
            prop_assert!(less.low <= less.high);
            prop_assert!(less.low < longer.low && less.high < longer.high);
        }
    }
}
