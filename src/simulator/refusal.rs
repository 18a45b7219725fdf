//! Answers that are not answers, in the vendors' own shapes: refusals of a bad request and failures drawn by chance.
//!
//! It must not know when they are given, nor how requests are read.

use providers::Dialect;
use providers::catalogue::Operation;
use serde_json::{Value, json};

/// A status and the body that the vendor sends with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) body: Value,
    /// Seconds for `Retry-After`, where the vendor names a delay.
    pub(super) retry_after: Option<u32>,
}

impl Refusal {
    fn new(status: u16, body: Value) -> Self {
        Self { status, body, retry_after: None }
    }

    /// OpenAI's wrapped error of type `invalid_request_error`.
    pub(super) fn openai(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Self {
        Self::openai_typed(status, message, "invalid_request_error", param, code)
    }

    fn openai_typed(status: u16, message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Self {
        Self::new(status, json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
    }

    /// Mistral's flat error.
    pub(super) fn mistral(status: u16, message: &str, kind: &str, code: &str) -> Self {
        let body = json!({
            "object": "error", "message": message, "type": kind, "param": null, "code": code, "raw_status_code": status,
        });
        Self::new(status, body)
    }

    /// Mistral's list of mistakes in the shape of a request.
    pub(super) fn details(details: &[Value]) -> Self {
        Self::new(422, json!({"detail": details}))
    }

    /// The body is not JSON, or not an object.
    pub(super) fn not_json(dialect: Dialect, reason: &str) -> Self {
        match dialect {
            Dialect::Mistral => Self::details(&[json!({
                "type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {},
                "ctx": {"error": reason},
            })]),
            Dialect::Openai | Dialect::Compatible => Self::openai(
                400,
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
                 HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
                None,
                None,
            ),
        }
    }

    /// The body is not a multipart form.
    pub(super) fn not_a_form(dialect: Dialect, reason: &str) -> Self {
        match dialect {
            Dialect::Mistral => Self::details(&[detail("missing", &["file".into()], reason, &Value::Null)]),
            Dialect::Openai | Dialect::Compatible => {
                let message = format!("Could not parse multipart form: {reason}");
                Self::openai(400, &message, None, None)
            }
        }
    }

    /// A field is missing.
    pub(super) fn missing(dialect: Dialect, field: &str) -> Self {
        match dialect {
            Dialect::Mistral => Self::details(&[detail("missing", &[field.into()], "Field required", &Value::Null)]),
            Dialect::Openai | Dialect::Compatible => {
                let message = format!("Missing required parameter: '{field}'.");
                Self::openai(400, &message, Some(field), Some("missing_required_parameter"))
            }
        }
    }

    /// A field has a value that the vendor does not take.
    pub(super) fn invalid(dialect: Dialect, field: &str, expected: &str, given: &Value) -> Self {
        match dialect {
            Dialect::Mistral => {
                let message = format!("Input should be {expected}");
                Self::details(&[detail("value_error", &[field.into()], &message, given)])
            }
            Dialect::Openai | Dialect::Compatible => {
                let message = format!("Invalid value for '{field}': expected {expected}.");
                Self::openai(400, &message, Some(field), Some("invalid_value"))
            }
        }
    }

    /// Nobody knows that model.
    pub(super) fn unknown_model(dialect: Dialect, model: &str) -> Self {
        match dialect {
            Dialect::Mistral => Self::mistral(400, &format!("Invalid model: {model}"), "invalid_model", "1500"),
            Dialect::Openai | Dialect::Compatible => {
                let message = format!("The model `{model}` does not exist or you do not have access to it.");
                Self::openai(404, &message, None, Some("model_not_found"))
            }
        }
    }

    /// The model is for something else.
    pub(super) fn other_operation(dialect: Dialect, model: &str, wanted: Operation) -> Self {
        if dialect == Dialect::Mistral {
            return Self::mistral(400, &format!("Invalid model: {model}"), "invalid_model", "1500");
        }
        match wanted {
            Operation::Chat => {
                let message = "This is not a chat model and thus not supported in the v1/chat/completions endpoint. \
                               Did you mean to use v1/completions?";
                Self::openai(404, message, Some("model"), None)
            }
            Operation::Embeddings => {
                Self::openai(403, "You are not allowed to generate embeddings from this model", None, None)
            }
            Operation::Moderation => {
                let message = format!("Invalid value for 'model': {model} is not a moderation model.");
                Self::openai(400, &message, Some("model"), Some("invalid_value"))
            }
            Operation::Transcription => {
                let message = format!("Model {model} is not supported in the v1/audio/transcriptions endpoint.");
                Self::openai(400, &message, Some("model"), None)
            }
        }
    }

    /// The prompt is longer than the model's window.
    pub(super) fn too_long(dialect: Dialect, tokens: u64, window: u64) -> Self {
        match dialect {
            Dialect::Mistral => {
                let message = format!(
                    "Prompt contains {tokens} tokens and 0 draft tokens, too large for model with {window} maximum \
                     context length"
                );
                Self::mistral(400, &message, "invalid_request_invalid_args", "3051")
            }
            Dialect::Openai | Dialect::Compatible => {
                let message = format!(
                    "This model's maximum context length is {window} tokens. However, your messages resulted in \
                     {tokens} tokens. Please reduce the length of the messages."
                );
                Self::openai(400, &message, Some("messages"), Some("context_length_exceeded"))
            }
        }
    }

    /// No key, or a bad one; the key is shown as the vendor shows it, all but hidden.
    pub(super) fn unauthorized(dialect: Dialect, key: &str) -> Self {
        if dialect == Dialect::Mistral {
            return Self::new(401, json!({"detail": "Unauthorized"}));
        }
        let message = if key.is_empty() {
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer \
             auth (i.e. Authorization: Bearer YOUR_KEY)."
                .to_owned()
        } else {
            let shown: String = key.chars().take(3).collect();
            format!(
                "Incorrect API key provided: {shown}*****. You can find your API key at \
                 https://platform.openai.com/account/api-keys."
            )
        };
        Self::openai(401, &message, None, Some("invalid_api_key"))
    }

    /// A failure drawn by chance: 429, 503, or 500 for anything else.
    pub(super) fn failure(dialect: Dialect, status: u16, model: &str) -> Self {
        match (dialect, status) {
            (Dialect::Mistral, 429) => Self::mistral(429, "Rate limit exceeded", "rate_limited", "1300"),
            (Dialect::Mistral, 503) => {
                let message = "Service tier capacity exceeded for this model.";
                Self::mistral(503, message, "service_tier_capacity_exceeded", "3505")
            }
            (Dialect::Mistral, _) => Self::mistral(500, "Internal server error", "internal_server_error", "1000"),
            (_, 429) => {
                let message = format!(
                    "Rate limit reached for {model} in organization org-SIMULATED on tokens per min (TPM): Limit \
                     200000, Used 199500, Requested 2100. Please try again in 480ms. Visit \
                     https://platform.openai.com/account/rate-limits to learn more."
                );
                let refusal = Self::openai_typed(429, &message, "tokens", None, Some("rate_limit_exceeded"));
                Self { retry_after: Some(1), ..refusal }
            }
            (_, 503) => Self::openai_typed(
                503,
                "The model is currently overloaded. Please try again later.",
                "service_unavailable_error",
                None,
                Some("server_is_overloaded"),
            ),
            _ => Self::openai_typed(
                500,
                "The server had an error while processing your request. Sorry about that!",
                "server_error",
                None,
                None,
            ),
        }
    }

    /// No such route.
    pub(super) fn no_route(dialect: Dialect, method: &str, path: &str) -> Self {
        match dialect {
            Dialect::Mistral => Self::new(404, json!({"message": "no Route matched with those values"})),
            Dialect::Openai | Dialect::Compatible => {
                Self::openai(404, &format!("Invalid URL ({method} {path})"), None, None)
            }
        }
    }
}

/// One entry of Mistral's list of mistakes; `place` is counted from the body.
pub(super) fn detail(kind: &str, place: &[Value], message: &str, input: &Value) -> Value {
    let place: Vec<Value> = std::iter::once("body".into()).chain(place.iter().cloned()).collect();
    json!({"type": kind, "loc": place, "msg": message, "input": input})
}
