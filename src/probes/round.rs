//! A round while it goes on: every probe starts at its time, whether or not others have returned.
//!
//! It must not know the timetable that rounds are begun on.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use providers::request::ApiRequest;
use tokio_util::sync::CancellationToken;

use super::ask::{Planned, ceilings, request};
use super::basket::{Basket, Question};
use super::figures::{RoundReport, RoundState, Tally};
use super::schedule::Start;
use super::{Parts, Shared};
use crate::clock::Tick;
use crate::ledger::{PROBES_ACCOUNT, Probe, Record};
use crate::telemetry::metrics;

/// Of the bound on probes in flight, each takes one for as long as it goes on, and one that the pipeline gives back once a
/// vendor has begun to answer.
pub(super) const PERMITS: usize = 2;
const PERMITS_OF_ONE: u32 = 2;

/// How often a record is tried to be written, with a pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Round {
    shared: Arc<Shared>,
    id: String,
    basket: Arc<Basket>,
    /// Indices into the basket.
    questions: Vec<usize>,
    models: Vec<String>,
    begun_at: Timestamp,
    begun: Tick,
    tally: Mutex<Tally>,
    /// Ceilings of the probes that were let go and are not over, nano-euros.
    open: AtomicI64,
    /// Nothing more is begun.
    ending: CancellationToken,
    ended: CancellationToken,
}

impl Round {
    pub(super) fn new(
        shared: &Arc<Shared>,
        basket: Arc<Basket>,
        questions: Vec<usize>,
        models: Vec<String>,
        (begun_at, begun): (Timestamp, Tick),
    ) -> Self {
        let tally = Mutex::new(Tally::of(models.len()));
        Self {
            shared: Arc::clone(shared),
            id: uuid::Uuid::now_v7().to_string(),
            basket,
            questions,
            models,
            begun_at,
            begun,
            tally,
            open: AtomicI64::new(0),
            ending: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    pub(super) fn report(&self) -> RoundReport {
        let tally = self.tally();
        let planned = self.questions.len() * self.models.len();
        let state = match (tally.over, tally.recorded() == planned) {
            (false, _) => RoundState::Running,
            (true, true) => RoundState::Completed,
            (true, false) => RoundState::Incomplete,
        };
        RoundReport {
            round: self.id.clone(),
            begun_at: self.begun_at,
            state,
            ended_by: tally.ended_by.map(str::to_owned),
            questions: self.questions.len(),
            complete_questions: tally.complete(),
            incomplete: tally.incomplete().filter_map(|place| Some(self.question(place)?.id.clone())).collect(),
            planned,
            recorded: tally.recorded(),
            longest_lag_micros: tally.longest_lag_micros,
            models: tally.figures(&self.models),
        }
    }

    /// Runs the schedule. What was asked is waited for, however the round ends.
    pub(super) async fn run(self: Arc<Self>, starts: Vec<Start>) {
        let Parts { clock, shutdown, .. } = &self.shared.parts;
        let mut probes = Vec::with_capacity(starts.len());
        for first in starts.iter().filter(|start| start.position == 0) {
            // Made before their time: what takes time then is part of what is measured.
            let Some(requests) = self.requests(first.question) else {
                self.end_early("invalid_request");
                break;
            };
            tokio::select! {
                biased;
                () = shutdown.begun() => self.end_early("shutting_down"),
                () = self.ending.cancelled() => {}
                () = clock.sleep_until(self.begun.plus(first.offset)) => {}
            }
            if self.ending.is_cancelled() {
                break;
            }
            // All models are asked a question, or none: what all of them may cost must be left.
            let ceilings = match self.may_ask(&requests) {
                Ok(ceilings) => ceilings,
                Err(reason) => {
                    self.end_early(reason);
                    break;
                }
            };
            for start in starts.iter().filter(|start| start.question == first.question) {
                if let (Some(request), Some(ceiling)) = (requests.get(start.model), ceilings.get(start.model)) {
                    probes.push(shutdown.spawn(Arc::clone(&self).probe(*start, request.clone(), *ceiling)));
                }
            }
        }
        for probe in probes {
            if probe.await.is_err() {
                tracing::error!("a probe ended by a mistake of ours");
            }
        }
        self.tally().over = true;
        let report = self.report();
        metrics().probe_rounds.with_label_values(&[report.state.as_str()]).inc();
        tracing::info!(
            round = %report.round, outcome = report.state.as_str(), reason = report.ended_by.as_deref(),
            recorded = report.recorded, planned = report.planned, incomplete_questions = report.incomplete.len(),
            longest_lag_micros = report.longest_lag_micros, "a round of probes is over"
        );
        self.ended.cancel();
    }

    /// One probe, at its time. Once a question was put to one model, the others get it too: only a process that stops
    /// asks nobody any more.
    async fn probe(self: Arc<Self>, start: Start, request: ApiRequest, ceiling: i64) {
        let Parts { clock, shutdown, .. } = &self.shared.parts;
        let intended = self.begun.plus(start.offset);
        tokio::select! {
            biased;
            () = shutdown.begun() => return self.end_early("shutting_down"),
            () = clock.sleep_until(intended) => {}
        }
        let in_flight = Arc::clone(&self.shared.in_flight).acquire_many_owned(PERMITS_OF_ONE).await;
        let (Ok(mut place), Some(question)) = (in_flight, self.question(start.question)) else { return };
        let Some(room) = place.split(1) else { return };
        let planned = Planned {
            round: &self.id,
            basket: &self.basket,
            question,
            position: start.position,
            intended,
            intended_at: self.begun_at.checked_add(start.offset).unwrap_or(self.begun_at),
        };
        let asked = planned.ask(&self.shared.parts, request, room).await;
        self.open.fetch_sub(ceiling, Ordering::SeqCst);
        drop(place);
        match asked {
            Ok(probe) => self.keep(start, probe).await,
            Err(reason) => self.end_early(reason),
        }
    }

    async fn keep(&self, start: Start, probe: Probe) {
        metrics().probe_lag.observe(Duration::from_micros(probe.lag_micros).as_secs_f64());
        let record = Arc::new(Record::Probe(Box::new(probe.clone())));
        // One after the other: they are written beside the ledger's own writer, and many at once would keep each other
        // from their turn until they give up.
        let _turn = self.shared.turn.lock().await;
        for left in (0..TRIES).rev() {
            let (ledger, record) = (self.shared.parts.ledger.clone(), Arc::clone(&record));
            match tokio::task::spawn_blocking(move || ledger.append(&record)).await {
                Ok(Ok(_)) => return self.tally().add(start.question, start.model, &probe),
                Ok(Err(error)) if left == 0 => {
                    // Its question is incomplete by that, and left out of comparisons.
                    tracing::error!(%error, round = %self.id, "the record of a probe could not be written");
                }
                Ok(Err(_)) => tokio::time::sleep(PAUSE).await,
                Err(error) => return tracing::error!(%error, round = %self.id, "the record of a probe was given up"),
            }
        }
    }

    /// What puts a question to each model, in their order.
    fn requests(&self, question: usize) -> Option<Vec<ApiRequest>> {
        let question = self.question(question)?;
        self.models.iter().map(|model| request(&self.basket, question, model)).collect()
    }

    /// Whether all models may be asked a question now: what is left of the probes' budget and of the town's envelope is at
    /// least the sum of the ceilings.
    fn may_ask(&self, requests: &[ApiRequest]) -> Result<Vec<i64>, &'static str> {
        let Parts { terms, ledger, calendar, clock, .. } = &self.shared.parts;
        self.nothing_is_stopped()?;
        let ceilings = ceilings(&self.shared.parts, requests)?;
        let need: i64 = ceilings.iter().sum();
        let terms = terms.get();
        let windows = calendar.windows(clock.now());
        let unavailable = |_| "store_unavailable";
        // Read before the ledger: what ends in between is then counted twice for a moment, and never not at all.
        let open = self.open.load(Ordering::SeqCst);
        let own = ledger.resident_use(PROBES_ACCOUNT, &windows).map_err(unavailable)?;
        let town = ledger.town_spend(&windows, &[]).map_err(unavailable)?;
        let budget = terms.comparison.probes.allowance.euro_nanos_per_month;
        let envelope = terms.envelope;
        // Of the questions before this one, what the ledger does not hold yet: it will.
        let coming = (open - own.month_held.euro_nanos).max(0);
        for (used, held, allowed, limit) in [
            (own.month_used, own.month_held, budget, "euros_per_month"),
            (town.month_used, town.month_held, envelope.euro_nanos_per_month, "town_euros_per_month"),
            (town.year_used, town.year_held, envelope.euro_nanos_per_year, "town_euros_per_year"),
        ] {
            if used.euro_nanos.saturating_add(held.euro_nanos).saturating_add(coming).saturating_add(need) > allowed {
                return Err(limit);
            }
        }
        self.open.fetch_add(need, Ordering::SeqCst);
        Ok(ceilings)
    }

    /// Asks the store itself: what routing remembers of stops is only as good as the refusal behind it, and by then another
    /// model may have been asked.
    fn nothing_is_stopped(&self) -> Result<(), &'static str> {
        let stops = self.shared.parts.ledger.stops().map_err(|_| "store_unavailable")?;
        let mut providers = self.models.iter().filter_map(|model| Some(model.split_once('/')?.0));
        let open =
            stops.check_plan(PROBES_ACCOUNT).and_then(|()| providers.try_for_each(|one| stops.check_provider(one)));
        open.map_err(|_| "stopped")
    }

    /// Begins nothing more; the first reason counts, and is told once.
    fn end_early(&self, reason: &'static str) {
        self.tally().ended_by.get_or_insert(reason);
        self.ending.cancel();
    }

    /// A question by its place in the round.
    fn question(&self, place: usize) -> Option<&Question> {
        self.basket.questions.get(*self.questions.get(place)?)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
