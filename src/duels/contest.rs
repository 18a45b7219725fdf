//! Two answers that come at the same time, told as events, and kept for a judgement once both are whole.
//!
//! Whoever asks for the next event carries both calls on. Dropped, both go on to be settled without a reader, and nothing
//! is kept.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::side::{Answer, Side};
use super::{Duels, Place, new_id};
use crate::clock::Clock;
use crate::identity::Authenticated;
use crate::ledger::{Ledger, OpenDuel, StoreError};
use crate::pipeline::{Entered, PipelineError};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics;

/// What is told of a duel before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DuelEvent {
    /// Both are asked.
    Opened {
        /// Identity of the duel.
        id: String,
        /// It waits for its judgement at least until then.
        expires_at: Timestamp,
    },
    /// More of an answer.
    Text(Place, String),
    /// An answer is whole.
    Ended(Place),
    /// An answer broke off: there is nothing to be judged.
    Broke(Place),
    /// Both are whole, in the books, and wait for the judgement.
    Ready {
        /// Identity of the duel.
        id: String,
        /// Until when.
        expires_at: Timestamp,
    },
    /// It cannot be judged, and is not kept.
    Failed {
        /// Identity of the duel.
        id: String,
    },
}

/// A duel in progress.
pub struct Contest {
    id: String,
    resident: String,
    sides: [Side; 2],
    /// Events that are to be told next.
    queue: VecDeque<DuelEvent>,
    /// The duel on its way into the ledger, and until when it will wait there.
    keeping: Option<(JoinHandle<Result<(), StoreError>>, Timestamp)>,
    over: bool,
    ledger: Ledger,
    clock: Clock,
    shutdown: Shutdown,
    wait: Duration,
    /// The resident has one request open.
    _entered: Entered,
}

impl Contest {
    pub(super) fn new(duels: &Duels, who: &Authenticated, entered: Entered, sides: [Side; 2]) -> Self {
        let id = new_id();
        let wait = who.terms().comparison.duel_wait;
        let opened = DuelEvent::Opened { id: id.clone(), expires_at: after(duels.clock.now(), wait) };
        Self {
            id,
            resident: who.resident().to_owned(),
            sides,
            queue: VecDeque::from([opened]),
            keeping: None,
            over: false,
            ledger: duels.ledger.clone(),
            clock: duels.clock.clone(),
            shutdown: duels.shutdown.clone(),
            wait,
            _entered: entered,
        }
    }

    /// Resolves once both vendors have begun to answer. What the first says meanwhile is kept to be told, and its times
    /// are those of its own.
    ///
    /// # Errors
    /// [`PipelineError`] of a side that will not answer.
    pub(super) async fn begun(&mut self) -> Result<(), PipelineError> {
        std::future::poll_fn(|context| {
            loop {
                let moved = self.step(context).map_err(|(_, error)| error)?;
                if self.sides.iter().all(Side::has_begun) {
                    return Poll::Ready(Ok(()));
                }
                if !moved {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Carries both sides one step on, so that neither waits for the other; false when both wait.
    fn step(&mut self, context: &mut Context<'_>) -> Result<bool, (Place, PipelineError)> {
        let mut moved = false;
        for side in &mut self.sides {
            if let Poll::Ready(told) = side.poll_step(context) {
                moved = true;
                self.queue.extend(told.map_err(|error| (side.place(), error))?);
            }
        }
        Ok(moved)
    }

    /// Both have ended: what is whole is kept, away from the threads that carry streams.
    fn end(&mut self) {
        let [left, right] = self.sides.each_mut().map(Side::take_answer);
        let (Some(left), Some(right)) = (left, right) else { return self.fail() };
        let (left, right): (Answer, Answer) = (*left, *right);
        let now = self.clock.now();
        let expires_at = after(now, self.wait);
        let duel = OpenDuel {
            id: self.id.clone(),
            resident: self.resident.clone(),
            expires_at,
            length_class: left.length_class,
            left: left.side,
            right: right.side,
        };
        let ledger = self.ledger.clone();
        let delay = self.shutdown.delay();
        let kept = tokio::task::spawn_blocking(move || {
            let kept = ledger.open_duel(&duel, now);
            drop(delay);
            kept
        });
        self.keeping = Some((kept, expires_at));
    }

    fn fail(&mut self) {
        metrics().duels.with_label_values(&["failed"]).inc();
        self.over = true;
        self.queue.push_back(DuelEvent::Failed { id: self.id.clone() });
    }

    fn kept(&mut self, kept: Result<Result<(), StoreError>, tokio::task::JoinError>, expires_at: Timestamp) {
        let error = match kept {
            Ok(Ok(())) => {
                metrics().duels.with_label_values(&["answered"]).inc();
                self.over = true;
                return self.queue.push_back(DuelEvent::Ready { id: self.id.clone(), expires_at });
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(duel = %self.id, error, "a duel could not be kept");
        self.fail();
    }
}

impl Contest {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<DuelEvent>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Poll::Ready(Some(event));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if let Some((kept, expires_at)) = &mut self.keeping {
                let expires_at = *expires_at;
                let kept = ready!(Pin::new(kept).poll(context));
                self.keeping = None;
                self.kept(kept, expires_at);
                continue;
            }
            match self.step(context) {
                Ok(true) => {}
                Ok(false) if self.sides.iter().all(Side::has_ended) => self.end(),
                Ok(false) => return Poll::Pending,
                Err((place, _refusal)) => {
                    // Too late for a status; why is in the log of the attempt, and in the books.
                    self.queue.push_back(DuelEvent::Broke(place));
                }
            }
        }
    }

    /// An event is told, and the client may take its time: it waits for neither answer until it asks for the next.
    pub(super) fn turned_away(&self) {
        self.sides.iter().for_each(Side::turned_away);
    }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

impl Stream for Contest {
    type Item = DuelEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<DuelEvent>> {
        let polled = self.poll_event(context);
        if polled.is_ready() {
            self.turned_away();
        }
        polled
    }
}
