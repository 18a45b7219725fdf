//! A month of simulated traffic, reconciled: at least 200,000 calls through a whole gateway before two simulated vendors,
//! 32 days with both clock changes of Paris and three price changes, then every difference with the vendors' figures.
//!
//! `cargo bench --bench month`; with `-- --small` about 2,000 calls. Ends with exit code 1 when a cent is not explained.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "a bench prints its figures, reads the clock, and fails loudly; what it plays with is the tests'"
)]

#[path = "../tests/it/support/month.rs"]
mod month;
#[path = "../tests/it/support/two_vendors.rs"]
mod two_vendors;

use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use month::{Month, Size};
use providers::money::format_nanos;

const CENT_NANOS: u64 = 10_000_000;

fn main() -> ExitCode {
    let small = std::env::args().any(|argument| argument == "--small");
    let size = if small {
        Size { calls_at_once: 32, minutes_between: 720 }
    } else {
        Size { calls_at_once: 66, minutes_between: 15 }
    };
    let bar = ProgressBar::new(size.calls());
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} calls, {eta} left").unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let month = runtime.block_on(month::play(size, &|calls| bar.set_position(calls)));
    bar.finish_and_clear();
    println!("{} calls in {:.0} s", month.calls, start.elapsed().as_secs_f64());
    let unexplained = show(&month);
    if unexplained >= CENT_NANOS { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints what came of it; gives the nano-euros that are not explained.
fn show(month: &Month) -> u64 {
    let outcomes: Vec<String> = month.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    println!("answers by status: {:?}", month.statuses);
    println!("{} entries: {}", month.entries, outcomes.join(", "));
    println!(
        "bill by the vendors' books {} USD, ledger {} USD",
        format_nanos(month.billed_nanos),
        format_nanos(month.booked_nanos)
    );
    for reconciliation in &month.reconciliations {
        println!("\n{}", reconciliation.to_table().trim_end());
    }
    let sum = |nanos: fn(&passerelle::reconcile::Reconciliation) -> i64| -> i64 {
        month.reconciliations.iter().map(nanos).sum()
    };
    let gap = sum(|reconciliation| reconciliation.gap_euro_nanos);
    let unexplained = month.reconciliations.iter().map(|outcome| outcome.unexplained_euro_nanos).sum();
    let usage: u64 = month.reconciliations.iter().map(|outcome| outcome.unexplained_usage).sum();
    println!(
        "\nthe gap of both: {} EUR, of which not explained {} EUR and {usage} figures of usage",
        format_nanos(gap),
        format_nanos(i64::try_from(unexplained).unwrap())
    );
    unexplained
}
