//! From an outcome of the pipeline to an HTTP answer: headers, whole bodies, event streams.
//!
//! Every endpoint that can reach a vendor answers through here. Nothing of the vendor's head is passed on: its cookies,
//! limits and addresses concern the town's account, not the resident.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use jiff::Timestamp;
use providers::chat::InvalidRequest;
use providers::request::ApiRequest;
use tokio::sync::OwnedSemaphorePermit;

use super::AppState;
use super::error::ApiError;
use super::events::EventStream;
use super::middleware::Head;
use crate::clock::Tick;
use crate::pipeline::{Answered, Asking, Delivery, Entered, Incoming, Standing};
use crate::telemetry::metrics;

// Names of headers, looked up once and not for every answer.
static COST_EUR: HeaderName = HeaderName::from_static("x-passerelle-cost-eur");
static PROVIDER: HeaderName = HeaderName::from_static("x-passerelle-provider");
static MODEL: HeaderName = HeaderName::from_static("x-passerelle-model");
static HOST: HeaderName = HeaderName::from_static("x-passerelle-host");
static DROPPED_PARAMS: HeaderName = HeaderName::from_static("x-passerelle-dropped-params");
static RATELIMIT_LIMIT_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
static RATELIMIT_REMAINING_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
static RATELIMIT_RESET_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");
static RATELIMIT_LIMIT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");
static RATELIMIT_REMAINING_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
static RATELIMIT_RESET_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-reset-tokens");

/// Headers that an answer is given, at most.
const ANSWER_HEADERS: usize = 12;

/// Counts one open request until its body has ended.
pub(super) struct OpenRequest {
    _permit: OwnedSemaphorePermit,
}

#[cfg(test)]
impl OpenRequest {
    /// One that counts for nothing.
    pub(super) fn without_permit() -> Self {
        let permits = Arc::new(tokio::sync::Semaphore::new(1));
        metrics().requests_open.inc();
        let permit = permits.try_acquire_owned().unwrap();
        Self { _permit: permit }
    }
}

impl FromRequestParts<AppState> for OpenRequest {
    type Rejection = ApiError;

    /// Opens one request, before its body is read: those that are being read are bounded too.
    async fn from_request_parts(_parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let permit = Arc::clone(&state.requests).try_acquire_owned().map_err(|_| ApiError::overloaded())?;
        metrics().requests_open.inc();
        Ok(Self { _permit: permit })
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        metrics().requests_open.dec();
    }
}

/// Sends a request through the pipeline and answers with what comes of it.
pub(super) async fn answer(
    state: &AppState,
    entered: Entered,
    head: Head,
    request: Result<ApiRequest, InvalidRequest>,
    (received, room): (Tick, OwnedSemaphorePermit),
    open: OpenRequest,
) -> Result<Response, ApiError> {
    let Head { request_id, local_passages, trail, .. } = head;
    let asking = Asking { request_id, local_passages, witness: None, trail };
    let incoming = Incoming { request, asking, received, room };
    let answered = state.pipeline.answer(entered, incoming).await;
    let Answered { origin, standing, delivery } =
        answered.map_err(|error| ApiError::from_pipeline(error, &state.calendar))?;
    let mut response = match delivery {
        Delivery::Whole { body, content_type, cost_euro_nanos } => {
            let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
            if let Some(nanos) = cost_euro_nanos {
                put(&mut response, &COST_EUR, &providers::money::format_nanos(nanos));
            }
            response
        }
        Delivery::Stream(frames) => stream_response(frames, open, state.keep_alive),
    };
    // As many as follow, the id and the length: the table grows once.
    response.headers_mut().reserve(ANSWER_HEADERS);
    put(&mut response, &PROVIDER, origin.provider.as_str());
    put(&mut response, &MODEL, &origin.model);
    put(&mut response, &HOST, &origin.host);
    if !origin.dropped.is_empty() {
        put(&mut response, &DROPPED_PARAMS, &origin.dropped.join(","));
    }
    put_standing(&mut response, &standing, state.clock.now());
    Ok(response)
}

/// Where this resident stands, under the names that OpenAI's clients read.
fn put_standing(response: &mut Response, standing: &Standing, now: Timestamp) {
    let per_minute = standing.rate.requests_per_minute.get();
    put_value(response, &RATELIMIT_LIMIT_REQUESTS, per_minute.into());
    put_value(response, &RATELIMIT_REMAINING_REQUESTS, standing.rate.remaining.into());
    // One more request becomes possible after this long.
    put(response, &RATELIMIT_RESET_REQUESTS, &duration_text(u64::from(60_u32.div_ceil(per_minute))));
    put_value(response, &RATELIMIT_LIMIT_TOKENS, standing.tokens_per_day.into());
    put_value(response, &RATELIMIT_REMAINING_TOKENS, standing.tokens_left.into());
    let until_reset = u64::try_from(standing.day_ends.duration_since(now).as_secs()).unwrap_or(0);
    put(response, &RATELIMIT_RESET_TOKENS, &duration_text(until_reset));
}

/// A duration as OpenAI writes it in these headers: `7s`, `6m0s`, `13h5m0s`.
fn duration_text(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// An event stream that no proxy may hold back.
pub(super) fn stream_response<F>(frames: F, open: OpenRequest, keep_alive: Duration) -> Response
where
    F: Stream<Item = Bytes> + Unpin + Send + 'static,
{
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(EventStream::new(frames, open, keep_alive))).into_response()
}

fn put(response: &mut Response, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        put_value(response, name, value);
    }
}

fn put_value(response: &mut Response, name: &HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name.clone(), value);
}

#[cfg(test)]
mod tests {
    use super::duration_text;

    #[test]
    fn durations_are_written_as_openai_does() {
        let written = [0, 7, 59, 60, 360, 47_100].map(duration_text);
        assert_eq!(written, ["0s", "7s", "59s", "1m0s", "6m0s", "13h5m0s"]);
    }
}
