//! Passerelle: a town hall's gateway between its residents and the vendors of language models.
//!
//! - [`cli`]: the commands; [`app`]: builds every part, in order, once
//! - [`config`]: files and environment, checked; [`clock`], [`shutdown`], [`telemetry`]: leaves that everyone may use
//! - [`http`]: the three listeners; [`identity`]: keys and the residents behind them
//! - [`pipeline`]: the life of a request as types, from a live key to settled money
//! - [`trail`]: what a request leaves behind for operators: its line in the log, its spans
//! - [`duels`]: two answers side by side, asked by the town through that pipeline, and which one somebody prefers
//! - [`terms`]: prices, plans and the envelope in force, replaced while running
//! - [`quota`]: allowances, calendar windows, rates; [`ledger`]: holds, entries, counters, rollups
//! - [`alerts`]: shares of the envelope and unusual hours, told once and signed
//! - [`probes`]: the town's own questions, put to every model that is compared, on a timetable
//! - [`report`]: what the rollups say about vendors; [`reconcile`]: the ledger against a vendor's own figures;
//!   [`simulator`]: stand-ins for vendors
//! - [`care`]: backups while serving, and their way back; [`doctor`]: how an instance is, and what to do about it
//!
//! Vendors themselves (dialects, catalogue, prices, transport) are the crate `providers`, which knows nothing of these.
//! Who may use whom is drawn in the README and kept by `tests/it/architecture.rs`.

pub mod alerts;
pub mod app;
pub mod care;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod duels;
pub mod http;
pub mod identity;
pub mod ledger;
pub mod pipeline;
pub mod probes;
pub mod quota;
pub mod reconcile;
pub mod report;
pub mod shutdown;
pub mod simulator;
pub mod telemetry;
pub mod terms;
pub mod trail;
