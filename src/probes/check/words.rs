//! Phrases: words in a row, whatever their accents, capitals and punctuation.
//!
//! It must not know which phrases matter.

use serde::Deserialize;
use thiserror::Error;

use super::phone;
use super::text::{Token, fold, tokens};

/// A phrase without a word.
#[derive(Debug, Error)]
#[error("a phrase must hold at least one word or number")]
pub struct EmptyPhrase;

/// Words in a row. `*` after the last one stands for any ending. A phone number is found in any writing of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Phrase {
    words: Vec<String>,
    open: bool,
    phone: Option<String>,
}

impl TryFrom<String> for Phrase {
    type Error = EmptyPhrase;

    fn try_from(text: String) -> Result<Self, EmptyPhrase> {
        let folded = fold(&text);
        let words = words(&folded);
        if words.is_empty() {
            return Err(EmptyPhrase);
        }
        let phone = match phone::find(&folded).as_slice() {
            [only] if only.start == 0 && only.end == folded.chars().count() => Some(only.digits.clone()),
            _ => None,
        };
        Ok(Self { words, open: text.trim_end().ends_with('*'), phone })
    }
}

impl Phrase {
    /// Whether the phrase stands in a folded text.
    pub(super) fn is_in(&self, folded: &str) -> bool {
        if let Some(phone) = &self.phone {
            return phone::find(folded).iter().any(|found| found.digits == *phone);
        }
        let text = words(folded);
        text.windows(self.words.len()).any(|window| self.is(window))
    }

    fn is(&self, window: &[String]) -> bool {
        let last = self.words.len() - 1;
        self.words.iter().zip(window).enumerate().all(|(index, (wanted, found))| {
            if index == last && self.open { found.starts_with(wanted) } else { found == wanted }
        })
    }
}

/// The words and numbers of a folded text.
pub(super) fn words(folded: &str) -> Vec<String> {
    let mut words = Vec::new();
    for token in tokens(folded) {
        match token {
            Token::Word(word) | Token::Digits(word) => words.push(word),
            Token::Sign(_) => {}
        }
    }
    words
}
