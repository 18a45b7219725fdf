//! What a request leaves behind for operators: one line in the log, and spans where its trace is recorded.
//!
//! Whoever has to do with a request holds its trail and notes what it knows; when the last of them lets go (the answer's
//! body has ended or its client has left, and the call is in the books), the line is written. So there is exactly one,
//! however it ended. It must not know content, residents or keys: of an entry it takes the fields that are listed in
//! `line` and `spans`, and no other.

mod line;
mod spans;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use opentelemetry::trace::SpanId;

use crate::clock::{Clock, Tick};
use crate::ledger::Entry;
use crate::telemetry::{Caller, TraceContext, Traces};

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Residents.
    Public,
    /// The mairie.
    Mairie,
    /// Operators and their machines, many times a minute: its lines are for debugging.
    Ops,
}

impl Listener {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Mairie => "mairie",
            Self::Ops => "ops",
        }
    }
}

/// How the way of an answer to its client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was handed over.
    Whole,
    /// The client left before.
    ClientLeft,
    /// The process stopped before.
    Stopped,
    /// A mistake of ours.
    Panicked,
}

impl Ended {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::ClientLeft => "client_left",
            Self::Stopped => "stopped",
            Self::Panicked => "panicked",
        }
    }
}

/// What is known of a request when its head is there.
#[derive(Debug)]
pub struct Beginning<'a> {
    /// Where it came in.
    pub listener: Listener,
    /// Our id of it.
    pub request_id: &'a str,
    /// The method, or a word for one that nobody knows: never the client's own.
    pub method: &'static str,
    /// When its head was there.
    pub started: Tick,
    /// The trace that its caller says it belongs to.
    pub caller: Option<Caller>,
}

/// What somebody who has to do with a request holds. Cheap to clone; [`Trail::default`] leaves nothing behind.
#[derive(Clone, Default)]
pub struct Trail(Option<Arc<Inner>>);

impl std::fmt::Debug for Trail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trail")
    }
}

/// What is being followed.
enum Kind {
    /// A request that came in.
    Request { listener: Listener, method: &'static str },
    /// One of several calls that are made for a request.
    Side(Trail),
    /// A question of the town's own.
    Probe,
}

struct Inner {
    kind: Kind,
    request_id: Box<str>,
    clock: Clock,
    started: Tick,
    trace: Option<Box<TraceContext>>,
    /// Where its spans go, if any are made.
    recording: Option<Recording>,
    facts: Mutex<Facts>,
}

struct Recording {
    traces: Traces,
    started_at: Timestamp,
}

/// What has been noted.
#[derive(Default)]
struct Facts {
    /// The matched route, never the raw path.
    http_route: Option<Box<str>>,
    status: Option<u16>,
    /// Why it was refused or failed, from a closed set.
    reason: Option<&'static str>,
    ended: Option<Ended>,
    /// Calls made for it.
    calls: u32,
    /// What the books say of their attempts, oldest first.
    entries: Vec<Arc<Entry>>,
    /// The spans of the attempts, where any are made.
    attempts: Vec<AttemptSpan>,
    /// When the last call was in the books.
    booked: Option<Tick>,
}

impl Facts {
    /// Why nobody was asked, where that was decided and no mistake of ours.
    fn refusal(&self) -> Option<&'static str> {
        self.reason.filter(|_| self.entries.is_empty() && self.status != Some(500))
    }
}

/// The span of an attempt while it is made.
struct AttemptSpan {
    number: u32,
    id: SpanId,
    address: String,
    port: Option<u16>,
}

impl Trail {
    /// Of a request whose head has come in.
    pub fn of_request(beginning: Beginning<'_>, traces: &Traces, clock: &Clock) -> Self {
        let Beginning { listener, request_id, method, started, caller } = beginning;
        let trace = traces.begin(caller).map(Box::new);
        Self::new(Kind::Request { listener, method }, request_id, started, trace, traces, clock)
    }

    /// Of a question that the town asks itself.
    pub fn of_probe(request_id: &str, traces: &Traces, clock: &Clock) -> Self {
        let trace = traces.begin(None).map(Box::new);
        Self::new(Kind::Probe, request_id, clock.tick(), trace, traces, clock)
    }

    /// Of one of several calls that are made for the same request: its spans hang below the request's, and the request's
    /// line counts it in.
    #[must_use]
    pub fn of_side(&self, request_id: &str) -> Self {
        let Some(inner) = &self.0 else { return Self::default() };
        let traces = inner.recording.as_ref().map(|recording| recording.traces.clone()).unwrap_or_default();
        let kind = Kind::Side(self.clone());
        Self::new(kind, request_id, inner.clock.tick(), inner.trace.clone(), &traces, &inner.clock)
    }

    fn new(
        kind: Kind,
        request_id: &str,
        started: Tick,
        trace: Option<Box<TraceContext>>,
        traces: &Traces,
        clock: &Clock,
    ) -> Self {
        let recorded = trace.as_ref().is_some_and(|trace| trace.is_recorded());
        let recording = recorded.then(|| Recording { traces: traces.clone(), started_at: clock.now() });
        Self(Some(Arc::new(Inner {
            kind,
            request_id: request_id.into(),
            clock: clock.clone(),
            started,
            trace,
            recording,
            facts: Mutex::default(),
        })))
    }

    /// The trace that the request belongs to, if any.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.0.as_ref()?.trace.as_deref()
    }

    /// The id of that trace in hexadecimal, where spans are made of this request: what exemplars lead to.
    pub fn recorded_trace(&self) -> Option<String> {
        self.trace().filter(|trace| trace.is_recorded()).map(|trace| trace.trace_id().to_string())
    }

    /// The head of the answer is on its way, by this route; with why it is no success, from a closed set.
    pub fn answered(&self, http_route: Option<&str>, status: u16, reason: Option<&'static str>) {
        self.note(|facts| {
            facts.http_route = http_route.map(Into::into);
            facts.status = Some(status);
            facts.reason = reason;
        });
    }

    /// Nobody was asked, or nobody answered; why, from a closed set.
    pub fn refused(&self, reason: &'static str) {
        self.note(|facts| facts.reason = Some(reason));
    }

    /// The answer has ended; the first word counts.
    pub fn ended(&self, ended: Ended) {
        self.note(|facts| {
            facts.ended.get_or_insert(ended);
        });
    }

    /// An attempt is about to be made at that address; gives the id of its span, where one is made.
    pub fn attempt(&self, number: u32, base_url: &str) -> Option<SpanId> {
        let id = self.0.as_ref()?.recording.as_ref()?.traces.span_id()?;
        let (address, port) = spans::address_of(base_url);
        self.note(|facts| facts.attempts.push(AttemptSpan { number, id, address, port }));
        Some(id)
    }

    /// A call has ended; these are its attempts as they will be in the books.
    pub fn called(&self, entries: &[Arc<Entry>]) {
        self.note(|facts| {
            facts.calls += 1;
            facts.entries.extend_from_slice(entries);
        });
    }

    /// The last call is in the books, or on its way there in a task of its own.
    pub fn booked(&self) {
        if let Some(inner) = self.0.as_ref().filter(|inner| inner.recording.is_some()) {
            let now = inner.clock.tick();
            self.note(|facts| facts.booked = Some(now));
        }
    }

    fn note(&self, note: impl FnOnce(&mut Facts)) {
        if let Some(inner) = &self.0 {
            note(&mut inner.facts());
        }
    }
}

impl Inner {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let facts = std::mem::take(&mut *self.facts());
        let ended = self.clock.tick();
        line::write(self, &facts, ended);
        if let Some(Recording { traces, started_at }) = &self.recording
            && let Some(trace) = &self.trace
        {
            traces.send(spans::of(self, &facts, trace, (*started_at, ended.since(self.started)), traces));
        }
        if let Kind::Side(request) = &self.kind {
            request.note(|whole| {
                whole.calls += facts.calls;
                whole.entries.extend(facts.entries);
            });
        }
    }
}
