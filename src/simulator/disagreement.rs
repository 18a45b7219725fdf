//! The known ways in which a vendor's figures differ from what a gateway saw, to be switched on for training and tests.
//!
//! It must not know how figures are kept or served.

/// One way in which the figures served differ from the truth. The simulator's own books stay true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Disagreement {
    /// Somebody else calls in the same project: every tenth call is counted twice.
    Elsewhere,
    /// Calls are missing: every tenth call is not counted.
    Missing,
    /// Cached input tokens are billed at the full rate of input.
    CachedInFull,
    /// The uplift of regional hosts is not billed.
    UpliftNotBilled,
    /// The highest uplift of the vendor's hosts is billed on every call.
    UpliftBilled,
    /// The next price of a model is billed up to 30 days before the day it was announced for.
    PriceEarly,
    /// Costs are rounded to cents, per line and day.
    CentsPerDay,
    /// An answer that its client broke off is billed as if it had been whole.
    InterruptedInFull,
    /// An answer that its client broke off is neither counted nor billed.
    InterruptedNotBilled,
    /// The newest three hours are not there yet.
    NewestMissing,
}
