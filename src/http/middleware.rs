//! What is true for any request: its id, its line in the log, its count in the metrics.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;
use tower_http::cors::CorsLayer;
use uuid::Uuid;

use super::AppState;
use crate::telemetry::metrics;

/// Name of the header that carries the request id.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// Request headers that OpenAI's clients send from a browser; a `*` would not cover `authorization`.
const CORS_REQUEST_HEADERS: &[&str] = &[
    "openai-organization",
    "openai-project",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-custom-poll-interval",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-poll-helper",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
];
/// Answer headers that a page may read.
const CORS_ANSWER_HEADERS: &[&str] = &[
    REQUEST_ID,
    "retry-after",
    "x-should-retry",
    "x-passerelle-provider",
    "x-passerelle-model",
    "x-passerelle-host",
    "x-passerelle-cost-eur",
    "x-passerelle-dropped-params",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// Which web pages may call from a browser: those of `origins`.
pub(super) fn cors(origins: &[String]) -> CorsLayer {
    let names = |names: &[&'static str]| names.iter().map(|name| HeaderName::from_static(name)).collect::<Vec<_>>();
    let mut requested = names(CORS_REQUEST_HEADERS);
    requested.extend([header::AUTHORIZATION, header::CONTENT_TYPE]);
    CorsLayer::new()
        .allow_origin(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(requested)
        .expose_headers(names(CORS_ANSWER_HEADERS))
}

/// Gives every request an id of ours, in the request for the handlers and in the answer for the client. A client's own
/// id is not taken over: it could be anything.
pub(super) async fn request_id(mut request: Request, next: Next) -> Response {
    let id = format!("req_{}", Uuid::now_v7().simple());
    let value = HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("req"));
    request.headers_mut().insert(REQUEST_ID, value.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

/// Bodies up to this length, in bytes, fit the buffers between: a refusal is seen whether they are read or not.
const SHORT_BODY: u64 = 256 << 10;
/// What is read, and thrown away, of a longer one that was refused.
const DISCARDED_BYTES: usize = 64 << 20;

/// Reads a refused request to its end, within bounds: a client that is cut off while it sends never sees the answer
/// that explains why.
pub(super) async fn read_refused_bodies(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let waits_for_us = request.headers().contains_key(header::EXPECT);
    if waits_for_us || length.is_some_and(|length: u64| length <= SHORT_BODY) || request.method() == Method::GET {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let chunks = Arc::new(Mutex::new(body.into_data_stream()));
    let handed = stream::unfold(Arc::clone(&chunks), |chunks| async move {
        let chunk = chunks.lock().await.next().await?;
        Some((chunk, chunks))
    });
    let response = next.run(Request::from_parts(parts, Body::from_stream(handed))).await;
    if !response.status().is_success() {
        let rest = async {
            let mut read = 0;
            while let Some(Ok(chunk)) = chunks.lock().await.next().await {
                read += chunk.len();
                if read > DISCARDED_BYTES {
                    break;
                }
            }
        };
        let _enough = tokio::time::timeout(state.request_read, rest).await;
    }
    response
}

/// One line and one count per answer, by matched route; never the raw path, a header or a body.
pub(super) async fn observe(
    State(state): State<AppState>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = state.clock.tick();
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status();
    metrics().responses.with_label_values(&[route, status.as_str()]).inc();
    let seconds = state.clock.tick().since(started).as_secs_f64();
    tracing::debug!(request.id = %id, http.method = %method, http.route = route, http.status = status.as_u16(), head.seconds = seconds, "answered");
    response
}
