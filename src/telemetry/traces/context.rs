//! W3C Trace Context, level 1: which trace a request belongs to, as its caller says it and as we pass it on.
//!
//! Read to the letter, unlike the usual propagator, which takes ids of any length and a sign before them. What is not
//! valid is ignored, as the recommendation wants it. It must not know who calls, nor who is called.

use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};
use providers::transport::TraceHeaders;

/// Length of a `traceparent` of the version that we know.
const LENGTH: usize = 55;
/// A longer `tracestate` may be dropped, and is.
const LONGEST_STATE: usize = 512;

/// The trace that a caller says its request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
    state: TraceState,
}

impl Caller {
    /// What both headers say; `None` where the first is not valid. A `tracestate` that is not valid is dropped.
    pub fn read(traceparent: &str, tracestate: &str) -> Option<Self> {
        let text = traceparent.as_bytes();
        let version = text.get(..2)?;
        let whole = match version {
            b"ff" => return None,
            b"00" => text.len() == LENGTH,
            // A later version may say more behind another dash.
            _ => text.len() == LENGTH || text.get(LENGTH) == Some(&b'-'),
        };
        let head = text.get(..LENGTH).filter(|_| whole)?;
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let in_shape = head.iter().enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => is_hex(byte),
        });
        if !in_shape {
            return None;
        }
        let trace_id = TraceId::from_hex(traceparent.get(3..35)?).ok()?;
        let span_id = SpanId::from_hex(traceparent.get(36..52)?).ok()?;
        if trace_id == TraceId::INVALID || span_id == SpanId::INVALID {
            return None;
        }
        let flags = u8::from_str_radix(traceparent.get(53..55)?, 16).ok()?;
        let sampled = TraceFlags::new(flags).is_sampled();
        let state = Some(tracestate).filter(|state| state.len() <= LONGEST_STATE);
        let state = state.and_then(|state| state.parse().ok()).unwrap_or_default();
        Some(Self { trace_id, span_id, sampled, state })
    }
}

/// The trace that a request belongs to, and our own span in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    /// The span that a call made for this request hangs below: ours, or the caller's where we make none.
    span_id: SpanId,
    /// The caller's span, where ours hangs below one.
    parent: Option<SpanId>,
    sampled: bool,
    recorded: bool,
    state: TraceState,
}

impl TraceContext {
    /// A trace that begins here, and is recorded.
    pub(super) fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, parent: None, sampled: true, recorded: true, state: TraceState::NONE }
    }

    /// A caller's trace that goes on here.
    pub(super) fn continued(caller: Caller, span_id: SpanId) -> Self {
        let Caller { trace_id, span_id: parent, sampled, state } = caller;
        // Who records nothing has no span to show: what hangs below hangs below the caller's.
        let span_id = if sampled { span_id } else { parent };
        Self { trace_id, span_id, parent: sampled.then_some(parent), sampled, recorded: sampled, state }
    }

    /// A caller's trace that is only passed on.
    pub(super) fn passed_on(caller: Caller) -> Self {
        let Caller { trace_id, span_id, sampled, state } = caller;
        Self { trace_id, span_id, parent: None, sampled, recorded: false, state }
    }

    /// The trace's id, 32 hexadecimal digits when it is printed.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span of our own, where there is one.
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The caller's span, where ours hangs below one.
    pub fn parent(&self) -> Option<SpanId> {
        self.parent
    }

    /// Whether spans are made of this request.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// What other systems keep in the trace.
    pub fn state(&self) -> &TraceState {
        &self.state
    }

    /// The headers of a call that is made for this request, with the id of its span where there is one.
    pub fn headers(&self, call: Option<SpanId>) -> TraceHeaders {
        let (span, flags) = (call.unwrap_or(self.span_id), u8::from(self.sampled));
        TraceHeaders {
            traceparent: format!("00-{}-{span}-{flags:02x}", self.trace_id),
            tracestate: self.state.header(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_parent_is_read_and_passed_on_with_the_callers_state() {
        let caller = Caller::read(VALID, "congo=t61rcWkgMzE, rojo=00f067aa0ba902b7").unwrap();
        assert!(caller.sampled);
        let ours = SpanId::from(7);
        let context = TraceContext::continued(caller.clone(), ours);
        assert_eq!((context.parent(), context.span_id()), (Some(caller.span_id), ours));
        let headers = context.headers(Some(SpanId::from(9)));
        assert_eq!(headers.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000009-01");
        assert_eq!(headers.tracestate, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
        assert_eq!(TraceContext::passed_on(caller).headers(None).traceparent, VALID);
    }

    #[test]
    fn a_trace_that_its_caller_does_not_record_goes_on_unrecorded() {
        let caller = Caller::read(&VALID.replace("-01", "-00"), "").unwrap();
        let context = TraceContext::continued(caller, SpanId::from(7));
        assert!(!context.is_recorded());
        assert_eq!(context.headers(None).traceparent, VALID.replace("-01", "-00"));
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        for (name, wrong) in [
            ("nothing", String::new()),
            ("version ff", VALID.replacen("00", "ff", 1)),
            ("all zero trace", VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32))),
            ("all zero parent", VALID.replace("00f067aa0ba902b7", &"0".repeat(16))),
            ("upper case", VALID.to_uppercase()),
            ("one digit less", VALID.replace("4736", "473")),
            ("a sign for a digit", VALID.replace("4bf9", "+bf9")),
            ("more behind version 00", format!("{VALID}-00")),
            ("no dash behind a later version", format!("{}x", VALID.replacen("00", "01", 1))),
            ("not ASCII", VALID.replace("4bf9", "é9")),
            ("flags of one digit", VALID[..54].to_owned()),
            ("space before", format!(" {VALID}")),
        ] {
            assert_eq!(Caller::read(&wrong, ""), None, "{name}");
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        for later in ["01", "cc", "fe"] {
            let text = VALID.replacen("00", later, 1);
            assert_eq!(Caller::read(&text, ""), Caller::read(VALID, ""));
            assert_eq!(Caller::read(&format!("{text}-what-comes"), ""), Caller::read(VALID, ""));
        }
        let other_flags = VALID.replace("-01", "-03");
        assert!(Caller::read(&other_flags, "").unwrap().sampled, "flags of later levels are no mistake");
        assert!(!Caller::read(&VALID.replace("-01", "-02"), "").unwrap().sampled);
    }

    #[test]
    fn a_state_that_is_not_valid_is_dropped_and_the_parent_stays() {
        for wrong in ["no equals sign", "UPPER=1", &format!("a={}", "x".repeat(600)), "a=1=2"] {
            let caller = Caller::read(VALID, wrong).unwrap();
            assert_eq!(TraceContext::passed_on(caller).headers(None).tracestate, "", "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_we_write_we_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let flags = u8::from(sampled);
            let written = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let caller = Caller::read(&written, "").unwrap();
            prop_assert_eq!(caller.trace_id, TraceId::from(trace));
            prop_assert_eq!(TraceContext::passed_on(caller).headers(None).traceparent, written);
        }

        #[test]
        fn no_header_whatever_makes_a_wrong_one_or_a_panic(parent: String, state: String) {
            if let Some(caller) = Caller::read(&parent, &state) {
                let headers = TraceContext::passed_on(caller).headers(None);
                prop_assert_eq!(&headers.traceparent[2..52], &parent[2..52]);
                prop_assert!(headers.tracestate.len() <= LONGEST_STATE);
            }
        }

        #[test]
        fn a_valid_one_with_one_byte_changed_is_never_read_as_another_trace(at in 0_usize..55, byte in 0x20_u8..0x7f) {
            let mut changed = VALID.as_bytes().to_vec();
            changed[at] = byte;
            let changed = String::from_utf8(changed).unwrap();
            if let Some(caller) = Caller::read(&changed, "") {
                prop_assert_eq!(format!("{}", caller.trace_id), &changed[3..35]);
                prop_assert_eq!(format!("{}", caller.span_id), &changed[36..52]);
            }
        }
    }
}
