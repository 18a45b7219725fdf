//! Passerelle: a town hall's gateway between its residents and the vendors of language models.

pub mod clock;
pub mod ledger;
pub mod quota;
pub mod shutdown;
pub mod telemetry;
