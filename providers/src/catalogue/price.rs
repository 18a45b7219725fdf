//! What a usage costs under a dated price row, and what a call can cost at most.
//!
//! Multiply in 128 bits, divide once, round up once.

use std::sync::Arc;

use jiff::civil::Date;

use crate::money::{Currency, Money, MoneyError};
use crate::usage::Usage;

/// Tokens to which a rate refers.
const TOKENS_PER_RATE: u128 = 1_000_000;
/// Milliseconds to which the rate of sound refers: vendors quote it per minute.
const MILLIS_PER_RATE: u128 = 60_000;

/// Rates in nano-units of the vendor's currency per million tokens, but for sound billed by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Uncached input.
    pub input: u64,
    /// Input read from the vendor's cache; absent means the full input rate, never zero.
    pub cached_input: Option<u64>,
    /// Input written to the vendor's cache; absent means the input rate.
    pub cache_write: Option<u64>,
    /// Output, reasoning included.
    pub output: u64,
    /// Input tokens that stand for sound; absent means the input rate, never zero.
    pub audio_input: Option<u64>,
    /// Sound by time, per minute; absent where the vendor bills sound by tokens alone.
    pub audio_minute: Option<u64>,
}

/// The most one call can use, whatever the vendor answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageBound {
    /// Input tokens of any kind.
    pub input_tokens: u64,
    /// Output tokens of all choices together.
    pub output_tokens: u64,
    /// Sound, in milliseconds.
    pub audio_millis: u64,
}

impl Rates {
    fn cached_input(&self) -> u64 {
        self.cached_input.unwrap_or(self.input)
    }

    fn cache_write(&self) -> u64 {
        self.cache_write.unwrap_or(self.input)
    }

    fn audio_input(&self) -> u64 {
        self.audio_input.unwrap_or(self.input)
    }

    fn dearest_input(&self) -> u64 {
        self.input.max(self.cached_input()).max(self.cache_write()).max(self.audio_input())
    }

    /// The price in nano-units times [`DENOMINATOR`], uplift in percent included. `None` past 128 bits.
    fn numerator(&self, tokens: u128, millis: u64, uplift_percent: u32) -> Option<u128> {
        let sound = u128::from(millis) * u128::from(self.audio_minute.unwrap_or(0));
        tokens
            .checked_mul(MILLIS_PER_RATE)?
            .checked_add(sound.checked_mul(TOKENS_PER_RATE)?)?
            .checked_mul(100 + u128::from(uplift_percent))
    }

    fn tokens_times_rates(&self, usage: &Usage) -> u128 {
        let product = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        product(usage.input_uncached, self.input)
            + product(usage.input_cached, self.cached_input())
            + product(usage.cache_write, self.cache_write())
            + product(usage.input_audio, self.audio_input())
            + product(usage.output_tokens(), self.output)
    }
}

/// What everything is divided by, once, at the end.
const DENOMINATOR: u128 = TOKENS_PER_RATE * MILLIS_PER_RATE * 100;

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
    /// True when nothing is ever billed, by the vendor's own word.
    pub fn is_free(&self) -> bool {
        self.rates == Rates::default() && self.long_context.is_none()
    }

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
            .numerator(rates.tokens_times_rates(usage), usage.audio_millis, uplift_percent)
            .ok_or(MoneyError::Overflow)?;
        Money::from_ratio_rounded_up(numerator, DENOMINATOR, self.currency)
    }

    /// The most a call within `bound` can cost, whatever the buckets.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] for amounts beyond 64 bits of nano-units.
    pub fn ceiling(&self, bound: &UsageBound, uplift_percent: u32) -> Result<Money, MoneyError> {
        let dearest = |rates: &Rates| (rates.dearest_input(), rates.output);
        let (mut input, mut output) = dearest(&self.rates);
        if let Some(tier) = self.long_context.filter(|tier| bound.input_tokens > tier.above_input_tokens) {
            let (tier_input, tier_output) = dearest(&tier.rates);
            input = input.max(tier_input);
            output = output.max(tier_output);
        }
        let product = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        let tokens = product(bound.input_tokens, input) + product(bound.output_tokens, output);
        let numerator = self.rates.numerator(tokens, bound.audio_millis, uplift_percent).ok_or(MoneyError::Overflow)?;
        Money::from_ratio_rounded_up(numerator, DENOMINATOR, self.currency)
    }
}
