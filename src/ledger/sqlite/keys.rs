//! Residents and their keys. Written by any process: they are no part of the counters.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::{KeyRecord, NewKey, micros};

const SELECT: &str = "SELECT k.id, k.resident_id, r.plan, k.created_at, k.revoked_at, r.suspended_at
                      FROM api_keys k JOIN residents r ON r.id = k.resident_id";

fn record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    let time = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    Ok(KeyRecord {
        key_id: row.get(0)?,
        resident: row.get(1)?,
        plan: row.get(2)?,
        created_at: time(row.get(3)?),
        revoked_at: row.get::<_, Option<i64>>(4)?.map(time),
        suspended_at: row.get::<_, Option<i64>>(5)?.map(time),
    })
}

pub(super) fn find(connection: &Connection, hash: &[u8; 32]) -> rusqlite::Result<Option<KeyRecord>> {
    connection.prepare_cached(&format!("{SELECT} WHERE k.hash = ?1"))?.query_row([hash.as_slice()], record).optional()
}

/// False when the key of that id is revoked or its resident suspended. Keys are never removed: one that is not there is
/// not this store's to judge.
pub(super) fn is_live(connection: &Connection, key_id: &str) -> rusqlite::Result<bool> {
    let found =
        connection.prepare_cached(&format!("{SELECT} WHERE k.id = ?1"))?.query_row([key_id], record).optional()?;
    Ok(found.is_none_or(|key| key.is_live()))
}

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<KeyRecord>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY k.created_at DESC, k.id"))?;
    let rows = statement.query_map([], record)?;
    rows.collect()
}

pub(super) fn add(connection: &mut Connection, keys: &[NewKey]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for key in keys {
        let at = micros(key.created_at);
        transaction.execute(
            "INSERT INTO residents (id, plan, created_at) VALUES (?1, ?2, ?3)",
            params![key.resident, key.plan, at],
        )?;
        transaction.execute(
            "INSERT INTO api_keys (id, hash, resident_id, created_at) VALUES (?1, ?2, ?3, ?4)",
            params![key.key_id, key.hash.as_slice(), key.resident, at],
        )?;
    }
    transaction.commit()
}

pub(super) fn revoke(
    connection: &Connection,
    hash: Option<&[u8; 32]>,
    key_id: &str,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let hash = hash.map(<[u8; 32]>::as_slice);
    let changed = connection.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?1) WHERE hash = ?2 OR id = ?3",
        params![micros(at), hash, key_id],
    )?;
    Ok(changed > 0)
}
