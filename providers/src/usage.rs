//! Usage of tokens in disjoint buckets, and of what is billed beside them, read leniently from every spelling the vendors use.
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
    /// Input tokens that stand for sound, billed at the audio rate where a model has one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_audio: u64,
    /// Length of the sound, in milliseconds, where a model is billed by time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub audio_millis: u64,
    /// Calls of tools that ran at the vendor and that it bills apart.
    #[serde(default, skip_serializing_if = "ToolCalls::is_none")]
    pub tool_calls: ToolCalls,
}

/// Calls of tools that run at the vendor, by the kind that has a rate of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCalls {
    /// Searches of the web.
    pub web_search: u64,
}

impl ToolCalls {
    /// True when no tool ran.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// All input tokens.
    pub fn input_tokens(&self) -> u64 {
        self.input_uncached + self.input_cached + self.cache_write + self.input_audio
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
    /// Reads a `usage` object of Chat Completions or embeddings. `None` when it is absent, null or has no token count
    /// at all: absent is not zero.
    pub fn from_chat(value: &Value) -> Option<Self> {
        Self::read(value, "prompt_tokens", "completion_tokens")
    }

    /// Reads a `usage` object of OpenAI's Responses or of a transcription billed by tokens.
    pub fn from_responses(value: &Value) -> Option<Self> {
        Self::read(value, "input_tokens", "output_tokens")
    }

    /// Reads the usage of a transcription, in any of its three forms: tokens, a duration, or Mistral's tokens with
    /// seconds beside them.
    pub fn from_transcription(value: &Value) -> Option<Self> {
        if value.get("type").is_some_and(|kind| kind == "duration") {
            let audio_millis = millis(value.get("seconds")?)?;
            let usage = Usage { audio_millis, ..Usage::default() };
            return Some(Self { usage, consistent: true, raw: value.to_string(), service_tier: None });
        }
        Self::from_responses(value).or_else(|| Self::from_chat(value))
    }

    fn read(value: &Value, input_key: &str, output_key: &str) -> Option<Self> {
        let object = value.as_object()?;
        let count = |key: &str| object.get(key).and_then(Value::as_u64);
        let input = count(input_key)?;
        let output = count(output_key).unwrap_or(0);
        if input.max(output) > PLAUSIBLE_TOKENS {
            return None;
        }
        let detail =
            |groups: &[&str], key: &str| groups.iter().find_map(|group| object.get(*group)?.get(key)?.as_u64());
        let cached = detail(INPUT_DETAILS, "cached_tokens").or_else(|| count("num_cached_tokens")).unwrap_or(0);
        let written = detail(INPUT_DETAILS, "cache_write_tokens").unwrap_or(0);
        let audio = detail(INPUT_DETAILS, "audio_tokens").unwrap_or(0);
        let reasoning = detail(OUTPUT_DETAILS, "reasoning_tokens").unwrap_or(0);
        let total = count("total_tokens").unwrap_or(input + output);
        let parts = [cached, written, audio].into_iter().try_fold(0_u64, u64::checked_add);
        // Parts larger than the whole cannot be disjoint: bill the whole at the full rate and say so. Sound that was
        // cached is counted in both parts; it too is billed in full.
        let usage = match parts.filter(|parts| *parts <= input && reasoning <= output) {
            Some(parts) => Usage {
                input_uncached: input - parts,
                input_cached: cached,
                cache_write: written,
                output_visible: output - reasoning,
                reasoning,
                input_audio: audio,
                audio_millis: object.get("prompt_audio_seconds").and_then(millis).unwrap_or(0),
                tool_calls: ToolCalls::default(),
            },
            None => Usage {
                input_uncached: input.saturating_sub(audio),
                output_visible: output,
                input_audio: audio.min(input),
                audio_millis: object.get("prompt_audio_seconds").and_then(millis).unwrap_or(0),
                ..Usage::default()
            },
        };
        let parts_fit = parts.is_some_and(|parts| parts <= input) && reasoning <= output;
        Some(Self {
            consistent: parts_fit && total == input + output,
            usage,
            raw: value.to_string(),
            service_tier: object.get("service_tier").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

/// Where vendors put the parts of the input, and of the output.
const INPUT_DETAILS: &[&str] =
    &["prompt_tokens_details", "prompt_token_details", "input_tokens_details", "input_token_details"];
const OUTPUT_DETAILS: &[&str] = &["completion_tokens_details", "output_tokens_details"];
/// Longer than any recording that a vendor takes: a duration beyond it says nothing.
const PLAUSIBLE_SECONDS: f64 = 1_000_000.0;

/// Seconds as whole milliseconds, rounded up: a duration is never understated. What is below a microsecond is how
/// binary fractions are written, and no sound.
fn millis(seconds: &Value) -> Option<u64> {
    let seconds = seconds.as_f64().filter(|seconds| (0.0..=PLAUSIBLE_SECONDS).contains(seconds))?;
    let micros = (std::time::Duration::try_from_secs_f64(seconds).ok()?.as_nanos() + 500) / 1_000;
    u64::try_from(micros.div_ceil(1_000)).ok()
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
        let expected = Usage {
            input_uncached: 30,
            input_cached: 60,
            cache_write: 10,
            output_visible: 30,
            reasoning: 20,
            ..Usage::default()
        };
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

    #[test]
    fn transcriptions_are_billed_by_tokens_or_by_time() {
        let read = |value: Value| ReportedUsage::from_transcription(&value).unwrap().usage;
        let tokens = read(json!({"type": "tokens", "input_tokens": 14, "output_tokens": 101, "total_tokens": 115,
            "input_token_details": {"text_tokens": 10, "audio_tokens": 4}}));
        assert_eq!((tokens.input_uncached, tokens.input_audio, tokens.output_visible), (10, 4, 101));
        assert_eq!(read(json!({"type": "duration", "seconds": 9})).audio_millis, 9_000);
        assert_eq!(read(json!({"type": "duration", "seconds": 8.4701})).audio_millis, 8_471, "never understated");
        for whole in 1..100_000_u32 {
            let seconds = f64::from(whole) / 1000.0;
            assert_eq!(millis(&json!(seconds)), Some(u64::from(whole)), "{seconds} s is whole milliseconds");
        }
        let mistral =
            read(json!({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "prompt_audio_seconds": 31}));
        assert_eq!((mistral.total_tokens(), mistral.audio_millis), (12, 31_000));
        for nothing in [json!({"type": "duration"}), json!({"type": "duration", "seconds": -1}), json!({})] {
            assert_eq!(ReportedUsage::from_transcription(&nothing), None, "absent is not zero");
        }
    }

    proptest! {
        #[test]
        fn buckets_always_add_up_to_the_vendors_totals(p in 0u64..1 << 33, c in 0u64..1 << 33, cached in 0u64..1 << 41, r in 0u64..1 << 41, audio in 0u64..1 << 41) {
            let reported = ReportedUsage::from_chat(&json!({
                "prompt_tokens": p, "completion_tokens": c, "total_tokens": p + c,
                "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio},
                "completion_tokens_details": {"reasoning_tokens": r}
            })).unwrap();
            prop_assert_eq!(reported.usage.input_tokens(), p);
            prop_assert_eq!(reported.usage.output_tokens(), c);
        }
    }
}
