//! What a comparison says: every figure with its number of observations and its interval, and for every pair of models what
//! may be claimed. Plain values, made from [`Evidence`](super::evidence::Evidence) alone and shown by the document.
//!
//! Money is nano-euros, times are milliseconds, shares are 0 to 1. Absent is not zero: what is not known is `None`.

mod build;
mod conversations;
mod duels;
mod energy;
mod euros;
mod measure;
mod probes;
mod scores;
#[cfg(test)]
mod tests;
mod what_if;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use energy::{EnergyRow, EnergySection, Range};
pub use euros::{CostRow, EuroSection, RepricedModel, WhatIf};

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Figure {
    /// The estimate; `None` when it lies beyond the limit.
    pub value: Option<f64>,
    /// Lower end; `None` when it cannot be said.
    pub low: Option<f64>,
    /// Upper end; `None` when it lies beyond the limit or cannot be said.
    pub high: Option<f64>,
    /// Observations behind it; 0 where there are too few for this figure.
    pub n: u64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Median time to the first visible text.
    FirstText,
    /// 95th percentile of it.
    FirstTextP95,
    /// Median time to the end of the answer.
    Duration,
    /// 95th percentile of it.
    DurationP95,
    /// Share of questions answered.
    Answered,
    /// Share of questions whose text began within 3 s and ended within 20 s.
    Prompt,
    /// Cost of an answered question.
    Cost,
    /// Share of answers that passed the basket's checks.
    Checks,
    /// Share of decisive votes.
    Preference,
}

/// What the figures allow to be said of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first is better, by more than the practical margin.
    FirstBetter,
    /// The second is.
    SecondBetter,
    /// There is a difference; whether it is larger than the practical margin is not sure.
    Uncertain,
    /// Whatever difference there is, it is smaller than the practical margin.
    NoPracticalDifference,
    /// The interval holds no difference.
    NoDifferenceShown,
    /// Too few observations for an interval.
    TooFew,
    /// The period was not declared beforehand, or is not over: figures are shown, nothing is claimed.
    Exploratory,
}

/// One metric of two models. A ratio is first over second, a difference first less second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Claim {
    /// Qualified id of the first model.
    pub first: String,
    /// Of the second.
    pub second: String,
    /// What is compared.
    pub metric: Metric,
    /// Whether this metric was named in advance for its criterion; the others are exploratory.
    pub primary: bool,
    /// Length class of the questions; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
    /// Whether `effect` is a ratio (1 is no difference) or a difference (0 is).
    pub is_ratio: bool,
    /// The effect with its interval.
    pub effect: Figure,
    /// Probability of so large a difference if there were none, of the sign-flip test; for paired figures only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// What may be said.
    pub verdict: Verdict,
}

/// Everything measured of one model in one kind of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelFigures {
    /// Qualified id.
    pub model: String,
    /// Questions put to it.
    pub questions: u64,
    /// Of those, answered by it.
    pub answered: Figure,
    /// Text began within 3 s and ended within 20 s.
    pub prompt: Figure,
    /// Time to the first visible text, median and 95th percentile.
    pub first_text: Figure,
    /// 95th percentile of it.
    pub first_text_p95: Figure,
    /// Time to the end of the answer, median.
    pub duration: Figure,
    /// 95th percentile of it.
    pub duration_p95: Figure,
    /// Mean cost of a question put to it, nano-euros.
    pub cost_per_question: Figure,
    /// Mean cost of an answer, nano-euros.
    pub cost_per_answer: Figure,
    /// Cost of 1,000 characters of visible text, nano-euros.
    pub cost_per_1000_chars: Figure,
    /// Share of answers that passed their checks; for probes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Figure>,
}

/// Figures of one length class (or of one stratum).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Slice {
    /// Name: `short`, `medium`, `long`, or a stratum such as `short · general · morning`.
    pub name: String,
    /// Qualified id of the model.
    pub model: String,
    /// Questions; absent when the cell is suppressed.
    pub questions: Option<u64>,
    /// Share answered.
    pub answered: Option<f64>,
    /// Median time to the first visible text, milliseconds.
    pub first_text: Option<f64>,
    /// Median time to the end, milliseconds.
    pub duration: Option<f64>,
    /// Mean cost of an answer, nano-euros.
    pub cost_per_answer: Option<f64>,
    /// Further questions that say nothing of the vendor, because their client left in good time or the trouble was the
    /// gateway's; absent for probes. One vendor's far above another's is a reason to look.
    pub interrupted: Option<u64>,
    /// True when it stands for fewer people than may be shown, or would give such a cell away.
    pub suppressed: bool,
}

/// Probes: the town's own questions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeSection {
    /// Rounds used.
    pub rounds: u64,
    /// Rounds left out, because probes started too late or a model was missing.
    pub rounds_left_out: u64,
    /// Questions of the basket.
    pub questions: u64,
    /// Version of the basket, and its SHA-256.
    pub basket: Option<(String, String)>,
    /// How late probes started, milliseconds: median, and 99th percentile.
    pub lag: Option<(f64, f64)>,
    /// By model.
    pub models: Vec<ModelFigures>,
    /// By length class.
    pub slices: Vec<Slice>,
    /// Pairs.
    pub claims: Vec<Claim>,
    /// Why there is no comparison, in a word of a closed set: `none`, `one_model`, `two_baskets`, `too_few_rounds`.
    pub refused: Option<String>,
}

/// Conversations whose vendor was drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConversationSection {
    /// `conversation`, or `block` where the vendor was drawn for blocks of time.
    pub drawn_for: String,
    /// Groups of at least eleven people that intervals are made from.
    pub groups: u64,
    /// People, at least so many; absent when too few to be shown.
    pub people: Option<u64>,
    /// By model, standardised by length, local passages and time of the day.
    pub models: Vec<ModelFigures>,
    /// As they came, by stratum.
    pub slices: Vec<Slice>,
    /// Pairs.
    pub claims: Vec<Claim>,
    /// Share of the questions that lie in strata left out because a model has too few there.
    pub share_left_out: f64,
    /// Models left out, with why: `too_few`, `no_overlap`, `too_few_people`.
    pub models_left_out: BTreeMap<String, String>,
    /// Why there is no comparison: `none`, `one_model`, `no_overlap`, `too_few_people`, `too_few_groups`.
    pub refused: Option<String>,
    /// Questions whose resident chose the vendor, or for which there was no other: shown, not compared. By model; `None` where suppressed.
    pub chosen: Vec<(String, Option<u64>)>,
}

/// Two models in blind duels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DuelPair {
    /// Qualified id of the first model.
    pub first: String,
    /// Of the second.
    pub second: String,
    /// Votes for the first.
    pub first_wins: u64,
    /// Votes for the second.
    pub second_wins: u64,
    /// Ties.
    pub ties: u64,
    /// Share of decisive votes for the first.
    pub share: Figure,
    /// Share of decisive votes for the answer on the left: half, if sides do not matter.
    pub left_share: Option<f64>,
    /// Share of decisive votes for the longer answer.
    pub longer_share: Option<f64>,
    /// Share for the first among duels whose answers differ by at most a fifth in length.
    pub share_at_like_length: Figure,
}

/// Blind duels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DuelSection {
    /// Votes.
    pub votes: Option<u64>,
    /// People who voted, at least so many; absent when too few to be shown.
    pub people: Option<u64>,
    /// Pairs.
    pub pairs: Vec<DuelPair>,
    /// Ranking of three or more models: model, score (1000 is the mean of all), best and worst rank of its interval.
    pub ranking: Vec<Rank>,
    /// What was said of answers: model, qualifier, share of its duels.
    pub qualifiers: Vec<(String, String, f64)>,
    /// Claims on preference.
    pub claims: Vec<Claim>,
    /// Why nothing is shown: `none`, `too_few_people`.
    pub refused: Option<String>,
}

/// A place in the ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rank {
    /// Qualified id of the model.
    pub model: String,
    /// Bradley–Terry score with its interval.
    pub score: Figure,
    /// Best and worst rank within the interval, from 1.
    pub rank: (u32, u32),
}

/// A criterion of the scorecard with its weight and marks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CriterionRow {
    /// `price`, `latency`, `quality`, `ease_of_use`, `data_protection`, `environment`.
    pub criterion: String,
    /// Weight in percent.
    pub weight: u32,
    /// Where the marks come from, in a word of a closed set: `probes`, `conversations`, `duels`, `catalogue`, `energy`, `not_scored`.
    pub source: String,
    /// Mark of each offer, 0 to the weight, in the order of the offers; absent when the criterion is not scored. For the
    /// price, those of the first formula.
    pub marks: Vec<Option<f64>>,
}

/// One way to mark prices, with what comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FormulaRow {
    /// `classic` (Pmin/P), `linear`, `average`.
    pub formula: String,
    /// Marks for the price, in the order of the offers.
    pub price_marks: Vec<f64>,
    /// Totals.
    pub totals: Vec<f64>,
    /// Ranks, from 1.
    pub ranks: Vec<u32>,
}

/// How the winner changes with one weight, the others keeping their proportions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sensitivity {
    /// The criterion.
    pub criterion: String,
    /// From and to in percent, and the winner between them.
    pub winners: Vec<(f64, f64, String)>,
}

/// The scorecard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScorecardSection {
    /// Qualified ids of the offers.
    pub offers: Vec<String>,
    /// Price of the reference basket for each, nano-euros per answer.
    pub prices_euro_nanos: Vec<i64>,
    /// Criteria.
    pub criteria: Vec<CriterionRow>,
    /// The three formulas.
    pub formulas: Vec<FormulaRow>,
    /// Whether all three have the same winner.
    pub formulas_agree: bool,
    /// For the first formula.
    pub sensitivity: Vec<Sensitivity>,
    /// Facts on data protection: model, sentence parts.
    pub data_facts: Vec<DataFacts>,
    /// Why there is none: `one_offer`, `no_price`.
    pub refused: Option<String>,
}

/// What is known of where questions go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DataFacts {
    /// Qualified id.
    pub model: String,
    /// Hosts called, with the region each promises.
    pub hosts: Vec<(String, String)>,
    /// Default retention by the vendor, in English and in French.
    pub retention: Option<(String, String)>,
    /// Law that reaches the vendor.
    pub law: Option<(String, String)>,
    /// Whether the vendor trains on what is sent, by its terms.
    pub training: Option<(String, String)>,
    /// Source and day.
    pub source: Option<(String, String)>,
}

/// What the document rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// Records in the ledger's chain.
    pub ledger_records: u64,
    /// Hash of its end.
    pub ledger_hash: String,
    /// SHA-256 of the terms in force: prices, plans, routes, envelope.
    pub terms_digest: String,
    /// Version of the program.
    pub program: String,
    /// SHA-256 of the evidence file that this is made from.
    pub evidence_digest: String,
}

/// The comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// When the evidence was read, RFC 3339 in UTC.
    pub made_at: String,
    /// True when vendors were simulated: then no figure says anything about real ones.
    pub simulated: bool,
    /// Questions without an answer count as longer than this, seconds.
    pub limit_seconds: u64,
    /// The declared evaluation period and the day it was declared, if it was; claims are made for it alone, once it is over.
    pub declared: Option<(String, String, Option<String>)>,
    /// Whether differences are claimed: the period is the declared one, declared before it began, and over.
    pub claims: bool,
    /// Practical margin below which a difference does not matter, as a share.
    pub margin: f64,
    /// Models compared, by qualified id, with the vendor's name.
    pub models: Vec<(String, String)>,
    /// Probes.
    pub probes: ProbeSection,
    /// Conversations.
    pub conversations: ConversationSection,
    /// Switchback blocks, where there are some.
    pub blocks: Option<ConversationSection>,
    /// Duels.
    pub duels: DuelSection,
    /// Euros.
    pub euros: EuroSection,
    /// Energy.
    pub energy: EnergySection,
    /// Scorecard.
    pub scorecard: ScorecardSection,
    /// Whether a route, the epoch or the models compared changed in the period: then draws are of more than one experiment, and
    /// nothing is claimed.
    pub disturbed: bool,
    /// Changes in the period that touch the comparison: day, and what.
    pub changes: Vec<(String, String)>,
    /// Retirements of compared models: model and day.
    pub retirements: Vec<(String, String)>,
    /// What it rests on.
    pub proof: Proof,
}
