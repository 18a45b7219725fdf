//! `/metrics`, `/livez`, `/readyz`: for operators, on a listener of their own.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::AppState;

/// All metrics in Prometheus' text format.
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    let metrics = crate::telemetry::metrics();
    match state.ledger.gauges() {
        Ok(gauges) => {
            metrics.reservations_open.set(i64::try_from(gauges.open_reservations).unwrap_or(i64::MAX));
            metrics.ledger_queue.set(i64::try_from(gauges.queue_depth).unwrap_or(i64::MAX));
        }
        Err(error) => tracing::error!(%error, "the ledger's gauges cannot be read"),
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

/// The process runs.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// The process can serve: it is not stopping, and the ledger can be read.
pub(super) async fn readyz(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.shutdown.has_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match state.ledger.gauges() {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be read\n"),
    }
}
