//! What a usage costs under a dated price row, at the tier that served it, and what a call can cost at most.
//!
//! Multiply in 128 bits, divide once, round up once. It must not know who asked for what.

use std::collections::BTreeMap;
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
    /// Calls of tools that run at the vendor.
    pub tool_calls: u64,
}

impl UsageBound {
    /// The bound of the same call when its vendor may run that many tools on the way: what a tool finds is input, and
    /// the model reads everything again after each of them, at most a whole window every time.
    #[must_use]
    pub fn with_tool_calls(self, tool_calls: u64, context_window: u64) -> Self {
        if tool_calls == 0 {
            return self;
        }
        let once = context_window.max(self.input_tokens);
        Self { input_tokens: tool_calls.saturating_add(1).saturating_mul(once), tool_calls, ..self }
    }
}

/// Why a usage has no price. Absent is not zero: such a call is never taken for free.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// The price row has no rates for the service tier.
    #[error("the price row has no rates for this service tier")]
    TierUnpriced,
    /// The price row has no rate for a tool that the vendor ran.
    #[error("the price row has no rate for a tool that runs at the vendor")]
    ToolUnpriced,
    /// The amount does not fit.
    #[error(transparent)]
    Amount(#[from] MoneyError),
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

    /// The price in nano-units times [`DENOMINATOR`], uplift in percent included, of tokens times their rates, sound,
    /// and `apart`, nano-units that are neither. `None` past 128 bits.
    fn numerator(&self, tokens: u128, millis: u64, apart: u128, uplift_percent: u32) -> Option<u128> {
        let sound = u128::from(millis) * u128::from(self.audio_minute.unwrap_or(0));
        tokens
            .checked_mul(MILLIS_PER_RATE)?
            .checked_add(sound.checked_mul(TOKENS_PER_RATE)?)?
            .checked_add(apart.checked_mul(TOKENS_PER_RATE * MILLIS_PER_RATE)?)?
            .checked_mul(100 + u128::from(uplift_percent))
    }

    /// Whether no rate is dearer than the same one of `other`.
    fn is_within(&self, other: &Self) -> bool {
        self.input <= other.input
            && self.cached_input() <= other.cached_input()
            && self.cache_write() <= other.cache_write()
            && self.audio_input() <= other.audio_input()
            && self.output <= other.output
            && self.audio_minute.unwrap_or(0) <= other.audio_minute.unwrap_or(0)
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

/// Rates of one service tier, with those of long context where there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The rates.
    pub rates: Rates,
    /// The rates of long context at this tier.
    pub long_context: Option<LongContext>,
}

/// Rates per call of a tool that runs at the vendor, in nano-units of the vendor's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolRates {
    /// A search of the web.
    pub web_search: Option<u64>,
}

/// What vendors call the tier that the row itself prices.
const STANDARD_TIERS: [&str; 2] = ["default", "standard"];

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
    /// The rates of the standard tier.
    pub rates: Rates,
    /// The rates of long context at the standard tier, where the vendor has them.
    pub long_context: Option<LongContext>,
    /// The other service tiers, by the name that the vendor gives them in its answers.
    pub tiers: BTreeMap<String, Tier>,
    /// What tools that run at the vendor cost beside the tokens.
    pub tool_calls: ToolRates,
    /// Where the figures come from.
    pub source: String,
}

impl PriceRow {
    /// True when nothing is ever billed, by the vendor's own word.
    pub fn is_free(&self) -> bool {
        self.rates == Rates::default() && self.long_context.is_none() && self.tool_calls == ToolRates::default()
    }

    /// What `usage` costs at the standard tier, on a host with that uplift.
    ///
    /// # Errors
    /// As [`PriceRow::cost_at`].
    pub fn cost(&self, usage: &Usage, uplift_percent: u32) -> Result<Money, PricingError> {
        self.cost_at(None, usage, uplift_percent)
    }

    /// What `usage` costs at the tier that the vendor says it used, on a host with that uplift. `default`, `standard`
    /// and no word at all are the row itself. The uplift is on every price, tools included.
    ///
    /// # Errors
    /// [`PricingError`] for a tier or a tool without a rate, and for amounts beyond 64 bits of nano-units.
    pub fn cost_at(&self, tier: Option<&str>, usage: &Usage, uplift_percent: u32) -> Result<Money, PricingError> {
        let rates = self.rates_for(tier, usage.input_tokens()).ok_or(PricingError::TierUnpriced)?;
        let tools = self.tools(usage.tool_calls.web_search)?;
        let numerator = rates
            .numerator(rates.tokens_times_rates(usage), usage.audio_millis, tools, uplift_percent)
            .ok_or(MoneyError::Overflow)?;
        Ok(Money::from_ratio_rounded_up(numerator, DENOMINATOR, self.currency)?)
    }

    /// The least that `usage` can have cost: at the tier that the vendor told; where it told none, at the standard one or
    /// the one asked for, whichever is cheaper.
    pub fn least_cost(
        &self,
        told: Option<&str>,
        asked: Option<&str>,
        usage: &Usage,
        uplift_percent: u32,
    ) -> Option<Money> {
        let tiers = if told.is_some() { [told, told] } else { [None, asked] };
        let costs = tiers.into_iter().filter_map(|tier| self.cost_at(tier, usage, uplift_percent).ok());
        costs.min_by_key(|cost| cost.nanos())
    }

    /// The most a call within `bound` can cost at the standard tier, whatever the buckets.
    ///
    /// # Errors
    /// As [`PriceRow::cost_at`].
    pub fn ceiling(&self, bound: &UsageBound, uplift_percent: u32) -> Result<Money, PricingError> {
        self.ceiling_at(None, bound, uplift_percent)
    }

    /// The most a call within `bound` can cost when that tier is asked for. The vendor may fall back to the standard
    /// one, so the dearer of the two counts.
    ///
    /// # Errors
    /// As [`PriceRow::cost_at`].
    pub fn ceiling_at(
        &self,
        tier: Option<&str>,
        bound: &UsageBound,
        uplift_percent: u32,
    ) -> Result<Money, PricingError> {
        let asked = self.sheet(tier).ok_or(PricingError::TierUnpriced)?;
        let rates = [self.standard(), asked].into_iter().flat_map(|sheet| sheet.within(bound)).collect::<Vec<_>>();
        let most = |rate: fn(&Rates) -> u64| rates.iter().map(rate).max().unwrap_or(0);
        let product = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        let tokens = product(bound.input_tokens, most(Rates::dearest_input))
            + product(bound.output_tokens, most(|rates| rates.output));
        let sound = Rates { audio_minute: Some(most(|rates| rates.audio_minute.unwrap_or(0))), ..Rates::default() };
        let tools = self.tools(bound.tool_calls)?;
        let numerator =
            sound.numerator(tokens, bound.audio_millis, tools, uplift_percent).ok_or(MoneyError::Overflow)?;
        Ok(Money::from_ratio_rounded_up(numerator, DENOMINATOR, self.currency)?)
    }

    /// Whether the row prices that tier for every call within `bound`, and no rate of it is dearer than the standard
    /// one.
    pub fn has_cheaper(&self, tier: &str, bound: &UsageBound) -> bool {
        let Some(sheet) = self.tiers.get(tier) else { return false };
        let long = match (sheet.long_context, self.long_context) {
            (Some(own), Some(standard)) => own.rates.is_within(&standard.rates),
            (Some(_), None) => false,
            (None, Some(standard)) => bound.input_tokens <= standard.above_input_tokens,
            (None, None) => true,
        };
        long && sheet.rates.is_within(&self.rates)
    }

    fn standard(&self) -> Tier {
        Tier { rates: self.rates, long_context: self.long_context }
    }

    fn sheet(&self, tier: Option<&str>) -> Option<Tier> {
        match tier {
            Some(name) if !STANDARD_TIERS.contains(&name) && !self.is_free() => self.tiers.get(name).copied(),
            _ => Some(self.standard()),
        }
    }

    /// The rates of a call with that input; `None` where the tier has none.
    fn rates_for(&self, tier: Option<&str>, input_tokens: u64) -> Option<Rates> {
        let sheet = self.sheet(tier)?;
        let is_long = |long: &LongContext| input_tokens > long.above_input_tokens;
        match (sheet.long_context, self.long_context) {
            (Some(long), _) if is_long(&long) => Some(long.rates),
            // Long context is dearer, and nobody has said by how much at this tier.
            (None, Some(standard)) if is_long(&standard) => None,
            _ => Some(sheet.rates),
        }
    }

    /// What that many calls of tools cost, in nano-units.
    fn tools(&self, calls: u64) -> Result<u128, PricingError> {
        match self.tool_calls.web_search {
            Some(rate) => Ok(u128::from(calls) * u128::from(rate)),
            None if calls == 0 => Ok(0),
            None => Err(PricingError::ToolUnpriced),
        }
    }
}

impl Tier {
    /// Every set of rates that a call within `bound` may meet.
    fn within(self, bound: &UsageBound) -> impl Iterator<Item = Rates> {
        let long = self.long_context.filter(|long| bound.input_tokens > long.above_input_tokens);
        std::iter::once(self.rates).chain(long.map(|long| long.rates))
    }
}
