//! What can be wrong with a basket, in sentences for whoever edits the file.
//!
//! It must not know how a basket is read.

use thiserror::Error;

use crate::ledger::LengthClass;

/// Why a basket is not sound.
#[derive(Debug, Error)]
pub enum BasketError {
    /// Not TOML, or not the fields of a basket.
    #[error("The basket cannot be read: {0}")]
    Unreadable(#[from] toml::de::Error),
    /// The version is empty.
    #[error("The basket has no version, so its figures could not be told from those of another.")]
    NoVersion,
    /// Two passages of one id.
    #[error("The id `{id}` is used by two passages.")]
    PassageTwice {
        /// The id.
        id: String,
    },
    /// Two questions of one id.
    #[error("The id `{id}` is used by two questions.")]
    QuestionTwice {
        /// The id.
        id: String,
    },
    /// A question is about a passage that is not there.
    #[error("The question `{question}` is about the passage `{passage}`, which is not in the basket.")]
    NoSuchPassage {
        /// Id of the question.
        question: String,
        /// Id of the passage.
        passage: String,
    },
    /// A question allows no answer.
    #[error("The question `{question}` leaves no token for an answer: `max_output_tokens` must be at least 1.")]
    NoOutput {
        /// Id of the question.
        question: String,
    },
    /// A check that nothing or everything passes.
    #[error("The question `{question}` has an unsound check: {defect}.")]
    UnsoundCheck {
        /// Id of the question.
        question: String,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// An empty answer would be right.
    #[error("An empty answer would pass the question `{question}`: add a check that asks for something.")]
    SilencePasses {
        /// Id of the question.
        question: String,
    },
    /// The class is not that of the request.
    #[error("The question `{question}` says that it is {said:?}, but its request of {bytes} bytes is {found:?}.")]
    WrongClass {
        /// Id of the question.
        question: String,
        /// The class in the file.
        said: LengthClass,
        /// The class by length.
        found: LengthClass,
        /// Bytes of the request.
        bytes: u64,
    },
}
