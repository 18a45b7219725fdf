//! One embeddings call: unit vectors that depend on nothing but the text, the model and the length asked for.
//!
//! It must not know chat.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use providers::Dialect;
use providers::catalogue::Operation;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use serde_json::{Map, Value};

use super::books::Tokens;
use super::call::{Call, Service, serve};
use super::forms;
use super::refusal::Refusal;
use super::request::{Offer, Priced, text};
use super::server::Door;
use super::tokens;

/// Length of a vector where the catalogue does not know it.
const UNKNOWN_DIMENSIONS: u32 = 1536;
/// Longest vector of codestral-embed.
const MOST_CODESTRAL_DIMENSIONS: u64 = 3072;
/// Most tokens of all texts of one call at OpenAI.
const MOST_TOKENS: u64 = 300_000;

/// What was asked.
struct Asked {
    priced: Priced,
    /// A seed of each vector.
    seeds: Vec<u64>,
    dimensions: usize,
    base64: bool,
    input_tokens: u64,
}

#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    object: &'static str,
    data: Vec<Vector>,
    model: String,
    usage: Usage,
}

#[derive(Serialize)]
struct Vector {
    object: &'static str,
    index: usize,
    embedding: Numbers,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens: Option<u64>,
    total_tokens: u64,
}

/// Answers one call as its vendor would.
pub(super) async fn embeddings(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    serve(&door, &headers, |offer| Asked::read(offer, &body)).await
}

impl Asked {
    fn read(offer: Offer<'_>, body: &[u8]) -> Result<Self, Refusal> {
        let mistral = offer.dialect == Dialect::Mistral;
        let form = if mistral { forms::MISTRAL_EMBEDDINGS } else { forms::OPENAI_EMBEDDINGS };
        let body = offer.read(body, form)?;
        let priced = offer.model(text(&body, "model"), Operation::Embeddings)?;
        let dimensions = dimensions(offer.dialect, &priced, &body)?;
        let seed = |entry: &Value| {
            let mut hasher = DefaultHasher::new();
            (&*priced.model.id, dimensions, entry.to_string()).hash(&mut hasher);
            hasher.finish()
        };
        let mut seeds = Vec::new();
        let mut input_tokens = 0;
        for entry in entries(body.get("input").unwrap_or(&Value::Null)) {
            let count = count(entry);
            if count == 0 && !mistral {
                return Err(Refusal::invalid(offer.dialect, "input", "texts that are not empty", entry));
            }
            if count > priced.model.context_window {
                return Err(Refusal::too_long(offer.dialect, count, priced.model.context_window));
            }
            input_tokens += count;
            seeds.push(seed(entry));
        }
        if input_tokens > MOST_TOKENS && !mistral {
            let message = format!(
                "Requested {input_tokens} tokens, max {MOST_TOKENS} tokens per request. Please reduce your input."
            );
            return Err(Refusal::openai(400, &message, Some("input"), Some("max_tokens_per_request")));
        }
        let base64 = text(&body, "encoding_format") == "base64";
        Ok(Self { priced, seeds, dimensions, base64, input_tokens })
    }
}

/// The inputs of a call: a list of tokens is one input.
fn entries(input: &Value) -> &[Value] {
    match input {
        Value::Array(entries) if !entries.first().is_some_and(Value::is_number) => entries,
        one => std::slice::from_ref(one),
    }
}

fn count(entry: &Value) -> u64 {
    match entry {
        Value::String(text) => tokens::count(text),
        Value::Array(tokens) => tokens.len() as u64,
        _ => 0,
    }
}

/// The length of the vectors, within what the model can shorten them to.
fn dimensions(dialect: Dialect, priced: &Priced, body: &Map<String, Value>) -> Result<usize, Refusal> {
    let model = &priced.model;
    let own = u64::from(model.embedding_dimensions.unwrap_or(UNKNOWN_DIMENSIONS));
    let mistral = dialect == Dialect::Mistral;
    let codestral = model.id.starts_with("codestral-embed");
    if mistral && !matches!(text(body, "output_dtype"), "" | "float") && !codestral {
        let message = format!("{} does not support output_dtype {}", model.id, text(body, "output_dtype"));
        return Err(Refusal::mistral(400, &message, "invalid_request_invalid_args", "3051"));
    }
    let name = if mistral { "output_dimension" } else { "dimensions" };
    let Some(asked) = body.get(name).filter(|asked| !asked.is_null()) else {
        return Ok(usize::try_from(own).unwrap_or(usize::MAX));
    };
    let most = match () {
        () if codestral => MOST_CODESTRAL_DIMENSIONS,
        () if model.id.starts_with("text-embedding-3") => own,
        () if mistral => {
            let message = format!("{} does not support output_dimension", model.id);
            return Err(Refusal::mistral(400, &message, "invalid_request_invalid_args", "3051"));
        }
        () => {
            let message = "This model does not support specifying dimensions.";
            return Err(Refusal::openai(400, message, Some("dimensions"), None));
        }
    };
    let length = asked.as_u64().filter(|length| *length <= most).and_then(|length| usize::try_from(length).ok());
    length.ok_or_else(|| Refusal::invalid(dialect, name, &format!("at most {most}"), asked))
}

impl Service for Asked {
    fn priced(&self) -> &Priced {
        &self.priced
    }

    async fn answer(self, call: &mut Call<'_>) -> Response {
        let mistral = call.dialect() == Dialect::Mistral;
        let model = if mistral { self.priced.asked_id.clone() } else { self.priced.model.id.to_string() };
        call.bill_at_once(self.priced, Tokens { input: self.input_tokens, ..Tokens::default() }).await;
        let vectors = self.seeds.iter().enumerate().map(|(index, seed)| {
            let floats = unit_vector(*seed, self.dimensions);
            let embedding = if self.base64 { Numbers::Base64(base64(&floats)) } else { Numbers::Floats(floats) };
            Vector { object: "embedding", index, embedding }
        });
        Json(Answer {
            id: mistral.then(|| format!("{:032x}", call.chance.id)),
            object: "list",
            data: vectors.collect(),
            model,
            usage: Usage {
                prompt_tokens: self.input_tokens,
                completion_tokens: mistral.then_some(0),
                total_tokens: self.input_tokens,
            },
        })
        .into_response()
    }
}

fn unit_vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut source = Xoshiro256PlusPlus::seed_from_u64(seed);
    let numbers: Vec<f32> = (0..dimensions).map(|_| source.random_range(-1.0_f32..1.0)).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

/// Little-endian 32-bit floats.
fn base64(floats: &[f32]) -> String {
    let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    BASE64.encode(&bytes)
}
