//! The town's own questions: a basket of them, put to every model that is compared, in rounds on a fixed timetable.
//!
//! They go the way of every resident's question (budget, envelope, stops, ledger), on an account of the town's own, and each
//! leaves a record of when it was meant to start and whether its answer held. No answer is kept. It must not know HTTP, and
//! nothing of residents.

mod ask;
pub mod basket;
pub mod check;
mod cost;
mod figures;
mod reading;
mod round;
mod schedule;
mod timetable;

use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use tokio::sync::Semaphore;

pub use cost::Estimate;
pub use figures::{ModelFigures, RoundReport, RoundState};
pub use schedule::{Pace, Start, schedule};
pub use timetable::slot_after;

use basket::Basket;
use round::Round;

use crate::clock::{Clock, Tick};
use crate::identity::{Authenticated, TownAccount};
use crate::ledger::Ledger;
use crate::pipeline::{Pipeline, PipelineError};
use crate::quota::Calendar;
use crate::shutdown::Shutdown;
use crate::telemetry::Traces;
use crate::terms::CurrentTerms;

/// Probes that may be on their way at once. Those beyond wait, and what they waited is part of their times and of the lag
/// that is kept: a bound must not hide that the vendors were slow.
pub const MOST_IN_FLIGHT: usize = 256;

/// Why no round was begun.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing may be spent.
    #[error("comparison.probe_euros_per_month is 0: set what probes may cost a month")]
    NoBudget,
    /// Nobody to ask.
    #[error("there is no model to ask: name chat models in comparison.models, or give a route some")]
    NoModels,
    /// Rounds never overlap.
    #[error("a round of probes is under way: wait until it has ended")]
    UnderWay,
    /// The process is stopping.
    #[error("the process is stopping")]
    ShuttingDown,
    /// The basket that ships with the program cannot be used.
    #[error("the basket of questions cannot be used: {0}")]
    Basket(String),
    /// What a round costs cannot be said.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// What somebody wants of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// So many questions, of each length in turn; all of them where there is no number.
    pub questions: Option<usize>,
    /// How they follow each other.
    pub pace: Pace,
    /// Decides the order; drawn where absent.
    pub seed: Option<u64>,
    /// When the round was meant to begin; now where absent.
    pub at: Option<Timestamp>,
}

/// What probes are asked with.
#[derive(Clone)]
pub struct Parts {
    /// Answers them.
    pub pipeline: Arc<Pipeline>,
    /// Who is asked, and for how much.
    pub terms: CurrentTerms,
    /// Keeps their records.
    pub ledger: Ledger,
    /// Local days and hours.
    pub calendar: Calendar,
    /// Time.
    pub clock: Clock,
    /// Waits for those on their way.
    pub shutdown: Shutdown,
    /// Records them.
    pub traces: Traces,
}

/// The town's probes. Cheap to clone.
#[derive(Clone)]
pub struct Probes(Arc<Shared>);

struct Shared {
    parts: Parts,
    in_flight: Arc<Semaphore>,
    /// Records are written one at a time.
    turn: tokio::sync::Mutex<()>,
    /// The round under way, or the last one.
    round: Mutex<Option<Arc<Round>>>,
}

/// The basket is read once, when it is needed first.
static BASKET: LazyLock<Result<Arc<Basket>, String>> =
    LazyLock::new(|| Basket::shipped().map(Arc::new).map_err(|error| error.to_string()));

impl Probes {
    /// Probes that nobody has asked yet.
    pub fn new(parts: Parts) -> Self {
        let in_flight = Arc::new(Semaphore::new(MOST_IN_FLIGHT * round::PERMITS));
        Self(Arc::new(Shared { parts, in_flight, turn: tokio::sync::Mutex::default(), round: Mutex::default() }))
    }

    /// Begins a round and says where it stands: every question to every model, on a schedule made beforehand. It goes on by
    /// itself, and shutdown waits for what it has asked.
    ///
    /// # Errors
    /// [`ProbeError`] when none can be begun.
    pub fn begin(&self, wish: Wish) -> Result<RoundReport, ProbeError> {
        let Parts { terms, clock, shutdown, .. } = &self.0.parts;
        if shutdown.has_begun() {
            return Err(ProbeError::ShuttingDown);
        }
        let comparison = Arc::clone(&terms.get().comparison);
        if !comparison.has_probes() {
            return Err(ProbeError::NoBudget);
        }
        let basket = shipped_basket()?;
        let models = self.askable(&basket, &comparison.models);
        if models.is_empty() {
            return Err(ProbeError::NoModels);
        }
        let mut chance = wish.seed.map_or_else(chance, Xoshiro256PlusPlus::seed_from_u64);
        let questions = sample(&basket, wish.questions);
        let starts = schedule(questions.len(), models.len(), wish.pace, &mut chance);
        let mut current = self.0.round.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|round| !round.has_ended()) {
            return Err(ProbeError::UnderWay);
        }
        let (started_at, started) = begun(clock, wish.at);
        let round = Arc::new(Round::new(&self.0, basket, questions, models, (started_at, started)));
        *current = Some(Arc::clone(&round));
        let report = round.report();
        shutdown.spawn(round.run(starts));
        Ok(report)
    }

    /// How far the round under way, or the last one, is; `None` before the first of this process.
    pub fn report(&self) -> Option<RoundReport> {
        self.current().map(|round| round.report())
    }

    /// Resolves once no round is under way.
    pub async fn ended(&self) {
        if let Some(round) = self.current() {
            round.ended().await;
        }
    }

    /// What a round costs at most, and about what is to be expected.
    ///
    /// # Errors
    /// [`ProbeError`] when none could be begun, or a model cannot be asked now.
    pub fn estimate(&self, questions: Option<usize>) -> Result<Estimate, ProbeError> {
        let terms = self.0.parts.terms.get();
        if !terms.comparison.has_probes() {
            return Err(ProbeError::NoBudget);
        }
        let basket = shipped_basket()?;
        let models = self.askable(&basket, &terms.comparison.models);
        if models.is_empty() {
            return Err(ProbeError::NoModels);
        }
        Ok(cost::estimate(&self.0.parts, &basket, &sample(&basket, questions), &models)?)
    }

    /// Begins rounds on the timetable until shutdown begins.
    pub fn keep_timetable(&self) -> impl Future<Output = ()> + Send + use<> {
        timetable::keep(self.clone())
    }

    fn current(&self) -> Option<Arc<Round>> {
        self.0.round.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The models that can be asked at all: one that its vendor switched off, without a price or outside the region is left
    /// out, or no question would ever be complete. What is stopped is none of these: it comes back.
    fn askable(&self, basket: &Basket, models: &[String]) -> Vec<String> {
        let Parts { pipeline, terms, .. } = &self.0.parts;
        let can_be = |model: &&String| {
            let Some(request) = basket.questions.first().and_then(|first| ask::request(basket, first, model)) else {
                return false;
            };
            match pipeline.quote(Authenticated::town(TownAccount::Probes, terms.get()), &request, None) {
                Err(
                    error @ (PipelineError::ModelNotFound(_)
                    | PipelineError::Unpriced(_)
                    | PipelineError::OutsideRegion(_)
                    | PipelineError::Invalid(_)),
                ) => {
                    tracing::warn!(%error, model = model.as_str(), "a model is left out of this round of probes");
                    false
                }
                _ => true,
            }
        };
        models.iter().filter(can_be).cloned().collect()
    }
}

fn shipped_basket() -> Result<Arc<Basket>, ProbeError> {
    BASKET.clone().map_err(ProbeError::Basket)
}

/// The moment a round was meant to begin, on both clocks.
fn begun(clock: &Clock, at: Option<Timestamp>) -> (Timestamp, Tick) {
    let (now, tick) = (clock.now(), clock.tick());
    let Some(at) = at else { return (now, tick) };
    let late = std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default();
    (at.min(now), tick.minus(late))
}

/// Indices of so many questions, of each length in turn, in the order of the basket.
fn sample(basket: &Basket, count: Option<usize>) -> Vec<usize> {
    let count = count.unwrap_or(usize::MAX).min(basket.questions.len());
    let mut ranked: Vec<(usize, usize)> = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    for (index, question) in basket.questions.iter().enumerate() {
        let rank = seen.entry(question.class).or_insert(0_usize);
        ranked.push((*rank, index));
        *rank += 1;
    }
    ranked.sort_unstable();
    ranked.truncate(count);
    ranked.into_iter().map(|(_, index)| index).collect()
}

/// A source of chance that nobody can foresee.
fn chance() -> Xoshiro256PlusPlus {
    let mut seed = [0; 8];
    if let Err(error) = getrandom::fill(&mut seed) {
        tracing::error!(%error, "the system gives no random numbers; the order of this round is drawn from its name");
        return Xoshiro256PlusPlus::seed_from_u64(uuid::Uuid::now_v7().as_u64_pair().1);
    }
    Xoshiro256PlusPlus::seed_from_u64(u64::from_le_bytes(seed))
}
