//! Logs, metrics and traces. A leaf: everyone may use it, it uses nobody.
//!
//! Nothing personal passes here: labels come from closed sets or from the catalogue, log fields and spans are ids, counts
//! and durations. No prompt, answer, key or address.

mod logs;
mod metrics;
pub mod names;
mod traces;

pub use logs::{LogFormat, Logs, init_logs, log_lines, set_level};
pub use metrics::{Metrics, metrics};
pub use traces::{Caller, TraceContext, TraceSettings, Traces};
