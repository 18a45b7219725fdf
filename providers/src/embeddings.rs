//! Embeddings: one request for every vendor, vectors in the form that the client asked for.
//!
//! OpenAI's client for JavaScript asks for base64 and decodes it blindly: given numbers it would return nonsense without
//! an error. So the form is looked at in the answer, and changed where a vendor ignored it.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::catalogue::{Model, UsageBound};
use crate::chat::{InvalidRequest, length, parse_object, take_model, take_u64, text_bound, wrong_type};
use crate::error::ProviderError;
use crate::stream::{AnswerFacts, error_event, unreadable};
use crate::upstream::CallContext;
use crate::usage::ReportedUsage;

/// A parsed request for embeddings.
#[derive(Clone, Debug)]
pub struct EmbeddingsRequest {
    /// The model asked for.
    pub model: String,
    /// Length of the body as received, in bytes.
    pub body_bytes: u64,
    input: Value,
    base64: bool,
    dimensions: Option<u64>,
    rest: Map<String, Value>,
}

/// Fields that never reach a vendor: they say who asks.
const WITHHELD: &[&str] = &["user", "metadata"];

impl EmbeddingsRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`InvalidRequest`] that names what is missing or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let mut rest = parse_object(body, "a request for embeddings")?;
        let model = take_model(&mut rest)?;
        let input = rest.shift_remove("input").unwrap_or_default();
        if !is_input(&input) {
            return Err(wrong_type("input", "a text, a list of texts, or tokens, and not empty"));
        }
        let base64 = match rest.shift_remove("encoding_format") {
            None | Some(Value::Null) => false,
            Some(Value::String(format)) if format == "float" => false,
            Some(Value::String(format)) if format == "base64" => true,
            Some(_) => return Err(wrong_type("encoding_format", "`float` or `base64`")),
        };
        // Mistral's clients have another name for it.
        let other_name = take_u64(&mut rest, "output_dimension")?;
        let dimensions = take_u64(&mut rest, "dimensions")?.or(other_name);
        if dimensions == Some(0) {
            return Err(wrong_type("dimensions", "at least 1"));
        }
        if rest.shift_remove("output_dtype").is_some_and(|kind| !kind.is_null() && kind != "float") {
            return Err(InvalidRequest::unsupported("output_dtype", "Only vectors of `float` are offered here."));
        }
        Ok(Self { model, body_bytes: length(body), input, base64, dimensions, rest })
    }

    /// The most the call can use. A model's window bounds each text, not their number: the bytes bound them all.
    pub fn bound(&self) -> UsageBound {
        UsageBound { input_tokens: text_bound(self.body_bytes), ..UsageBound::default() }
    }

    /// The body for OpenAI, whose published request has no other fields than these.
    pub(crate) fn openai_body(&self, context: &CallContext<'_>, dropped: &mut Vec<String>) -> Map<String, Value> {
        let mut body = self.common(context);
        if let Some(dimensions) = self.dimensions {
            body.insert("dimensions".into(), dimensions.into());
        }
        dropped.extend(self.rest.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()));
        body
    }

    /// The body for a compatible host, which may have fields of its own.
    pub(crate) fn compatible_body(&self, context: &CallContext<'_>, dropped: &mut Vec<String>) -> Map<String, Value> {
        let mut body = self.openai_body(context, &mut Vec::new());
        for (key, value) in self.rest.iter().filter(|(_, value)| !value.is_null()) {
            if WITHHELD.contains(&key.as_str()) {
                dropped.push(key.clone());
            } else {
                body.insert(key.clone(), value.clone());
            }
        }
        body
    }

    /// The body for Mistral.
    ///
    /// # Errors
    /// [`InvalidRequest`] for tokens in place of text, and for a length that the model does not have.
    pub(crate) fn mistral_body(
        &self,
        context: &CallContext<'_>,
        dropped: &mut Vec<String>,
    ) -> Result<Map<String, Value>, InvalidRequest> {
        let texts =
            self.input.is_string() || self.input.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        if !texts {
            return Err(InvalidRequest::new("input", "With this model `input` must be a text or a list of texts."));
        }
        let mut body = self.common(context);
        if let Some(dimensions) = self.dimensions.filter(|wanted| !has_length(context.model, *wanted)) {
            if let Some(length) = context.model.embedding_dimensions {
                let text = format!("The vectors of this model have {length} numbers: leave `dimensions` out.");
                return Err(InvalidRequest::unsupported("dimensions", text));
            }
            body.insert("output_dimension".into(), dimensions.into());
        }
        dropped.extend(self.rest.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()));
        Ok(body)
    }

    fn common(&self, context: &CallContext<'_>) -> Map<String, Value> {
        Map::from_iter([
            ("model".to_owned(), context.model_id.into()),
            ("input".to_owned(), self.input.clone()),
            ("encoding_format".to_owned(), if self.base64 { "base64" } else { "float" }.into()),
        ])
    }

    /// How its answer is read.
    pub(crate) fn reader(&self, context: &CallContext<'_>) -> EmbeddingsReader {
        EmbeddingsReader { base64: self.base64, id: format!("embd-{}", context.request_id.trim_start_matches("req_")) }
    }
}

fn has_length(model: &Model, wanted: u64) -> bool {
    model.embedding_dimensions.is_some_and(|length| u64::from(length) == wanted)
}

fn is_input(input: &Value) -> bool {
    let tokens = |list: &[Value]| !list.is_empty() && list.iter().all(Value::is_u64);
    match input {
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => {
            let lists = list.iter().all(|item| item.as_array().is_some_and(|inner| tokens(inner)));
            !list.is_empty() && (list.iter().all(Value::is_string) || tokens(list) || lists)
        }
        _ => false,
    }
}

/// Reads answers and gives vectors in the form asked for.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddingsReader {
    base64: bool,
    /// For vendors that name none: Mistral's client wants one.
    id: String,
}

#[derive(Deserialize)]
struct RawAnswer<'a> {
    id: Option<String>,
    #[serde(borrow)]
    data: Option<Vec<RawItem<'a>>>,
    model: Option<String>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct RawItem<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Serialize)]
struct Item<'a> {
    object: &'static str,
    index: u64,
    embedding: Embedding<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Embedding<'a> {
    AsItCame(&'a RawValue),
    Base64(String),
    Floats(Vec<f32>),
}

impl EmbeddingsReader {
    pub(crate) fn answer(&self, body: &Bytes) -> Result<(Bytes, AnswerFacts), ProviderError> {
        let answer: RawAnswer<'_> = serde_json::from_slice(body).map_err(|_| unreadable())?;
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            return Err(error_event(&error));
        }
        let items = answer.data.ok_or_else(unreadable)?;
        let data = items.iter().map(|item| self.item(item)).collect::<Result<Vec<_>, _>>()?;
        let usage = answer.usage.as_ref().and_then(ReportedUsage::from_chat);
        let facts = AnswerFacts {
            response_model: answer.model.clone(),
            upstream_id: answer.id.clone(),
            usage,
            ..AnswerFacts::default()
        };
        let tokens = facts.usage.as_ref().map_or(0, |reported| reported.usage.input_tokens());
        #[derive(Serialize)]
        struct Answer<'a> {
            id: &'a str,
            object: &'static str,
            data: Vec<Item<'a>>,
            model: &'a str,
            usage: Value,
        }
        let answer = Answer {
            id: answer.id.as_deref().unwrap_or(&self.id),
            object: "list",
            data,
            model: answer.model.as_deref().unwrap_or_default(),
            usage: json!({"prompt_tokens": tokens, "total_tokens": tokens}),
        };
        Ok((serde_json::to_vec(&answer).map_err(|_| unreadable())?.into(), facts))
    }

    fn item<'a>(&self, item: &RawItem<'a>) -> Result<Item<'a>, ProviderError> {
        let is_base64 = item.embedding.get().starts_with('"');
        let embedding = match (is_base64, self.base64) {
            (false, true) => {
                let floats: Vec<f32> = serde_json::from_str(item.embedding.get()).map_err(|_| unreadable())?;
                let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
                Embedding::Base64(BASE64.encode(&bytes))
            }
            (true, false) => {
                let text: String = serde_json::from_str(item.embedding.get()).map_err(|_| unreadable())?;
                let bytes = BASE64.decode(text.as_bytes()).map_err(|_| unreadable())?;
                let (floats, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(unreadable());
                }
                Embedding::Floats(floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
            }
            _ => Embedding::AsItCame(item.embedding),
        };
        Ok(Item { object: "embedding", index: item.index, embedding })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::with_context;
    use proptest::prelude::*;

    fn answer(base64: bool, embedding: &str) -> Value {
        let body = format!(
            r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":{embedding}}}],"model":"m","usage":{{"prompt_tokens":3,"total_tokens":3}}}}"#
        );
        let reader = EmbeddingsReader { base64, id: "embd-1".to_owned() };
        let (out, facts) = reader.answer(&body.into()).unwrap();
        assert_eq!(facts.usage.unwrap().usage.input_tokens(), 3);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn the_form_is_the_one_asked_for_whatever_the_vendor_sent() {
        assert_eq!(answer(true, "[1.0,-2.5]")["data"][0]["embedding"], "AACAPwAAIMA=");
        assert_eq!(answer(false, "\"AACAPwAAIMA=\"")["data"][0]["embedding"], json!([1.0, -2.5]));
        let kept = answer(false, "[0.10000000149011612]");
        assert_eq!(kept["data"][0]["embedding"].to_string(), "[0.10000000149011612]", "as it came");
        assert_eq!((&kept["id"], &kept["object"]), (&json!("embd-1"), &json!("list")));
    }

    #[test]
    fn wrong_inputs_are_named() {
        for (body, param) in [
            (r#"{"input":"x"}"#, "model"),
            (r#"{"model":"m"}"#, "input"),
            (r#"{"model":"m","input":[]}"#, "input"),
            (r#"{"model":"m","input":["a",1]}"#, "input"),
            (r#"{"model":"m","input":"x","encoding_format":"hex"}"#, "encoding_format"),
            (r#"{"model":"m","input":"x","dimensions":0}"#, "dimensions"),
        ] {
            assert_eq!(EmbeddingsRequest::parse(body.as_bytes()).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn mistral_gets_texts_only_and_no_length_that_it_does_not_have() {
        let encode = |body: &str| {
            let request = EmbeddingsRequest::parse(body.as_bytes()).unwrap();
            let mut dropped = Vec::new();
            with_context(|context| request.mistral_body(context, &mut dropped))
                .map(|body| (Value::Object(body), dropped))
        };
        assert!(encode(r#"{"model":"m","input":[1,2]}"#).is_err());
        let (body, dropped) = encode(r#"{"model":"m","input":["a"],"user":"jean","dimensions":256}"#).unwrap();
        assert_eq!(
            body,
            json!({"model": "sent-model", "input": ["a"], "encoding_format": "float", "output_dimension": 256})
        );
        assert_eq!(dropped, ["user"]);
    }

    proptest! {
        #[test]
        fn base64_is_little_endian_and_loses_nothing(floats in proptest::collection::vec(-10.0f32..10.0, 1..20)) {
            let text = serde_json::to_string(&floats).unwrap();
            let encoded = answer(true, &text)["data"][0]["embedding"].clone();
            let back: Vec<f32> = serde_json::from_value(answer(false, &encoded.to_string())["data"][0]["embedding"].clone()).unwrap();
            prop_assert_eq!(floats, back);
        }
    }
}
