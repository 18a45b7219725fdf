//! One integration binary: every story runs through the public interface of a [`support::TestGateway`].
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure is a panic, and helpers are documented where they are used"
)]

mod architecture;
mod chat;
mod configuration;
mod disconnect;
mod endpoints;
mod failures;
mod ledger_contract;
mod privacy;
mod process;
mod quota;
mod reconcile;
mod responses;
mod routing;
mod support;
mod transcription;
