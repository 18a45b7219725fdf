//! What the exports hold: every column with its type, its unit and its meaning, in one place.
//!
//! The CSV has these columns in this order; a line of JSON has the same names, a dot leading into an object. It must not
//! know where entries are kept.

use std::fmt::Write as _;

use serde::Serialize;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// A text.
    Text,
    /// A whole number of up to 64 bits, with a sign.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A day, such as `2026-11-24`.
    Date,
}

impl ColumnKind {
    /// The type in SQL, as DuckDB and PostgreSQL know it.
    fn sql(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }
}

/// One column of the exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name; a dot leads into an object of the JSON lines.
    pub name: &'static str,
    /// What its cells are.
    #[serde(rename = "type")]
    pub kind: ColumnKind,
    /// The unit of its numbers, where they have one.
    pub unit: Option<&'static str>,
    /// Whether every entry has it. Where one has not, the cell is empty and the key of the JSON is left out: never zero.
    pub required: bool,
    /// What it says.
    pub meaning: &'static str,
}

const fn always(name: &'static str, kind: ColumnKind, unit: Option<&'static str>, meaning: &'static str) -> Column {
    Column { name, kind, unit, required: true, meaning }
}

const fn sometimes(name: &'static str, kind: ColumnKind, unit: Option<&'static str>, meaning: &'static str) -> Column {
    Column { name, kind, unit, required: false, meaning }
}

/// What an export is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name, also of the table in SQL.
    pub name: &'static str,
    /// What one line is.
    pub line: &'static str,
    /// Its columns, in the order of the CSV.
    pub columns: &'static [Column],
}

/// Every attempt at a vendor.
pub const ATTEMPTS: Export = Export { name: "ledger", line: "One line per attempt at a vendor.", columns: COLUMNS };
/// Every adjustment.
pub const ADJUSTMENTS: Export =
    Export { name: "adjustments", line: "One line per adjustment of what was booked.", columns: ADJUSTMENT_COLUMNS };

/// Every probe.
pub const PROBES: Export =
    Export { name: "probes", line: "One line per question of the basket put to a model.", columns: PROBE_COLUMNS };
/// Every judged duel.
pub const DUELS: Export =
    Export { name: "duels", line: "One line per blind duel that was judged.", columns: DUEL_COLUMNS };

#[rustfmt::skip]
const PROBE_COLUMNS: &[Column] = &[
    always("seq", ColumnKind::Integer, None, "Number of the probe in the ledger's chain."),
    always("id", ColumnKind::Text, None, "Identity of the probe (UUID, version 7)."),
    always("round", ColumnKind::Text, None, "The round: all questions at all models, within minutes."),
    always("basket", ColumnKind::Text, None, "Version of the basket."),
    always("basket_digest", ColumnKind::Text, None, "SHA-256 of the basket, hexadecimal."),
    always("question", ColumnKind::Text, None, "The question, by its id in the basket."),
    always("length_class", ColumnKind::Text, None, "Length of the question: short, medium or long."),
    always("local_passages", ColumnKind::Boolean, None, "Whether it came with passages of the town's own pages."),
    always("provider", ColumnKind::Text, None, "The vendor."),
    always("model", ColumnKind::Text, None, "The model, as reports name it."),
    always("host", ColumnKind::Text, None, "The host called, by its short name in the catalogue."),
    always("region", ColumnKind::Text, None, "The region which that host promises."),
    always("intended_at", ColumnKind::Integer, Some("microseconds since 1970, UTC"), "When it was meant to start."),
    always("lag_micros", ColumnKind::Integer, Some("microseconds"), "How much later it did start."),
    always("position", ColumnKind::Integer, None, "Its place among the models asked the same question, from 0."),
    always("request_id", ColumnKind::Text, None, "The request it made, as in the attempts."),
    always("outcome", ColumnKind::Text, None, "How it ended: completed, interrupted, rejected or unknown."),
    sometimes("error_type", ColumnKind::Text, None, "What went wrong, a word of a closed set."),
    sometimes("first_text_micros", ColumnKind::Integer, Some("microseconds"), "From the intended start to the first visible text."),
    sometimes("duration_micros", ColumnKind::Integer, Some("microseconds"), "From the intended start to the last content."),
    sometimes("usage.input_uncached", ColumnKind::Integer, Some("tokens"), "Input billed at the full rate."),
    sometimes("usage.input_cached", ColumnKind::Integer, Some("tokens"), "Input read from the vendor's cache."),
    sometimes("usage.cache_write", ColumnKind::Integer, Some("tokens"), "Input written to the vendor's cache."),
    sometimes("usage.output_visible", ColumnKind::Integer, Some("tokens"), "Output other than reasoning."),
    sometimes("usage.reasoning", ColumnKind::Integer, Some("tokens"), "Hidden reasoning, billed as output."),
    sometimes("cost_euro_nanos", ColumnKind::Integer, Some("nano-euros"), "Exact cost; absent when it is not known."),
    sometimes("output_chars", ColumnKind::Integer, Some("characters"), "Visible text of the answer."),
    sometimes("passed", ColumnKind::Boolean, None, "Whether the answer passed its checks; absent for a question without any."),
    always("day", ColumnKind::Date, None, "Local day of the intended start."),
    always("local_hour", ColumnKind::Integer, Some("hours"), "Hours from the beginning of that day."),
];

#[rustfmt::skip]
const DUEL_COLUMNS: &[Column] = &[
    always("seq", ColumnKind::Integer, None, "Number of the duel in the ledger's chain."),
    always("id", ColumnKind::Text, None, "Identity of the duel (UUID, version 7)."),
    always("at", ColumnKind::Integer, Some("microseconds since 1970, UTC"), "When it was judged."),
    always("day", ColumnKind::Date, None, "Local day of that."),
    always("resident", ColumnKind::Text, None, "Pseudonym of who judged."),
    always("length_class", ColumnKind::Text, None, "Length of the question: short, medium or long."),
    always("left.provider", ColumnKind::Text, None, "Vendor of the answer shown on the left."),
    always("left.model", ColumnKind::Text, None, "Its model."),
    always("left.host", ColumnKind::Text, None, "The host called."),
    always("left.request_id", ColumnKind::Text, None, "Its request, as in the attempts."),
    sometimes("left.first_text_micros", ColumnKind::Integer, Some("microseconds"), "From receipt to its first visible text."),
    sometimes("left.duration_micros", ColumnKind::Integer, Some("microseconds"), "From receipt to its last content."),
    sometimes("left.cost_euro_nanos", ColumnKind::Integer, Some("nano-euros"), "Its exact cost."),
    sometimes("left.output_tokens", ColumnKind::Integer, Some("tokens"), "Its output, hidden reasoning included."),
    always("left.style.chars", ColumnKind::Integer, Some("characters"), "Its visible text."),
    always("left.style.headings", ColumnKind::Integer, None, "Its headings."),
    always("left.style.list_items", ColumnKind::Integer, None, "Its items of lists."),
    always("left.style.bold", ColumnKind::Integer, None, "Its passages in bold."),
    sometimes("left.qualifiers", ColumnKind::Text, None, "What was said of it, a JSON list."),
    always("right.provider", ColumnKind::Text, None, "Vendor of the answer shown on the right; what follows as on the left."),
    always("right.model", ColumnKind::Text, None, "Its model."),
    always("right.host", ColumnKind::Text, None, "The host called."),
    always("right.request_id", ColumnKind::Text, None, "Its request, as in the attempts."),
    sometimes("right.first_text_micros", ColumnKind::Integer, Some("microseconds"), "From receipt to its first visible text."),
    sometimes("right.duration_micros", ColumnKind::Integer, Some("microseconds"), "From receipt to its last content."),
    sometimes("right.cost_euro_nanos", ColumnKind::Integer, Some("nano-euros"), "Its exact cost."),
    sometimes("right.output_tokens", ColumnKind::Integer, Some("tokens"), "Its output, hidden reasoning included."),
    always("right.style.chars", ColumnKind::Integer, Some("characters"), "Its visible text."),
    always("right.style.headings", ColumnKind::Integer, None, "Its headings."),
    always("right.style.list_items", ColumnKind::Integer, None, "Its items of lists."),
    always("right.style.bold", ColumnKind::Integer, None, "Its passages in bold."),
    sometimes("right.qualifiers", ColumnKind::Text, None, "What was said of it, a JSON list."),
    always("vote", ColumnKind::Text, None, "Which was preferred: left, right or tie."),
];

#[rustfmt::skip]
const ADJUSTMENT_COLUMNS: &[Column] = &[
    always("seq", ColumnKind::Integer, None, "Number of the adjustment in the ledger's chain."),
    always("id", ColumnKind::Text, None, "Identity of the adjustment (UUID, version 7)."),
    always("at", ColumnKind::Integer, Some("microseconds since 1970, UTC"), "When it was booked."),
    always("actor", ColumnKind::Text, None, "Who booked it, in their own words."),
    always("reason", ColumnKind::Text, None, "Why."),
    sometimes("corrects", ColumnKind::Integer, None, "Number of the attempt that it corrects; empty for a whole day."),
    sometimes("resident", ColumnKind::Text, None, "Pseudonym of the resident whose windows follow."),
    always("provider", ColumnKind::Text, None, "The vendor."),
    always("model", ColumnKind::Text, None, "The model, as reports name it; an empty text for none."),
    always("currency", ColumnKind::Text, None, "Billing currency of the vendor (ISO 4217)."),
    sometimes("cost_nanos", ColumnKind::Integer, Some("nano-units of currency"), "What the attempt turned out to cost."),
    always("charged.questions", ColumnKind::Integer, Some("questions"), "Added to the windows; negative for what is given back."),
    always("charged.tokens", ColumnKind::Integer, Some("tokens"), "Added to the windows."),
    always("charged.euro_nanos", ColumnKind::Integer, Some("nano-euros"), "Added to the windows."),
    always("day", ColumnKind::Date, None, "Day of the windows that follow."),
    always("month", ColumnKind::Text, None, "Their month."),
    always("year", ColumnKind::Text, None, "Their year."),
];

#[rustfmt::skip]
const COLUMNS: &[Column] = &[
    always("seq", ColumnKind::Integer, None, "Number of the entry in the ledger's chain; what is no attempt has numbers too."),
    always("id", ColumnKind::Text, None, "Identity of the entry (UUID, version 7)."),
    always("request_id", ColumnKind::Text, None, "The question it belongs to, as in the header x-request-id; several attempts share it."),
    always("attempt", ColumnKind::Integer, None, "1 for the first attempt of a question."),
    always("outcome", ColumnKind::Text, None, "How it ended: completed, interrupted, rejected or unknown."),
    sometimes("error_type", ColumnKind::Text, None, "What went wrong, a word of a closed set."),
    always("retried", ColumnKind::Boolean, None, "Another attempt at the same vendor followed, so this one says nothing about the question."),
    sometimes("http_status", ColumnKind::Integer, None, "HTTP status of the vendor, where it refused."),
    always("resident", ColumnKind::Text, None, "Pseudonym of the resident; it is keyed and says nothing by itself."),
    always("key_id", ColumnKind::Text, None, "Public id of the key."),
    always("plan", ColumnKind::Text, None, "Plan in force."),
    always("operation", ColumnKind::Text, None, "ColumnKind of call: chat, embeddings, moderation or transcription."),
    always("stream", ColumnKind::Boolean, None, "Whether it was streamed."),
    always("choices", ColumnKind::Integer, Some("answers"), "Answers asked for at once."),
    always("client_left", ColumnKind::Boolean, None, "The client left before the end."),
    sometimes("route", ColumnKind::Text, None, "The route asked for, if it was one."),
    always("assignment", ColumnKind::Text, None, "How the vendor was chosen: chosen (by the resident), drawn, block (drawn for a block of time), fallback, probe (the town's own question) or duel."),
    sometimes("probability_ppm", ColumnKind::Integer, Some("millionths"), "Probability with which the vendor was drawn."),
    always("provider", ColumnKind::Text, None, "The vendor."),
    sometimes("account", ColumnKind::Text, None, "The vendor's project or workspace that was called."),
    always("host", ColumnKind::Text, None, "The host called, by its short name in the catalogue."),
    always("region", ColumnKind::Text, None, "The region which that host promises."),
    always("request_model", ColumnKind::Text, None, "The model or route asked for."),
    always("sent_model", ColumnKind::Text, None, "The model id sent to the vendor."),
    sometimes("response_model", ColumnKind::Text, None, "The model id which the vendor returned; it decides the price."),
    sometimes("upstream_id", ColumnKind::Text, None, "The vendor's id of the answer."),
    sometimes("upstream_request_id", ColumnKind::Text, None, "The vendor's id of the request."),
    sometimes("finish_reason", ColumnKind::Text, None, "Why the answer ended, in OpenAI's words."),
    sometimes("service_tier", ColumnKind::Text, None, "The service tier which the vendor says it used; it decides the price."),
    sometimes("usage.input_uncached", ColumnKind::Integer, Some("tokens"), "Input billed at the full rate."),
    sometimes("usage.input_cached", ColumnKind::Integer, Some("tokens"), "Input read from the vendor's cache; not part of input_uncached."),
    sometimes("usage.cache_write", ColumnKind::Integer, Some("tokens"), "Input written to the vendor's cache; not part of input_uncached."),
    sometimes("usage.output_visible", ColumnKind::Integer, Some("tokens"), "Output other than reasoning."),
    sometimes("usage.reasoning", ColumnKind::Integer, Some("tokens"), "Hidden reasoning, billed as output; not part of output_visible."),
    sometimes("usage.input_audio", ColumnKind::Integer, Some("tokens"), "Input that stands for sound; not part of input_uncached."),
    sometimes("usage.audio_millis", ColumnKind::Integer, Some("milliseconds"), "Length of the sound, where it is billed by time."),
    sometimes("usage.tool_calls.web_search", ColumnKind::Integer, Some("calls"), "Searches of the web that ran at the vendor, billed by the call."),
    sometimes("usage_consistent", ColumnKind::Boolean, None, "False when the vendor's parts did not add up to its totals."),
    sometimes("usage_raw", ColumnKind::Text, None, "The vendor's usage as it came, as JSON: numbers only."),
    always("currency", ColumnKind::Text, None, "Billing currency of the vendor (ISO 4217)."),
    sometimes("cost_nanos", ColumnKind::Integer, Some("nano-units of currency"), "Exact cost; absent when it is not known, which is not zero."),
    always("cost_lower_nanos", ColumnKind::Integer, Some("nano-units of currency"), "The cost is at least this."),
    always("cost_upper_nanos", ColumnKind::Integer, Some("nano-units of currency"), "The cost is at most this."),
    sometimes("cost_euro_nanos", ColumnKind::Integer, Some("nano-euros"), "Exact cost in euros at the rate kept with the entry; absent when it is not known."),
    always("rate_micros", ColumnKind::Integer, Some("millionths of currency per euro"), "Exchange rate applied."),
    always("rate_date", ColumnKind::Date, None, "Day of that rate."),
    always("price_row", ColumnKind::Text, None, "The price row applied, provider/model@from."),
    always("uplift_percent", ColumnKind::Integer, Some("percent"), "Regional uplift applied."),
    always("ceiling_euro_nanos", ColumnKind::Integer, Some("nano-euros"), "The most the call could cost, held before it was made."),
    always("charged.questions", ColumnKind::Integer, Some("questions"), "Questions charged to the resident for it."),
    always("charged.tokens", ColumnKind::Integer, Some("tokens"), "Tokens charged to the resident for it."),
    always("charged.euro_nanos", ColumnKind::Integer, Some("nano-euros"), "Euros charged to the resident and the town for it: the cost, or the ceiling where it is not known."),
    always("day", ColumnKind::Date, None, "Day in which it was admitted, in the town's time zone."),
    always("month", ColumnKind::Text, None, "Month in which it was admitted, such as 2026-11."),
    always("year", ColumnKind::Text, None, "Year in which it was admitted."),
    always("received_at", ColumnKind::Integer, Some("microseconds since 1970, UTC"), "When the question was received whole."),
    always("ended_at", ColumnKind::Integer, Some("microseconds since 1970, UTC"), "When the attempt ended."),
    sometimes("overhead_micros", ColumnKind::Integer, Some("microseconds"), "Time in the gateway before the vendor was called."),
    sometimes("first_chunk_micros", ColumnKind::Integer, Some("microseconds"), "From receipt to the first content of any kind."),
    sometimes("first_text_micros", ColumnKind::Integer, Some("microseconds"), "From receipt to the first visible text."),
    sometimes("duration_micros", ColumnKind::Integer, Some("microseconds"), "From receipt to the last content."),
    sometimes("output_chars", ColumnKind::Integer, Some("characters"), "Visible text of the answer."),
    always("length_class", ColumnKind::Text, None, "Length of the question: short (up to 1,200 bytes), medium (up to 8,000) or long."),
    always("local_passages", ColumnKind::Boolean, None, "Whether the question came with passages of the town's own pages."),
    sometimes("local_hour", ColumnKind::Integer, Some("hours"), "Hours from the beginning of the local day to receipt."),
    sometimes("epoch", ColumnKind::Integer, None, "The epoch in which the vendor was drawn; with a new one every conversation is drawn anew."),
    sometimes("time_block", ColumnKind::Integer, Some("seconds since 1970, UTC"), "Beginning of the block of time for which the vendor was drawn, in a switchback."),
];

impl Export {
    /// The columns for a person to read.
    pub fn to_text(&self) -> String {
        let longest = |of: fn(&Column) -> usize| self.columns.iter().map(of).max().unwrap_or(0);
        let name = longest(|column| column.name.len());
        let unit = longest(|column| column.unit.unwrap_or_default().len());
        let mut text = format!("{} Empty cells, and keys left out of JSON, are not known: never zero.\n\n", self.line);
        for column in self.columns {
            let _ = writeln!(
                text,
                "{:name$}  {:7}  {:8}  {:unit$}  {}",
                column.name,
                column.kind.as_str(),
                if column.required { "always" } else { "if known" },
                column.unit.unwrap_or_default(),
                column.meaning,
            );
        }
        text
    }

    /// The columns as a JSON list.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self.columns).unwrap_or_default()
    }

    /// A table for the CSV, as DuckDB reads it, with the statement that loads it.
    pub fn to_sql(&self) -> String {
        let lines = self.columns.iter().map(|column| {
            let required = if column.required { " NOT NULL" } else { "" };
            (format!("    \"{}\" {}{required}", column.name, column.kind.sql()), column)
        });
        let last = self.columns.len() - 1;
        let name = self.name;
        let mut sql = format!("CREATE TABLE {name} (\n");
        for (index, (line, column)) in lines.enumerate() {
            let comma = if index < last { "," } else { "" };
            let unit = column.unit.map(|unit| format!(" [{unit}]")).unwrap_or_default();
            let _ = writeln!(sql, "{line}{comma} -- {}{unit}", column.meaning);
        }
        // A reader that guesses takes a column that is empty throughout for text: here it has its type.
        let _ = writeln!(sql, ");\n-- COPY {name} FROM '{name}.csv' (HEADER);");
        sql
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use providers::money::Money;
    use providers::usage::Usage;
    use serde_json::Value;

    use super::*;
    use crate::ledger::exporting::{exported, numbered};
    use crate::ledger::samples::{bare, full};
    use crate::ledger::trial::samples::{full_duel, full_probe};
    use crate::ledger::{Adjustment, Author, Duel, DuelSide, Entry, Probe, Totals};

    fn leaves(prefix: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
        for (key, value) in value.as_object().unwrap() {
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if value.is_object() {
                leaves(&name, value, out);
            } else {
                out.insert(name, value.clone());
            }
        }
    }

    #[test]
    fn every_field_of_an_entry_has_its_column_and_its_type() {
        let mut found = BTreeMap::new();
        leaves("", &exported(1, &full()).unwrap(), &mut found);
        let columns: BTreeMap<&str, &Column> = COLUMNS.iter().map(|column| (column.name, column)).collect();
        assert_eq!(columns.len(), COLUMNS.len(), "no column twice");
        let named: Vec<&str> = columns.keys().copied().collect();
        assert_eq!(named, found.keys().map(String::as_str).collect::<Vec<_>>());
        for (name, value) in found {
            let fits = match columns[name.as_str()].kind {
                ColumnKind::Text => value.is_string(),
                ColumnKind::Integer => value.is_i64(),
                ColumnKind::Boolean => value.is_boolean(),
                ColumnKind::Date => value.as_str().is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok()),
            };
            assert!(fits, "{name}: {value}");
        }
    }

    #[test]
    fn every_field_of_an_adjustment_has_its_column() {
        let now = "2026-12-05T09:00:00Z".parse().unwrap();
        let author = Author { actor: "Claire", reason: "not on the bill", now };
        let cost = Money::new(0, full().currency.parse().unwrap());
        let adjustment = Adjustment::of_entry(7, &full(), Totals::default(), cost, None, author).unwrap();
        let mut found = BTreeMap::new();
        leaves("", &numbered(8, &adjustment).unwrap(), &mut found);
        let mut named: Vec<&str> = ADJUSTMENTS.columns.iter().map(|column| column.name).collect();
        named.sort_unstable();
        assert_eq!(named, found.keys().map(String::as_str).collect::<Vec<_>>());
        let of_a_day = Adjustment::of_day("openai", "", "2026-11-30".parse().unwrap(), -5, author);
        let mut found = BTreeMap::new();
        leaves("", &numbered(9, &of_a_day).unwrap(), &mut found);
        let required = ADJUSTMENTS.columns.iter().filter(|column| column.required).count();
        assert_eq!(found.len(), required, "{found:?}");
    }

    /// The columns of an export are the fields of its fullest record, and those that are always there are the fields of its
    /// barest.
    fn assert_columns(export: Export, full: &impl Serialize, bare: &impl Serialize) {
        let fields = |record: Value| {
            let mut found = BTreeMap::new();
            leaves("", &record, &mut found);
            found
        };
        let columns = |wanted: fn(&Column) -> bool| {
            let mut names: Vec<_> =
                export.columns.iter().filter(|column| wanted(column)).map(|column| column.name.to_owned()).collect();
            names.sort_unstable();
            names
        };
        let found = fields(numbered(7, full).unwrap());
        assert_eq!(columns(|_| true), found.keys().cloned().collect::<Vec<_>>());
        for column in export.columns {
            let value = &found[column.name];
            let fits = match column.kind {
                ColumnKind::Text => value.is_string() || value.is_array(),
                ColumnKind::Integer => value.is_i64(),
                ColumnKind::Boolean => value.is_boolean(),
                ColumnKind::Date => value.as_str().is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok()),
            };
            assert!(fits, "{}: {value}", column.name);
        }
        let found = fields(numbered(7, bare).unwrap());
        assert_eq!(columns(|column| column.required), found.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn every_field_of_a_probe_has_its_column() {
        let full = full_probe();
        let bare = Probe {
            error_type: None,
            first_text_micros: None,
            duration_micros: None,
            usage: None,
            cost_euro_nanos: None,
            output_chars: None,
            passed: None,
            ..full.clone()
        };
        assert_columns(PROBES, &full, &bare);
    }

    #[test]
    fn every_field_of_a_duel_has_its_column() {
        let full = full_duel();
        let bare = |side: &DuelSide| DuelSide {
            first_text_micros: None,
            duration_micros: None,
            cost_euro_nanos: None,
            output_tokens: None,
            qualifiers: Vec::new(),
            ..side.clone()
        };
        assert_columns(DUELS, &full, &Duel { left: bare(&full.left), right: bare(&full.right), ..full.clone() });
    }

    #[test]
    fn what_is_always_there_is_there_in_the_barest_entry() {
        let bare = bare();
        let mut found = BTreeMap::new();
        leaves("", &exported(1, &bare).unwrap(), &mut found);
        let required: Vec<&str> = COLUMNS.iter().filter(|column| column.required).map(|column| column.name).collect();
        for name in &required {
            assert!(found.contains_key(*name), "{name}");
        }
        assert_eq!(required.len(), found.len());
    }

    #[test]
    fn a_zero_of_a_known_usage_is_written_and_an_unknown_usage_is_not() {
        let silent = Entry { usage: Some(Usage::default()), retried: false, ..full() };
        let value = exported(7, &silent).unwrap();
        assert_eq!(value["usage"]["tool_calls"]["web_search"], 0);
        assert_eq!((&value["usage"]["input_audio"], &value["usage"]["audio_millis"]), (&0.into(), &0.into()));
        assert_eq!((&value["seq"], &value["retried"]), (&7.into(), &false.into()));
        assert_eq!(exported(7, &Entry { usage: None, ..silent }).unwrap().get("usage"), None);
    }

    #[test]
    fn the_schema_is_said_in_three_ways() {
        assert_eq!(ATTEMPTS.to_text().lines().count(), COLUMNS.len() + 2);
        let list: Value = serde_json::from_str(&ATTEMPTS.to_json()).unwrap();
        assert_eq!(list[0]["name"], "seq");
        assert_eq!(list[0]["type"], "integer");
        let sql = ATTEMPTS.to_sql();
        assert!(sql.contains("\"usage.tool_calls.web_search\" BIGINT, -- "), "{sql}");
        assert!(sql.contains("\"time_block\" BIGINT -- "), "the last column has no comma");
    }
}
