//! One configured vendor, ready to be called: dialect, stack, key and retry budget.
//!
//! It turns a canonical request into the vendor's, sends it, and turns the answer back. It must not know residents,
//! quotas or the ledger: who may call, and at what price, is decided before.

mod encoded;
mod status;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderValue;
use secrecy::SecretString;
use tower::ServiceExt;
use tower::retry::budget::{Budget, TpsBudget};

pub use encoded::{Answer, CallContext, Encoded, encode};
pub(crate) use status::status_error;

use crate::error::ProviderError;
use crate::stream::AnswerStream;
use crate::transport::{
    Addresses, ClientPool, TransportSettings, UpstreamRequest, UpstreamService, authorization, read_whole, stack,
};
use crate::{Dialect, ProviderId};

/// Longest whole answer accepted, in bytes.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// A vendor's answer, whole or as it comes.
pub enum Reply {
    /// Not streamed.
    Whole(Answer),
    /// Streamed.
    Stream(AnswerStream),
}

/// One vendor with its key and its stack.
pub struct Upstream {
    id: ProviderId,
    dialect: Dialect,
    /// The key, or what is wrong with it; another may take its place between two calls.
    authorization: RwLock<Result<Option<HeaderValue>, ProviderError>>,
    addresses: Addresses,
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
    pub fn new(id: ProviderId, dialect: Dialect, api_key: &SecretString, settings: &TransportSettings) -> Self {
        let pool = Arc::new(ClientPool::new(settings.deadlines.connect));
        let service = stack(settings, Arc::clone(&pool), dialect);
        let retry_budget = TpsBudget::new(RETRY_BUDGET_WINDOW, RETRY_BUDGET_FLOOR, RETRY_BUDGET_SHARE);
        let authorization = RwLock::new(authorization(api_key));
        Self { id, dialect, authorization, addresses: Addresses::default(), service, retry_budget, pool }
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

    /// Gives the next call another key; calls in progress keep theirs.
    pub fn replace_key(&self, api_key: &SecretString) {
        *self.authorization.write().unwrap_or_else(PoisonError::into_inner) = authorization(api_key);
    }

    /// Counts a first attempt in the retry budget.
    pub fn note_first_attempt(&self) {
        self.retry_budget.deposit();
    }

    /// Takes one retry from the budget; false when too large a share of recent calls were retries already.
    pub fn may_retry(&self) -> bool {
        self.retry_budget.withdraw()
    }

    /// Calls the vendor at one of its hosts. A streamed call returns at the head of the answer.
    ///
    /// # Errors
    /// [`ProviderError`] when no answer began, or a whole answer could not be read.
    pub async fn call(&self, base_url: &str, encoded: &Encoded, request_id: &str) -> Result<Reply, ProviderError> {
        let request = UpstreamRequest {
            url: self.addresses.of(base_url, encoded.path)?,
            authorization: self.authorization.read().unwrap_or_else(PoisonError::into_inner).clone()?,
            body: encoded.body.clone(),
            stream: encoded.stream,
            request_id: request_id.to_owned(),
        };
        let response = self.service.clone().oneshot(request).await?;
        let upstream_request_id = status::request_id(&response.headers);
        // A model that cannot stream its answer sends it whole, and says so.
        if encoded.stream && is_event_stream(&response.headers) {
            return Ok(Reply::Stream(encoded.stream(response.body, upstream_request_id)));
        }
        let body = read_whole(response.body, MAX_ANSWER_BYTES).await?;
        let mut answer = encoded.decode(&body)?;
        answer.facts.upstream_request_id = upstream_request_id;
        Ok(Reply::Whole(answer))
    }
}

/// Whether a body is an event stream. Some compatible hosts send one without saying so; what says it is JSON is not.
fn is_event_stream(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !kind.starts_with("application/json")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalogue::ProviderCatalogue;
    use crate::request::{ApiRequest, Endpoint};
    use serde_json::Value;

    /// Runs `test` with a call context for a model of the shipped catalogue.
    pub(crate) fn with_context<T>(test: impl FnOnce(&CallContext<'_>) -> T) -> T {
        let catalogue = ProviderCatalogue::parse(crate::catalogue::MISTRAL_TOML).unwrap();
        let model = catalogue.resolve("mistral-small-2603", "2026-11-24".parse().unwrap()).unwrap();
        test(&CallContext {
            model_id: "sent-model",
            model,
            max_output_tokens: 500,
            tool_calls: 0,
            service_tier: None,
            safety_identifier: "hash",
            request_id: "req_1",
        })
    }

    #[test]
    fn openai_never_learns_who_asks_nor_stores() {
        let request = ApiRequest::parse(
            Endpoint::Chat,
            br#"{"model":"x","messages":[{"role":"user","content":"a"}],"user":"jean","store":true,"metadata":{"a":"b"},"service_tier":"priority","prompt_cache_key":"k","max_tokens":9,"stream":true,"new_field":1}"#,
        )
        .unwrap();
        let encoded = with_context(|context| encode(Dialect::Openai, &request, context)).unwrap();
        let body: Value = serde_json::from_slice(encoded.json().unwrap()).unwrap();
        assert_eq!(encoded.dropped, ["user", "store", "metadata", "service_tier"]);
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
