//! The line of a request, its fields listed here and nowhere else: ids, words from closed sets, counts and times.

use tracing::Level;

use super::{Ended, Facts, Inner, Kind, Listener};
use crate::clock::Tick;
use crate::ledger::{Entry, Outcome};

/// Longest id of a model that is written.
const LONGEST_MODEL: usize = 96;

/// A vendor's own word for its model, if it is a word: a host could put anything there.
pub(super) fn model_word(model: &str) -> Option<&str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@+".contains(&byte);
    (!model.is_empty() && model.len() <= LONGEST_MODEL && model.bytes().all(is_word)).then_some(model)
}

/// What the calls of a request come to. What is not known is absent, and so is what differs between them.
struct Sum<'a> {
    /// The last attempt of the call, where there was one call.
    last: Option<&'a Entry>,
    outcome: Option<Outcome>,
    error_type: Option<&'a str>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost_euro_nanos: Option<i64>,
    overhead_micros: Option<u64>,
    first_chunk_micros: Option<u64>,
}

impl<'a> Sum<'a> {
    fn of(facts: &'a Facts) -> Self {
        let entries = || facts.entries.iter().map(|entry| &**entry);
        let last = entries().next_back().filter(|_| facts.calls == 1);
        let usages = || entries().filter_map(|entry| entry.usage.as_ref());
        let known = usages().next();
        let costs: Option<i64> = entries().map(|entry| entry.cost_euro_nanos).sum();
        Self {
            last,
            outcome: last.map(|entry| entry.outcome),
            error_type: last.and_then(|entry| entry.error_type.as_deref()),
            input_tokens: known.map(|_| usages().map(providers::usage::Usage::input_tokens).sum()),
            output_tokens: known.map(|_| usages().map(providers::usage::Usage::output_tokens).sum()),
            cost_euro_nanos: costs.filter(|_| !facts.entries.is_empty()),
            overhead_micros: entries().next().filter(|_| facts.calls == 1).and_then(|entry| entry.overhead_micros),
            first_chunk_micros: last.and_then(|entry| entry.first_chunk_micros),
        }
    }
}

/// The event, at a level that is known when the program is built.
macro_rules! event {
    ($level:expr, $message:expr, $inner:expr, $facts:expr, $sum:expr, $duration:expr) => {{
        let (inner, facts, sum): (&Inner, &Facts, &Sum<'_>) = ($inner, $facts, $sum);
        let last = sum.last;
        let (listener, method) = match &inner.kind {
            Kind::Request { listener, method } => (Some(listener.as_str()), Some(*method)),
            Kind::Side(_) | Kind::Probe => (None, None),
        };
        let refusal = facts.refusal();
        tracing::event!(
            target: "passerelle::request",
            $level,
            message = $message,
            request.id = &*inner.request_id,
            trace.id = inner.trace.as_ref().map(|trace| display(trace.trace_id())),
            listener,
            http.method = method,
            http.route = facts.http_route.as_deref(),
            http.status = facts.status,
            ended = facts.ended.map(Ended::as_str),
            refusal,
            error.r#type = sum.error_type.or(facts.reason),
            gen_ai.operation.name = last.map(|entry| &*entry.operation),
            stream = last.map(|entry| entry.stream),
            plan = last.map(|entry| &*entry.plan),
            route = last.and_then(|entry| entry.route.as_deref()),
            gen_ai.provider.name = last.map(|entry| &*entry.provider),
            gen_ai.request.model = last.map(|entry| &*entry.sent_model),
            gen_ai.response.model = last.and_then(|entry| model_word(entry.response_model.as_deref()?)),
            host = last.map(|entry| &*entry.host),
            outcome = sum.outcome.map(Outcome::as_str),
            calls = Some(facts.calls).filter(|calls| *calls > 1),
            attempts = Some(facts.entries.len()).filter(|attempts| *attempts > 0),
            gen_ai.usage.input_tokens = sum.input_tokens,
            gen_ai.usage.output_tokens = sum.output_tokens,
            cost.euro_nanos = sum.cost_euro_nanos,
            overhead.micros = sum.overhead_micros,
            first_chunk.micros = sum.first_chunk_micros,
            duration.micros = $duration,
        );
    }};
}

/// Writes the line: residents' and the mairie's requests for everybody, the rest for those who debug.
pub(super) fn write(inner: &Inner, facts: &Facts, ended: Tick) {
    let for_everybody = matches!(inner.kind, Kind::Request { listener: Listener::Public | Listener::Mairie, .. });
    let wanted = if for_everybody {
        tracing::enabled!(target: "passerelle::request", Level::INFO)
    } else {
        tracing::enabled!(target: "passerelle::request", Level::DEBUG)
    };
    if !wanted {
        return;
    }
    let sum = Sum::of(facts);
    let duration = u64::try_from(ended.since(inner.started).as_micros()).unwrap_or(u64::MAX);
    let message = word(inner, facts);
    if for_everybody {
        event!(Level::INFO, message, inner, facts, &sum, duration);
    } else {
        event!(Level::DEBUG, message, inner, facts, &sum, duration);
    }
}

/// What came of it, in a word.
fn word(inner: &Inner, facts: &Facts) -> &'static str {
    match (&inner.kind, facts.ended, facts.status) {
        (Kind::Side(_), ..) => "a side of a duel was asked",
        (Kind::Probe, ..) => "a probe was asked",
        (_, Some(Ended::Panicked), _) => "failed",
        (_, Some(Ended::ClientLeft), _) => "left",
        (_, Some(Ended::Stopped) | None, _) => "cut",
        (_, _, Some(..400)) => "answered",
        (_, _, _) if facts.entries.is_empty() && facts.status != Some(500) => "refused",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_word_for_its_model_is_written_only_if_it_is_one() {
        for word in ["gpt-6-luna-2026-06-30", "mistral-small-2603", "org/model:7b@q4", "a"] {
            assert_eq!(model_word(word), Some(word));
        }
        for text in ["", "où est la mairie ?", "two words", "line\nfeed", "\"quoted\"", &"x".repeat(LONGEST_MODEL + 1)]
        {
            assert_eq!(model_word(text), None, "{text}");
        }
    }
}
