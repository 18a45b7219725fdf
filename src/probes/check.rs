//! Whether an answer holds what a right one must: closed kinds of checks, each a plain rule over the text.
//!
//! A check finds what is said, not what is meant: an answer can hold the right number in a wrong sentence. Checks tell
//! apart vendors that find a fact from vendors that do not; they do not grade style. They must not know questions,
//! vendors or the network.

mod clock_time;
mod date;
mod declines;
mod language;
mod number;
mod phone;
#[cfg(test)]
mod tests;
mod text;
mod words;

use serde::Deserialize;

pub use language::Language;
pub use number::Decimal;
pub use words::Phrase;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer holds it.
    Passed,
    /// It does not.
    Failed,
}

/// Something that a right answer must hold. `derived` says how a value comes about that no page holds in so many words;
/// it is for the reader and for tests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Check {
    /// A number in digits, in French, English or Arabic writing. Phone numbers, times of day, numeric dates and the
    /// numbering of a list do not count.
    Number {
        /// The number.
        value: Decimal,
        /// The sum that gives it.
        #[serde(default)]
        derived: Option<String>,
    },
    /// A day of the year, in French, English, Spanish or Portuguese.
    Date {
        /// 1 to 31.
        day: u8,
        /// 1 to 12.
        month: u8,
        /// What gives it.
        #[serde(default)]
        derived: Option<String>,
    },
    /// A time of day, in French, English, Spanish or Portuguese.
    Time {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// What gives it.
        #[serde(default)]
        derived: Option<String>,
    },
    /// Words, whatever their accents and capitals.
    Words {
        /// Each must be there.
        #[serde(default)]
        all: Vec<Phrase>,
        /// One must be there.
        #[serde(default)]
        any: Vec<Phrase>,
    },
    /// The language of the answer.
    Language {
        /// Which.
        is: Language,
    },
    /// The answer says that it does not know, or will not say. A heuristic: see `declines.rs`.
    Declines {},
    /// What must not be there.
    Absent {
        /// No phone number but those that were sent with the question.
        #[serde(default)]
        phones: bool,
        /// None of these numbers.
        #[serde(default)]
        numbers: Vec<Decimal>,
        /// None of these words.
        #[serde(default)]
        words: Vec<Phrase>,
        /// Phone numbers that were sent; the basket fills them in.
        #[serde(skip)]
        known_phones: Vec<String>,
    },
}

impl Check {
    /// Why the check makes no sense, if it does not: the end of a sentence.
    pub(super) fn defect(&self) -> Option<&'static str> {
        match self {
            Self::Date { day, month, .. } if !date::exists(*day, *month) => Some("that day is in no calendar"),
            Self::Time { hour, minute, .. } if *hour > 23 || *minute > 59 => Some("that time is on no clock"),
            Self::Words { all, any } if all.is_empty() && any.is_empty() => Some("`words` names no words"),
            Self::Absent { phones: false, numbers, words, .. } if numbers.is_empty() && words.is_empty() => {
                Some("`absent` forbids nothing")
            }
            _ => None,
        }
    }
}

/// Puts `answer` to `check`.
pub fn run(check: &Check, answer: &str) -> Verdict {
    let folded = text::fold(answer);
    let passed = match check {
        Check::Number { value, .. } => number::holds(&folded, value),
        Check::Date { day, month, .. } => date::holds(&text::tokens(&folded), *day, *month),
        Check::Time { hour, minute, .. } => clock_time::holds(&text::tokens(&folded), *hour, *minute),
        Check::Words { all, any } => {
            all.iter().all(|phrase| phrase.is_in(&folded))
                && (any.is_empty() || any.iter().any(|phrase| phrase.is_in(&folded)))
        }
        Check::Language { is } => language::detect(answer) == Some(*is),
        Check::Declines {} => declines::holds(&folded),
        Check::Absent { phones, numbers, words, known_phones } => {
            let invented = *phones && phone::find(&folded).iter().any(|found| !known_phones.contains(&found.digits));
            !invented
                && !numbers.iter().any(|value| number::holds(&folded, value))
                && !words.iter().any(|phrase| phrase.is_in(&folded))
        }
    };
    if passed { Verdict::Passed } else { Verdict::Failed }
}

/// The phone numbers in a text, each as ten digits, or as `+` and digits when it is not French.
pub(super) fn phone_numbers(text: &str) -> Vec<String> {
    phone::find(&text::fold(text)).into_iter().map(|found| found.digits).collect()
}
