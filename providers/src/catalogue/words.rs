//! Price rows in words, for a log of changes that people read.

use std::fmt;

use super::{PriceRow, Rates};
use crate::money::format_nanos;

impl fmt::Display for Rates {
    /// The rates that there are, in units of the currency: `input 0.20, cached input 0.02, output 1.20`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = [
            ("input", Some(self.input)),
            ("cached input", self.cached_input),
            ("cache write", self.cache_write),
            ("output", Some(self.output)),
            ("audio input", self.audio_input),
            ("audio per minute", self.audio_minute),
        ];
        for (index, (name, nanos)) in rates.into_iter().filter_map(|(name, rate)| Some((name, rate?))).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {}", format_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)))?;
        }
        Ok(())
    }
}

impl fmt::Display for PriceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} per million tokens", self.rates, self.currency)?;
        if let Some(tier) = &self.long_context {
            write!(f, "; above {} input tokens {}", tier.above_input_tokens, tier.rates)?;
        }
        if let Some(until) = self.until {
            write!(f, "; until {until}")?;
        }
        Ok(())
    }
}
