//! Duels that wait for somebody's judgement, and the judgement, which goes into the chain as the duel leaves.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::control::{append_to, written};
use crate::ledger::{Duel, DuelSide, LengthClass, OpenDuel, Record, StoreError, micros};

pub(super) fn open(connection: &mut Connection, duel: &OpenDuel, now: Timestamp) -> Result<(), StoreError> {
    let sides = serde_json::to_string(&(duel.length_class, &duel.left, &duel.right))
        .map_err(|error| StoreError::Damaged(error.to_string()))?;
    written(connection, |transaction| {
        transaction.execute("DELETE FROM duels WHERE expires_at <= ?1", [micros(now)])?;
        transaction.execute(
            "INSERT INTO duels (id, resident_id, expires_at, body) VALUES (?1, ?2, ?3, ?4)",
            params![duel.id, duel.resident, micros(duel.expires_at), sides],
        )?;
        Ok(())
    })
}

pub(super) fn find(connection: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<Option<OpenDuel>> {
    let mut statement = connection
        .prepare_cached("SELECT resident_id, expires_at, body FROM duels WHERE id = ?1 AND expires_at > ?2")?;
    statement
        .query_row(params![id, micros(now)], |row| {
            let body: String = row.get(2)?;
            let (length_class, left, right): (LengthClass, DuelSide, DuelSide) =
                serde_json::from_str(&body).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
                })?;
            let expires_at = Timestamp::from_microsecond(row.get(1)?).unwrap_or(now);
            Ok(OpenDuel { id: id.to_owned(), resident: row.get(0)?, expires_at, length_class, left, right })
        })
        .optional()
}

pub(super) fn judge(connection: &mut Connection, duel: Duel) -> Result<bool, StoreError> {
    written(connection, |transaction| {
        let waited = transaction.execute("DELETE FROM duels WHERE id = ?1", [&duel.id])?;
        if waited > 0 {
            append_to(transaction, &Record::Duel(Box::new(duel)))?;
        }
        Ok(waited > 0)
    })
}
