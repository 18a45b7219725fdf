//! One configured vendor, ready to be called: dialect, stack, key and retry budget.
//!
//! It turns a canonical request into the vendor's, sends it, and turns the answer back. It must not know residents,
//! quotas or the ledger: who may call, and at what price, is decided before.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use tower::ServiceExt;
use tower::retry::budget::{Budget, TpsBudget};

use crate::catalogue::Model;
use crate::chat::{ChatRequest, InvalidRequest};
use crate::error::{ErrorBody, ErrorKind, ProviderError};
use crate::stream::{AnswerFacts, ChatStream, Decoder};
use crate::transport::{ClientPool, HttpService, TransportSettings, UpstreamRequest, UpstreamService, stack};
use crate::{Dialect, ProviderId, compatible, mistral, openai};

/// Longest whole answer accepted, in bytes.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// What an adapter needs beside the request.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    /// The id to send.
    pub model_id: &'a str,
    /// The model behind it.
    pub model: &'a Model,
    /// The output limit that was reserved for, in tokens per choice. Always sent: without it there is no ceiling.
    pub max_output_tokens: u64,
    /// Keyed hash of the resident, for vendors that ask for one.
    pub safety_identifier: &'a str,
}

impl CallContext<'_> {
    /// A client's cache key, prefixed per resident so that nobody shares another's cache.
    pub(crate) fn cache_key(&self, value: &Value) -> Value {
        format!("{}:{}", self.safety_identifier, value.as_str().unwrap_or_default()).into()
    }
}

/// A body for a vendor.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The JSON to send.
    pub body: Bytes,
    /// Names of the client's fields that were left out.
    pub dropped: Vec<String>,
}

/// Builds the body that a vendor of that dialect accepts.
///
/// # Errors
/// [`InvalidRequest`] when the request asks for something that dialect cannot express.
pub fn encode(dialect: Dialect, request: &ChatRequest, context: &CallContext<'_>) -> Result<Encoded, InvalidRequest> {
    match dialect {
        Dialect::Openai => Ok(openai::encode(request, context)),
        Dialect::Mistral => mistral::encode(request, context),
        Dialect::Compatible => Ok(compatible::encode(request, context)),
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct ChatAnswer {
    /// The answer in OpenAI's shape.
    pub body: Bytes,
    /// What the ledger needs of it.
    pub facts: AnswerFacts,
}

/// A vendor's answer, whole or as it comes.
pub enum ChatReply {
    /// Not streamed.
    Whole(ChatAnswer),
    /// Streamed.
    Stream(ChatStream),
}

/// A chat call to one host.
#[derive(Clone, Debug)]
pub struct ChatCall {
    /// Base address of the host, ending in `/v1`.
    pub base_url: String,
    /// The body.
    pub body: Bytes,
    /// Whether to stream.
    pub stream: bool,
    /// Whether the client gets the usage chunk.
    pub include_usage: bool,
    /// Our request id.
    pub request_id: String,
}

/// One vendor with its key and its stack.
pub struct Upstream {
    id: ProviderId,
    dialect: Dialect,
    api_key: SecretString,
    service: UpstreamService,
    retry_budget: TpsBudget,
    pool: Arc<ClientPool>,
}

/// How long a deposit of the retry budget counts.
const RETRY_BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// Retries always allowed, per second.
const RETRY_BUDGET_FLOOR: u32 = 1;
/// Retries allowed beyond the floor, as a share of calls.
const RETRY_BUDGET_SHARE: f32 = 0.1;

impl Upstream {
    /// Builds a vendor from its settings.
    pub fn new(id: ProviderId, dialect: Dialect, api_key: SecretString, settings: &TransportSettings) -> Self {
        let pool = Arc::new(ClientPool::new(settings.deadlines.connect));
        let service = stack(settings, HttpService::new(Arc::clone(&pool), dialect));
        let retry_budget = TpsBudget::new(RETRY_BUDGET_WINDOW, RETRY_BUDGET_FLOOR, RETRY_BUDGET_SHARE);
        Self { id, dialect, api_key, service, retry_budget, pool }
    }

    /// Name of the vendor.
    pub fn id(&self) -> &ProviderId {
        &self.id
    }

    /// Its wire format.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// HTTP clients in use towards it.
    pub fn shards_built(&self) -> usize {
        self.pool.shards_built()
    }

    /// Counts a first attempt in the retry budget.
    pub fn note_first_attempt(&self) {
        self.retry_budget.deposit();
    }

    /// Takes one retry from the budget; false when too large a share of recent calls were retries already.
    pub fn may_retry(&self) -> bool {
        self.retry_budget.withdraw()
    }

    /// Calls the vendor. A streamed call returns at the head of the answer.
    ///
    /// # Errors
    /// [`ProviderError`] when no answer began, or a whole answer could not be read.
    pub async fn chat(&self, call: ChatCall) -> Result<ChatReply, ProviderError> {
        let request = UpstreamRequest {
            url: format!("{}/chat/completions", call.base_url),
            api_key: self.api_key.clone(),
            body: call.body,
            stream: call.stream,
            request_id: call.request_id,
        };
        let response = self.service.clone().oneshot(request).await?;
        let upstream_request_id = request_id(&response.headers);
        if call.stream {
            let decoder = Decoder::new(self.dialect, call.include_usage);
            return Ok(ChatReply::Stream(ChatStream::new(response.body, decoder, upstream_request_id)));
        }
        let mut body = BytesMut::new();
        let mut chunks = response.body;
        while let Some(chunk) = chunks.try_next().await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(ProviderError::new(ErrorKind::Protocol, "The vendor's answer is too long."));
            }
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();
        let (body, mut facts) = match self.dialect {
            Dialect::Openai | Dialect::Compatible => openai::decode_answer(&body)?,
            Dialect::Mistral => mistral::decode_answer(&body)?,
        };
        facts.upstream_request_id = upstream_request_id;
        Ok(ChatReply::Whole(ChatAnswer { body, facts }))
    }
}

/// Headers in which vendors name a request, the first that is there.
const REQUEST_ID_HEADERS: &[&str] = &["x-request-id", "mistral-correlation-id", "x-kong-request-id"];
/// Longer than any vendor's id; what is beyond is no id.
const MAX_REQUEST_ID_CHARS: usize = 128;

/// The vendor's id of a request, for talking to it about its bill.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = REQUEST_ID_HEADERS.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    (value.len() <= MAX_REQUEST_ID_CHARS).then(|| value.to_owned())
}

/// A vendor's refusal: its status, and whichever sentence its body holds.
pub(crate) fn status_error(dialect: Dialect, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
    let parsed = ErrorBody::parse(body);
    let retry_after = headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    ProviderError {
        kind: classify(dialect, status.as_u16(), &parsed),
        status: Some(status.as_u16()),
        message: parsed.message.unwrap_or_else(|| format!("The vendor answered HTTP {}.", status.as_u16())),
        param: parsed.param,
        code: parsed.code,
        retry_after,
        upstream_request_id: request_id(headers),
    }
}

fn classify(dialect: Dialect, status: u16, body: &ErrorBody) -> ErrorKind {
    let code = body.code.as_deref().unwrap_or_default();
    let kind = body.kind.as_deref().unwrap_or_default();
    let says = |part: &str| body.message.as_deref().is_some_and(|message| message.contains(part));
    let spent = |name: &str| matches!(name, "insufficient_quota" | "credit_balance_exhausted");
    match status {
        401 | 403 => ErrorKind::Auth,
        402 => ErrorKind::QuotaExhausted,
        404 => ErrorKind::ModelNotFound,
        429 if spent(code) || spent(kind) => ErrorKind::QuotaExhausted,
        429 if code == "3505" || kind == "service_tier_capacity_exceeded" => ErrorKind::Overloaded,
        429 => ErrorKind::RateLimited,
        503 => ErrorKind::Overloaded,
        400..500 if code == "context_length_exceeded" || says("maximum context length") => ErrorKind::ContextLength,
        400..500 if dialect == Dialect::Mistral && (code == "1500" || kind == "invalid_model") => {
            ErrorKind::ModelNotFound
        }
        400..500 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Server,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalogue::ProviderCatalogue;

    /// Runs `test` with a call context for a model of the shipped catalogue.
    pub(crate) fn with_context<T>(test: impl FnOnce(&CallContext<'_>) -> T) -> T {
        let catalogue = ProviderCatalogue::parse(crate::catalogue::MISTRAL_TOML).unwrap();
        let model = catalogue.resolve("mistral-small-2603", "2026-11-24".parse().unwrap()).unwrap();
        test(&CallContext { model_id: "sent-model", model, max_output_tokens: 500, safety_identifier: "hash" })
    }

    fn kind(dialect: Dialect, status: u16, body: &str) -> ErrorKind {
        status_error(dialect, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes()).kind
    }

    #[test]
    fn a_refusal_is_understood_by_status_and_body() {
        use Dialect::{Mistral, Openai};
        for (dialect, status, body, expected) in [
            (Openai, 401, r#"{"error":{"message":"bad key","code":"invalid_api_key"}}"#, ErrorKind::Auth),
            (
                Openai,
                429,
                r#"{"error":{"message":"spent","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                ErrorKind::QuotaExhausted,
            ),
            (
                Openai,
                429,
                r#"{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}"#,
                ErrorKind::RateLimited,
            ),
            (
                Openai,
                400,
                r#"{"error":{"message":"long","code":"context_length_exceeded","param":"messages"}}"#,
                ErrorKind::ContextLength,
            ),
            (
                Mistral,
                400,
                r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}"#,
                ErrorKind::ModelNotFound,
            ),
            (
                Mistral,
                400,
                r#"{"message":"Prompt contains 9 tokens, too large for model with 8 maximum context length"}"#,
                ErrorKind::ContextLength,
            ),
            (Mistral, 422, r#"{"detail":[{"loc":["body","x"],"msg":"no"}]}"#, ErrorKind::InvalidRequest),
            (
                Mistral,
                429,
                r#"{"type":"service_tier_capacity_exceeded","code":"3505","message":"full"}"#,
                ErrorKind::Overloaded,
            ),
            (Mistral, 504, "", ErrorKind::Server),
        ] {
            assert_eq!(kind(dialect, status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn openai_never_learns_who_asks_nor_stores() {
        let request = ChatRequest::parse(
            br#"{"model":"x","messages":[{"role":"user","content":"a"}],"user":"jean","store":true,"metadata":{"a":"b"},"service_tier":"priority","prompt_cache_key":"k","max_tokens":9,"stream":true,"new_field":1}"#,
        )
        .unwrap();
        let (body, dropped) = with_context(|context| {
            let encoded = openai::encode(&request, context);
            (serde_json::from_slice::<Value>(&encoded.body).unwrap(), encoded.dropped)
        });
        assert_eq!(dropped, ["user", "store", "metadata", "service_tier"]);
        assert_eq!(body["safety_identifier"], "hash");
        assert_eq!(body["store"], false);
        assert_eq!(body["service_tier"], "default");
        assert_eq!(body["prompt_cache_key"], "hash:k");
        assert_eq!(body["max_completion_tokens"], 500, "the reserved limit, whatever was asked");
        assert_eq!(body["stream_options"]["include_usage"], true);
        assert_eq!(body["new_field"], 1);
        assert!(body.get("max_tokens").is_none());
    }
}
