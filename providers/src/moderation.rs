//! Moderations: whether texts are harmful, in OpenAI's shape whichever vendor judged.
//!
//! The two vendors judge by different categories. Mistral's are kept beside OpenAI's, with the nearest of OpenAI's set;
//! one that Mistral does not judge says so by an empty list of what it applies to.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::catalogue::{Model, UsageBound};
use crate::chat::{InvalidRequest, Media, length, parse_object, take_model, text_bound, wrong_type};
use crate::error::ProviderError;
use crate::stream::{AnswerFacts, error_event, unreadable};
use crate::upstream::CallContext;
use crate::usage::ReportedUsage;

/// Models to try where the client names none: OpenAI's own default, then Mistral's.
pub const DEFAULT_MODELS: &[&str] = &["omni-moderation-latest", "mistral-moderation-latest"];

/// A parsed request for moderation.
#[derive(Clone, Debug)]
pub struct ModerationRequest {
    /// The model asked for; empty when none is.
    pub model: String,
    /// Length of the body as received, in bytes.
    pub body_bytes: u64,
    input: Value,
    media: Media,
    rest: Map<String, Value>,
}

impl ModerationRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`InvalidRequest`] that names what is missing or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let mut rest = parse_object(body, "a request for moderation")?;
        let model = if rest.get("model").is_none_or(Value::is_null) {
            rest.shift_remove("model");
            String::new()
        } else {
            take_model(&mut rest)?
        };
        let input = rest.shift_remove("input").unwrap_or_default();
        let media = check_input(&input)?;
        Ok(Self { model, body_bytes: length(body), input, media, rest })
    }

    /// The most the call can use. A model's window bounds each text, not their number: the bytes bound them all.
    ///
    /// # Errors
    /// [`InvalidRequest`] when the model cannot look at images.
    pub fn bound(&self, model: &Model) -> Result<UsageBound, InvalidRequest> {
        self.media.check(model)?;
        let tokens = text_bound(self.body_bytes).saturating_add(self.media.token_bound(model));
        Ok(UsageBound { input_tokens: tokens, ..UsageBound::default() })
    }

    /// The body for OpenAI and compatible hosts.
    pub(crate) fn openai_body(&self, context: &CallContext<'_>) -> Map<String, Value> {
        let mut body =
            Map::from_iter([("model".to_owned(), context.model_id.into()), ("input".to_owned(), self.input.clone())]);
        body.extend(
            self.rest.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())),
        );
        body
    }

    /// The body for Mistral, which reads texts only.
    pub(crate) fn mistral_body(&self, context: &CallContext<'_>, dropped: &mut Vec<String>) -> Map<String, Value> {
        dropped.extend(self.rest.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()));
        let input = match &self.input {
            Value::Array(items) => {
                items.iter().map(|item| item.get("text").cloned().unwrap_or_else(|| item.clone())).collect()
            }
            text => text.clone(),
        };
        Map::from_iter([("model".to_owned(), context.model_id.into()), ("input".to_owned(), input)])
    }
}

fn check_input(input: &Value) -> Result<Media, InvalidRequest> {
    let wrong = || wrong_type("input", "a text, a list of texts, or a list of text and image parts");
    let mut media = Media::default();
    match input {
        Value::String(_) => {}
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let image = item.get("image_url").is_some_and(|image| image.get("url").is_some_and(Value::is_string));
                match item.get("type").and_then(Value::as_str) {
                    None if item.is_string() => {}
                    Some("text") if item.get("text").is_some_and(Value::is_string) => {}
                    Some("image_url") if image => media.images += 1,
                    _ => return Err(wrong()),
                }
            }
            if items.iter().any(Value::is_string) && !items.iter().all(Value::is_string) {
                return Err(wrong());
            }
        }
        _ => return Err(wrong()),
    }
    Ok(media)
}

/// OpenAI's categories, each with the nearest of Mistral's where there is one.
const CATEGORIES: &[(&str, Option<&str>)] = &[
    ("harassment", None),
    ("harassment/threatening", None),
    ("hate", Some("hate_and_discrimination")),
    ("hate/threatening", None),
    ("illicit", Some("dangerous_and_criminal_content")),
    ("illicit/violent", None),
    ("self-harm", Some("selfharm")),
    ("self-harm/intent", None),
    ("self-harm/instructions", None),
    ("sexual", Some("sexual")),
    ("sexual/minors", None),
    ("violence", Some("violence_and_threats")),
    ("violence/graphic", None),
];

/// Reads an answer of OpenAI's own, which is forwarded as it came.
pub(crate) fn openai_answer(body: &Bytes) -> Result<(Bytes, AnswerFacts), ProviderError> {
    let (_, facts) = read(body)?;
    Ok((body.clone(), facts))
}

/// Gives Mistral's answer OpenAI's shape: `flagged` where any category is, and its categories beside the nearest of
/// OpenAI's.
pub(crate) fn mistral_answer(body: &Bytes) -> Result<(Bytes, AnswerFacts), ProviderError> {
    let (answer, facts) = read(body)?;
    let results = answer.get("results").and_then(Value::as_array).ok_or_else(unreadable)?;
    let out = json!({
        "id": answer.get("id").cloned().unwrap_or_default(),
        "model": answer.get("model").cloned().unwrap_or_default(),
        "results": results.iter().map(openai_result).collect::<Vec<_>>(),
    });
    Ok((crate::to_json(&out).into(), facts))
}

fn read(body: &Bytes) -> Result<(Value, AnswerFacts), ProviderError> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(error_event(error));
    }
    if !answer.get("results").is_some_and(Value::is_array) {
        return Err(unreadable());
    }
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let facts = AnswerFacts {
        response_model: text("model"),
        upstream_id: text("id"),
        usage: answer.get("usage").and_then(ReportedUsage::from_chat),
        ..AnswerFacts::default()
    };
    Ok((answer, facts))
}

fn openai_result(result: &Value) -> Value {
    let judged = |group: &str, name: Option<&str>| result.get(group)?.get(name?).cloned();
    let (mut categories, mut scores, mut inputs) = (Map::new(), Map::new(), Map::new());
    for (name, nearest) in CATEGORIES {
        let flag = judged("categories", *nearest);
        let applies: &[&str] = if flag.is_some() { &["text"] } else { &[] };
        inputs.insert((*name).to_owned(), json!(applies));
        categories.insert((*name).to_owned(), flag.unwrap_or(Value::Bool(false)));
        scores.insert((*name).to_owned(), judged("category_scores", *nearest).unwrap_or_else(|| 0.0.into()));
    }
    let own = |group: &str| result.get(group).and_then(Value::as_object).cloned().unwrap_or_default();
    let flagged = own("categories").values().any(|flag| flag == &Value::Bool(true));
    categories.extend(own("categories"));
    scores.extend(own("category_scores"));
    json!({"flagged": flagged, "categories": categories, "category_scores": scores, "category_applied_input_types": inputs})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistrals_verdict_is_flagged_and_keeps_its_own_categories() {
        let body = json!({"id": "ab", "model": "mistral-moderation-latest", "results": [
            {"categories": {"violence_and_threats": true, "pii": false}, "category_scores": {"violence_and_threats": 0.9, "pii": 0.1}},
            {"categories": {"pii": false}, "category_scores": {"pii": 0.2}},
        ]});
        let (out, facts) = mistral_answer(&body.to_string().into()).unwrap();
        let out: Value = serde_json::from_slice(&out).unwrap();
        let first = &out["results"][0];
        assert_eq!((&first["flagged"], &out["results"][1]["flagged"]), (&json!(true), &json!(false)));
        assert_eq!(
            (&first["categories"]["violence"], &first["category_scores"]["violence"]),
            (&json!(true), &json!(0.9))
        );
        assert_eq!(first["categories"]["pii"], false);
        assert_eq!(first["category_applied_input_types"]["violence"], json!(["text"]));
        assert_eq!(first["category_applied_input_types"]["harassment"], json!([]), "not judged, and it says so");
        assert_eq!(facts.response_model.as_deref(), Some("mistral-moderation-latest"));
    }

    #[test]
    fn inputs_are_texts_or_parts_and_a_model_is_not_needed() {
        let parse = |body: Value| ModerationRequest::parse(body.to_string().as_bytes());
        assert_eq!(parse(json!({"input": "x", "model": null})).unwrap().model, "");
        let image = json!({"type": "image_url", "image_url": {"url": "https://ville.test/a.png"}});
        assert_eq!(parse(json!({"input": [{"type": "text", "text": "x"}, image]})).unwrap().media.images, 1);
        for input in
            [json!(null), json!([]), json!(["a", {"type": "text", "text": "b"}]), json!([{"type": "image_url"}])]
        {
            assert!(parse(json!({"input": input})).is_err(), "{input}");
        }
    }
}
