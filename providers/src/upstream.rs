//! One configured vendor, ready to be called: dialect, stack, key and retry budget.
//!
//! It turns a canonical request into the vendor's, sends it, and turns the answer back. It must not know residents,
//! quotas or the ledger: who may call, and at what price, is decided before.

mod encoded;
mod status;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tower::ServiceExt;
use tower::retry::budget::{Budget, TpsBudget};

pub use encoded::{Answer, CallContext, Encoded, encode};
pub(crate) use status::status_error;

use crate::error::ProviderError;
use crate::stream::AnswerStream;
use crate::transport::{
    Addresses, ClientPool, SignReader, TraceHeaders, TransportSettings, UpstreamRequest, UpstreamService, VendorSigns,
    authorization, read_whole, stack,
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
    /// Others may take their place between two calls.
    credentials: RwLock<Credentials>,
    addresses: Addresses,
    service: UpstreamService,
    signs: SignReader,
    retry_budget: TpsBudget,
    pool: Arc<ClientPool>,
}

/// A vendor's key in the two forms that are needed of it.
struct Credentials {
    /// What must never be repeated.
    api_key: SecretString,
    /// As it is sent, or what is wrong with it.
    authorization: Result<Option<HeaderValue>, ProviderError>,
}

impl Credentials {
    fn of(api_key: &SecretString) -> Self {
        Self { api_key: api_key.clone(), authorization: authorization(api_key) }
    }
}

/// No vendor's key is shorter, in bytes; a shorter one, of a stand-in, may be part of any word.
const SHORTEST_KEY: usize = 16;
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
        let (service, signs) = stack(settings, Arc::clone(&pool), dialect);
        let retry_budget = TpsBudget::new(RETRY_BUDGET_WINDOW, RETRY_BUDGET_FLOOR, RETRY_BUDGET_SHARE);
        let (credentials, addresses) = (RwLock::new(Credentials::of(api_key)), Addresses::default());
        Self { id, dialect, credentials, addresses, service, signs, retry_budget, pool }
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

    /// What its last answers told of its limits and its clock, and whether it is left alone.
    pub fn signs(&self) -> VendorSigns {
        self.signs.read()
    }

    /// Gives the next call another key; calls in progress keep theirs.
    pub fn replace_key(&self, api_key: &SecretString) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = Credentials::of(api_key);
    }

    /// Counts a first attempt in the retry budget.
    pub fn note_first_attempt(&self) {
        self.retry_budget.deposit();
    }

    /// Takes one retry from the budget; false when too large a share of recent calls were retries already.
    pub fn may_retry(&self) -> bool {
        self.retry_budget.withdraw()
    }

    /// Calls the vendor at one of its hosts, which is told of the trace where there is one. A streamed call returns at the
    /// head of the answer.
    ///
    /// # Errors
    /// [`ProviderError`] when no answer began, or a whole answer could not be read.
    pub async fn call(
        &self,
        base_url: &str,
        encoded: &Encoded,
        request_id: &str,
        trace: Option<TraceHeaders>,
    ) -> Result<Reply, ProviderError> {
        let request = UpstreamRequest {
            url: self.addresses.of(base_url, encoded.path)?,
            authorization: self.credentials.read().unwrap_or_else(PoisonError::into_inner).authorization.clone()?,
            body: encoded.body.clone(),
            stream: encoded.stream,
            request_id: request_id.to_owned(),
            trace,
        };
        let response = self.service.clone().oneshot(request).await.map_err(|error| self.without_key(error))?;
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

    /// A refusal whose words quote the key: it is ours, and goes neither to a client nor into a log.
    fn without_key(&self, mut error: ProviderError) -> ProviderError {
        let credentials = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        let key = credentials.api_key.expose_secret();
        if key.len() >= SHORTEST_KEY {
            let words = [Some(&mut error.message), error.param.as_mut(), error.code.as_mut()];
            for text in words.into_iter().flatten().filter(|text| text.contains(key)) {
                *text = text.replace(key, "[key]");
            }
        }
        error
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
