//! Passerelle: a town hall's gateway between its residents and the vendors of language models.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod identity;
pub mod ledger;
pub mod pipeline;
pub mod quota;
pub mod report;
pub mod shutdown;
pub mod simulator;
pub mod telemetry;
