//! Service tiers and tools of a price row as written, and their checks.
//!
//! It must not know what a call uses.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Deserialize;

use super::super::{LongContext, Rates, Tier, ToolRates};
use super::{Checker, RawLongContext, RawRates, Unit, check_long_context, check_unit};

/// Below 0.0001 a call somebody divided by a thousand too often, above 1 somebody typed the price of a thousand calls.
const PLAUSIBLE_NANOS_PER_CALL: RangeInclusive<u64> = 100_000..=1_000_000_000;
/// A tier below a tenth of the standard one, or above ten times it, is a slip of the pen.
const PLAUSIBLE_TIER_PERCENT: RangeInclusive<u64> = 10..=1_000;

/// A service tier: rates of its own, or a percentage of every standard one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTier {
    percent: Option<u64>,
    input: Option<String>,
    cached_input: Option<String>,
    cache_write: Option<String>,
    output: Option<String>,
    audio_input: Option<String>,
    audio_minute: Option<String>,
    long_context: Option<RawLongContext>,
}

/// Units of currency per call.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToolCalls {
    web_search: Option<String>,
}

impl RawTier {
    fn rates(&self) -> RawRates<'_> {
        RawRates {
            input: self.input.as_deref(),
            cached_input: self.cached_input.as_deref(),
            cache_write: self.cache_write.as_deref(),
            output: self.output.as_deref(),
            audio_input: self.audio_input.as_deref(),
            audio_minute: self.audio_minute.as_deref(),
        }
    }
}

/// The tiers of a row.
pub(super) fn check_tiers(
    checker: &mut Checker,
    place: &str,
    unit: Unit,
    standard: Tier,
    raw: &BTreeMap<String, RawTier>,
) -> BTreeMap<String, Tier> {
    let mut tiers = BTreeMap::new();
    for (name, tier) in raw {
        let place = format!("{place}.tiers.{name}");
        if matches!(name.as_str(), "default" | "standard") {
            checker.mistake(&place, "is what the row itself prices");
        }
        tiers.insert(name.clone(), check_tier(checker, &place, unit, standard, tier));
    }
    tiers
}

/// The rates per call of a row.
pub(super) fn check_tool_calls(checker: &mut Checker, place: &str, raw: &RawToolCalls) -> ToolRates {
    let complaint = "per call is not plausible (0.0001 to 1)";
    let place = format!("{place}.tool_calls.web_search");
    let per_call = raw.web_search.as_deref();
    ToolRates { web_search: per_call.map(|text| checker.plausible(&place, text, PLAUSIBLE_NANOS_PER_CALL, complaint)) }
}

/// A tier by rates of its own, which must cover what the row's do, or by a percentage of them all.
fn check_tier(checker: &mut Checker, place: &str, unit: Unit, standard: Tier, raw: &RawTier) -> Tier {
    let own = raw.rates();
    let any = own.input.is_some() || own.output.is_some() || own.audio_minute.is_some();
    if let Some(percent) = raw.percent {
        if any || raw.long_context.is_some() {
            checker.mistake(place, "has a percentage and rates: which of them?");
        }
        if !PLAUSIBLE_TIER_PERCENT.contains(&percent) {
            checker.mistake(place, format!("{percent} % of the standard tier is not plausible (10 to 1000)"));
        }
        let mut exact = true;
        let tier = share_of(standard, percent, &mut exact);
        if !exact {
            checker.mistake(place, format!("{percent} % of a rate is no whole number of nano-units: give the rates"));
        }
        return tier;
    }
    check_unit(checker, place, unit.operation, unit.free, &own);
    if own.audio_minute.is_none() && standard.rates.audio_minute.is_some() {
        checker.mistake(place, "needs `audio_minute`, as the row has it");
    }
    let rates = checker.rates(place, &own);
    let long_context = raw.long_context.as_ref().map(|long| check_long_context(checker, place, unit, rates, long));
    if let (Some(own), Some(standard)) = (long_context, standard.long_context)
        && own.above_input_tokens != standard.above_input_tokens
    {
        checker.mistake(place, "long context begins elsewhere than at the standard tier");
    }
    Tier { rates, long_context }
}

/// Every rate of `tier` times `percent`; `exact` becomes false where that is no whole number of nano-units.
fn share_of(tier: Tier, percent: u64, exact: &mut bool) -> Tier {
    let mut share = |rate: u64| {
        let product = rate.saturating_mul(percent);
        *exact &= product.is_multiple_of(100);
        product / 100
    };
    let mut rates = |rates: Rates| Rates {
        input: share(rates.input),
        cached_input: rates.cached_input.map(&mut share),
        cache_write: rates.cache_write.map(&mut share),
        output: share(rates.output),
        audio_input: rates.audio_input.map(&mut share),
        audio_minute: rates.audio_minute.map(&mut share),
    };
    let long_context = tier.long_context.map(|long| LongContext { rates: rates(long.rates), ..long });
    Tier { rates: rates(tier.rates), long_context }
}
