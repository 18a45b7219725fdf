//! Token usage in disjoint buckets, read leniently from every spelling the vendors use.
//!
//! Cached and cache-write tokens are subsets of a vendor's input, reasoning is a subset of its output; here they are
//! taken apart once, so that nothing is priced twice. It must not know prices.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// More tokens than any call can have: a usage beyond it says nothing, and is treated as absent.
const PLAUSIBLE_TOKENS: u64 = 10_000_000_000;

/// Tokens of one call, in buckets that do not overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens billed at the full rate.
    pub input_uncached: u64,
    /// Input tokens read from the vendor's prompt cache.
    pub input_cached: u64,
    /// Input tokens written to the vendor's prompt cache.
    pub cache_write: u64,
    /// Output tokens other than reasoning.
    pub output_visible: u64,
    /// Hidden reasoning tokens, billed as output. Zero where the vendor gives no breakdown.
    pub reasoning: u64,
}

impl Usage {
    /// All input tokens.
    pub fn input_tokens(&self) -> u64 {
        self.input_uncached + self.input_cached + self.cache_write
    }

    /// All output tokens, reasoning included.
    pub fn output_tokens(&self) -> u64 {
        self.output_visible + self.reasoning
    }

    /// Input and output together.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens() + self.output_tokens()
    }
}

/// A usage as a vendor reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedUsage {
    /// The disjoint buckets.
    pub usage: Usage,
    /// False when the vendor's parts do not add up to its totals; the buckets then hold the larger reading.
    pub consistent: bool,
    /// The vendor's own JSON, kept for reconciliation.
    pub raw: String,
    /// Service tier named inside the usage (Mistral).
    pub service_tier: Option<String>,
}

impl ReportedUsage {
    /// Reads a `usage` object of Chat Completions. `None` when it is absent, null or has no token count at all:
    /// absent is not zero.
    pub fn from_chat(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let prompt = object.get("prompt_tokens").and_then(Value::as_u64)?;
        let completion = object.get("completion_tokens").and_then(Value::as_u64).unwrap_or(0);
        let detail =
            |groups: &[&str], key: &str| groups.iter().find_map(|group| object.get(*group)?.get(key)?.as_u64());
        let prompt_details = ["prompt_tokens_details", "prompt_token_details", "input_tokens_details"];
        let cached = detail(&prompt_details, "cached_tokens")
            .or_else(|| object.get("num_cached_tokens").and_then(Value::as_u64))
            .unwrap_or(0);
        let written = detail(&prompt_details, "cache_write_tokens").unwrap_or(0);
        let reasoning =
            detail(&["completion_tokens_details", "output_tokens_details"], "reasoning_tokens").unwrap_or(0);
        if prompt.max(completion) > PLAUSIBLE_TOKENS {
            return None;
        }
        let total = object.get("total_tokens").and_then(Value::as_u64).unwrap_or(prompt + completion);

        let parts_fit = cached + written <= prompt && reasoning <= completion;
        let usage = if parts_fit {
            Usage {
                input_uncached: prompt - cached - written,
                input_cached: cached,
                cache_write: written,
                output_visible: completion - reasoning,
                reasoning,
            }
        } else {
            // Parts larger than the whole cannot be disjoint: bill the whole at the full rate and say so.
            Usage { input_uncached: prompt, output_visible: completion, ..Usage::default() }
        };
        Some(Self {
            consistent: parts_fit && total == prompt + completion,
            usage,
            raw: value.to_string(),
            service_tier: object.get("service_tier").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn openai_subsets_are_taken_apart() {
        let reported = ReportedUsage::from_chat(&json!({
            "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 20}
        }))
        .unwrap();
        let expected =
            Usage { input_uncached: 30, input_cached: 60, cache_write: 10, output_visible: 30, reasoning: 20 };
        assert_eq!(reported.usage, expected);
        assert!(reported.consistent);
    }

    #[test]
    fn every_mistral_spelling_of_cached_tokens_is_read() {
        for details in [
            json!({"prompt_tokens_details": {"cached_tokens": 64}}),
            json!({"num_cached_tokens": 64}),
            json!({"prompt_token_details": {"cached_tokens": 64}}),
        ] {
            let mut usage = json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105});
            usage.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
            assert_eq!(ReportedUsage::from_chat(&usage).unwrap().usage.input_cached, 64);
        }
    }

    #[test]
    fn absent_is_not_zero_and_zero_is_not_absent() {
        assert_eq!(ReportedUsage::from_chat(&Value::Null), None);
        assert_eq!(ReportedUsage::from_chat(&json!({})), None);
        assert_eq!(ReportedUsage::from_chat(&json!({"prompt_tokens": u64::MAX, "completion_tokens": 0})), None);
        let zero = ReportedUsage::from_chat(&json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}));
        assert_eq!(zero.unwrap().usage, Usage::default());
    }

    #[test]
    fn parts_larger_than_the_whole_are_billed_in_full_and_flagged() {
        let reported = ReportedUsage::from_chat(&json!({
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 60}
        }))
        .unwrap();
        assert!(!reported.consistent);
        assert_eq!(reported.usage.input_uncached, 10);
    }

    proptest! {
        #[test]
        fn buckets_always_add_up_to_the_vendors_totals(p in 0u64..1 << 33, c in 0u64..1 << 33, cached in 0u64..1 << 41, r in 0u64..1 << 41) {
            let reported = ReportedUsage::from_chat(&json!({
                "prompt_tokens": p, "completion_tokens": c, "total_tokens": p + c,
                "prompt_tokens_details": {"cached_tokens": cached},
                "completion_tokens_details": {"reasoning_tokens": r}
            })).unwrap();
            prop_assert_eq!(reported.usage.input_tokens(), p);
            prop_assert_eq!(reported.usage.output_tokens(), c);
        }
    }
}
