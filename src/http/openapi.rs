//! `/openapi.json`, made from the code, and the page at `/`.

use axum::Json;
use serde::Serialize;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{HeaderBuilder, ObjectBuilder, RefOr};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

/// Any JSON object: described in words, not in types.
type Object = serde_json::Map<String, serde_json::Value>;

/// A chat request. Fields that are not listed are passed on where the vendor accepts them; what is left out is named in
/// `x-passerelle-dropped-params`.
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
    /// Functions that the model may call: `{"type": "function", "function": {"name", "description", "parameters"}}`.
    tools: Option<Vec<Object>>,
    /// `none`, `auto`, `required`, or the function to call.
    #[schema(value_type = Object)]
    tool_choice: Option<Object>,
    /// `{"type": "json_schema", "json_schema": {"name", "schema"}}` asks for JSON of that form.
    response_format: Option<Object>,
    /// How much a model that reasons is to reason: `none`, `low`, `high`, …
    reasoning_effort: Option<String>,
    /// Up to four texts at which the answer ends.
    #[schema(value_type = Object)]
    stop: Option<Object>,
}

/// One message.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire")]
pub(super) struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    role: String,
    /// A text, or parts: `text`, `image_url`, `input_audio`, `file`, where the model takes them.
    #[schema(value_type = Object)]
    content: Option<Object>,
    /// The calls that an assistant made.
    tool_calls: Option<Vec<Object>>,
    /// The call that a message of role `tool` answers.
    tool_call_id: Option<String>,
}

/// Options of a stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire")]
pub(super) struct StreamOptions {
    /// Whether to send the usage in a last chunk.
    include_usage: Option<bool>,
}

/// A request in the shape of OpenAI's Responses. Nothing is stored: `previous_response_id`, `conversation`, `prompt`,
/// `background: true` and `store: true` are refused, and so are tools that run at the vendor.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; requests are read leniently in `providers::responses`")]
pub(super) struct ResponsesRequest {
    /// A vendor's model id, a qualified id (`openai/gpt-6-luna`) or a route (`auto`).
    model: String,
    /// A text, or the items of the conversation.
    #[schema(value_type = Object)]
    input: Object,
    /// What the model is told before the conversation.
    instructions: Option<String>,
    /// Whether to stream the answer as events.
    stream: Option<bool>,
    /// Longest answer, in tokens, at least 16; the plan's limit applies in any case.
    max_output_tokens: Option<u64>,
    /// Functions that the model may call: `{"type": "function", "name", "parameters"}`.
    tools: Option<Vec<Object>>,
    /// `{"format": {"type": "json_schema", "name", "schema"}}` asks for JSON of that form.
    text: Option<Object>,
    /// `{"effort": "low"}`.
    reasoning: Option<Object>,
}

/// A Response.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; answers come from vendors")]
pub(super) struct ResponseObject {
    /// `resp_…`.
    id: String,
    /// `response`.
    object: String,
    /// Seconds since 1970.
    created_at: u64,
    /// `completed` or `incomplete`.
    status: String,
    /// The model id the vendor returned.
    model: String,
    /// Reasoning, messages and calls, in their order.
    output: Vec<Object>,
    /// `input_tokens`, `output_tokens` and their details.
    usage: Option<Object>,
    /// Always false.
    store: bool,
}

/// A request for embeddings.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; requests are read in `providers::embeddings`")]
pub(super) struct EmbeddingsRequest {
    /// An embedding model.
    model: String,
    /// A text or a list of texts; tokens where the vendor takes them.
    #[schema(value_type = Object)]
    input: Object,
    /// `float` or `base64` (little-endian 32-bit floats).
    encoding_format: Option<String>,
    /// Length of the vectors, where the model lets it be chosen.
    dimensions: Option<u64>,
}

/// Vectors.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; answers come from vendors")]
pub(super) struct EmbeddingList {
    /// The vendor's id of the answer, or one of ours.
    id: String,
    /// `list`.
    object: String,
    /// `{"object": "embedding", "index", "embedding"}`, one per text.
    data: Vec<Object>,
    /// The model id the vendor returned.
    model: String,
    /// Tokens used.
    usage: Object,
}

/// A request for moderation.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; requests are read in `providers::moderation`")]
pub(super) struct ModerationRequest {
    /// A moderation model; a vendor's current one when none is named.
    model: Option<String>,
    /// A text, a list of texts, or text and image parts.
    #[schema(value_type = Object)]
    input: Object,
}

/// Verdicts.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; answers come from vendors")]
pub(super) struct Moderation {
    /// The vendor's id of the answer.
    id: String,
    /// The model id the vendor returned.
    model: String,
    /// `flagged`, `categories`, `category_scores` and `category_applied_input_types`, one per text. A category that the
    /// vendor does not judge applies to nothing.
    results: Vec<Object>,
}

/// A form with a recording.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; forms are read in `http::transcriptions`")]
pub(super) struct TranscriptionForm {
    /// The recording.
    #[schema(value_type = String, format = Binary)]
    file: String,
    /// A transcription model.
    model: String,
    /// Two letters: `fr`.
    language: Option<String>,
    /// `json` (the default), `text`, `srt`, `vtt`, `verbose_json` or `diarized_json`.
    response_format: Option<String>,
    /// Whether to send the text as it is understood.
    stream: Option<bool>,
}

/// A transcript; plain text or subtitles where these were asked for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; answers come from vendors")]
pub(super) struct Transcription {
    /// The text.
    text: String,
    /// `{"type": "duration", "seconds"}` or `{"type": "tokens", …}`.
    usage: Option<Object>,
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

/// Why an endpoint that reaches vendors may not answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the wire; errors are made in `http::error`")]
pub(super) enum Refusals {
    /// The request is wrong, or asks for something that is not offered here.
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// The key is missing, wrong or revoked.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// No host of the model is within the region that the plan requires.
    #[response(status = 403)]
    OutsideRegion(ErrorBody),
    /// Unknown model.
    #[response(status = 404)]
    ModelNotFound(ErrorBody),
    /// The request did not arrive in time.
    #[response(status = 408)]
    TooSlow(ErrorBody),
    /// The body or the recording is too long.
    #[response(status = 413)]
    TooLong(ErrorBody),
    /// `rate_limit_exceeded` (Retry-After says when) or `insufficient_quota` (do not retry).
    #[response(status = 429)]
    Limited(ErrorBody),
    /// The vendor failed.
    #[response(status = 502)]
    VendorFailed(ErrorBody),
    /// Out of service, stopped by the town, or its envelope is spent.
    #[response(status = 503)]
    Unavailable(ErrorBody),
    /// The vendor did not answer in time.
    #[response(status = 504)]
    VendorSilent(ErrorBody),
}

/// What answers of vendors carry in their heads.
const ANSWER_HEADERS: &[(&str, &str)] = &[
    ("x-passerelle-provider", "Vendor that answered"),
    ("x-passerelle-model", "Model id the vendor returned"),
    ("x-passerelle-host", "Host called: `global`, `eu`"),
    ("x-passerelle-cost-eur", "Exact cost in euros (not on streams)"),
    ("x-passerelle-dropped-params", "Fields of the request that were left out"),
    ("x-ratelimit-limit-requests", "Requests per minute of this resident's plan"),
    ("x-ratelimit-remaining-requests", "Requests that may follow at once"),
    ("x-ratelimit-reset-requests", "After this long one more is possible: `7s`"),
    ("x-ratelimit-limit-tokens", "Tokens per day of this resident's plan"),
    ("x-ratelimit-remaining-tokens", "Of those, left beside what calls in progress hold"),
    ("x-ratelimit-reset-tokens", "After this long the day begins anew: `13h5m0s`"),
];

/// Describes the heads of answers, the same for every endpoint that reaches vendors: those that take a body.
struct AnswerHeaders;

impl Modify for AnswerHeaders {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        // Of a duel nothing is told before it is judged.
        let answers = openapi.paths.paths.iter_mut().filter(|(path, _)| !path.starts_with("/v1/duels"));
        let endpoints = answers.filter_map(|(_, path)| path.post.as_mut());
        for answer in endpoints.filter_map(|endpoint| endpoint.responses.responses.get_mut("200")) {
            let RefOr::T(answer) = answer else { continue };
            for (name, description) in ANSWER_HEADERS {
                let text = ObjectBuilder::new().schema_type(Type::String).build();
                let header = HeaderBuilder::new().schema(Some(text)).description(Some(*description)).build();
                answer.headers.insert((*name).to_owned(), RefOr::T(header));
            }
        }
    }
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
        super::endpoints::chat_completions,
        super::endpoints::responses,
        super::endpoints::embeddings,
        super::endpoints::moderations,
        super::transcriptions::transcriptions,
        super::duels::ask,
        super::duels::vote,
        super::models::list_models,
        super::models::get_model,
        super::usage::get_usage,
    ),
    modifiers(&KeyScheme, &AnswerHeaders),
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
