//! The commands of one commit, carried out one after the other. A refusal is an answer; an error is the store's and fails
//! the whole batch.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::accounts::Holding;
use super::memory::Memory;
use super::unavailable;
use super::writer::{Answer, Command, answer};
use crate::ledger::{
    ChainHead, Decision, Entry, Record, Reservation, ReservationRequest, Settlement, Stop, StoreError, chain, micros,
};
use crate::quota::Refusal;

/// Reservations resolved by one sweep; more wait for the next.
const SWEEP_LIMIT: u64 = 1_000;

/// One commit in the making.
pub(super) struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    memory: &'a mut Memory,
    /// The end of the chain after what was appended so far; memory's is of the last commit.
    head: ChainHead,
    appended: &'a mut Vec<(u64, Record)>,
}

/// What became of a request to hold.
enum Reserved {
    /// With the tokens of the day that are left.
    Held(u64),
    Refused(Refusal),
    Stopped(Stop),
    /// There is a hold of that id already.
    Twin,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        memory: &'a mut Memory,
        appended: &'a mut Vec<(u64, Record)>,
    ) -> Self {
        let head = memory.head;
        Self { transaction, memory, head, appended }
    }

    /// The end of the chain after what was appended so far.
    pub(super) fn head(&self) -> ChainHead {
        self.head
    }

    /// Carries one command out.
    pub(super) fn run(&mut self, command: Command, answers: &mut Vec<Answer>) -> rusqlite::Result<()> {
        match command {
            Command::Reserve(request, reply) => match self.reserve(&request) {
                // The hold comes into being with the commit, not before.
                Ok(Reserved::Held(left)) => answers.push(Box::new(move |committed| {
                    let held = |()| Decision::Held(Reservation::new(request.entry.id, left));
                    let _gone = reply.send(committed.map(held));
                })),
                Ok(Reserved::Refused(refusal)) => answers.push(answer(reply, Ok(Decision::Refused(refusal)))),
                Ok(Reserved::Stopped(stop)) => answers.push(answer(reply, Ok(Decision::Stopped(stop)))),
                Ok(Reserved::Twin) => {
                    let text = "there is a reservation of that id already".to_owned();
                    answers.push(answer(reply, Err(StoreError::Unavailable(text))));
                }
                Err(error) => {
                    answers.push(answer(reply, Err(unavailable(&error))));
                    return Err(error);
                }
            },
            Command::Settle(settlement, reply) => match self.settle(&settlement) {
                Ok(true) => answers.push(answer(reply, Ok(()))),
                Ok(false) => answers.push(answer(reply, Err(StoreError::AlreadyResolved))),
                Err(error) => {
                    answers.push(answer(reply, Err(unavailable(&error))));
                    return Err(error);
                }
            },
            Command::Sweep(now, reply) => match self.sweep(now) {
                Ok(expired) => answers.push(answer(reply, Ok(expired))),
                Err(error) => {
                    answers.push(answer(reply, Err(unavailable(&error))));
                    return Err(error);
                }
            },
            Command::Refusal(day, reason) => {
                self.transaction
                    .prepare_cached(
                        "INSERT INTO refusals (day, reason, count) VALUES (?1, ?2, 1)
                         ON CONFLICT (day, reason) DO UPDATE SET count = count + 1",
                    )?
                    .execute([&day, reason])?;
            }
            Command::Close(reply) => answers.push(answer(reply, Ok(()))),
        }
        Ok(())
    }

    fn reserve(&mut self, request: &ReservationRequest) -> rusqlite::Result<Reserved> {
        let stops = &self.memory.stops;
        let checked = stops.check_plan(&request.entry.plan);
        if let Err(stop) = checked.and_then(|()| stops.check_provider(&request.entry.provider)) {
            return Ok(Reserved::Stopped(stop));
        }
        let (holding, left) = match self.memory.accounts.hold(self.transaction, request)? {
            Ok(held) => held,
            Err(refusal) => return Ok(Reserved::Refused(refusal)),
        };
        let expires_at =
            micros(request.now).saturating_add(i64::try_from(request.lease.as_micros()).unwrap_or(i64::MAX));
        let entry = json(&request.entry)?;
        let inserted = self
            .transaction
            .prepare_cached(
                "INSERT INTO reservations (id, resident_id, day, month, year, tokens, euro_nanos, expires_at, entry)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                request.entry.id,
                holding.resident,
                holding.day,
                holding.month,
                holding.year,
                holding.tokens,
                holding.euro_nanos,
                expires_at,
                entry
            ])?;
        if inserted == 0 {
            self.memory.accounts.release(self.transaction, &holding)?;
            return Ok(Reserved::Twin);
        }
        Ok(Reserved::Held(left))
    }

    /// Takes an open reservation away; `None` when it was resolved before.
    fn take(&self, id: &str) -> rusqlite::Result<Option<Holding>> {
        self.transaction
            .prepare_cached(
                "DELETE FROM reservations WHERE id = ?1 RETURNING resident_id, day, month, year, tokens, euro_nanos",
            )?
            .query_row([id], |row| {
                Ok(Holding {
                    resident: row.get(0)?,
                    day: row.get(1)?,
                    month: row.get(2)?,
                    year: row.get(3)?,
                    tokens: row.get(4)?,
                    euro_nanos: row.get(5)?,
                })
            })
            .optional()
    }

    fn settle(&mut self, settlement: &Settlement) -> rusqlite::Result<bool> {
        // The counters are loaded before the hold is taken away, so that it is given back exactly once.
        self.preload(&settlement.reservation)?;
        let Some(holding) = self.take(&settlement.reservation)? else { return Ok(false) };
        for entry in &settlement.entries {
            self.append(entry)?;
        }
        self.memory.accounts.charge(self.transaction, &holding, &settlement.entries)?;
        Ok(true)
    }

    fn preload(&mut self, reservation: &str) -> rusqlite::Result<()> {
        let found = self
            .transaction
            .prepare_cached("SELECT resident_id, day, month, year FROM reservations WHERE id = ?1")?
            .query_row([reservation], |row| {
                Ok(Holding {
                    resident: row.get(0)?,
                    day: row.get(1)?,
                    month: row.get(2)?,
                    year: row.get(3)?,
                    tokens: 0,
                    euro_nanos: 0,
                })
            })
            .optional()?;
        found.map_or(Ok(()), |holding| self.memory.accounts.load(self.transaction, &holding))
    }

    fn sweep(&mut self, now: Timestamp) -> rusqlite::Result<u64> {
        let expired: Vec<(String, String)> = {
            let mut statement = self.transaction.prepare_cached(
                "SELECT id, entry FROM reservations WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
            )?;
            let rows = statement.query_map(params![micros(now), SWEEP_LIMIT], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let mut resolved = 0;
        for (id, body) in expired {
            let Ok(mut entry) = serde_json::from_str::<Entry>(&body) else {
                tracing::error!(reservation.id = %id, "a reservation cannot be read and stays held");
                continue;
            };
            entry.ended_at = micros(now);
            let settlement = Settlement { reservation: id, entries: vec![entry] };
            resolved += u64::from(self.settle(&settlement)?);
        }
        Ok(resolved)
    }

    fn append(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        let body = json(entry)?;
        let next = ChainHead { seq: self.head.seq + 1, hash: chain::link(&self.head.hash, body.as_bytes()) };
        self.transaction
            .prepare_cached("INSERT INTO entries (seq, body, hash) VALUES (?1, ?2, ?3)")?
            .execute(params![next.seq, body, next.hash.as_slice()])?;
        self.head = next;
        self.appended.push((next.seq, Record::Attempt(Box::new(entry.clone()))));
        Ok(())
    }
}

fn json(entry: &Entry) -> rusqlite::Result<String> {
    serde_json::to_string(entry).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
