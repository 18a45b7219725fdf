//! Times that were seen, in a histogram of three significant digits.
//!
//! It must not know what was timed. Its tests are in `tests/it/load_bench.rs`.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Shortest and longest time that is told apart, in nanoseconds: a microsecond and an hour. Fixed, because a histogram that
/// clamps does not grow by itself.
const RANGE: (u64, u64) = (1_000, 3_600_000_000_000);

/// Times that were seen; none before the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    histogram: Option<Histogram<u64>>,
}

impl Times {
    /// Keeps one more.
    pub(crate) fn record(&mut self, time: Duration) {
        if self.histogram.is_none() {
            // The bounds and three digits are constants that the library takes; its test says so.
            self.histogram = Histogram::new_with_bounds(RANGE.0, RANGE.1, 3).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// A quantile, in milliseconds; none where nothing was seen.
    pub(crate) fn quantile_millis(&self, quantile: f64) -> Option<f64> {
        Some(self.histogram.as_ref()?.value_at_quantile(quantile) as f64 / 1e6)
    }

    /// The mean, in milliseconds; none where nothing was seen.
    pub(crate) fn mean_millis(&self) -> Option<f64> {
        Some(self.histogram.as_ref()?.mean() / 1e6)
    }
}
