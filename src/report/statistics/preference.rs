//! Share of votes for one of two, ties apart.
//!
//! It must not know the names behind the sides. With two vendors a share says all that a rating would. A tie is an
//! answer of its own and is reported, but it does not decide.

use serde::{Deserialize, Serialize};

use super::number::{count, real};
use super::proportion::{clustered_share, wilson};
use super::{Estimate, Level};

/// The votes of one participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// Votes for the first side.
    pub first: u64,
    /// Votes for the second side.
    pub second: u64,
    /// Votes for neither.
    pub ties: u64,
}

/// How the interval was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Each participant cast one decisive vote: Wilson's interval.
    Wilson,
    /// Some cast several: Wilson's interval with the number of independent votes that the spread between participants
    /// is worth.
    Clustered,
}

/// A preference between two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// Share of the decisive votes that went to the first side. Absent without votes of at least two participants.
    pub share: Option<Estimate>,
    /// How its interval was made.
    pub method: Method,
    /// Votes for one of both sides.
    pub decisive: u64,
    /// Votes for neither.
    pub ties: u64,
    /// Participants with a vote, tie or not.
    pub participants: u64,
}

/// Share of the decisive votes for the first side, with an interval over participants.
///
/// A person who votes fifty times is one person: see [`clustered_share`].
#[must_use]
pub fn preference_share(participants: &[Votes], level: Level) -> Preference {
    let decided: Vec<&Votes> = participants.iter().filter(|votes| votes.first + votes.second > 0).collect();
    let single = decided.iter().all(|votes| votes.first + votes.second == 1);
    let first: Vec<f64> = decided.iter().map(|votes| real(votes.first)).collect();
    let all: Vec<f64> = decided.iter().map(|votes| real(votes.first + votes.second)).collect();
    let share = if decided.len() < 2 {
        None
    } else if single {
        let (wins, n): (f64, f64) = (first.iter().sum(), all.iter().sum());
        wilson(wins, n, level).map(|interval| Estimate::new(wins / n, interval, count(decided.len())))
    } else {
        clustered_share(&first, &all, level)
    };
    Preference {
        share,
        method: if single { Method::Wilson } else { Method::Clustered },
        decisive: decided.iter().map(|votes| votes.first + votes.second).sum(),
        ties: participants.iter().map(|votes| votes.ties).sum(),
        participants: count(participants.iter().filter(|votes| votes.first + votes.second + votes.ties > 0).count()),
    }
}
