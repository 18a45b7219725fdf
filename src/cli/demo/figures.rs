//! What a demo came to: the report, the gateway's ledger against the vendors' books, and the gateway's own time.
//!
//! It must not print: the screen does.

use std::time::Duration;

use serde::Serialize;

use super::stage::Stage;
use crate::cli::Failure;
use crate::clock::Clock;
use crate::ledger::{Ledger, StoreError};
use crate::probes::RoundReport;
use crate::report::{self, Period, Report};

/// How long calls may take to be settled once every answer has been read.
const SETTLE_PATIENCE: Duration = Duration::from_secs(15);
/// How often that is looked at.
const SETTLE_STEP: Duration = Duration::from_millis(20);

/// Time spent in the gateway before a vendor is called, exact over first attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Overhead {
    /// First attempts measured.
    pub(super) n: usize,
    /// The median, in microseconds.
    pub(super) p50: Option<u64>,
    /// The 99th percentile, in microseconds.
    pub(super) p99: Option<u64>,
}

impl Overhead {
    /// The quantiles by nearest rank.
    pub(super) fn of(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        let rank = |percent: usize| micros.get((micros.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Self { n: micros.len(), p50: rank(50), p99: rank(99) }
    }
}

/// The figures, as `--json` prints them.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// The comparison of the vendors.
    pub(super) report: Report,
    /// What the simulated vendors would bill by their own books; absent for real ones.
    pub(super) vendors_billed_nanos: Option<i64>,
    /// The sum of the costs that this demo put into the ledger, in nano-dollars.
    pub(super) ledger_cost_nanos: i64,
    /// The gateway's own time.
    pub(super) overhead_micros: Overhead,
    /// How long the questions took.
    pub(super) play_seconds: f64,
    /// The rounds of the town's own probes.
    pub(super) probes: Vec<RoundReport>,
    /// Whether the vendors were simulated.
    pub(super) simulated: bool,
}

impl Figures {
    /// Reads the figures of the entries after `before`, once everything is settled.
    ///
    /// # Errors
    /// [`Failure`] when the ledger cannot be read.
    pub(super) async fn read(
        stage: &Stage,
        ledger: &Ledger,
        before: u64,
        clock: &Clock,
        played: Duration,
    ) -> Result<Self, Failure> {
        settled(ledger, clock).await?;
        let mut cost = 0_i64;
        let mut overheads = Vec::new();
        ledger.visit_entries(&mut |seq, entry| {
            if seq > before {
                cost = cost.saturating_add(entry.cost_nanos.unwrap_or(0));
                if entry.attempt == 1 {
                    overheads.extend(entry.overhead_micros);
                }
            }
        })?;
        let config = &stage.loaded.config;
        let now = clock.now();
        let period = Period::parse(None, None, config.calendar.date(now)).map_err(Failure::Usage)?;
        let limit = config.upstream.transport.deadlines.total.as_secs();
        Ok(Self {
            report: report::build(ledger, &period, limit, now)?,
            vendors_billed_nanos: stage.billed_nanos(),
            ledger_cost_nanos: cost,
            overhead_micros: Overhead::of(overheads),
            play_seconds: played.as_secs_f64(),
            probes: Vec::new(),
            simulated: stage.simulated,
        })
    }

    /// True unless the ledger and the vendors' books differ.
    pub(super) fn agree(&self) -> bool {
        self.vendors_billed_nanos.is_none_or(|billed| billed == self.ledger_cost_nanos)
    }
}

/// The number of the ledger's last entry; 0 in an empty one.
pub(super) fn last_entry(ledger: &Ledger) -> Result<u64, StoreError> {
    let mut last = 0;
    ledger.visit_entries(&mut |seq, _| last = last.max(seq))?;
    Ok(last)
}

/// Waits until no call is open and all that was counted is written.
async fn settled(ledger: &Ledger, clock: &Clock) -> Result<(), StoreError> {
    let end = clock.tick().plus(SETTLE_PATIENCE);
    while ledger.gauges()?.open_reservations > 0 && clock.tick() < end {
        tokio::time::sleep(SETTLE_STEP).await;
    }
    // The writer takes commands in order: once this one is done, every refusal counted before is in the file.
    ledger.sweep(clock.now()).await.map(drop)
}
