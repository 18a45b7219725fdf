//! What the read side gets of a period, all of one moment.

use super::{ChainHead, Duel, People, Probe, Rollup, RollupKey};

/// What the report reads.
#[derive(Debug, Default)]
pub struct ReportData {
    /// Aggregates over all days of the period, in the order of their keys.
    pub rollups: Vec<(RollupKey, Rollup)>,
    /// Probes that were meant for those days, oldest first.
    pub probes: Vec<Probe>,
    /// Duels judged in those days, oldest first.
    pub duels: Vec<Duel>,
    /// Residents who asked something, by month (`2026-11`), of the months that those days touch.
    pub residents: Vec<(String, u64)>,
    /// The end of the chain as it was when all this was read.
    pub head: ChainHead,
    /// Refused questions by reason.
    pub refusals: Vec<(String, u64)>,
    /// Reservations open at the moment of reading.
    pub open_reservations: u64,
}

/// What a local day cost the town.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaySpend {
    /// The day.
    pub day: String,
    /// Charged to all accounts, adjustments included, nano-euros.
    pub euro_nanos: i64,
    /// Of it, to residents.
    pub residents_euro_nanos: i64,
    /// Residents who asked something that day: all where they are few, and enough of them where they are many.
    pub people: People,
}
