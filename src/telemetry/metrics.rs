//! All metrics of the process, declared once.

use std::sync::LazyLock;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::names::{self, Metric};

/// OpenTelemetry's buckets for `gen_ai.client.operation.duration`, in seconds.
const DURATION_BUCKETS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// From 50 µs to 250 ms, in seconds.
const OVERHEAD_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_15, 0.000_2, 0.000_3, 0.000_5, 0.000_75, 0.001, 0.001_5, 0.002, 0.003, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25,
];
/// From a millisecond, the step of timers, to ten seconds.
const LAG_BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
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
    /// Refused writes, by reason.
    pub ledger_writes_refused: IntCounterVec,
    /// Calls that cost more than was held for them.
    pub ceilings_exceeded: IntCounter,
    /// Late settlements.
    pub settlements_late: IntCounter,
    /// Reloads of the terms, by outcome.
    pub terms_reloads: IntCounterVec,
    /// By window: hour, month, year.
    pub town_spent: IntGaugeVec,
    /// By window: month, year.
    pub town_envelope: IntGaugeVec,
    /// By reason.
    pub alerts_raised: IntCounterVec,
    /// By outcome.
    pub alert_deliveries: IntCounterVec,
    /// By outcome: answered, failed, judged.
    pub duels: IntCounterVec,
    /// By outcome.
    pub probe_rounds: IntCounterVec,
    /// Lag of probes.
    pub probe_lag: Histogram,
    /// Whether the last reading of the configuration succeeded.
    pub config_last_reload_successful: IntGauge,
    /// When the configuration in force was read.
    pub config_last_reload_success: IntGauge,
    /// By listener.
    pub certificate_expires: IntGaugeVec,
    /// By listener and outcome.
    pub tls_handshakes: IntCounterVec,
    /// By reason: wrong, too_many_wrong.
    pub keys_refused: IntCounterVec,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The process's metrics.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// Declares metrics in a registry.
struct Declare(Registry);

#[expect(
    clippy::expect_used,
    reason = "names and buckets are constants of this module: a mistake shows at the first start"
)]
impl Declare {
    fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("a valid metric");
        self.0.register(Box::new(metric.clone())).expect("a new metric");
        metric
    }

    fn counters(&self, metric: Metric, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(metric.name, metric.help), labels))
    }

    fn counter(&self, metric: Metric) -> IntCounter {
        self.register(IntCounter::new(metric.name, metric.help))
    }

    fn gauges(&self, metric: Metric, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(metric.name, metric.help), labels))
    }

    fn gauge(&self, metric: Metric) -> IntGauge {
        self.register(IntGauge::new(metric.name, metric.help))
    }

    fn histograms(&self, metric: Metric, labels: &[&str]) -> HistogramVec {
        let options = HistogramOpts::new(metric.name, metric.help).buckets(DURATION_BUCKETS.to_vec());
        self.register(HistogramVec::new(options, labels))
    }

    fn histogram(&self, metric: Metric, buckets: &[f64]) -> Histogram {
        self.register(Histogram::with_opts(HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec())))
    }
}

impl Metrics {
    fn new() -> Self {
        use names::{ERROR_TYPE, OPERATION, OUTCOME, PROVIDER, REASON, REQUEST_MODEL, ROUTE, STATUS, WINDOW};
        let declare = Declare(Registry::new());
        let by_model = &[PROVIDER, REQUEST_MODEL];
        let by_call = &[OPERATION, PROVIDER, REQUEST_MODEL];
        let by_ending = &[OPERATION, PROVIDER, REQUEST_MODEL, OUTCOME, ERROR_TYPE];
        Self {
            operation_duration: declare.histograms(names::OPERATION_DURATION, by_ending),
            time_to_first_chunk: declare.histograms(names::TIME_TO_FIRST_CHUNK, by_call),
            input_tokens: declare.counters(names::INPUT_TOKENS, by_model),
            output_tokens: declare.counters(names::OUTPUT_TOKENS, by_model),
            cached_input_tokens: declare.counters(names::CACHED_INPUT_TOKENS, by_model),
            reasoning_tokens: declare.counters(names::REASONING_TOKENS, by_model),
            cost: declare.counters(names::COST, by_model),
            unknown_cost: declare.counters(names::UNKNOWN_COST, by_model),
            overhead: declare.histogram(names::OVERHEAD, OVERHEAD_BUCKETS),
            admissions: declare.counters(names::ADMISSIONS, &[REASON]),
            attempts: declare.counters(names::ATTEMPTS, &[PROVIDER, OUTCOME, ERROR_TYPE]),
            requests_open: declare.gauge(names::REQUESTS_OPEN),
            responses: declare.counters(names::RESPONSES, &[ROUTE, STATUS]),
            drains: declare.counters(names::DRAINS, &[OUTCOME]),
            reservations_open: declare.gauge(names::RESERVATIONS_OPEN),
            reservations_expired: declare.counter(names::RESERVATIONS_EXPIRED),
            reservations_dropped: declare.counter(names::RESERVATIONS_DROPPED),
            ledger_queue: declare.gauge(names::LEDGER_QUEUE),
            ledger_batch_size: declare.histogram(names::LEDGER_BATCH, BATCH_BUCKETS),
            ledger_writes_refused: declare.counters(names::LEDGER_REFUSED, &[REASON]),
            ceilings_exceeded: declare.counter(names::CEILINGS_EXCEEDED),
            settlements_late: declare.counter(names::SETTLED_LATE),
            terms_reloads: declare.counters(names::TERMS_RELOADS, &[OUTCOME]),
            town_spent: declare.gauges(names::TOWN_SPENT, &[WINDOW]),
            town_envelope: declare.gauges(names::TOWN_ENVELOPE, &[WINDOW]),
            alerts_raised: declare.counters(names::ALERTS_RAISED, &[REASON]),
            alert_deliveries: declare.counters(names::ALERT_DELIVERIES, &[OUTCOME]),
            duels: declare.counters(names::DUELS, &[OUTCOME]),
            probe_rounds: declare.counters(names::PROBE_ROUNDS, &[OUTCOME]),
            probe_lag: declare.histogram(names::PROBE_LAG, LAG_BUCKETS),
            config_last_reload_successful: declare.gauge(names::CONFIG_LAST_RELOAD_SUCCESSFUL),
            config_last_reload_success: declare.gauge(names::CONFIG_LAST_RELOAD_SUCCESS),
            certificate_expires: declare.gauges(names::CERTIFICATE_EXPIRES, &[names::LISTENER]),
            tls_handshakes: declare.counters(names::TLS_HANDSHAKES, &[names::LISTENER, OUTCOME]),
            keys_refused: declare.counters(names::KEYS_REFUSED, &[REASON]),
            registry: declare.0,
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
