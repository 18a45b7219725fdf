//! One moderations call: categories flagged by a few plain words, so that a test can see both verdicts.
//!
//! It must not know chat; it is no classifier.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use providers::Dialect;
use providers::catalogue::Operation;
use serde_json::{Map, Value, json};

use super::books::Tokens;
use super::call::{Call, Service, serve};
use super::forms;
use super::media::{Media, Part};
use super::refusal::Refusal;
use super::request::{Offer, Priced, text};
use super::server::Door;
use super::tokens;

/// Score of a category whose words were found, and of one whose words were not.
const SCORES: (f64, f64) = (0.93, 0.0004);
/// OpenAI's model where none is named.
const DEFAULT_MODEL: &str = "omni-moderation-latest";

/// A category, the words that flag it, and whether OpenAI also looks for it in images.
type Category = (&'static str, &'static [&'static str], bool);

const OPENAI: [Category; 13] = [
    ("harassment", &["imbécile", "idiot"], false),
    ("harassment/threatening", &["je te retrouverai", "i will find you"], false),
    ("sexual", &["porno", "porn"], true),
    ("hate", &["sale race", "inferior race"], false),
    ("hate/threatening", &["exterminer", "exterminate"], false),
    ("illicit", &["voler une voiture", "steal a car"], false),
    ("illicit/violent", &["fabriquer une bombe", "build a bomb"], false),
    ("self-harm/intent", &["me suicider", "kill myself"], true),
    ("self-harm/instructions", &["comment se suicider", "how to commit suicide"], true),
    ("self-harm", &["suicide", "suicider", "kill myself"], true),
    ("sexual/minors", &["pédoporno", "child porn"], false),
    ("violence", &["tuer", "kill", "frapper", "bombe", "bomb"], true),
    ("violence/graphic", &["éventrer", "gore"], true),
];

const MISTRAL: [Category; 9] = [
    ("sexual", &["porno", "porn"], false),
    ("hate_and_discrimination", &["sale race", "inferior race", "exterminer", "exterminate"], false),
    ("violence_and_threats", &["tuer", "kill", "frapper", "je te retrouverai"], false),
    ("dangerous_and_criminal_content", &["bombe", "bomb", "voler une voiture", "steal a car"], false),
    ("selfharm", &["suicide", "suicider", "kill myself"], false),
    ("health", &["médicament", "medication"], false),
    ("financial", &["investir", "invest"], false),
    ("law", &["avocat", "lawyer"], false),
    ("pii", &["numéro de sécurité sociale", "social security number"], false),
];

/// What was asked.
struct Asked {
    priced: Priced,
    /// What each result is about.
    subjects: Vec<Subject>,
    input_tokens: u64,
}

/// What one result is about.
#[derive(Default)]
struct Subject {
    text: String,
    image: bool,
}

/// Answers one call as its vendor would.
pub(super) async fn moderations(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    serve(&door, &headers, |offer| Asked::read(offer, &body)).await
}

impl Asked {
    fn read(offer: Offer<'_>, body: &[u8]) -> Result<Self, Refusal> {
        let mistral = offer.dialect == Dialect::Mistral;
        let form = if mistral { forms::MISTRAL_MODERATIONS } else { forms::OPENAI_MODERATIONS };
        let body = offer.read(body, form)?;
        let id = match text(&body, "model") {
            "" => DEFAULT_MODEL,
            id => id,
        };
        let priced = offer.model(id, Operation::Moderation)?;
        let mut media = Media::default();
        let subjects = subjects(offer.dialect, &priced, body.get("input").unwrap_or(&Value::Null), &mut media)?;
        let input_tokens =
            subjects.iter().map(|subject| tokens::count(&subject.text)).sum::<u64>() + media.input_tokens();
        if input_tokens > priced.model.context_window {
            return Err(Refusal::too_long(offer.dialect, input_tokens, priced.model.context_window));
        }
        Ok(Self { priced, subjects, input_tokens })
    }
}

/// A text is one subject, each of several texts is one, and parts together are one.
fn subjects(dialect: Dialect, priced: &Priced, input: &Value, media: &mut Media) -> Result<Vec<Subject>, Refusal> {
    let of_text = |text: &str| Subject { text: text.to_owned(), image: false };
    let entries = match input {
        Value::Array(entries) => entries,
        other => return Ok(vec![of_text(other.as_str().unwrap_or_default())]),
    };
    if !entries.iter().any(Value::is_object) {
        return Ok(entries.iter().filter_map(Value::as_str).map(of_text).collect());
    }
    let mut subject = Subject::default();
    for (index, part) in entries.iter().enumerate() {
        subject.text.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
        subject.text.push('\n');
        subject.image |= part.get("image_url").is_some();
        Part { dialect, model: &priced.model, place: format!("input[{index}]"), part }.read(media)?;
    }
    Ok(vec![subject])
}

impl Service for Asked {
    fn priced(&self) -> &Priced {
        &self.priced
    }

    async fn answer(self, call: &mut Call<'_>) -> Response {
        let Asked { priced, subjects, input_tokens } = self;
        let mistral = call.dialect() == Dialect::Mistral;
        let model = if mistral { priced.asked_id.clone() } else { priced.model.id.to_string() };
        // Free of charge, and no usage is reported: the books count the call alone.
        let reported = if priced.row.rates.input == 0 { 0 } else { input_tokens };
        call.bill_at_once(priced, Tokens { input: reported, ..Tokens::default() }).await;
        let results: Vec<Value> = subjects
            .iter()
            .map(|subject| if mistral { mistral_result(subject) } else { openai_result(subject) })
            .collect();
        let id = format!("{:032x}", call.chance.id);
        let id = if mistral { id } else { format!("modr-{id}") };
        Json(json!({"id": id, "model": model, "results": results})).into_response()
    }
}

/// Verdict and score by category.
fn verdicts(categories: &[Category], subject: &Subject) -> (Map<String, Value>, Map<String, Value>, bool) {
    let text = subject.text.to_lowercase();
    let mut any = false;
    let mut flags = Map::new();
    let mut scores = Map::new();
    for (name, words, _) in categories {
        let found = words.iter().any(|word| says(&text, word));
        any |= found;
        flags.insert((*name).to_owned(), found.into());
        scores.insert((*name).to_owned(), if found { SCORES.0 } else { SCORES.1 }.into());
    }
    (flags, scores, any)
}

/// Whether a text says a word, and not merely a longer one.
fn says(text: &str, word: &str) -> bool {
    let outside = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        outside(before.chars().next_back()) && outside(after.chars().next())
    })
}

fn openai_result(subject: &Subject) -> Value {
    let (categories, scores, flagged) = verdicts(&OPENAI, subject);
    let applied = OPENAI.iter().map(|(name, _, in_images)| {
        let mut kinds = Vec::new();
        if !subject.text.trim().is_empty() {
            kinds.push("text");
        }
        if subject.image && *in_images {
            kinds.push("image");
        }
        ((*name).to_owned(), Value::from(kinds))
    });
    json!({
        "flagged": flagged,
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": Value::Object(applied.collect()),
    })
}

fn mistral_result(subject: &Subject) -> Value {
    let (categories, scores, _) = verdicts(&MISTRAL, subject);
    json!({"categories": categories, "category_scores": scores})
}
