//! `/admin/v1/*`: figures for the mairie, behind a token. Aggregates only: there is no view of a resident.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{ApiError, AppState};
use crate::report::{self, Period};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportQuery {
    from: Option<String>,
    to: Option<String>,
}

/// The comparison of vendors over a period (`?from=2026-11-01&to=2026-11-30`; the current month by default), as JSON.
pub(super) async fn report(
    State(state): State<AppState>,
    headers: HeaderMap,
    query: Result<Query<ReportQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    authorize(&state, &headers)?;
    let Query(query) = query.map_err(|_| {
        ApiError::bad_request("Only `from` and `to` are understood here, each a day such as 2026-11-24.")
    })?;
    let now = state.clock.now();
    let period = Period::parse(query.from.as_deref(), query.to.as_deref(), state.calendar.date(now))
        .map_err(ApiError::bad_request)?;
    let ledger = state.ledger.clone();
    let limit = state.total_limit.as_secs();
    // Reads a file: not on a thread that carries streams.
    let report = tokio::task::spawn_blocking(move || report::build(&ledger, &period, limit, now))
        .await
        .map_err(|_| ApiError::overloaded())??;
    Ok(([(header::CONTENT_TYPE, "application/json")], report.to_json()).into_response())
}

fn authorize(state: &AppState, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(token) = &state.mairie_token else {
        return Err(ApiError::forbidden(
            "This listener has no token yet: set mairie.token (or PASSERELLE__MAIRIE__TOKEN) and restart.",
        ));
    };
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .unwrap_or_default();
    // Comparing hashes tells nothing about the token by its timing.
    let matches = Sha256::digest(sent.as_bytes()) == Sha256::digest(token.expose_secret().as_bytes());
    matches
        .then_some(())
        .ok_or_else(|| ApiError::forbidden("The mairie's token is missing or wrong (Authorization: Bearer …)."))
}
