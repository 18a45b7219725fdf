//! Logs, metrics and traces. A leaf: everyone may use it, it uses nobody.
//!
//! Nothing personal passes here: labels come from closed sets or from the catalogue, log fields and spans are ids, counts
//! and durations. No prompt, answer, key or address.

pub mod declared;
mod exemplar;
mod format;
mod guard;
mod logs;
mod metrics;
pub mod names;
mod openmetrics;
mod page;
mod process;
mod traces;

pub use exemplar::{Exemplar, TracedHistograms};
pub use format::Format;
pub use guard::Counted;
pub use logs::{LogFormat, Logs, init_logs, log_lines, set_level};
pub use metrics::{Metrics, metrics};
pub use page::{markdown, text};
pub use traces::{Caller, TraceContext, TraceSettings, Traces};
