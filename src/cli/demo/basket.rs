//! The demo's questions: a file of invented texts, and the request that each question becomes.
//!
//! It must not know residents, the gateway or money.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// The questions as shipped.
const BASKET_TOML: &str = include_str!("basket.toml");
/// The model name that every question asks for.
const MODEL: &str = "auto";

/// Length of a question, as its author meant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Length {
    /// One sentence.
    Short,
    /// A few paragraphs.
    Medium,
    /// A question about several pages of the town's site.
    Long,
}

/// A page of the town's site.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Passage {
    id: String,
    title: String,
    text: String,
}

/// A question.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Question {
    /// Its name in the file.
    pub(super) id: String,
    /// How long it is.
    pub(super) length: Length,
    text: String,
    #[serde(default)]
    passages: Vec<String>,
}

/// Questions and the pages they are about.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Basket {
    passages: Vec<Passage>,
    /// The questions, in the order of the file.
    pub(super) questions: Vec<Question>,
}

impl Basket {
    /// The basket that ships with the program.
    pub(super) fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(BASKET_TOML)
    }

    /// The first `count` questions of that length.
    pub(super) fn first(&self, length: Length, count: usize) -> Vec<&Question> {
        self.questions.iter().filter(|question| question.length == length).take(count).collect()
    }

    /// The pages that a question is about; `None` when one of them is not in the basket.
    pub(super) fn passages_of(&self, question: &Question) -> Option<Vec<&Passage>> {
        let page = |id: &String| self.passages.iter().find(|passage| passage.id == *id);
        question.passages.iter().map(page).collect()
    }

    /// The streamed request that puts `question`, its pages in a system message.
    pub(super) fn body(&self, question: &Question, max_output_tokens: Option<u64>) -> Bytes {
        let mut messages = Vec::new();
        let pages = self.passages_of(question).unwrap_or_default();
        if !pages.is_empty() {
            let texts: Vec<String> = pages.iter().map(|page| format!("## {}\n\n{}", page.title, page.text)).collect();
            let content = format!("Répondez d'après ces pages du site de la ville.\n\n{}", texts.join("\n\n"));
            messages.push(json!({"role": "system", "content": content}));
        }
        messages.push(json!({"role": "user", "content": question.text}));
        let mut body = json!({
            "model": MODEL,
            "messages": messages,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if let Some(limit) = max_output_tokens {
            body["max_completion_tokens"] = Value::from(limit);
        }
        Bytes::from(body.to_string())
    }
}
