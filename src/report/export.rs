//! The report for programs: JSON and CSV.
//!
//! Amounts and counts leave as exact integers; what is not known is null or an empty field, never a zero.

use std::collections::BTreeMap;
use std::fmt::Display;

use csv::Writer;

use super::{Quantiles, Report, Row};

/// Indented JSON.
pub(super) fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
}

/// One line per model under a line of names.
pub(super) fn csv(report: &Report) -> Result<String, csv::Error> {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(names())?;
    for row in &report.rows {
        writer.write_record(line(report, row))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    String::from_utf8(bytes).map_err(|error| std::io::Error::other(error).into())
}

const PLAIN: [&str; 24] = [
    "period_from",
    "period_to",
    "simulated",
    "limit_seconds",
    "provider",
    "model",
    "questions",
    "answered",
    "answered_share",
    "interrupted",
    "failed",
    "unknown",
    "taken_over",
    "currency",
    "cost_nanos",
    "cost_euro_nanos",
    "uncosted",
    "charged_uncertain_euro_nanos",
    "cost_per_question_euro",
    "cost_per_1000_chars_euro",
    "input_tokens",
    "output_tokens",
    "output_chars",
    "errors",
];
const SPREADS: [&str; 4] = ["first_text_ms", "duration_ms", "tokens_per_second", "chars_per_second"];
const PARTS: [&str; 5] = ["n", "beyond", "p50", "p90", "p95"];

fn names() -> Vec<String> {
    let spreads = SPREADS.iter().flat_map(|spread| PARTS.iter().map(move |part| format!("{spread}_{part}")));
    PLAIN.iter().map(|name| (*name).to_owned()).chain(spreads).collect()
}

/// The fields of one model, in the order of [`names`].
fn line(report: &Report, row: &Row) -> Vec<String> {
    let mut fields = vec![
        report.period.from.to_string(),
        report.period.to.to_string(),
        report.simulated.to_string(),
        report.limit_seconds.to_string(),
        row.provider.clone(),
        row.model.clone(),
        row.questions.to_string(),
        row.answered.to_string(),
        known(row.answered_share),
        row.interrupted.to_string(),
        row.failed.to_string(),
        row.unknown.to_string(),
        row.taken_over.to_string(),
        known(row.cost.and_then(|cost| cost.currency)),
        known(row.cost.map(|cost| cost.nanos)),
        known(row.cost_euro_nanos),
        row.uncosted.to_string(),
        row.charged_uncertain_euro_nanos.to_string(),
        known(row.cost_per_question_euro.as_deref()),
        known(row.cost_per_1000_chars_euro.as_deref()),
        known(row.input_tokens),
        known(row.output_tokens),
        row.output_chars.to_string(),
        errors(&row.errors),
    ];
    for spread in [&row.first_text_ms, &row.duration_ms, &row.tokens_per_second, &row.chars_per_second] {
        fields.extend(parts(spread));
    }
    fields
}

fn parts(spread: &Quantiles) -> [String; 5] {
    [spread.n.to_string(), spread.beyond.to_string(), known(spread.p50), known(spread.p90), known(spread.p95)]
}

fn known<T: Display>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// `overloaded=3;server=1`.
fn errors(errors: &BTreeMap<String, u64>) -> String {
    errors.iter().map(|(error, count)| format!("{error}={count}")).collect::<Vec<_>>().join(";")
}
