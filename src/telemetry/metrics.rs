//! All metrics of the process, registered as [`names`] declares them.

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus::{
    Counter, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::declared::{Kind, Metric, Values};
use super::exemplar::TracedHistograms;
use super::openmetrics::{self, Exemplars};
use super::process::ProcessMetrics;
use super::{Format, names};

/// The metrics, each described where it is declared in [`names`].
pub struct Metrics {
    registry: Registry,
    process: ProcessMetrics,
    /// One scrape at a time: each sets what it reads from elsewhere.
    scrape: Mutex<()>,
    /// By operation, provider, request model, outcome and error type.
    pub operation_duration: TracedHistograms,
    /// By operation, provider and request model.
    pub time_to_first_chunk: TracedHistograms,
    /// Gateway overhead, without labels.
    pub overhead: TracedHistograms,
    /// By reason; `admitted` for those let in.
    pub admissions: IntCounterVec,
    /// By route and status.
    pub responses: IntCounterVec,
    /// Requests open now.
    pub requests_open: IntGauge,
    /// Event streams open now.
    pub streams_open: IntGauge,
    /// By provider, outcome and error type.
    pub attempts: IntCounterVec,
    /// By provider and outcome.
    pub attempt_duration: HistogramVec,
    /// By the provider that failed.
    pub fallbacks: IntCounterVec,
    /// By provider.
    pub breaker_open: IntGaugeVec,
    /// By provider and resource.
    pub headroom: GaugeVec,
    /// By provider, seconds.
    pub clock_skew: GaugeVec,
    /// By outcome.
    pub drains: IntCounterVec,
    /// Drains open now.
    pub drains_open: IntGauge,
    /// By provider and request model.
    pub retires: IntGaugeVec,
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
    /// By window: hour, month, year.
    pub town_spent: IntGaugeVec,
    /// By window: month, year.
    pub town_envelope: IntGaugeVec,
    /// Reservations open.
    pub reservations_open: IntGauge,
    /// What they hold, nano-euros.
    pub reservations_held: IntGauge,
    /// Expired reservations.
    pub reservations_expired: IntCounter,
    /// Forgotten reservations.
    pub reservations_dropped: IntCounter,
    /// Late settlements.
    pub settlements_late: IntCounter,
    /// Calls that cost more than was held for them.
    pub ceilings_exceeded: IntCounter,
    /// By provider.
    pub catalogue_checked: IntGaugeVec,
    /// By currency.
    pub exchange_rate: IntGaugeVec,
    /// By reason.
    pub alerts_raised: IntCounterVec,
    /// By outcome.
    pub alert_deliveries: IntCounterVec,
    /// Whether the ledger takes writes.
    pub ledger_writable: IntGauge,
    /// Waiting writes.
    pub ledger_queue: IntGauge,
    /// Time of a commit, seconds.
    pub ledger_commit: Histogram,
    /// Writes per commit.
    pub ledger_batch_size: Histogram,
    /// Refused writes, by reason.
    pub ledger_writes_refused: IntCounterVec,
    /// Bytes of the ledger's files.
    pub ledger_file: IntGauge,
    /// Bytes free beside it.
    pub disk_free: IntGauge,
    /// By outcome.
    pub probe_rounds: IntCounterVec,
    /// Lag of probes.
    pub probe_lag: Histogram,
    /// By outcome: answered, failed, judged.
    pub duels: IntCounterVec,
    /// Whether new requests are taken.
    pub ready: IntGauge,
    /// By listener.
    pub connections_open: IntGaugeVec,
    /// Reloads of the terms, by outcome.
    pub terms_reloads: IntCounterVec,
    /// Whether the last one was taken.
    pub reload_successful: IntGauge,
    /// When one was taken last, seconds since 1970 (UTC).
    pub reloaded: IntGauge,
    /// By listener, seconds since 1970 (UTC).
    pub certificate_expires: IntGaugeVec,
    /// Lost log lines.
    pub log_lines_dropped: IntCounter,
    /// Lost spans.
    pub spans_dropped: IntCounter,
    /// By outcome.
    pub handovers: IntCounterVec,
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

/// Registers metrics as they are declared.
struct Declare {
    registry: Registry,
    #[cfg(test)]
    done: std::cell::RefCell<Vec<&'static str>>,
}

#[expect(
    clippy::expect_used,
    reason = "names and buckets are constants of this module: a mistake shows at the first start"
)]
impl Declare {
    fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("a valid metric");
        self.registry.register(Box::new(metric.clone())).expect("a new metric");
        metric
    }

    fn options(&self, metric: Metric) -> (Opts, Vec<&'static str>) {
        #[cfg(test)]
        self.done.borrow_mut().push(metric.name);
        (Opts::new(metric.name, metric.help), metric.labels.iter().map(|label| label.name).collect())
    }

    fn counters(&self, metric: Metric) -> IntCounterVec {
        let (options, labels) = self.options(metric);
        let counters: IntCounterVec = self.register(IntCounterVec::new(options, &labels));
        for labels in every_series(metric) {
            // A series that begins with its first event shows no rate for it.
            let _at_zero = counters.with_label_values(&labels);
        }
        counters
    }

    fn counter(&self, metric: Metric) -> IntCounter {
        self.register(IntCounter::with_opts(self.options(metric).0))
    }

    fn seconds(&self, metric: Metric) -> Counter {
        self.register(Counter::with_opts(self.options(metric).0))
    }

    fn gauges(&self, metric: Metric) -> IntGaugeVec {
        let (options, labels) = self.options(metric);
        self.register(IntGaugeVec::new(options, &labels))
    }

    fn ratios(&self, metric: Metric) -> GaugeVec {
        let (options, labels) = self.options(metric);
        self.register(GaugeVec::new(options, &labels))
    }

    fn gauge(&self, metric: Metric) -> IntGauge {
        self.register(IntGauge::with_opts(self.options(metric).0))
    }

    fn moment(&self, metric: Metric) -> Gauge {
        self.register(Gauge::with_opts(self.options(metric).0))
    }

    fn histograms(&self, metric: Metric) -> HistogramVec {
        let (common_opts, labels) = self.options(metric);
        self.register(HistogramVec::new(HistogramOpts { common_opts, buckets: bounds(metric).to_vec() }, &labels))
    }

    fn traced(&self, metric: Metric) -> TracedHistograms {
        TracedHistograms::new(self.histograms(metric), bounds(metric))
    }

    fn histogram(&self, metric: Metric) -> Histogram {
        let (common_opts, _) = self.options(metric);
        self.register(Histogram::with_opts(HistogramOpts { common_opts, buckets: bounds(metric).to_vec() }))
    }

    fn process(&self) -> ProcessMetrics {
        ProcessMetrics {
            cpu: self.seconds(names::PROCESS_CPU),
            resident: self.gauge(names::PROCESS_MEMORY),
            virtual_memory: self.gauge(names::PROCESS_VIRTUAL_MEMORY),
            open_fds: self.gauge(names::PROCESS_OPEN_FDS),
            max_fds: self.gauge(names::PROCESS_MAX_FDS),
            threads: self.gauge(names::PROCESS_THREADS),
            started: self.moment(names::PROCESS_START),
        }
    }
}

fn bounds(metric: Metric) -> &'static [f64] {
    match metric.kind {
        Kind::Histogram(buckets) => buckets.bounds,
        Kind::Counter | Kind::Gauge => &[],
    }
}

/// The label values of every series of a metric whose labels are all closed sets; nothing for the others, and for those
/// without a label.
fn every_series(metric: Metric) -> Vec<Vec<&'static str>> {
    let mut every = vec![Vec::new()];
    for label in metric.labels {
        let Values::Set(values) = label.values else { return Vec::new() };
        every = every
            .iter()
            .flat_map(|labels| values.iter().map(|value| labels.iter().copied().chain([*value]).collect()))
            .collect();
    }
    every.retain(|labels: &Vec<_>| !labels.is_empty());
    every
}

impl Metrics {
    fn new() -> Self {
        let declare = Declare {
            registry: Registry::new(),
            #[cfg(test)]
            done: std::cell::RefCell::default(),
        };
        Self::declared(&declare)
    }

    #[expect(clippy::too_many_lines, reason = "one line a metric")]
    fn declared(declare: &Declare) -> Self {
        declare.gauges(names::BUILD_INFO).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            process: declare.process(),
            scrape: Mutex::new(()),
            operation_duration: declare.traced(names::OPERATION_DURATION),
            time_to_first_chunk: declare.traced(names::TIME_TO_FIRST_CHUNK),
            overhead: declare.traced(names::OVERHEAD),
            admissions: declare.counters(names::ADMISSIONS),
            responses: declare.counters(names::RESPONSES),
            requests_open: declare.gauge(names::REQUESTS_OPEN),
            streams_open: declare.gauge(names::STREAMS_OPEN),
            attempts: declare.counters(names::ATTEMPTS),
            attempt_duration: declare.histograms(names::ATTEMPT_DURATION),
            fallbacks: declare.counters(names::FALLBACKS),
            breaker_open: declare.gauges(names::BREAKER_OPEN),
            headroom: declare.ratios(names::HEADROOM),
            clock_skew: declare.ratios(names::CLOCK_SKEW),
            drains: declare.counters(names::DRAINS),
            drains_open: declare.gauge(names::DRAINS_OPEN),
            retires: declare.gauges(names::RETIRES),
            input_tokens: declare.counters(names::INPUT_TOKENS),
            output_tokens: declare.counters(names::OUTPUT_TOKENS),
            cached_input_tokens: declare.counters(names::CACHED_INPUT_TOKENS),
            reasoning_tokens: declare.counters(names::REASONING_TOKENS),
            cost: declare.counters(names::COST),
            unknown_cost: declare.counters(names::UNKNOWN_COST),
            town_spent: declare.gauges(names::TOWN_SPENT),
            town_envelope: declare.gauges(names::TOWN_ENVELOPE),
            reservations_open: declare.gauge(names::RESERVATIONS_OPEN),
            reservations_held: declare.gauge(names::RESERVATIONS_HELD),
            reservations_expired: declare.counter(names::RESERVATIONS_EXPIRED),
            reservations_dropped: declare.counter(names::RESERVATIONS_DROPPED),
            settlements_late: declare.counter(names::SETTLED_LATE),
            ceilings_exceeded: declare.counter(names::CEILINGS_EXCEEDED),
            catalogue_checked: declare.gauges(names::CATALOGUE_CHECKED),
            exchange_rate: declare.gauges(names::EXCHANGE_RATE),
            alerts_raised: declare.counters(names::ALERTS_RAISED),
            alert_deliveries: declare.counters(names::ALERT_DELIVERIES),
            ledger_writable: declare.gauge(names::LEDGER_WRITABLE),
            ledger_queue: declare.gauge(names::LEDGER_QUEUE),
            ledger_commit: declare.histogram(names::LEDGER_COMMIT),
            ledger_batch_size: declare.histogram(names::LEDGER_BATCH),
            ledger_writes_refused: declare.counters(names::LEDGER_REFUSED),
            ledger_file: declare.gauge(names::LEDGER_FILE),
            disk_free: declare.gauge(names::DISK_FREE),
            probe_rounds: declare.counters(names::PROBE_ROUNDS),
            probe_lag: declare.histogram(names::PROBE_LAG),
            duels: declare.counters(names::DUELS),
            ready: declare.gauge(names::READY),
            connections_open: declare.gauges(names::CONNECTIONS_OPEN),
            terms_reloads: declare.counters(names::TERMS_RELOADS),
            reload_successful: declare.gauge(names::RELOAD_SUCCESSFUL),
            reloaded: declare.gauge(names::RELOADED),
            certificate_expires: declare.gauges(names::CERTIFICATE_EXPIRES),
            log_lines_dropped: declare.counter(names::LOG_LINES_DROPPED),
            spans_dropped: declare.counter(names::SPANS_DROPPED),
            handovers: declare.counters(names::HANDOVERS),
            tls_handshakes: declare.counters(names::TLS_HANDSHAKES),
            keys_refused: declare.counters(names::KEYS_REFUSED),
            registry: declare.registry.clone(),
        }
    }

    /// All metrics in that format, after `set` has brought those up to date that are read when somebody asks. Blocks on
    /// files.
    pub fn scrape(&self, format: Format, set: impl FnOnce(&Self)) -> String {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.process.look();
        set(self);
        self.render(format)
    }

    /// All metrics in that format, as they are.
    pub fn render(&self, format: Format) -> String {
        // Before the counts: what an exemplar points at is then counted.
        let exemplars = match format {
            Format::OpenMetrics => self.exemplars(),
            Format::Text => Exemplars::new(),
        };
        let families = self.registry.gather();
        let written = match format {
            Format::Text => {
                let mut out = Vec::new();
                let encoded = TextEncoder::new().encode(&families, &mut out);
                encoded.map(|()| String::from_utf8_lossy(&out).into_owned()).map_err(|error| error.to_string())
            }
            Format::OpenMetrics => openmetrics::encode(&families, &exemplars, unit).map_err(|error| error.to_string()),
        };
        written.unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }

    fn exemplars(&self) -> Exemplars {
        let traced = [
            (names::OPERATION_DURATION, &self.operation_duration),
            (names::TIME_TO_FIRST_CHUNK, &self.time_to_first_chunk),
            (names::OVERHEAD, &self.overhead),
        ];
        let of = |(metric, histograms): (Metric, &TracedHistograms)| {
            histograms.exemplars().into_iter().map(move |(values, kept)| {
                let mut pairs: Vec<_> = metric.labels.iter().map(|label| label.name).zip(values.iter()).collect();
                // As the registry orders them.
                pairs.sort_unstable();
                let labels = openmetrics::labels(pairs.into_iter().map(|(name, value)| (name, &**value)));
                ((metric.name.to_owned(), labels), kept)
            })
        };
        traced.into_iter().flat_map(of).collect()
    }
}

fn unit(name: &str) -> Option<&'static str> {
    names::ALL.iter().find(|metric| metric.name == name).and_then(Metric::unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_declared_is_registered_once_and_nothing_else() {
        let declare = Declare { registry: Registry::new(), done: std::cell::RefCell::default() };
        let _metrics = Metrics::declared(&declare);
        let mut done = declare.done.take();
        let mut declared: Vec<_> = names::ALL.iter().map(|metric| metric.name).collect();
        done.sort_unstable();
        declared.sort_unstable();
        assert_eq!(done, declared);
    }

    #[test]
    fn names_follow_the_rules_of_their_kind() {
        for metric in names::ALL {
            let name = metric.name;
            assert_eq!(name.ends_with("_total"), matches!(metric.kind, Kind::Counter), "{name}");
            let reserved = ["_count", "_sum", "_bucket", "_created", "_gcount", "_gsum"];
            assert!(!reserved.iter().any(|suffix| metric.family().ends_with(suffix)), "{name}");
            assert!(metric.help.ends_with('.'), "{name}: help is a sentence");
            assert!(bounds(*metric).windows(2).all(|pair| pair[0] < pair[1]), "{name}");
            let others = names::ALL.iter().filter(|other| other.family() == metric.family());
            assert_eq!(others.count(), 1, "{name}: OpenMetrics has one family of that name");
        }
    }

    #[test]
    fn closed_sets_are_there_from_the_start() {
        let metrics = Metrics::new();
        let text = metrics.render(Format::Text);
        assert!(text.contains("passerelle_handovers_total{outcome=\"taken_back\"} 0"));
        assert!(text.contains("passerelle_ledger_writes_refused_total{reason=\"disk_full\"} 0"));
        assert!(!text.contains("passerelle_provider_headroom_ratio{"), "what nobody said is absent");
    }
}
