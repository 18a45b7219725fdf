//! Every attempt, adjustment, probe or duel as CSV or JSON lines, for a spreadsheet, a database, or the next contract holder.
//!
//! What the columns mean is said in [`super::schema`]. It must not know what an entry is for.

use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use super::schema::{ADJUSTMENTS, ATTEMPTS, DUELS, Export, PROBES};
use super::{Entry, Ledger, Record, StoreError};

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated, one header line; nested values as `usage.input_cached`.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// Writes every record of a kind to `out`; returns how many.
///
/// # Errors
/// [`StoreError`] when the ledger cannot be read, or a sentence about `out` in [`StoreError::Unavailable`].
pub fn export(ledger: &Ledger, what: Export, format: ExportFormat, out: &mut dyn Write) -> Result<u64, StoreError> {
    let failed =
        |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("the export cannot be written: {error}"));
    match format {
        ExportFormat::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(what.columns.iter().map(|column| column.name)).map_err(|error| failed(&error))?;
            let lines = each_line(ledger, what, |value| {
                csv.write_record(what.columns.iter().map(|column| cell(value, column.name)))
                    .map_err(|error| error.to_string())
            })?;
            csv.flush().map_err(|error| failed(&error))?;
            Ok(lines)
        }
        ExportFormat::JsonLines => {
            each_line(ledger, what, |value| writeln!(out, "{value}").map_err(|error| error.to_string()))
        }
    }
}

/// Hands every line, with its number, to `write`; stops writing at the first failure.
fn each_line(
    ledger: &Ledger,
    what: Export,
    mut write: impl FnMut(&Value) -> Result<(), String>,
) -> Result<u64, StoreError> {
    let mut lines: u64 = 0;
    let mut result = Ok(());
    ledger.visit_records(&mut |seq, record| {
        let value = match record {
            Record::Attempt(entry) if what == ATTEMPTS => exported(seq, &entry),
            Record::Adjustment(adjustment) if what == ADJUSTMENTS => numbered(seq, &adjustment),
            Record::Probe(probe) if what == PROBES => numbered(seq, &probe),
            Record::Duel(duel) if what == DUELS => numbered(seq, &duel),
            _ => return,
        };
        if result.is_ok() {
            result = value.map_err(|error| error.to_string()).and_then(|value| {
                lines += 1;
                write(&value)
            });
        }
    })?;
    result.map_err(|error| StoreError::Unavailable(format!("the export cannot be written: {error}")))?;
    Ok(lines)
}

/// One entry as it is exported: what is stored, and in so many words the zeros and the `false` that storing leaves out.
/// What is not known stays absent.
pub(super) fn exported(seq: u64, entry: &Entry) -> serde_json::Result<Value> {
    let mut value = numbered(seq, entry)?;
    if let Some(object) = value.as_object_mut() {
        object.entry("retried").or_insert(entry.retried.into());
        object.entry("local_passages").or_insert(entry.local_passages.into());
        if let (Some(usage), Some(Value::Object(parts))) = (entry.usage, object.get_mut("usage")) {
            parts.entry("input_audio").or_insert(usage.input_audio.into());
            parts.entry("audio_millis").or_insert(usage.audio_millis.into());
            parts.entry("tool_calls").or_insert(serde_json::to_value(usage.tool_calls)?);
        }
    }
    Ok(value)
}

/// A record as it is stored, with its number before it.
pub(super) fn numbered(seq: u64, record: &impl Serialize) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(record)?;
    if let Some(object) = value.as_object_mut() {
        object.shift_insert(0, "seq".into(), seq.into());
    }
    Ok(value)
}

fn cell(value: &Value, column: &str) -> String {
    let found = column.split('.').try_fold(value, |value, key| value.get(key));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
