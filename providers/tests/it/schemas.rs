//! The published schemas, and the slips of the vendors' own files.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

/// A mistake in a vendor's own file: these messages, at these places of these schemas, are no failure.
struct Slip {
    book: &'static str,
    schema: &'static str,
    /// Place in the document, any index written as `*`.
    place: &'static str,
    /// The whole message; `value` stands for the value found.
    message: &'static str,
}

/// Why each is one: `fixtures/schemas/README.md`.
const TOLERATED: &[Slip] = &[
    Slip { book: "mistral", schema: "ChatCompletionResponse", place: "", message: "\"data\" is a required property" },
    usage_slip("ChatCompletionResponse", "('prompt_tokens_details' was unexpected)"),
    usage_slip("ChatCompletionResponse", "('prompt_token_details' was unexpected)"),
    usage_slip("ChatCompletionResponse", "('num_cached_tokens' was unexpected)"),
    usage_slip("CompletionChunk", "('prompt_tokens_details' was unexpected)"),
    usage_slip("CompletionChunk", "('num_cached_tokens' was unexpected)"),
    Slip {
        book: "mistral",
        schema: "CompletionChunk",
        place: "/choices/*/finish_reason",
        message: "value is not one of \"stop\", \"length\" or 3 other candidates",
    },
    Slip {
        book: "mistral",
        schema: "EmbeddingResponse",
        place: "/data/*/embedding",
        message: "value is not of type \"array\"",
    },
    Slip {
        book: "openai",
        schema: "CreateEmbeddingResponse",
        place: "/data/*/embedding",
        message: "value is not of type \"array\"",
    },
];

const fn usage_slip(schema: &'static str, unexpected: &'static str) -> Slip {
    Slip { book: "mistral", schema, place: "/usage", message: unexpected }
}

/// One mistake in a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mistake {
    /// Place in the document, any index written as `*`.
    pub place: String,
    /// What is wrong; `value` stands for the value found.
    pub message: String,
}

/// The whole file of a vendor: `openai` or `mistral`.
pub fn book(name: &str) -> &'static Value {
    static OPENAI: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../fixtures/schemas/openai.json")).unwrap());
    static MISTRAL: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../fixtures/schemas/mistral.json")).unwrap());
    match name {
        "openai" => &OPENAI,
        "mistral" => &MISTRAL,
        other => panic!("no published schemas of {other}"),
    }
}

/// The schema of the body that a dialect takes for a request to an endpoint. Only OpenAI has an endpoint for Responses:
/// to the others they go as chat.
pub fn request_schema(dialect: &str, endpoint: &str) -> Option<(&'static str, &'static str)> {
    Some(match (dialect, endpoint) {
        ("mistral", "chat" | "responses") => ("mistral", "ChatCompletionRequest"),
        ("mistral", "embeddings") => ("mistral", "EmbeddingRequest"),
        ("mistral", "moderations") => ("mistral", "ClassificationRequest"),
        ("mistral", _) => return None,
        ("compatible", "responses") => ("openai", "CreateChatCompletionRequest"),
        // Hosts have fields of their own, which OpenAI's closed schema has no room for.
        ("compatible", "embeddings") => return None,
        (_, endpoint) => ("openai", client_request_schema(endpoint)),
    })
}

/// The schema of what a client may send to an endpoint.
pub fn client_request_schema(endpoint: &str) -> &'static str {
    match endpoint {
        "chat" => "CreateChatCompletionRequest",
        "responses" => "CreateResponse",
        "embeddings" => "CreateEmbeddingRequest",
        "moderations" => "CreateModerationRequest",
        other => panic!("no schema for requests to {other}"),
    }
}

/// The validator of one published schema, built once.
pub fn validator(book_name: &str, schema: &str) -> Arc<Validator> {
    static BUILT: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap();
    let entry = built.entry(format!("{book_name}/{schema}")).or_insert_with(|| {
        let mut root = book(book_name).clone();
        assert!(root["$defs"].get(schema).is_some(), "{book_name} has no schema {schema}");
        root.as_object_mut().unwrap().insert("$ref".into(), json!(format!("#/$defs/{schema}")));
        Arc::new(jsonschema::draft202012::new(&root).unwrap())
    });
    Arc::clone(entry)
}

/// What is wrong with a document, tolerated slips left out.
pub fn mistakes(book_name: &str, schema: &str, document: &Value) -> Vec<Mistake> {
    let validator = validator(book_name, schema);
    if validator.is_valid(document) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for error in validator.iter_errors(document) {
        explain(&error, &mut found);
    }
    let tolerated = |mistake: &Mistake| {
        TOLERATED.iter().any(|slip| {
            slip.book == book_name
                && slip.schema == schema
                && slip.place == mistake.place
                && mistake.message.ends_with(slip.message)
        })
    };
    found.retain(|mistake| !tolerated(mistake));
    found
}

/// The mistakes behind an error: of several alternatives, those of the one that came closest.
fn explain(error: &ValidationError<'_>, found: &mut Vec<Mistake>) {
    let alternatives = match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => context,
        // Alternatives of the files overlap (a short message is also a long one): what fits two of them fits.
        ValidationErrorKind::OneOfMultipleValid { .. } => return,
        _ => {
            let message = error.masked().to_string();
            let place = error
                .instance_path()
                .as_str()
                .split('/')
                .map(|part| if part.parse::<usize>().is_ok() { "*" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            found.push(Mistake { place, message });
            return;
        }
    };
    let closest = alternatives
        .iter()
        .map(|errors| {
            let mut inner = Vec::new();
            for error in errors {
                explain(error, &mut inner);
            }
            inner
        })
        .min_by_key(|inner| {
            let depth = inner.iter().map(|mistake| mistake.place.matches('/').count()).max().unwrap_or(0);
            (inner.iter().any(is_other_kind), inner.len(), usize::MAX - depth)
        });
    found.extend(closest.unwrap_or_default());
}

/// True for an alternative that was never meant: its `type` or `role` names something else.
fn is_other_kind(mistake: &Mistake) -> bool {
    let names_kind = mistake.place.ends_with("/type") || mistake.place.ends_with("/role");
    names_kind && (mistake.message.contains("is not one of") || mistake.message.contains("was expected"))
}
