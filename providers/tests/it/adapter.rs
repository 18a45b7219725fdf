//! The only file of these tests that names the crate's API: a client's request on its way to a vendor, and the vendor's
//! answer on its way back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::Duration;

use providers::catalogue::{MISTRAL_TOML, Model, OPENAI_TOML, Operation, ProviderCatalogue};
use providers::chat::{ChatRequest, InvalidRequest};
use providers::error::ProviderError;
use providers::stream::AnswerFacts;
use providers::transport::{BreakerSettings, Deadlines, TransportSettings};
use providers::upstream::{CallContext, ChatCall, ChatReply, Upstream, encode};
use providers::{Dialect, ProviderId};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::loopback::{Reply, Vendor};

/// The dialects, by the names that fixtures use.
pub const DIALECTS: &[&str] = &["openai", "mistral", "compatible"];
/// The endpoints, by the names that fixtures use.
pub const ENDPOINTS: &[&str] = &["chat", "responses", "embeddings", "moderations"];

/// The output limit that was reserved for: what every encoded body carries.
pub const RESERVED_OUTPUT_TOKENS: u64 = 500;
/// Day on which the shipped catalogue is read.
const TODAY: &str = "2026-11-24";

/// Fixtures whose expectation the adapters do not meet yet, and why.
pub const WAITING: &[(&str, &str)] = &[
    ("openai/chat_stream_no_done", "a stream without [DONE] panics: the body is polled again after its end"),
    (
        "openai/chat_stream_done_without_blank_line",
        "a stream without [DONE] panics: the body is polled again after its end",
    ),
    ("mistral/chat_stream_no_done", "a stream without [DONE] panics: the body is polled again after its end"),
    ("mistral/chat_stream_cut_last_text", "a stream without [DONE] panics: the body is polled again after its end"),
    ("openai/chat_stream_cut_midframe", "a stream cut within a frame is reported as unreadable JSON, not as cut"),
    ("mistral/chat_stream_cut_midframe", "a stream cut within a frame is reported as unreadable JSON, not as cut"),
    (
        "openai/chat_stream_n2_cut",
        "with n = 2 a stream cut after the first finish reason counts as whole (and panics, as above)",
    ),
    (
        "mistral/chat_stream_n2_cut",
        "with n = 2 a stream cut after the first finish reason counts as whole (and panics, as above)",
    ),
    ("mistral/chat_stream_tools_fragments", "continuations of a tool call repeat id, type and name"),
    (
        "mistral/chat_stream_tools_null_id",
        "continuations of a tool call repeat id, type and name; a new id without an index of its own does not open the next call",
    ),
    ("mistral/chat_stream_tools_no_index", "a new id without an index of its own does not open the next call"),
    ("mistral/chat_stream_tools_index_zero", "another id at the index of an open call is merged into it"),
    ("mistral/chat_stream_tools_later_pair", "two calls in one chunk are numbered from 0, whatever index they carry"),
    ("mistral/chat_stream_tools_object_arguments", "arguments sent as an object reach the client as an object"),
    ("mistral/chat_tools", "Mistral's index stays on the calls of a whole answer"),
    ("mistral/chat_tools_parallel", "Mistral's index stays on the calls of a whole answer"),
    ("mistral/chat_tools_with_text", "Mistral's index stays on the calls of a whole answer"),
    ("mistral/chat_tools_object_arguments", "arguments sent as an object reach the client as an object"),
    ("mistral/chat_tools_without_type", "a call without type reaches the client without one"),
    ("mistral/chat_error_object", "an unwrapped error in a 200 loses its sentence ('no choices')"),
    ("openai/chat_stream_error_first", "every error event is a server failure, whatever its code says"),
    ("mistral/chat_stream_error_object", "every error event is a server failure, whatever its code says"),
    ("compatible/chat_stream_llamacpp_error_event", "every error event is a server failure, whatever its code says"),
    (
        "compatible/chat_stream_error_after_text",
        "an unwrapped error event of a compatible host is passed on as a chunk, and the answer counts as whole",
    ),
    ("compatible/error_400_llamacpp_context", "llama.cpp's words for a prompt that is too long are not known"),
    ("compatible/error_422_model", "a code in `error` hides the sentence in `message`"),
    (
        "compatible/chat_vllm",
        "what a compatible host leaves out (refusal, logprobs) is not added, its nulls are not taken out",
    ),
    (
        "compatible/chat_vllm_tools",
        "what a compatible host leaves out (refusal, logprobs) is not added, its nulls are not taken out",
    ),
    (
        "compatible/chat_llamacpp",
        "what a compatible host leaves out (refusal, logprobs) is not added, its nulls are not taken out",
    ),
    (
        "compatible/chat_stream_vllm_reasoning",
        "prompt_tokens_details: null is passed on; the published schema wants an object",
    ),
    ("compatible/chat_stream_two_data_lines", "an event of two data lines with CRLF leaves with its second line bare"),
    ("requests/field_tools_description_null.openai", "a null where the published schema wants a text or nothing"),
    ("requests/client_llm.openai", "a null where the published schema wants a text or nothing"),
    (
        "requests/field_response_format_json_schema_nulls.openai",
        "a null where the published schema wants a text or nothing",
    ),
    ("requests/field_tools_mistral_web_search.openai", "Mistral's own tools are sent to others"),
    ("requests/client_cursor_mixed_tools.openai", "flat tools are not nested"),
    ("requests/field_tools_description_null.compatible", "a null where the published schema wants a text or nothing"),
    ("requests/client_llm.compatible", "a null where the published schema wants a text or nothing"),
    (
        "requests/field_response_format_json_schema_nulls.compatible",
        "a null where the published schema wants a text or nothing",
    ),
    ("requests/field_tools_mistral_web_search.compatible", "Mistral's own tools are sent to others"),
    ("requests/client_cursor_mixed_tools.compatible", "flat tools are not nested"),
    (
        "requests/field_unknown.openai",
        "OpenAI refuses unknown fields; wire facts section 2: forward by allow-list, name what was dropped",
    ),
    (
        "requests/field_top_k_min_p.openai",
        "OpenAI refuses unknown fields; wire facts section 2: forward by allow-list, name what was dropped",
    ),
    ("requests/message_unknown_role.openai", "a role that no vendor knows is sent"),
    ("requests/message_user_without_content.openai", "a user message without content is sent"),
    ("requests/message_user_content_null.openai", "a user message without content is sent"),
    ("requests/message_unknown_role.mistral", "a role that no vendor knows is sent"),
    ("requests/message_user_without_content.mistral", "a user message without content is sent"),
    ("requests/message_unknown_role.compatible", "a role that no vendor knows is sent"),
    ("requests/message_user_without_content.compatible", "a user message without content is sent"),
    ("requests/message_user_content_null.compatible", "a user message without content is sent"),
    ("requests/client_cursor.mistral", "Cursor's body (input, flat tools) at /chat/completions is not understood"),
    ("requests/client_cursor.openai", "Cursor's body (input, flat tools) at /chat/completions is not understood"),
    ("requests/client_cursor.compatible", "Cursor's body (input, flat tools) at /chat/completions is not understood"),
    ("requests/client_cursor_mixed_tools.mistral", "flat tools are refused"),
    ("requests/field_prediction_parts.mistral", "a prediction in parts is not joined: Mistral wants a text"),
    ("requests/field_reasoning_effort_max.mistral", "`max` is not in Mistral's list"),
    ("requests/field_response_format_json_schema_without_schema.mistral", "Mistral requires a schema"),
    ("requests/field_tool_choice_allowed_tools.mistral", "allowed_tools is not translated"),
    ("requests/field_seed_decimal.mistral", "7.0 is an integer to JSON, and becomes seed 0"),
    ("requests/field_logit_bias_empty.mistral", "an empty logit_bias asks for nothing, and is refused"),
    ("requests/field_moderation.mistral", "dropped in silence; wire facts section 2: refuse"),
    ("requests/field_verbosity.mistral", "dropped in silence; wire facts section 2: refuse"),
    ("requests/message_assistant_refusal_part.mistral", "the text of a refusal part is lost: an empty list is sent"),
    (
        "requests/message_assistant_refusal_text.mistral",
        "the text of a refusal is lost: an assistant message without anything is sent",
    ),
    ("requests/message_tool_custom_call.mistral", "a custom call is sent without what it needs"),
    ("requests/message_function_role_alone.mistral", "the old function role and call are sent or lost"),
];

/// Mistakes in generated documents that the adapters still make: what, where in the document, and why.
pub const WAITING_MISTAKES: &[(&str, &str, &str)] = &[
    ("chat for mistral", "/messages/*/role", "the function role is sent to Mistral, which has none"),
    ("chat for mistral", "/messages/*/tool_calls", "custom tool calls are sent without their function"),
    ("chat for mistral", "/prediction/content", "a prediction in parts is not joined"),
    ("chat for mistral", "/response_format/json_schema", "a json_schema without its schema is sent"),
    ("chat for mistral", "/tool_choice", "allowed_tools is not translated"),
    ("chat for mistral", "/reasoning_effort", "`max` is not in Mistral's list"),
    ("a whole answer of mistral", "/choices/*/message/tool_calls/*", "a tool call without id or type is passed on"),
    (
        "a whole answer of mistral",
        "/choices/*/message/tool_calls/*/function/arguments",
        "arguments sent as an object are passed on as one",
    ),
    ("a whole answer of mistral", "/service_tier", "a tier that OpenAI does not know is passed on"),
    (
        "a whole answer of mistral",
        "/usage",
        "an absent usage is written as null, which the schema forbids in a whole answer",
    ),
    (
        "a chunk of mistral",
        "/choices/*/delta/tool_calls/*/function/arguments",
        "arguments sent as an object are passed on as one in a stream",
    ),
];

/// A body for a vendor.
pub struct Sent {
    pub path: String,
    pub body: Value,
    pub dropped: Vec<String>,
}

/// A request that was not sent.
pub struct Refused {
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

/// How an answer failed.
#[derive(Debug, PartialEq)]
pub struct Failure {
    pub kind: &'static str,
    pub message: String,
    pub param: Option<String>,
    pub code: Option<String>,
}

/// What came back from a vendor.
#[derive(Debug, PartialEq)]
pub struct Received {
    /// The bytes for the client, up to a failure.
    pub bytes: Vec<u8>,
    /// What the ledger gets.
    pub facts: Value,
    pub failure: Option<Failure>,
}

/// Whether the adapters know an endpoint yet.
pub fn knows(endpoint: &str) -> bool {
    endpoint == "chat"
}

/// The request as a vendor gets it: parsed, then encoded for `dialect`.
pub fn send(dialect: &str, endpoint: &str, body: &[u8]) -> Result<Sent, Refused> {
    assert!(knows(endpoint), "{endpoint}");
    let context = context(dialect, endpoint, requested_model(body).as_deref());
    let request = ChatRequest::parse(body).map_err(refused)?;
    let encoded = encode(dialect_of(dialect), &request, &context).map_err(refused)?;
    let body = serde_json::from_slice(&encoded.body).unwrap();
    Ok(Sent { path: "/chat/completions".to_owned(), body, dropped: encoded.dropped })
}

/// Ids of the catalogue's models that can serve an endpoint of a dialect.
pub fn models(dialect: &str, endpoint: &str) -> Vec<String> {
    let operation = if endpoint == "embeddings" { Operation::Embeddings } else { Operation::Chat };
    let ids = catalogue(dialect).ids_at(TODAY.parse().unwrap());
    ids.filter(|(_, model)| model.operation == operation).map(|(id, _)| id.to_owned()).collect()
}

/// The vendor's answer as the client of `request` gets it.
pub fn receive(dialect: &str, endpoint: &str, request: &[u8], reply: Reply) -> Received {
    assert!(knows(endpoint), "{endpoint}");
    let client = ChatRequest::parse(request).unwrap();
    let context = context(dialect, endpoint, Some(&client.model));
    let encoded = encode(dialect_of(dialect), &client, &context).unwrap();
    let vendor = Vendor::start(reply);
    let call = ChatCall {
        base_url: vendor.base_url(),
        body: encoded.body,
        stream: client.stream,
        include_usage: client.include_usage,
        request_id: "fixture".to_owned(),
    };
    // A panic is a finding about one transcript, not the end of all the others.
    let dialect = dialect_of(dialect);
    let received = catch_unwind(AssertUnwindSafe(|| RUNTIME.block_on(read(dialect, call))));
    vendor.join();
    received.unwrap_or_else(|_| {
        let failure = Failure { kind: "panic", message: "the adapter panicked".to_owned(), param: None, code: None };
        Received { bytes: Vec::new(), facts: Value::Null, failure: Some(failure) }
    })
}

fn upstream(dialect: Dialect) -> Upstream {
    let settings = TransportSettings {
        deadlines: Deadlines {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(60),
        },
        max_concurrency: 8,
        permit_wait: Duration::from_secs(1),
        breaker: BreakerSettings { failures: u32::MAX, pause: Duration::from_secs(1) },
    };
    Upstream::new(ProviderId::new("vendor"), dialect, "not-a-key".to_owned().into(), &settings)
}

async fn read(dialect: Dialect, call: ChatCall) -> Received {
    static UPSTREAMS: LazyLock<[Upstream; 3]> =
        LazyLock::new(|| [Dialect::Openai, Dialect::Mistral, Dialect::Compatible].map(upstream));
    let upstream = UPSTREAMS.iter().find(|upstream| upstream.dialect() == dialect).unwrap();
    let mut stream = match upstream.chat(call).await {
        Err(error) => return Received { bytes: Vec::new(), facts: Value::Null, failure: Some(failure(error)) },
        Ok(ChatReply::Whole(answer)) => {
            return Received { bytes: answer.body.to_vec(), facts: facts(&answer.facts), failure: None };
        }
        Ok(ChatReply::Stream(stream)) => stream,
    };
    let mut bytes = Vec::new();
    let mut failed = None;
    while let Some(item) = stream.next().await {
        match item {
            Ok(piece) => bytes.extend_from_slice(&piece.bytes),
            Err(error) => failed = Some(failure(error)),
        }
    }
    Received { bytes, facts: facts(stream.facts()), failure: failed }
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
static OPENAI: LazyLock<ProviderCatalogue> = LazyLock::new(|| ProviderCatalogue::parse(OPENAI_TOML).unwrap());
static MISTRAL: LazyLock<ProviderCatalogue> = LazyLock::new(|| ProviderCatalogue::parse(MISTRAL_TOML).unwrap());

fn dialect_of(name: &str) -> Dialect {
    match name {
        "openai" => Dialect::Openai,
        "mistral" => Dialect::Mistral,
        "compatible" => Dialect::Compatible,
        other => panic!("no dialect {other}"),
    }
}

/// A compatible host has no catalogue of its own: Mistral's open models are what such hosts serve.
fn catalogue(dialect: &str) -> &'static ProviderCatalogue {
    if dialect == "openai" { &OPENAI } else { &MISTRAL }
}

fn requested_model(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(body).ok()?.get("model")?.as_str().map(str::to_owned)
}

/// The model asked for where that vendor has it, else one that can serve the endpoint.
fn model_for(dialect: &str, endpoint: &str, asked: Option<&str>) -> &'static Model {
    let fallback = match (dialect, endpoint) {
        ("openai", "embeddings") => "text-embedding-3-small",
        ("openai", _) => "gpt-6-luna",
        (_, "embeddings") => "mistral-embed-2312",
        (_, _) => "mistral-small-2603",
    };
    let day = TODAY.parse().unwrap();
    let found = asked.and_then(|id| catalogue(dialect).resolve(id, day));
    found.or_else(|| catalogue(dialect).resolve(fallback, day)).unwrap()
}

fn context(dialect: &str, endpoint: &str, asked: Option<&str>) -> CallContext<'static> {
    let model = model_for(dialect, endpoint, asked);
    // No price list names moderation models: they are free of charge.
    let model_id = match (dialect, endpoint) {
        ("mistral", "moderations") => "mistral-moderation-latest",
        (_, "moderations") => "omni-moderation-latest",
        _ => &model.id,
    };
    CallContext { model_id, model, max_output_tokens: RESERVED_OUTPUT_TOKENS, safety_identifier: "resident-hash" }
}

fn refused(error: InvalidRequest) -> Refused {
    Refused { param: error.param, code: error.code }
}

fn failure(error: ProviderError) -> Failure {
    Failure { kind: error.kind.label(), message: error.message, param: error.param, code: error.code }
}

fn facts(facts: &AnswerFacts) -> Value {
    let usage = facts.usage.as_ref().map(|reported| {
        let usage = &reported.usage;
        json!({
            "input_uncached": usage.input_uncached,
            "input_cached": usage.input_cached,
            "cache_write": usage.cache_write,
            "output_visible": usage.output_visible,
            "reasoning": usage.reasoning,
            "consistent": reported.consistent,
        })
    });
    json!({
        "response_model": facts.response_model,
        "upstream_id": facts.upstream_id,
        "finish_reason": facts.finish_reason,
        "service_tier": facts.service_tier,
        "output_chars": facts.output_chars,
        "usage": usage,
    })
}
