//! OpenAI's own Responses: what it is sent, and its answers and events read on the side.
//!
//! The client speaks the same API, so answers and events are forwarded as they came.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::ResponsesRequest;
use super::tools::native_tools;
use crate::error::{ErrorKind, ProviderError};
use crate::stream::{error_event, unreadable};
use crate::upstream::CallContext;
use crate::usage::ToolCalls;

/// Fields that never reach the vendor as the client sent them: they identify the client, choose a dearer tier, or make
/// the vendor work (compact the conversation, keep a cache for long) beyond what the request's ceiling covers.
const WITHHELD: &[&str] = &[
    "user",
    "metadata",
    "service_tier",
    "safety_identifier",
    "context_management",
    "prompt_cache_options",
    "prompt_cache_retention",
];
/// Fields that mean nothing where nothing is stored, and that are refused when they would.
const STATELESS: &[&str] = &["store", "background", "previous_response_id", "conversation", "prompt"];

/// The body for OpenAI's `/responses`: the client's own, never stored, at the standard tier or a cheaper one, with the
/// limits of output and of tool calls that were reserved. What is left out is named in `dropped`.
///
/// Reasoning that is not encrypted and searches already made are left out too: OpenAI looks them up by their id, and
/// refuses the request because they were never stored, or were another vendor's.
pub(crate) fn native_body(
    request: &ResponsesRequest,
    context: &CallContext<'_>,
    dropped: &mut Vec<String>,
) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".into(), context.model_id.into());
    for (key, value) in request.body.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "service_tier" if context.service_tier.is_some() => {}
            name if WITHHELD.contains(&name) => dropped.push(key.clone()),
            name if STATELESS.contains(&name) => {}
            "prompt_cache_key" => drop(body.insert(key.clone(), context.cache_key(value))),
            "tools" => drop(body.insert(key.clone(), native_tools(value, dropped))),
            "reasoning" => drop(body.insert(key.clone(), standard_reasoning(value, dropped))),
            "input" => drop(body.insert(key.clone(), without_what_is_not_stored(value, dropped))),
            "stream_options" => {
                let names =
                    value.as_object().into_iter().flat_map(Map::keys).filter(|name| *name != "include_obfuscation");
                dropped.extend(names.map(|name| format!("stream_options.{name}")));
            }
            _ => drop(body.insert(key.clone(), value.clone())),
        }
    }
    body.insert("stream".into(), request.stream.into());
    if request.stream {
        let options = request.body.get("stream_options");
        let asked = options.and_then(|options| options.get("include_obfuscation")?.as_bool());
        body.insert("stream_options".into(), json!({"include_obfuscation": asked.unwrap_or(false)}));
    }
    body.insert("max_output_tokens".into(), context.max_output_tokens.into());
    if request.search.is_some() {
        body.insert("max_tool_calls".into(), context.tool_calls.into());
    }
    body.insert("store".into(), false.into());
    body.insert("service_tier".into(), context.service_tier.unwrap_or("default").into());
    body.insert("safety_identifier".into(), context.safety_identifier.into());
    body
}

/// The reasoning asked for, at the standard mode: a dearer one is the town's to decide.
fn standard_reasoning(reasoning: &Value, dropped: &mut Vec<String>) -> Value {
    let mut reasoning = reasoning.clone();
    if let Some(mode) = reasoning.as_object_mut().and_then(|object| object.shift_remove("mode"))
        && !mode.is_null()
        && mode != "standard"
    {
        dropped.push("reasoning.mode".to_owned());
    }
    reasoning
}

/// The input without what the vendor would look up by its id: nothing is stored there.
fn without_what_is_not_stored(input: &Value, dropped: &mut Vec<String>) -> Value {
    let Some(items) = input.as_array() else { return input.clone() };
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let lost = match item.get("type").and_then(Value::as_str) {
            Some("reasoning") if !item.get("encrypted_content").is_some_and(Value::is_string) => "input.reasoning",
            Some("web_search_call") => "input.web_search_call",
            _ => {
                kept.push(item.clone());
                continue;
            }
        };
        if !dropped.iter().any(|name| name == lost) {
            dropped.push(lost.to_owned());
        }
    }
    kept.into()
}

/// What is known of one of OpenAI's Responses, read as its events or its whole pass by.
#[derive(Debug, Default)]
pub(crate) struct NativeReader {
    /// The model id the vendor returned.
    pub(crate) response_model: Option<String>,
    /// The vendor's id of the answer.
    pub(crate) upstream_id: Option<String>,
    /// Why it ended, in chat's words: `stop`, `length`, `content_filter` or `tool_calls`. `None` until it has, and
    /// when it failed.
    pub(crate) finish_reason: Option<String>,
    /// The usage, in the vendor's shape (`input_tokens`, `output_tokens`, …). A failed answer may have one.
    pub(crate) usage: Option<Value>,
    /// Service tier the vendor says it used.
    pub(crate) service_tier: Option<String>,
    /// Characters of visible text so far.
    pub(crate) output_chars: u64,
    /// Tools that ran at the vendor and that it bills apart.
    pub(crate) tool_calls: ToolCalls,
}

/// What one event, or a whole answer, brought.
#[derive(Debug, Default)]
pub(crate) struct NativeEvent {
    /// Characters of visible text in it.
    pub(crate) visible_chars: u64,
    /// Whether it holds content of any kind, reasoning and tool calls included.
    pub(crate) has_content: bool,
    /// Whether nothing comes after it.
    pub(crate) terminal: bool,
    /// Why the answer failed.
    pub(crate) error: Option<ProviderError>,
}

/// An event; what only some events need stays unparsed.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
}

/// The parts of a Response that the gateway needs; what it repeats of the request is skipped over.
#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    incomplete_details: Option<Value>,
    #[serde(default)]
    output: Option<Vec<Value>>,
}

impl NativeReader {
    /// Reads the data of one event.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] for data that is not an event. A failure that the vendor reports is no error here but in
    /// [`NativeEvent::error`], because its usage counts.
    pub(crate) fn event(&mut self, data: &[u8]) -> Result<NativeEvent, ProviderError> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(|_| unreadable())?;
        match event.kind {
            "response.created" | "response.completed" | "response.incomplete" | "response.failed" => {
                let raw = event.response.ok_or_else(unreadable)?;
                let response: Response = serde_json::from_str(raw.get()).map_err(|_| unreadable())?;
                let terminal = event.kind != "response.created";
                let failed = event.kind == "response.failed";
                let error = if terminal { self.end(&response, failed) } else { None };
                self.head(response);
                Ok(NativeEvent { terminal, error, ..NativeEvent::default() })
            }
            "error" => {
                let whole: Value = serde_json::from_slice(data).map_err(|_| unreadable())?;
                Ok(NativeEvent { terminal: true, error: Some(error_event(&whole)), ..NativeEvent::default() })
            }
            "response.output_item.done" => {
                let item = event.item.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
                self.tool_calls.web_search += u64::from(item.as_ref().is_some_and(is_billed_search));
                Ok(NativeEvent::default())
            }
            kind if kind.ends_with(".delta") => {
                let visible = matches!(kind, "response.output_text.delta" | "response.refusal.delta");
                let text =
                    event.delta.filter(|_| visible).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
                let visible_chars = text.as_deref().map(chars).unwrap_or(0);
                self.output_chars += visible_chars;
                let has_content = event.delta.is_some_and(|delta| delta.get() != "\"\"");
                Ok(NativeEvent { visible_chars, has_content, ..NativeEvent::default() })
            }
            _ => Ok(NativeEvent::default()),
        }
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    /// As [`NativeReader::event`].
    pub(crate) fn answer(&mut self, body: &[u8]) -> Result<NativeEvent, ProviderError> {
        let response: Response = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let error = self.end(&response, false);
        let output = response.output.as_deref().unwrap_or_default();
        let messages = output.iter().filter(|item| item.get("type").is_some_and(|kind| kind == "message"));
        let parts = messages.filter_map(|item| item.get("content")?.as_array()).flatten();
        let texts = parts.filter_map(|part| part.get("text").or_else(|| part.get("refusal"))?.as_str());
        let visible_chars = texts.map(chars).sum();
        let has_content = !output.is_empty();
        self.output_chars = visible_chars;
        self.head(response);
        Ok(NativeEvent { visible_chars, has_content, terminal: true, error })
    }

    fn head(&mut self, response: Response) {
        for (known, new) in [
            (&mut self.response_model, response.model),
            (&mut self.upstream_id, response.id),
            (&mut self.service_tier, response.service_tier),
        ] {
            if new.is_some() {
                *known = new;
            }
        }
        if let Some(usage) = response.usage {
            self.usage = Some(usage);
        }
        if let Some(output) = response.output.filter(|output| !output.is_empty()) {
            // The whole list, so what was counted item by item is in it.
            let searches = output.iter().filter(|item| is_billed_search(item)).count();
            self.tool_calls.web_search = u64::try_from(searches).unwrap_or(u64::MAX);
        }
    }

    /// Notes how an answer ended, or says why it failed.
    fn end(&mut self, response: &Response, failed: bool) -> Option<ProviderError> {
        let calls_a_tool = |item: &Value| {
            matches!(item.get("type").and_then(Value::as_str), Some("function_call" | "custom_tool_call"))
        };
        let reason = match response.status.as_deref() {
            _ if failed => None,
            Some("completed") if response.output.iter().flatten().any(calls_a_tool) => Some("tool_calls"),
            Some("completed") => Some("stop"),
            Some("incomplete") => {
                let details = response.incomplete_details.as_ref();
                match details.and_then(|details| details.get("reason")?.as_str()) {
                    Some("content_filter") => Some("content_filter"),
                    _ => Some("length"),
                }
            }
            _ => None,
        };
        self.finish_reason = reason.map(str::to_owned);
        if reason.is_some() {
            return None;
        }
        Some(match response.error.as_ref().filter(|error| !error.is_null()) {
            Some(error) => error_event(error),
            None => ProviderError::new(ErrorKind::Server, "The vendor failed to answer."),
        })
    }
}

/// Whether an item is a search that the vendor carried out. Each is taken as billed, pages opened after a search too: an
/// answer is never booked below what the vendor may ask for it.
fn is_billed_search(item: &Value) -> bool {
    let is = |key: &str, wanted: &str| item.get(key).is_some_and(|value| value == wanted);
    is("type", "web_search_call") && is("status", "completed")
}

fn chars(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}
