//! One integration binary: every story runs through the public interface of a [`support::TestGateway`].
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure is a panic, and helpers are documented where they are used"
)]

mod alerts;
mod applied;
mod architecture;
mod backup;
mod books;
mod calendar;
mod charged;
mod chat;
mod comparison;
mod configuration;
mod connections;
mod cuts;
mod deploy;
mod disconnect;
mod doctor;
mod doors;
mod duels;
mod endpoints;
mod failures;
mod ledger_contract;
mod load_bench;
mod metrics;
mod migrations;
mod money;
mod peers;
mod prices;
mod privacy;
mod probes;
mod process;
mod quota;
mod reconcile;
mod reload;
mod responses;
mod restart;
mod routing;
mod scraped;
mod secret_files;
mod stops;
mod store_trouble;
mod support;
mod terms;
mod tls;
mod traces;
mod trail;
mod transcription;
mod upgrade;
