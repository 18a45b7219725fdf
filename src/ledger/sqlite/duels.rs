//! Duels that wait for somebody's judgement, and the judgement, which goes into the chain as the duel leaves. Of a judged
//! duel only that it was stays here, until it would have expired.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::control::{append_to, written};
use crate::ledger::{Duel, DuelSide, FoundDuel, LengthClass, OpenDuel, Record, StoreError, micros};

/// What is left in the place of the two sides once a duel is judged: who judges again must hear that it was.
const JUDGED: &str = "";

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

pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<FoundDuel>> {
    let mut statement = connection.prepare_cached("SELECT resident_id, expires_at, body FROM duels WHERE id = ?1")?;
    statement
        .query_row([id], |row| {
            let resident = row.get(0)?;
            let body: String = row.get(2)?;
            if body == JUDGED {
                return Ok(FoundDuel::Judged { resident });
            }
            let (length_class, left, right): (LengthClass, DuelSide, DuelSide) =
                serde_json::from_str(&body).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
                })?;
            // A moment that is none has passed.
            let expires_at = Timestamp::from_microsecond(row.get(1)?).unwrap_or(Timestamp::MIN);
            let duel = OpenDuel { id: id.to_owned(), resident, expires_at, length_class, left, right };
            Ok(FoundDuel::Waiting(Box::new(duel)))
        })
        .optional()
}

pub(super) fn judge(connection: &mut Connection, duel: Duel) -> Result<bool, StoreError> {
    written(connection, |transaction| {
        let waited =
            transaction.execute("UPDATE duels SET body = ?2 WHERE id = ?1 AND body <> ?2", [&*duel.id, JUDGED])?;
        if waited > 0 {
            append_to(transaction, &Record::Duel(Box::new(duel)))?;
        }
        Ok(waited > 0)
    })
}
