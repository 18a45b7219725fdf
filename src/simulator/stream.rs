//! An answer being generated, token after token, with its bill kept up to the token.
//!
//! Whoever drops it before the end has cut it: what was generated until then is billed. It must not know routes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use providers::catalogue::{Model, PriceRow};
use tokio::time::{Sleep, sleep};

use super::answer::Answer;
use super::books::Tokens;
use super::frames::Framer;
use super::server::Vendor;

/// Most steps handed over at once where there is nothing to wait for.
const BURST: usize = 64;

/// The bill of one call. Dropped before [`Meter::finish`], the call was cut by the client.
pub(super) struct Meter {
    pub(super) vendor: Arc<Vendor>,
    pub(super) model: Arc<Model>,
    pub(super) row: Arc<PriceRow>,
    pub(super) uplift_percent: u32,
    /// Generated so far.
    pub(super) tokens: Tokens,
    pub(super) finished: bool,
}

impl Meter {
    fn finish(&mut self) {
        self.finished = true;
        self.vendor.bill(&self.model, &self.row, self.uplift_percent, self.tokens, true);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.finished {
            self.vendor.bill(&self.model, &self.row, self.uplift_percent, self.tokens, false);
        }
    }
}

/// An answer on its way.
pub(super) struct Generation {
    answer: Answer,
    /// Before each step; empty where there is nothing to wait for.
    waits: Vec<Duration>,
    steps: usize,
    step: usize,
    sleep: Option<Pin<Box<Sleep>>>,
    meter: Meter,
}

impl Generation {
    /// An answer of which nothing is generated yet.
    pub(super) fn new(answer: Answer, waits: Vec<Duration>, meter: Meter) -> Self {
        let steps = answer.steps();
        Self { answer, waits, steps, step: 0, sleep: None, meter }
    }

    /// Generates it in silence, then gives it whole.
    pub(super) async fn whole(mut self) -> Answer {
        while self.step < self.steps {
            self.advance(None).await;
        }
        self.answer
    }

    /// Generates it frame by frame.
    pub(super) fn frames(self, framer: Framer) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::unfold(Box::new((self, framer)), |mut state| async move {
            let (generation, framer) = &mut *state;
            if generation.step >= generation.steps {
                return None;
            }
            let mut out = String::new();
            generation.advance(Some((framer, &mut out))).await;
            Some((Ok(Bytes::from(out)), state))
        })
    }

    /// Waits for the next token and generates it, with those that come without a wait of their own.
    async fn advance(&mut self, mut target: Option<(&mut Framer, &mut String)>) {
        self.pause().await;
        for _ in 0..BURST {
            let last = self.step + 1 >= self.steps;
            if let Some((framer, out)) = &mut target {
                framer.step(&self.answer, self.step, last, out);
            }
            self.meter.tokens.output += self.answer.tokens_of_step(self.step);
            self.step += 1;
            if last {
                // Before the last bytes are handed over: who has read them finds the call in the books.
                self.meter.finish();
                return;
            }
            if !self.wait().is_zero() {
                return;
            }
        }
    }

    fn wait(&self) -> Duration {
        self.waits.get(self.step).copied().unwrap_or_default()
    }

    /// Waits are counted from the last deadline, not from now: the timer's grain does not add up.
    async fn pause(&mut self) {
        let wait = self.wait();
        if wait.is_zero() {
            return;
        }
        let timer = match &mut self.sleep {
            Some(timer) => {
                let deadline = timer.deadline() + wait;
                timer.as_mut().reset(deadline);
                timer
            }
            None => self.sleep.insert(Box::pin(sleep(wait))),
        };
        timer.as_mut().await;
    }
}
