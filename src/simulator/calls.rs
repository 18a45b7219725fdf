//! What a simulated vendor remembers of each call, when it was asked to: for matching a ledger with it call by call.
//!
//! It must not know a text of anybody's: the caller's request id, the model and the bill are all that is kept.

use serde::{Deserialize, Serialize};

/// One call that reached the vendor.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct RecordedCall {
    /// The request id that the caller sent; absent when it sent none.
    pub request_id: Option<String>,
    /// Canonical id of the model; absent when the call was refused before it was known.
    pub model: Option<String>,
    /// What it would put on the invoice, in nano-units of the vendor's currency. Absent while the call runs, and for a
    /// call that is never billed.
    pub billed_nanos: Option<i64>,
    /// Billed up to the moment in which the caller left.
    pub cut_by_client: bool,
}

/// The calls since the start, in the order of their arrival; empty unless they are recorded.
#[derive(Debug)]
pub(super) struct Record {
    wanted: bool,
    calls: Vec<RecordedCall>,
}

impl Record {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, calls: Vec::new() }
    }

    /// Notes an arrival; gives what the call is known by here, if calls are recorded.
    pub(super) fn arrival(&mut self, request_id: Option<&str>) -> Option<usize> {
        if !self.wanted {
            return None;
        }
        self.calls.push(RecordedCall { request_id: request_id.map(str::to_owned), ..RecordedCall::default() });
        Some(self.calls.len() - 1)
    }

    /// Notes which model a call asks for.
    pub(super) fn model(&mut self, call: Option<usize>, model: &str) {
        if let Some(call) = self.call(call) {
            call.model = Some(model.to_owned());
        }
    }

    /// Notes what a call is billed.
    pub(super) fn bill(&mut self, call: Option<usize>, nanos: i64, complete: bool) {
        if let Some(call) = self.call(call) {
            call.billed_nanos = Some(nanos);
            call.cut_by_client = !complete;
        }
    }

    pub(super) fn calls(&self) -> &[RecordedCall] {
        &self.calls
    }

    fn call(&mut self, call: Option<usize>) -> Option<&mut RecordedCall> {
        self.calls.get_mut(call?)
    }
}
