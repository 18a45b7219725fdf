//! Price rows in words, for a log of changes that people read.
//!
//! Each type is taken apart by name, so that a field added to it cannot be forgotten here: a price that changed without
//! a word would change without a record.

use std::fmt;

use super::{LongContext, PriceRow, Rates, Tier, ToolRates};
use crate::money::format_nanos;

fn amount(nanos: u64) -> String {
    format_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

impl fmt::Display for Rates {
    /// The rates that there are, in units of the currency: `input 0.20, cached input 0.02, output 1.20`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, cached_input, cache_write, output, audio_input, audio_minute } = *self;
        let rates = [
            ("input", Some(input)),
            ("cached input", cached_input),
            ("cache write", cache_write),
            ("output", Some(output)),
            ("audio input", audio_input),
            ("audio per minute", audio_minute),
        ];
        let known = rates.into_iter().filter_map(|(name, rate)| Some(format!("{name} {}", amount(rate?))));
        f.write_str(&known.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for PriceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: _, currency, from: _, until, rates, long_context, tiers, tool_calls, source } = self;
        write!(f, "{rates} {currency} per million tokens")?;
        long(f, *long_context)?;
        for (name, Tier { rates, long_context }) in tiers {
            write!(f, "; {name} {rates}")?;
            long(f, *long_context)?;
        }
        let ToolRates { web_search } = tool_calls;
        if let Some(rate) = web_search {
            write!(f, "; a search of the web {}", amount(*rate))?;
        }
        if let Some(until) = until {
            write!(f, "; until {until}")?;
        }
        write!(f, "; source: {source}")
    }
}

fn long(f: &mut fmt::Formatter<'_>, tier: Option<LongContext>) -> fmt::Result {
    match tier {
        Some(LongContext { above_input_tokens, rates }) => {
            write!(f, " (above {above_input_tokens} input tokens {rates})")
        }
        None => Ok(()),
    }
}
