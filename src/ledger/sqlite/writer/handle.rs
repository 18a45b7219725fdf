//! What the writer is asked, and the way to it: a bounded queue, and an answer to each question after its commit.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::super::Connector;
use super::super::recent::Generation;
use super::Writer;
use crate::ledger::{Decision, ReservationRequest, Settlement, StoreError};
use crate::telemetry::metrics;

/// How long `close` waits between two looks at a queue that is full.
const CLOSE_PAUSE: Duration = Duration::from_millis(10);

pub(in crate::ledger::sqlite) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub(in crate::ledger::sqlite) enum Command {
    Reserve(Box<ReservationRequest>, Reply<Decision>),
    Settle(Box<Settlement>, Reply<()>),
    Sweep(Timestamp, Reply<u64>),
    Refusal(String, &'static str),
    /// Another process is about to serve from the file: release the lock, leave the aggregates to it.
    HandOver(Reply<()>),
    /// It did not: take the lock again.
    TakeBack(Reply<()>),
    Close(Reply<()>),
}

impl Command {
    /// Gives the command the error of the batch that it could not join.
    pub(super) fn refuse(self, answers: &mut Vec<Answer>) {
        let lost = || StoreError::Unavailable("the batch failed".to_owned());
        match self {
            Self::Reserve(_, reply) => answers.push(answer(reply, Err(lost()))),
            Self::Settle(_, reply) | Self::HandOver(reply) | Self::TakeBack(reply) | Self::Close(reply) => {
                answers.push(answer(reply, Err(lost())));
            }
            Self::Sweep(_, reply) => answers.push(answer(reply, Err(lost()))),
            Self::Refusal(..) => {}
        }
    }
}

/// A way to the writer, cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::ledger::sqlite) struct WriterHandle {
    commands: SyncSender<Command>,
    depth: Arc<AtomicU64>,
    writable: Arc<AtomicBool>,
}

impl WriterHandle {
    /// Starts the thread. It owns the lock on the file: nobody else serves from it while a write may still come.
    pub(in crate::ledger::sqlite) fn start(
        connector: Connector,
        lock: File,
        (queue, batch): (usize, usize),
        generation: Generation,
    ) -> Result<Self, StoreError> {
        let (commands, received) = sync_channel(queue);
        let depth = Arc::new(AtomicU64::new(0));
        let mut writer = Writer::new(connector, lock, batch.max(1), generation)?;
        let (waiting, writable) = (Arc::clone(&depth), Arc::clone(&writer.writable));
        std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || {
                let (closers, flushed) = writer.run(&received, &waiting);
                drop(writer);
                for closer in closers {
                    let _gone = closer.send(flushed.clone());
                }
            })
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { commands, depth, writable })
    }

    pub(in crate::ledger::sqlite) fn queue_depth(&self) -> u64 {
        self.depth.load(Ordering::Relaxed)
    }

    /// Whether the last write succeeded, or the last look after one that failed.
    pub(in crate::ledger::sqlite) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        self.depth.fetch_add(1, Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            let (label, refused) = match error {
                TrySendError::Full(_) => ("queue_full", StoreError::Busy),
                TrySendError::Disconnected(_) => ("closed", StoreError::Unavailable("the writer has ended".to_owned())),
            };
            metrics().ledger_writes_refused.with_label_values(&[label]).inc();
            refused
        })
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.map_err(|_| StoreError::Unavailable("the writer has ended".to_owned()))?
    }

    pub(in crate::ledger::sqlite) async fn reserve(
        &self,
        request: Box<ReservationRequest>,
    ) -> Result<Decision, StoreError> {
        self.ask(|reply| Command::Reserve(request, reply)).await
    }

    pub(in crate::ledger::sqlite) async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        self.ask(|reply| Command::Settle(Box::new(settlement), reply)).await
    }

    pub(in crate::ledger::sqlite) async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.ask(|reply| Command::Sweep(now, reply)).await
    }

    pub(in crate::ledger::sqlite) fn count_refusal(&self, day: &str, reason: &'static str) -> bool {
        self.send(Command::Refusal(day.to_owned(), reason)).is_ok()
    }

    pub(in crate::ledger::sqlite) async fn hand_over(&self) -> Result<(), StoreError> {
        self.ask(Command::HandOver).await
    }

    pub(in crate::ledger::sqlite) async fn take_back(&self) -> Result<(), StoreError> {
        self.ask(Command::TakeBack).await
    }

    pub(in crate::ledger::sqlite) async fn close(&self) -> Result<(), StoreError> {
        loop {
            match self.ask(Command::Close).await {
                Err(StoreError::Busy) => tokio::time::sleep(CLOSE_PAUSE).await,
                closed => return closed,
            }
        }
    }
}

/// An answer that waits for the commit. Each is given by the writer itself: whoever passed it on for others could stand still.
pub(in crate::ledger::sqlite) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub(in crate::ledger::sqlite) fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> Answer {
    Box::new(move |committed| {
        // A waiter that has gone needs no answer; a hold it would have had stays until its lease ends.
        let _gone = reply.send(committed.and(result));
    })
}
