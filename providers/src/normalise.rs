//! Chat answers of any vendor in OpenAI's shape: content flattened, tool calls numbered, finish reasons in its closed
//! set, usage in its words.
//!
//! Mistral's answers always come through here, those of other hosts only where they depart from the shape. It must not
//! know what was sent, beyond the few wishes in [`Shape`].

mod calls;
mod chunks;
mod text;
mod whole;

use serde_json::{Map, Value, json};

use crate::usage::ReportedUsage;

pub(crate) use chunks::ChunkTranslator;
pub(crate) use whole::whole;

/// What the client's answer must look like, as far as the request decides it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    /// Whether a stream ends with a chunk of usage.
    pub(crate) include_usage: bool,
    /// The client offered the older `functions`, and expects a `function_call`.
    pub(crate) functions: bool,
    /// The beginning of the answer, which the client wrote itself and which Mistral repeats.
    pub(crate) prefix: Option<String>,
    /// Tool calls are given whole, at the end of the choice.
    pub(crate) whole_calls: bool,
    /// Whether the vendor's ids are made to look like OpenAI's.
    pub(crate) own_ids: bool,
}

impl Shape {
    fn id(&self, id: Option<&Value>) -> String {
        let id = id.and_then(Value::as_str).unwrap_or_default();
        if self.own_ids { format!("chatcmpl-{id}") } else { id.to_owned() }
    }
}

/// Visible text and reasoning of a `content` that may be text or a list of chunks.
pub(crate) fn flatten(content: Option<&Value>) -> (String, String) {
    let mut visible = String::new();
    let mut reasoning = String::new();
    match content {
        Some(Value::String(text)) => visible.push_str(text),
        Some(Value::Array(chunks)) => {
            for chunk in chunks {
                match chunk.get("thinking") {
                    Some(Value::String(text)) => reasoning.push_str(text),
                    Some(Value::Array(parts)) => {
                        parts
                            .iter()
                            .filter_map(|part| part.get("text")?.as_str())
                            .for_each(|text| reasoning.push_str(text));
                    }
                    _ => visible.push_str(chunk.get("text").and_then(Value::as_str).unwrap_or_default()),
                }
            }
        }
        _ => {}
    }
    (visible, reasoning)
}

/// Reasoning that a compatible host put beside the content, under either of its two names.
fn reasoning_beside(message: &Value) -> &str {
    let named = |key: &str| message.get(key).and_then(Value::as_str);
    named("reasoning_content").or_else(|| named("reasoning")).unwrap_or_default()
}

/// OpenAI's closed set of finish reasons: some clients fail to read any other.
pub(crate) const FINISH_REASONS: &[&str] = &["stop", "length", "tool_calls", "content_filter", "function_call"];

/// A vendor's finish reason in that set.
pub(crate) fn finish_reason(reason: &str, functions: bool) -> &'static str {
    match reason {
        "tool_calls" if functions => "function_call",
        "model_length" => "length",
        known => FINISH_REASONS.iter().find(|name| **name == known).copied().unwrap_or("stop"),
    }
}

/// The tiers that OpenAI's clients know.
const SERVICE_TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority", "fast"];

/// OpenAI names the tier at the top and calls the standard one `default`; Mistral names it inside the usage. What is
/// billed follows this word, so it is kept even where clients do not know it.
fn service_tier(answer: &Value, usage: Option<&ReportedUsage>) -> Option<String> {
    let top = answer.get("service_tier").and_then(Value::as_str);
    let tier = top.or_else(|| usage?.service_tier.as_deref())?;
    Some(if tier == "standard" { "default" } else { tier }.to_owned())
}

/// The usage in OpenAI's words, with those parts that the vendor told apart: what it did not say is not zero.
pub(crate) fn client_usage(usage: &ReportedUsage) -> Value {
    let tokens = &usage.usage;
    let mut input = Map::from_iter([("cached_tokens".to_owned(), tokens.input_cached.into())]);
    if tokens.input_audio > 0 {
        input.insert("audio_tokens".into(), tokens.input_audio.into());
    }
    let mut out = Map::from_iter([
        ("prompt_tokens".to_owned(), tokens.input_tokens().into()),
        ("completion_tokens".to_owned(), tokens.output_tokens().into()),
        ("total_tokens".to_owned(), tokens.total_tokens().into()),
        ("prompt_tokens_details".to_owned(), input.into()),
    ]);
    if tokens.reasoning > 0 {
        out.insert("completion_tokens_details".into(), json!({"reasoning_tokens": tokens.reasoning}));
    }
    out.into()
}

/// Takes the prefix off the beginning of a text that comes in pieces.
#[derive(Debug)]
struct PrefixStripper {
    prefix: String,
    /// What came so far and may still be the prefix.
    held: String,
}

impl PrefixStripper {
    fn new(prefix: String) -> Self {
        Self { prefix, held: String::new() }
    }

    /// What of the text so far may be passed on; the stripper is done once it gives anything.
    fn push(&mut self, text: &str) -> Option<String> {
        self.held.push_str(text);
        if let Some(rest) = self.held.strip_prefix(&self.prefix) {
            return Some(rest.to_owned());
        }
        if self.prefix.starts_with(&self.held) { None } else { Some(std::mem::take(&mut self.held)) }
    }

    /// What was held when the answer ended.
    fn finish(self) -> String {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strip(prefix: &str, text: &str, cuts: &[usize]) -> String {
        let mut stripper = Some(PrefixStripper::new(prefix.to_owned()));
        let characters: Vec<char> = text.chars().collect();
        let mut out = String::new();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (characters.len() + 1)).collect();
        cuts.push(characters.len());
        cuts.sort_unstable();
        let mut from = 0;
        for cut in cuts {
            let piece: String = characters[from..cut].iter().collect();
            from = cut;
            match &mut stripper {
                None => out.push_str(&piece),
                Some(open) => {
                    if let Some(rest) = open.push(&piece) {
                        out.push_str(&rest);
                        stripper = None;
                    }
                }
            }
        }
        out.push_str(&stripper.map(PrefixStripper::finish).unwrap_or_default());
        out
    }

    #[test]
    fn a_repeated_beginning_is_taken_off_and_nothing_else() {
        assert_eq!(strip("Bonjour,", "Bonjour, Madame", &[3, 5]), " Madame");
        assert_eq!(strip("Bonjour,", "Bonsoir", &[3]), "Bonsoir");
        assert_eq!(strip("Bonjour,", "Bonj", &[2]), "Bonj", "the answer ended within the prefix");
    }

    proptest! {
        #[test]
        fn cutting_the_text_changes_nothing(prefix in "[ab]{1,5}", text in "[ab]{0,12}", cuts in proptest::collection::vec(0usize..20, 0..6)) {
            let whole = text.strip_prefix(&prefix).unwrap_or(&text);
            prop_assert_eq!(strip(&prefix, &text, &cuts), whole);
        }
    }
}
