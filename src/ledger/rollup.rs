//! Mergeable aggregates of entries by day, provider and model: what the report reads instead of the entries.
//!
//! Times are HdrHistograms with two significant digits (a relative error of at most 1 %), which add up over days;
//! quantiles themselves would not.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use providers::money::Currency;
use serde::{Deserialize, Serialize};

use super::{Assignment, Entry, Outcome, Record, StoreError};

/// Longest time kept apart, in microseconds: one hour.
const LONGEST: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 2;
/// Output speed is reported only for answers with at least this many tokens.
const TOKENS_FOR_SPEED: u64 = 20;

/// What an aggregate is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RollupKey {
    /// Local day, `2026-11-24`.
    pub day: String,
    /// Provider.
    pub provider: String,
    /// The model the vendor returned, or the one sent where it returned none.
    pub model: String,
}

impl RollupKey {
    /// The aggregate a record belongs to; a change of the terms belongs to none.
    pub fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Attempt(entry) => Some(Self {
                day: entry.day.clone(),
                provider: entry.provider.clone(),
                model: entry.priced_model().to_owned(),
            }),
            Record::Adjustment(adjustment) => Some(Self {
                day: adjustment.day.clone(),
                provider: adjustment.provider.clone(),
                model: adjustment.model.clone(),
            }),
            Record::Change(_) => None,
        }
    }
}

/// Counts and sums of one aggregate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Questions assigned to the model (first attempts).
    pub questions: u64,
    /// Of those, answered by it.
    pub answered: u64,
    /// Of those, broken off, the client's leaving included.
    pub interrupted: u64,
    /// Of those, refused or failed by the vendor.
    pub failed: u64,
    /// Of those, of which nothing is known.
    pub unknown: u64,
    /// Questions answered in the place of a vendor that failed.
    pub taken_over: u64,
    /// Billing currency of the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Exact cost of completed answers, nano-units of the billing currency.
    pub cost_nanos: i64,
    /// The same in nano-euros.
    pub cost_euro_nanos: i64,
    /// Answers whose exact cost is in those sums.
    pub costed: u64,
    /// What was charged beyond exact costs, in nano-euros: interrupted and unknown calls at their upper bound.
    pub charged_uncertain_euro_nanos: i64,
    /// Nano-euros that adjustments added to what was charged; negative for what they gave back.
    pub adjusted_euro_nanos: i64,
    /// Input tokens of completed answers.
    pub input_tokens: u64,
    /// Output tokens of completed answers, reasoning included.
    pub output_tokens: u64,
    /// Characters of visible text of completed answers.
    pub output_chars: u64,
    /// Outcomes by error type.
    pub errors: BTreeMap<String, u64>,
}

/// A distribution, with the attempts that never arrived counted as longer than any limit.
#[derive(Clone, Debug)]
pub struct Spread {
    histogram: Histogram<u64>,
}

impl Default for Spread {
    fn default() -> Self {
        let with_bounds = Histogram::new_with_bounds(1, LONGEST, SIGNIFICANT_DIGITS);
        // The bounds are constants that the crate accepts; a histogram without bounds would do as well.
        Self { histogram: with_bounds.unwrap_or_else(|_| Self::unbounded()) }
    }
}

impl Spread {
    fn unbounded() -> Histogram<u64> {
        #[expect(clippy::expect_used, reason = "two significant digits are always accepted")]
        Histogram::new(SIGNIFICANT_DIGITS).expect("two significant digits are valid")
    }

    /// Adds one value; above an hour it counts as an hour.
    pub fn record(&mut self, value: u64) {
        self.histogram.saturating_record(value.max(1));
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The value below which the share `q` (0 to 1) of all attempts fell, counting `beyond` more as longer than
    /// everything; `None` when that value is one of those, or there is nothing.
    pub fn quantile(&self, q: f64, beyond: u64) -> Option<u64> {
        let total = self.count() + beyond;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among at most 2^52 attempts"
        )]
        let rank = ((q * total as f64).ceil() as u64).max(1);
        if total == 0 || rank > self.count() {
            return None;
        }
        let mut seen = 0;
        self.histogram.iter_recorded().find_map(|step| {
            seen += step.count_since_last_iteration();
            (seen >= rank).then(|| step.value_iterated_to())
        })
    }

    fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so nothing can be out of range.
        let _same_bounds = self.histogram.add(&other.histogram);
    }
}

/// One aggregate.
#[derive(Clone, Debug, Default)]
pub struct Rollup {
    /// Counts and sums.
    pub figures: Figures,
    /// From receipt to first visible text of first attempts, in microseconds (streamed answers only).
    pub first_text: Spread,
    /// From receipt to the last content of first attempts, in microseconds.
    pub duration: Spread,
    /// Output speed of streamed answers, in hundredths of a token per second.
    pub tokens_per_second: Spread,
    /// Output speed of streamed answers, in characters per second.
    pub chars_per_second: Spread,
}

impl Rollup {
    /// Adds one record.
    pub fn add(&mut self, record: &Record) {
        match record {
            Record::Attempt(entry) => self.add_attempt(entry),
            Record::Adjustment(adjustment) => self.figures.adjusted_euro_nanos += adjustment.charged.euro_nanos,
            Record::Change(_) => {}
        }
    }

    fn add_attempt(&mut self, entry: &Entry) {
        self.count(entry);
        if entry.outcome != Outcome::Completed {
            return;
        }
        self.cost(entry);
        if entry.assignment == Assignment::Fallback {
            // Its clock started with the vendor that failed: the time would be charged to the wrong one.
            return;
        }
        if let Some(duration) = entry.duration_micros {
            self.duration.record(duration);
        }
        if let Some(first_text) = entry.first_text_micros.filter(|_| entry.stream) {
            self.first_text.record(first_text);
        }
        self.speed(entry);
    }

    fn count(&mut self, entry: &Entry) {
        let figures = &mut self.figures;
        if let Some(error) = &entry.error_type {
            *figures.errors.entry(error.clone()).or_default() += 1;
        }
        if entry.outcome != Outcome::Completed {
            figures.charged_uncertain_euro_nanos += entry.charged.euro_nanos;
        }
        if entry.assignment == Assignment::Fallback {
            figures.taken_over += u64::from(entry.outcome == Outcome::Completed);
            return;
        }
        figures.questions += u64::from(entry.attempt == 1);
        if entry.retried {
            return;
        }
        match entry.outcome {
            Outcome::Completed => figures.answered += 1,
            Outcome::Interrupted => figures.interrupted += 1,
            Outcome::Unknown => figures.unknown += 1,
            Outcome::Rejected => figures.failed += 1,
        }
    }

    fn cost(&mut self, entry: &Entry) {
        let figures = &mut self.figures;
        if let (Some(cost), Some(euro)) = (entry.cost_nanos, entry.cost_euro_nanos) {
            figures.currency = entry.currency.parse().ok();
            figures.cost_nanos += cost;
            figures.cost_euro_nanos += euro;
            figures.costed += 1;
        }
        if let Some(usage) = &entry.usage {
            figures.input_tokens += usage.input_tokens();
            figures.output_tokens += usage.output_tokens();
        }
        figures.output_chars += entry.output_chars.unwrap_or(0);
    }

    fn speed(&mut self, entry: &Entry) {
        let (Some(first), Some(last), Some(usage), true) =
            (entry.first_text_micros, entry.duration_micros, &entry.usage, entry.stream)
        else {
            return;
        };
        let micros = last.saturating_sub(first);
        if micros == 0 || usage.output_visible < TOKENS_FOR_SPEED {
            return;
        }
        self.tokens_per_second.record(usage.output_visible.saturating_mul(100_000_000) / micros);
        self.chars_per_second.record(entry.output_chars.unwrap_or(0).saturating_mul(1_000_000) / micros);
    }

    /// Adds another aggregate.
    pub fn merge(&mut self, other: &Self) {
        let (sum, figures) = (&mut self.figures, &other.figures);
        sum.questions += figures.questions;
        sum.answered += figures.answered;
        sum.interrupted += figures.interrupted;
        sum.failed += figures.failed;
        sum.unknown += figures.unknown;
        sum.taken_over += figures.taken_over;
        sum.currency = sum.currency.or(figures.currency);
        sum.cost_nanos += figures.cost_nanos;
        sum.cost_euro_nanos += figures.cost_euro_nanos;
        sum.costed += figures.costed;
        sum.charged_uncertain_euro_nanos += figures.charged_uncertain_euro_nanos;
        sum.adjusted_euro_nanos += figures.adjusted_euro_nanos;
        sum.input_tokens += figures.input_tokens;
        sum.output_tokens += figures.output_tokens;
        sum.output_chars += figures.output_chars;
        for (error, count) in &figures.errors {
            *sum.errors.entry(error.clone()).or_default() += count;
        }
        self.first_text.merge(&other.first_text);
        self.duration.merge(&other.duration);
        self.tokens_per_second.merge(&other.tokens_per_second);
        self.chars_per_second.merge(&other.chars_per_second);
    }

    fn spreads(&self) -> [&Spread; 4] {
        [&self.first_text, &self.duration, &self.tokens_per_second, &self.chars_per_second]
    }

    /// The stored form: the figures as JSON, then each histogram, every part behind its length.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let damaged =
            |error: &dyn std::fmt::Display| StoreError::Damaged(format!("a rollup cannot be written: {error}"));
        let mut parts = vec![serde_json::to_vec(&self.figures).map_err(|error| damaged(&error))?];
        for spread in self.spreads() {
            let mut bytes = Vec::new();
            V2Serializer::new().serialize(&spread.histogram, &mut bytes).map_err(|error| damaged(&error))?;
            parts.push(bytes);
        }
        let mut out = Vec::new();
        for part in parts {
            let length = u32::try_from(part.len()).map_err(|error| damaged(&error))?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&part);
        }
        Ok(out)
    }

    /// Reads the stored form.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged("a rollup cannot be read".to_owned());
        let mut part = || -> Option<&[u8]> {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            bytes = rest;
            Some(part)
        };
        let figures = serde_json::from_slice(part().ok_or_else(damaged)?).map_err(|_| damaged())?;
        let mut spread = || {
            let mut bytes = part().ok_or_else(damaged)?;
            let histogram = Deserializer::new().deserialize(&mut bytes).map_err(|_| damaged())?;
            Ok::<_, StoreError>(Spread { histogram })
        };
        Ok(Self {
            figures,
            first_text: spread()?,
            duration: spread()?,
            tokens_per_second: spread()?,
            chars_per_second: spread()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Rollup {
        let mut rollup = Rollup::default();
        values.iter().for_each(|value| rollup.duration.record(*value));
        rollup
    }

    #[test]
    fn attempts_that_never_arrived_push_the_quantiles_up() {
        let rollup = of(&(1..=90).map(|n| n * 1000).collect::<Vec<_>>());
        assert_eq!(rollup.duration.quantile(0.5, 0).map(|v| v / 1000), Some(45));
        assert_eq!(rollup.duration.quantile(0.5, 10).map(|v| v / 1000), Some(50));
        assert_eq!(rollup.duration.quantile(0.95, 10), None, "one in ten failed, so the 95th in a hundred did");
        assert_eq!(Spread::default().quantile(0.5, 0), None);
    }

    #[test]
    fn one_outlier_moves_no_median() {
        // The case that a property once failed on.
        let values = [vec![1; 16], vec![1_526_726_656], vec![3; 13]].concat();
        assert_eq!(of(&values).duration.quantile(0.5, 0), Some(1));
    }

    proptest! {
        #[test]
        fn merging_and_storing_change_nothing(a in proptest::collection::vec(1u64..LONGEST, 0..50), b in proptest::collection::vec(1u64..LONGEST, 0..50)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let stored = Rollup::from_bytes(&merged.to_bytes().unwrap()).unwrap();
            let whole = of(&[a, b].concat());
            for q in [0.5, 0.9, 0.95, 1.0] {
                prop_assert_eq!(stored.duration.quantile(q, 0), whole.duration.quantile(q, 0));
            }
            prop_assert_eq!(stored.figures, whole.figures);
        }

        #[test]
        fn a_quantile_is_within_one_percent(mut values in proptest::collection::vec(1u64..LONGEST, 1..200)) {
            let spread = of(&values).duration;
            values.sort_unstable();
            let exact = values[(values.len() - 1) / 2];
            let found = spread.quantile(0.5, 0).unwrap();
            prop_assert!(found.abs_diff(exact) <= exact / 50 + 1, "{} against {}", found, exact);
        }
    }
}
