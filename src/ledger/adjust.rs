//! Adjustments in the making: what is to be added to the windows so that the sums say what is true.

use jiff::Timestamp;
use jiff::civil::Date;
use providers::exchange::ExchangeRate;
use providers::money::{Currency, Money, MoneyError};
use uuid::Uuid;

use super::{Adjustment, Entry, Totals, micros};

/// Who adjusts, when and why.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Who, in their own words.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// When.
    pub now: Timestamp,
}

impl Adjustment {
    /// Corrects an entry to what it turned out to cost (zero: the vendor never billed it) and, where known, the tokens it
    /// turned out to use. `earlier` is what adjustments have added to it so far. A call that cost nothing is no question.
    ///
    /// # Errors
    /// [`MoneyError`] when the cost is not in the entry's currency or does not fit.
    pub fn of_entry(
        seq: u64,
        entry: &Entry,
        earlier: Totals,
        cost: Money,
        tokens: Option<u64>,
        author: Author<'_>,
    ) -> Result<Self, MoneyError> {
        let currency: Currency = entry.currency.parse()?;
        if cost.currency() != currency {
            return Err(MoneyError::CurrencyMismatch(cost.currency(), currency));
        }
        let date = entry.rate_date.parse().unwrap_or(Date::MIN);
        let rate = ExchangeRate { date, currency, per_euro_micros: entry.rate_micros };
        let free = cost.nanos() == 0;
        let mut booked = Totals::of(entry.charged);
        let kept_tokens = if free { 0 } else { booked.tokens };
        let mut charged = Totals {
            questions: i64::from(!free),
            tokens: tokens.map_or(kept_tokens, super::bounded),
            euro_nanos: rate.to_euro(cost)?.nanos(),
        };
        booked.add(earlier);
        charged.subtract(booked);
        Ok(Self {
            corrects: Some(seq),
            resident: Some(entry.resident.clone()),
            provider: entry.provider.clone(),
            model: entry.priced_model().to_owned(),
            currency: entry.currency.clone(),
            cost_nanos: Some(cost.nanos()),
            charged,
            day: entry.day.clone(),
            month: entry.month.clone(),
            year: entry.year.clone(),
            ..Self::blank(author)
        })
    }

    /// Corrects the town's sums of a day by `euro_nanos`, for what concerns no single call: a discount, a rounding of the
    /// vendor's, a line of its bill.
    pub fn of_day(provider: &str, model: &str, day: Date, euro_nanos: i64, author: Author<'_>) -> Self {
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            currency: Currency::Eur.code().to_owned(),
            charged: Totals { euro_nanos, ..Totals::default() },
            day: day.to_string(),
            month: day.strftime("%Y-%m").to_string(),
            year: day.strftime("%Y").to_string(),
            ..Self::blank(author)
        }
    }

    fn blank(author: Author<'_>) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            at: micros(author.now),
            actor: author.actor.to_owned(),
            reason: author.reason.to_owned(),
            corrects: None,
            resident: None,
            provider: String::new(),
            model: String::new(),
            currency: String::new(),
            cost_nanos: None,
            charged: Totals::default(),
            day: String::new(),
            month: String::new(),
            year: String::new(),
        }
    }
}
