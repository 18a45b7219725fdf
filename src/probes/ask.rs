//! One probe: a question put to one model the way a resident would, and what the town keeps of it.
//!
//! It must not know the schedule or the round it belongs to.

use std::sync::Arc;

use jiff::Timestamp;
use providers::request::{ApiRequest, Endpoint};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use super::Parts;
use super::basket::{Basket, Question};
use super::reading::Reading;
use crate::clock::Tick;
use crate::identity::{Authenticated, TownAccount};
use crate::ledger::{Entry, Outcome, Probe, micros};
use crate::pipeline::{Answered, Asking, Delivery, Incoming, PipelineError};
use crate::trail::Trail;

/// The request that puts a question to a model, streamed.
pub(super) fn request(basket: &Basket, question: &Question, model: &str) -> Option<ApiRequest> {
    let body = basket.request(question, model, true).to_string();
    ApiRequest::parse(Endpoint::Chat, body.as_bytes()).ok()
}

/// A probe that is about to be asked.
pub(super) struct Planned<'a> {
    /// The round it belongs to.
    pub(super) round: &'a str,
    /// The basket.
    pub(super) basket: &'a Basket,
    /// The question.
    pub(super) question: &'a Question,
    /// Place among the models asked the same question.
    pub(super) position: u32,
    /// When it was meant to start, on the monotonic clock …
    pub(super) intended: Tick,
    /// … and on the wall.
    pub(super) intended_at: Timestamp,
}

impl Planned<'_> {
    /// Asks now and gives what is to be kept.
    ///
    /// # Errors
    /// Why no vendor was asked, from a closed set.
    pub(super) async fn ask(
        &self,
        parts: &Parts,
        request: ApiRequest,
        room: OwnedSemaphorePermit,
    ) -> Result<Probe, &'static str> {
        let started = parts.clock.tick();
        let (witness, heard) = oneshot::channel();
        let request_id = Uuid::now_v7().to_string();
        let trail = Trail::of_probe(&request_id, &parts.traces, &parts.clock);
        let asking = Asking {
            request_id,
            local_passages: !self.question.passages.is_empty(),
            witness: Some(witness),
            trail: trail.clone(),
        };
        let incoming = Incoming { request: Ok(request), asking, received: started, room };
        let town = Authenticated::town(TownAccount::Probes, parts.terms.get());
        let entered = parts.pipeline.enter(town).map_err(|error| reason(&error))?;
        let (reading, refused) = match parts.pipeline.answer(entered, incoming).await {
            Ok(Answered { delivery: Delivery::Stream(frames), .. }) => (Reading::of(frames, &parts.clock).await, None),
            // Streams are asked for; what comes whole has no times to tell.
            Ok(Answered { delivery: Delivery::Whole { .. }, .. }) => (Reading::default(), None),
            Err(error) => (Reading::default(), Some(reason(&error))),
        };
        if let Some(reason) = refused {
            trail.refused(reason);
        }
        // Whatever went wrong: when the books know of an attempt, a vendor was asked.
        let entry = heard.await.map_err(|_| refused.unwrap_or("internal_error"))?;
        Ok(self.record(parts, &entry, &reading, started))
    }

    fn record(&self, parts: &Parts, entry: &Entry, reading: &Reading, started: Tick) -> Probe {
        let since_intended = |tick: Option<Tick>| tick.map(|tick| whole_micros(tick.since(self.intended)));
        let windows = parts.calendar.windows(self.intended_at);
        let answered = entry.outcome == Outcome::Completed;
        Probe {
            id: Uuid::now_v7().to_string(),
            round: self.round.to_owned(),
            basket: self.basket.version.clone(),
            basket_digest: self.basket.digest().to_owned(),
            question: self.question.id.clone(),
            length_class: self.question.class,
            local_passages: !self.question.passages.is_empty(),
            provider: entry.provider.clone(),
            model: entry.priced_model().to_owned(),
            host: entry.host.clone(),
            region: entry.region.clone(),
            intended_at: micros(self.intended_at),
            lag_micros: whole_micros(started.since(self.intended)),
            position: self.position,
            request_id: entry.request_id.clone(),
            outcome: entry.outcome,
            error_type: entry.error_type.clone(),
            first_text_micros: since_intended(reading.first_text),
            duration_micros: since_intended(reading.last),
            usage: entry.usage,
            cost_euro_nanos: entry.cost_euro_nanos,
            output_chars: entry.output_chars,
            passed: answered.then(|| self.question.passes(&reading.text)).flatten(),
            day: windows.day.label.clone(),
            local_hour: windows.hour(self.intended_at).unwrap_or_default(),
        }
    }
}

fn whole_micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The word for why nobody was asked.
fn reason(error: &PipelineError) -> &'static str {
    error.refusal_reason().unwrap_or("internal_error")
}

/// What each of these would hold, nano-euros: what must be left before any of them is asked.
///
/// # Errors
/// Why one of them cannot be asked, from a closed set.
pub(super) fn ceilings(parts: &Parts, requests: &[ApiRequest]) -> Result<Vec<i64>, &'static str> {
    let terms = parts.terms.get();
    let ceiling = |request| {
        let town = Authenticated::town(TownAccount::Probes, Arc::clone(&terms));
        let quote = parts.pipeline.quote(town, request, None).map_err(|error| reason(&error))?;
        Ok(quote.most_euro_nanos)
    };
    requests.iter().map(ceiling).collect()
}
