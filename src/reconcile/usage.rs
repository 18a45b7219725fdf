//! Usage by span and model: what the vendor counts beyond ours, and why.
//!
//! It must not know amounts that were billed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use providers::catalogue::PriceRow;
use providers::figures::{UsageBucket, day_of};

use super::tally::{Counts, DAY, OurSpan, Ours, SpanKey, Terms, Theirs};
use super::{Cause, Question, UsageRow, Verdict};

/// Where usage stands in [`UsageBucket::ALL`].
const REQUESTS: usize = 0;
const UNCACHED: usize = 1;
const CACHED: usize = 2;

/// Theirs less ours, by bucket.
pub(super) type Difference = [i128; UsageBucket::ALL.len()];

/// One span and model, compared.
pub(super) struct Span {
    pub(super) day: Date,
    ours: Counts,
    theirs: Counts,
    pub(super) difference: Difference,
    pub(super) cause: Option<Cause>,
}

pub(super) type Spans = BTreeMap<SpanKey, Span>;

/// Compares every span that either side has.
pub(super) fn compare(question: &Question<'_>, ours: &Ours<'_>, theirs: &Theirs) -> Spans {
    if !theirs.counted {
        // Nothing was counted, or nothing was told: costs alone decide.
        return Spans::new();
    }
    let nothing = OurSpan::default();
    let keys = ours.spans.keys().chain(theirs.spans.keys());
    let mut spans = Spans::new();
    for key in keys {
        let Ok(start) = Timestamp::from_second(key.0) else { continue };
        let mine = &ours.spans.get(key).unwrap_or(&nothing).counts;
        let yours = theirs.spans.get(key).copied().unwrap_or_default();
        let mut difference = [0; UsageBucket::ALL.len()];
        for ((difference, mine), yours) in difference.iter_mut().zip(mine).zip(yours) {
            *difference = i128::from(yours) - i128::from(*mine);
        }
        if !theirs.counts_calls {
            difference[REQUESTS] = 0;
        }
        spans.insert(key.clone(), Span { day: day_of(start), ours: *mine, theirs: yours, difference, cause: None });
    }
    let mut causes: Vec<(SpanKey, Cause)> = Vec::new();
    for (key, span) in spans.iter().filter(|(_, span)| span.difference != Difference::default()) {
        let neighbours = [key.0 - theirs.width(), key.0 + theirs.width()];
        let opposite = span.difference.map(|difference| -difference);
        let edge = neighbours
            .iter()
            .any(|start| spans.get(&(*start, key.1.clone())).is_some_and(|other| other.difference == opposite));
        let mine = ours.spans.get(key).unwrap_or(&nothing);
        let terms = terms_of(question, ours, span.day, &key.1);
        let young = question.now.as_second() - (key.0 + theirs.width()) < DAY;
        let cause = if edge { Cause::Edge } else { cause(&span.difference, mine, &terms, young) };
        causes.push((key.clone(), cause));
    }
    for (key, cause) in causes {
        if let Some(span) = spans.get_mut(&key) {
            span.cause = Some(cause);
        }
    }
    spans
}

fn cause(difference: &Difference, ours: &OurSpan, terms: &[Terms], young: bool) -> Cause {
    let none_below = difference.iter().all(|difference| *difference >= 0);
    let none_above = difference.iter().all(|difference| *difference <= 0);
    if none_below {
        // On the cheapest terms of that day: usage does not say on which host it was. Money does, and is compared apart.
        let cost = terms.iter().map(|(row, uplift)| price(row, *uplift, false, difference)).min().unwrap_or(i128::MAX);
        let fits = |calls: u64, upper: i64| {
            calls > 0 && difference[REQUESTS] <= i128::from(calls) && cost <= i128::from(upper)
        };
        let (interrupted, unknown) = (ours.interrupted, ours.unknown);
        if fits(interrupted.calls, interrupted.upper_nanos) {
            return Cause::Interrupted;
        }
        if fits(unknown.calls, unknown.upper_nanos)
            || fits(interrupted.calls + unknown.calls, interrupted.upper_nanos.saturating_add(unknown.upper_nanos))
        {
            return Cause::Unknown;
        }
    }
    let mut moved = *difference;
    moved[UNCACHED] += moved[CACHED];
    moved[CACHED] = 0;
    match () {
        () if moved == Difference::default() => Cause::CachedCounted,
        () if none_above && young => Cause::Provisional,
        () if none_below => Cause::MoreCalls,
        () if none_above => Cause::FewerCalls,
        () => Cause::NotExplained,
    }
}

/// The terms on which calls of that day were made; where there were none, those in force on every host.
pub(super) fn terms_of(question: &Question<'_>, ours: &Ours<'_>, day: Date, model: &std::sync::Arc<str>) -> Vec<Terms> {
    let seen = ours.days.get(&(day, model.clone())).map(|day| day.terms.clone()).unwrap_or_default();
    if !seen.is_empty() {
        return seen;
    }
    let Some(known) = question.catalogue.resolve(model, day) else { return Vec::new() };
    let Some(row) = known.price_at(day) else { return Vec::new() };
    let mut uplifts: Vec<u32> = question.catalogue.hosts.iter().map(|host| host.uplift_for(known)).collect();
    uplifts.sort_unstable();
    uplifts.dedup();
    uplifts.into_iter().map(|uplift| (row.clone(), uplift)).collect()
}

/// What a difference of quantities costs in nano-units, rounded towards zero; below a price's threshold of long
/// context, because a difference does not say in which calls it lies.
pub(super) fn price(row: &PriceRow, uplift_percent: u32, cached_in_full: bool, difference: &Difference) -> i128 {
    let rates = &row.rates;
    let cached = if cached_in_full { rates.input } else { rates.cached_input.unwrap_or(rates.input) };
    let rates_of = [
        0,
        rates.input,
        cached,
        rates.cache_write.unwrap_or(rates.input),
        rates.audio_input.unwrap_or(rates.input),
        rates.output,
    ];
    let tokens: i128 = difference.iter().zip(rates_of).map(|(count, rate)| count * i128::from(rate)).sum();
    let millis = difference.last().copied().unwrap_or(0) * i128::from(rates.audio_minute.unwrap_or(0));
    // Rates are for a million tokens and for a minute of 60,000 milliseconds, uplifts in percent.
    (tokens * 60_000 + millis * 1_000_000) * i128::from(100 + uplift_percent) / (1_000_000 * 60_000 * 100)
}

/// The rows of every bucket that either side has.
pub(super) fn rows(spans: &Spans) -> Vec<UsageRow> {
    let mut rows = Vec::new();
    for ((start, model), span) in spans {
        for (index, bucket) in UsageBucket::ALL.into_iter().enumerate() {
            let (ours, theirs, difference) = (span.ours[index], span.theirs[index], span.difference[index]);
            // A vendor that does not count calls says nothing of them.
            if (ours, theirs) == (0, 0) || (bucket == UsageBucket::Requests && theirs == 0 && difference == 0) {
                continue;
            }
            let differs = difference != 0;
            rows.push(UsageRow {
                start: Timestamp::from_second(*start).unwrap_or_default(),
                model: model.to_string(),
                bucket,
                ours,
                theirs,
                verdict: Verdict::of(difference),
                cause: span.cause.clone().filter(|_| differs),
            });
        }
    }
    rows
}
