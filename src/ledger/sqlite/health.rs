//! How a ledger's file is, read beside whoever serves from it. Nothing is written, not even the write-ahead log brought into
//! the file.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use super::copy::{Census, census, check_pages};
use super::{BUSY_TIMEOUT, is_served, read, schema, unavailable, with_end};
use crate::ledger::{ChainHead, Record, Rollup, StoreError, chain, micros};

/// Records at the end of the chain that are linked again: what a crash or a bad disk spoils is most often what was written
/// last, and all of them is what `ledger verify` is for.
const TAIL: u64 = 1_000;
/// Days over which the growth is measured.
const GROWTH_DAYS: i64 = 28;
/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// How a ledger's file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What it holds.
    pub census: Census,
    /// The version of the schema that this program knows.
    pub known_version: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes that it grows in a day; absent where it is younger than a day.
    pub bytes_per_day: Option<u64>,
    /// What SQLite finds wrong with its pages, quickly.
    pub pages: Vec<String>,
    /// What is wrong at the end of the chain.
    pub tail: Option<String>,
    /// Holds whose lease has ended.
    pub expired_reservations: u64,
    /// Aggregates that cannot be read; absent where the file is of another version.
    pub unreadable_rollups: Option<u64>,
    /// Records that are not in the aggregates yet.
    pub not_rolled_up: u64,
}

pub(in crate::ledger) fn examine(path: &Path, now: Timestamp) -> Result<Health, StoreError> {
    let lost = |error: rusqlite::Error| unavailable(&error);
    let connection = connect(path).map_err(lost)?;
    schema::check_not_newer(&connection, path)?;
    let snapshot = connection.unchecked_transaction().map_err(lost)?;
    let census = census(&snapshot)?;
    let bytes = snapshot
        .query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| row.get(0))
        .map_err(lost)?;
    let current = census.schema_version == schema::VERSION;
    let expired = "SELECT count(*) FROM reservations WHERE expires_at <= ?1";
    let rolled_up = read::rollup_seq(&snapshot).map_err(lost)?;
    Ok(Health {
        known_version: schema::VERSION,
        bytes,
        bytes_per_day: growth(&snapshot, census.head, bytes, now)?,
        pages: check_pages(&snapshot, "PRAGMA quick_check")?,
        tail: tail(&snapshot, census.head)?,
        expired_reservations: snapshot.query_row(expired, params![micros(now)], |row| row.get(0)).map_err(lost)?,
        unreadable_rollups: current.then(|| unreadable_rollups(&snapshot)).transpose().map_err(lost)?,
        not_rolled_up: census.head.seq.saturating_sub(rolled_up),
        census,
    })
}

/// A connection that leaves everything as it is. Of a file at rest, SQLite is told that nobody will write it, or it would
/// put a write-ahead log beside it: a gateway that starts at that moment may make us see what is not so.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let has_log = std::fs::metadata(with_end(path, "-wal")).is_ok_and(|log| log.len() > 0);
    if !has_log && !is_served(path) {
        let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let address = format!("file:{name}?immutable=1");
        return Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI);
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Bytes a day of the last weeks: the records since then, at the average length. The first record of a time is found by
/// halving, since records stand in the order of time.
fn growth(connection: &Connection, head: ChainHead, bytes: u64, now: Timestamp) -> Result<Option<u64>, StoreError> {
    let at = |seq: u64| Ok::<_, StoreError>(read::record(connection, seq)?.map_or(i64::MAX, |record| record.at()));
    let since = micros(now - SignedDuration::from_secs(GROWTH_DAYS * DAY_SECONDS));
    let (mut low, mut high) = (1, head.seq.max(1));
    while low < high {
        let middle = low.midpoint(high);
        if at(middle)? < since {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let seconds = micros(now).saturating_sub(at(low)?) / 1_000_000;
    if head.seq == 0 || seconds < DAY_SECONDS {
        return Ok(None);
    }
    let records = u128::from(head.seq - low + 1);
    let grown = u128::from(bytes) * records / u128::from(head.seq);
    let a_day = grown * DAY_SECONDS.unsigned_abs() as u128 / u128::from(seconds.unsigned_abs());
    Ok(Some(u64::try_from(a_day).unwrap_or(u64::MAX)))
}

/// What is wrong with the last links of the chain.
fn tail(connection: &Connection, head: ChainHead) -> Result<Option<String>, StoreError> {
    let before = head.seq.saturating_sub(TAIL);
    let mut previous = [0; 32];
    let mut last = before;
    let mut finding = None;
    // The first one read gives the hash that the next must follow.
    read::scan(connection, before.saturating_sub(1), |seq, body, hash| {
        let is_anchor = before > 0 && seq == before;
        if !is_anchor && finding.is_none() {
            let follows = seq == last + 1 && chain::link(&previous, body).as_slice() == hash;
            if !follows {
                finding = Some(format!("entry {seq} does not follow the one before it"));
            } else if let Err(error) = Record::parse(seq, body) {
                finding = Some(error.to_string());
            }
        }
        previous = hash.try_into().unwrap_or_default();
        last = seq;
        Ok(())
    })?;
    Ok(finding)
}

fn unreadable_rollups(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare("SELECT body FROM rollups")?;
    let mut rows = statement.query([])?;
    let mut unreadable = 0;
    while let Some(row) = rows.next()? {
        let readable = row.get_ref(0)?.as_blob().is_ok_and(|body| Rollup::from_bytes(body).is_ok());
        unreadable += u64::from(!readable);
    }
    Ok(unreadable)
}
