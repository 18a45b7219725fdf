//! What the writer keeps in memory of the file, and how it notices that another connection wrote.
//!
//! Keys, stops, adjustments and changes are written by other connections, of this process or another. Within a write
//! transaction nobody else can write, so what is read at its beginning holds until its end.

use rusqlite::Connection;

use super::accounts::Accounts;
use super::recent::Generation;
use super::{control, keys, read};
use crate::ledger::{ChainHead, Sighting, Stops};

/// The writer's view of the file.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) accounts: Accounts,
    pub(super) stops: Stops,
    pub(super) head: ChainHead,
    /// Tells readers that what they remember is of another day.
    generation: Generation,
    /// SQLite's number of the file's state as other connections left it; absent when nothing in memory can be trusted.
    version: Option<i64>,
}

impl Memory {
    /// Memory whose changes readers hear of.
    pub(super) fn new(generation: Generation) -> Self {
        Self { generation, ..Self::default() }
    }

    /// Distrusts everything: memory may be ahead of the file.
    pub(super) fn forget(&mut self) {
        self.version = None;
    }

    /// Brings memory up to date at the beginning of a write transaction; true when somebody else appended records.
    pub(super) fn refresh(&mut self, transaction: &Connection) -> rusqlite::Result<bool> {
        let version = transaction.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.version == Some(version) {
            return Ok(false);
        }
        let head = read::chain_head(transaction)?;
        self.stops = control::stops(transaction)?;
        self.accounts.reload(transaction)?;
        self.generation.advance();
        let moved = head != self.head;
        self.head = head;
        self.version = Some(version);
        Ok(moved)
    }

    /// Whether a key may still be used that was found live. It is looked up only when somebody has written since.
    pub(super) fn is_live(&self, transaction: &Connection, key_id: &str, seen: Sighting) -> rusqlite::Result<bool> {
        if seen == self.generation.sighting() {
            return Ok(true);
        }
        keys::is_live(transaction, key_id)
    }
}
