//! The one thread that writes: it takes what waits, decides one request after the other, commits once for all of them
//! and only then answers.
//!
//! The queue is bounded; when it is full a write is refused, not delayed without end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::accounts::{Accounts, Holding};
use super::{read, unavailable};
use crate::ledger::{
    ChainHead, Charge, Decision, Entry, Reservation, ReservationRequest, Rollup, RollupKey, Settlement, StoreError,
    chain, micros,
};
use crate::quota::Refusal;

/// The writer brings the aggregates up to date when it was idle for this long, …
const ROLLUP_IDLE: Duration = Duration::from_secs(1);
/// … or after this many entries. The report adds what is missing.
const ROLLUP_ENTRIES: u64 = 1_000;
/// Reservations resolved by one sweep; more wait for the next.
const SWEEP_LIMIT: u64 = 1_000;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Command {
    Reserve(Box<ReservationRequest>, Reply<Decision>),
    Settle(Box<Settlement>, Reply<()>),
    Sweep(Timestamp, Reply<u64>),
    Refusal(String, &'static str),
    Close(Reply<()>),
}

/// A way to the writer, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct WriterHandle {
    commands: SyncSender<Command>,
    depth: Arc<AtomicU64>,
}

impl WriterHandle {
    pub(super) fn start(connection: Connection, queue: usize, batch: usize) -> Result<Self, StoreError> {
        let (commands, received) = sync_channel(queue);
        let depth = Arc::new(AtomicU64::new(0));
        let mut writer = Writer::new(connection, batch.max(1))?;
        let waiting = Arc::clone(&depth);
        std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || writer.run(&received, &waiting))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { commands, depth })
    }

    pub(super) fn queue_depth(&self) -> u64 {
        self.depth.load(Ordering::Relaxed)
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        self.depth.fetch_add(1, Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            crate::telemetry::metrics().ledger_writes_refused.inc();
            match error {
                TrySendError::Full(_) => StoreError::Busy,
                TrySendError::Disconnected(_) => StoreError::Unavailable("the writer has ended".to_owned()),
            }
        })
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.map_err(|_| StoreError::Unavailable("the writer has ended".to_owned()))?
    }

    pub(super) async fn reserve(&self, request: ReservationRequest) -> Result<Decision, StoreError> {
        self.ask(|reply| Command::Reserve(Box::new(request), reply)).await
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        self.ask(|reply| Command::Settle(Box::new(settlement), reply)).await
    }

    pub(super) async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.ask(|reply| Command::Sweep(now, reply)).await
    }

    pub(super) fn count_refusal(&self, day: &str, reason: &'static str) -> bool {
        self.send(Command::Refusal(day.to_owned(), reason)).is_ok()
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.ask(Command::Close).await
    }
}

/// An answer that waits for the commit.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> Answer {
    Box::new(move |committed| {
        // A waiter that has gone needs no answer; a hold it would have had stays until its lease ends.
        let _gone = reply.send(committed.and(result));
    })
}

struct Writer {
    connection: Connection,
    batch: usize,
    accounts: Accounts,
    head: ChainHead,
    rollups: HashMap<RollupKey, Rollup>,
    /// The last entry that `rollups` or the file's rollups hold.
    rolled_up: u64,
    /// Entries added to `rollups` since they were last written.
    dirty: u64,
}

impl Writer {
    fn new(connection: Connection, batch: usize) -> Result<Self, StoreError> {
        let rolled_up = read::rollup_seq(&connection).map_err(|error| unavailable(&error))?;
        let mut writer = Self {
            connection,
            batch,
            accounts: Accounts::default(),
            head: ChainHead::default(),
            rollups: HashMap::new(),
            rolled_up,
            dirty: 0,
        };
        writer.head = writer.read_head().map_err(|error| unavailable(&error))?;
        writer.catch_up()?;
        Ok(writer)
    }

    fn read_head(&self) -> rusqlite::Result<ChainHead> {
        let last = self.connection.query_row("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok(ChainHead { seq: row.get(0)?, hash: row.get::<_, [u8; 32]>(1)? })
        });
        Ok(last.optional()?.unwrap_or_default())
    }

    /// Adds the entries that the stored rollups do not hold yet: at most those of the last moments before a crash.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        self.rollups.clear();
        let mut missing = Vec::new();
        read::scan(&self.connection, self.rolled_up, |seq, body, _| {
            missing.push((seq, read::parse_entry(seq, body)?));
            Ok(())
        })?;
        for (seq, entry) in missing {
            self.roll_up(seq, &entry)?;
        }
        Ok(())
    }

    fn roll_up(&mut self, seq: u64, entry: &Entry) -> Result<(), StoreError> {
        let key = RollupKey::of(entry);
        if !self.rollups.contains_key(&key) {
            let stored = read::rollup(&self.connection, &key)?;
            self.rollups.insert(key.clone(), stored);
        }
        self.rollups.entry(key).or_default().add(entry);
        self.rolled_up = seq;
        self.dirty += 1;
        Ok(())
    }

    fn run(&mut self, received: &Receiver<Command>, depth: &AtomicU64) {
        loop {
            let first = match received.recv_timeout(ROLLUP_IDLE) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let idle = first.is_none();
            let waiting = std::iter::from_fn(|| received.try_recv().ok());
            let commands: Vec<Command> = first.into_iter().chain(waiting).take(self.batch).collect();
            depth.fetch_sub(u64::try_from(commands.len()).unwrap_or(0), Ordering::Relaxed);
            let (closing, commands): (Vec<_>, Vec<_>) =
                commands.into_iter().partition(|command| matches!(command, Command::Close(_)));
            if !commands.is_empty() {
                self.write(commands);
            }
            if self.dirty > 0 && (idle || !closing.is_empty() || self.dirty >= ROLLUP_ENTRIES) {
                self.flush_rollups();
            }
            if !closing.is_empty() {
                for command in closing {
                    if let Command::Close(reply) = command {
                        let _gone = reply.send(Ok(()));
                    }
                }
                break;
            }
        }
    }

    /// Writes one batch in one commit.
    fn write(&mut self, commands: Vec<Command>) {
        let size = commands.len();
        let mut answers = Vec::with_capacity(size);
        let mut appended = Vec::new();
        let committed = self.try_write(commands, &mut answers, &mut appended);
        match &committed {
            Ok(head) => {
                self.head = *head;
                for (seq, entry) in appended {
                    if let Err(error) = self.roll_up(seq, &entry) {
                        tracing::error!(%error, "a rollup could not be read");
                    }
                }
            }
            Err(error) => {
                // Memory may be ahead of the file.
                self.accounts.forget();
                crate::telemetry::metrics().ledger_writes_refused.inc_by(u64::try_from(size).unwrap_or(0));
                tracing::error!(%error, batch.size = size, "the ledger could not be written");
            }
        }
        self.accounts.trim();
        crate::telemetry::metrics().ledger_batch_size.observe(u32::try_from(size).map_or(f64::MAX, f64::from));
        for answer in answers {
            answer(committed.as_ref().map(|_| ()).map_err(Clone::clone));
        }
    }

    fn try_write(
        &mut self,
        commands: Vec<Command>,
        answers: &mut Vec<Answer>,
        appended: &mut Vec<(u64, Entry)>,
    ) -> Result<ChainHead, StoreError> {
        let transaction = match self.connection.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(transaction) => transaction,
            Err(error) => {
                commands.into_iter().for_each(|command| refuse(command, answers));
                return Err(unavailable(&error));
            }
        };
        let mut batch = Batch { transaction: &transaction, accounts: &mut self.accounts, head: self.head, appended };
        let mut failure = None;
        for command in commands {
            if failure.is_some() {
                refuse(command, answers);
            } else if let Err(error) = batch.run(command, answers) {
                failure = Some(unavailable(&error));
            }
        }
        let head = batch.head;
        match failure {
            // Dropping the transaction rolls everything back.
            Some(error) => Err(error),
            None => transaction.commit().map(|()| head).map_err(|error| unavailable(&error)),
        }
    }

    fn flush_rollups(&mut self) {
        match self.try_flush_rollups() {
            Ok(()) => {
                self.dirty = 0;
                self.rollups.clear();
            }
            Err(error) => tracing::error!(%error, "the aggregates could not be written and will be tried again"),
        }
    }

    fn try_flush_rollups(&mut self) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| unavailable(&error))?;
        for (key, rollup) in &self.rollups {
            let bytes = rollup.to_bytes()?;
            transaction
                .prepare_cached(
                    "INSERT INTO rollups (day, provider, model, body) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (day, provider, model) DO UPDATE SET body = excluded.body",
                )
                .and_then(|mut statement| statement.execute(params![key.day, key.provider, key.model, bytes]))
                .map_err(|error| unavailable(&error))?;
        }
        read::set_meta(&transaction, read::ROLLUP_SEQ, &self.rolled_up.to_string())
            .map_err(|error| unavailable(&error))?;
        transaction.commit().map_err(|error| unavailable(&error))
    }
}

/// One commit in the making.
struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    accounts: &'a mut Accounts,
    head: ChainHead,
    appended: &'a mut Vec<(u64, Entry)>,
}

/// Gives a command the error of the batch it could not join.
fn refuse(command: Command, answers: &mut Vec<Answer>) {
    let lost = || StoreError::Unavailable("the batch failed".to_owned());
    match command {
        Command::Reserve(_, reply) => answers.push(answer(reply, Err(lost()))),
        Command::Settle(_, reply) | Command::Close(reply) => answers.push(answer(reply, Err(lost()))),
        Command::Sweep(_, reply) => answers.push(answer(reply, Err(lost()))),
        Command::Refusal(..) => {}
    }
}

impl Batch<'_> {
    /// Carries one command out. An error is the store's and fails the whole batch; a refusal is an answer.
    fn run(&mut self, command: Command, answers: &mut Vec<Answer>) -> rusqlite::Result<()> {
        match command {
            Command::Reserve(request, reply) => match self.reserve(&request) {
                // The hold comes into being with the commit, not before.
                Ok(Ok(())) => answers.push(Box::new(move |committed| {
                    let _gone = reply.send(committed.map(|()| Decision::Held(Reservation::new(request.entry.id))));
                })),
                Ok(Err(refusal)) => answers.push(answer(reply, Ok(Decision::Refused(refusal)))),
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

    fn reserve(&mut self, request: &ReservationRequest) -> rusqlite::Result<Result<(), Refusal>> {
        let holding = match self.accounts.hold(self.transaction, request)? {
            Ok(holding) => holding,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let expires_at =
            micros(request.now).saturating_add(i64::try_from(request.lease.as_micros()).unwrap_or(i64::MAX));
        let entry = json(&request.entry)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO reservations (id, resident_id, day, month, year, tokens, euro_nanos, expires_at, entry)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
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
        Ok(Ok(()))
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
        let mut sum = Charge::default();
        for entry in &settlement.entries {
            sum.questions += entry.charged.questions;
            sum.tokens += entry.charged.tokens;
            sum.euro_nanos += entry.charged.euro_nanos;
            self.append(entry)?;
        }
        self.accounts.charge(self.transaction, &holding, sum)?;
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
        found.map_or(Ok(()), |holding| self.accounts.load(self.transaction, &holding))
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
        let next = ChainHead { seq: self.head.seq + 1, hash: chain::link(&self.head.hash, &body) };
        self.transaction
            .prepare_cached("INSERT INTO entries (seq, body, hash) VALUES (?1, ?2, ?3)")?
            .execute(params![next.seq, body, next.hash.as_slice()])?;
        self.head = next;
        self.appended.push((next.seq, entry.clone()));
        Ok(())
    }
}

fn json(entry: &Entry) -> rusqlite::Result<String> {
    serde_json::to_string(entry).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
