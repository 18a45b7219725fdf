//! What a resident and the town may spend: allowances, calendar windows, and the guard on rates.
//!
//! The windows and allowances are pure; rates and simultaneous calls are counted in memory. Whatever accumulates
//! (questions, tokens, euros) is counted by the ledger, never here: GCRA is a rate, not a budget. It must not know the
//! store, vendors or HTTP.

mod calendar;
mod rate;
mod wrong_keys;

pub use calendar::{Calendar, Period, Window, Windows};
pub use rate::{OpenCalls, RateGuard, RateRefusal, RateState, SimultaneousPermit, UsedRates};
pub use wrong_keys::{Network, WrongKeyGuard, WrongKeyRate};

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What one resident may use of what accumulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Questions per day.
    pub questions_per_day: u64,
    /// Tokens per day, input and output together.
    pub tokens_per_day: u64,
    /// Euros per month, in nano-euros.
    pub euro_nanos_per_month: i64,
}

/// What the whole town may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Euros per month, in nano-euros.
    pub euro_nanos_per_month: i64,
    /// Euros per year, in nano-euros.
    pub euro_nanos_per_year: i64,
}

/// How often and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per minute, on average.
    pub requests_per_minute: std::num::NonZeroU32,
    /// Requests that may come at once after a pause.
    pub burst: std::num::NonZeroU32,
    /// Calls open at the same time.
    pub simultaneous: u32,
}

/// A limit that accumulates, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The resident's questions of the day.
    QuestionsPerDay,
    /// The resident's tokens of the day.
    TokensPerDay,
    /// The resident's euros of the month.
    EurosPerMonth,
    /// The town's euros of the month.
    TownEurosPerMonth,
    /// The town's euros of the year.
    TownEurosPerYear,
}

impl Limit {
    /// The label used in metrics, the report and error messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QuestionsPerDay => "questions_per_day",
            Self::TokensPerDay => "tokens_per_day",
            Self::EurosPerMonth => "euros_per_month",
            Self::TownEurosPerMonth => "town_euros_per_month",
            Self::TownEurosPerYear => "town_euros_per_year",
        }
    }

    /// True for the town's envelope, which no resident can do anything about.
    pub fn is_town(self) -> bool {
        matches!(self, Self::TownEurosPerMonth | Self::TownEurosPerYear)
    }

    /// True where amounts are nano-euros rather than counts.
    pub fn is_euros(self) -> bool {
        matches!(self, Self::EurosPerMonth | Self::TownEurosPerMonth | Self::TownEurosPerYear)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused reservation: which limit, by how much, until when. Amounts are counts, or nano-euros for euro limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The limit that would be passed.
    pub limit: Limit,
    /// How much it allows.
    pub allowed: i64,
    /// Settled so far.
    pub used: i64,
    /// Held by calls in progress.
    pub held: i64,
    /// What this call may need at most.
    pub asked: i64,
    /// When the window ends.
    pub resets_at: Timestamp,
}

impl Refusal {
    /// True when nothing at all is left, as opposed to less than this call may need.
    pub fn is_spent(&self) -> bool {
        self.used >= self.allowed
    }
}
