//! `POST /v1/chat/completions`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;

use super::body::WholeBody;
use super::error::ApiError;
use super::middleware::REQUEST_ID;
use super::{AppState, openapi};
use crate::identity::Authenticated;
use crate::pipeline::{ChatOutcome, Delivery, PipelineError};
use crate::telemetry::metrics;

/// A comment line, without the blank line that would make some clients see an empty event.
const KEEP_ALIVE: &[u8] = b": ping\n";

/// Counts one open request until its body has ended.
struct OpenRequest {
    _permit: OwnedSemaphorePermit,
}

impl OpenRequest {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics().requests_open.inc();
        Self { _permit: permit }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        metrics().requests_open.dec();
    }
}

/// Answers a conversation.
///
/// The request and the answer are OpenAI's, whichever vendor answers; with `stream: true` the answer is an event stream.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "residents",
    request_body = openapi::ChatCompletionRequest,
    responses(
        (status = 200, description = "The answer, in OpenAI's shape. With `stream: true`, `text/event-stream` of chunks that ends with `data: [DONE]`.", body = openapi::ChatCompletion,
            headers(
                ("x-passerelle-provider" = String, description = "Vendor that answered"),
                ("x-passerelle-model" = String, description = "Model id the vendor returned"),
                ("x-passerelle-host" = String, description = "Host called: `global`, `eu`"),
                ("x-passerelle-cost-eur" = String, description = "Exact cost in euros (not on streams)"),
                ("x-passerelle-dropped-params" = String, description = "Fields of the request that were left out"),
            )),
        (status = 400, description = "The request is wrong", body = openapi::ErrorBody),
        (status = 401, description = "The key is missing, wrong or revoked", body = openapi::ErrorBody),
        (status = 404, description = "Unknown model", body = openapi::ErrorBody),
        (status = 413, description = "The body is too long", body = openapi::ErrorBody),
        (status = 429, description = "`rate_limit_exceeded` (Retry-After says when) or `insufficient_quota` (do not retry)", body = openapi::ErrorBody),
        (status = 502, description = "The vendor failed", body = openapi::ErrorBody),
        (status = 503, description = "Out of service, or the town's envelope is spent", body = openapi::ErrorBody),
        (status = 504, description = "The vendor did not answer in time", body = openapi::ErrorBody),
    ),
    security(("key" = []))
)]
pub(super) async fn chat_completions(
    State(state): State<AppState>,
    who: Authenticated,
    headers: HeaderMap,
    body: WholeBody,
) -> Result<Response, ApiError> {
    let permit = state.requests.clone().try_acquire_owned().map_err(|_| ApiError::overloaded())?;
    let open = OpenRequest::new(permit);
    let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let plan = who.plan().clone();
    let failed = |error: PipelineError| ApiError::from_pipeline(error, &state.calendar);
    let outcome = state.pipeline.chat(who, &body.bytes, request_id, body.received).await.map_err(failed)?;
    let ChatOutcome { origin, rate, delivery } = outcome;
    let mut response = match delivery {
        Delivery::Whole { body, cost_euro_nanos } => {
            let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
            if let Some(nanos) = cost_euro_nanos {
                put(&mut response, "x-passerelle-cost-eur", &providers::money::format_nanos(nanos));
            }
            response
        }
        Delivery::Stream(frames) => stream_response(frames, open, state.keep_alive),
    };
    put(&mut response, "x-passerelle-provider", origin.provider.as_str());
    put(&mut response, "x-passerelle-model", &origin.model);
    put(&mut response, "x-passerelle-host", &origin.host);
    if !origin.dropped.is_empty() {
        put(&mut response, "x-passerelle-dropped-params", &origin.dropped.join(","));
    }
    put(&mut response, "x-ratelimit-limit-requests", &rate.requests_per_minute.to_string());
    put(&mut response, "x-ratelimit-remaining-requests", &rate.remaining.to_string());
    // One more request becomes possible after this long.
    let reset = format!("{}s", 60_u32.div_ceil(plan.rate.requests_per_minute.get()));
    put(&mut response, "x-ratelimit-reset-requests", &reset);
    Ok(response)
}

/// An event stream that no proxy may hold back.
fn stream_response(frames: Receiver<Bytes>, open: OpenRequest, keep_alive: Duration) -> Response {
    let body = stream::unfold((frames, open), move |(mut frames, open)| async move {
        let frame = match tokio::time::timeout(keep_alive, frames.recv()).await {
            Ok(frame) => frame?,
            Err(_silent) => Bytes::from_static(KEEP_ALIVE),
        };
        Some((Ok::<_, std::convert::Infallible>(frame), (frames, open)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

fn put(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
