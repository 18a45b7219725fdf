//! `/admin/v1/probes`: begin a round of probes now, and see how far it is. `passerelle probe` asks here when somebody serves.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::mairie::blocking;
use super::token::Mairie;
use super::{ApiError, AppState};
use crate::pipeline::PipelineError;
use crate::probes::{ProbeError, Wish};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbesQuery {
    #[serde(default)]
    estimate: bool,
    questions: Option<usize>,
}

/// The round under way, or the last one; with `?estimate=true` also what a round of so many `questions` costs.
pub(super) async fn get_probes(
    State(state): State<AppState>,
    _mairie: Mairie,
    query: Result<Query<ProbesQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(ProbesQuery { estimate, questions }) =
        query.map_err(|_| ApiError::bad_request("Only `estimate=true` and `questions=N` are understood here."))?;
    let mut body = json!({
        "object": "probes",
        "simulated": state.ledger.is_simulated()? == Some(true),
        "round": state.probes.report(),
    });
    if estimate {
        let probes = state.probes.clone();
        body["estimate"] =
            json!(blocking(move || probes.estimate(questions)).await?.map_err(|error| refused(&state, error))?);
    }
    Ok(Json(body).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundRequest {
    questions: Option<usize>,
}

/// Begins a round now: `{"questions": 10}`, or an empty body for the whole basket.
pub(super) async fn begin_round(
    State(state): State<AppState>,
    _mairie: Mairie,
    body: Bytes,
) -> Result<Response, ApiError> {
    let RoundRequest { questions } = if body.is_empty() {
        RoundRequest::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| ApiError::bad_request(format!("A round looks like {{\"questions\": 10}}: {error}.")))?
    };
    if questions == Some(0) {
        return Err(ApiError::bad_request("A round has at least one question."));
    }
    let begun = state.probes.begin(Wish { questions, ..Wish::default() });
    let report = begun.map_err(|error| refused(&state, error))?;
    Ok((StatusCode::ACCEPTED, Json(json!({"object": "probes", "round": report}))).into_response())
}

fn refused(state: &AppState, error: ProbeError) -> ApiError {
    let message = format!("No round is begun: {error}.");
    match error {
        ProbeError::Pipeline(error) => ApiError::from_pipeline(error, &state.calendar),
        ProbeError::ShuttingDown => ApiError::from_pipeline(PipelineError::ShuttingDown, &state.calendar),
        ProbeError::NoBudget | ProbeError::NoModels | ProbeError::UnderWay | ProbeError::Basket(_) => {
            ApiError::conflict(message)
        }
    }
}
