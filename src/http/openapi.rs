//! `/openapi.json`, made from the code, and the page at `/`.

use axum::Json;
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

/// A chat request. Fields that are not listed are passed on where the vendor accepts them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; requests are read leniently in `providers::chat`")]
pub(super) struct ChatCompletionRequest {
    /// A vendor's model id, a qualified id (`openai/gpt-6-luna`) or a route (`auto`).
    model: String,
    /// The conversation.
    messages: Vec<ChatMessage>,
    /// Whether to stream the answer.
    stream: Option<bool>,
    /// `{"include_usage": true}` asks for a last chunk with the usage.
    stream_options: Option<StreamOptions>,
    /// Longest answer, in tokens; the plan's limit applies in any case.
    max_completion_tokens: Option<u64>,
    /// Older name of `max_completion_tokens`.
    max_tokens: Option<u64>,
    /// How many answers, 1 to 128.
    n: Option<u64>,
    /// 0 to 2; vendors with a smaller range take their largest value.
    temperature: Option<f64>,
}

/// One message.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire")]
pub(super) struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    role: String,
    /// The text.
    content: Option<String>,
}

/// Options of a stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire")]
pub(super) struct StreamOptions {
    /// Whether to send the usage in a last chunk.
    include_usage: Option<bool>,
}

/// An answer, in OpenAI's shape.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; answers come from vendors")]
pub(super) struct ChatCompletion {
    /// The vendor's id of the answer.
    id: String,
    /// `chat.completion`.
    object: String,
    /// Seconds since 1970.
    created: u64,
    /// The model id the vendor returned.
    model: String,
    /// The answers.
    choices: Vec<Choice>,
    /// Tokens used.
    usage: Option<TokenUsage>,
}

/// One answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire")]
pub(super) struct Choice {
    /// Its number.
    index: u64,
    /// The message.
    message: ChatMessage,
    /// `stop`, `length`, `tool_calls` or `content_filter`.
    finish_reason: String,
}

/// Tokens of an answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire")]
pub(super) struct TokenUsage {
    /// Input.
    prompt_tokens: u64,
    /// Output, reasoning included.
    completion_tokens: u64,
    /// Both.
    total_tokens: u64,
}

/// Every error of `/v1`.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// The error.
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// A sentence for people, in French and English where it concerns residents.
    message: String,
    /// Kind of error.
    r#type: String,
    /// Parameter at fault.
    param: Option<String>,
    /// For programs: `invalid_api_key`, `model_not_found`, `insufficient_quota`, `rate_limit_exceeded`, …
    code: Option<String>,
}

struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("psk-…").build();
        openapi.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Passerelle", description = "A town hall's gateway to language models: OpenAI-compatible, with a quota per resident."),
    paths(
        super::chat::chat_completions,
        super::models::list_models,
        super::models::get_model,
        super::usage::get_usage,
    ),
    modifiers(&KeyScheme),
    tags((name = "residents", description = "For residents and their programs"))
)]
struct Description;

/// The description of the residents' endpoint.
pub(super) async fn openapi_json() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}

/// What a person sees who opens the address in a browser.
pub(super) async fn welcome() -> &'static str {
    "Passerelle : la passerelle de la mairie vers les assistants de langage.\n\n\
     Adresse à donner à votre logiciel (compatible OpenAI) : celle de cette page suivie de /v1, avec votre clé psk-…\n\
     Ce qu'il vous reste : GET /v1/usage. Description : /openapi.json.\n\n\
     Passerelle: the town hall's gateway to language models.\n\
     Point any OpenAI client at this address followed by /v1, with your key psk-…\n\
     What you have left: GET /v1/usage. Description: /openapi.json.\n"
}
