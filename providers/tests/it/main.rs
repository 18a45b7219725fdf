//! The adapters held to golden fixtures and to the vendors' published schemas.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure is a panic, and helpers are documented where they are used"
)]

mod adapter;
mod answers;
mod cuts;
mod fixtures;
mod generate;
mod generated;
mod loopback;
mod requests;
mod schema_checks;
mod schemas;
