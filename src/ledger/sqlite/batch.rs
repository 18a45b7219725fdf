//! The commands of one commit, carried out one after the other. A refusal is an answer; an error is the store's and fails
//! the whole batch.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

use super::accounts::Holding;
use super::memory::Memory;
use super::writer::{Answer, Command, answer};
use super::{Text, unavailable};
use crate::ledger::{
    ChainHead, Decision, Entry, Record, Reservation, ReservationRequest, Settlement, Stop, StoreError, chain, micros,
    stored,
};
use crate::quota::Refusal;

/// Reservations resolved by one sweep; more wait for the next.
const SWEEP_LIMIT: usize = 1_000;

/// One commit in the making.
pub(super) struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    memory: &'a mut Memory,
    /// The end of the chain after what was appended so far; memory's is of the last commit.
    head: ChainHead,
    appended: &'a mut Vec<(u64, Record)>,
    /// The statements of every call, found in the connection's cache once for the batch.
    hold: CachedStatement<'a>,
    release: CachedStatement<'a>,
    append: CachedStatement<'a>,
}

const HOLD: &str = "INSERT INTO reservations (id, resident_id, day, month, year, tokens, euro_nanos, expires_at, entry)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const RELEASE: &str = "DELETE FROM reservations WHERE number = ?1 AND id = ?2";
const APPEND: &str = "INSERT INTO entries (seq, body, hash) VALUES (?1, ?2, ?3)";

/// What became of a request to hold.
enum Reserved {
    /// With the tokens of the day that are left.
    Held(u64),
    Refused(Refusal),
    Stopped(Stop),
    /// The key was revoked, or its resident suspended, since it was looked up.
    Revoked,
    /// There is a hold of that id already.
    Twin,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        memory: &'a mut Memory,
        appended: &'a mut Vec<(u64, Record)>,
    ) -> rusqlite::Result<Self> {
        let head = memory.head;
        let hold = transaction.prepare_cached(HOLD)?;
        let release = transaction.prepare_cached(RELEASE)?;
        let append = transaction.prepare_cached(APPEND)?;
        Ok(Self { transaction, memory, head, appended, hold, release, append })
    }

    /// Carries one command out.
    pub(super) fn run(&mut self, command: Command, answers: &mut Vec<Answer>) -> rusqlite::Result<()> {
        match command {
            Command::Reserve(request, reply) => match self.reserve(&request) {
                // The hold comes into being with the commit, not before.
                Ok(Reserved::Held(left)) => answers.push(Box::new(move |committed| {
                    let held = |()| Decision::Held(Reservation::new(request.entry, left));
                    let _gone = reply.send(committed.map(held));
                })),
                Ok(Reserved::Refused(refusal)) => answers.push(answer(reply, Ok(Decision::Refused(refusal)))),
                Ok(Reserved::Stopped(stop)) => answers.push(answer(reply, Ok(Decision::Stopped(stop)))),
                Ok(Reserved::Revoked) => answers.push(answer(reply, Ok(Decision::Revoked))),
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
            Command::HandOver(reply) | Command::TakeBack(reply) | Command::Close(reply) => {
                answers.push(answer(reply, Ok(())));
            }
        }
        Ok(())
    }

    fn reserve(&mut self, request: &ReservationRequest) -> rusqlite::Result<Reserved> {
        let stops = &self.memory.stops;
        let checked = stops.check_plan(&request.entry.plan);
        if let Err(stop) = checked.and_then(|()| stops.check_provider(&request.entry.provider)) {
            return Ok(Reserved::Stopped(stop));
        }
        if !self.memory.is_live(self.transaction, &request.entry.key_id, request.key_seen)? {
            return Ok(Reserved::Revoked);
        }
        if self.memory.accounts.is_open(&request.entry.id) {
            return Ok(Reserved::Twin);
        }
        let mut holding = Holding::of(request);
        let left = match self.memory.accounts.check(self.transaction, request, &holding)? {
            Ok(left) => left,
            Err(refusal) => return Ok(Reserved::Refused(refusal)),
        };
        holding.number = self.hold.insert(params![
            request.entry.id,
            holding.resident,
            holding.day,
            holding.month,
            holding.year,
            holding.tokens,
            holding.euro_nanos,
            holding.expires_at,
            Text(&body(&request.entry)?)
        ])?;
        self.memory.accounts.open(request.entry.id.clone(), holding);
        Ok(Reserved::Held(left))
    }

    fn settle(&mut self, settlement: &Settlement) -> rusqlite::Result<bool> {
        let Some(holding) = self.memory.accounts.close(&settlement.reservation) else { return Ok(false) };
        let deleted = self.release.execute(params![holding.number, settlement.reservation])?;
        if deleted == 0 {
            return Ok(false);
        }
        for entry in &settlement.entries {
            self.append(entry)?;
        }
        self.memory.accounts.charge(&holding, settlement.entries.iter().map(|entry| &**entry));
        Ok(true)
    }

    fn sweep(&mut self, now: Timestamp) -> rusqlite::Result<u64> {
        let mut resolved = 0;
        for id in self.memory.accounts.expired(micros(now), SWEEP_LIMIT) {
            let Some(number) = self.memory.accounts.number(&id) else { continue };
            let body: Option<String> = self
                .transaction
                .prepare_cached("SELECT entry FROM reservations WHERE number = ?1")?
                .query_row([number], |row| row.get(0))
                .optional()?;
            let Some(Ok(mut entry)) = body.map(|body| stored::parse(body.as_bytes())) else {
                tracing::error!(reservation.id = %id, "a reservation cannot be read and stays held");
                continue;
            };
            entry.ended_at = micros(now);
            let request = entry.request_id.clone();
            let settlement = Settlement { reservation: id, entries: vec![Arc::new(entry)] };
            if self.settle(&settlement)? {
                resolved += 1;
                tracing::warn!(
                    request.id = request,
                    "a call was never settled: the end of its lease books it as unknown"
                );
            }
        }
        Ok(resolved)
    }

    /// Ends the batch: what it added to the counters goes to the file. Gives the end of the chain.
    pub(super) fn finish(self) -> rusqlite::Result<ChainHead> {
        self.memory.accounts.write(self.transaction)?;
        Ok(self.head)
    }

    fn append(&mut self, entry: &Arc<Entry>) -> rusqlite::Result<()> {
        let body = body(entry)?;
        let next = ChainHead { seq: self.head.seq + 1, hash: chain::link(&self.head.hash, &body) };
        self.append.execute(params![next.seq, Text(&body), next.hash.as_slice()])?;
        self.head = next;
        self.appended.push((next.seq, Record::Attempt(Arc::clone(entry))));
        Ok(())
    }
}

fn body(entry: &Entry) -> rusqlite::Result<Vec<u8>> {
    stored::to_body(entry).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
