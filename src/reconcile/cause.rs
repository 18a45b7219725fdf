//! Why a ledger and a bill can differ, in words for people and programs.
//!
//! It must not know how a cause is found.

use std::fmt;

use serde::Serialize;

/// Why figures differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The ledger rounds each call up to a nano, the vendor its lines: less than that between them.
    Rounding,
    /// All the vendor's lines are whole cents, and each is within half a cent of ours.
    RoundingToCents,
    /// The tokens agree, and another dated price gives exactly the vendor's amount.
    PriceRow {
        /// Rows of the catalogue that do.
        rows: Vec<String>,
    },
    /// The tokens agree, and cached tokens at the full rate of input give exactly the vendor's amount.
    CachedInFull,
    /// The tokens agree, and another uplift on every call gives exactly the vendor's amount.
    Uplift {
        /// That uplift, in percent.
        percent: u32,
    },
    /// The vendor counts the same calls and the same input, and another part of it as cached.
    CachedCounted,
    /// The vendor counts more, and no more than answers that were broken off may have cost.
    Interrupted,
    /// The vendor counts more, and no more than calls of unknown outcome may have cost.
    Unknown,
    /// The vendor counts less, in a span younger than a day.
    Provisional,
    /// The next span has the exact opposite: calls at its edge were counted in the neighbour.
    Edge,
    /// The vendor counts calls that the ledger does not have, such as calls from elsewhere in the same project.
    MoreCalls,
    /// The ledger has calls that the vendor does not count.
    FewerCalls,
    /// No arithmetic reaches it.
    NotExplained,
}

/// A part of a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What makes it.
    pub cause: Cause,
    /// How much, in nano-units of the vendor's currency; positive where the vendor has more.
    pub nanos: i64,
}

impl Cause {
    /// Whether it explains, or only says what the difference looks like.
    pub fn explains(&self) -> bool {
        !matches!(self, Self::MoreCalls | Self::FewerCalls | Self::NotExplained)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rounding => f.write_str("rounding"),
            Self::RoundingToCents => f.write_str("rounding to cents"),
            Self::PriceRow { rows } => write!(f, "price row: billed at {}", rows.join(" or ")),
            Self::CachedInFull => f.write_str("cached tokens billed in full"),
            Self::Uplift { percent: 0 } => f.write_str("regional uplift not billed"),
            Self::Uplift { percent } => write!(f, "uplift of {percent} % billed on every call"),
            Self::CachedCounted => f.write_str("cached tokens counted differently"),
            Self::Interrupted => f.write_str("interrupted answers"),
            Self::Unknown => f.write_str("calls of unknown outcome"),
            Self::Provisional => f.write_str("still provisional"),
            Self::Edge => f.write_str("counted in the neighbouring span"),
            Self::MoreCalls => f.write_str("NOT EXPLAINED: calls that the ledger does not have"),
            Self::FewerCalls => f.write_str("NOT EXPLAINED: calls that the vendor does not count"),
            Self::NotExplained => f.write_str("NOT EXPLAINED"),
        }
    }
}
