//! The one thread that writes: it takes what waits, decides one request after the other, commits once for all of them
//! and only then answers.
//!
//! The queue is bounded; when it is full a write is refused, not delayed without end.

mod handle;

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::batch::Batch;
use super::memory::Memory;
use super::recent::Generation;
use super::{Connector, read, trouble, unavailable};
use crate::clock::Clock;
use crate::ledger::{ChainHead, Record, Rollup, RollupKey, StoreError};
use crate::telemetry::metrics;
use handle::Reply;
pub(super) use handle::{Answer, Command, WriterHandle, answer};

/// The writer brings the aggregates up to date when it was idle for this long, …
const ROLLUP_IDLE: Duration = Duration::from_secs(1);
/// … or after this many entries. The report adds what is missing.
const ROLLUP_ENTRIES: u64 = 1_000;
/// Entries read at one turn when aggregates are made from what is stored: after a crash there are no more, and where all are
/// made again, after a migration, nobody who waits for a write waits long.
const CATCH_UP_ENTRIES: i64 = 2_000;
/// Such turns at the end of the process: what is left is read after the next start.
const LAST_TURNS: u32 = 50;
/// A commit of that many writes shows a crowd. The writer then waits for [`GATHERING`] before the next, unless as many are
/// there already: what a commit costs beside its records (a flush, locks, the counters' pages) is shared by about twice as
/// many. At 64 calls at once that is a seventh of the writer's work; sixteen, which never are so many, wait for nobody.
const CROWD: usize = 20;
/// Shorter than a commit takes on most disks.
const GATHERING: Duration = Duration::from_micros(600);
/// The key in `meta` of the last look at a store that was in trouble.
const LOOKED: &str = "looked";

/// Tells operators what is held.
fn show_holds((count, euro_nanos): (usize, i64)) {
    metrics().reservations_open.set(i64::try_from(count).unwrap_or(i64::MAX));
    metrics().reservations_held.set(euro_nanos);
}

struct Writer {
    connector: Connector,
    /// Makes this process the one that serves from the file. Without it, it only ends what it began: each of its
    /// transactions reads the counters as the other process left them, and the aggregates are the other's.
    lock: Option<File>,
    connection: Connection,
    /// Looks at the file before each write. The writer's own connection would go on from the pages that it remembers
    /// while what is on the disk is spoilt.
    witness: Connection,
    batch: usize,
    /// Writes in the last commit.
    last_size: usize,
    memory: Memory,
    rollups: HashMap<RollupKey, Rollup>,
    /// The last entry that `rollups` or the file's rollups hold.
    rolled_up: u64,
    /// Entries added to `rollups` since they were last written.
    dirty: u64,
    /// Entries are missing in the rollups: they are to be made from what is stored.
    behind: bool,
    /// That failed the last time: it is tried again after a while, and not at every turn.
    stuck: bool,
    /// Times commits: by the machine's own clock, whichever the gateway is on.
    clock: Clock,
    /// The last write failed, and nothing has been written since.
    in_trouble: bool,
    /// The same for those who ask.
    writable: Arc<AtomicBool>,
    /// One of the stored rollups cannot be read: all are to be made again.
    spoilt: bool,
}

impl Writer {
    fn new(connector: Connector, lock: File, batch: usize, generation: Generation) -> Result<Self, StoreError> {
        let connection = connector.connect()?;
        let witness = connector.connect()?;
        let rolled_up = read::rollup_seq(&connection).map_err(|error| unavailable(&error))?;
        let mut writer = Self {
            last_size: 0,
            connector,
            lock: Some(lock),
            connection,
            witness,
            batch,
            memory: Memory::new(generation),
            rollups: HashMap::new(),
            rolled_up,
            dirty: 0,
            behind: false,
            stuck: false,
            clock: Clock::system(),
            in_trouble: false,
            writable: Arc::new(AtomicBool::new(true)),
            spoilt: false,
        };
        show_holds(read::open_holds(&writer.connection).map_err(|error| unavailable(&error))?);
        writer.tell_writable();
        writer.memory.head = read::chain_head(&writer.connection).map_err(|error| unavailable(&error))?;
        match writer.catch_up() {
            // The money is in the counters and the chain: what cannot be added up for a report keeps nobody from asking.
            Err(error @ StoreError::Damaged(_)) => {
                tracing::error!(%error, "the report's aggregates cannot be brought up to date: run `passerelle ledger verify`");
                (writer.behind, writer.stuck) = (true, true);
            }
            caught_up => caught_up?,
        }
        if writer.behind {
            tracing::info!("the report's aggregates are being made from the entries; until then reports take longer");
        }
        Ok(writer)
    }

    /// Brings the rollups on by one turn; where one of those stored cannot be read, from the beginning.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        let done = self.add_missing();
        if !std::mem::take(&mut self.spoilt) {
            return done;
        }
        tracing::error!("an aggregate cannot be read: all are made again from the entries");
        read::forget_rollups(&mut self.connection).map_err(|error| unavailable(&error))?;
        self.add_missing()
    }

    /// Goes on from the stored rollups with the next entries that they do not hold yet: at most the last moments before a
    /// crash, or after a migration all of them, turn by turn.
    fn add_missing(&mut self) -> Result<(), StoreError> {
        self.rollups.clear();
        self.rolled_up = read::rollup_seq(&self.connection).map_err(|error| unavailable(&error))?;
        self.dirty = 0;
        let mut missing = Vec::new();
        read::scan_some(&self.connection, self.rolled_up, CATCH_UP_ENTRIES, |seq, body, _| {
            missing.push((seq, Record::parse(seq, body)?));
            Ok(())
        })?;
        self.behind = i64::try_from(missing.len()).is_ok_and(|read| read == CATCH_UP_ENTRIES);
        for (seq, record) in missing {
            self.roll_up(seq, &record)?;
        }
        Ok(())
    }

    fn roll_up(&mut self, seq: u64, record: &Record) -> Result<(), StoreError> {
        self.rolled_up = seq;
        self.dirty += 1;
        let Some(key) = RollupKey::of(record) else { return Ok(()) };
        if let Some(rollup) = self.rollups.get_mut(&key) {
            rollup.add(record);
            return Ok(());
        }
        let stored = read::rollup(&self.connection, &key);
        self.spoilt |= matches!(stored, Err(StoreError::Damaged(_)));
        let mut stored = stored?;
        stored.add(record);
        self.rollups.insert(key, stored);
        Ok(())
    }

    /// Works until it is asked to close or nobody can ask any more; gives those who wait for the end, and whether the
    /// last aggregates were written.
    fn run(&mut self, received: &Receiver<Command>, depth: &AtomicU64) -> (Vec<Reply<()>>, Result<(), StoreError>) {
        let mut closers = Vec::new();
        while closers.is_empty() {
            let goes_on = self.behind && !self.stuck;
            let patience = if goes_on { Duration::ZERO } else { ROLLUP_IDLE };
            let first = match received.recv_timeout(patience) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let idle = first.is_none();
            let waiting = usize::try_from(depth.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
            if first.is_some() && self.last_size >= CROWD && waiting < self.last_size {
                std::thread::sleep(GATHERING);
            }
            let waiting = std::iter::from_fn(|| received.try_recv().ok());
            let (mut commands, mut last) = (Vec::new(), None);
            for command in first.into_iter().chain(waiting).take(self.batch) {
                depth.fetch_sub(1, Ordering::Relaxed);
                match command {
                    Command::Close(reply) => closers.push(reply),
                    Command::HandOver(_) | Command::TakeBack(_) => last = Some(command),
                    command => commands.push(command),
                }
            }
            if !commands.is_empty() {
                self.last_size = commands.len();
                self.write(commands);
            }
            match last {
                Some(Command::HandOver(reply)) => drop(reply.send(self.hand_over())),
                Some(Command::TakeBack(reply)) => drop(reply.send(self.take_back())),
                _ => {}
            }
            if idle && self.in_trouble {
                self.look();
            }
            if idle || goes_on || self.dirty >= ROLLUP_ENTRIES {
                // Told in the log and tried again at the next turn.
                let _tried_again = self.flush_rollups();
            }
        }
        let mut flushed = self.flush_rollups();
        for _ in 1..LAST_TURNS {
            if flushed.is_ok() && self.behind {
                flushed = self.flush_rollups();
            }
        }
        (closers, flushed)
    }

    /// Lets another process serve from the file.
    #[expect(clippy::unnecessary_wraps, reason = "the answer of a command")]
    fn hand_over(&mut self) -> Result<(), StoreError> {
        // What cannot be written now is made from the entries by the other process.
        let _told = self.flush_rollups();
        self.rollups.clear();
        (self.dirty, self.behind) = (0, false);
        self.lock = None;
        Ok(())
    }

    /// Serves from the file again.
    fn take_back(&mut self) -> Result<(), StoreError> {
        if self.lock.is_none() {
            self.lock = Some(super::lock(&self.connector.path)?);
            self.behind = true;
            self.memory.forget();
        }
        Ok(())
    }

    /// Writes one batch in one commit.
    fn write(&mut self, commands: Vec<Command>) {
        let size = commands.len();
        let mut answers = Vec::with_capacity(size);
        let mut appended = Vec::new();
        let began = self.clock.tick();
        let committed = self.try_write(commands, &mut answers, &mut appended);
        metrics().ledger_commit.observe(self.clock.tick().since(began).as_secs_f64());
        match &committed {
            Ok(head) => {
                self.memory.head = *head;
                show_holds(self.memory.accounts.open_holds());
                if self.in_trouble {
                    self.look();
                }
                for (seq, record) in appended {
                    if self.behind || self.lock.is_none() {
                        break;
                    }
                    if let Err(error) = self.roll_up(seq, &record) {
                        tracing::error!(%error, "a rollup could not be read");
                        self.behind = true;
                    }
                }
            }
            Err(error) => {
                // Memory may be ahead of the file.
                self.memory.forget();
                self.in_trouble = true;
                self.tell_writable();
                let label = trouble::label(error);
                let refused = metrics().ledger_writes_refused.with_label_values(&[label]);
                refused.inc_by(u64::try_from(size).unwrap_or(0));
                tracing::error!(%error, trouble = label, batch.size = size, "the ledger could not be written");
                if trouble::wants_new_connection(error) {
                    self.reconnect();
                }
            }
        }
        self.memory.accounts.trim();
        metrics().ledger_batch_size.observe(u32::try_from(size).map_or(f64::MAX, f64::from));
        for answer in answers {
            answer(committed.as_ref().map(|_| ()).map_err(unavailable));
        }
    }

    fn try_write(
        &mut self,
        commands: Vec<Command>,
        answers: &mut Vec<Answer>,
        appended: &mut Vec<(u64, Record)>,
    ) -> rusqlite::Result<ChainHead> {
        let opened = read::meta(&self.witness, read::ROLLUP_SEQ)
            .and_then(|_| self.connection.transaction_with_behavior(TransactionBehavior::Immediate))
            .and_then(|transaction| Ok((self.memory.refresh(&transaction)?, transaction)));
        let (moved, transaction) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                commands.into_iter().for_each(|command| command.refuse(answers));
                return Err(error);
            }
        };
        if moved && self.lock.is_some() {
            // Records of others are not in the rollups yet: read at the next turn, however busy it is.
            self.behind = true;
            self.dirty = self.dirty.max(ROLLUP_ENTRIES);
        }
        let mut batch = match Batch::new(&transaction, &mut self.memory, appended) {
            Ok(batch) => batch,
            Err(error) => {
                commands.into_iter().for_each(|command| command.refuse(answers));
                return Err(error);
            }
        };
        let mut failure = None;
        for command in commands {
            if failure.is_some() {
                command.refuse(answers);
            } else if let Err(error) = batch.run(command, answers) {
                failure = Some(error);
            }
        }
        if let Some(error) = failure {
            // Dropping the transaction rolls everything back.
            return Err(error);
        }
        let head = batch.finish()?;
        transaction.commit().map(|()| head)
    }

    fn tell_writable(&self) {
        self.writable.store(!self.in_trouble, Ordering::Relaxed);
        metrics().ledger_writable.set(i64::from(!self.in_trouble));
    }

    /// Whether the store can be written again. A write of its own, and of something new: a commit of nothing succeeds on a
    /// full disk.
    fn look(&mut self) {
        let looked = read::set_meta(&self.connection, LOOKED, &self.clock.tick().nanos().to_string());
        self.in_trouble = looked.is_err();
        self.tell_writable();
        if looked.is_err_and(|error| trouble::wants_new_connection(&error)) {
            self.reconnect();
        }
    }

    /// A new connection, which sees the file as it is now: restored, mounted again, or still broken.
    fn reconnect(&mut self) {
        match self.connector.connect_again().and_then(|first| Ok((first, self.connector.connect_again()?))) {
            Ok((connection, witness)) => {
                self.connection = connection;
                self.witness = witness;
                self.behind = self.lock.is_some();
            }
            Err(error) => tracing::error!(%error, "the ledger cannot be opened again"),
        }
    }

    fn flush_rollups(&mut self) -> Result<(), StoreError> {
        if self.lock.is_none() {
            return Ok(());
        }
        let result = if self.behind { self.catch_up() } else { Ok(()) }.and_then(|()| self.try_flush_rollups());
        self.stuck = result.is_err();
        match &result {
            Ok(()) => {
                self.dirty = 0;
                self.rollups.clear();
            }
            Err(error) => tracing::error!(%error, "the aggregates could not be written and will be tried again"),
        }
        result
    }

    fn try_flush_rollups(&mut self) -> Result<(), StoreError> {
        if self.dirty == 0 {
            return Ok(());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| unavailable(&error))?;
        for (key, rollup) in &self.rollups {
            read::set_rollup(&transaction, key, rollup)?;
        }
        read::set_meta(&transaction, read::ROLLUP_SEQ, &self.rolled_up.to_string())
            .map_err(|error| unavailable(&error))?;
        transaction.commit().map_err(|error| unavailable(&error))
    }
}
