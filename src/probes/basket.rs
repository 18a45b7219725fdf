//! The probe basket: a frozen, versioned file of invented questions with the pages they are about, the request that
//! each question becomes, and whether an answer holds what a right one must.
//!
//! It must not know vendors, when probes are sent, or money.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use error::BasketError;

use super::check::{self, Check, Language, Verdict};
use crate::ledger::LengthClass;

/// The basket as shipped.
const BASKET_TOML: &str = include_str!("basket.toml");
/// The model name with which a request is measured. Another name moves the length by a few bytes; the shipped questions
/// keep clear of the bounds of their class.
const MEASURED_MODEL: &str = "auto";
/// What stands before the pages in a system message.
const INSTRUCTION: &str = "Répondez d'après ces pages du site de la ville.";

/// A page of the town's site.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passage {
    /// Its name in the file.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What it says.
    pub text: String,
}

/// A question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name in the file.
    pub id: String,
    /// Its length class, which is that of its request.
    pub class: LengthClass,
    /// The longest answer, in tokens.
    pub max_output_tokens: u64,
    /// What is asked.
    pub text: String,
    /// Ids of the pages that are sent with it, in the order sent.
    #[serde(default)]
    pub passages: Vec<String>,
    /// What a right answer must hold, all of it; empty where no rule can tell.
    #[serde(default, rename = "check")]
    pub checks: Vec<Check>,
}

impl Question {
    /// Whether `answer` holds what a right one must; `None` for a question without a check.
    pub fn passes(&self, answer: &str) -> Option<bool> {
        if self.checks.is_empty() {
            return None;
        }
        Some(self.checks.iter().all(|check| check::run(check, answer) == Verdict::Passed))
    }
}

/// What the file holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    language: Language,
    passages: Vec<Passage>,
    questions: Vec<Question>,
}

/// Questions and the pages they are about.
#[derive(Clone, Debug)]
pub struct Basket {
    /// Version of the file. Figures of two versions are not comparable.
    pub version: String,
    /// The language of the pages and of most questions.
    pub language: Language,
    /// The pages, in the order of the file.
    pub passages: Vec<Passage>,
    /// The questions, in the order of the file.
    pub questions: Vec<Question>,
    digest: String,
}

impl Basket {
    /// The basket that ships with the program.
    ///
    /// # Errors
    /// [`BasketError`] when the file is not sound.
    pub fn shipped() -> Result<Self, BasketError> {
        Self::parse(BASKET_TOML)
    }

    /// Reads a basket and looks whether it is sound: ids are used once, pages exist, classes are those of the requests
    /// and every check can fail.
    ///
    /// # Errors
    /// [`BasketError`], which says in a sentence what is wrong.
    pub fn parse(text: &str) -> Result<Self, BasketError> {
        let File { version, language, passages, questions } = toml::from_str(text)?;
        let digest = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
        let mut basket = Self { version, language, passages, questions, digest };
        basket.verify()?;
        basket.learn_phones();
        Ok(basket)
    }

    /// SHA-256 of the bytes of the file, in lowercase hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The first `count` questions of that class.
    pub fn first(&self, class: LengthClass, count: usize) -> Vec<&Question> {
        self.questions.iter().filter(|question| question.class == class).take(count).collect()
    }

    /// The question of that id.
    pub fn question(&self, id: &str) -> Option<&Question> {
        self.questions.iter().find(|question| question.id == id)
    }

    /// The pages that a question is about; `None` when one of them is not in the basket.
    pub fn passages_of(&self, question: &Question) -> Option<Vec<&Passage>> {
        question.passages.iter().map(|id| self.passage(id)).collect()
    }

    /// The request that puts `question` to `model`: the pages in a system message, the question in a user's message. A
    /// stream is asked to end with its usage.
    pub fn request(&self, question: &Question, model: &str, stream: bool) -> Value {
        let mut messages = Vec::new();
        let pages = self.passages_of(question).unwrap_or_default();
        if !pages.is_empty() {
            let texts: Vec<String> = pages.iter().map(|page| format!("## {}\n\n{}", page.title, page.text)).collect();
            let content = format!("{INSTRUCTION}\n\n{}", texts.join("\n\n"));
            messages.push(json!({"role": "system", "content": content}));
        }
        messages.push(json!({"role": "user", "content": question.text}));
        let mut request = json!({"model": model, "messages": messages, "stream": stream});
        if stream {
            request["stream_options"] = json!({"include_usage": true});
        }
        request["max_completion_tokens"] = Value::from(question.max_output_tokens);
        request
    }

    /// Bytes of the streamed request of `question` with a model name of four letters: what its class goes by.
    pub fn body_bytes(&self, question: &Question) -> u64 {
        let body = self.request(question, MEASURED_MODEL, true).to_string();
        u64::try_from(body.len()).unwrap_or(u64::MAX)
    }

    fn passage(&self, id: &str) -> Option<&Passage> {
        self.passages.iter().find(|passage| passage.id == id)
    }

    fn verify(&self) -> Result<(), BasketError> {
        if self.version.trim().is_empty() {
            return Err(BasketError::NoVersion);
        }
        let mut ids = BTreeSet::new();
        for id in self.passages.iter().map(|passage| &passage.id) {
            if !ids.insert(id) {
                return Err(BasketError::PassageTwice { id: id.clone() });
            }
        }
        let mut ids = BTreeSet::new();
        for question in &self.questions {
            if !ids.insert(&question.id) {
                return Err(BasketError::QuestionTwice { id: question.id.clone() });
            }
            self.verify_question(question)?;
        }
        Ok(())
    }

    fn verify_question(&self, question: &Question) -> Result<(), BasketError> {
        let id = || question.id.clone();
        if let Some(passage) = question.passages.iter().find(|passage| self.passage(passage).is_none()) {
            return Err(BasketError::NoSuchPassage { question: id(), passage: passage.clone() });
        }
        if question.max_output_tokens == 0 {
            return Err(BasketError::NoOutput { question: id() });
        }
        if let Some(defect) = question.checks.iter().find_map(Check::defect) {
            return Err(BasketError::UnsoundCheck { question: id(), defect });
        }
        if question.passes("") == Some(true) {
            return Err(BasketError::SilencePasses { question: id() });
        }
        let bytes = self.body_bytes(question);
        let found = LengthClass::of_bytes(bytes);
        if found != question.class {
            return Err(BasketError::WrongClass { question: id(), said: question.class, found, bytes });
        }
        Ok(())
    }

    /// Tells every check against invented phone numbers which ones the vendor was shown.
    fn learn_phones(&mut self) {
        let Self { passages, questions, .. } = self;
        for question in questions {
            let mut known = check::phone_numbers(&question.text);
            for passage in passages.iter().filter(|passage| question.passages.contains(&passage.id)) {
                known.extend(check::phone_numbers(&passage.text));
            }
            for check in &mut question.checks {
                if let Check::Absent { known_phones, .. } = check {
                    known_phones.clone_from(&known);
                }
            }
        }
    }
}
