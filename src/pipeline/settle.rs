//! What a call came to: its entries, what is charged, and the hold given back, exactly once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use providers::catalogue::PricingError;
use providers::error::{ErrorKind, ProviderError};
use providers::money::{Money, MoneyError};
use providers::stream::AnswerFacts;
use providers::usage::{ReportedUsage, Usage};
use uuid::Uuid;

use super::admit::Admitted;
use super::{Leg, Pipeline, PipelineError, Routed};
use crate::clock::Tick;
use crate::ledger::{Assignment, Charge, Entry, Outcome, Settlement, StoreError, micros};
use crate::telemetry::{Exemplar, metrics};
use crate::trail::Trail;

/// First pause before a settlement is written again; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// When things happened, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    received: Tick,
    sent: Tick,
    first_chunk: Option<Tick>,
    first_text: Option<Tick>,
    last: Option<Tick>,
}

impl Times {
    pub(super) fn start(received: Tick, sent: Tick) -> Self {
        Self { received, sent, first_chunk: None, first_text: None, last: None }
    }

    /// Notes content of any kind, and whether it was visible text.
    pub(super) fn content(&mut self, now: Tick, visible: bool) {
        self.first_chunk.get_or_insert(now);
        if visible {
            self.first_text.get_or_insert(now);
        }
        self.last = Some(now);
    }

    pub(super) fn overhead(&self) -> Duration {
        self.sent.since(self.received)
    }

    fn since_received(&self, at: Option<Tick>) -> Option<Duration> {
        at.map(|at| at.since(self.received))
    }
}

/// One try at one vendor.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) leg: Arc<Leg>,
    /// Names of the client's fields that this vendor was not sent.
    pub(super) dropped: Vec<String>,
    pub(super) assignment: Assignment,
    pub(super) times: Times,
}

/// How an attempt ended.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    /// A whole answer.
    Whole(&'a AnswerFacts),
    /// A stream that came to its end; with what went wrong once everything had been said.
    Streamed { facts: &'a AnswerFacts, client_left: bool, error_type: Option<&'static str> },
    /// A stream that broke off.
    Broken { facts: &'a AnswerFacts, error_type: &'static str, client_left: bool },
    /// No answer began.
    Failed(&'a ProviderError),
}

/// An admitted call whose last attempt is known, still to be settled.
pub(super) struct Open {
    pub(super) admitted: Admitted,
    pub(super) attempt: Attempt,
    pub(super) earlier: Vec<Entry>,
}

/// Proof that a call is in the books, or on its way there in a task of its own.
#[derive(Debug)]
pub struct Settled {
    cost_euro_nanos: Option<i64>,
}

impl Settled {
    /// Exact cost in nano-euros, where it is known.
    pub fn cost_euro_nanos(&self) -> Option<i64> {
        self.cost_euro_nanos
    }
}

impl Open {
    /// Settles the call. When the store cannot be written the settlement is tried again in a task of its own, and the
    /// client need not wait for it.
    ///
    /// What is to be written is made up here and now: waiting for it needs nothing of the call any more.
    pub(super) fn settle<'p>(
        self,
        pipeline: &'p Pipeline,
        ending: Ending<'_>,
    ) -> impl Future<Output = Settled> + Send + use<'p> {
        let Self { mut admitted, attempt, mut earlier } = self;
        let held = admitted.reservation.take_unknown();
        let entry = attempt.entry(pipeline, &admitted.routed, held, ending);
        record(&attempt, &entry, admitted.routed.trail.recorded_trace().as_deref());
        record_attempt(pipeline, &attempt, &entry);
        if let Some(witness) = admitted.routed.witness.take() {
            // Nobody waits any more: the books have it all the same.
            let _gone = witness.send(entry.clone());
        }
        let settled = Settled { cost_euro_nanos: entry.cost_euro_nanos };
        earlier.push(entry);
        let Admitted { reservation, permit, routed: Routed { trail, .. }, .. } = admitted;
        // The resident's next call may begin now.
        drop(permit);
        let settlement = Settlement::new(reservation, earlier);
        async move {
            write(pipeline, settlement, &trail).await;
            settled
        }
    }
}

/// A call that nobody answered.
pub(super) struct Failed {
    admitted: Admitted,
    earlier: Vec<Entry>,
    last: Option<(Attempt, ProviderError)>,
    error: PipelineError,
}

impl Failed {
    /// Failed before an attempt could be made.
    pub(super) fn without_attempt(admitted: Admitted, earlier: Vec<Entry>, error: PipelineError) -> Box<Self> {
        Box::new(Self { admitted, earlier, last: None, error })
    }

    /// Failed with the last attempt.
    pub(super) fn after_attempt(
        admitted: Admitted,
        earlier: Vec<Entry>,
        attempt: Attempt,
        error: ProviderError,
    ) -> Box<Self> {
        let failure =
            PipelineError::Provider { provider: attempt.leg.provider.clone(), error: Box::new(error.clone()) };
        Box::new(Self { admitted, earlier, last: Some((attempt, error)), error: failure })
    }

    /// Settles what was held and gives the error for the client.
    pub(super) async fn settle(self: Box<Self>, pipeline: &Pipeline) -> PipelineError {
        let Self { admitted, mut earlier, last, error } = *self;
        if let Some((attempt, error)) = last {
            let _settled = Open { admitted, attempt, earlier }.settle(pipeline, Ending::Failed(&error)).await;
        } else {
            // What is in `earlier` was not billed; nothing more is to be said than that.
            let Admitted { reservation, permit, routed, .. } = admitted;
            drop(permit);
            write(pipeline, Settlement::new(reservation, std::mem::take(&mut earlier)), &routed.trail).await;
        }
        error
    }
}

async fn write(pipeline: &Pipeline, settlement: Settlement, trail: &Trail) {
    trail.called(settlement.entries());
    match pipeline.ledger.settle(settlement.clone()).await {
        Ok(()) => {}
        Err(StoreError::AlreadyResolved) => late(&settlement),
        Err(error) => {
            let request = request_id(&settlement);
            tracing::error!(request.id = request, %error, "a settlement could not be written and will be tried again");
            let ledger = pipeline.ledger.clone();
            let shutdown = pipeline.shutdown.clone();
            pipeline.shutdown.spawn(async move {
                let mut pause = FIRST_PAUSE;
                loop {
                    tokio::time::sleep(pause).await;
                    match ledger.settle(settlement.clone()).await {
                        Ok(()) => return,
                        Err(StoreError::AlreadyResolved) => return late(&settlement),
                        Err(error) if shutdown.has_begun() && pause >= LONGEST_PAUSE => {
                            let request = request_id(&settlement);
                            tracing::error!(request.id = request, %error, "a settlement was given up; its hold stays until its lease ends");
                            return;
                        }
                        Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
            });
        }
    }
    trail.booked();
}

fn request_id(settlement: &Settlement) -> &str {
    settlement.entries().last().map(|entry| entry.request_id.as_str()).unwrap_or_default()
}

fn late(settlement: &Settlement) {
    metrics().settlements_late.inc();
    tracing::error!(
        request.id = request_id(settlement),
        "a settlement came after its lease had ended; the ceiling was charged"
    );
}

/// Metrics of the last attempt of a call.
fn record(attempt: &Attempt, entry: &Entry, trace: Option<&str>) {
    let metrics = metrics();
    let by_model = &[entry.provider.as_str(), &*attempt.leg.model.id];
    let error = entry.error_type.as_deref().unwrap_or_default();
    let exemplar = Exemplar::new(&entry.request_id, entry.ended_at).with_trace(trace);
    if let Some(duration) = attempt.times.since_received(attempt.times.last) {
        let labels = &[entry.operation.as_str(), by_model[0], by_model[1], entry.outcome.as_str(), error];
        metrics.operation_duration.observe(labels, duration.as_secs_f64(), exemplar);
    }
    if let Some(first) = attempt.times.since_received(attempt.times.first_chunk) {
        let labels = &[entry.operation.as_str(), by_model[0], by_model[1]];
        metrics.time_to_first_chunk.observe(labels, first.as_secs_f64(), exemplar);
    }
    if let Some(usage) = &entry.usage {
        metrics.input_tokens.with_label_values(by_model).inc_by(usage.input_tokens());
        metrics.output_tokens.with_label_values(by_model).inc_by(usage.output_tokens());
        metrics.cached_input_tokens.with_label_values(by_model).inc_by(usage.input_cached);
        metrics.reasoning_tokens.with_label_values(by_model).inc_by(usage.reasoning);
    }
    match entry.cost_euro_nanos {
        Some(nanos) => metrics.cost.with_label_values(by_model).inc_by(nanos.unsigned_abs()),
        None => metrics.unknown_cost.with_label_values(by_model).inc(),
    }
}

/// Metrics of any attempt, at its end.
fn record_attempt(pipeline: &Pipeline, attempt: &Attempt, entry: &Entry) {
    let (metrics, outcome) = (metrics(), entry.outcome.as_str());
    let error = entry.error_type.as_deref().unwrap_or_default();
    metrics.attempts.with_label_values(&[&entry.provider, outcome, error]).inc();
    // What was never sent says nothing of how long a vendor takes.
    if ![ErrorKind::Busy.label(), ErrorKind::CircuitOpen.label()].contains(&error) {
        let took = pipeline.clock.tick().since(attempt.times.sent);
        metrics.attempt_duration.with_label_values(&[&entry.provider, outcome]).observe(took.as_secs_f64());
    }
}

/// What the ledger says of a call that nobody ever settled.
pub(super) fn unknown_entry(pipeline: &Pipeline, routed: &Routed) -> Result<Entry, PipelineError> {
    let first = routed.calls.first().ok_or(PipelineError::Internal("a routed request has no target"))?;
    let mut entry = blank_entry(routed, &first.leg);
    entry.assignment = routed.draw.assignment;
    entry.error_type = Some("lease_expired".to_owned());
    entry.charged = Charge::of_ceiling(routed.ceiling);
    entry.ended_at = micros(pipeline.clock.now());
    Ok(entry)
}

/// The part of an entry that is known before the vendor answers; outcome unknown, cost anywhere up to the ceiling.
fn blank_entry(routed: &Routed, leg: &Leg) -> Entry {
    let Routed { windows, received_at, .. } = routed;
    Entry {
        id: Uuid::now_v7().to_string(),
        request_id: routed.request_id.clone(),
        attempt: 1,
        outcome: Outcome::Unknown,
        error_type: None,
        retried: false,
        http_status: None,
        resident: routed.who.resident().to_owned(),
        key_id: routed.who.key_id().to_owned(),
        plan: routed.who.plan().name.clone(),
        operation: routed.asked.operation.as_str().to_owned(),
        stream: routed.asked.stream,
        choices: routed.asked.choices,
        client_left: false,
        route: routed.route.clone(),
        assignment: Assignment::Chosen,
        probability_ppm: routed.draw.probability_ppm,
        provider: leg.provider.to_string(),
        account: leg.account.clone(),
        host: leg.host.id.clone(),
        region: leg.host.region.clone(),
        request_model: routed.model.clone(),
        sent_model: leg.sent_id.to_string(),
        response_model: None,
        upstream_id: None,
        upstream_request_id: None,
        finish_reason: None,
        service_tier: None,
        usage: None,
        usage_consistent: None,
        usage_raw: None,
        currency: leg.price.currency.code().to_owned(),
        cost_nanos: None,
        cost_lower_nanos: 0,
        cost_upper_nanos: leg.ceiling_cost.nanos(),
        cost_euro_nanos: None,
        rate_micros: leg.rate.per_euro_micros,
        rate_date: leg.rate.date.to_string(),
        price_row: leg.price.id.to_string(),
        uplift_percent: leg.uplift_percent,
        ceiling_euro_nanos: leg.ceiling.euro_nanos,
        charged: Charge::default(),
        day: windows.day.label.clone(),
        month: windows.month.label.clone(),
        year: windows.year.label.clone(),
        received_at: micros(*received_at),
        ended_at: micros(*received_at),
        overhead_micros: None,
        first_chunk_micros: None,
        first_text_micros: None,
        duration_micros: None,
        output_chars: None,
        length_class: routed.asked.length,
        local_passages: routed.asked.local_passages,
        local_hour: windows.hour(*received_at),
        epoch: routed.draw.epoch,
        time_block: routed.draw.time_block,
    }
}

impl Attempt {
    /// The entry of an attempt after which another was made: refused and not billed.
    pub(super) fn failed_entry(
        &self,
        pipeline: &Pipeline,
        admitted: &Admitted,
        error: &ProviderError,
        retried: bool,
    ) -> Entry {
        let mut entry = self.entry(pipeline, &admitted.routed, None, Ending::Failed(error));
        entry.retried = retried;
        record_attempt(pipeline, self, &entry);
        entry
    }

    /// The entry of the attempt. What the hold said of the call, in case that nobody resolved it, is a beginning for that
    /// of the first attempt.
    fn entry(&self, pipeline: &Pipeline, routed: &Routed, held: Option<Entry>, ending: Ending<'_>) -> Entry {
        let mut entry = match held.filter(|_| self.number == 1) {
            Some(held) => Entry { error_type: None, charged: Charge::default(), ..held },
            None => blank_entry(routed, &self.leg),
        };
        entry.attempt = self.number;
        entry.assignment = self.assignment;
        entry.ended_at = micros(pipeline.clock.now());
        let micros_of = |time: Option<Duration>| time.and_then(|time| u64::try_from(time.as_micros()).ok());
        entry.overhead_micros = micros_of(Some(self.times.overhead()));
        entry.first_chunk_micros = micros_of(self.times.since_received(self.times.first_chunk));
        entry.first_text_micros = micros_of(self.times.since_received(self.times.first_text));
        entry.duration_micros = micros_of(self.times.since_received(self.times.last));
        match ending {
            Ending::Whole(facts) => self.complete(&mut entry, facts),
            Ending::Streamed { facts, client_left, error_type } => {
                entry.client_left = client_left;
                entry.error_type = error_type.map(str::to_owned);
                self.complete(&mut entry, facts);
            }
            Ending::Broken { facts, error_type, client_left } => {
                entry.client_left = client_left;
                self.broken(&mut entry, facts, error_type);
            }
            Ending::Failed(error) => self.failed(&mut entry, error),
        }
        if entry.cost_nanos.is_none() {
            // Never below what the vendor may bill.
            entry.charged = Charge::of_ceiling(self.leg.ceiling);
        }
        entry
    }

    fn facts(&self, entry: &mut Entry, facts: &AnswerFacts) {
        entry.response_model.clone_from(&facts.response_model);
        entry.upstream_id.clone_from(&facts.upstream_id);
        entry.upstream_request_id.clone_from(&facts.upstream_request_id);
        entry.finish_reason.clone_from(&facts.finish_reason);
        entry.service_tier.clone_from(&facts.service_tier);
        entry.output_chars = Some(facts.output_chars);
        if let Some(ReportedUsage { usage, consistent, raw, .. }) = &facts.usage {
            entry.usage = Some(*usage);
            entry.usage_consistent = Some(*consistent);
            entry.usage_raw = Some(raw.clone());
        }
    }

    fn complete(&self, entry: &mut Entry, facts: &AnswerFacts) {
        self.facts(entry, facts);
        let usage = match &facts.usage {
            Some(reported) => reported.usage,
            // What is free costs nothing, however much it was.
            None if self.leg.price.is_free() => Usage::default(),
            None => {
                // The answer is whole, its cost is not known: absent is not zero.
                entry.error_type = Some("usage_missing".to_owned());
                return;
            }
        };
        let (cost, euro) = match self.cost(entry, &usage) {
            Ok(found) => found,
            Err(error) => {
                // What it used is known, what it cost is not: the ceiling is charged, and a price is to be added.
                let label = match error {
                    PricingError::TierUnpriced => "tier_unpriced",
                    PricingError::ToolUnpriced => "tool_unpriced",
                    PricingError::Amount(_) => "cost_overflow",
                };
                tracing::error!(
                    request.id = %entry.request_id, price_row = %entry.price_row, tier = entry.service_tier.as_deref(),
                    error.r#type = label, "an answer has no price: {error}"
                );
                entry.error_type = Some(label.to_owned());
                return;
            }
        };
        // A failed answer has a price too, where the vendor gave its usage, but no reason for a good end.
        let broke_off = entry.error_type.is_some() && facts.finish_reason.is_none();
        entry.outcome = if broke_off { Outcome::Interrupted } else { Outcome::Completed };
        entry.cost_nanos = Some(cost.nanos());
        entry.cost_lower_nanos = cost.nanos();
        entry.cost_upper_nanos = cost.nanos();
        entry.cost_euro_nanos = Some(euro.nanos());
        entry.charged = Charge { questions: 1, tokens: usage.total_tokens(), euro_nanos: euro.nanos() };
        if euro.nanos() > entry.ceiling_euro_nanos {
            metrics().ceilings_exceeded.inc();
            tracing::error!(request.id = %entry.request_id, "a call cost more than its ceiling: the bound is wrong");
        }
    }

    /// The cost by the price of the model and at the tier that the vendor **returned**; by that of the model sent when
    /// it returned one that the catalogue does not know.
    fn cost(&self, entry: &mut Entry, usage: &Usage) -> Result<(Money, Money), PricingError> {
        let day = Timestamp::from_microsecond(entry.received_at)
            .map_err(|_| MoneyError::Overflow)?
            .to_zoned_datetime(jiff::tz::TimeZone::UTC)
            .date();
        let returned = entry.response_model.as_deref().and_then(|id| self.leg.catalogue.resolve(id, day));
        let (price, uplift) = match returned.and_then(|model| Some((model.price_at(day)?, model))) {
            Some((price, model)) => (price, self.leg.host.uplift_for(model)),
            None => (&self.leg.price, self.leg.uplift_percent),
        };
        entry.price_row = price.id.to_string();
        entry.uplift_percent = uplift;
        let cost = price.cost_at(entry.service_tier.as_deref(), usage, uplift)?;
        Ok((cost, self.leg.rate.to_euro(cost)?))
    }

    /// A stream that broke off: at least what it said it had used, at most the ceiling.
    fn broken(&self, entry: &mut Entry, facts: &AnswerFacts, error_type: &str) {
        self.facts(entry, facts);
        entry.outcome = Outcome::Interrupted;
        entry.error_type = Some(error_type.to_owned());
        let seen = facts.usage.as_ref().map_or_else(Usage::default, |reported| reported.usage);
        let (told, asked) = (entry.service_tier.as_deref(), self.leg.service_tier);
        let least = self.leg.price.least_cost(told, asked, &seen, self.leg.uplift_percent);
        entry.cost_lower_nanos = least.map_or(0, Money::nanos);
    }

    fn failed(&self, entry: &mut Entry, error: &ProviderError) {
        entry.error_type = Some(error.kind.label().to_owned());
        entry.http_status = error.status;
        entry.upstream_request_id = error.upstream_request_id.as_deref().map(str::to_owned);
        if let Some(facts) = &error.answer {
            self.complete(entry, facts);
        } else if error.not_billed() {
            entry.outcome = Outcome::Rejected;
            entry.cost_nanos = Some(0);
            entry.cost_upper_nanos = 0;
            entry.cost_euro_nanos = Some(0);
        }
    }
}
