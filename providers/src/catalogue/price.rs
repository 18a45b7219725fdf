//! What a usage costs under a dated price row, and what a call can cost at most.
//!
//! Multiply in 128 bits, divide once, round up once.

use std::sync::Arc;

use jiff::civil::Date;

use crate::money::{Currency, Money, MoneyError};
use crate::usage::Usage;

/// Tokens to which a rate refers.
const TOKENS_PER_RATE: u128 = 1_000_000;

/// Rates in nano-units of the vendor's currency per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Uncached input.
    pub input: u64,
    /// Input read from the vendor's cache; absent means the full input rate, never zero.
    pub cached_input: Option<u64>,
    /// Input written to the vendor's cache; absent means the input rate.
    pub cache_write: Option<u64>,
    /// Output, reasoning included.
    pub output: u64,
}

impl Rates {
    fn cached_input(&self) -> u64 {
        self.cached_input.unwrap_or(self.input)
    }

    fn cache_write(&self) -> u64 {
        self.cache_write.unwrap_or(self.input)
    }

    fn dearest_input(&self) -> u64 {
        self.input.max(self.cached_input()).max(self.cache_write())
    }

    fn nanos_times_million(&self, usage: &Usage) -> u128 {
        let product = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        product(usage.input_uncached, self.input)
            + product(usage.input_cached, self.cached_input())
            + product(usage.cache_write, self.cache_write())
            + product(usage.output_tokens(), self.output)
    }
}

/// Rates for the **whole** call once its input passes a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongContext {
    /// Calls with more input tokens than this pay `rates`.
    pub above_input_tokens: u64,
    /// The rates of the tier.
    pub rates: Rates,
}

/// A price in force from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// Identity kept with each entry, `provider/model@from`.
    pub id: Arc<str>,
    /// Billing currency.
    pub currency: Currency,
    /// First day in force (UTC).
    pub from: Date,
    /// First day no longer in force.
    pub until: Option<Date>,
    /// The rates.
    pub rates: Rates,
    /// The long-context tier, where the vendor has one.
    pub long_context: Option<LongContext>,
    /// Where the figures come from.
    pub source: String,
}

impl PriceRow {
    /// What `usage` costs on a host with that uplift.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] for amounts beyond 64 bits of nano-units.
    pub fn cost(&self, usage: &Usage, uplift_percent: u32) -> Result<Money, MoneyError> {
        let rates = match &self.long_context {
            Some(tier) if usage.input_tokens() > tier.above_input_tokens => &tier.rates,
            _ => &self.rates,
        };
        let numerator = rates
            .nanos_times_million(usage)
            .checked_mul(100 + u128::from(uplift_percent))
            .ok_or(MoneyError::Overflow)?;
        Money::from_ratio_rounded_up(numerator, TOKENS_PER_RATE * 100, self.currency)
    }

    /// The most a call can cost whose input and output have at most that many tokens, whatever the buckets.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] for amounts beyond 64 bits of nano-units.
    pub fn ceiling(&self, input_bound: u64, output_bound: u64, uplift_percent: u32) -> Result<Money, MoneyError> {
        let dearest = |rates: &Rates| (rates.dearest_input(), rates.output);
        let (mut input, mut output) = dearest(&self.rates);
        if let Some(tier) = self.long_context.filter(|tier| input_bound > tier.above_input_tokens) {
            let (tier_input, tier_output) = dearest(&tier.rates);
            input = input.max(tier_input);
            output = output.max(tier_output);
        }
        let product = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        let numerator = (product(input_bound, input) + product(output_bound, output))
            .checked_mul(100 + u128::from(uplift_percent))
            .ok_or(MoneyError::Overflow)?;
        Money::from_ratio_rounded_up(numerator, TOKENS_PER_RATE * 100, self.currency)
    }
}
