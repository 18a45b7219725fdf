//! The schema of the file: its versions, the way from each to the next, and who may take it.
//!
//! All steps from one version to the last are one transaction: a program that ends in the middle leaves the file as it was.
//! It must not know what the rows mean.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

use super::trouble::{LOCKED, label};
use super::{BUSY_TIMEOUT, unavailable};
use crate::ledger::StoreError;

/// The steps; the number of those taken is the version of the file (`user_version`). None is ever changed: there are files
/// of each version, and `tests/it/migrations.rs` opens one of each.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/sqlite/0001_ledger.sql"),
    include_str!("../migrations/sqlite/0002_control.sql"),
    include_str!("../migrations/sqlite/0003_thin.sql"),
    include_str!("../migrations/sqlite/0004_counters.sql"),
    include_str!("../migrations/sqlite/0005_positions.sql"),
    include_str!("../migrations/sqlite/0006_evidence.sql"),
];

/// The version that this program reads and writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// How long to wait before a file is asked for again that another program has.
const PAUSE: Duration = Duration::from_millis(5);

/// The version of a file; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// A file of a later version is nobody's here: what it holds may not be what this program takes it for.
pub(super) fn check_not_newer(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(connection).map_err(|error| unavailable(&error))?;
    if found > VERSION {
        return Err(StoreError::Newer { path: path.display().to_string(), found, known: VERSION });
    }
    Ok(())
}

/// Brings the file to this program's version, for the process that serves from it.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    check_not_newer(connection, path)?;
    let before = version(connection).map_err(|error| unavailable(&error))?;
    let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("migration: {error}"));
    keep_a_write_ahead_log(connection).map_err(|error| failed(&error))?;
    if before == VERSION {
        return Ok(());
    }
    if before > 0 {
        tracing::warn!(
            schema.before = before,
            schema.after = VERSION,
            "the ledger's schema is brought up to date; the version of the program before cannot open it afterwards"
        );
    }
    let migrations = Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect());
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    match migrations.to_latest(connection) {
        Ok(()) => Ok(()),
        // Another process was first, and this one's first step found its tables there already.
        Err(_) if version(connection).is_ok_and(|version| version == VERSION) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

/// A file that has no write-ahead log yet gets one. That needs the file for itself, and of two programs that both read it and
/// then ask for that SQLite refuses one at once, whatever its busy timeout (sqlite3_busy_handler): it asks again as long.
fn keep_a_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut asked = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if label(&error) == LOCKED && PAUSE * asked < BUSY_TIMEOUT => {
                asked += 1;
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// The same for a command beside it: while somebody serves, a file of an earlier version is served by an earlier program,
/// whose tables must not change under its hands.
pub(super) fn migrate_beside(
    connection: &mut Connection,
    path: &Path,
    served: impl FnOnce() -> bool,
) -> Result<(), StoreError> {
    check_not_newer(connection, path)?;
    let found = version(connection).map_err(|error| unavailable(&error))?;
    if (1..VERSION).contains(&found) && served() {
        return Err(StoreError::Older { path: path.display().to_string(), found, known: VERSION });
    }
    migrate(connection, path)
}
