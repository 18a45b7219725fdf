//! The simulator's books: what reached it and what it would bill, by its own arithmetic.
//!
//! It must not use `PriceRow::cost`: these figures are what the gateway's are checked against.

use std::collections::BTreeMap;

use providers::catalogue::PriceRow;
use serde::{Deserialize, Serialize};

/// What a simulated vendor saw and would bill.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Books {
    /// Requests that reached it, the list of models apart.
    pub calls: u64,
    /// Calls completed and billed.
    pub answered: u64,
    /// Calls refused or failed, never billed.
    pub errors: u64,
    /// Calls left without a byte, never billed.
    pub hangs: u64,
    /// Answers cut by the client, billed up to the cut.
    pub cut_by_client: u64,
    /// Input tokens billed, cached ones included.
    pub input_tokens: u64,
    /// Of these, read from the prompt cache.
    pub cached_tokens: u64,
    /// Output tokens billed, reasoning included.
    pub output_tokens: u64,
    /// Of the input, tokens that stand for sound.
    #[serde(default)]
    pub audio_tokens: u64,
    /// Sound billed by time, in milliseconds.
    #[serde(default)]
    pub audio_millis: u64,
    /// Searches of the web, billed by the call.
    #[serde(default)]
    pub web_searches: u64,
    /// Responses that the vendor would keep, because the caller did not forbid it.
    #[serde(default)]
    pub stored: u64,
    /// The bill, in nano-dollars.
    pub billed_nanos: i64,
    /// The billed calls by canonical model id.
    pub models: BTreeMap<String, ModelBooks>,
}

/// The billed calls of one model.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct ModelBooks {
    /// Calls billed, in full or up to a cut.
    pub calls: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Sound billed by time, in milliseconds.
    #[serde(default)]
    pub audio_millis: u64,
    /// The bill, in nano-dollars.
    pub billed_nanos: i64,
}

/// What one call uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    /// Part of `input`.
    pub(super) cached: u64,
    /// Part of `input`, none of it cached.
    pub(super) audio: u64,
    pub(super) output: u64,
    /// Sound billed by time.
    pub(super) audio_millis: u64,
    /// Searches of the web, billed by the call.
    pub(super) searches: u64,
}

impl Books {
    /// Whether every call that arrived has come to its end.
    pub fn is_closed(&self) -> bool {
        self.calls == self.answered + self.errors + self.hangs + self.cut_by_client
    }

    /// Writes one billed call.
    pub(super) fn bill(&mut self, model: &str, tokens: Tokens, nanos: i64) {
        self.input_tokens += tokens.input;
        self.cached_tokens += tokens.cached;
        self.output_tokens += tokens.output;
        self.audio_tokens += tokens.audio;
        self.audio_millis += tokens.audio_millis;
        self.web_searches += tokens.searches;
        self.billed_nanos = self.billed_nanos.saturating_add(nanos);
        if !self.models.contains_key(model) {
            self.models.insert(model.to_owned(), ModelBooks::default());
        }
        if let Some(line) = self.models.get_mut(model) {
            line.calls += 1;
            line.input_tokens += tokens.input;
            line.output_tokens += tokens.output;
            line.audio_millis += tokens.audio_millis;
            line.billed_nanos = line.billed_nanos.saturating_add(nanos);
        }
    }
}

/// What one call costs, in nano-units: tokens times rate per million, plus sound times rate per minute, plus searches
/// times rate per call, plus the host's uplift, rounded up once. A model that is free has no rates.
pub(super) fn price(row: &PriceRow, uplift_percent: u32, used: Tokens) -> i64 {
    let rates = match row.long_context {
        Some(tier) if used.input > tier.above_input_tokens => tier.rates,
        _ => row.rates,
    };
    let parts = [
        (used.input - used.cached - used.audio, rates.input),
        (used.cached, rates.cached_input.unwrap_or(rates.input)),
        (used.audio, rates.audio_input.unwrap_or(rates.input)),
        (used.output, rates.output),
    ];
    let millionths: u128 = parts.iter().map(|(count, rate)| u128::from(*count) * u128::from(*rate)).sum();
    // A minute has 60,000 milliseconds: one of them is 50/3 of a millionth of a minute.
    let sound = u128::from(used.audio_millis) * u128::from(rates.audio_minute.unwrap_or(0));
    let searches = u128::from(used.searches) * u128::from(row.tool_calls.web_search.unwrap_or(0));
    let three_hundred_millionths =
        (3 * millionths + 50 * sound + 3_000_000 * searches) * u128::from(100 + uplift_percent);
    let nanos = three_hundred_millionths.div_ceil(300_000_000);
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
