//! An answer being generated, token after token, with its bill kept up to the token.
//!
//! Whoever drops it before the end has cut it: what was generated until then is billed. It must not know routes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use providers::Dialect;
use providers::catalogue::{Model, PriceRow};
use tokio::time::{Sleep, sleep};

use super::answer::Answer;
use super::books::Tokens;
use super::figures::Billing;
use super::server::Vendor;

/// What writes the frames of an answer.
pub(super) trait Frames {
    /// Writes the frames of one step: at the first step the openings, then a token of each unfinished choice, then
    /// what ends a choice that is finished; after the last step what ends the stream.
    fn step(&mut self, answer: &Answer, step: usize, last: bool, out: &mut String);
}

/// Writes nothing.
struct Silence;

impl Frames for Silence {
    fn step(&mut self, _answer: &Answer, _step: usize, _last: bool, _out: &mut String) {}
}

/// The bill of one call. Dropped before [`Meter::finish`], the call was cut by the client.
pub(super) struct Meter {
    pub(super) vendor: Arc<Vendor>,
    pub(super) model: Arc<Model>,
    pub(super) row: Arc<PriceRow>,
    pub(super) host: Arc<str>,
    pub(super) uplift_percent: u32,
    /// Used so far.
    pub(super) tokens: Tokens,
    /// Output tokens of the whole answer, once it is drawn.
    pub(super) whole_output: u64,
    /// False where the vendor reports no output tokens.
    pub(super) by_token: bool,
    /// Where the call is recorded, if it is.
    pub(super) recorded: Option<usize>,
    pub(super) finished: bool,
}

impl Meter {
    /// Bills the call as complete.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.bill(true);
    }
}

impl Meter {
    fn bill(&self, complete: bool) {
        let billing = Billing {
            model: &self.model,
            row: &self.row,
            host: &self.host,
            uplift_percent: self.uplift_percent,
            tier: if self.vendor.settings.dialect == Dialect::Mistral { "standard" } else { "default" },
            tokens: self.tokens,
            whole: Tokens { output: self.whole_output.max(self.tokens.output), ..self.tokens },
            complete,
        };
        self.vendor.bill(&billing, self.recorded);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.finished {
            self.bill(false);
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
    pub(super) fn new(answer: Answer, waits: Vec<Duration>, mut meter: Meter) -> Self {
        if meter.by_token {
            meter.whole_output = answer.tokens.output;
        }
        let steps = answer.steps();
        Self { answer, waits, steps, step: 0, sleep: None, meter }
    }

    /// Generates it in silence, then gives it whole.
    pub(super) async fn whole(mut self) -> Answer {
        while self.step < self.steps {
            self.advance(&mut Silence, &mut String::new()).await;
        }
        self.answer
    }

    /// Generates it frame by frame.
    pub(super) fn frames<F: Frames + Send + 'static>(
        self,
        framer: F,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::unfold(Box::new((self, framer)), |mut state| async move {
            let (generation, framer) = &mut *state;
            if generation.step >= generation.steps {
                return None;
            }
            let mut out = String::new();
            // Some steps have nothing to show; an empty chunk would be one more write.
            while out.is_empty() && generation.step < generation.steps {
                generation.advance(framer, &mut out).await;
            }
            Some((Ok(Bytes::from(out)), state))
        })
    }

    /// Waits for the next token and generates it, with those that come without a wait of their own.
    async fn advance<F: Frames>(&mut self, framer: &mut F, out: &mut String) {
        self.pause().await;
        for _ in 0..self.meter.vendor.settings.tokens_at_once {
            let last = self.step + 1 >= self.steps;
            framer.step(&self.answer, self.step, last, out);
            if self.meter.by_token {
                self.meter.tokens.output += self.answer.tokens_of_step(self.step);
            }
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
