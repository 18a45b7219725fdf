//! `POST /v1/duels` and `POST /v1/duels/{id}/vote`: two answers side by side, and what somebody thinks of them.
//!
//! Before the vote nothing of the answers leaves but their text: no header, id, model, usage or word of a vendor's.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use providers::chat::{ChatRequest, InvalidRequest};
use providers::money::format_nanos;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::answer::{OpenRequest, stream_response};
use super::body::WholeBody;
use super::middleware::Head;
use super::{ApiError, AppState, openapi};
use crate::duels::{DuelEvent, Judgement, Place, Question};
use crate::identity::Authenticated;
use crate::ledger::{DuelSide, Qualifier, Vote};
use crate::pipeline::Entered;

/// Longest body, in bytes: the town pays for it twice.
const MAX_QUESTION_BYTES: usize = 256 << 10;
/// Longest vote, in bytes.
const MAX_VOTE_BYTES: usize = 4 << 10;
/// What a question may hold.
const QUESTION_FIELDS: &[&str] = &["messages", "max_completion_tokens", "stream"];

/// A question to two models. No `model`: both are drawn.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; questions are read in `question_of`")]
pub(super) struct DuelRequest {
    /// The conversation: texts only.
    messages: Vec<openapi::ChatMessage>,
    /// Longest answer, in tokens; the town's limit applies in any case.
    max_completion_tokens: Option<u64>,
}

/// Asks two models that are drawn by chance, blindly and at the town's expense.
///
/// The answer is an event stream: `duel` with `{"id", "expires_at"}`; `left` and `right` with `{"delta"}` as the texts come;
/// `left_done` and `right_done`; at last `done` with `{"id", "expires_at"}` once the duel can be judged. An answer that
/// breaks off is `left_failed` or `right_failed`, and the end is then `failed`: there is nothing to be judged. The last
/// two hold `{"error"}` in the shape of every error. Who answers is not told before the vote.
#[utoipa::path(
    post,
    path = "/v1/duels",
    tag = "residents",
    request_body = DuelRequest,
    responses(
        (status = 200, description = "Both answers as `text/event-stream`", content_type = "text/event-stream", body = String),
        openapi::Refusals,
    ),
    security(("key" = []))
)]
pub(super) async fn ask(
    State(state): State<AppState>,
    entered: Entered,
    // Looked up anew: the hold is the town's, and would not notice a key revoked a moment ago.
    who: Authenticated,
    open: OpenRequest,
    head: Head,
    body: WholeBody,
) -> Result<Response, ApiError> {
    let WholeBody { bytes, received, room } = body;
    if bytes.len() > MAX_QUESTION_BYTES {
        return Err(ApiError::body_too_large(MAX_QUESTION_BYTES));
    }
    let chat = question_of(&bytes).map_err(ApiError::invalid_request)?;
    let Head { request_id, local_passages, trail, .. } = head;
    let question = Question { chat, request_id, local_passages, received, room, trail };
    let contest = state.duels.begin(&who, entered, question).await;
    let contest = contest.map_err(|error| ApiError::from_duel(error, &state.calendar))?;
    Ok(stream_response(contest.map(|event| frame_of(&event)), open, state.keep_alive))
}

/// Reads a question. What it does not know is refused: a field that changed nothing would be a promise.
fn question_of(body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| InvalidRequest {
        message: format!("The body is not a JSON object of a duel (line {}, column {}).", error.line(), error.column()),
        param: None,
        code: None,
    })?;
    if fields.contains_key("model") {
        let text = "Dans un duel, les deux modèles sont tirés au sort : retirez `model`. (Both models of a duel are drawn by chance: leave `model` out.)";
        return Err(InvalidRequest::unsupported("model", text));
    }
    if let Some(other) = fields.keys().find(|field| !QUESTION_FIELDS.contains(&field.as_str())) {
        let text = format!("A duel takes `messages` and `max_completion_tokens` only, not `{other}`.");
        return Err(InvalidRequest::unsupported(other, text));
    }
    if fields.get("stream").is_some_and(|stream| *stream != Value::Bool(true)) {
        return Err(InvalidRequest::new("stream", "A duel is always streamed: leave `stream` out."));
    }
    // In its place each side puts its own.
    fields.insert("model".to_owned(), "drawn".into());
    let chat = ChatRequest::from_map(fields, u64::try_from(body.len()).unwrap_or(u64::MAX))?;
    if !chat.media.is_empty() {
        return Err(InvalidRequest::new("messages", "A duel takes text only: no images, recordings or files."));
    }
    Ok(chat)
}

fn frame_of(event: &DuelEvent) -> Bytes {
    let side = |place: &Place| match place {
        Place::Left => "left",
        Place::Right => "right",
    };
    let (name, data) = match event {
        DuelEvent::Opened { id, expires_at } => ("duel".to_owned(), json!({"id": id, "expires_at": expires_at})),
        DuelEvent::Text(place, text) => (side(place).to_owned(), json!({"delta": text})),
        DuelEvent::Ended(place) => (format!("{}_done", side(place)), json!({})),
        DuelEvent::Broke(place) => (format!("{}_failed", side(place)), ApiError::answer_failed()),
        DuelEvent::Ready { id, expires_at } => ("done".to_owned(), json!({"id": id, "expires_at": expires_at})),
        DuelEvent::Failed { id } => {
            let mut data = json!({"id": id});
            data["error"] = ApiError::duel_failed()["error"].take();
            ("failed".to_owned(), data)
        }
    };
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// What somebody thinks of the two answers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VoteRequest {
    /// `left`, `right` or `tie`.
    #[schema(value_type = String)]
    choice: Vote,
    /// What is said of the answer on the left: `useful`, `complete`, `creative`, `clear_formatting`, `incorrect`,
    /// `superficial`, `instructions_not_followed`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    left: BTreeSet<Qualifier>,
    /// The same of the answer on the right.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    right: BTreeSet<Qualifier>,
}

/// One of the two answers, after the vote.
#[derive(Serialize, ToSchema)]
pub(super) struct RevealedSide {
    /// The vendor.
    provider: String,
    /// The vendor's model.
    model: String,
    /// The host called.
    host: String,
    /// The region which that host promises; null where the catalogue in force does not know it.
    region: Option<String>,
    /// From receipt to the first visible text; null where there was none.
    seconds_to_first_text: Option<f64>,
    /// From receipt to the last content.
    seconds: Option<f64>,
    /// Exact cost in euros, as a decimal text; null where it is not known.
    cost_eur: Option<String>,
    /// Characters of visible text.
    characters: u64,
}

/// A judged duel.
#[derive(Serialize, ToSchema)]
pub(super) struct RevealedDuel {
    /// Always `duel`.
    object: &'static str,
    /// Its identity.
    id: String,
    /// `left`, `right` or `tie`, as it was voted.
    #[schema(value_type = String)]
    choice: Vote,
    /// Who paid for both answers: always `town`.
    paid_by: &'static str,
    /// The answer on the left.
    left: RevealedSide,
    /// The answer on the right.
    right: RevealedSide,
}

/// Says which answer was better, once, and hears who gave them.
///
/// Only who asked may vote, until `expires_at`.
#[utoipa::path(
    post,
    path = "/v1/duels/{id}/vote",
    tag = "residents",
    params(("id" = String, Path, description = "The duel's id, from its first event")),
    request_body = VoteRequest,
    responses(
        (status = 200, description = "Who answered, how fast and at what cost", body = RevealedDuel),
        (status = 400, description = "The vote is not understood; the message lists what it may say", body = openapi::ErrorBody),
        (status = 401, description = "The key is missing, wrong or revoked", body = openapi::ErrorBody),
        (status = 404, description = "There is no such duel of this resident's, or it has expired", body = openapi::ErrorBody),
        (status = 409, description = "It was judged before", body = openapi::ErrorBody),
        (status = 503, description = "The ledger is not available", body = openapi::ErrorBody),
    ),
    security(("key" = []))
)]
pub(super) async fn vote(
    State(state): State<AppState>,
    who: Authenticated,
    Path(id): Path<String>,
    body: WholeBody,
) -> Result<Json<RevealedDuel>, ApiError> {
    if body.bytes.len() > MAX_VOTE_BYTES {
        return Err(ApiError::body_too_large(MAX_VOTE_BYTES));
    }
    let judgement = judgement_of(&body.bytes)?;
    let vote = judgement.vote;
    let duels = state.duels.clone();
    // It writes a file: not on a thread that carries streams.
    let judged = tokio::task::spawn_blocking(move || duels.judge(&who, &id, judgement)).await;
    let reveal = judged.map_err(|_| ApiError::overloaded())??;
    Ok(Json(RevealedDuel {
        object: "duel",
        id: reveal.duel.id,
        choice: vote,
        paid_by: "town",
        left: revealed(reveal.duel.left, reveal.left_region),
        right: revealed(reveal.duel.right, reveal.right_region),
    }))
}

fn judgement_of(body: &[u8]) -> Result<Judgement, ApiError> {
    let read: Result<VoteRequest, _> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body));
    let VoteRequest { choice, left, right } = read.map_err(|error| {
        let param = error.path().to_string();
        let example = r#"{"choice": "left", "left": ["useful"], "right": []}"#;
        // Of an unknown word, the reader's message lists those that are known.
        let message = format!("A vote looks like {example}: {}.", error.into_inner());
        ApiError::invalid_request(InvalidRequest { message, param: (param != ".").then_some(param), code: None })
    })?;
    Ok(Judgement { vote: choice, left: left.into_iter().collect(), right: right.into_iter().collect() })
}

fn revealed(side: DuelSide, region: Option<String>) -> RevealedSide {
    let seconds = |micros: Option<u64>| micros.map(|micros| Duration::from_micros(micros).as_secs_f64());
    RevealedSide {
        provider: side.provider,
        model: side.model,
        host: side.host,
        region,
        seconds_to_first_text: seconds(side.first_text_micros),
        seconds: seconds(side.duration_micros),
        cost_eur: side.cost_euro_nanos.map(format_nanos),
        characters: side.style.chars,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_feed_in_a_text_ends_no_event() {
        let event = DuelEvent::Text(Place::Right, "a\n\ndata: b\r".to_owned());
        assert_eq!(frame_of(&event), "event: right\ndata: {\"delta\":\"a\\n\\ndata: b\\r\"}\n\n");
    }

    #[test]
    fn a_question_holds_nothing_that_would_be_ignored() {
        let read = |body: &str| question_of(body.as_bytes()).map_err(|invalid| invalid.param);
        let fine = r#"{"messages":[{"role":"user","content":"x"}],"max_completion_tokens":9,"stream":true}"#;
        let chat = read(fine).unwrap();
        assert_eq!((chat.stream, chat.max_output_tokens, chat.choices, chat.rest.len()), (true, Some(9), 1, 0));
        for (body, param) in [
            (r#"{"messages":[{"role":"user","content":"x"}],"model":"auto"}"#, Some("model")),
            (r#"{"messages":[{"role":"user","content":"x"}],"n":2}"#, Some("n")),
            (r#"{"messages":[{"role":"user","content":"x"}],"stream":false}"#, Some("stream")),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/b.png"}}]}]}"#,
                Some("messages"),
            ),
            ("{}", Some("messages")),
            ("[]", None),
        ] {
            assert_eq!(read(body).unwrap_err().as_deref(), param, "{body}");
        }
    }

    #[test]
    fn a_vote_says_each_thing_once_and_lists_what_may_be_said() {
        let vote = judgement_of(br#"{"choice":"tie","left":["useful","complete","useful"]}"#).unwrap();
        assert_eq!((vote.left.len(), vote.right.len(), vote.vote), (2, 0, Vote::Tie));
        let refused = format!("{:?}", judgement_of(br#"{"choice":"left","right":["useful","nice"]}"#).unwrap_err());
        for known in ["right[1]", "nice", "useful", "clear_formatting", "instructions_not_followed"] {
            assert!(refused.contains(known), "{known}: {refused}");
        }
        for wrong in [r#"{"choice":"both"}"#, r#"{"left":[]}"#, r#"{"choice":"left","comment":"x"}"#, "x"] {
            assert!(judgement_of(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
