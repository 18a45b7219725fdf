//! `/metrics`, `/livez`, `/readyz`, `/ledgerz`: for operators, on a listener of their own.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AppState;
use crate::telemetry::{Format, Metrics};

/// All metrics, in the format that is asked for. Files are looked at, tables are not read.
pub(super) async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let accepted: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accepted.join(","));
    let scrape = move || crate::telemetry::metrics().scrape(format, |metrics| show(&state, metrics));
    match tokio::task::spawn_blocking(scrape).await {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Brings the gauges up to date that are read when somebody asks.
fn show(state: &AppState, metrics: &Metrics) {
    let bounded = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.ledger_queue.set(bounded(state.ledger.queue_depth()));
    let disk = state.ledger.disk_use();
    for (gauge, bytes) in [(&metrics.ledger_file, disk.file_bytes), (&metrics.disk_free, disk.free_bytes)] {
        if let Some(bytes) = bytes {
            gauge.set(bounded(bytes));
        }
    }
    metrics.ready.set(i64::from(!state.shutdown.has_begun()));
    state.pipeline.show(metrics);
}

/// The process runs.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// The process takes new requests. A ledger in trouble changes nothing about that: questions are then answered 503 with the
/// time to come back and a sentence that explains, which no other instance and no proxy would do better.
pub(super) async fn readyz(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.shutdown.has_begun() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

/// The books can be kept: the ledger is written and read. Until then every question is refused.
pub(super) async fn ledgerz(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if !state.ledger.is_writable() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be written\n");
    }
    match state.ledger.chain_head() {
        Ok(_) => (StatusCode::OK, "the ledger is written and read\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be read\n"),
    }
}
