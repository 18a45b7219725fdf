//! Alerts as the store keeps them, and the figures that they are raised from.

use jiff::Timestamp;

use super::Totals;

/// An alert, raised once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about and the window, such as `envelope/2026-11/80@1000.00`: raised once for each.
    pub id: String,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// What is sent, as JSON.
    pub body: String,
    /// How often it was tried to deliver it.
    pub attempts: u32,
}

/// What the town has spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TownSpend {
    /// Settled this month.
    pub month_used: Totals,
    /// Held by calls in progress, of this month.
    pub month_held: Totals,
    /// Settled this year.
    pub year_used: Totals,
    /// Held by calls in progress, of this year.
    pub year_held: Totals,
    /// Whether somebody was refused today because the month's envelope was spent.
    pub month_refused: bool,
    /// Whether somebody was refused today because the year's envelope was spent.
    pub year_refused: bool,
    /// Nano-euros of each hour asked for, in the order asked for.
    pub hours: Vec<i64>,
}
