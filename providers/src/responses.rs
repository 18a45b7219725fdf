//! OpenAI's Responses API, to chat completions and back.
//!
//! OpenAI itself gets such a request as it came, less what must not leave; every other host gets the chat request it
//! means, and its chat answer, whole or streamed, is written as a Response. Nothing is stored, so whatever refers to
//! something stored is refused. It must not know vendors other than OpenAI, prices or residents.

use serde_json::{Map, Value};

use crate::chat::{ChatRequest, InvalidRequest, parse_object, wrong_type};
use crate::request::in_input;

mod answer;
mod echo;
mod events;
mod input;
mod item;
mod native;
mod parts;
mod request;
mod tools;

pub(crate) use answer::answer_from_chat;
pub(crate) use echo::Echo;
pub(crate) use events::EventWriter;
pub(crate) use native::{NativeEvent, NativeReader, native_body};
pub use request::chat_map;
pub(crate) use tools::nest_tools;

/// Smallest output limit, in tokens: `max_output_tokens` of the published `CreateResponse`.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// A parsed request of the Responses API.
#[derive(Clone, Debug)]
pub struct ResponsesRequest {
    /// The model or route asked for.
    pub model: String,
    /// Whether the answer is wanted as a stream of events.
    pub stream: bool,
    /// The output limit the client asked for, in tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Everything else, untouched and in its order.
    pub body: Map<String, Value>,
    /// Length of the body as received, in bytes.
    pub body_bytes: u64,
    /// The same request as chat.
    pub chat: ChatRequest,
    /// Fields that were set and that chat has no place for: they are lost on every host but OpenAI.
    pub dropped: Vec<String>,
    /// The search of the web among its tools: it runs at the vendor and is billed apart, so not every plan allows it.
    pub search: Option<Search>,
}

/// A search of the web, asked for as a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Its place among the tools.
    pub place: usize,
    /// Most calls of such tools that the client wants.
    pub max_calls: Option<u64>,
}

impl ResponsesRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a body that is not a JSON object, for what would need state or tools that run at a
    /// vendor, and for values of the wrong type where the gateway has to act on them.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let body_bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let mut body = parse_object(body, "a Responses request")?;
        let max_output_tokens = output_limit(&body)?;
        let search = search(&body)?;
        let translated = request::translate(&body, request::Surface::Responses)?;
        let chat = ChatRequest::from_map(translated.chat, body_bytes).map_err(in_input)?;
        for key in ["model", "stream", "max_output_tokens"] {
            body.shift_remove(key);
        }
        let stream = chat.stream;
        let model = chat.model.clone();
        Ok(Self { model, stream, max_output_tokens, body, body_bytes, chat, dropped: translated.dropped, search })
    }
}

fn output_limit(body: &Map<String, Value>) -> Result<Option<u64>, InvalidRequest> {
    const KEY: &str = "max_output_tokens";
    match body.get(KEY) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(limit) if limit >= MIN_OUTPUT_TOKENS => Ok(Some(limit)),
            _ => Err(wrong_type(KEY, &format!("a whole number of at least {MIN_OUTPUT_TOKENS}"))),
        },
    }
}

/// The search among the tools, and its limit where the client gives one.
fn search(body: &Map<String, Value>) -> Result<Option<Search>, InvalidRequest> {
    const KEY: &str = "max_tool_calls";
    let Some(place) = body.get("tools").and_then(Value::as_array).into_iter().flatten().position(tools::is_search)
    else {
        return Ok(None);
    };
    let max_calls = match body.get(KEY) {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_u64() {
            Some(limit) if limit > 0 => Some(limit),
            _ => return Err(wrong_type(KEY, "a whole number of at least 1")),
        },
    };
    Ok(Some(Search { place, max_calls }))
}

/// True for a body in the shape of the Responses API that was posted where chat requests are (Cursor does).
pub fn is_responses_shaped(body: &Map<String, Value>) -> bool {
    body.contains_key("input") && !body.contains_key("messages")
}

/// The chat request that a body in the shape of the Responses API means. Keys of chat that are there too are kept, and
/// win over what they would be translated from; what only the Responses API knows is left out.
///
/// # Errors
/// [`InvalidRequest`] as [`ResponsesRequest::parse`], but `store` is left out silently.
pub fn chat_from_responses_shape(body: &Map<String, Value>) -> Result<Map<String, Value>, InvalidRequest> {
    Ok(request::translate(body, request::Surface::Chat)?.chat)
}

#[cfg(test)]
mod tests;
