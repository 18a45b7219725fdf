//! The ledger: its version, who serves it, its pages, the end of its chain, holds that nobody resolves, its aggregates.

use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::ledger::{Health, LedgerFile, StoreError};

/// How far the last record may be ahead of the clock: another machine's clock, a leap.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// Records that may wait for the aggregates without anybody having to know.
const BEHIND: u64 = 100_000;

const RESTORE: &str = "stop the gateway, keep the file, and see `passerelle ledger verify`; the way back is a backup \
                       (deploy/doc/backup.md)";

pub(super) fn look(
    ledger: &LedgerFile,
    health: Option<Result<Health, StoreError>>,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let Some(health) = health else {
        let found = format!("{} is not there yet", ledger.path().display());
        findings.push(if ledger.is_served() {
            Finding::wrong("ledger", format!("{found}, and a gateway serves from it"), RESTORE)
        } else {
            Finding::warning("ledger", found, "the first start makes it; if there was one, look at ledger.path")
        });
        return;
    };
    match health {
        Ok(health) => of_health(&health, ledger.is_served(), now, findings),
        Err(error @ StoreError::Newer { .. }) => {
            findings.push(Finding::wrong("ledger", error.to_string(), "use the program that wrote it"));
        }
        Err(error) => findings.push(Finding::wrong("ledger", error.to_string(), RESTORE)),
    }
}

fn of_health(health: &Health, served: bool, now: Timestamp, findings: &mut Vec<Finding>) {
    let census = &health.census;
    let who = if served { "a gateway serves from it" } else { "nobody serves from it" };
    let found =
        format!("{} records, {} MB, schema {}; {who}", census.head.seq, health.bytes >> 20, census.schema_version);
    findings.push(if census.schema_version < health.known_version {
        let advice = "make a backup; the next start brings it up to date, and the program before cannot open it then";
        Finding::warning("ledger", format!("{found}, of an earlier version"), advice)
    } else {
        Finding::ok("ledger", found)
    });
    findings.push(match health.pages.first() {
        Some(first) => Finding::wrong("ledger pages", format!("SQLite finds {}: {first}", health.pages.len()), RESTORE),
        None => Finding::ok("ledger pages", "SQLite finds nothing wrong"),
    });
    findings.push(match &health.tail {
        Some(text) => Finding::wrong("ledger chain", text.clone(), RESTORE),
        None => Finding::ok("ledger chain", "the last thousand records follow one another"),
    });
    findings.push(holds(health, served));
    findings.push(aggregates(health));
    if let Some(last) = census.last_record_at {
        findings.push(if last > now + AHEAD {
            let advice = "set the clock (NTP): windows, prices and leases go by it";
            Finding::wrong("clock", format!("the last record is of {last}, and the clock says {now}"), advice)
        } else {
            Finding::ok("clock", format!("the last record is of {last}"))
        });
    }
}

fn holds(health: &Health, served: bool) -> Finding {
    let (open, expired) = (health.census.open_reservations, health.expired_reservations);
    let found = format!("{open} calls hold money, {expired} of them past their lease");
    match (expired, served) {
        (0, _) => Finding::ok("holds", found),
        (_, false) => Finding::warning("holds", found, "the next start settles them as unknown, at their ceiling"),
        (_, true) => {
            let advice = "the gateway does not settle them: look for `the sweep failed` in its log";
            Finding::wrong("holds", found, advice)
        }
    }
}

fn aggregates(health: &Health) -> Finding {
    let waiting = health.not_rolled_up;
    match health.unreadable_rollups {
        None => Finding::ok("aggregates", "of an earlier version, and not read"),
        Some(0) if waiting <= BEHIND => {
            Finding::ok("aggregates", format!("all can be read; {waiting} records wait for them"))
        }
        Some(0) => {
            let found = format!("{waiting} records are not in them: reports read those one by one");
            Finding::warning(
                "aggregates",
                found,
                "the gateway adds them in the background; if it does not, see its log",
            )
        }
        Some(spoilt) => {
            let advice =
                "stop the gateway, run `passerelle ledger rebuild`, start it again; the money is not concerned";
            Finding::wrong("aggregates", format!("{spoilt} cannot be read: reports take longer"), advice)
        }
    }
}
