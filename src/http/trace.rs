//! From the head of a request to the trace that it belongs to. What is said wrongly is not said.

use axum::http::{HeaderMap, HeaderName, Method};

use crate::telemetry::Caller;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace that the caller says its request belongs to. A `tracestate` may come in several headers, a `traceparent` may
/// not.
pub(super) fn caller(headers: &HeaderMap) -> Option<Caller> {
    let mut parents = headers.get_all(&TRACEPARENT).iter();
    let parent = parents.next()?;
    if parents.next().is_some() {
        return None;
    }
    let states = headers.get_all(&TRACESTATE).iter().map(|state| state.to_str().ok());
    let states: Option<Vec<_>> = states.collect();
    Caller::read(parent.to_str().ok()?, &states.unwrap_or_default().join(","))
}

/// A method as the log and the traces call it: one that nobody knows could be anything.
pub(super) fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_parent_comes_once_and_a_state_in_as_many_headers_as_it_likes() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(caller(&headers(&[])), None);
        let in_two = caller(&headers(&[("traceparent", parent), ("tracestate", "a=1"), ("tracestate", "b=2")]));
        assert_eq!(in_two, caller(&headers(&[("traceparent", parent), ("tracestate", "a=1,b=2")])));
        assert!(in_two.is_some());
        // `collect` appends nothing twice, so two parents are put by hand.
        let mut twice = headers(&[("traceparent", parent)]);
        twice.append("traceparent", parent.parse().unwrap());
        assert_eq!(caller(&twice), None);
    }
}
