//! Every entry as CSV or JSON lines, for a spreadsheet, a database, or the next contract holder.

use std::io::Write;

use serde_json::Value;

use super::{Ledger, StoreError};

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated, one header line; nested values as `usage.input_cached`.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// Columns of the CSV, in order. Absent values are empty, never zero.
const COLUMNS: &[&str] = &[
    "seq",
    "id",
    "request_id",
    "attempt",
    "outcome",
    "error_type",
    "retried",
    "http_status",
    "resident",
    "key_id",
    "plan",
    "operation",
    "stream",
    "choices",
    "client_left",
    "route",
    "assignment",
    "probability_ppm",
    "provider",
    "account",
    "host",
    "region",
    "request_model",
    "sent_model",
    "response_model",
    "upstream_id",
    "upstream_request_id",
    "finish_reason",
    "service_tier",
    "usage.input_uncached",
    "usage.input_cached",
    "usage.cache_write",
    "usage.output_visible",
    "usage.reasoning",
    "usage_consistent",
    "usage_raw",
    "currency",
    "cost_nanos",
    "cost_lower_nanos",
    "cost_upper_nanos",
    "cost_euro_nanos",
    "rate_micros",
    "rate_date",
    "price_row",
    "uplift_percent",
    "ceiling_euro_nanos",
    "charged.questions",
    "charged.tokens",
    "charged.euro_nanos",
    "day",
    "month",
    "year",
    "received_at",
    "ended_at",
    "overhead_micros",
    "first_chunk_micros",
    "first_text_micros",
    "duration_micros",
    "output_chars",
    "length_class",
];

/// Writes every entry to `out`; returns how many.
///
/// # Errors
/// [`StoreError`] when the ledger cannot be read, or a sentence about `out` in [`StoreError::Unavailable`].
pub fn export(ledger: &Ledger, format: ExportFormat, out: &mut dyn Write) -> Result<u64, StoreError> {
    let failed =
        |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("the export cannot be written: {error}"));
    match format {
        ExportFormat::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(COLUMNS).map_err(|error| failed(&error))?;
            let lines = each_entry(ledger, |value| {
                csv.write_record(COLUMNS.iter().map(|column| cell(value, column))).map_err(|error| error.to_string())
            })?;
            csv.flush().map_err(|error| failed(&error))?;
            Ok(lines)
        }
        ExportFormat::JsonLines => {
            each_entry(ledger, |value| writeln!(out, "{value}").map_err(|error| error.to_string()))
        }
    }
}

/// Hands every entry, with its number, to `write`; stops writing at the first failure.
fn each_entry(ledger: &Ledger, mut write: impl FnMut(&Value) -> Result<(), String>) -> Result<u64, StoreError> {
    let mut lines: u64 = 0;
    let mut result = Ok(());
    ledger.visit_entries(&mut |seq, entry| {
        if result.is_ok() {
            result = serde_json::to_value(&entry).map_err(|error| error.to_string()).and_then(|mut value| {
                if let Some(object) = value.as_object_mut() {
                    object.shift_insert(0, "seq".into(), seq.into());
                }
                lines += 1;
                write(&value)
            });
        }
    })?;
    result.map_err(|error| StoreError::Unavailable(format!("the export cannot be written: {error}")))?;
    Ok(lines)
}

fn cell(value: &Value, column: &str) -> String {
    let found = column.split('.').try_fold(value, |value, key| value.get(key));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
