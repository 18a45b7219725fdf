//! Logs and metrics. A leaf: everyone may use it, it uses nobody.
//!
//! Nothing personal passes here: labels come from closed sets or from the catalogue, log fields are ids, counts and
//! durations. No prompt, answer, key or address.

mod logs;
mod metrics;
pub mod names;

pub use logs::{LogFormat, init_logs};
pub use metrics::{Metrics, metrics};
