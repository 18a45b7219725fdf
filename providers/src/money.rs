//! Integer amounts with a currency, and exact decimals. The only place of the workspace that rounds money.
//!
//! It must not know prices, vendors or quotas.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Nano-units in one unit of currency.
pub const NANOS_PER_UNIT: i64 = 1_000_000_000;

/// A currency in which a vendor bills or the town pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// United States dollar.
    Usd,
    /// Euro.
    Eur,
}

impl Currency {
    /// ISO 4217 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
        }
    }
}

impl std::str::FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        match code {
            "USD" => Ok(Self::Usd),
            "EUR" => Ok(Self::Eur),
            _ => Err(MoneyError::NotDecimal(code.to_owned())),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What can go wrong with an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies were about to be added or compared.
    #[error("cannot combine {0} with {1}: convert first")]
    CurrencyMismatch(Currency, Currency),
    /// The amount does not fit 64 bits of nano-units (about nine billion units).
    #[error("amount out of range")]
    Overflow,
    /// Not a plain decimal, or more digits than can be kept exactly.
    #[error("`{0}` is not a decimal amount of at most 9 decimals")]
    NotDecimal(String),
}

/// An amount in nano-units (10⁻⁹) of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    nanos: i64,
    currency: Currency,
}

impl Money {
    /// An amount of `nanos` nano-units.
    pub const fn new(nanos: i64, currency: Currency) -> Self {
        Self { nanos, currency }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The amount in nano-units.
    pub const fn nanos(self) -> i64 {
        self.nanos
    }

    /// The currency of the amount.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Adds two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] for two currencies, [`MoneyError::Overflow`] past 64 bits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch(self.currency, other.currency));
        }
        let nanos = self.nanos.checked_add(other.nanos).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(nanos, self.currency))
    }

    /// Builds an amount from `numerator / denominator` nano-units, rounded **up** once: a cost is never understated.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] if the result does not fit.
    pub fn from_ratio_rounded_up(numerator: u128, denominator: u128, currency: Currency) -> Result<Self, MoneyError> {
        let nanos = i64::try_from(numerator.div_ceil(denominator.max(1))).map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(nanos, currency))
    }
}

impl fmt::Display for Money {
    /// Prints the exact amount, without trailing zeros beyond cents: `0.0123 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", format_nanos(self.nanos), self.currency)
    }
}

/// Prints nano-units as an exact decimal with at least two decimals: `12.50`, `0.000012`.
pub fn format_nanos(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (units, fraction) =
        (nanos.unsigned_abs() / NANOS_PER_UNIT.unsigned_abs(), nanos.unsigned_abs() % NANOS_PER_UNIT.unsigned_abs());
    let mut text = format!("{sign}{units}.{fraction:09}");
    let end = text.len();
    // All decimals but the zeros at the end, and two at least.
    text.truncate(text.trim_end_matches('0').len().max(end - 7));
    text
}

/// Reads a non-negative decimal (`"0.15"`) as an integer of `10^-decimals` units, exactly.
///
/// # Errors
/// [`MoneyError::NotDecimal`] when it is not a plain decimal or has more than `decimals` decimals.
pub fn parse_decimal(text: &str, decimals: usize) -> Result<u64, MoneyError> {
    let bad = || MoneyError::NotDecimal(text.to_owned());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || (text.contains('.') && fraction.is_empty()) {
        return Err(bad());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals {
        return Err(bad());
    }
    format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_currencies_are_never_added() {
        let error = Money::new(1, Currency::Usd).checked_add(Money::new(1, Currency::Eur)).unwrap_err();
        assert_eq!(error, MoneyError::CurrencyMismatch(Currency::Usd, Currency::Eur));
    }

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        assert_eq!(parse_decimal("0.15", 9), Ok(150_000_000));
        assert_eq!(parse_decimal("10", 9), Ok(10_000_000_000));
        assert_eq!(parse_decimal("0.1500000000", 9), Ok(150_000_000));
        for bad in ["", ".", "1.", ".5", "-1", "1e3", "0,15", "0.0000000001", "1.2.3"] {
            assert!(parse_decimal(bad, 9).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_printed_in_full() {
        assert_eq!(Money::new(12_500_000_000, Currency::Eur).to_string(), "12.50 EUR");
        assert_eq!(Money::new(1, Currency::Usd).to_string(), "0.000000001 USD");
        assert_eq!(Money::new(-1_230_000_000, Currency::Usd).to_string(), "-1.23 USD");
    }

    proptest! {
        #[test]
        fn rounding_up_is_never_below_and_never_a_nano_above(n in 0u128..1 << 80, d in 1u128..1 << 20) {
            prop_assume!(n / d < 1 << 62);
            let nanos = Money::from_ratio_rounded_up(n, d, Currency::Usd).unwrap().nanos() as u128;
            prop_assert!(nanos * d >= n);
            prop_assert!(nanos * d < n + d);
        }

        #[test]
        fn printed_amounts_read_back(nanos in 0i64..i64::MAX) {
            prop_assert_eq!(parse_decimal(&format_nanos(nanos), 9), Ok(nanos as u64));
        }
    }
}
