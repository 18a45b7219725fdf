//! Usage of tokens in disjoint buckets, and of what is billed beside them, read leniently from every spelling the vendors use.
//!
//! Cached and cache-write tokens are subsets of a vendor's input, reasoning is a subset of its output; here they are
//! taken apart once, so that nothing is priced twice. It must not know prices.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

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
        Self::read(text_of(value), |spelled| [spelled.prompt_tokens.0, spelled.completion_tokens.0])
    }

    /// The same from its text, as it stands in an answer.
    pub(crate) fn from_chat_text(text: &RawValue) -> Option<Self> {
        Self::read(without_space(text.get()), |spelled| [spelled.prompt_tokens.0, spelled.completion_tokens.0])
    }

    /// Reads a `usage` object of OpenAI's Responses or of a transcription billed by tokens.
    pub fn from_responses(value: &Value) -> Option<Self> {
        Self::read(text_of(value), |spelled| [spelled.input_tokens.0, spelled.output_tokens.0])
    }

    /// Reads the usage of a transcription, in any of its three forms: tokens, a duration, or Mistral's tokens with
    /// seconds beside them.
    pub fn from_transcription(value: &Value) -> Option<Self> {
        if value.get("type").is_some_and(|kind| kind == "duration") {
            let audio_millis = millis(value.get("seconds")?)?;
            let usage = Usage { audio_millis, ..Usage::default() };
            return Some(Self { usage, consistent: true, raw: text_of(value), service_tier: None });
        }
        Self::from_responses(value).or_else(|| Self::from_chat(value))
    }

    fn read(raw: String, totals: impl Fn(&Spelled) -> [Option<u64>; 2]) -> Option<Self> {
        let Some(spelled) = Spelled::of(&raw) else {
            // A name that comes twice is no reason to know nothing: the last one counts.
            let once = text_of(&serde_json::from_str(&raw).ok()?);
            return if once == raw { None } else { Self::read(once, totals) };
        };
        let [input, output] = totals(&spelled);
        let (input, output) = (input?, output.unwrap_or(0));
        if input.max(output) > PLAUSIBLE_TOKENS {
            return None;
        }
        let cached = spelled.of_input(|parts| parts.cached_tokens).or(spelled.num_cached_tokens.0).unwrap_or(0);
        let written = spelled.of_input(|parts| parts.cache_write_tokens).unwrap_or(0);
        let audio = spelled.of_input(|parts| parts.audio_tokens).unwrap_or(0);
        let reasoning = spelled.of_output(|parts| parts.reasoning_tokens).unwrap_or(0);
        let total = spelled.total_tokens.0.unwrap_or(input + output);
        let audio_millis = millis(&spelled.prompt_audio_seconds).unwrap_or(0);
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
                audio_millis,
                tool_calls: ToolCalls::default(),
            },
            None => Usage {
                input_uncached: input.saturating_sub(audio),
                output_visible: output,
                input_audio: audio.min(input),
                audio_millis,
                ..Usage::default()
            },
        };
        let parts_fit = parts.is_some_and(|parts| parts <= input) && reasoning <= output;
        let service_tier = spelled.service_tier.as_str().map(str::to_owned);
        Some(Self { consistent: parts_fit && total == input + output, usage, raw, service_tier })
    }
}

/// A usage under every name that a vendor has for a part of it. What is of another type than expected is as good as
/// absent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Spelled {
    prompt_tokens: Count,
    completion_tokens: Count,
    input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    num_cached_tokens: Count,
    prompt_audio_seconds: Value,
    service_tier: Value,
    prompt_tokens_details: Details,
    prompt_token_details: Details,
    input_tokens_details: Details,
    input_token_details: Details,
    completion_tokens_details: Details,
    output_tokens_details: Details,
}

impl Spelled {
    /// Reads an object; serde would take a list for one too.
    fn of(text: &str) -> Option<Self> {
        text.starts_with('{').then(|| serde_json::from_str(text).ok())?
    }

    fn of_input(&self, part: fn(&Parts) -> Count) -> Option<u64> {
        let groups = [
            &self.prompt_tokens_details,
            &self.prompt_token_details,
            &self.input_tokens_details,
            &self.input_token_details,
        ];
        groups.into_iter().find_map(|group| part(&group.0).0)
    }

    fn of_output(&self, part: fn(&Parts) -> Count) -> Option<u64> {
        [&self.completion_tokens_details, &self.output_tokens_details].into_iter().find_map(|group| part(&group.0).0)
    }
}

/// A whole number that is not negative, where it is one.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

/// The parts of a total, where they are an object.
#[derive(Default)]
struct Details(Parts);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    cached_tokens: Count,
    cache_write_tokens: Count,
    audio_tokens: Count,
    reasoning_tokens: Count,
}

/// What says nothing to a visitor: it is skipped, and as good as absent.
macro_rules! skips {
    ($($visit:ident: $value:ty),*) => {
        $(fn $visit<E>(self, _value: $value) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            IgnoredAny.visit_seq(list)?;
            Ok(Self::Value::default())
        }
    };
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
        Ok(Count(Some(count)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Count, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(Count::default())
    }

    skips!(visit_i64: i64, visit_f64: f64, visit_bool: bool, visit_str: &str);
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct DetailsVisitor;

impl<'de> Visitor<'de> for DetailsVisitor {
    type Value = Details;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parts of a count")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Details, A::Error> {
        Parts::deserialize(MapAccessDeserializer::new(map)).map(Details)
    }

    skips!(visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool, visit_str: &str);
}

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DetailsVisitor)
    }
}

fn text_of(value: &Value) -> String {
    String::from_utf8(crate::to_json(value)).unwrap_or_default()
}

/// A text of JSON without the space between its words.
fn without_space(text: &str) -> String {
    let is_space = |letter: char| matches!(letter, ' ' | '\n' | '\r' | '\t');
    if !text.bytes().any(|byte| is_space(byte.into())) {
        return text.to_owned();
    }
    let (mut in_string, mut escaped) = (false, false);
    let kept = |letter: &char| {
        if in_string {
            in_string = escaped || *letter != '"';
            escaped = !escaped && *letter == '\\';
            return true;
        }
        in_string = *letter == '"';
        !is_space(*letter)
    };
    text.chars().filter(kept).collect()
}

/// Whether a usage has details that are null, where OpenAI's clients want an object or nothing.
pub(crate) fn has_null_details(usage: &RawValue) -> bool {
    let text = usage.get();
    let details = ["prompt_tokens_details", "completion_tokens_details"];
    let value = || serde_json::from_str::<Value>(text).unwrap_or_default();
    text.contains("null") && details.iter().any(|key| value().get(*key).is_some_and(Value::is_null))
}
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
    fn a_text_says_what_its_value_says() {
        for text in [
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":2},"service_tier":"a \\\" b"}"#,
            "{\n  \"prompt_tokens\": 10,\n  \"completion_tokens\": 5,\n  \"prompt_tokens_details\": null,\n \"x y\": \"a b\"}",
            r#"{"prompt_tokens":10,"prompt_tokens":12,"completion_tokens":"many","prompt_tokens_details":[1],"prompt_token_details":{"cached_tokens":-1}}"#,
            r#"{"prompt_tokens":1.5}"#,
            r#"[1, 2, 3, 4, 5, 6, 7, 8]"#,
            "null",
        ] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(ReportedUsage::from_chat_text(&raw), ReportedUsage::from_chat(&value), "{text}");
        }
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
