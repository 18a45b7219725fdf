//! Mergeable aggregates of entries: what the report reads instead of the entries.
//!
//! One for each day, vendor, model, host, kind of call, kind of evidence and stratum; within it, one part for each group of
//! residents, from which intervals are made that know that one person asks many questions. Times are [`Spread`]s, which add
//! up over days; quantiles themselves would not.

use std::collections::BTreeMap;

use providers::money::Currency;
use serde::{Deserialize, Serialize};

use super::spread::take;
use super::stratum::place;
use super::{Assignment, Entry, Evidence, HourBand, LengthClass, Outcome, People, Record, Spread, StoreError, Stratum};

/// Output speed is reported only for answers with at least this many tokens.
const TOKENS_FOR_SPEED: u64 = 20;

/// An answer is prompt when its text began within 3 s …
pub const PROMPT_TEXT_MICROS: u64 = 3_000_000;
/// … and ended within 20 s: the share that a councillor reads.
pub const PROMPT_END_MICROS: u64 = 20_000_000;

/// What an aggregate is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RollupKey {
    /// Local day, `2026-11-24`; empty for all days of a period together.
    pub day: String,
    /// Provider.
    pub provider: String,
    /// The model the vendor returned, or the one sent where it returned none.
    pub model: String,
    /// Short name of the host that was called; empty for what corrects a whole day.
    pub host: String,
    /// Kind of call; empty for what corrects a whole day.
    pub operation: String,
    /// Kind of evidence.
    pub evidence: Evidence,
    /// The questions that these may be compared with.
    pub stratum: Stratum,
}

impl RollupKey {
    /// The same for all days of a period together.
    pub fn of_all_days(self) -> Self {
        Self { day: String::new(), ..self }
    }

    /// The aggregate a record belongs to; a change of the terms belongs to none.
    pub fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Attempt(entry) => Some(Self {
                day: entry.day.clone(),
                provider: entry.provider.clone(),
                model: entry.priced_model().to_owned(),
                host: entry.host.clone(),
                operation: entry.operation.clone(),
                evidence: Evidence::of(entry),
                stratum: Stratum::of(entry),
            }),
            Record::Adjustment(adjustment) => Some(Self {
                day: adjustment.day.clone(),
                provider: adjustment.provider.clone(),
                model: adjustment.model.clone(),
                host: String::new(),
                operation: String::new(),
                evidence: Evidence::Chosen,
                stratum: Stratum { length: LengthClass::Short, local_passages: false, hours: HourBand::Unknown },
            }),
            Record::Change(_) | Record::Probe(_) | Record::Duel(_) => None,
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
    /// Of the input tokens, those read from the vendor's cache.
    pub input_cached: u64,
    /// Of the input tokens, those written to the vendor's cache.
    pub cache_write: u64,
    /// Of the output tokens, hidden reasoning.
    pub reasoning: u64,
    /// Everything that the windows were charged, in nano-euros, without adjustments.
    pub charged_euro_nanos: i64,
    /// Characters of visible text of completed answers.
    pub output_chars: u64,
    /// Outcomes by error type.
    pub errors: BTreeMap<String, u64>,
}

impl Figures {
    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        self.questions += other.questions;
        self.answered += other.answered;
        self.interrupted += other.interrupted;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.taken_over += other.taken_over;
        self.currency = self.currency.or(other.currency);
        self.cost_nanos += other.cost_nanos;
        self.cost_euro_nanos += other.cost_euro_nanos;
        self.costed += other.costed;
        self.charged_uncertain_euro_nanos += other.charged_uncertain_euro_nanos;
        self.adjusted_euro_nanos += other.adjusted_euro_nanos;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.input_cached += other.input_cached;
        self.cache_write += other.cache_write;
        self.reasoning += other.reasoning;
        self.charged_euro_nanos += other.charged_euro_nanos;
        self.output_chars += other.output_chars;
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
    }
}

/// What one group of residents asked: what an interval is made of.
///
/// Each question counts for the vendor that it was assigned to, whoever answered in the end; those that say nothing about
/// it, because their client left in good time or the gateway was killed, are counted apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Questions, without those that say nothing.
    pub questions: u32,
    /// Of those, answered by the vendor that they were assigned to.
    pub answered: u32,
    /// Of the questions, streamed and not answered: their first text is longer than any limit.
    pub without_text: u32,
    /// Of the questions, those whose text began and ended soon enough to feel prompt.
    pub prompt: u32,
    /// Questions that say nothing about the vendor.
    pub left: u32,
    /// Answers whose cost is known.
    pub costed: u32,
    /// Their cost in nano-euros.
    pub cost_euro_nanos: i64,
    /// Characters of visible text of the answers.
    pub output_chars: u64,
    /// Who asked, or was answered in the place of another vendor.
    pub people: People,
    /// From receipt to the first visible text, in microseconds.
    pub first_text: Spread,
    /// From receipt to the last content, in microseconds.
    pub duration: Spread,
}

/// What an attempt says of the vendor that the question was assigned to.
enum Heard {
    /// It answered.
    Answer,
    /// It did not.
    NoAnswer,
    /// Nothing: somebody left, or the trouble was the gateway's.
    Nothing,
}

/// Answers that were whole, but could not be priced: that is the price list's gap and no failure of the vendor.
const UNPRICED: [&str; 4] = ["usage_missing", "tier_unpriced", "tool_unpriced", "cost_overflow"];
/// A call that nobody settled, because the gateway was killed.
const LEASE_EXPIRED: &str = "lease_expired";
/// The answer ended at its longest length.
const FINISHED_BY_LENGTH: &str = "length";

fn verdict(entry: &Entry) -> Heard {
    let error = entry.error_type.as_deref().unwrap_or_default();
    if error == LEASE_EXPIRED {
        return Heard::Nothing;
    }
    if entry.outcome == Outcome::Completed || UNPRICED.contains(&error) {
        // All tokens went into hidden reasoning: a resident saw nothing.
        let is_empty =
            entry.stream && entry.output_chars == Some(0) && entry.finish_reason.as_deref() == Some(FINISHED_BY_LENGTH);
        return if is_empty { Heard::NoAnswer } else { Heard::Answer };
    }
    if !entry.client_left {
        return Heard::NoAnswer;
    }
    // Who leaves before a text has come after three seconds was kept waiting; who leaves earlier, or reading, was not.
    let waited = entry.ended_at.saturating_sub(entry.received_at).unsigned_abs();
    if entry.stream && entry.first_text_micros.is_none() && waited > PROMPT_TEXT_MICROS {
        Heard::NoAnswer
    } else {
        Heard::Nothing
    }
}

impl Group {
    /// Adds another group.
    pub fn merge(&mut self, other: &Self) {
        self.questions += other.questions;
        self.answered += other.answered;
        self.without_text += other.without_text;
        self.prompt += other.prompt;
        self.left += other.left;
        self.costed += other.costed;
        self.cost_euro_nanos += other.cost_euro_nanos;
        self.output_chars += other.output_chars;
        self.people.merge(other.people);
        self.first_text.merge(&other.first_text);
        self.duration.merge(&other.duration);
    }

    fn add(&mut self, entry: &Entry) {
        if entry.retried {
            return;
        }
        match verdict(entry) {
            Heard::Nothing => self.left += 1,
            Heard::NoAnswer => {
                self.questions += 1;
                self.without_text += u32::from(entry.stream);
            }
            Heard::Answer => self.add_answer(entry),
        }
    }

    fn add_answer(&mut self, entry: &Entry) {
        self.questions += 1;
        self.answered += 1;
        if let Some(cost) = entry.cost_euro_nanos {
            self.costed += 1;
            self.cost_euro_nanos += cost;
        }
        self.output_chars += entry.output_chars.unwrap_or(0);
        if let Some(first_text) = entry.first_text_micros.filter(|_| entry.stream) {
            self.first_text.record(first_text);
        }
        if let Some(duration) = entry.duration_micros {
            self.duration.record(duration);
            let first_text = entry.first_text_micros.unwrap_or(duration);
            self.prompt += u32::from(first_text <= PROMPT_TEXT_MICROS && duration <= PROMPT_END_MICROS);
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for count in [self.questions, self.answered, self.without_text, self.prompt, self.left, self.costed] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.extend_from_slice(&self.cost_euro_nanos.to_le_bytes());
        out.extend_from_slice(&self.output_chars.to_le_bytes());
        out.extend_from_slice(&self.people.0.to_le_bytes());
        self.first_text.write(out);
        self.duration.write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            questions: u32::from_le_bytes(take(bytes)?),
            answered: u32::from_le_bytes(take(bytes)?),
            without_text: u32::from_le_bytes(take(bytes)?),
            prompt: u32::from_le_bytes(take(bytes)?),
            left: u32::from_le_bytes(take(bytes)?),
            costed: u32::from_le_bytes(take(bytes)?),
            cost_euro_nanos: i64::from_le_bytes(take(bytes)?),
            output_chars: u64::from_le_bytes(take(bytes)?),
            people: People(u64::from_le_bytes(take(bytes)?)),
            first_text: Spread::read(bytes)?,
            duration: Spread::read(bytes)?,
        })
    }
}

/// One aggregate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Counts and sums.
    pub figures: Figures,
    /// The questions assigned to the model, by group of residents.
    pub groups: BTreeMap<u8, Group>,
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
            Record::Change(_) | Record::Probe(_) | Record::Duel(_) => {}
        }
    }

    /// All groups together.
    pub fn everybody(&self) -> Group {
        let mut all = Group::default();
        self.groups.values().for_each(|group| all.merge(group));
        all
    }

    fn add_attempt(&mut self, entry: &Entry) {
        self.count(entry);
        if entry.outcome == Outcome::Completed {
            self.cost(entry);
        }
        let (group, people) = place(entry);
        let group = self.groups.entry(group).or_default();
        group.people.merge(people);
        if entry.assignment == Assignment::Fallback {
            // Its clock started with the vendor that failed: the time would be charged to the wrong one.
            return;
        }
        group.add(entry);
        if entry.outcome == Outcome::Completed {
            self.speed(entry);
        }
    }

    fn count(&mut self, entry: &Entry) {
        let figures = &mut self.figures;
        figures.charged_euro_nanos += entry.charged.euro_nanos;
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
            figures.input_cached += usage.input_cached;
            figures.cache_write += usage.cache_write;
            figures.reasoning += usage.reasoning;
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
        self.figures.merge(&other.figures);
        for (number, group) in &other.groups {
            self.groups.entry(*number).or_default().merge(group);
        }
        self.tokens_per_second.merge(&other.tokens_per_second);
        self.chars_per_second.merge(&other.chars_per_second);
    }

    /// The stored form: the figures as JSON behind their length, the two speeds, then the number of groups and each behind its own number.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let damaged =
            |error: &dyn std::fmt::Display| StoreError::Damaged(format!("a rollup cannot be written: {error}"));
        let figures = serde_json::to_vec(&self.figures).map_err(|error| damaged(&error))?;
        let length = u32::try_from(figures.len()).map_err(|error| damaged(&error))?;
        let mut out = Vec::with_capacity(figures.len() + 64);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&figures);
        self.tokens_per_second.write(&mut out);
        self.chars_per_second.write(&mut out);
        out.push(u8::try_from(self.groups.len()).unwrap_or(u8::MAX));
        for (number, group) in &self.groups {
            out.push(*number);
            group.write(&mut out);
        }
        Ok(out)
    }

    /// Reads the stored form.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(bytes).ok_or_else(|| StoreError::Damaged("a rollup cannot be read".to_owned()))
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let length = usize::try_from(u32::from_le_bytes(take(&mut bytes)?)).ok()?;
        let (figures, rest) = bytes.split_at_checked(length)?;
        let figures = serde_json::from_slice(figures).ok()?;
        let bytes = &mut { rest };
        let tokens_per_second = Spread::read(bytes)?;
        let chars_per_second = Spread::read(bytes)?;
        let mut groups = BTreeMap::new();
        let [length] = take::<1>(bytes)?;
        for _ in 0..length {
            let [number] = take::<1>(bytes)?;
            groups.insert(number, Group::read(bytes)?);
        }
        bytes.is_empty().then_some(Self { figures, groups, tokens_per_second, chars_per_second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::samples::full;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn attempt(resident: u16, duration: u64, outcome: Outcome) -> Record {
        Record::Attempt(Arc::new(Entry {
            resident: format!("resident-{resident}"),
            outcome,
            retried: false,
            client_left: false,
            time_block: None,
            duration_micros: Some(duration),
            ..full()
        }))
    }

    #[test]
    fn a_question_that_its_client_left_says_nothing_about_the_vendor() {
        let mut rollup = Rollup::default();
        let left =
            Entry { error_type: None, client_left: true, outcome: Outcome::Interrupted, retried: false, ..full() };
        rollup.add(&Record::Attempt(Arc::new(left)));
        rollup.add(&attempt(1, 5, Outcome::Rejected));
        let everybody = rollup.everybody();
        assert_eq!((everybody.left, everybody.questions, everybody.answered), (1, 1, 0));
        assert_eq!(rollup.figures.questions, 2);
    }

    #[test]
    fn whoever_leaves_because_nothing_came_leaves_the_vendor_with_the_failure() {
        let of = |seconds: i64, first_text_micros| {
            let mut rollup = Rollup::default();
            let (received_at, ended_at) = (0, seconds * 1_000_000);
            let outcome = Outcome::Interrupted;
            let error_type = Some("drain_bound".to_owned());
            let entry = Entry { client_left: true, retried: false, outcome, error_type, first_text_micros, ..full() };
            rollup.add(&Record::Attempt(Arc::new(Entry { received_at, ended_at, ..entry })));
            let group = rollup.everybody();
            (group.left, group.questions, group.without_text)
        };
        assert_eq!(of(50, None), (0, 1, 1), "a vendor that hangs is not spared because residents give up");
        assert_eq!(of(2, None), (1, 0, 0));
        assert_eq!(of(50, Some(900_000)), (1, 0, 0), "somebody left reading");
    }

    #[test]
    fn what_is_ours_is_no_failure_of_the_vendor_and_an_empty_answer_is_one() {
        let of = |outcome, error: Option<&str>, output_chars, finish: &str| {
            let mut rollup = Rollup::default();
            let entry = Entry {
                retried: false,
                client_left: false,
                outcome,
                error_type: error.map(str::to_owned),
                output_chars: Some(output_chars),
                finish_reason: Some(finish.to_owned()),
                ..full()
            };
            rollup.add(&Record::Attempt(Arc::new(entry)));
            let group = rollup.everybody();
            (group.left, group.questions, group.answered)
        };
        assert_eq!(of(Outcome::Unknown, Some("tier_unpriced"), 9, "stop"), (0, 1, 1), "whole, without a price");
        assert_eq!(of(Outcome::Unknown, Some("lease_expired"), 0, "stop"), (1, 0, 0), "the gateway was killed");
        assert_eq!(of(Outcome::Completed, None, 0, "length"), (0, 1, 0), "everything went into reasoning");
        assert_eq!(of(Outcome::Completed, None, 0, "tool_calls"), (0, 1, 1));
    }

    #[test]
    fn whoever_took_over_gets_neither_the_question_nor_the_time() {
        let mut rollup = Rollup::default();
        let over = Entry { assignment: Assignment::Fallback, attempt: 2, retried: false, client_left: false, ..full() };
        rollup.add(&Record::Attempt(Arc::new(over)));
        assert_eq!((rollup.figures.taken_over, rollup.figures.costed), (1, 1));
        let everybody = rollup.everybody();
        assert_eq!((everybody.questions, everybody.duration.count()), (0, 0));
        assert_eq!(everybody.people.at_least(), 1, "but somebody was answered");
    }

    proptest! {
        #[test]
        fn merging_and_storing_change_nothing(
            a in proptest::collection::vec((0u16..200, 1u64..9_000_000), 0..40),
            b in proptest::collection::vec((0u16..200, 1u64..9_000_000), 0..40),
        ) {
            let of = |all: &[(u16, u64)]| {
                let mut rollup = Rollup::default();
                all.iter().for_each(|(who, time)| rollup.add(&attempt(*who, *time, Outcome::Completed)));
                rollup
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(Rollup::from_bytes(&merged.to_bytes().unwrap()).unwrap(), of(&[a, b].concat()));
        }

        #[test]
        fn a_spoilt_rollup_is_told_of_and_never_half_read(cut in 0usize..300) {
            let mut rollup = Rollup::default();
            (0..5).for_each(|who| rollup.add(&attempt(who, 1_000, Outcome::Completed)));
            let bytes = rollup.to_bytes().unwrap();
            let short = bytes.get(..cut.min(bytes.len() - 1)).unwrap();
            prop_assert!(Rollup::from_bytes(short).is_err());
            prop_assert!(Rollup::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        }
    }
}
