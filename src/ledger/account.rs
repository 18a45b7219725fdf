//! What accounts use and hold: questions, tokens and nano-euros, in one window.

use super::Charge;

/// The account of the whole town.
pub(super) const TOWN: &str = "town";
/// The account that the town's own probes are charged to.
pub const PROBES_ACCOUNT: &str = "probes";
/// The account that the answers of blind duels are charged to.
pub const DUELS_ACCOUNT: &str = "duels";

/// What was settled and what is held in one window, or what a correction adds to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Questions.
    pub questions: i64,
    /// Tokens.
    pub tokens: i64,
    /// Nano-euros.
    pub euro_nanos: i64,
}

/// Largest amount counted at once: a thousand of them fit into a counter, so that one absurd figure cannot make the
/// counters unwritable.
const MOST_AT_ONCE: i64 = 1 << 53;

/// A count as counters keep it.
pub(super) fn bounded(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).min(MOST_AT_ONCE)
}

impl Totals {
    /// What a charge adds to a counter.
    pub fn of(charge: Charge) -> Self {
        Self {
            questions: bounded(charge.questions),
            tokens: bounded(charge.tokens),
            euro_nanos: charge.euro_nanos.min(MOST_AT_ONCE),
        }
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.questions = self.questions.saturating_add(other.questions);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.euro_nanos = self.euro_nanos.saturating_add(other.euro_nanos);
    }

    /// Takes `other` away.
    pub fn subtract(&mut self, other: Self) {
        self.questions = self.questions.saturating_sub(other.questions);
        self.tokens = self.tokens.saturating_sub(other.tokens);
        self.euro_nanos = self.euro_nanos.saturating_sub(other.euro_nanos);
    }
}

/// A resident's use of the current windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidentUse {
    /// Settled today.
    pub day_used: Totals,
    /// Held by calls in progress, of today.
    pub day_held: Totals,
    /// Settled this month.
    pub month_used: Totals,
    /// Held by calls in progress, of this month.
    pub month_held: Totals,
}
