//! What a comparison is made from, and nothing more: safe to publish, and enough to compute every figure again.
//!
//! It holds no pseudonym, no time of a resident's question and no cell of fewer than [`FEWEST_PEOPLE`] people, neither
//! shown nor to be had by subtraction. A report is made of it whether it was read from the ledger a moment ago or from a
//! file, so that both give the same figures to the last digit. It must not know HTTP or where entries are kept.

mod days;
mod drawn;
mod duels;
mod gather;
mod suppress;

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use providers::usage::Usage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use drawn::{Drawn, DrawnModel, GroupMass, StratumCell, WHOLE};
pub use gather::Facts;

use crate::ledger::{Evidence as Kind, LengthClass, Outcome, Qualifier};

/// Different people below which nothing is shown of a cell (practice of official statistics for households).
pub const FEWEST_PEOPLE: u32 = 11;

/// The form of the file.
const FORMAT: &str = "passerelle evidence 1";

/// Why a file is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It is not JSON of this shape.
    #[error("this is not an evidence file of this program: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another form.
    #[error("this evidence is of the form `{0}`; this program reads `{FORMAT}`")]
    Format(String),
}

/// A model's price list entry and facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Qualified id, by the name of its price row.
    pub model: String,
    /// The vendor's name for people.
    pub vendor: String,
    /// Nano-units of `currency` per million tokens: input, cached input, cache write, output.
    pub rates: [u64; 4],
    /// Billing currency.
    pub currency: String,
    /// The price row.
    pub price_row: String,
    /// Uplift of the first host in the European Union, in percent; absent where the vendor has none.
    pub eu_uplift_percent: Option<u32>,
    /// Day on which the vendor switches it off.
    pub retires: Option<String>,
    /// Hosts that are configured, with the region each promises.
    pub hosts: Vec<(String, String)>,
    /// Facts on data protection, as the catalogue has them.
    pub data: Option<providers::catalogue::DataFacts>,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Residents, however their vendor was chosen.
    Residents,
    /// The town, its own questions.
    Probes,
    /// The town, for blind duels.
    Duels,
}

impl Audience {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Chosen | Kind::Conversation | Kind::Block => Self::Residents,
            Kind::Probe => Self::Probes,
            Kind::Duel => Self::Duels,
        }
    }
}

/// Counts and sums of one model, host and audience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageCell {
    /// Qualified id.
    pub model: String,
    /// Short name of the host.
    pub host: String,
    /// The region it promises.
    pub region: String,
    /// Kind of call.
    pub operation: String,
    /// Who asked.
    pub audience: Audience,
    /// Absent when too few people asked.
    pub sums: Option<UsageSums>,
    /// Whether something of few people is left out.
    pub incomplete: bool,
}

/// The sums of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSums {
    /// Questions assigned to the model.
    pub questions: u64,
    /// Answers, those in the place of another included.
    pub answers: u64,
    /// Of those, with a known cost.
    pub costed: u64,
    /// That cost, nano-euros.
    pub cost_euro_nanos: i64,
    /// Charged for calls whose cost is not known exactly, nano-euros.
    pub uncertain_euro_nanos: i64,
    /// Everything charged, without adjustments, nano-euros.
    pub charged_euro_nanos: i64,
    /// Tokens of answers by kind: input uncached, cached, written to the cache, output visible, reasoning.
    pub tokens: [u64; 5],
    /// Characters of visible text.
    pub output_chars: u64,
    /// Sum of the times to the end, microseconds.
    pub duration_micros: u64,
}

impl UsageSums {
    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        self.questions += other.questions;
        self.answers += other.answers;
        self.costed += other.costed;
        self.cost_euro_nanos += other.cost_euro_nanos;
        self.uncertain_euro_nanos += other.uncertain_euro_nanos;
        self.charged_euro_nanos += other.charged_euro_nanos;
        for (sum, tokens) in self.tokens.iter_mut().zip(other.tokens) {
            *sum += tokens;
        }
        self.output_chars += other.output_chars;
        self.duration_micros += other.duration_micros;
    }
}

/// One probe: the town's own question, so that nobody is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRow {
    /// Number of the round in this file.
    pub round: u32,
    /// Local day.
    pub day: String,
    /// The question.
    pub question: String,
    /// Its length.
    pub length: LengthClass,
    /// Qualified id of the model.
    pub model: String,
    /// The region of the host called.
    pub region: String,
    /// How late it started, microseconds.
    pub lag_micros: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Microseconds from the intended start to the first visible text.
    pub first_text_micros: Option<u64>,
    /// To the last content.
    pub duration_micros: Option<u64>,
    /// Tokens.
    pub usage: Option<Usage>,
    /// Cost, nano-euros.
    pub cost_euro_nanos: Option<i64>,
    /// Characters of visible text.
    pub output_chars: Option<u64>,
    /// Whether it passed its checks.
    pub passed: Option<bool>,
}

/// Sums over people of their decisive votes `x` and those of them for the first, `y`: enough for a share and an interval
/// that knows that one person votes often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteSums {
    /// Votes for the first.
    pub first: u64,
    /// Votes for the second.
    pub second: u64,
    /// Ties.
    pub ties: u64,
    /// Sum of x².
    pub xx: u64,
    /// Sum of xy.
    pub xy: u64,
    /// Sum of y².
    pub yy: u64,
    /// People with a decisive vote.
    pub people: u64,
}

/// Votes on one pair of models, of at least [`FEWEST_PEOPLE`] people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuelCell {
    /// Qualified id of the first model, before the second in the alphabet.
    pub first: String,
    /// Of the second.
    pub second: String,
    /// All votes.
    pub votes: VoteSums,
    /// Decisive votes for the left.
    pub left: u64,
    /// Decisive votes for the longer answer, and for the shorter.
    pub by_length: [u64; 2],
    /// Votes where both answers are within a fifth of each other in length; absent where too few people.
    pub like_length: Option<VoteSums>,
}

/// Votes of one group of people on one pair, for a ranking.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuelGroup {
    /// Group of people.
    pub group: u8,
    /// Qualified id of the first model.
    pub first: String,
    /// Of the second.
    pub second: String,
    /// Votes for the first, for the second, ties.
    pub votes: [u64; 3],
}

/// Blind duels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Duels {
    /// People who voted, at least so many.
    pub people: u32,
    /// Votes by pair.
    pub cells: Vec<DuelCell>,
    /// Votes by pair and group, where each has enough people.
    pub groups: Vec<DuelGroup>,
    /// What was said of answers: model, qualifier, times.
    pub qualifiers: Vec<(String, Qualifier, u64)>,
    /// Duels of each model.
    pub shown: BTreeMap<String, u64>,
}

/// What a local day cost, in nano-euros rounded to a cent; days of few people share their sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCost {
    /// The day.
    pub day: String,
    /// All of it.
    pub euro_nanos: i64,
    /// Of it, what residents asked.
    pub residents_euro_nanos: i64,
}

/// What the buyer decided, and what figures are set against.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Buyer {
    /// Weights in percent.
    pub weights: BTreeMap<String, u32>,
    /// VAT in hundredths of a percent.
    pub vat_basis_points: u32,
    /// A seat a month, nano-euros.
    pub seat_euro_nanos: i64,
    /// What a question was assumed to cost, nano-euros.
    pub assumed_euro_nanos: (i64, i64),
    /// Envelope of a year, nano-euros.
    pub envelope_euro_nanos: i64,
}

/// Everything that a comparison is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The form of this file.
    pub format: String,
    /// Version of the program that read the ledger.
    pub program: String,
    /// When, RFC 3339 in UTC.
    pub made_at: String,
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// Whether that day was over.
    pub over: bool,
    /// Whether vendors were simulated.
    pub simulated: bool,
    /// Questions without an answer count as longer than this, seconds.
    pub limit_seconds: u64,
    /// The declared evaluation period, and the day it was declared.
    pub declared: Option<(String, String, Option<String>)>,
    /// What the buyer decided.
    pub buyer: Buyer,
    /// Qualified ids of the models compared, by the names of their price rows.
    pub compared: Vec<String>,
    /// The price list: every chat model with a price.
    pub models: Vec<ModelFacts>,
    /// Rates to the euro: currency, units per euro in millionths, day.
    pub rates: Vec<(String, u64, String)>,
    /// Use by model, host and kind of evidence.
    pub usage: Vec<UsageCell>,
    /// Questions whose resident chose the vendor, by model; absent where few people did.
    pub chosen: Vec<(String, Option<u64>)>,
    /// Spent this year up to the last day, nano-euros, to the cent.
    pub spent_euro_nanos: i64,
    /// What each day cost, from the first of the year on.
    pub days: Vec<DayCost>,
    /// Residents by month; absent where too few.
    pub residents: Vec<(String, Option<u64>)>,
    /// Conversations whose vendor was drawn.
    pub conversations: Drawn,
    /// Blocks of time whose vendor was drawn.
    pub blocks: Drawn,
    /// Probes.
    pub probes: Vec<ProbeRow>,
    /// Basket of the probes: versions with their digests.
    pub baskets: Vec<(String, String)>,
    /// Duels.
    pub duels: Duels,
    /// Changes of routes, prices and models in the period: day, and what.
    pub changes: Vec<(String, String)>,
    /// More of them than are listed.
    pub changes_left_out: u64,
    /// Whether draws are of more than one experiment: a route, the epoch or the models compared changed in the period.
    pub disturbed: bool,
    /// Records in the ledger's chain.
    pub ledger_records: u64,
    /// Hash of its end.
    pub ledger_hash: String,
    /// SHA-256 of the terms in force.
    pub terms_digest: String,
}

impl Evidence {
    /// The file, JSON.
    ///
    /// # Errors
    /// When a number cannot be written as JSON, which none here can be.
    pub fn to_json(&self) -> Result<String, EvidenceError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`EvidenceError`] for what is no evidence, or of another form.
    pub fn from_json(text: &str) -> Result<Self, EvidenceError> {
        let read: Self = serde_json::from_str(text)?;
        if read.format == FORMAT { Ok(read) } else { Err(EvidenceError::Format(read.format)) }
    }

    /// SHA-256 of what it says, hexadecimal.
    pub fn digest(&self) -> String {
        // Without blanks and line ends, so that a file that was laid out again is still the same.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        HEXLOWER.encode(&Sha256::digest(bytes))
    }
}
