//! The list of models: whatever the vendor's catalogue offers today, for every operation.
//!
//! It must not know how any of them answers.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use jiff::tz::Offset;
use providers::Dialect;
use providers::catalogue::{Model, Operation};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::server::Door;

/// When models of unknown release are said to be made.
const UNKNOWN_RELEASE: i64 = 1_764_000_000;

/// Lists every id that can be asked for.
pub(super) async fn list(State(door): State<Door>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let vendor = &door.vendor;
    vendor.authorize(&headers)?;
    let today = vendor.date();
    let offered = vendor.catalogue.ids_at(today).filter(|(_, model)| !model.is_retired(today));
    let models = offered.map(|(id, model)| {
        let released = model.released.and_then(|date| Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok());
        let created = released.map_or(UNKNOWN_RELEASE, |at| at.as_second());
        match vendor.settings.dialect {
            Dialect::Mistral => mistral_model(id, model, created),
            Dialect::Openai | Dialect::Compatible => {
                json!({"id": id, "object": "model", "created": created, "owned_by": "system"})
            }
        }
    });
    let models: Vec<Value> = models.collect();
    Ok(Json(json!({"object": "list", "data": models})))
}

fn mistral_model(id: &str, model: &Model, created: i64) -> Value {
    let chat = model.operation == Operation::Chat;
    json!({
        "id": id,
        "object": "model",
        "created": created,
        "owned_by": "mistralai",
        "capabilities": {
            "completion_chat": chat,
            "function_calling": chat,
            "reasoning": model.reasoning,
            "completion_fim": false,
            "fine_tuning": false,
            "vision": model.vision,
            "ocr": false,
            "classification": false,
            "moderation": model.operation == Operation::Moderation,
            "audio": model.audio_input,
            "audio_transcription": model.operation == Operation::Transcription,
            "audio_transcription_realtime": false,
            "audio_speech": false,
        },
        "name": &*model.id,
        "description": "Simulated model",
        "max_context_length": model.context_window,
        "aliases": [],
        "deprecation": model.retires.map(|date| format!("{date}T00:00:00Z")),
        "deprecation_replacement_model": null,
        "default_model_temperature": chat.then_some(0.3),
        "type": "base",
    })
}
