//! One attempt at a vendor, as it is kept: who (a pseudonym), where, what it used, what it cost, how long it took.
//!
//! It holds what reconciliation with a vendor's bill needs and no text of anybody's. Absent is not zero: what is not
//! known is left out.

use jiff::Timestamp;
use providers::usage::Usage;
use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The vendor's answer is whole and its usage known.
    Completed,
    /// The answer was broken off, or failed; the cost lies between two bounds, or is known when the vendor said its usage
    /// before it ended.
    Interrupted,
    /// The vendor refused, or never heard of it: not billed.
    Rejected,
    /// Nothing can be said; the ceiling is charged.
    Unknown,
}

impl Outcome {
    /// The label used in metrics and the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Interrupted => "interrupted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

/// How the vendor of an attempt was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// The resident named the model: left out of causal comparison.
    Chosen,
    /// Drawn by keyed hash of the conversation.
    Drawn,
    /// Took over from a vendor that failed.
    Fallback,
    /// Drawn for a block of time, the same for everybody in it: a switchback.
    Block,
    /// Asked by the town itself, from its basket.
    Probe,
    /// One of the two answers of a blind duel.
    Duel,
}

/// Length of the question, by the bytes of its request without the answers before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthClass {
    /// Up to 1,200 bytes: about 300 tokens.
    Short,
    /// Up to 8,000 bytes: about 2,000 tokens.
    Medium,
    /// Longer.
    Long,
}

impl LengthClass {
    /// Its name in the store and the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Medium => "medium",
            Self::Long => "long",
        }
    }

    /// The class of a request body of that many bytes.
    pub fn of_bytes(bytes: u64) -> Self {
        match bytes {
            0..=1_200 => Self::Short,
            1_201..=8_000 => Self::Medium,
            _ => Self::Long,
        }
    }
}

/// Microseconds since 1970, UTC.
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// An attempt at a vendor. Times are microseconds: `*_at` since 1970 (UTC), the others durations on a monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Identity of the entry.
    pub id: String,
    /// The request it belongs to, as in `x-request-id`.
    pub request_id: String,
    /// 1 for the first attempt of a request.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, from a closed set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Another attempt at the same vendor followed, so this one says nothing about the question.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retried: bool,
    /// HTTP status of the vendor, where it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Pseudonym of the resident.
    pub resident: String,
    /// Public id of the key.
    pub key_id: String,
    /// Plan in force.
    pub plan: String,
    /// Kind of call: `chat`, `embeddings`, `moderation`, `transcription`.
    pub operation: String,
    /// Whether it was streamed.
    pub stream: bool,
    /// Answers asked for at once.
    pub choices: u64,
    /// The client left before the end.
    #[serde(default)]
    pub client_left: bool,
    /// The route asked for, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// How the vendor was chosen.
    pub assignment: Assignment,
    /// Probability with which it was drawn, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability_ppm: Option<u32>,
    /// The vendor.
    pub provider: String,
    /// The vendor's project or workspace that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The host called, by short name.
    pub host: String,
    /// The region that host promises.
    pub region: String,
    /// The model or route asked for.
    pub request_model: String,
    /// The model id sent.
    pub sent_model: String,
    /// The model id the vendor returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
    /// The vendor's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
    /// The vendor's id of the request, from the head of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// Why the answer ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Service tier the vendor says it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Tokens in disjoint buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// False when the vendor's parts did not add up to its totals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_consistent: Option<bool>,
    /// The vendor's usage as it came: numbers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_raw: Option<String>,
    /// Billing currency of the vendor.
    pub currency: String,
    /// Exact cost in nano-units of `currency`; absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<i64>,
    /// The cost is at least this.
    pub cost_lower_nanos: i64,
    /// The cost is at most this.
    pub cost_upper_nanos: i64,
    /// Exact cost in nano-euros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_euro_nanos: Option<i64>,
    /// Units of `currency` per euro applied, in millionths.
    pub rate_micros: u64,
    /// Day of that rate.
    pub rate_date: String,
    /// The price row applied, `provider/model@from`.
    pub price_row: String,
    /// Regional uplift applied, in percent.
    pub uplift_percent: u32,
    /// Most the call could cost, in nano-euros.
    pub ceiling_euro_nanos: i64,
    /// What the windows were charged for it.
    pub charged: super::Charge,
    /// Windows in which it was admitted.
    pub day: String,
    /// The month.
    pub month: String,
    /// The year.
    pub year: String,
    /// When the request was received whole.
    pub received_at: i64,
    /// When the attempt ended.
    pub ended_at: i64,
    /// Time spent in the gateway before the vendor was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead_micros: Option<u64>,
    /// From receipt to the first chunk with content of any kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_chunk_micros: Option<u64>,
    /// From receipt to the first visible text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_text_micros: Option<u64>,
    /// From receipt to the last content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_micros: Option<u64>,
    /// Characters of visible text in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_chars: Option<u64>,
    /// Length of the question.
    pub length_class: LengthClass,
    /// The question came with passages of the town's own pages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local_passages: bool,
    /// Hours from the beginning of the local day to receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_hour: Option<u16>,
    /// The epoch in which the vendor was drawn: with a new one, every conversation is drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Beginning of the block of time for which the vendor was drawn, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_block: Option<i64>,
}

impl Entry {
    /// The model by the name of its price row: one name for a model, whatever alias it was asked by.
    pub fn priced_model(&self) -> &str {
        let row = self.price_row.rsplit_once('@').map_or(self.price_row.as_str(), |(row, _)| row);
        row.split_once('/').map_or(&*self.sent_model, |(_, model)| model)
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use providers::usage::{ToolCalls, Usage};

    use super::*;
    use crate::ledger::Charge;

    /// An entry in which everything is absent that may be.
    pub(crate) fn bare() -> Entry {
        Entry {
            outcome: Outcome::Unknown,
            error_type: None,
            retried: false,
            http_status: None,
            route: None,
            probability_ppm: None,
            account: None,
            response_model: None,
            upstream_id: None,
            upstream_request_id: None,
            finish_reason: None,
            service_tier: None,
            usage: None,
            usage_consistent: None,
            usage_raw: None,
            cost_nanos: None,
            cost_euro_nanos: None,
            overhead_micros: None,
            first_chunk_micros: None,
            first_text_micros: None,
            duration_micros: None,
            output_chars: None,
            local_passages: false,
            local_hour: None,
            epoch: None,
            time_block: None,
            ..full()
        }
    }

    /// An entry in which nothing is absent: a new field does not compile until it is here.
    #[expect(clippy::too_many_lines, reason = "a line for each field")]
    pub(crate) fn full() -> Entry {
        let some = |text: &str| Some(text.to_owned());
        Entry {
            id: "e".into(),
            request_id: "r".into(),
            attempt: 1,
            outcome: Outcome::Completed,
            error_type: some("x"),
            retried: true,
            http_status: Some(503),
            resident: "p".into(),
            key_id: "k".into(),
            plan: "resident".into(),
            operation: "chat".into(),
            stream: true,
            choices: 1,
            client_left: true,
            route: some("auto"),
            assignment: Assignment::Drawn,
            probability_ppm: Some(500_000),
            provider: "openai".into(),
            account: some("town"),
            host: "eu".into(),
            region: "eu".into(),
            request_model: "auto".into(),
            sent_model: "m".into(),
            response_model: some("m"),
            upstream_id: some("u"),
            upstream_request_id: some("v"),
            finish_reason: some("stop"),
            service_tier: some("flex"),
            usage: Some(Usage {
                input_uncached: 1,
                input_cached: 2,
                cache_write: 3,
                output_visible: 4,
                reasoning: 5,
                input_audio: 6,
                audio_millis: 7,
                tool_calls: ToolCalls { web_search: 8 },
            }),
            usage_consistent: Some(true),
            usage_raw: some("{}"),
            currency: "USD".into(),
            cost_nanos: Some(1),
            cost_lower_nanos: 1,
            cost_upper_nanos: 1,
            cost_euro_nanos: Some(1),
            rate_micros: 1_100_000,
            rate_date: "2026-11-23".into(),
            price_row: "openai/m@2026-01-01".into(),
            uplift_percent: 10,
            ceiling_euro_nanos: 2,
            charged: Charge { questions: 1, tokens: 15, euro_nanos: 1 },
            day: "2026-11-24".into(),
            month: "2026-11".into(),
            year: "2026".into(),
            received_at: 1,
            ended_at: 2,
            overhead_micros: Some(1),
            first_chunk_micros: Some(1),
            first_text_micros: Some(1),
            duration_micros: Some(1),
            output_chars: Some(1),
            length_class: LengthClass::Short,
            local_passages: true,
            local_hour: Some(9),
            epoch: Some(2),
            time_block: Some(1_795_000_000),
        }
    }
}
