//! Questions to the file that need no writer.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{accounts, unavailable};
use crate::ledger::{ChainHead, Record, ReportData, ResidentUse, Rollup, RollupKey, StoreError};
use crate::quota::Windows;

/// The key in `meta` of the last entry that the rollups hold.
pub(super) const ROLLUP_SEQ: &str = "rollup_seq";

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute([key, value])?;
    Ok(())
}

/// Marks the database, unless it is marked or holds entries (which are then real ones); gives what it holds.
pub(super) fn mark_simulated(connection: &mut Connection, simulated: bool) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let marked = match meta(&transaction, "simulated")? {
        Some(value) => value == "true",
        None => {
            let used: bool = transaction.query_row("SELECT EXISTS (SELECT 1 FROM entries)", [], |row| row.get(0))?;
            let kind = simulated && !used;
            set_meta(&transaction, "simulated", &kind.to_string())?;
            kind
        }
    };
    transaction.commit()?;
    Ok(marked)
}

pub(super) fn rollup_seq(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(meta(connection, ROLLUP_SEQ)?.and_then(|value| value.parse().ok()).unwrap_or(0))
}

pub(super) fn open_reservations(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM reservations")?.query_row([], |row| row.get(0))
}

pub(super) fn resident_use(
    connection: &Connection,
    resident: &str,
    windows: &Windows,
) -> rusqlite::Result<ResidentUse> {
    // One snapshot: a call settled between two statements would be counted twice, or not at all.
    let snapshot = connection.unchecked_transaction()?;
    Ok(ResidentUse {
        day_used: accounts::used(&snapshot, resident, &windows.day.label)?,
        day_held: accounts::held(&snapshot, resident, &windows.day.label)?,
        month_used: accounts::used(&snapshot, resident, &windows.month.label)?,
        month_held: accounts::held(&snapshot, resident, &windows.month.label)?,
    })
}

/// Every record after `after`, oldest first, with its body and hash as stored.
pub(super) fn scan(
    connection: &Connection,
    after: u64,
    mut visit: impl FnMut(u64, &[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT seq, body, hash FROM entries WHERE seq > ?1 ORDER BY seq")
        .map_err(|error| unavailable(&error))?;
    let mut rows = statement.query([after]).map_err(|error| unavailable(&error))?;
    while let Some(row) = rows.next().map_err(|error| unavailable(&error))? {
        let damaged = |error: rusqlite::types::FromSqlError| StoreError::Damaged(error.to_string());
        let seq: u64 = row.get(0).map_err(|error| unavailable(&error))?;
        // As bytes: a text that is none any more is for the reader to tell of.
        let body = row.get_ref(1).map_err(|error| unavailable(&error))?.as_bytes().map_err(damaged)?;
        let hash = row.get_ref(2).map_err(|error| unavailable(&error))?.as_blob().map_err(damaged)?;
        visit(seq, body, hash)?;
    }
    Ok(())
}

pub(super) fn visit_records(connection: &Connection, visit: &mut dyn FnMut(u64, Record)) -> Result<(), StoreError> {
    scan(connection, 0, |seq, body, _| {
        visit(seq, Record::parse(seq, body)?);
        Ok(())
    })
}

/// One record by its number.
pub(super) fn record(connection: &Connection, seq: u64) -> Result<Option<Record>, StoreError> {
    let found: Option<String> = connection
        .query_row("SELECT body FROM entries WHERE seq = ?1", [seq], |row| row.get(0))
        .optional()
        .map_err(|error| unavailable(&error))?;
    found.map(|body| Record::parse(seq, body.as_bytes())).transpose()
}

/// The end of the chain.
pub(super) fn chain_head(connection: &Connection) -> rusqlite::Result<ChainHead> {
    let last = connection
        .prepare_cached("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok(ChainHead { seq: row.get(0)?, hash: row.get::<_, [u8; 32]>(1)? }));
    Ok(last.optional()?.unwrap_or_default())
}

/// One stored rollup, or an empty one.
pub(super) fn rollup(connection: &Connection, key: &RollupKey) -> Result<Rollup, StoreError> {
    let found: Option<Vec<u8>> = connection
        .prepare_cached("SELECT body FROM rollups WHERE day = ?1 AND provider = ?2 AND model = ?3")
        .and_then(|mut statement| {
            statement.query_row(params![key.day, key.provider, key.model], |row| row.get(0)).optional()
        })
        .map_err(|error| unavailable(&error))?;
    found.map_or_else(|| Ok(Rollup::default()), |bytes| Rollup::from_bytes(&bytes))
}

pub(super) fn report_data(connection: &Connection, from: &str, to: &str) -> Result<ReportData, StoreError> {
    let snapshot = connection.unchecked_transaction().map_err(|error| unavailable(&error))?;
    let mut rollups: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
    for (key, bytes) in stored_rollups(&snapshot, from, to).map_err(|error| unavailable(&error))? {
        rollups.insert(key, Rollup::from_bytes(&bytes)?);
    }
    let rolled_up = rollup_seq(&snapshot).map_err(|error| unavailable(&error))?;
    scan(&snapshot, rolled_up, |seq, body, _| {
        let record = Record::parse(seq, body)?;
        if let Some(key) = RollupKey::of(&record).filter(|key| (from..=to).contains(&key.day.as_str())) {
            rollups.entry(key).or_default().add(&record);
        }
        Ok(())
    })?;
    let refusals = refusals(&snapshot, from, to).map_err(|error| unavailable(&error))?;
    let open_reservations = open_reservations(&snapshot).map_err(|error| unavailable(&error))?;
    Ok(ReportData { rollups: rollups.into_iter().collect(), refusals, open_reservations })
}

fn stored_rollups(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<Vec<(RollupKey, Vec<u8>)>> {
    let mut statement =
        connection.prepare("SELECT day, provider, model, body FROM rollups WHERE day BETWEEN ?1 AND ?2")?;
    let rows = statement.query_map([from, to], |row| {
        Ok((RollupKey { day: row.get(0)?, provider: row.get(1)?, model: row.get(2)? }, row.get(3)?))
    })?;
    rows.collect()
}

fn refusals(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare(
        "SELECT reason, sum(count) FROM refusals WHERE day BETWEEN ?1 AND ?2 GROUP BY reason ORDER BY reason",
    )?;
    let rows = statement.query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
