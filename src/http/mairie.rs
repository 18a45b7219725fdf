//! `/admin/v1/*`: figures and the stop switch for the mairie, behind a token. Aggregates only: there is no view of a resident.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::token::Mairie;
use super::{ApiError, AppState};
use crate::ledger::{Stop, StopScope};
use crate::report::comparison::Comparison;
use crate::report::document::{self, Lang};
use crate::report::evidence::Evidence;
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
    _mairie: Mairie,
    query: Result<Query<ReportQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|_| {
        ApiError::bad_request("Only `from` and `to` are understood here, each a day such as 2026-11-24.")
    })?;
    let now = state.clock.now();
    let period = Period::parse(query.from.as_deref(), query.to.as_deref(), state.calendar.date(now))
        .map_err(ApiError::bad_request)?;
    let ledger = state.ledger.clone();
    let limit = state.total_limit.as_secs();
    let report = blocking(move || report::build(&ledger, &period, limit, now)).await??;
    Ok(([(header::CONTENT_TYPE, "application/json")], report.to_json()).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ComparisonQuery {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    format: Form,
    #[serde(default)]
    lang: Tongue,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Json,
    Html,
    Xlsx,
    Figures,
    Evidence,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tongue {
    #[default]
    Fr,
    En,
}

/// The comparison of a period as JSON, as the document (`format=html`, `lang=en` for English), as a workbook
/// (`format=xlsx`), as one line a figure (`format=figures`), or what it is made from (`format=evidence`).
pub(super) async fn comparison(
    State(state): State<AppState>,
    _mairie: Mairie,
    query: Result<Query<ComparisonQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|_| {
        ApiError::bad_request(
            "Understood here: `from` and `to`, each a day such as 2026-11-24; `format` json, html, xlsx, figures or \
             evidence; `lang` fr or en.",
        )
    })?;
    let period = Period::parse(query.from.as_deref(), query.to.as_deref(), state.calendar.date(state.clock.now()))
        .map_err(ApiError::bad_request)?;
    let examiner = Arc::clone(&state.examiner);
    let lang = match query.lang {
        Tongue::Fr => Lang::Fr,
        Tongue::En => Lang::En,
    };
    // Intervals are resampled: a second of work, and not on a thread that carries streams.
    let (content_type, body) = blocking(move || {
        let evidence = examiner.evidence(&period)?;
        Ok::<_, ApiError>(rendered(&evidence, query.format, lang))
    })
    .await???;
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

fn rendered(evidence: &Evidence, form: Form, lang: Lang) -> Result<(&'static str, Vec<u8>), ApiError> {
    let comparison = || Comparison::of(evidence);
    Ok(match form {
        Form::Json => ("application/json", json!({"comparison": comparison()}).to_string().into_bytes()),
        Form::Html => ("text/html; charset=utf-8", document::html::render(&comparison(), lang).into_bytes()),
        Form::Xlsx => (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            document::xlsx::render(&comparison(), lang).map_err(|_| ApiError::overloaded())?,
        ),
        Form::Figures => (
            "text/csv; charset=utf-8",
            document::csv::render(&comparison()).map_err(|_| ApiError::overloaded())?.into_bytes(),
        ),
        Form::Evidence => ("application/json", evidence.to_json().map_err(|_| ApiError::overloaded())?.into_bytes()),
    })
}

/// What is stopped, as JSON.
pub(super) async fn stops(State(state): State<AppState>, _mairie: Mairie) -> Result<Response, ApiError> {
    Ok(Json(json!({"object": "list", "data": state.ledger.stops()?.0})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StopRequest {
    scope: StopScope,
    #[serde(default)]
    name: String,
    stopped: bool,
    by: String,
    #[serde(default)]
    reason: String,
}

/// Stops the town, a vendor or a plan, or lets it go on, at once:
/// `{"scope": "provider", "name": "openai", "stopped": true, "by": "Claire", "reason": "…"}`.
pub(super) async fn set_stop(
    State(state): State<AppState>,
    _mairie: Mairie,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: StopRequest = serde_json::from_slice(&body).map_err(|error| {
        let example = r#"{"scope": "provider", "name": "openai", "stopped": true, "by": "Claire", "reason": "why"}"#;
        ApiError::bad_request(format!("A stop looks like {example}: {error}."))
    })?;
    let StopRequest { scope, name, stopped, by, reason } = asked;
    if (scope == StopScope::Town) != name.is_empty() || by.is_empty() {
        return Err(ApiError::bad_request(
            "A vendor or plan needs its `name`, the town has none; `by` says who you are.",
        ));
    }
    let known = state.pipeline.knows(scope, &name);
    if stopped && !known {
        return Err(ApiError::bad_request(format!("There is no {} `{name}`.", scope.as_str())));
    }
    let (ledger, stop) = (state.ledger.clone(), Stop { scope, name, since: state.clock.now(), reason });
    let changed = blocking(move || ledger.set_stop(&stop, stopped, &by)).await??;
    Ok(Json(json!({"changed": changed, "data": state.ledger.stops()?.0})).into_response())
}

/// Who changed what and when, oldest first, as JSON.
pub(super) async fn changes(State(state): State<AppState>, _mairie: Mairie) -> Result<Response, ApiError> {
    let ledger = state.ledger.clone();
    let changes = blocking(move || ledger.changes()).await??;
    let numbered = changes.into_iter().map(|(seq, change)| json!({"seq": seq, "change": change}));
    Ok(Json(json!({"object": "list", "data": numbered.collect::<Vec<_>>()})).into_response())
}

/// Work on a file: not on a thread that carries streams.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::overloaded())
}
