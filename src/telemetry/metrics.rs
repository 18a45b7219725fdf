//! All metrics of the process, declared once.

use std::sync::LazyLock;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use super::names;

/// OpenTelemetry's buckets for `gen_ai.client.operation.duration`, in seconds.
const DURATION_BUCKETS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// From 50 µs to 250 ms, in seconds.
const OVERHEAD_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_15, 0.000_2, 0.000_3, 0.000_5, 0.000_75, 0.001, 0.001_5, 0.002, 0.003, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25,
];
const BATCH_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// The metrics, each described where its name is defined in [`names`].
pub struct Metrics {
    registry: Registry,
    /// By operation, provider, request model, outcome and error type.
    pub operation_duration: HistogramVec,
    /// By operation, provider and request model.
    pub time_to_first_chunk: HistogramVec,
    /// By provider and request model.
    pub input_tokens: IntCounterVec,
    /// By provider and request model.
    pub output_tokens: IntCounterVec,
    /// By provider and request model.
    pub cached_input_tokens: IntCounterVec,
    /// By provider and request model.
    pub reasoning_tokens: IntCounterVec,
    /// By provider and request model.
    pub cost: IntCounterVec,
    /// By provider and request model.
    pub unknown_cost: IntCounterVec,
    /// Gateway overhead.
    pub overhead: Histogram,
    /// By reason; `admitted` for those let in.
    pub admissions: IntCounterVec,
    /// By provider, outcome and error type.
    pub attempts: IntCounterVec,
    /// Requests open now.
    pub requests_open: IntGauge,
    /// By route and status.
    pub responses: IntCounterVec,
    /// By outcome.
    pub drains: IntCounterVec,
    /// Reservations open now.
    pub reservations_open: IntGauge,
    /// Expired reservations.
    pub reservations_expired: IntCounter,
    /// Forgotten reservations.
    pub reservations_dropped: IntCounter,
    /// Waiting writes.
    pub ledger_queue: IntGauge,
    /// Writes per commit.
    pub ledger_batch_size: Histogram,
    /// Refused writes.
    pub ledger_writes_refused: IntCounter,
    /// Late settlements.
    pub settlements_late: IntCounter,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The process's metrics.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

#[expect(
    clippy::expect_used,
    reason = "names and buckets are constants of this file: a mistake shows at the first start"
)]
impl Metrics {
    fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels).expect("a valid metric");
            registry.register(Box::new(metric.clone())).expect("a new metric");
            metric
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help).expect("a valid metric");
            registry.register(Box::new(metric.clone())).expect("a new metric");
            metric
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help).expect("a valid metric");
            registry.register(Box::new(metric.clone())).expect("a new metric");
            metric
        };
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
            let metric = HistogramVec::new(options, labels).expect("a valid metric");
            registry.register(Box::new(metric.clone())).expect("a new metric");
            metric
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let metric =
                Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())).expect("a valid metric");
            registry.register(Box::new(metric.clone())).expect("a new metric");
            metric
        };
        let by_model = &[names::PROVIDER, names::REQUEST_MODEL];
        Self {
            operation_duration: histograms(
                names::OPERATION_DURATION,
                "Duration of calls as the resident sees them.",
                &[names::OPERATION, names::PROVIDER, names::REQUEST_MODEL, names::OUTCOME, names::ERROR_TYPE],
            ),
            time_to_first_chunk: histograms(
                names::TIME_TO_FIRST_CHUNK,
                "From receipt to the first chunk with content.",
                &[names::OPERATION, names::PROVIDER, names::REQUEST_MODEL],
            ),
            input_tokens: counters(names::INPUT_TOKENS, "Billed input tokens, cached included.", by_model),
            output_tokens: counters(names::OUTPUT_TOKENS, "Billed output tokens, reasoning included.", by_model),
            cached_input_tokens: counters(
                names::CACHED_INPUT_TOKENS,
                "Input tokens read from the vendor's cache.",
                by_model,
            ),
            reasoning_tokens: counters(names::REASONING_TOKENS, "Reasoning tokens.", by_model),
            cost: counters(names::COST, "Exact cost of completed calls in nano-euros.", by_model),
            unknown_cost: counters(names::UNKNOWN_COST, "Calls whose exact cost is not known.", by_model),
            overhead: histogram(
                names::OVERHEAD,
                "Time in the gateway from receipt to calling the vendor.",
                OVERHEAD_BUCKETS,
            ),
            admissions: counters(names::ADMISSIONS, "Admission decisions.", &[names::REASON]),
            attempts: counters(
                names::ATTEMPTS,
                "Attempts at vendors.",
                &[names::PROVIDER, names::OUTCOME, names::ERROR_TYPE],
            ),
            requests_open: gauge(names::REQUESTS_OPEN, "Requests open now, bodies included."),
            responses: counters(names::RESPONSES, "HTTP responses.", &[names::ROUTE, names::STATUS]),
            drains: counters(names::DRAINS, "Streams read on after their client left.", &[names::OUTCOME]),
            reservations_open: gauge(names::RESERVATIONS_OPEN, "Reservations open now."),
            reservations_expired: counter(
                names::RESERVATIONS_EXPIRED,
                "Reservations settled as unknown at the end of their lease.",
            ),
            reservations_dropped: counter(
                names::RESERVATIONS_DROPPED,
                "Reservations dropped without settlement: must stay zero.",
            ),
            ledger_queue: gauge(names::LEDGER_QUEUE, "Commands waiting for the ledger's writer."),
            ledger_batch_size: histogram(names::LEDGER_BATCH, "Writes in one commit.", BATCH_BUCKETS),
            ledger_writes_refused: counter(names::LEDGER_REFUSED, "Writes that the ledger did not take."),
            settlements_late: counter(
                names::SETTLED_LATE,
                "Settlements that found their reservation already resolved.",
            ),
            registry,
        }
    }
}

impl Metrics {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}
