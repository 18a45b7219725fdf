//! What the town tries itself: probes of its basket, and blind duels that residents judged.
//!
//! Each is a record of the chain beside the entries of its calls, and says what they cannot: when a probe was meant to start
//! and whether its answer held, which of two answers somebody preferred. No question, no answer; of an answer its length and
//! its markup.

use jiff::Timestamp;
use providers::usage::Usage;
use serde::{Deserialize, Serialize};

use super::{LengthClass, Outcome};

/// One question of the basket, put to one model. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Identity of the probe.
    pub id: String,
    /// The round: all questions of the basket at all models, within minutes.
    pub round: String,
    /// Version of the basket.
    pub basket: String,
    /// SHA-256 of the basket, hexadecimal.
    pub basket_digest: String,
    /// The question, by its id in the basket.
    pub question: String,
    /// Length of the question.
    pub length_class: LengthClass,
    /// Whether it came with passages of the town's pages.
    pub local_passages: bool,
    /// The vendor.
    pub provider: String,
    /// The model, as reports name it.
    pub model: String,
    /// The host called, by short name.
    pub host: String,
    /// The region that host promises.
    pub region: String,
    /// When it was meant to start, since 1970 (UTC).
    pub intended_at: i64,
    /// How much later it did start.
    pub lag_micros: u64,
    /// Its place among the models asked the same question, from 0.
    pub position: u32,
    /// The request it made, whose entries hold its cost.
    pub request_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, from a closed set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// From the intended start to the first visible text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_text_micros: Option<u64>,
    /// From the intended start to the last content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_micros: Option<u64>,
    /// Tokens in disjoint buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Exact cost in nano-euros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_euro_nanos: Option<i64>,
    /// Characters of visible text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_chars: Option<u64>,
    /// Whether the answer passed its checks; absent for a question without any, and without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// Local day of the intended start.
    pub day: String,
    /// Hours from the beginning of that day.
    pub local_hour: u16,
}

/// What somebody thought of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    /// The one on the left.
    Left,
    /// The one on the right.
    Right,
    /// Both are as good, or as bad.
    Tie,
}

/// What somebody said of an answer, in plain words of a closed set (those of compar:IA).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Qualifier {
    /// It helps.
    Useful,
    /// Nothing is missing.
    Complete,
    /// It has ideas.
    Creative,
    /// It is well laid out.
    ClearFormatting,
    /// Something in it is wrong.
    Incorrect,
    /// It stays on the surface.
    Superficial,
    /// It is not what was asked.
    InstructionsNotFollowed,
}

/// How an answer looks: preferences depend on it, so that it is kept beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Style {
    /// Characters of visible text.
    pub chars: u64,
    /// Headings, in Markdown.
    pub headings: u32,
    /// Items of lists.
    pub list_items: u32,
    /// Passages in bold.
    pub bold: u32,
}

/// One of the two answers of a duel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuelSide {
    /// The vendor.
    pub provider: String,
    /// The model, as reports name it.
    pub model: String,
    /// The host called, by short name.
    pub host: String,
    /// The request, whose entries hold its cost.
    pub request_id: String,
    /// From receipt to the first visible text, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_text_micros: Option<u64>,
    /// From receipt to the last content, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_micros: Option<u64>,
    /// Exact cost in nano-euros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_euro_nanos: Option<i64>,
    /// Output tokens, hidden reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// How it looks.
    pub style: Style,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<Qualifier>,
}

/// A blind duel that was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duel {
    /// Identity of the duel.
    pub id: String,
    /// When it was judged, microseconds since 1970 (UTC).
    pub at: i64,
    /// Local day of that.
    pub day: String,
    /// Pseudonym of who judged.
    pub resident: String,
    /// Length of the question.
    pub length_class: LengthClass,
    /// The answer shown on the left.
    pub left: DuelSide,
    /// The answer shown on the right.
    pub right: DuelSide,
    /// Which was preferred.
    pub vote: Vote,
}

/// A duel that waits for its judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDuel {
    /// Its identity.
    pub id: String,
    /// Who may judge it.
    pub resident: String,
    /// Until when.
    pub expires_at: Timestamp,
    /// Length of the question.
    pub length_class: LengthClass,
    /// The answer shown on the left.
    pub left: DuelSide,
    /// The answer shown on the right.
    pub right: DuelSide,
}

/// What is known of a duel by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundDuel {
    /// It waits for its judgement, or has waited for too long.
    Waiting(Box<OpenDuel>),
    /// It was judged.
    Judged {
        /// By whom.
        resident: String,
    },
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// A probe in which nothing is absent: a new field does not compile until it is here.
    pub(crate) fn full_probe() -> Probe {
        Probe {
            id: "p".into(),
            round: "r".into(),
            basket: "1".into(),
            basket_digest: "d".into(),
            question: "q".into(),
            length_class: LengthClass::Short,
            local_passages: true,
            provider: "openai".into(),
            model: "m".into(),
            host: "eu".into(),
            region: "eu".into(),
            intended_at: 1,
            lag_micros: 2,
            position: 0,
            request_id: "r".into(),
            outcome: Outcome::Completed,
            error_type: Some("x".into()),
            first_text_micros: Some(3),
            duration_micros: Some(4),
            usage: Some(Usage::default()),
            cost_euro_nanos: Some(5),
            output_chars: Some(6),
            passed: Some(true),
            day: "2026-11-24".into(),
            local_hour: 10,
        }
    }

    /// A duel in which nothing is absent.
    pub(crate) fn full_duel() -> Duel {
        let side = |request: &str| DuelSide {
            provider: "openai".into(),
            model: "m".into(),
            host: "eu".into(),
            request_id: request.into(),
            first_text_micros: Some(1),
            duration_micros: Some(2),
            cost_euro_nanos: Some(3),
            output_tokens: Some(4),
            style: Style { chars: 5, headings: 1, list_items: 2, bold: 3 },
            qualifiers: vec![Qualifier::Useful, Qualifier::Incorrect],
        };
        Duel {
            id: "d".into(),
            at: 1,
            day: "2026-11-24".into(),
            resident: "p".into(),
            length_class: LengthClass::Short,
            left: side("l"),
            right: side("r"),
            vote: Vote::Left,
        }
    }
}
