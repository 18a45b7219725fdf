//! One integration binary: every story runs through the public interface of a [`support::TestGateway`].
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure is a panic, and helpers are documented where they are used"
)]

mod alerts;
mod architecture;
mod books;
mod chat;
mod configuration;
mod cuts;
mod disconnect;
mod endpoints;
mod failures;
mod ledger_contract;
mod money;
mod prices;
mod privacy;
mod process;
mod quota;
mod responses;
mod routing;
mod stops;
mod support;
mod terms;
mod transcription;
