//! What a Response repeats of its request.

use serde_json::{Map, Value, json};

use super::ResponsesRequest;
use super::tools::flat_tools;

/// The fields of a Response that come from the request, with the API's defaults where the request says nothing.
///
/// Sampling parameters that were not sent stay null: every vendor has its own defaults. `metadata` is empty and
/// `store` false, because nothing is stored.
#[derive(Clone, Debug)]
pub(crate) struct Echo(Map<String, Value>);

impl Echo {
    /// What an answer to `request` repeats.
    pub(crate) fn of(request: &ResponsesRequest) -> Self {
        let sent = |key: &str| request.body.get(key).filter(|value| !value.is_null());
        let or_null = |key: &str| sent(key).cloned().unwrap_or_default();
        let or = |key: &str, default: Value| sent(key).cloned().unwrap_or(default);
        let reasoning = |key: &str| sent("reasoning").and_then(|reasoning| reasoning.get(key)).cloned();
        let mut text = or("text", json!({}));
        if let Some(text) = text.as_object_mut()
            && text.get("format").is_none_or(Value::is_null)
        {
            text.insert("format".into(), json!({"type": "text"}));
        }
        let fields = [
            ("background", false.into()),
            ("instructions", or_null("instructions")),
            ("max_output_tokens", request.max_output_tokens.into()),
            ("max_tool_calls", Value::Null),
            ("metadata", json!({})),
            ("parallel_tool_calls", or("parallel_tool_calls", true.into())),
            ("previous_response_id", Value::Null),
            ("prompt_cache_key", or_null("prompt_cache_key")),
            ("reasoning", json!({"effort": reasoning("effort"), "summary": null})),
            ("store", false.into()),
            ("temperature", or_null("temperature")),
            ("text", text),
            ("tool_choice", or("tool_choice", "auto".into())),
            ("tools", flat_tools(sent("tools"))),
            ("top_logprobs", or("top_logprobs", 0.into())),
            ("top_p", or_null("top_p")),
            ("truncation", "disabled".into()),
        ];
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (String, Value)> + '_ {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone()))
    }
}
