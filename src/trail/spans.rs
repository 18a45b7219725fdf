//! The spans of a request, their attributes listed here and nowhere else, by the names of OpenTelemetry's conventions for
//! HTTP and GenAI; what has none is under our own. Never content: no message, no prompt, no answer.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::line::model_word;
use super::{AttemptSpan, Ended, Facts, Inner, Kind};
use crate::ledger::{Entry, Outcome, micros as micros_of};
use crate::telemetry::{TraceContext, Traces};

/// Reasons for the end of an answer that are written as they are.
const FINISH_REASONS: &[&str] =
    &["stop", "length", "tool_calls", "content_filter", "function_call", "model_length", "error"];

/// Host and port of a configured address.
pub(super) fn address_of(base_url: &str) -> (String, Option<u16>) {
    let (scheme, rest) = base_url.split_once("://").unwrap_or(("", base_url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let usual = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host.to_owned(), port.parse().ok().or(usual)),
        _ => (authority.to_owned(), usual),
    }
}

/// Gathers attributes; what is not known is left out.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(name, value));
    }

    fn put_known<T: Into<Value>>(&mut self, name: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn text(&mut self, name: &'static str, value: Option<&str>) {
        self.put_known(name, value.map(str::to_owned));
    }

    fn count(&mut self, name: &'static str, value: Option<u64>) {
        self.put_known(name, value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)));
    }
}

/// What all spans of a request share.
struct Maker<'a> {
    trace: &'a TraceContext,
    scope: InstrumentationScope,
}

/// From when to when.
type Times = (SystemTime, SystemTime);

impl Maker<'_> {
    /// A span below ours, unless it is ours.
    fn span(&self, id: SpanId, kind: SpanKind, name: String, (start, end): Times, attributes: Attributes) -> SpanData {
        let trace = self.trace;
        let is_ours = id == trace.span_id();
        let parent = if is_ours { trace.parent() } else { Some(trace.span_id()) };
        SpanData {
            span_context: SpanContext::new(trace.trace_id(), id, TraceFlags::SAMPLED, false, trace.state().clone()),
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: is_ours && parent.is_some(),
            span_kind: kind,
            name: name.into(),
            start_time: start,
            // A clock that was set back makes no span of negative length.
            end_time: end.max(start),
            attributes: attributes.0,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn at(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn micros(micros: Option<u64>) -> Duration {
    Duration::from_micros(micros.unwrap_or(0))
}

fn failed() -> Status {
    // Which mistake it was is in `error.type`; words could be a vendor's.
    Status::error("")
}

/// The spans of what was followed: its own, one for each attempt, and what the gateway did before and after them.
pub(super) fn of(
    inner: &Inner,
    facts: &Facts,
    trace: &TraceContext,
    (started_at, duration): (Timestamp, Duration),
    traces: &Traces,
) -> Vec<SpanData> {
    let maker = Maker { trace, scope: traces.scope() };
    let start = at(micros_of(started_at));
    let mut spans = Vec::with_capacity(facts.entries.len() + 3);
    if !matches!(inner.kind, Kind::Side(_)) {
        spans.push(own(&maker, inner, facts, (start, start + duration)));
    }
    for entry in &facts.entries {
        // Attempts of calls with a trail of their own have their spans there.
        if let Some(attempt) = facts.attempts.iter().find(|attempt| attempt.number == entry.attempt) {
            spans.push(client(&maker, entry, attempt));
        }
    }
    if let Some((first, last)) = facts.entries.first().zip(facts.entries.last()).filter(|_| !facts.attempts.is_empty())
    {
        let mut around = |name: &str, times| {
            if let Some(id) = traces.span_id() {
                spans.push(maker.span(id, SpanKind::Internal, name.to_owned(), times, Attributes::default()));
            }
        };
        let received = at(first.received_at);
        around("admission", (received, received + micros(first.overhead_micros)));
        if let Some(booked) = facts.booked {
            around("settlement", (at(last.ended_at), start + booked.since(inner.started)));
        }
    }
    spans
}

fn own(maker: &Maker<'_>, inner: &Inner, facts: &Facts, times: Times) -> SpanData {
    let mut attributes = Attributes::default();
    attributes.text("passerelle.request.id", Some(&inner.request_id));
    let (kind, name) = match &inner.kind {
        Kind::Request { listener, method } => {
            attributes.put("http.request.method", *method);
            attributes.put("passerelle.listener", listener.as_str());
            let route = facts.http_route.as_deref();
            (SpanKind::Server, route.map_or_else(|| (*method).to_owned(), |route| format!("{method} {route}")))
        }
        Kind::Side(_) | Kind::Probe => (SpanKind::Internal, "probe".to_owned()),
    };
    attributes.text("http.route", facts.http_route.as_deref());
    attributes.count("http.response.status_code", facts.status.map(u64::from));
    attributes.put_known("passerelle.ended", facts.ended.map(Ended::as_str));
    attributes.put_known("passerelle.refusal", facts.refusal());
    let last = facts.entries.last();
    let error = last.and_then(|entry| entry.error_type.as_deref()).or(facts.reason);
    attributes.text("error.type", error);
    let mut span = maker.span(maker.trace.span_id(), kind, name, times, attributes);
    let is_ours = facts.status.is_some_and(|status| status >= 500) || facts.ended == Some(Ended::Panicked);
    if is_ours || (facts.status.is_none() && error.is_some()) {
        span.status = failed();
    }
    span
}

fn client(maker: &Maker<'_>, entry: &Entry, attempt: &AttemptSpan) -> SpanData {
    let mut attributes = Attributes::default();
    attributes.text("gen_ai.operation.name", Some(&entry.operation));
    attributes.text("gen_ai.provider.name", Some(&entry.provider));
    attributes.text("gen_ai.request.model", Some(&entry.sent_model));
    attributes.put("gen_ai.request.stream", entry.stream);
    attributes.text("gen_ai.response.model", entry.response_model.as_deref().and_then(model_word));
    if let Some(reason) = &entry.finish_reason {
        let known = FINISH_REASONS.iter().find(|known| *known == reason).copied().unwrap_or("other");
        attributes.put("gen_ai.response.finish_reasons", Value::Array(Array::String(vec![StringValue::from(known)])));
    }
    if let Some(usage) = &entry.usage {
        attributes.count("gen_ai.usage.input_tokens", Some(usage.input_tokens()));
        attributes.count("gen_ai.usage.output_tokens", Some(usage.output_tokens()));
        attributes.count("gen_ai.usage.cache_read.input_tokens", Some(usage.input_cached));
        attributes.count("gen_ai.usage.reasoning.output_tokens", Some(usage.reasoning));
    }
    let sent = micros(entry.overhead_micros);
    let first = entry.first_chunk_micros.map(|first| micros(Some(first)).saturating_sub(sent));
    attributes.put_known("gen_ai.response.time_to_first_chunk", first.map(|first| first.as_secs_f64()));
    attributes.text("server.address", Some(&attempt.address));
    attributes.count("server.port", attempt.port.map(u64::from));
    attributes.count("http.response.status_code", entry.http_status.map(u64::from));
    attributes.text("error.type", entry.error_type.as_deref());
    attributes.count("passerelle.attempt", Some(u64::from(entry.attempt)));
    attributes.text("passerelle.host", Some(&entry.host));
    attributes.text("passerelle.region", Some(&entry.region));
    attributes.put("passerelle.outcome", entry.outcome.as_str());
    attributes.put_known("passerelle.cost.euro_nanos", entry.cost_euro_nanos);
    let start = at(entry.received_at) + sent;
    let name = format!("{} {}", entry.operation, entry.sent_model);
    let mut span = maker.span(attempt.id, SpanKind::Client, name, (start, at(entry.ended_at)), attributes);
    if let Some(first) = first {
        span.events.events.push(Event::new("first chunk", start + first, Vec::new(), 0));
    }
    if entry.outcome != Outcome::Completed {
        span.status = failed();
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_never_with_its_credentials() {
        for (url, host, port) in [
            ("https://api.openai.com/v1", "api.openai.com", Some(443)),
            ("http://127.0.0.1:8000/v1", "127.0.0.1", Some(8_000)),
            ("http://[::1]:8000/v1", "[::1]", Some(8_000)),
            ("http://[::1]/v1", "[::1]", Some(80)),
            ("https://user:secret@models.example.fr/v1", "models.example.fr", Some(443)),
        ] {
            assert_eq!(address_of(url), (host.to_owned(), port), "{url}");
        }
    }
}
