//! The usage and the costs that a simulated vendor publishes: its books by time, model, host and service tier.
//!
//! Sums only, never a call: a row for each minute of the last two days, for each hour before. Amounts are kept as exact
//! fractions, so that a line has one rounding. It must not use `PriceRow::cost`: the gateway's figures are checked
//! against these.

mod mistral;
mod openai;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use providers::catalogue::{Model, Operation, PriceRow, ProviderCatalogue};

pub(super) use mistral::usage as mistral_usage;
pub(super) use openai::{costs as openai_costs, usage as openai_usage};

use super::Disagreement;
use super::books::Tokens;

/// What amounts are kept in: this many make a nano-unit. Millionths of a token's price, percent, and 50/3 for the
/// milliseconds of a minute.
const FRACTIONS_PER_NANO: u128 = 300_000_000;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// How long minutes are kept apart.
const MINUTES_KEPT: i64 = 2 * DAY;
/// How long anything is kept.
const KEPT: i64 = 400 * DAY;
/// Of so many calls one is counted twice, or not at all, where the figures disagree in that way.
const ONE_IN: u64 = 10;
/// How far ahead of its day a price is billed where the figures disagree in that way.
const EARLY_DAYS: i64 = 30;
/// How much of the newest usage is not there yet where the figures disagree in that way.
const LATE: i64 = 3 * HOUR;
/// A whole cent, in fractions.
const CENT: u128 = 10_000_000 * FRACTIONS_PER_NANO;

/// What a line of the figures is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bucket {
    /// Input at the full rate.
    Input,
    /// Input from the prompt cache.
    Cached,
    /// Input that stands for sound.
    Audio,
    /// Output.
    Output,
    /// Sound by time, in milliseconds.
    Sound,
    /// Searches of the web.
    Search,
}

impl Bucket {
    pub(super) const ALL: [Self; 6] = [Self::Input, Self::Cached, Self::Audio, Self::Output, Self::Sound, Self::Search];

    /// The words after the model in a line item.
    fn words(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Cached => "cached input",
            Self::Audio => "audio input",
            Self::Output => "output",
            Self::Sound => "audio seconds",
            Self::Search => "web search",
        }
    }
}

/// What is summed apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Seconds since 1970 at which the minute or hour begins.
    start: i64,
    model: Arc<str>,
    host: Arc<str>,
    tier: &'static str,
}

/// The sums of one row.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    requests: u64,
    /// Tokens, or milliseconds of sound, by bucket.
    counts: [u64; Bucket::ALL.len()],
    /// What they are billed, by bucket, in fractions.
    amounts: [u128; Bucket::ALL.len()],
}

impl Sums {
    fn add(&mut self, other: &Self, times: u64) {
        self.requests += other.requests * times;
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count * times;
        }
        for (sum, amount) in self.amounts.iter_mut().zip(other.amounts) {
            *sum += amount * u128::from(times);
        }
    }
}

/// A call to be billed.
pub(super) struct Billing<'a> {
    pub(super) model: &'a Model,
    pub(super) row: &'a PriceRow,
    pub(super) host: &'a Arc<str>,
    pub(super) uplift_percent: u32,
    pub(super) tier: &'static str,
    pub(super) tokens: Tokens,
    /// What it would have used, had its client not left.
    pub(super) whole: Tokens,
    pub(super) complete: bool,
}

/// The figures.
#[derive(Debug)]
pub(super) struct Figures {
    disagreements: Vec<Disagreement>,
    highest_uplift: u32,
    minutes: BTreeMap<Key, Sums>,
    hours: BTreeMap<Key, Sums>,
    billed: u64,
}

impl Figures {
    pub(super) fn new(disagreements: &[Disagreement], catalogue: &ProviderCatalogue) -> Self {
        Self {
            disagreements: disagreements.to_vec(),
            highest_uplift: catalogue.hosts.iter().map(|host| host.uplift_percent).max().unwrap_or(0),
            minutes: BTreeMap::new(),
            hours: BTreeMap::new(),
            billed: 0,
        }
    }

    fn disagrees(&self, kind: Disagreement) -> bool {
        self.disagreements.contains(&kind)
    }

    /// Writes one billed call that ended at `now`.
    pub(super) fn record(&mut self, billing: &Billing<'_>, now: Timestamp) {
        self.billed += 1;
        let chosen = self.billed.is_multiple_of(ONE_IN);
        let times = match () {
            () if chosen && self.disagrees(Disagreement::Missing) => 0,
            () if chosen && self.disagrees(Disagreement::Elsewhere) => 2,
            () if !billing.complete && self.disagrees(Disagreement::InterruptedNotBilled) => 0,
            () => 1,
        };
        if times == 0 {
            return;
        }
        let in_full = !billing.complete && self.disagrees(Disagreement::InterruptedInFull);
        let used = if in_full { billing.whole } else { billing.tokens };
        let uplift = match () {
            () if self.disagrees(Disagreement::UpliftNotBilled) => 0,
            () if self.disagrees(Disagreement::UpliftBilled) => self.highest_uplift,
            () => billing.uplift_percent,
        };
        let early = self.disagrees(Disagreement::PriceEarly).then(|| next_row(billing, day_of(now))).flatten();
        let sums = price(early.unwrap_or(billing.row), uplift, used, self.disagrees(Disagreement::CachedInFull));
        let start = now.as_second().div_euclid(MINUTE) * MINUTE;
        let key = Key { start, model: billing.model.id.clone(), host: Arc::clone(billing.host), tier: billing.tier };
        self.minutes.entry(key).or_default().add(&sums, times);
        self.fold(start);
    }

    /// Sums minutes that are old into their hours, and forgets hours that are very old.
    fn fold(&mut self, now: i64) {
        while let Some(entry) = self.minutes.first_entry().filter(|entry| entry.key().start < now - MINUTES_KEPT) {
            let (mut key, sums) = entry.remove_entry();
            key.start = key.start.div_euclid(HOUR) * HOUR;
            self.hours.entry(key).or_default().add(&sums, 1);
        }
        while self.hours.first_key_value().is_some_and(|(key, _)| key.start < now - KEPT) {
            self.hours.pop_first();
        }
    }

    /// The rows that begin from `from` to before `until`, as far as they are published at `now`.
    fn rows(&self, from: i64, until: i64, now: i64) -> impl Iterator<Item = (&Key, &Sums)> {
        let until = if self.disagrees(Disagreement::NewestMissing) {
            until.min((now - LATE).div_euclid(HOUR) * HOUR)
        } else {
            until
        };
        let at = |start| Key { start, model: "".into(), host: "".into(), tier: "" };
        let range = at(from)..at(until.max(from));
        self.hours.range(range.clone()).chain(self.minutes.range(range))
    }

    /// The amount of a line of one day, as it is published.
    fn published(&self, fractions: u128) -> u128 {
        if self.disagrees(Disagreement::CentsPerDay) { (fractions + CENT / 2) / CENT * CENT } else { fractions }
    }
}

/// Fractions as the binary fraction of a unit that a vendor's JSON has.
fn units(fractions: u128) -> f64 {
    // Through picos: what is below is less than what a double of this size can tell apart.
    let picos = fractions * 1000 / FRACTIONS_PER_NANO;
    picos as f64 / 1e12
}

/// The price that follows the one in force, where it is near.
fn next_row<'a>(billing: &Billing<'a>, today: Date) -> Option<&'a PriceRow> {
    let next = billing.model.prices().iter().find(|row| row.from > billing.row.from)?;
    let near = next.from.checked_sub(EARLY_DAYS.days()).is_ok_and(|first| first <= today);
    near.then_some(next)
}

/// What one call counts and costs, by bucket.
fn price(row: &PriceRow, uplift_percent: u32, used: Tokens, cached_in_full: bool) -> Sums {
    let rates = match row.long_context {
        Some(tier) if used.input > tier.above_input_tokens => tier.rates,
        _ => row.rates,
    };
    let cached_rate = if cached_in_full { rates.input } else { rates.cached_input.unwrap_or(rates.input) };
    let uncached = used.input - used.cached - used.audio;
    let counts = [uncached, used.cached, used.audio, used.output, used.audio_millis, used.searches];
    let per_million = [rates.input, cached_rate, rates.audio_input.unwrap_or(rates.input), rates.output];
    let percent = u128::from(100 + uplift_percent);
    let mut amounts = [0; Bucket::ALL.len()];
    for ((amount, count), rate) in amounts.iter_mut().zip(counts).zip(per_million) {
        *amount = 3 * u128::from(count) * u128::from(rate) * percent;
    }
    // A minute has 60,000 milliseconds: one of them is 50/3 of a millionth of a minute.
    amounts[Bucket::Sound as usize] =
        50 * u128::from(used.audio_millis) * u128::from(rates.audio_minute.unwrap_or(0)) * percent;
    // A rate per call is a million times a rate per million.
    amounts[Bucket::Search as usize] =
        3_000_000 * u128::from(used.searches) * u128::from(row.tool_calls.web_search.unwrap_or(0)) * percent;
    Sums { requests: 1, counts, amounts }
}

/// What a model is for, by its id.
fn operation(catalogue: &ProviderCatalogue, model: &str, at: i64) -> Option<Operation> {
    Some(catalogue.resolve(model, day_of(Timestamp::from_second(at).ok()?))?.operation)
}

/// The day of an invoice.
fn day_of(at: Timestamp) -> Date {
    Offset::UTC.to_datetime(at).date()
}

#[cfg(test)]
mod tests {
    use super::super::books;
    use super::*;
    use proptest::prelude::*;
    use providers::catalogue::{MISTRAL_TOML, OPENAI_TOML};

    fn catalogue() -> ProviderCatalogue {
        ProviderCatalogue::parse(MISTRAL_TOML).unwrap()
    }

    proptest! {
        #[test]
        fn the_lines_of_a_call_add_up_to_its_bill(input in 0u64..1 << 24, cached in 0u64..1 << 24, output in 0u64..1 << 20, millis in 0u64..1 << 30, searches in 0u64..20, uplift in 0u32..40) {
            let (mistral, openai) = (catalogue(), ProviderCatalogue::parse(OPENAI_TOML).unwrap());
            for (catalogue, id) in [(&mistral, "voxtral-small-2507"), (&openai, "gpt-6-luna")] {
                let model = catalogue.resolve(id, "2026-11-24".parse().unwrap()).unwrap();
                let cached = cached.min(input);
                let used = Tokens { input, cached, output, audio_millis: millis, searches, ..Tokens::default() };
                let row = &model.prices()[0];
                let sum: u128 = price(row, uplift, used, false).amounts.iter().sum();
                let billed = u128::from(books::price(row, uplift, used).unsigned_abs());
                prop_assert_eq!(sum.div_ceil(FRACTIONS_PER_NANO), billed);
            }
        }
    }

    #[test]
    fn minutes_become_hours_and_nothing_is_lost() {
        let catalogue = catalogue();
        let model = catalogue.resolve("mistral-small-2603", "2026-11-24".parse().unwrap()).unwrap();
        let mut figures = Figures::new(&[], &catalogue);
        let tokens = Tokens { input: 3, output: 1, ..Tokens::default() };
        let start: Timestamp = "2026-11-01T00:00:30Z".parse().unwrap();
        let minutes = 6 * 1440;
        for minute in 0..minutes {
            let billing = Billing {
                model,
                row: &model.prices()[0],
                host: &"eu".into(),
                uplift_percent: 10,
                tier: "standard",
                tokens,
                whole: tokens,
                complete: true,
            };
            figures.record(&billing, start + jiff::SignedDuration::from_mins(minute));
        }
        assert!(figures.minutes.len() <= 2881 && figures.hours.len() <= 98, "{} minutes", figures.minutes.len());
        let requests: u64 = figures.rows(0, i64::MAX, i64::MAX).map(|(_, sums)| sums.requests).sum();
        assert_eq!(requests, u64::try_from(minutes).unwrap());
    }
}
