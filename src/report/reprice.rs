//! A period under another price list: what was booked, what it would have cost, and the difference.
//!
//! Nothing that was booked changes. Under the list in force it gives exactly what was booked; an attempt that cannot be
//! recomputed is counted apart and never taken for zero. It must not know HTTP, and it never writes to the ledger.

mod render;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use providers::ProviderId;
use providers::catalogue::{Catalogue, PriceRow};
use providers::exchange::ExchangeRate;
use providers::money::Currency;
use providers::usage::Usage;
use serde::Serialize;

use super::Period;
use crate::ledger::{Entry, Outcome};

/// Why an attempt has no place in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRecomputed {
    /// Its cost was never known: interrupted, or without a trace of what was used.
    CostUnknown,
    /// It was booked without a usage from which a cost could be computed anew.
    NoUsage,
    /// The other list has no price for it: no such vendor, model, day, tier or tool, or another currency.
    Unpriced,
}

/// One attempt, as booked and as recomputed, in nano-units of the vendor's currency and in nano-euros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// What was booked.
    pub booked: Amounts,
    /// What the other list says.
    pub recomputed: Amounts,
}

/// An amount in the vendor's currency with the same amount in euros at the rate kept with the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Nano-units of the vendor's currency.
    pub nanos: i64,
    /// Nano-euros.
    pub euro_nanos: i64,
}

impl Amounts {
    fn add(&mut self, other: Self) {
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.euro_nanos = self.euro_nanos.saturating_add(other.euro_nanos);
    }

    fn less(self, other: Self) -> Self {
        Self { nanos: self.nanos - other.nanos, euro_nanos: self.euro_nanos - other.euro_nanos }
    }
}

/// What one vendor's model came to in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepricedRow {
    /// The vendor.
    pub provider: String,
    /// The model, by the price row that was applied.
    pub model: String,
    /// The vendor's currency (ISO 4217).
    pub currency: String,
    /// Attempts of the period.
    pub attempts: u64,
    /// Of those, recomputed; only they are in the amounts.
    pub recomputed_attempts: u64,
    /// What the recomputed attempts were booked at.
    pub booked: Amounts,
    /// What they cost under the other list.
    pub recomputed: Amounts,
    /// `recomputed` less `booked`.
    pub difference: Amounts,
    /// Attempts whose cost was never known.
    pub cost_unknown: u64,
    /// Of those, the ones that only lacked a price and have one under the other list …
    pub newly_priced: u64,
    /// … and what they cost, in none of the amounts above: an adjustment may book it.
    pub newly_priced_amounts: Amounts,
    /// Attempts booked without a usage.
    pub no_usage: u64,
    /// Attempts without a price under the other list …
    pub unpriced: u64,
    /// … and what those were booked at, in none of the amounts above.
    pub unpriced_booked: Amounts,
}

/// A period under another price list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repriced {
    /// The days it covers: those in which the attempts were admitted.
    pub period: Period,
    /// The day whose prices were applied to every attempt; without one, those of the day of each.
    pub as_of: Option<Date>,
    /// True when the ledger holds answers of simulated vendors.
    pub simulated: bool,
    /// One row per vendor, model and currency, in that order.
    pub rows: Vec<RepricedRow>,
}

/// Adds up the entries of a period, one after the other.
#[derive(Debug)]
pub struct Repricing<'a> {
    catalogue: &'a Catalogue,
    as_of: Option<Date>,
    period: Period,
    days: (String, String),
    rows: BTreeMap<(String, String, String), RepricedRow>,
}

impl<'a> Repricing<'a> {
    /// Nothing added yet. With a day in `as_of` the prices of that day apply to every attempt, such as those that a
    /// vendor has announced; without, those of the day on which each question came.
    pub fn new(catalogue: &'a Catalogue, period: Period, as_of: Option<Date>) -> Self {
        let days = (period.from.to_string(), period.to.to_string());
        Self { catalogue, as_of, period, days, rows: BTreeMap::new() }
    }

    /// Adds an entry, unless it belongs to another period.
    pub fn add(&mut self, entry: &Entry) {
        if entry.day < self.days.0 || entry.day > self.days.1 {
            return;
        }
        let model = entry.priced_model();
        let key = (entry.provider.clone(), model.to_owned(), entry.currency.clone());
        let row = self.rows.entry(key).or_insert_with(|| RepricedRow {
            provider: entry.provider.clone(),
            model: model.to_owned(),
            currency: entry.currency.clone(),
            ..RepricedRow::default()
        });
        row.attempts += 1;
        match recompute(self.catalogue, entry, self.as_of) {
            Ok(Recomputed { booked, recomputed }) => {
                row.recomputed_attempts += 1;
                row.booked.add(booked);
                row.recomputed.add(recomputed);
            }
            Err(NotRecomputed::CostUnknown) => {
                row.cost_unknown += 1;
                if let Some(amounts) = priced_since(self.catalogue, entry, self.as_of) {
                    row.newly_priced += 1;
                    row.newly_priced_amounts.add(amounts);
                }
            }
            Err(NotRecomputed::NoUsage) => row.no_usage += 1,
            Err(NotRecomputed::Unpriced) => {
                row.unpriced += 1;
                row.unpriced_booked.add(booked(entry).unwrap_or_default());
            }
        }
    }

    /// The sums.
    pub fn finish(self, simulated: bool) -> Repriced {
        let rows = self.rows.into_values().map(|mut row| {
            row.difference = row.recomputed.less(row.booked);
            row
        });
        Repriced { period: self.period, as_of: self.as_of, simulated, rows: rows.collect() }
    }
}

impl Repriced {
    /// For a terminal of 120 columns.
    pub fn to_table(&self) -> String {
        render::table(self)
    }

    /// Indented JSON, keys in the order of the fields.
    pub fn to_json(&self) -> String {
        render::json(self)
    }

    /// One line per row, all integers exact.
    ///
    /// # Errors
    /// [`csv::Error`] when a line cannot be written, which memory alone could cause.
    pub fn to_csv(&self) -> Result<String, csv::Error> {
        render::csv(self)
    }
}

/// What an attempt would have cost under that list: at the row of the model that the vendor returned, in force on the
/// day of the question or on `as_of`, at the tier it served and with the uplift of the host that was called.
///
/// # Errors
/// [`NotRecomputed`] where that cannot be said.
pub fn recompute(catalogue: &Catalogue, entry: &Entry, as_of: Option<Date>) -> Result<Recomputed, NotRecomputed> {
    let booked = booked(entry).ok_or(NotRecomputed::CostUnknown)?;
    if entry.outcome == Outcome::Rejected {
        // Refused and not billed, whatever the list.
        return Ok(Recomputed { booked, recomputed: Amounts::default() });
    }
    Ok(Recomputed { booked, recomputed: cost_under(catalogue, entry, as_of)? })
}

/// The cost of a whole answer that was booked without one, because its tier or its tools had no price then.
fn priced_since(catalogue: &Catalogue, entry: &Entry, as_of: Option<Date>) -> Option<Amounts> {
    let lacked_a_price = matches!(entry.error_type.as_deref(), Some("tier_unpriced" | "tool_unpriced"));
    if lacked_a_price { cost_under(catalogue, entry, as_of).ok() } else { None }
}

fn cost_under(catalogue: &Catalogue, entry: &Entry, as_of: Option<Date>) -> Result<Amounts, NotRecomputed> {
    let (price, uplift_percent) = price_of(catalogue, entry, as_of).ok_or(NotRecomputed::Unpriced)?;
    let usage = match entry.usage {
        Some(usage) => usage,
        None if price.is_free() => Usage::default(),
        None => return Err(NotRecomputed::NoUsage),
    };
    let cost = price.cost_at(entry.service_tier.as_deref(), &usage, uplift_percent);
    let cost = cost.map_err(|_| NotRecomputed::Unpriced)?;
    let euro = rate_of(entry, cost.currency()).and_then(|rate| rate.to_euro(cost).ok());
    let euro = euro.filter(|_| cost.currency().code() == entry.currency).ok_or(NotRecomputed::Unpriced)?;
    Ok(Amounts { nanos: cost.nanos(), euro_nanos: euro.nanos() })
}

fn booked(entry: &Entry) -> Option<Amounts> {
    Some(Amounts { nanos: entry.cost_nanos?, euro_nanos: entry.cost_euro_nanos? })
}

/// The row that decides, as when the attempt was booked, and the uplift of its host.
fn price_of<'a>(catalogue: &'a Catalogue, entry: &Entry, as_of: Option<Date>) -> Option<(&'a PriceRow, u32)> {
    let provider = catalogue.provider(&ProviderId::new(&entry.provider))?;
    let host = provider.host(&entry.host)?;
    let day = as_of.or_else(|| utc_day(entry))?;
    let priced = |id: &str| {
        let model = provider.resolve(id, day)?;
        Some((&**model.price_at(day)?, host.uplift_for(model)))
    };
    entry.response_model.as_deref().and_then(priced).or_else(|| priced(&entry.sent_model))
}

fn utc_day(entry: &Entry) -> Option<Date> {
    Some(Timestamp::from_microsecond(entry.received_at).ok()?.to_zoned_datetime(TimeZone::UTC).date())
}

/// The rate kept with the entry.
fn rate_of(entry: &Entry, currency: Currency) -> Option<ExchangeRate> {
    Some(ExchangeRate { date: entry.rate_date.parse().ok()?, currency, per_euro_micros: entry.rate_micros })
}

#[cfg(test)]
mod tests;
