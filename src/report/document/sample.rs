//! Comparisons for tests: a rich one with three models, a nearly empty one, and one with long names. The figures are
//! invented and hold together: marks, totals and ranks follow from prices and weights.

use std::collections::BTreeMap;

use crate::report::comparison::{
    Claim, Comparison, ConversationSection, CostRow, CriterionRow, DataFacts, DuelPair, DuelSection, EnergyRow,
    EnergySection, EuroSection, Figure, FormulaRow, Metric, ModelFigures, ProbeSection, Proof, Range, Rank,
    RepricedModel, ScorecardSection, Sensitivity, Slice, Verdict, WhatIf,
};

const MODELS: [(&str, &str); 3] =
    [("openai/gpt-6-luna", "OpenAI"), ("mistral/mistral-small-2603", "Mistral AI"), ("openai/gpt-6.1-terra", "OpenAI")];

/// Everything filled.
pub(crate) fn rich() -> Comparison {
    with_models(&MODELS.map(|(id, vendor)| (id.to_owned(), vendor.to_owned())))
}

/// A period in which nearly nothing happened.
pub(crate) fn sparse() -> Comparison {
    let refused = || Some("none".to_owned());
    Comparison {
        from: "2026-10-01".into(),
        to: "2026-10-02".into(),
        made_at: "2026-10-03T06:00:00Z".into(),
        limit_seconds: 60,
        margin: 0.1,
        models: vec![("openai/gpt-6-luna".into(), "OpenAI".into())],
        probes: ProbeSection { refused: refused(), ..ProbeSection::default() },
        conversations: ConversationSection {
            drawn_for: "conversation".into(),
            refused: refused(),
            ..ConversationSection::default()
        },
        duels: DuelSection { refused: refused(), ..DuelSection::default() },
        euros: EuroSection {
            assumed_euro_nanos: (20_000_000, 30_000_000),
            seat_euro_nanos: 24_000_000_000,
            envelope_euro_nanos: 10_000_000_000_000,
            vat_basis_points: 2_000,
            ..EuroSection::default()
        },
        scorecard: ScorecardSection { refused: Some("one_offer".into()), ..ScorecardSection::default() },
        ..Comparison::default()
    }
}

/// Names that are long, and hostile to markup and to spreadsheets.
pub(crate) fn long_names() -> Comparison {
    let names = [
        "vendor-with-a-very-long-name/an-instruct-model-of-the-seventh-generation-preview-2026-11-07-eu-west-3-fp8",
        "other/<b>&\"'</b><script>alert(1)</script>]]>",
        "third/=HYPERLINK(\"x\")",
    ];
    let mut comparison = with_models(&names.map(|id| (id.to_owned(), "A Vendor & Sons <i>Ltd</i>".to_owned())));
    comparison.blocks = Some(ConversationSection { drawn_for: "block".into(), ..comparison.conversations.clone() });
    comparison.simulated = true;
    comparison.claims = false;
    comparison.declared = None;
    comparison
}

fn with_models(models: &[(String, String); 3]) -> Comparison {
    let ids = [models[0].0.as_str(), models[1].0.as_str(), models[2].0.as_str()];
    Comparison {
        disturbed: false,
        from: "2026-10-01".into(),
        to: "2026-10-28".into(),
        made_at: "2026-11-02T06:00:00Z".into(),
        simulated: false,
        limit_seconds: 60,
        declared: Some(("2026-10-01".into(), "2026-10-28".into(), Some("2026-09-21".into()))),
        claims: true,
        margin: 0.1,
        models: models.to_vec(),
        probes: probes(ids),
        conversations: conversations(ids),
        blocks: None,
        duels: duels(ids),
        euros: euros(ids),
        energy: energy(ids),
        scorecard: scorecard(ids),
        changes: vec![("2026-10-14".into(), "New prices of one vendor (−20 % on output)".into())],
        retirements: vec![(ids[0].to_owned(), "2026-12-11".into())],
        proof: Proof {
            ledger_records: 48_211,
            ledger_hash: "9f2c7a51e0b84d3366a1f7c95e20d4b8a3c6170f9be5428d".into(),
            terms_digest: "1b".repeat(32),
            program: "0.1.0".into(),
            evidence_digest: "c4".repeat(32),
        },
    }
}

fn figure(value: f64, half: f64, n: u64) -> Figure {
    Figure { value: Some(value), low: Some(value - half), high: Some(value + half), n }
}

fn model(id: &str, scale: f64, cost: f64, n: u64, probed: bool) -> ModelFigures {
    ModelFigures {
        model: id.to_owned(),
        questions: n,
        answered: Figure { value: Some(1.0 - 0.004 * scale), low: Some(0.981), high: Some(0.999), n },
        prompt: figure(0.97 - 0.01 * scale, 0.012, n),
        first_text: figure(620.0 * scale, 48.0, n),
        first_text_p95: Figure { value: Some(2_900.0 * scale), low: Some(2_300.0 * scale), high: None, n },
        duration: figure(4_800.0 * scale, 310.0, n),
        duration_p95: figure(14_600.0 * scale, 2_100.0, n),
        cost_per_question: figure(cost * 0.99, cost * 0.03, n),
        cost_per_answer: figure(cost, cost * 0.03, n),
        cost_per_1000_chars: figure(cost * 0.7, cost * 0.02, n),
        checks: probed.then(|| figure(0.91 - 0.02 * scale, 0.03, n)),
    }
}

fn models(ids: [&str; 3], n: u64, probed: bool) -> Vec<ModelFigures> {
    vec![
        model(ids[0], 1.0, 372_000.0, n, probed),
        model(ids[1], 0.85, 505_000.0, n + 3, probed),
        model(ids[2], 1.6, 3_620_000.0, n - 12, probed),
    ]
}

fn claim(first: &str, second: &str, metric: Metric, verdict: Verdict, effect: Figure) -> Claim {
    let is_ratio = !matches!(metric, Metric::Answered | Metric::Prompt | Metric::Checks | Metric::Preference);
    Claim {
        first: first.to_owned(),
        second: second.to_owned(),
        metric,
        primary: matches!(metric, Metric::Cost | Metric::FirstText | Metric::Answered | Metric::Preference),
        length: None,
        is_ratio,
        effect,
        p_value: is_ratio.then_some(0.012),
        verdict,
    }
}

fn claims([a, b, c]: [&str; 3], n: u64) -> Vec<Claim> {
    let wide = |center: f64| figure(center, 0.4, n);
    let long = Claim {
        length: Some("long".into()),
        ..claim(a, b, Metric::Duration, Verdict::NoPracticalDifference, figure(1.04, 0.03, n / 3))
    };
    vec![
        claim(a, b, Metric::Cost, Verdict::FirstBetter, figure(0.74, 0.04, n)),
        claim(a, c, Metric::Cost, Verdict::FirstBetter, figure(0.103, 0.01, n)),
        claim(b, c, Metric::Cost, Verdict::FirstBetter, figure(0.14, 0.01, n)),
        claim(a, b, Metric::FirstText, Verdict::NoDifferenceShown, wide(1.18)),
        claim(a, c, Metric::FirstText, Verdict::FirstBetter, figure(0.63, 0.05, n)),
        claim(c, b, Metric::FirstText, Verdict::SecondBetter, figure(1.88, 0.2, n)),
        claim(a, b, Metric::Answered, Verdict::NoDifferenceShown, figure(-0.001, 0.006, n)),
        claim(a, c, Metric::Answered, Verdict::TooFew, Figure { value: Some(0.002), low: None, high: None, n: 4 }),
        claim(b, c, Metric::Answered, Verdict::NoDifferenceShown, figure(0.003, 0.006, n)),
        claim(a, b, Metric::Checks, Verdict::Exploratory, figure(0.01, 0.03, n)),
        long,
    ]
}

fn slice(name: &str, model: &str, questions: u64, scale: f64) -> Slice {
    Slice {
        name: name.to_owned(),
        model: model.to_owned(),
        questions: Some(questions),
        answered: Some(0.992),
        first_text: Some(640.0 * scale),
        duration: Some(4_100.0 * scale),
        cost_per_answer: Some(350_000.0 * scale),
        interrupted: Some(questions / 40),
        suppressed: false,
    }
}

fn hidden(name: &str, model: &str) -> Slice {
    Slice {
        name: name.to_owned(),
        model: model.to_owned(),
        questions: None,
        answered: None,
        first_text: None,
        duration: None,
        cost_per_answer: None,
        interrupted: None,
        suppressed: true,
    }
}

fn probes(ids: [&str; 3]) -> ProbeSection {
    let slices = ["short", "medium", "long"].iter().zip([0.6, 1.0, 2.1]);
    let slices = slices
        .flat_map(|(name, scale)| ids.map(|id| Slice { interrupted: None, ..slice(name, id, 2_986, scale) }))
        .collect();
    ProbeSection {
        rounds: 224,
        rounds_left_out: 3,
        questions: 40,
        basket: Some(("2026-09".into(), "77".repeat(32))),
        lag: Some((11.0, 240.0)),
        models: models(ids, 8_960, true),
        slices,
        claims: claims(ids, 8_940),
        refused: None,
    }
}

fn conversations(ids: [&str; 3]) -> ConversationSection {
    let mut slices: Vec<Slice> = ["short · general · morning", "long · local · evening"]
        .iter()
        .flat_map(|name| ids.map(|id| slice(name, id, 412, 1.1)))
        .collect();
    slices.push(hidden("medium · local · night", ids[0]));
    slices.push(hidden("medium · local · night", ids[1]));
    ConversationSection {
        drawn_for: "conversation".into(),
        groups: 38,
        people: Some(640),
        models: models(ids, 4_105, false),
        slices,
        claims: claims(ids, 4_100).into_iter().take(4).collect(),
        share_left_out: 0.034,
        models_left_out: BTreeMap::from([("mistral/mistral-large-4".to_owned(), "too_few".to_owned())]),
        refused: None,
        chosen: vec![(ids[0].to_owned(), Some(730)), (ids[1].to_owned(), None)],
    }
}

fn duel(first: &str, second: &str, wins: (u64, u64, u64), share: Figure) -> DuelPair {
    let (first_wins, second_wins, ties) = wins;
    DuelPair {
        first: first.to_owned(),
        second: second.to_owned(),
        first_wins,
        second_wins,
        ties,
        share,
        left_share: Some(0.52),
        longer_share: Some(0.61),
        share_at_like_length: figure(0.49, 0.14, 51),
    }
}

fn duels([a, b, c]: [&str; 3]) -> DuelSection {
    let rank = |model: &str, score: f64, rank| Rank { model: model.to_owned(), score: figure(score, 42.0, 261), rank };
    DuelSection {
        votes: Some(318),
        people: Some(74),
        pairs: vec![
            duel(a, b, (52, 41, 18), figure(0.559, 0.1, 93)),
            duel(a, c, (31, 58, 15), figure(0.348, 0.1, 89)),
            duel(b, c, (38, 41, 24), figure(0.481, 0.11, 79)),
        ],
        ranking: vec![rank(c, 1_051.0, (1, 2)), rank(b, 987.0, (1, 3)), rank(a, 962.0, (2, 3))],
        qualifiers: vec![(a.to_owned(), "useful".into(), 0.41), (c.to_owned(), "superficial".into(), 0.08)],
        claims: vec![
            claim(a, b, Metric::Preference, Verdict::NoDifferenceShown, figure(0.059, 0.1, 93)),
            claim(a, c, Metric::Preference, Verdict::SecondBetter, figure(-0.152, 0.1, 89)),
        ],
        refused: None,
    }
}

fn cost_row(model: &str, nanos: i64, questions: u32) -> CostRow {
    CostRow {
        model: model.to_owned(),
        questions: Some(questions.into()),
        answers: Some(u64::from(questions) - 21),
        cost_euro_nanos: Some(nanos * i64::from(questions)),
        uncertain_euro_nanos: Some(12_400_000),
        per_question_euro_nanos: Some(nanos),
        per_answer_euro_nanos: Some(nanos + nanos / 100),
        per_1000_chars_euro_nanos: Some(nanos * 7 / 10),
        reasoning_share: None,
        cached_share: Some(0.31),
    }
}

fn repriced(model: &str, compared: bool, nanos: i64) -> RepricedModel {
    let period = nanos * 12_345;
    RepricedModel {
        model: model.to_owned(),
        compared,
        euro_nanos: period,
        uncached_euro_nanos: period * 13 / 10,
        eu_euro_nanos: compared.then_some(period * 11 / 10),
        with_vat_euro_nanos: period * 12 / 10,
        per_answer_euro_nanos: nanos,
        own_tokens_euro_nanos: compared.then_some(nanos * 9 / 10),
        retires: (!compared).then(|| "2027-01-14".to_owned()),
    }
}

fn what_if(model: &str, other: &str, nanos: i64) -> WhatIf {
    WhatIf {
        model: model.to_owned(),
        per_answer_euro_nanos: nanos,
        raised: vec![(10, nanos * 11 / 10), (25, nanos * 5 / 4), (50, nanos * 3 / 2)],
        without_reasoning_euro_nanos: Some(nanos * 8 / 10),
        double_reasoning_euro_nanos: None,
        break_even: vec![(other.to_owned(), 3_575)],
    }
}

fn euros([a, b, c]: [&str; 3]) -> EuroSection {
    EuroSection {
        is_incomplete: false,
        rows: vec![cost_row(a, 372_000, 4_115), cost_row(b, 505_000, 4_120), cost_row(c, 3_620_000, 4_110)],
        residents_euro_nanos: 18_489_600_000,
        probes_euro_nanos: 40_287_000_000,
        duels_euro_nanos: Some(1_930_000_000),
        questions: 12_345,
        per_question_euro_nanos: Some(1_497_739),
        per_resident: vec![("2026-09".into(), None, None), ("2026-10".into(), Some(640), Some(28_890_000))],
        assumed_euro_nanos: (20_000_000, 30_000_000),
        seat_euro_nanos: 24_000_000_000,
        seats_in_envelope: Some(34),
        questions_per_seat: Some(16_024),
        envelope_euro_nanos: 10_000_000_000_000,
        spent_euro_nanos: 412_330_000_000,
        forecast_euro_nanos: Some((571_000_000_000, 498_000_000_000, 660_000_000_000)),
        envelope_spent_on: None,
        vat_basis_points: 2_000,
        repriced: vec![
            repriced(a, true, 372_000),
            repriced(b, true, 505_000),
            repriced(c, true, 3_620_000),
            repriced("mistral/mistral-large-2512", false, 1_410_000),
            repriced("openai/gpt-4o-mini", false, 480_000),
        ],
        what_if: vec![what_if(a, b, 372_000), what_if(b, a, 505_000)],
        rate: Some(("USD".into(), 1_083_400, "2026-10-28".into())),
    }
}

fn energy([a, b, c]: [&str; 3]) -> EnergySection {
    let range = |low: f64, high: f64| Range { low, high };
    let row = |model: &str, zone: &str, is_estimated, wh: Range| EnergyRow {
        model: model.to_owned(),
        output_tokens: 402.0,
        zone: zone.to_owned(),
        is_estimated,
        energy_wh: wh,
        carbon_g: range(wh.low * 0.4, wh.high * 0.42),
        water_ml: range(wh.low * 3.6, wh.high * 3.7),
        lamp_minutes: range(wh.low * 12.0, wh.high * 12.0),
        period_kwh: range(wh.low * 13.0, wh.high * 13.0),
    };
    EnergySection {
        method: "EcoLogits 0.11.3".into(),
        rows: vec![row(a, "USA", true, range(0.0547, 0.0586)), row(b, "SWE", false, range(0.096, 0.096))],
        unknown: vec![c.to_owned()],
    }
}

fn scorecard([a, b, c]: [&str; 3]) -> ScorecardSection {
    let prices = [372_000_i32, 505_000, 3_620_000];
    let price = |index: usize| f64::from(prices[index]);
    let average = (price(0) + price(1) + price(2)) / 3.0;
    // Marks of the other criteria together.
    let rest = [37.5, 38.0, 32.5];
    let formula = |formula: &str, marks: [f64; 3]| {
        let totals: Vec<f64> = (0..3).map(|index| marks[index] + rest[index]).collect();
        let rank = |total: &f64| 1 + totals.iter().map(|other| u32::from(other > total)).sum::<u32>();
        let ranks = totals.iter().map(rank).collect();
        FormulaRow { formula: formula.into(), price_marks: marks.to_vec(), ranks, totals }
    };
    let classic = [0, 1, 2].map(|index| 40.0 * price(0) / price(index));
    let linear = [0, 1, 2].map(|index| 40.0 * (1.0 - (price(index) - price(0)) / (price(2) - price(0))));
    let mean = [0, 1, 2].map(|index| (40.0 - 20.0 * price(index) / average).max(0.0));
    let criterion = |criterion: &str, weight: u32, source: &str, marks: [Option<f64>; 3]| CriterionRow {
        criterion: criterion.into(),
        weight,
        source: source.into(),
        marks: marks.to_vec(),
    };
    ScorecardSection {
        offers: vec![a.to_owned(), b.to_owned(), c.to_owned()],
        prices_euro_nanos: prices.map(i64::from).to_vec(),
        criteria: vec![
            criterion("price", 40, "catalogue", classic.map(Some)),
            criterion("latency", 10, "probes", [Some(8.5), Some(10.0), Some(5.0)]),
            criterion("quality", 15, "probes", [Some(13.5), Some(13.5), Some(14.0)]),
            criterion("ease_of_use", 10, "duels", [Some(6.0), Some(6.5), Some(9.0)]),
            criterion("data_protection", 15, "not_scored", [None, None, None]),
            criterion("environment", 10, "energy", [Some(9.5), Some(8.0), Some(4.5)]),
        ],
        formulas: vec![formula("classic", classic), formula("linear", linear), formula("average", mean)],
        formulas_agree: true,
        sensitivity: ["price", "latency", "quality", "ease_of_use", "environment"]
            .iter()
            .zip([31.0, 62.5, 88.0, 44.0, 100.0])
            .map(|(criterion, cut)| Sensitivity {
                criterion: (*criterion).to_owned(),
                winners: match *criterion {
                    "price" => vec![(0.0, 12.0, c.to_owned()), (12.0, cut, b.to_owned()), (cut, 100.0, a.to_owned())],
                    "environment" => vec![(0.0, cut, a.to_owned())],
                    _ => vec![(0.0, cut, a.to_owned()), (cut, 100.0, b.to_owned())],
                },
            })
            .collect(),
        data_facts: vec![facts(a, "https://eu.api.openai.com", "EU"), facts(b, "https://api.eu.mistral.ai", "EU/EFTA")],
        refused: None,
    }
}

fn facts(model: &str, host: &str, region: &str) -> DataFacts {
    DataFacts {
        model: model.to_owned(),
        hosts: vec![(host.to_owned(), region.to_owned())],
        retention: Some(("up to 30 days".into(), "jusqu’à 30 jours".into())),
        law: None,
        training: Some(("not by default".into(), "non par défaut".into())),
        source: Some(("vendor’s page".into(), "2026-11-20".into())),
    }
}
