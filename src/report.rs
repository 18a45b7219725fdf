//! The read side: what the ledger's aggregates say about vendors and models in a period, as a table, JSON or CSV.
//!
//! It reads rollups, never entries, and adds up what they hold; every amount stays an integer until it is printed. It
//! must not know HTTP, routing or how a vendor is called, and it never writes to the ledger.

pub mod comparison;
pub mod document;
pub mod evidence;
mod export;
mod figures;
pub mod forecast;
mod period;
pub mod reprice;
mod schema;
pub mod scorecard;
pub mod statistics;
mod table;

use std::collections::BTreeMap;

use jiff::Timestamp;
use providers::money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

pub use period::Period;
pub use schema::schema;

use comparison::Comparison;

use crate::ledger::{Figures, Ledger, ReportData, Rollup, StoreError};

/// The kind of call that is a question and its answer.
const CHAT: &str = "chat";

/// Attempts below which no two-sided 95 % interval of a median exists.
pub const ATTEMPTS_FOR_P50: u64 = 6;
/// The same for the 90th percentile.
pub const ATTEMPTS_FOR_P90: u64 = 36;
/// The same for the 95th percentile.
pub const ATTEMPTS_FOR_P95: u64 = 72;

/// The figures of one period. Absent is not zero: what is not known is `None`, null in JSON, empty in CSV.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Report {
    /// The days it covers.
    pub period: Period,
    /// True when the ledger holds answers of simulated vendors: then no figure says anything about real ones.
    pub simulated: bool,
    /// When it was made, RFC 3339 in UTC.
    pub generated_at: String,
    /// Questions without an answer count as longer than this many seconds.
    pub limit_seconds: u64,
    /// One row per provider and model, in that order.
    pub rows: Vec<Row>,
    /// All rows together.
    pub totals: Totals,
    /// Questions refused before any vendor heard of them, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Reservations open at the moment of reading: calls in progress, not yet in any figure.
    pub open_reservations: u64,
}

/// The figures of one model.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Row {
    /// The vendor.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Questions assigned to it (first attempts).
    pub questions: u64,
    /// Of those, answered by it.
    pub answered: u64,
    /// `answered` over `questions`, 0 to 1; `None` without questions.
    pub answered_share: Option<f64>,
    /// Broken off, the client's leaving included.
    pub interrupted: u64,
    /// Refused or failed by the vendor.
    pub failed: u64,
    /// Nothing is known of them.
    pub unknown: u64,
    /// Questions answered in the place of a vendor that failed.
    pub taken_over: u64,
    /// Exact cost of answers in the vendor's billing currency; `None` when no answer's cost is known.
    pub cost: Option<Cost>,
    /// The same in nano-euros.
    pub cost_euro_nanos: Option<i64>,
    /// Answers whose cost is not known: where there are some, the cost is a lower bound.
    pub uncosted: u64,
    /// Charged beyond exact costs, in nano-euros: interrupted and unknown calls at their upper bound.
    pub charged_uncertain_euro_nanos: i64,
    /// Euros per answer whose cost is known, six decimals, rounded up once; `None` without such an answer.
    pub cost_per_question_euro: Option<String>,
    /// Euros per 1,000 characters of visible text, six decimals, rounded up once; `None` without text, and when the
    /// cost of some answer is not known.
    pub cost_per_1000_chars_euro: Option<String>,
    /// Input tokens of answers; `None` when there are answers but no usage.
    pub input_tokens: Option<u64>,
    /// Output tokens of answers, reasoning included; `None` when there are answers but no usage.
    pub output_tokens: Option<u64>,
    /// Characters of visible text.
    pub output_chars: u64,
    /// Milliseconds from receipt to first visible text, streamed answers. How many of the failed questions were to be
    /// streamed is not kept, so all of them count: where calls are mixed this overstates, never understates.
    pub first_text_ms: Quantiles,
    /// Milliseconds from receipt to the last content.
    pub duration_ms: Quantiles,
    /// Tokens per second, streamed answers of at least 20 tokens: see [`Quantiles`] for the direction.
    pub tokens_per_second: Quantiles,
    /// Characters per second of the same answers.
    pub chars_per_second: Quantiles,
    /// Outcomes by error type.
    pub errors: BTreeMap<String, u64>,
}

/// An exact amount as the vendor bills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cost {
    /// Billing currency; `None` when no answer's cost is known.
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// Nano-units of it.
    pub nanos: i64,
}

/// Three quantiles of a distribution.
///
/// Of a **time**, `p90` is what 90 % of questions stay within, questions without an answer counting as longer than the
/// report's limit. Of a **speed**, where more is better, `p90` is what 90 % of answers reach at least; a question
/// without an answer has no speed and is not in it.
///
/// A quantile is `None` when there are too few attempts for any 95 % interval ([`ATTEMPTS_FOR_P50`],
/// [`ATTEMPTS_FOR_P90`], [`ATTEMPTS_FOR_P95`], against `n + beyond`), and when it lies beyond the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Quantiles {
    /// Answers measured.
    pub n: u64,
    /// Questions without an answer, which count as longer than the limit. Always 0 for speeds.
    pub beyond: u64,
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
}

/// The sum of all rows. Times and speeds are left out: over several vendors they would describe none.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Totals {
    /// Questions.
    pub questions: u64,
    /// Of those, answered by the model they were assigned to.
    pub answered: u64,
    /// `answered` over `questions`; `None` without questions.
    pub answered_share: Option<f64>,
    /// Broken off.
    pub interrupted: u64,
    /// Refused or failed by the vendor.
    pub failed: u64,
    /// Nothing is known of them.
    pub unknown: u64,
    /// Answered in the place of a vendor that failed.
    pub taken_over: u64,
    /// Exact cost in nano-euros; `None` when no answer's cost is known.
    pub cost_euro_nanos: Option<i64>,
    /// Answers whose cost is not known.
    pub uncosted: u64,
    /// Charged beyond exact costs, in nano-euros.
    pub charged_uncertain_euro_nanos: i64,
    /// Euros per answer of a conversation whose cost is known, six decimals: an embedding or a transcription is no question.
    pub cost_per_question_euro: Option<String>,
    /// Euros per 1,000 characters of visible text of conversations, six decimals.
    pub cost_per_1000_chars_euro: Option<String>,
    /// Input tokens of answers.
    pub input_tokens: Option<u64>,
    /// Output tokens of answers.
    pub output_tokens: Option<u64>,
    /// Characters of visible text.
    pub output_chars: u64,
}

/// What a report is of, beside the ledger's figures.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The days the data covers.
    pub period: Period,
    /// Whether vendors were simulated.
    pub simulated: bool,
    /// Questions without an answer count as longer than this.
    pub limit_seconds: u64,
    /// When it is made.
    pub generated_at: Timestamp,
}

/// Reads the ledger's aggregates of `period` and makes the report of them.
///
/// # Errors
/// [`StoreError`] when the store cannot be read.
pub fn build(ledger: &Ledger, period: &Period, limit_seconds: u64, now: Timestamp) -> Result<Report, StoreError> {
    let data = ledger.report_data(&period.from.to_string(), &period.to.to_string())?;
    build_of(ledger, &data, period, limit_seconds, now)
}

/// The same of what was read already.
///
/// # Errors
/// As [`build`].
pub fn build_of(
    ledger: &Ledger,
    data: &ReportData,
    period: &Period,
    limit_seconds: u64,
    now: Timestamp,
) -> Result<Report, StoreError> {
    let simulated = ledger.is_simulated()?.unwrap_or(false);
    let scope = Scope { period: period.clone(), simulated, limit_seconds, generated_at: now };
    Ok(from_data(data, scope))
}

/// Makes the report of what was read: no store, no clock.
pub fn from_data(data: &ReportData, scope: Scope) -> Report {
    let mut models: BTreeMap<(String, String), Rollup> = BTreeMap::new();
    let (mut all, mut chat) = (Figures::default(), Figures::default());
    for (key, rollup) in data.rollups.iter().filter(|(key, _)| key.evidence.is_residents()) {
        all.merge(&rollup.figures);
        if key.operation == CHAT {
            chat.merge(&rollup.figures);
        }
        models.entry((key.provider.clone(), key.model.clone())).or_default().merge(rollup);
    }
    let mut refusals = BTreeMap::new();
    for (reason, count) in &data.refusals {
        *refusals.entry(reason.clone()).or_default() += count;
    }
    let limit = scope.limit_seconds;
    Report {
        period: scope.period,
        simulated: scope.simulated,
        generated_at: scope.generated_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        limit_seconds: limit,
        rows: models.into_iter().map(|((provider, model), rollup)| Row::of(provider, model, &rollup, limit)).collect(),
        totals: Totals::of(&all).with_unit_costs_of(&chat),
        refusals,
        open_reservations: data.open_reservations,
    }
}

/// The books of a period, where they were read, with the comparison, as indented JSON.
///
/// # Errors
/// When a number cannot be written as JSON, which none here can be.
pub fn to_json(books: Option<&Report>, comparison: &Comparison) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Whole { books, comparison })
}

/// What `report --format json` holds.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    books: Option<&'a Report>,
    comparison: &'a Comparison,
}

impl Report {
    /// The report for a terminal of 120 columns.
    pub fn to_table(&self) -> String {
        table::render(self)
    }

    /// The report as indented JSON, keys in the order of the fields.
    pub fn to_json(&self) -> String {
        export::json(self)
    }

    /// One line per model, all integers exact, the period and its conditions repeated on each.
    ///
    /// # Errors
    /// [`csv::Error`] when a line cannot be written, which memory alone could cause.
    pub fn to_csv(&self) -> Result<String, csv::Error> {
        export::csv(self)
    }
}

#[cfg(test)]
mod tests;
