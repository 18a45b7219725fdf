//! A repriced period for a person, a program and a spreadsheet.
//!
//! It computes nothing: amounts leave as they are, exact.

use csv::Writer;
use providers::money::format_nanos;

use super::{Repriced, RepricedRow};
use crate::report::table::{SIMULATED, align_numbers, empty_table, wrap};

/// For a terminal of 120 columns.
pub(super) fn table(repriced: &Repriced) -> String {
    let period = &repriced.period;
    let prices = repriced.as_of.map_or_else(|| "of each day".to_owned(), |day| format!("of {day}"));
    let mut parts = vec![format!("Attempts from {} to {} at the prices {prices}", period.from, period.to)];
    if repriced.simulated {
        parts.push(SIMULATED.to_owned());
    }
    if repriced.rows.is_empty() {
        parts.push("No question reached a vendor in this period.".to_owned());
        return parts.join("\n\n") + "\n";
    }
    parts.push(amounts(repriced));
    parts.push(wrap(
        "attempts: recomputed of all. not known: the cost was never known. no usage: booked without one. no price: the \
         list has none for the vendor, model, day, tier or tool. These are in no amount. Euros at the rate kept with \
         each attempt.",
    ));
    let newly_priced = repriced.rows.iter().filter(|row| row.newly_priced > 0).map(|row| {
        let amount = format_nanos(row.newly_priced_amounts.nanos);
        let (count, currency) = (row.newly_priced, &row.currency);
        format!("{}/{}: {count} of those not known only lacked a price: {amount} {currency}", row.provider, row.model)
    });
    parts.extend(newly_priced);
    parts.join("\n\n") + "\n"
}

fn amounts(repriced: &Repriced) -> String {
    let mut table = empty_table([
        "provider",
        "model",
        "attempts",
        "",
        "booked",
        "recomputed",
        "difference",
        "difference\nEUR",
        "not\nknown",
        "no\nusage",
        "no\nprice",
    ]);
    for row in &repriced.rows {
        table.add_row([
            row.provider.clone(),
            row.model.clone(),
            format!("{}/{}", row.recomputed_attempts, row.attempts),
            row.currency.clone(),
            format_nanos(row.booked.nanos),
            format_nanos(row.recomputed.nanos),
            signed(row.difference.nanos),
            signed(row.difference.euro_nanos),
            row.cost_unknown.to_string(),
            row.no_usage.to_string(),
            row.unpriced.to_string(),
        ]);
    }
    align_numbers(&mut table);
    table.to_string()
}

fn signed(nanos: i64) -> String {
    let sign = if nanos > 0 { "+" } else { "" };
    format!("{sign}{}", format_nanos(nanos))
}

/// Indented JSON.
pub(super) fn json(repriced: &Repriced) -> String {
    serde_json::to_string_pretty(repriced)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
}

const NAMES: [&str; 21] = [
    "period_from",
    "period_to",
    "as_of",
    "simulated",
    "provider",
    "model",
    "currency",
    "attempts",
    "recomputed_attempts",
    "booked_nanos",
    "recomputed_nanos",
    "difference_nanos",
    "booked_euro_nanos",
    "recomputed_euro_nanos",
    "difference_euro_nanos",
    "cost_unknown",
    "newly_priced",
    "newly_priced_nanos",
    "no_usage",
    "unpriced",
    "unpriced_booked_nanos",
];

/// One line per row under a line of names.
pub(super) fn csv(repriced: &Repriced) -> Result<String, csv::Error> {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(NAMES)?;
    for row in &repriced.rows {
        writer.write_record(line(repriced, row))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    String::from_utf8(bytes).map_err(|error| std::io::Error::other(error).into())
}

fn line(repriced: &Repriced, row: &RepricedRow) -> [String; 21] {
    [
        repriced.period.from.to_string(),
        repriced.period.to.to_string(),
        repriced.as_of.map(|day| day.to_string()).unwrap_or_default(),
        repriced.simulated.to_string(),
        row.provider.clone(),
        row.model.clone(),
        row.currency.clone(),
        row.attempts.to_string(),
        row.recomputed_attempts.to_string(),
        row.booked.nanos.to_string(),
        row.recomputed.nanos.to_string(),
        row.difference.nanos.to_string(),
        row.booked.euro_nanos.to_string(),
        row.recomputed.euro_nanos.to_string(),
        row.difference.euro_nanos.to_string(),
        row.cost_unknown.to_string(),
        row.newly_priced.to_string(),
        row.newly_priced_amounts.nanos.to_string(),
        row.no_usage.to_string(),
        row.unpriced.to_string(),
        row.unpriced_booked.nanos.to_string(),
    ]
}
