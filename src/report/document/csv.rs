//! The comparison as one long table for machines: a line a figure, in the units of the comparison itself. It rounds
//! nothing but says money in euros.

use crate::report::comparison::{Claim, Comparison, ConversationSection, Figure, ModelFigures, Range, Slice};

use super::Lang;
use super::money;
use super::view::View;
use super::words::closed::metric_key;

mod euros;

/// Why the table could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the table of figures could not be written")]
pub struct CsvError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Columns of the table.
const COLUMNS: [&str; 11] =
    ["section", "model", "other_model", "metric", "slice", "value", "low", "high", "n", "unit", "verdict"];

/// The table, with a line of headings.
///
/// # Errors
/// [`CsvError`] when a line could not be written to memory.
pub fn render(comparison: &Comparison) -> Result<String, CsvError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(|error| CsvError(error.into()))?;
    for row in rows(comparison) {
        let Row { section, model, other_model, metric, slice, value, low, high, n, unit, verdict } = &row;
        let fields: [&str; 11] = [section, model, other_model, metric, slice, value, low, high, n, unit, verdict];
        writer.write_record(fields).map_err(|error| CsvError(error.into()))?;
    }
    let bytes = writer.into_inner().map_err(|error| CsvError(error.into_error().into()))?;
    String::from_utf8(bytes).map_err(|error| CsvError(error.into()))
}

/// A line. What is empty is not known or does not apply.
#[derive(Clone, Debug, Default)]
struct Row {
    section: &'static str,
    model: String,
    other_model: String,
    metric: String,
    slice: String,
    value: String,
    low: String,
    high: String,
    n: String,
    unit: &'static str,
    verdict: String,
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    let view = View { comparison, lang: Lang::En };
    let mut rows = measured("probes", &comparison.probes.models, &comparison.probes.slices);
    rows.extend(comparison.probes.claims.iter().map(|claim| claimed(&view, "probes", claim)));
    rows.extend(drawn(&view, "conversations", &comparison.conversations));
    rows.extend(comparison.blocks.iter().flat_map(|section| drawn(&view, "blocks", section)));
    rows.extend(duels(&view));
    rows.extend(euros::rows(&comparison.euros));
    rows.extend(energy(comparison));
    rows.extend(scorecard(comparison));
    rows
}

fn figure(section: &'static str, model: &str, metric: &str, figure: &Figure, unit: &'static str) -> Row {
    let end = |value: Option<f64>| number(value, unit);
    Row {
        section,
        model: model.to_owned(),
        metric: metric.to_owned(),
        value: end(figure.value),
        low: end(figure.low),
        high: end(figure.high),
        n: figure.n.to_string(),
        unit,
        ..Row::default()
    }
}

/// A number as it is, but mean costs as exact decimals of a euro.
fn number(value: Option<f64>, unit: &str) -> String {
    match value {
        Some(value) if unit == EUR => money::exact(super::grid::nanos(value)),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

const EUR: &str = "EUR";

fn measured(section: &'static str, models: &[ModelFigures], slices: &[Slice]) -> Vec<Row> {
    let mut rows = Vec::new();
    for model in models {
        let figures = [
            ("answered_share", Some(model.answered), "share"),
            ("prompt_share", Some(model.prompt), "share"),
            ("first_text_median", Some(model.first_text), "ms"),
            ("first_text_p95", Some(model.first_text_p95), "ms"),
            ("duration_median", Some(model.duration), "ms"),
            ("duration_p95", Some(model.duration_p95), "ms"),
            ("cost_per_question", Some(model.cost_per_question), EUR),
            ("cost_per_answer", Some(model.cost_per_answer), EUR),
            ("cost_per_1000_characters", Some(model.cost_per_1000_chars), EUR),
            ("checks_passed_share", model.checks, "share"),
        ];
        let known = figures.into_iter().filter_map(|(metric, value, unit)| Some((metric, value?, unit)));
        rows.extend(known.map(|(metric, value, unit)| figure(section, &model.model, metric, &value, unit)));
    }
    rows.extend(slices.iter().flat_map(|slice| sliced(section, slice)));
    rows
}

fn sliced(section: &'static str, slice: &Slice) -> Vec<Row> {
    let n = slice.questions.map(|questions| questions.to_string()).unwrap_or_default();
    let values = [
        ("answered_share", slice.answered, "share"),
        ("first_text_median", slice.first_text, "ms"),
        ("duration_median", slice.duration, "ms"),
        ("cost_per_answer", slice.cost_per_answer, EUR),
    ];
    let row = |(metric, value, unit): (&str, Option<f64>, &'static str)| Row {
        section,
        model: slice.model.clone(),
        metric: metric.to_owned(),
        slice: slice.name.clone(),
        value: if slice.suppressed { String::new() } else { number(value, unit) },
        n: if slice.suppressed { String::new() } else { n.clone() },
        unit,
        verdict: (if slice.suppressed { "suppressed" } else { "" }).to_owned(),
        ..Row::default()
    };
    let mut rows: Vec<Row> = values.into_iter().map(row).collect();
    if let Some(interrupted) = slice.interrupted {
        rows.push(Row { value: interrupted.to_string(), ..row(("interrupted", None, "questions")) });
    }
    rows
}

fn claimed(view: &View<'_>, section: &'static str, claim: &Claim) -> Row {
    let unit = if claim.is_ratio { "ratio" } else { difference_unit(claim) };
    let verdict = serde_json::to_value(view.verdict(claim)).ok();
    Row {
        other_model: claim.second.clone(),
        slice: claim.length.clone().unwrap_or_default(),
        verdict: verdict.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned(),
        ..figure(section, &claim.first, metric_key(claim.metric), &claim.effect, unit)
    }
}

fn difference_unit(claim: &Claim) -> &'static str {
    match super::words::verdicts::unit(claim) {
        super::grid::Unit::Time => "difference_ms",
        super::grid::Unit::Cost => EUR,
        _ => "difference_share",
    }
}

fn drawn(view: &View<'_>, section: &'static str, evidence: &ConversationSection) -> Vec<Row> {
    let mut rows = measured(section, &evidence.models, &evidence.slices);
    rows.extend(evidence.claims.iter().map(|claim| claimed(view, section, claim)));
    rows
}

fn duels(view: &View<'_>) -> Vec<Row> {
    let section = &view.comparison.duels;
    let mut rows = Vec::new();
    for pair in &section.pairs {
        let of_pair = |row: Row| Row { other_model: pair.second.clone(), ..row };
        let votes = pair.first_wins + pair.second_wins;
        for (metric, count) in [("first_wins", pair.first_wins), ("second_wins", pair.second_wins), ("ties", pair.ties)]
        {
            rows.push(of_pair(Row {
                section: "duels",
                model: pair.first.clone(),
                metric: metric.to_owned(),
                value: count.to_string(),
                n: (votes + pair.ties).to_string(),
                unit: "votes",
                ..Row::default()
            }));
        }
        rows.push(of_pair(figure("duels", &pair.first, "preference_share", &pair.share, "share")));
        let like_length = &pair.share_at_like_length;
        rows.push(of_pair(figure("duels", &pair.first, "preference_share_at_like_length", like_length, "share")));
        for (metric, share) in [("left_share", pair.left_share), ("longer_share", pair.longer_share)] {
            let share = Figure { value: share, low: None, high: None, n: votes };
            rows.push(of_pair(figure("duels", &pair.first, metric, &share, "share")));
        }
    }
    rows.extend(section.ranking.iter().map(|rank| figure("duels", &rank.model, "score", &rank.score, "score")));
    rows.extend(section.claims.iter().map(|claim| claimed(view, "duels", claim)));
    rows
}

fn energy(comparison: &Comparison) -> Vec<Row> {
    let range = |model: &str, metric: &str, range: &Range, unit| Row {
        section: "energy",
        model: model.to_owned(),
        metric: metric.to_owned(),
        low: range.low.to_string(),
        high: range.high.to_string(),
        unit,
        ..Row::default()
    };
    let known = comparison.energy.rows.iter().flat_map(|row| {
        [
            range(&row.model, "energy_per_answer", &row.energy_wh, "Wh"),
            range(&row.model, "carbon_per_answer", &row.carbon_g, "gCO2e"),
            range(&row.model, "water_per_answer", &row.water_ml, "mL"),
            range(&row.model, "energy_of_period", &row.period_kwh, "kWh"),
        ]
    });
    let unknown = comparison.energy.unknown.iter().map(|model| Row {
        section: "energy",
        model: model.clone(),
        metric: "energy_per_answer".to_owned(),
        unit: "Wh",
        verdict: "not_available".to_owned(),
        ..Row::default()
    });
    known.chain(unknown).collect()
}

fn scorecard(comparison: &Comparison) -> Vec<Row> {
    let section = &comparison.scorecard;
    let row = |model: &String, metric: &str, slice: &str, value: String, unit| Row {
        section: "scorecard",
        model: model.clone(),
        metric: metric.to_owned(),
        slice: slice.to_owned(),
        value,
        unit,
        ..Row::default()
    };
    let mut rows = Vec::new();
    for criterion in &section.criteria {
        let marks = section.offers.iter().zip(&criterion.marks);
        rows.extend(marks.map(|(offer, mark)| row(offer, "mark", &criterion.criterion, number(*mark, ""), "points")));
    }
    for formula in &section.formulas {
        let offers = section.offers.iter().zip(&formula.totals).zip(&formula.ranks);
        rows.extend(offers.flat_map(|((offer, total), rank)| {
            [
                row(offer, "total", &formula.formula, total.to_string(), "points"),
                row(offer, "rank", &formula.formula, rank.to_string(), "rank"),
            ]
        }));
    }
    rows
}
