//! The only file of these tests that names the crate's API: a client's request on its way to a vendor, and the vendor's
//! answer on its way back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::Duration;

use providers::catalogue::{MISTRAL_TOML, Model, OPENAI_TOML, Operation, ProviderCatalogue};
use providers::chat::InvalidRequest;
use providers::error::ProviderError;
use providers::request::{ApiRequest, Endpoint};
use providers::stream::AnswerFacts;
use providers::transcription::TranscriptionRequest;
use providers::transport::{BreakerSettings, Deadlines, TransportSettings};
use providers::upload::Upload;
use providers::upstream::{CallContext, Encoded, Reply as UpstreamReply, Upstream, encode};
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
/// What the resident's plan allows of tools that run at the vendor.
const TOOL_CALLS_OF_THE_PLAN: u64 = 3;
/// Day on which the shipped catalogue is read.
const TODAY: &str = "2026-11-24";

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

/// Reads a client's request. A transcription is no JSON: its fields are, in these fixtures, and the recording is any
/// file.
fn parse(endpoint: &str, body: &[u8]) -> Result<ApiRequest, InvalidRequest> {
    let endpoint = match endpoint {
        "chat" => Endpoint::Chat,
        "responses" => Endpoint::Responses,
        "embeddings" => Endpoint::Embeddings,
        "moderations" => Endpoint::Moderations,
        "transcription" => {
            let fields: serde_json::Map<String, Value> = serde_json::from_slice(body).unwrap();
            let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let fields = fields.into_iter().map(|(name, value)| (name, text(value))).collect();
            let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
            let length = file.metadata().unwrap().len();
            let upload = Upload::new(file, length, "conseil municipal.wav".to_owned(), Some("audio/wav".to_owned()));
            return TranscriptionRequest::new(fields, upload).map(ApiRequest::Transcription);
        }
        other => panic!("no endpoint {other}"),
    };
    ApiRequest::parse(endpoint, body)
}

/// The request as a vendor gets it: parsed, then encoded for `dialect`.
pub fn send(dialect: &str, endpoint: &str, body: &[u8]) -> Result<Sent, Refused> {
    let mut context = context(dialect, endpoint, requested_model(body).as_deref());
    let request = parse(endpoint, body).map_err(refused)?;
    // What the model cannot take is refused before anything is encoded.
    let bound = request.bound(context.model, RESERVED_OUTPUT_TOKENS).map_err(refused)?;
    let price = context.model.price_at(TODAY.parse().unwrap()).unwrap();
    context.tool_calls = request.tool_calls(dialect_of(dialect), price, TOOL_CALLS_OF_THE_PLAN);
    context.service_tier = request.cheaper_tier(dialect_of(dialect), price, &bound);
    let encoded = encode(dialect_of(dialect), &request, &context).map_err(refused)?;
    let body = serde_json::from_slice(encoded.json().unwrap()).unwrap();
    Ok(Sent { path: encoded.path.to_owned(), body, dropped: encoded.dropped })
}

/// Ids of the catalogue's models that can serve an endpoint of a dialect.
pub fn models(dialect: &str, endpoint: &str) -> Vec<String> {
    let operation = match endpoint {
        "embeddings" => Operation::Embeddings,
        "moderations" => Operation::Moderation,
        _ => Operation::Chat,
    };
    let ids = catalogue(dialect).ids_at(TODAY.parse().unwrap());
    ids.filter(|(_, model)| model.operation == operation).map(|(id, _)| id.to_owned()).collect()
}

/// The vendor's answer as the client of `request` gets it.
pub fn receive(dialect: &str, endpoint: &str, request: &[u8], reply: Reply) -> Received {
    let client = parse(endpoint, request).unwrap();
    let context = context(dialect, endpoint, Some(client.model()));
    let encoded = encode(dialect_of(dialect), &client, &context).unwrap();
    let vendor = Vendor::start(reply);
    let base_url = vendor.base_url();
    // A panic is a finding about one transcript, not the end of all the others.
    let dialect = dialect_of(dialect);
    let received = catch_unwind(AssertUnwindSafe(|| RUNTIME.block_on(read(dialect, &base_url, &encoded))));
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
    Upstream::new(ProviderId::new("vendor"), dialect, &"not-a-key".to_owned().into(), &settings)
}

async fn read(dialect: Dialect, base_url: &str, encoded: &Encoded) -> Received {
    static UPSTREAMS: LazyLock<[Upstream; 3]> =
        LazyLock::new(|| [Dialect::Openai, Dialect::Mistral, Dialect::Compatible].map(upstream));
    let upstream = UPSTREAMS.iter().find(|upstream| upstream.dialect() == dialect).unwrap();
    let mut stream = match upstream.call(base_url, encoded, "req_fixture", None).await {
        Err(error) => return Received { bytes: Vec::new(), facts: Value::Null, failure: Some(failure(error)) },
        Ok(UpstreamReply::Whole(answer)) => {
            return Received { bytes: answer.body.to_vec(), facts: facts(&answer.facts), failure: None };
        }
        Ok(UpstreamReply::Stream(stream)) => stream,
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
        ("openai", "moderations") => "omni-moderation-2024-09-26",
        ("openai", "transcription") => "whisper-1",
        ("openai", _) => "gpt-6-luna",
        (_, "embeddings") => "mistral-embed-2312",
        (_, "moderations") => "mistral-moderation-2603",
        (_, "transcription") => "voxtral-mini-2602",
        (_, _) => "mistral-small-2603",
    };
    let day = TODAY.parse().unwrap();
    let found = asked.and_then(|id| catalogue(dialect).resolve(id, day));
    found.or_else(|| catalogue(dialect).resolve(fallback, day)).unwrap()
}

fn context(dialect: &str, endpoint: &str, asked: Option<&str>) -> CallContext<'static> {
    let model = model_for(dialect, endpoint, asked);
    CallContext {
        model_id: &model.id,
        model,
        max_output_tokens: RESERVED_OUTPUT_TOKENS,
        tool_calls: 0,
        service_tier: None,
        safety_identifier: "resident-hash",
        request_id: "req_fixture",
    }
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
        let mut facts = json!({
            "input_uncached": usage.input_uncached,
            "input_cached": usage.input_cached,
            "cache_write": usage.cache_write,
            "output_visible": usage.output_visible,
            "reasoning": usage.reasoning,
            "consistent": reported.consistent,
        });
        if usage.tool_calls.web_search > 0 {
            facts["web_search_calls"] = usage.tool_calls.web_search.into();
        }
        facts
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
