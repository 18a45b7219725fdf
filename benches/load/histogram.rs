//! Times that were seen, in a histogram of three significant digits.
//!
//! It must not know what was timed.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Times that were seen; none before the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    histogram: Option<Histogram<u64>>,
}

impl Times {
    /// Keeps one more.
    pub(crate) fn record(&mut self, time: Duration) {
        if self.histogram.is_none() {
            // Three digits are a resolution the library knows.
            self.histogram = Histogram::new(3).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// A quantile, in milliseconds; none where nothing was seen.
    pub(crate) fn quantile_millis(&self, quantile: f64) -> Option<f64> {
        let histogram = self.histogram.as_ref()?;
        Some(histogram.value_at_quantile(quantile) as f64 / 1e6)
    }
}
