//! Histograms whose buckets each point at one request: from a slow bucket on a board to its line in the log, or its trace.
//!
//! A bucket keeps the first observation after each time it was read, so that between two scrapes a bucket costs one copy
//! of an id and every other observation one look at a flag. It must not know which metrics are kept so.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use prometheus::{Histogram, HistogramVec};

/// Most characters that the names and values of an exemplar's labels may have together, by OpenMetrics.
const MOST_CHARS: usize = 128;
/// Its labels.
pub(super) const REQUEST_ID: &str = "request_id";
pub(super) const TRACE_ID: &str = "trace_id";

/// The request behind an observation.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar<'a> {
    request_id: &'a str,
    trace_id: Option<&'a str>,
    at_micros: i64,
}

impl<'a> Exemplar<'a> {
    /// Our id of the request, and when it was observed in microseconds since 1970 (UTC).
    pub fn new(request_id: &'a str, at_micros: i64) -> Self {
        Self { request_id, trace_id: None, at_micros }
    }

    /// With the id of the trace that the request is part of, where it is recorded.
    #[must_use]
    pub fn with_trace(mut self, trace_id: Option<&'a str>) -> Self {
        self.trace_id = trace_id;
        self
    }

    /// What is kept of it; nothing when it could not be written down.
    fn keep(&self, value: f64) -> Option<Box<Kept>> {
        let labels = [(REQUEST_ID, Some(self.request_id)), (TRACE_ID, self.trace_id)];
        let written = labels.into_iter().filter_map(|(name, id)| Some((name, id?)));
        let chars: usize = written.map(|(name, id)| name.len() + id.chars().count()).sum();
        (chars <= MOST_CHARS).then(|| {
            Box::new(Kept {
                value,
                at_micros: self.at_micros,
                request_id: self.request_id.to_owned(),
                trace_id: self.trace_id.map(str::to_owned),
            })
        })
    }
}

/// An exemplar in its bucket.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) value: f64,
    pub(super) at_micros: i64,
    pub(super) request_id: String,
    pub(super) trace_id: Option<String>,
}

/// The place of one bucket's exemplar.
#[derive(Default)]
struct Slot {
    /// It was read: the next observation may take its place.
    taken: AtomicBool,
    kept: Mutex<Option<Box<Kept>>>,
}

struct Series {
    labels: Box<[Box<str>]>,
    histogram: Histogram,
    /// One for each bound, and one beyond.
    slots: Box<[Slot]>,
}

impl Series {
    fn observe(&self, bounds: &[f64], value: f64, exemplar: &Exemplar<'_>) {
        self.histogram.observe(value);
        let Some(slot) = self.slots.get(bounds.partition_point(|bound| *bound < value)) else { return };
        if slot.taken.load(Ordering::Relaxed) {
            return;
        }
        // Who finds it locked comes at the same moment as the one that is being kept.
        if let Ok(mut kept) = slot.kept.try_lock()
            && let Some(new) = exemplar.keep(value)
        {
            *kept = Some(new);
            slot.taken.store(true, Ordering::Relaxed);
        }
    }

    /// The exemplars by bucket; the next observation in each takes its place.
    fn read(&self) -> Vec<Option<Kept>> {
        let read = |slot: &Slot| {
            let kept = slot.kept.lock().unwrap_or_else(PoisonError::into_inner).as_deref().cloned();
            slot.taken.store(false, Ordering::Relaxed);
            kept
        };
        self.slots.iter().map(read).collect()
    }
}

/// One series' label values, in the order of their declaration, and its exemplars by bucket.
pub(super) type Kepts = (Box<[Box<str>]>, Vec<Option<Kept>>);

/// Histograms by label, whose observations come with the request behind them.
pub struct TracedHistograms {
    histograms: HistogramVec,
    bounds: &'static [f64],
    hashes: RandomState,
    /// By the hash of the label values: one look-up instead of that of `histograms`, and nothing to allocate for it.
    series: RwLock<HashMap<u64, Arc<Series>>>,
}

impl TracedHistograms {
    pub(super) fn new(histograms: HistogramVec, bounds: &'static [f64]) -> Self {
        Self { histograms, bounds, hashes: RandomState::new(), series: RwLock::default() }
    }

    /// Counts `value` in the series of these label values, in the order in which the labels are declared.
    pub fn observe(&self, labels: &[&str], value: f64, exemplar: Exemplar<'_>) {
        let hash = self.hashes.hash_one(labels);
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&hash).map(Arc::clone);
        known.unwrap_or_else(|| self.begin(hash, labels)).observe(self.bounds, value, &exemplar);
    }

    fn begin(&self, hash: u64, labels: &[&str]) -> Arc<Series> {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Series {
            labels: labels.iter().map(|value| Box::from(*value)).collect(),
            histogram: self.histograms.with_label_values(labels),
            slots: std::iter::repeat_with(Slot::default).take(self.bounds.len() + 1).collect(),
        };
        Arc::clone(series.entry(hash).or_insert_with(|| Arc::new(new())))
    }

    /// How many were counted in a series.
    pub fn count(&self, labels: &[&str]) -> u64 {
        self.histograms.with_label_values(labels).get_sample_count()
    }

    pub(super) fn exemplars(&self) -> Vec<Kepts> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        series.values().map(|series| (series.labels.clone(), series.read())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::HistogramOpts;

    const BOUNDS: &[f64] = &[0.1, 1.0];

    fn histograms() -> TracedHistograms {
        let options = HistogramOpts::new("waited_seconds", "w").buckets(BOUNDS.to_vec());
        TracedHistograms::new(HistogramVec::new(options, &["who"]).unwrap(), BOUNDS)
    }

    /// The ids kept of `who`, by bucket.
    fn ids(histograms: &TracedHistograms, who: &str) -> Vec<Option<String>> {
        let found = histograms.exemplars().into_iter().find(|(labels, _)| *labels[0] == *who);
        found.unwrap().1.into_iter().map(|kept| kept.map(|kept| kept.request_id)).collect()
    }

    #[test]
    fn a_bucket_keeps_the_first_request_after_each_time_it_is_read() {
        let histograms = histograms();
        let observe = |who, value, id| histograms.observe(&[who], value, Exemplar::new(id, 1));
        for (value, id) in [(0.1, "a"), (0.05, "b"), (1.5, "c"), (f64::MAX, "d")] {
            observe("x", value, id);
        }
        observe("y", 0.5, "e");
        let some = |id: &str| Some(id.to_owned());
        assert_eq!(ids(&histograms, "x"), [some("a"), None, some("c")], "a bound belongs to its bucket");
        assert_eq!(ids(&histograms, "y"), [None, some("e"), None]);
        observe("x", 0.01, "f");
        assert_eq!(ids(&histograms, "x"), [some("f"), None, some("c")], "what nothing replaced stays");
        assert_eq!((histograms.count(&["x"]), histograms.count(&["y"])), (5, 1));
    }

    #[test]
    fn what_openmetrics_has_no_room_for_is_counted_and_not_kept() {
        let histograms = histograms();
        let (id, trace) = ("r".repeat(MOST_CHARS - REQUEST_ID.len()), "é");
        histograms.observe(&["x"], 0.5, Exemplar::new(&id, 1).with_trace(Some(trace)));
        assert_eq!((ids(&histograms, "x"), histograms.count(&["x"])), (vec![None, None, None], 1));
        histograms.observe(&["x"], 0.5, Exemplar::new(&id, 1));
        assert_eq!(ids(&histograms, "x")[1].as_ref().map(String::len), Some(118));
    }
}
