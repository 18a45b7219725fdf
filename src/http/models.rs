//! `GET /v1/models` and `/v1/models/{id}`: what this resident may ask for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use providers::catalogue::{Model, Operation};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, AppState, openapi};
use crate::identity::Authenticated;
use crate::pipeline::Offer;

/// A model or route: OpenAI's four keys, and those without which Mistral's client refuses the list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelObject {
    /// What to put into `model`.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// When it was released, in seconds since 1970; 0 when not known.
    created: u32,
    /// The vendor, or `passerelle` for a route.
    owned_by: String,
    /// Always `base`.
    r#type: &'static str,
    /// What it can do.
    capabilities: Capabilities,
    /// The model behind an alias; its own id otherwise.
    name: String,
    /// Room for input, in tokens; absent for a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_context_length: Option<u64>,
    /// Day on which the vendor switches it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    shutdown_date: Option<String>,
    /// The same under Mistral's name, as a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<String>,
}

/// What a model can do, in Mistral's words.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the wire has one flag per ability")]
pub(super) struct Capabilities {
    /// Converse.
    completion_chat: bool,
    /// Call functions.
    function_calling: bool,
    /// Reason before it answers.
    reasoning: bool,
    /// Fill a gap in a text: not offered here.
    completion_fim: bool,
    /// Be trained further: not offered here.
    fine_tuning: bool,
    /// Look at images.
    vision: bool,
    /// Judge texts.
    moderation: bool,
    /// Listen to sound in a message.
    audio: bool,
    /// Write down what is said.
    audio_transcription: bool,
}

impl Capabilities {
    /// Those of a model, or of the models that a route may reach: one that cannot do what is asked is left out there.
    fn of(models: &[Arc<Model>]) -> Self {
        let any = |able: fn(&Model) -> bool| models.iter().any(|model| able(model));
        let chat = any(|model| model.operation == Operation::Chat);
        Self {
            completion_chat: chat,
            function_calling: chat,
            reasoning: any(|model| model.reasoning),
            completion_fim: false,
            fine_tuning: false,
            vision: any(|model| model.vision),
            moderation: any(|model| model.operation == Operation::Moderation),
            audio: any(|model| model.audio_input),
            audio_transcription: any(|model| model.operation == Operation::Transcription),
        }
    }
}

/// The models of a resident.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// Always `list`.
    object: &'static str,
    /// The models.
    data: Vec<ModelObject>,
}

impl From<Offer<'_>> for ModelObject {
    fn from(offer: Offer<'_>) -> Self {
        let model = offer.model();
        let released = model.and_then(|model| model.released);
        let created = released.and_then(|day| day.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok());
        Self {
            id: offer.id.to_owned(),
            object: "model",
            created: created.and_then(|day| u32::try_from(day.timestamp().as_second()).ok()).unwrap_or(0),
            owned_by: offer.owner.to_owned(),
            r#type: "base",
            capabilities: Capabilities::of(&offer.models),
            name: model.map_or(offer.id, |model| &model.id).to_owned(),
            deprecation: model.and_then(|model| model.retires).map(|day| format!("{day}T00:00:00Z")),
            max_context_length: model.map(|model| model.context_window),
            shutdown_date: model.and_then(|model| model.retires).map(|day| day.to_string()),
        }
    }
}

/// Lists the models and routes that this resident may ask for.
#[utoipa::path(get, path = "/v1/models", tag = "residents", security(("key" = [])),
    responses(
        (status = 200, description = "What this resident may ask for", body = ModelList),
        (status = 401, description = "The key is missing, wrong or revoked", body = openapi::ErrorBody)
    ))]
pub(super) async fn list_models(State(state): State<AppState>, who: Authenticated) -> Json<ModelList> {
    let data = state.pipeline.offered(&who).into_iter().map(ModelObject::from).collect();
    Json(ModelList { object: "list", data })
}

/// One model or route. Qualified ids (`openai/gpt-6-luna`) are accepted, encoded or not.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "residents", security(("key" = [])),
    params(("id" = String, Path, description = "Model or route")),
    responses(
        (status = 200, description = "The model or route", body = ModelObject),
        (status = 401, description = "The key is missing, wrong or revoked", body = openapi::ErrorBody),
        (status = 404, description = "Unknown model", body = openapi::ErrorBody)
    ))]
pub(super) async fn get_model(
    State(state): State<AppState>,
    who: Authenticated,
    Path(id): Path<String>,
) -> Result<Json<ModelObject>, ApiError> {
    let offers = state.pipeline.offered(&who);
    let named = |offer: &Offer<'_>| offer.id == id || id.split_once('/') == Some((offer.owner, offer.id));
    let offer = offers.into_iter().find(named).ok_or_else(|| ApiError::model_not_found(&id))?;
    Ok(Json(ModelObject { id, ..offer.into() }))
}
