//! What is true for any request: its id, its line in the log, its count in the metrics.

use std::sync::Arc;
use std::time::Duration;

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

/// What happens around every answer, whatever the route. One layer and not four: each would take a box and a copy of the
/// stack below it for every request.
///
/// Keys are hidden from whatever prints headers. The request gets an id of ours, for the handlers and in the answer for the
/// client; a client's own is not taken over: it could be anything. A refused body is read to its end. One line and one
/// count are left, by matched route; never the raw path, a header or a body.
pub(super) async fn around(
    State(state): State<AppState>,
    route: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = state.clock.tick();
    let id = format!("req_{}", Uuid::now_v7().simple());
    let value = HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("req"));
    let headers = request.headers_mut();
    for name in [header::AUTHORIZATION, header::COOKIE] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    headers.insert(REQUEST_ID, value.clone());
    let method = request.method().clone();
    let mut response = if may_be_cut_off(&request) {
        read_to_its_end(state.request_read, request, next).await
    } else {
        next.run(request).await
    };
    response.headers_mut().insert(REQUEST_ID, value);
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status();
    metrics().responses.with_label_values(&[route, status.as_str()]).inc();
    let seconds = state.clock.tick().since(started).as_secs_f64();
    tracing::debug!(request.id = %id, http.method = %method, http.route = route, http.status = status.as_u16(), head.seconds = seconds, "answered");
    response
}

/// Bodies up to this length, in bytes, fit the buffers between: a refusal is seen whether they are read or not.
const SHORT_BODY: u64 = 256 << 10;
/// What is read, and thrown away, of a longer one that was refused.
const DISCARDED_BYTES: usize = 64 << 20;

/// Whether the client may still be sending when it is refused.
fn may_be_cut_off(request: &Request) -> bool {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let waits_for_us = headers.contains_key(header::EXPECT);
    !(waits_for_us || length.is_some_and(|length: u64| length <= SHORT_BODY) || request.method() == Method::GET)
}

/// Reads a refused request to its end, within bounds: a client that is cut off while it sends never sees the answer
/// that explains why.
async fn read_to_its_end(patience: Duration, request: Request, next: Next) -> Response {
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
        let _enough = tokio::time::timeout(patience, rest).await;
    }
    response
}
