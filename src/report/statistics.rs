//! Statistics of the comparison of vendors: estimates, their intervals, tests and sample sizes.
//!
//! Pure arithmetic on slices of numbers. It must not know vendors, requests, prices, the ledger or the clock, and it
//! gives no verdict: whether an interval allows a claim is decided by its caller.
//!
//! Same input, same digits. The one source of chance is PCG64 (XSL-RR 128/64) with an explicit state, written down in
//! [`bootstrap`], so that `NumPy`'s generator of the same name reproduces every draw; exponentials and logarithms come
//! from the portable `libm`, never from the operating system's library.
//!
//! Shares of votes, quantiles and standardised samples over single observations stand here for tests alone: a comparison
//! is made of published sums, and what it makes of them must be what these make of the observations.
//!
//! `tests/reference/statistics.py` computes the same figures with `SciPy` and `NumPy`; the tests compare both.

pub mod bootstrap;
mod distribution;
mod number;
pub mod paired;
#[cfg(test)]
pub mod preference;
pub mod proportion;
#[cfg(test)]
pub mod quantile;
pub mod ranking;
pub mod ratio;
pub mod sample_size;
#[cfg(test)]
pub mod standard;
#[cfg(test)]
mod tests;

pub use bootstrap::{Resampled, Resampling};
pub use paired::{SignFlip, hodges_lehmann, hodges_lehmann_interval, sign_flip_test};
#[cfg(test)]
pub use preference::{Method, Preference, Votes, preference_share};
pub use proportion::{clustered_share, rule_of_three, wilson};
#[cfg(test)]
pub use quantile::quantile;
pub use ranking::{Match, NotComparable, Outcome, Ranked, Ranking, bradley_terry};
pub use ratio::{ratio_difference, ratio_interval};
#[cfg(test)]
pub use standard::{Drawn, Observation, StandardisedSample};

use serde::{Deserialize, Serialize};

/// Confidence level of an interval: a probability strictly between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Level(f64);

impl Level {
    /// The level of every figure of the report.
    pub const NINETY_FIVE: Self = Self(0.95);

    /// A level; `None` unless strictly between 0 and 1.
    #[must_use]
    pub fn new(probability: f64) -> Option<Self> {
        (probability > 0.0 && probability < 1.0).then_some(Self(probability))
    }

    /// The probability itself.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Probability below the upper end of a two-sided interval with equal tails: 0.975 at 95 %.
    pub(crate) fn upper(self) -> f64 {
        f64::midpoint(1.0, self.0)
    }
}

/// A closed interval, in the unit of the quantity that it bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A figure, its interval and what carries it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure, in the unit of its data.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Independent units behind it: clusters where data are clustered, else observations.
    pub n: u64,
}

impl Estimate {
    /// A figure with an interval.
    pub(crate) const fn new(value: f64, interval: Interval, n: u64) -> Self {
        Self { value, low: interval.low, high: interval.high, n }
    }

    /// The interval alone.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        Interval { low: self.low, high: self.high }
    }
}
