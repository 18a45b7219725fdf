//! Sums of both sides by span and model: ours with what each call would cost under every known cause, theirs as told.
//!
//! It must not compare.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use providers::catalogue::{Model, PriceRow, ProviderCatalogue};
use providers::figures::{UsageBucket, VendorFigures, day_of};
use providers::usage::Usage;

use super::{Cause, Question};
use crate::ledger::{Entry, Outcome};

pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 86_400;
const CENT_NANOS: i64 = 10_000_000;

/// Quantities by bucket.
pub(super) type Counts = [u64; UsageBucket::ALL.len()];
/// A span of time, by its first second, and a model.
pub(super) type SpanKey = (i64, Arc<str>);
/// A day and a model.
pub(super) type DayKey = (Date, Arc<str>);
/// A price row and an uplift in percent.
pub(super) type Terms = (Arc<PriceRow>, u32);

/// One way in which the vendor may price what we price as booked.
#[derive(Clone, Debug)]
pub(super) enum Hypothesis {
    Booked,
    CachedInFull,
    Uplift(u32),
    Row(Arc<PriceRow>),
}

impl Hypothesis {
    /// All that can be for a model of this vendor, the books first.
    pub(super) fn all(catalogue: &ProviderCatalogue, model: Option<&Model>) -> Vec<Self> {
        let uplifts: BTreeSet<u32> = catalogue.hosts.iter().map(|host| host.uplift_percent).chain([0]).collect();
        let rows = model.map(Model::prices).unwrap_or_default();
        let mut all = vec![Self::Booked, Self::CachedInFull];
        all.extend(uplifts.into_iter().map(Self::Uplift));
        all.extend(rows.iter().map(|row| Self::Row(Arc::clone(row))));
        all
    }

    /// The terms under it, and whether cached tokens pay the full rate.
    pub(super) fn terms<'t>(&'t self, row: &'t PriceRow, uplift: u32) -> (&'t PriceRow, u32, bool) {
        match self {
            Self::Booked => (row, uplift, false),
            Self::CachedInFull => (row, uplift, true),
            Self::Uplift(other) => (row, *other, false),
            Self::Row(other) => (other, uplift, false),
        }
    }

    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Booked => Cause::Rounding,
            Self::CachedInFull => Cause::CachedInFull,
            Self::Uplift(percent) => Cause::Uplift { percent: *percent },
            Self::Row(row) => Cause::PriceRow { rows: vec![row.id.to_string()] },
        }
    }

    fn cost(&self, row: &PriceRow, uplift: u32, tier: Option<&str>, usage: &Usage) -> Option<i64> {
        let (row, uplift, in_full) = self.terms(row, uplift);
        let all = usage.input_uncached + usage.input_cached;
        let usage = if in_full { Usage { input_uncached: all, input_cached: 0, ..*usage } } else { *usage };
        Some(row.cost_at(tier, &usage, uplift).ok()?.nanos())
    }
}

/// Calls of one kind whose cost lies between bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounded {
    pub(super) calls: u64,
    pub(super) upper_nanos: i64,
}

/// Our sums of one span and model.
#[derive(Clone, Debug, Default)]
pub(super) struct OurSpan {
    pub(super) counts: Counts,
    pub(super) interrupted: Bounded,
    pub(super) unknown: Bounded,
}

/// Our sums of one day and model.
#[derive(Clone, Debug)]
pub(super) struct OurDay {
    pub(super) calls: u64,
    pub(super) nanos: i64,
    pub(super) hypotheses: Vec<Hypothesis>,
    /// What our calls come to under each hypothesis.
    pub(super) under: Vec<i64>,
    /// The terms on which our calls were made.
    pub(super) terms: Vec<Terms>,
    pub(super) interrupted: Bounded,
    pub(super) unknown: Bounded,
}

/// Our side.
#[derive(Debug)]
pub(super) struct Ours<'a> {
    question: Question<'a>,
    width: i64,
    pub(super) spans: BTreeMap<SpanKey, OurSpan>,
    pub(super) days: BTreeMap<DayKey, OurDay>,
    pub(super) entries: u64,
    pub(super) uncertain: u64,
    pub(super) uncertain_nanos: (i64, i64),
    accounts: BTreeSet<String>,
    currencies: BTreeSet<String>,
}

impl<'a> Ours<'a> {
    pub(super) fn new(question: Question<'a>, width: i64) -> Self {
        Self {
            question,
            width,
            spans: BTreeMap::new(),
            days: BTreeMap::new(),
            entries: 0,
            uncertain: 0,
            uncertain_nanos: (0, 0),
            accounts: BTreeSet::new(),
            currencies: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        let Ok(ended) = Timestamp::from_microsecond(entry.ended_at) else { return };
        let day = day_of(ended);
        let catalogue = self.question.catalogue;
        let ours = entry.provider == catalogue.id.as_str() && (self.question.from..=self.question.to).contains(&day);
        if !ours || entry.outcome == Outcome::Rejected {
            return;
        }
        self.accounts.extend(entry.account.clone());
        if entry.currency != catalogue.currency.code() {
            self.currencies.insert(entry.currency.clone());
        }
        let (name, model, row) = priced(catalogue, &entry.price_row);
        let start = ended.as_second().div_euclid(self.width) * self.width;
        let span = self.spans.entry((start, Arc::clone(&name))).or_default();
        let today = self.days.entry((day, name)).or_insert_with(|| {
            let hypotheses = Hypothesis::all(catalogue, model);
            OurDay {
                calls: 0,
                nanos: 0,
                under: vec![0; hypotheses.len()],
                hypotheses,
                terms: Vec::new(),
                interrupted: Bounded::default(),
                unknown: Bounded::default(),
            }
        });
        if let Some(row) = row {
            let known = today.terms.iter().any(|(known, uplift)| known.id == row.id && *uplift == entry.uplift_percent);
            if !known {
                today.terms.push((Arc::clone(row), entry.uplift_percent));
            }
        }
        let Some(cost) = entry.cost_nanos else {
            self.uncertain += 1;
            self.uncertain_nanos.0 = self.uncertain_nanos.0.saturating_add(entry.cost_lower_nanos);
            self.uncertain_nanos.1 = self.uncertain_nanos.1.saturating_add(entry.cost_upper_nanos);
            let kind = |span: &mut Bounded| {
                span.calls += 1;
                span.upper_nanos = span.upper_nanos.saturating_add(entry.cost_upper_nanos);
            };
            let interrupted = entry.outcome == Outcome::Interrupted;
            kind(if interrupted { &mut span.interrupted } else { &mut span.unknown });
            kind(if interrupted { &mut today.interrupted } else { &mut today.unknown });
            return;
        };
        self.entries += 1;
        let usage = entry.usage.unwrap_or_default();
        for (sum, count) in span.counts.iter_mut().zip(counts(&usage)) {
            *sum += count;
        }
        today.calls += 1;
        today.nanos = today.nanos.saturating_add(cost);
        let tier = entry.service_tier.as_deref();
        // Where the books have another price than this row's, such as a corrected one, no other row says anything.
        let row = row.filter(|row| {
            Hypothesis::Booked.cost(row, entry.uplift_percent, tier, &usage).is_some_and(|booked| booked == cost)
        });
        for (hypothesis, sum) in today.hypotheses.iter().zip(&mut today.under) {
            let other = row.and_then(|row| hypothesis.cost(row, entry.uplift_percent, tier, &usage));
            *sum = sum.saturating_add(other.unwrap_or(cost));
        }
    }

    /// What must be known about our side.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.accounts.len() > 1 {
            let accounts: Vec<&str> = self.accounts.iter().map(String::as_str).collect();
            notes.push(format!("the entries are of several accounts of the vendor: {}", accounts.join(", ")));
        }
        for currency in &self.currencies {
            notes.push(format!("some entries are in {currency}, which is not the catalogue's currency"));
        }
        notes
    }
}

/// The model and the row behind `provider/model@from`.
fn priced<'c>(catalogue: &'c ProviderCatalogue, id: &str) -> (Arc<str>, Option<&'c Model>, Option<&'c Arc<PriceRow>>) {
    let rest = id.strip_prefix(catalogue.id.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(id);
    let (name, from) = rest.rsplit_once('@').unwrap_or((rest, ""));
    let day = from.parse().unwrap_or_default();
    let model = catalogue.resolve(name, day).map(|model| &**model).filter(|model| &*model.id == name);
    let row = model.and_then(|model| model.prices().iter().find(|row| &*row.id == id));
    (model.map_or_else(|| name.into(), |model| Arc::clone(&model.id)), model, row)
}

/// A call's usage by bucket.
fn counts(usage: &Usage) -> Counts {
    [
        1,
        usage.input_uncached,
        usage.input_cached,
        usage.cache_write,
        usage.input_audio,
        usage.output_tokens(),
        usage.audio_millis,
    ]
}

/// Their sums of one day and model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TheirDay {
    pub(super) nanos: i64,
    pub(super) lines: u64,
}

/// Their side.
#[derive(Debug, Default)]
pub(super) struct Theirs {
    pub(super) spans: BTreeMap<SpanKey, Counts>,
    pub(super) days: BTreeMap<DayKey, TheirDay>,
    /// Whether there is any usage at all.
    pub(super) counted: bool,
    /// Whether calls are counted; where they are not, none says anything.
    pub(super) counts_calls: bool,
    /// Whether there are any costs at all.
    pub(super) billed: bool,
    /// Whether every line of costs is a whole number of cents.
    pub(super) whole_cents: bool,
    pub(super) notes: Vec<String>,
    by_day: bool,
}

impl Theirs {
    pub(super) fn read(question: &Question<'_>, figures: &VendorFigures) -> Result<Self, String> {
        let catalogue = question.catalogue;
        let inside = |day: &Date| (question.from..=question.to).contains(day);
        let longer =
            |seconds: i64| figures.usage.iter().any(|line| line.end.as_second() - line.start.as_second() > seconds);
        if longer(DAY) {
            return Err(
                "the vendor's usage is told for more than a day at once: ask for buckets of hours or days".to_owned()
            );
        }
        let mut theirs = Self { by_day: longer(HOUR), whole_cents: true, ..Self::default() };
        theirs.notes.extend(figures.unread.iter().map(|what| format!("not understood, and left out: {what}")));
        let named = |id: &str, day| catalogue.resolve(id, day).map_or_else(|| id.into(), |model| Arc::clone(&model.id));
        for line in figures.usage.iter().filter(|line| inside(&day_of(line.start))) {
            let Some(model) = &line.model else {
                return Err("the vendor's usage is not told by model: ask with group_by=model".to_owned());
            };
            theirs.counted = true;
            theirs.counts_calls |= line.bucket == UsageBucket::Requests;
            let start = line.start.as_second().div_euclid(theirs.width()) * theirs.width();
            let span = theirs.spans.entry((start, named(model, day_of(line.start)))).or_default();
            let sum = span.iter_mut().zip(UsageBucket::ALL).find(|(_, bucket)| *bucket == line.bucket);
            if let Some((sum, _)) = sum {
                *sum += line.quantity;
            }
        }
        for line in figures.costs.iter().filter(|line| inside(&line.day)) {
            if line.currency != catalogue.currency {
                let note = format!("costs in {} are left out: the catalogue has {}", line.currency, catalogue.currency);
                if !theirs.notes.contains(&note) {
                    theirs.notes.push(note);
                }
                continue;
            }
            let Some(model) = &line.model else {
                return Err("the vendor's costs are not told by line item: ask with group_by=line_item".to_owned());
            };
            theirs.billed = true;
            theirs.whole_cents &= line.nanos % CENT_NANOS == 0;
            let day = theirs.days.entry((line.day, named(model, line.day))).or_default();
            day.nanos = day.nanos.saturating_add(line.nanos);
            day.lines += 1;
        }
        theirs.whole_cents &= theirs.billed;
        Ok(theirs)
    }

    /// Seconds of a span of usage.
    pub(super) fn width(&self) -> i64 {
        if self.by_day { DAY } else { HOUR }
    }
}
