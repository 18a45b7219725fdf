//! The endpoints whose body is JSON: chat, Responses, embeddings, moderations.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use providers::chat::InvalidRequest;
use providers::request::{ApiRequest, Endpoint};

use super::answer::{OpenRequest, answer};
use super::body::WholeBody;
use super::error::ApiError;
use super::middleware::Head;
use super::{AppState, openapi};
use crate::identity::Authenticated;
use crate::pipeline::Entered;

/// Answers a conversation.
///
/// The request and the answer are OpenAI's, whichever vendor answers; with `stream: true` the answer is an event stream.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "residents",
    request_body = openapi::ChatCompletionRequest,
    responses(
        (status = 200, description = "The answer, in OpenAI's shape. With `stream: true`, `text/event-stream` of chunks that ends with `data: [DONE]`.", body = openapi::ChatCompletion),
        openapi::Refusals,
    ),
    security(("key" = []))
)]
pub(super) async fn chat_completions(
    state: State<AppState>,
    entered: Entered,
    open: OpenRequest,
    head: Head,
    body: WholeBody,
) -> Result<Response, ApiError> {
    json_endpoint(state, (entered, open), head, body, Endpoint::Chat).await
}

/// Answers a conversation in the shape of OpenAI's Responses.
///
/// Nothing is stored here: `previous_response_id`, `conversation` and `store: true` are refused. With `stream: true` the
/// answer is an event stream of named events with sequence numbers.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "residents",
    request_body = openapi::ResponsesRequest,
    responses(
        (status = 200, description = "The answer, as a Response. With `stream: true`, `text/event-stream` of events, the last of which holds the usage.", body = openapi::ResponseObject),
        openapi::Refusals,
    ),
    security(("key" = []))
)]
pub(super) async fn responses(
    state: State<AppState>,
    entered: Entered,
    open: OpenRequest,
    head: Head,
    body: WholeBody,
) -> Result<Response, ApiError> {
    json_endpoint(state, (entered, open), head, body, Endpoint::Responses).await
}

/// Vectors of texts, as numbers or base64.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "residents",
    request_body = openapi::EmbeddingsRequest,
    responses(
        (status = 200, description = "One vector per text", body = openapi::EmbeddingList),
        openapi::Refusals,
    ),
    security(("key" = []))
)]
pub(super) async fn embeddings(
    state: State<AppState>,
    entered: Entered,
    open: OpenRequest,
    head: Head,
    body: WholeBody,
) -> Result<Response, ApiError> {
    json_endpoint(state, (entered, open), head, body, Endpoint::Embeddings).await
}

/// Whether texts are harmful, by category.
#[utoipa::path(
    post,
    path = "/v1/moderations",
    tag = "residents",
    request_body = openapi::ModerationRequest,
    responses(
        (status = 200, description = "One verdict per text", body = openapi::Moderation),
        openapi::Refusals,
    ),
    security(("key" = []))
)]
pub(super) async fn moderations(
    state: State<AppState>,
    entered: Entered,
    open: OpenRequest,
    head: Head,
    body: WholeBody,
) -> Result<Response, ApiError> {
    json_endpoint(state, (entered, open), head, body, Endpoint::Moderations).await
}

async fn json_endpoint(
    State(state): State<AppState>,
    (entered, open): (Entered, OpenRequest),
    head: Head,
    body: WholeBody,
    endpoint: Endpoint,
) -> Result<Response, ApiError> {
    let WholeBody { bytes, received, room } = body;
    let request = parsed(endpoint, bytes).await?.map(|request| request.for_client(head.user_agent()));
    answer(&state, entered, head, request, (received, room), open).await
}

/// Bodies up to this length, in bytes, are understood within a millisecond.
const SHORT_BODY: usize = 256 << 10;

/// What a body says. A long one, with photographs, is understood on a thread of its own: on this one the tokens of others
/// would wait. The body itself is not needed any more.
async fn parsed(endpoint: Endpoint, body: Bytes) -> Result<Result<ApiRequest, InvalidRequest>, ApiError> {
    if body.len() <= SHORT_BODY {
        return Ok(ApiRequest::parse(endpoint, &body));
    }
    let parsed = tokio::task::spawn_blocking(move || ApiRequest::parse(endpoint, &body)).await;
    parsed.map_err(|_| ApiError::overloaded())
}

/// Answers are never stored, so there is none to be fetched, cancelled or deleted.
pub(super) async fn stored_response(_who: Authenticated) -> ApiError {
    ApiError::not_stored()
}
