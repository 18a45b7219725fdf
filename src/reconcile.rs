//! The ledger against a vendor's own figures: where they differ, by how much, and what explains it.
//!
//! Pure: entries and figures in, rows and one figure for the period out. Usage is compared by hour (or day, where the
//! vendor only says days), model and bucket; money by day and model. An explanation is earned by arithmetic: under it our
//! own entries come to exactly the vendor's figure. What no arithmetic reaches stays unexplained. It must not know where
//! entries or figures come from.

mod cause;
mod money;
mod show;
mod tally;
mod usage;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use providers::catalogue::ProviderCatalogue;
use providers::exchange::ExchangeRates;
use providers::figures::{UsageBucket, VendorFigures};
use providers::money::Currency;
use serde::Serialize;

pub use cause::{Cause, Part};

use crate::ledger::Entry;
use tally::{Ours, Theirs};

/// What is compared, and what it takes to explain differences.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The vendor's models, hosts and dated prices.
    pub catalogue: &'a ProviderCatalogue,
    /// Euro rates, for the gap in euros.
    pub rates: &'a ExchangeRates,
    /// First day (UTC).
    pub from: Date,
    /// Last day (UTC).
    pub to: Date,
    /// When the vendor was asked: what is younger than a day may still change.
    pub now: Timestamp,
}

/// Whose figure is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same.
    Equal,
    /// The ledger has more.
    OursMore,
    /// The vendor has more.
    TheirsMore,
}

impl Verdict {
    fn of(gap: i128) -> Self {
        match gap {
            0 => Self::Equal,
            1.. => Self::TheirsMore,
            _ => Self::OursMore,
        }
    }

    /// Words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::OursMore => "ours more",
            Self::TheirsMore => "theirs more",
        }
    }
}

/// One bucket of one model in one span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageRow {
    /// Beginning of the span.
    pub start: Timestamp,
    /// The model.
    pub model: String,
    /// What is counted.
    pub bucket: UsageBucket,
    /// What the ledger knows for certain.
    pub ours: u64,
    /// What the vendor counted.
    pub theirs: u64,
    /// Whose is larger.
    pub verdict: Verdict,
    /// Why they differ.
    pub cause: Option<Cause>,
}

/// The money of one model on one day, in nano-units of the vendor's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MoneyRow {
    /// The day (UTC).
    pub day: Date,
    /// The model.
    pub model: String,
    /// Exact costs in the ledger; calls of uncertain cost are not in it.
    pub ours_nanos: i64,
    /// What the vendor bills.
    pub theirs_nanos: i64,
    /// Whose is larger.
    pub verdict: Verdict,
    /// What explains the difference, and how much of it each; together they are the whole difference.
    pub parts: Vec<Part>,
}

/// One cause over the whole period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The cause.
    pub cause: Cause,
    /// Whether it explains.
    pub explains: bool,
    /// How much of the gap, in nano-units of the vendor's currency, with its sign.
    pub nanos: i64,
    /// The same in nano-euros.
    pub euro_nanos: i64,
    /// The same without signs, so that opposites do not cancel out.
    pub absolute_nanos: u64,
    /// Rows of money in which it occurs.
    pub rows: u64,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Reconciliation {
    /// The vendor.
    pub provider: String,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// The vendor's currency.
    pub currency: Currency,
    /// False where the vendor gave usage but no costs: then its usage is priced here, and money says nothing of its own.
    pub billed: bool,
    /// Entries of exact cost.
    pub entries: u64,
    /// Entries whose cost lies between two bounds.
    pub uncertain: u64,
    /// The sum of those bounds, in nano-units.
    pub uncertain_nanos: (i64, i64),
    /// The ledger's exact costs.
    pub ours_nanos: i64,
    /// What the vendor bills.
    pub theirs_nanos: i64,
    /// Theirs less ours.
    pub gap_nanos: i64,
    /// The gap in nano-euros, each day at its rate.
    pub gap_euro_nanos: i64,
    /// The unexplained part of every row, without signs.
    pub unexplained_nanos: u64,
    /// The same in nano-euros.
    pub unexplained_euro_nanos: u64,
    /// Rows of usage that differ and are not explained.
    pub unexplained_usage: u64,
    /// What makes up the gap.
    pub shares: Vec<Share>,
    /// What else must be known.
    pub notes: Vec<String>,
    /// Money by day and model.
    pub money: Vec<MoneyRow>,
    /// Usage by span, model and bucket.
    pub usage: Vec<UsageRow>,
}

impl Reconciliation {
    /// Whether nothing is left unexplained.
    pub fn is_explained(&self) -> bool {
        self.unexplained_nanos == 0 && self.unexplained_usage == 0
    }
}

/// Takes entries one by one, then compares. Memory grows with hours and models, not with calls.
#[derive(Debug)]
pub struct Reconciler<'a> {
    question: Question<'a>,
    ours: Ours<'a>,
    theirs: Theirs,
}

impl<'a> Reconciler<'a> {
    /// Ready for entries.
    ///
    /// # Errors
    /// A sentence when the figures are not told apart by model.
    pub fn new(question: Question<'a>, figures: &VendorFigures) -> Result<Self, String> {
        let theirs = Theirs::read(&question, figures)?;
        Ok(Self { question, ours: Ours::new(question, theirs.width()), theirs })
    }

    /// Adds an entry; one of another vendor or another day is left out.
    pub fn add(&mut self, entry: &Entry) {
        self.ours.add(entry);
    }

    /// Adds an entry of which an adjustment says what it turned out to cost. One that cost nothing was never counted
    /// by the vendor; one whose usage stays unknown has its cost for both bounds.
    pub fn add_corrected(&mut self, mut entry: Entry, cost_nanos: i64) {
        if cost_nanos == 0 {
            return;
        }
        (entry.cost_lower_nanos, entry.cost_upper_nanos) = (cost_nanos, cost_nanos);
        if entry.usage.is_some() {
            entry.cost_nanos = Some(cost_nanos);
        }
        self.add(&entry);
    }

    /// Compares.
    pub fn finish(self) -> Reconciliation {
        let Self { question, ours, theirs } = self;
        let spans = usage::compare(&question, &ours, &theirs);
        let money = money::compare(&question, &ours, &theirs, &spans);
        let usage = usage::rows(&spans);
        conclude(&question, &ours, &theirs, money, usage)
    }
}

fn conclude(
    question: &Question<'_>,
    ours: &Ours<'_>,
    theirs: &Theirs,
    money: Vec<MoneyRow>,
    usage: Vec<UsageRow>,
) -> Reconciliation {
    let mut shares: BTreeMap<Cause, Share> = BTreeMap::new();
    let (mut unexplained, mut unexplained_euro, mut gap_euro) = (0_u64, 0_u64, 0_i64);
    for row in &money {
        for part in &row.parts {
            let euro = to_euro(question, row.day, part.nanos);
            gap_euro = gap_euro.saturating_add(euro);
            let share = shares.entry(part.cause.clone()).or_insert_with(|| Share {
                explains: part.cause.explains(),
                cause: part.cause.clone(),
                nanos: 0,
                euro_nanos: 0,
                absolute_nanos: 0,
                rows: 0,
            });
            share.nanos = share.nanos.saturating_add(part.nanos);
            share.euro_nanos = share.euro_nanos.saturating_add(euro);
            share.absolute_nanos = share.absolute_nanos.saturating_add(part.nanos.unsigned_abs());
            share.rows += 1;
            if !part.cause.explains() {
                unexplained = unexplained.saturating_add(part.nanos.unsigned_abs());
                unexplained_euro = unexplained_euro.saturating_add(euro.unsigned_abs());
            }
        }
    }
    let sum = |nanos: fn(&MoneyRow) -> i64| money.iter().map(nanos).fold(0_i64, i64::saturating_add);
    let (ours_nanos, theirs_nanos) = (sum(|row| row.ours_nanos), sum(|row| row.theirs_nanos));
    let unexplained_usage =
        usage.iter().filter(|row| row.cause.as_ref().is_some_and(|cause| !cause.explains())).count();
    let mut notes = theirs.notes.clone();
    notes.extend(ours.notes());
    if question.rates.at(question.catalogue.currency, question.from).is_none() {
        let (currency, from) = (question.catalogue.currency, question.from);
        notes.push(format!("there is no euro rate for {currency} on {from}: amounts without one are left as they are"));
    }
    Reconciliation {
        provider: question.catalogue.id.to_string(),
        from: question.from,
        to: question.to,
        currency: question.catalogue.currency,
        billed: theirs.billed,
        entries: ours.entries,
        uncertain: ours.uncertain,
        uncertain_nanos: ours.uncertain_nanos,
        ours_nanos,
        theirs_nanos,
        gap_nanos: theirs_nanos.saturating_sub(ours_nanos),
        gap_euro_nanos: gap_euro,
        unexplained_nanos: unexplained,
        unexplained_euro_nanos: unexplained_euro,
        unexplained_usage: unexplained_usage as u64,
        shares: shares.into_values().collect(),
        notes,
        money,
        usage,
    }
}

/// A part of a gap in nano-euros at the rate of its day, rounded away from zero: a gap is never understated. Where no
/// rate is known the amount stays as it is, and a note says so.
fn to_euro(question: &Question<'_>, day: Date, nanos: i64) -> i64 {
    let currency = question.catalogue.currency;
    if currency == Currency::Eur {
        return nanos;
    }
    let Some(rate) = question.rates.at(currency, day) else { return nanos };
    let magnitude = (u128::from(nanos.unsigned_abs()) * 1_000_000).div_ceil(u128::from(rate.per_euro_micros));
    let magnitude = i64::try_from(magnitude).unwrap_or(i64::MAX);
    if nanos < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests;
