//! Dated euro reference rates: what a vendor's amount is worth in euros, with the rate that was applied.
//!
//! It must not fetch anything: the table is a file that ships with the program and that an operator replaces.

use jiff::civil::Date;
use serde::Deserialize;

use crate::money::{Currency, Money, MoneyError, parse_decimal};

/// Rates are kept in millionths of the foreign unit per euro; the ECB publishes at most five decimals for the dollar.
const RATE_DECIMALS: usize = 6;
const MICROS: u128 = 1_000_000;

/// One reference rate: how many units of `currency` one euro buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeRate {
    /// Day of publication.
    pub date: Date,
    /// Foreign currency.
    pub currency: Currency,
    /// Units of `currency` per euro, in millionths.
    pub per_euro_micros: u64,
}

impl ExchangeRate {
    /// Converts an amount to euros, rounded up once.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] if the amount is not in the currency of this rate.
    pub fn to_euro(&self, amount: Money) -> Result<Money, MoneyError> {
        if amount.currency() != self.currency {
            return Err(MoneyError::CurrencyMismatch(amount.currency(), self.currency));
        }
        let nanos = u128::try_from(amount.nanos()).map_err(|_| MoneyError::Overflow)?;
        Money::from_ratio_rounded_up(nanos * MICROS, u128::from(self.per_euro_micros), Currency::Eur)
    }
}

/// The table of rates, oldest first.
#[derive(Clone, Debug, Default)]
pub struct ExchangeRates {
    rows: Vec<ExchangeRate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    rates: Vec<RawRate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    date: Date,
    currency: Currency,
    per_euro: String,
    #[serde(rename = "source")]
    _source: String,
}

impl ExchangeRates {
    /// Reads the TOML table (`[[rates]]` with `date`, `currency`, `per_euro`, `source`).
    ///
    /// # Errors
    /// A sentence that names the row that cannot be read, or a rate outside 0.01 to 100 per euro.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: RawTable = toml::from_str(text).map_err(|error| crate::written::mistake(text, &error))?;
        let mut rows = Vec::with_capacity(raw.rates.len());
        for rate in raw.rates {
            let micros =
                parse_decimal(&rate.per_euro, RATE_DECIMALS).map_err(|error| format!("{}: {error}", rate.date))?;
            if !(10_000..=100_000_000).contains(&micros) {
                return Err(format!("{}: {} {} per euro is not plausible", rate.date, rate.per_euro, rate.currency));
            }
            rows.push(ExchangeRate { date: rate.date, currency: rate.currency, per_euro_micros: micros });
        }
        rows.sort_by_key(|row| row.date);
        Ok(Self { rows })
    }

    /// Every rate, oldest first.
    pub fn rows(&self) -> &[ExchangeRate] {
        &self.rows
    }

    /// The day of the newest rate of a currency.
    pub fn newest(&self, currency: Currency) -> Option<Date> {
        self.rows.iter().rev().find(|row| row.currency == currency).map(|row| row.date)
    }

    /// The rate in force on `date`: the latest published on or before that day. The euro is worth one euro.
    pub fn at(&self, currency: Currency, date: Date) -> Option<ExchangeRate> {
        if currency == Currency::Eur {
            return Some(ExchangeRate { date, currency, per_euro_micros: 1_000_000 });
        }
        self.rows.iter().rev().find(|row| row.currency == currency && row.date <= date).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = r#"
        [[rates]]
        date = "2026-02-02"
        currency = "USD"
        per_euro = "1.25"
        source = "test"
        [[rates]]
        date = "2026-01-02"
        currency = "USD"
        per_euro = "1.10"
        source = "test"
    "#;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn the_latest_rate_before_the_day_applies() {
        let rates = ExchangeRates::parse(TABLE).unwrap();
        assert_eq!(rates.at(Currency::Usd, day("2026-01-01")), None);
        assert_eq!(rates.at(Currency::Usd, day("2026-02-01")).unwrap().per_euro_micros, 1_100_000);
        assert_eq!(rates.at(Currency::Usd, day("2026-02-02")).unwrap().per_euro_micros, 1_250_000);
    }

    #[test]
    fn implausible_rates_are_refused() {
        assert!(ExchangeRates::parse(&TABLE.replace("1.25", "1250000")).is_err());
        assert!(ExchangeRates::parse(&TABLE.replace("source", "sauce")).is_err());
    }

    proptest! {
        #[test]
        fn converting_never_understates(nanos in 0i64..1 << 53, micros in 10_000u64..100_000_000) {
            let rate = ExchangeRate { date: day("2026-01-01"), currency: Currency::Usd, per_euro_micros: micros };
            let euro = rate.to_euro(Money::new(nanos, Currency::Usd)).unwrap().nanos() as u128;
            prop_assert!(euro * u128::from(micros) >= nanos as u128 * MICROS);
            prop_assert!(euro.saturating_sub(1) * u128::from(micros) <= nanos as u128 * MICROS);
        }
    }
}
