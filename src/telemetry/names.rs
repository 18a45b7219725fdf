//! Every metric and label, in one place: name, kind, unit, labels, buckets, help. What `/metrics` serves is registered
//! from here, and `deploy/doc/metrics.md` is made of it (`passerelle metrics --format markdown`).
//!
//! OpenTelemetry GenAI names (semantic-conventions-genai, status Development, as of November 2026) with dots as
//! underscores and the unit at the end; what has no convention is under our own prefix. It must not know who counts.

use super::declared::{Buckets, Label, Metric, Theme, Values};

/// Kind of call.
pub const OPERATION: &str = "gen_ai_operation_name";
/// Vendor.
pub const PROVIDER: &str = "gen_ai_provider_name";
/// Model asked for, from the catalogue.
pub const REQUEST_MODEL: &str = "gen_ai_request_model";
/// What went wrong, from a closed set; empty when nothing did.
pub const ERROR_TYPE: &str = "error_type";
/// How it ended.
pub const OUTCOME: &str = "outcome";
/// Why, from a closed set.
pub const REASON: &str = "reason";
/// Calendar window: hour, month or year.
pub const WINDOW: &str = "window";
/// Matched route, never the raw path.
pub const ROUTE: &str = "http_route";
/// HTTP status.
pub const STATUS: &str = "http_response_status_code";
/// One of the three listeners.
pub const LISTENER: &str = "listener";
/// What a vendor limits.
pub const RESOURCE: &str = "resource";
/// A currency by its code.
pub const CURRENCY: &str = "currency";
/// A version of this program.
pub const VERSION: &str = "version";

const fn set(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Set(values) }
}

const fn from(name: &'static str, source: &'static str) -> Label {
    Label { name, values: Values::From(source) }
}

const BY_OPERATION: Label = set(OPERATION, &["chat", "embeddings", "moderation", "transcription"]);
const BY_PROVIDER: Label = from(PROVIDER, "a vendor of the configuration");
const BY_MODEL: Label =
    from(REQUEST_MODEL, "a model of the catalogue, by its own id, whatever alias or route was asked");
const BY_ENDING: Label = set(OUTCOME, &["completed", "interrupted", "rejected", "unknown"]);
#[rustfmt::skip]
const BY_ERROR: Label = set(ERROR_TYPE, &[
    "", "connect", "busy", "circuit_open", "first_byte_timeout", "idle_timeout", "total_timeout", "rate_limited",
    "quota_exhausted", "auth", "invalid_request", "context_length", "model_not_found", "overloaded", "server",
    "protocol", "cut", "drain_bound", "drain_refused", "usage_missing", "tier_unpriced", "tool_unpriced",
    "cost_overflow",
]);
#[rustfmt::skip]
const BY_DECISION: Label = set(REASON, &[
    "admitted", "invalid_request", "model_not_found", "unpriced", "outside_region", "requests_per_minute",
    "simultaneous_requests", "questions_per_day", "tokens_per_day", "euros_per_month", "town_euros_per_month",
    "town_euros_per_year", "stopped", "revoked", "store_unavailable", "shutting_down",
]);
const BY_TROUBLE: Label =
    set(REASON, &["queue_full", "closed", "disk_full", "locked", "read_only", "corrupt", "io", "other"]);
const BY_LISTENER: Label = set(LISTENER, &["public", "mairie", "ops"]);
const BY_ROUTE: Label = from(ROUTE, "a route of this program as it is written in it, or `none` where none matched");
const BY_STATUS: Label = from(STATUS, "a status that this program answers with");
const BY_RELOAD: Label = set(OUTCOME, &["completed", "refused"]);

/// OpenTelemetry's for `gen_ai.client.operation.duration`.
const DURATIONS: Buckets = Buckets {
    bounds: &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    why: "OpenTelemetry's for `gen_ai.client.operation.duration`: each twice the one before, so that boards made for other \
          gateways fit, and a quantile is wrong by less than a factor of two.",
};
/// From 50 µs to 250 ms.
const OVERHEADS: Buckets = Buckets {
    bounds: &[
        0.000_05, 0.000_1, 0.000_15, 0.000_2, 0.000_3, 0.000_5, 0.000_75, 0.001, 0.001_5, 0.002, 0.003, 0.005, 0.01,
        0.025, 0.05, 0.1, 0.25,
    ],
    why: "50 µs to 250 ms, dense where the gateway is on a good day (a hold that shares its commit) and on a slow disk; \
          beyond, something is wrong and how much matters less.",
};
const LAGS: Buckets = Buckets {
    bounds: &[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    why: "From a millisecond, the step of timers, to ten seconds, from where a probe says nothing any more.",
};
const COMMITS: Buckets = Buckets {
    bounds: &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
    why: "0.1 ms is a commit without a flush, a few ms an ordinary disk, from 0.1 s on residents notice; 2 s is how long \
          a commit waits for a lock of somebody else.",
};
const BATCHES: Buckets = Buckets {
    bounds: &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
    why: "Powers of two up to the largest batch (`ledger.batch`, 256 unless configured) and one beyond.",
};

/// Declares the metrics, and [`ALL`] of them; the help is their documentation too.
macro_rules! declare {
    ($($name:ident = $kind:ident($theme:ident, $id:expr, [$($label:expr),*], $help:literal $(, $asks:literal => $query:literal)?);)*) => {
        $(
            #[doc = $help]
            pub const $name: Metric =
                Metric::$kind(Theme::$theme, $id, &[$($label),*], $help, declare!(@example $($asks => $query)?));
        )*
        /// Every metric, in the order of their declaration.
        pub const ALL: &[Metric] = &[$($name),*];
    };
    (@example) => { None };
    (@example $asks:literal => $query:literal) => { Some(($asks, $query)) };
}

declare! {
    OPERATION_DURATION = histogram(Residents, ("gen_ai_client_operation_duration_seconds", DURATIONS),
        [BY_OPERATION, BY_PROVIDER, BY_MODEL, BY_ENDING, BY_ERROR],
        "From receipt of the whole request to the last content, by the attempt that answered.",
        "95 % of answers are whole after" =>
        "histogram_quantile(0.95, sum by (le) (rate(gen_ai_client_operation_duration_seconds_bucket{outcome=\"completed\"}[5m])))");
    TIME_TO_FIRST_CHUNK = histogram(Residents, ("gen_ai_client_operation_time_to_first_chunk_seconds", DURATIONS),
        [BY_OPERATION, BY_PROVIDER, BY_MODEL], "From receipt of the whole request to the first chunk with content.",
        "share of answers that begin within 2.56 s" =>
        "sum(rate(gen_ai_client_operation_time_to_first_chunk_seconds_bucket{le=\"2.56\"}[1h])) / sum(rate(gen_ai_client_operation_time_to_first_chunk_seconds_count[1h]))");
    ADMISSIONS = counter(Residents, "passerelle_admissions_total", [BY_DECISION],
        "Decisions on requests: let in, or refused before a vendor heard of them, by reason.",
        "refusals a second by reason" => "sum by (reason) (rate(passerelle_admissions_total{reason!=\"admitted\"}[5m]))");
    RESPONSES = counter(Residents, "passerelle_http_responses_total", [BY_ROUTE, BY_STATUS],
        "Heads of HTTP responses of all listeners.",
        "share of questions answered with 5xx" =>
        "sum(rate(passerelle_http_responses_total{http_route=~\"/v1/.*\",http_response_status_code=~\"5..\"}[5m])) / sum(rate(passerelle_http_responses_total{http_route=~\"/v1/.*\"}[5m]))");
    REQUESTS_OPEN = gauge(Residents, "passerelle_requests_open", [], "Requests open now, until the last byte of their answer.");
    STREAMS_OPEN = gauge(Residents, "passerelle_streams_open", [], "Event streams that are being sent to clients now.");
    OVERHEAD = histogram(Residents, ("passerelle_overhead_seconds", OVERHEADS), [],
        "Time spent in the gateway, from receipt of the whole request until the vendor is called; the hold's commit is part of it.",
        "99 % of calls wait for the gateway less than" =>
        "histogram_quantile(0.99, sum by (le) (rate(passerelle_overhead_seconds_bucket[5m])))");

    ATTEMPTS = counter(Vendors, "passerelle_attempts_total", [BY_PROVIDER, BY_ENDING, BY_ERROR],
        "Attempts at vendors by how they ended; a refused key is `auth`.",
        "vendors that refuse our key" =>
        "sum by (gen_ai_provider_name) (increase(passerelle_attempts_total{error_type=\"auth\"}[10m])) > 0");
    ATTEMPT_DURATION = histogram(Vendors, ("passerelle_attempt_duration_seconds", DURATIONS), [BY_PROVIDER, BY_ENDING],
        "One attempt at a vendor, from the call to its end, a drain included; without those that were never sent (`busy`, `circuit_open`).",
        "median attempt by vendor" =>
        "histogram_quantile(0.5, sum by (gen_ai_provider_name, le) (rate(passerelle_attempt_duration_seconds_bucket[5m])))");
    FALLBACKS = counter(Vendors, "passerelle_fallbacks_total", [BY_PROVIDER],
        "Calls that another vendor took over, by the vendor that failed.",
        "calls a minute that others take over" => "60 * sum by (gen_ai_provider_name) (rate(passerelle_fallbacks_total[5m]))");
    BREAKER_OPEN = gauge(Vendors, "passerelle_breaker_open", [BY_PROVIDER],
        "1 from the failure after which a vendor is left alone until a call to it succeeds, otherwise 0.",
        "vendors that are down" => "passerelle_breaker_open == 1");
    HEADROOM = gauge(Vendors, "passerelle_provider_headroom_ratio", [BY_PROVIDER, set(RESOURCE, &["requests", "tokens"])],
        "What is left of the account's rate limit, as the vendor's last answer said; absent until one did.",
        "vendors that will soon refuse" => "min by (gen_ai_provider_name, resource) (passerelle_provider_headroom_ratio) < 0.1");
    CLOCK_SKEW = gauge(Vendors, "passerelle_provider_clock_skew_seconds", [BY_PROVIDER],
        "The vendor's clock (the Date of its last answer, which has whole seconds) minus ours: positive when ours is behind, between -1 and 0 when they agree.",
        "our clock is wrong" => "min(abs(passerelle_provider_clock_skew_seconds)) > 5");
    DRAINS = counter(Vendors, "passerelle_drains_total", [set(OUTCOME, &["completed", "failed", "bound", "refused"])],
        "Streams read on for their usage after their client had left; `refused`: too many were already.");
    DRAINS_OPEN = gauge(Vendors, "passerelle_drains_open", [], "Streams that are being read on now.");
    RETIRES = gauge(Vendors, "passerelle_model_retires_timestamp_seconds", [BY_PROVIDER, BY_MODEL],
        "When a model that routes lead to, or that is compared, is switched off by its vendor; absent where no date is known.",
        "models that are gone within 30 days" => "passerelle_model_retires_timestamp_seconds - time() < 30 * 86400");

    INPUT_TOKENS = counter(Money, "gen_ai_client_inference_usage_input_tokens_total", [BY_PROVIDER, BY_MODEL],
        "Billed input tokens, cached ones included.");
    OUTPUT_TOKENS = counter(Money, "gen_ai_client_inference_usage_output_tokens_total", [BY_PROVIDER, BY_MODEL],
        "Billed output tokens, reasoning included.");
    CACHED_INPUT_TOKENS = counter(Money, "gen_ai_client_inference_usage_cache_read_input_tokens_total", [BY_PROVIDER, BY_MODEL],
        "Input tokens read from the vendor's cache.");
    REASONING_TOKENS = counter(Money, "gen_ai_client_inference_usage_reasoning_output_tokens_total", [BY_PROVIDER, BY_MODEL],
        "Reasoning tokens.");
    COST = counter(Money, "passerelle_cost_euro_nanos_total", [BY_PROVIDER, BY_MODEL],
        "Exact cost of answers whose cost is known.",
        "euros an hour by vendor" =>
        "3600 * sum by (gen_ai_provider_name) (rate(passerelle_cost_euro_nanos_total[1h])) / 1e9");
    UNKNOWN_COST = counter(Money, "passerelle_cost_unknown_total", [BY_PROVIDER, BY_MODEL],
        "Attempts whose cost is not known; their ceiling is charged.");
    TOWN_SPENT = gauge(Money, "passerelle_town_spent_euro_nanos", [set(WINDOW, &["hour", "month", "year"])],
        "What the town has spent, settled, in the current hour, month and year.",
        "share of the month's envelope that is spent" =>
        "passerelle_town_spent_euro_nanos{window=\"month\"} / passerelle_town_envelope_euro_nanos{window=\"month\"}");
    TOWN_ENVELOPE = gauge(Money, "passerelle_town_envelope_euro_nanos", [set(WINDOW, &["month", "year"])],
        "The town's envelope.");
    RESERVATIONS_OPEN = gauge(Money, "passerelle_reservations_open", [], "Reservations open at the last commit.");
    RESERVATIONS_HELD = gauge(Money, "passerelle_reservations_open_euro_nanos", [],
        "What open reservations hold together, at the last commit.",
        "euros held" => "passerelle_reservations_open_euro_nanos / 1e9");
    RESERVATIONS_EXPIRED = counter(Money, "passerelle_reservations_expired_total", [],
        "Reservations settled as unknown at the end of their lease.");
    RESERVATIONS_DROPPED = counter(Money, "passerelle_reservations_dropped_total", [],
        "Reservations dropped without being settled: an alarm, must stay zero.");
    SETTLED_LATE = counter(Money, "passerelle_settlements_late_total", [],
        "Settlements that found their reservation already resolved.");
    CEILINGS_EXCEEDED = counter(Money, "passerelle_ceilings_exceeded_total", [],
        "Calls that cost more than was held for them: an alarm, must stay zero.");
    CATALOGUE_CHECKED = gauge(Money, "passerelle_catalogue_checked_timestamp_seconds", [BY_PROVIDER],
        "The day (its beginning, UTC) on which a vendor's price list was last checked against its source.",
        "days since each price list was checked" =>
        "(time() - passerelle_catalogue_checked_timestamp_seconds) / 86400");
    EXCHANGE_RATE = gauge(Money, "passerelle_exchange_rate_timestamp_seconds", [from(CURRENCY, "a currency that a vendor bills in, other than the euro")],
        "The day (its beginning, UTC) of the newest euro rate of a currency.");
    ALERTS_RAISED = counter(Money, "passerelle_alerts_raised_total", [set(REASON, &["envelope", "hour"])],
        "Alerts on the town's spending raised, each once a window.");
    ALERT_DELIVERIES = counter(Money, "passerelle_alert_deliveries_total", [set(OUTCOME, &["completed", "failed"])],
        "Attempts to deliver an alert to the webhook.");

    LEDGER_WRITABLE = gauge(Ledger, "passerelle_ledger_writable", [],
        "1 when the ledger's last write succeeded, or the last look after one that failed; 0: questions are refused.",
        "the ledger refuses" => "passerelle_ledger_writable == 0");
    LEDGER_QUEUE = gauge(Ledger, "passerelle_ledger_queue_depth", [], "Commands waiting for the ledger's writer.");
    LEDGER_COMMIT = histogram(Ledger, ("passerelle_ledger_commit_duration_seconds", COMMITS), [],
        "One commit of the ledger's writer, from the beginning of its transaction to its end on the disk; failed ones too.",
        "slow disk" => "histogram_quantile(0.99, sum by (le) (rate(passerelle_ledger_commit_duration_seconds_bucket[5m]))) > 0.1");
    LEDGER_BATCH = histogram(Ledger, ("passerelle_ledger_batch_size", BATCHES), [], "Writes in one commit.");
    LEDGER_REFUSED = counter(Ledger, "passerelle_ledger_writes_refused_total", [BY_TROUBLE],
        "Writes that the ledger did not take, by its trouble.");
    LEDGER_FILE = gauge(Ledger, "passerelle_ledger_file_bytes", [], "The database and its write-ahead log.");
    DISK_FREE = gauge(Ledger, "passerelle_disk_free_bytes", [],
        "What a process without privileges may still write where the ledger is.",
        "full within a day" => "predict_linear(passerelle_disk_free_bytes[6h], 86400) < 0");

    PROBE_ROUNDS = counter(Comparison, "passerelle_probe_rounds_total", [set(OUTCOME, &["completed", "incomplete", "missed"])],
        "Rounds of probes by outcome.");
    PROBE_LAG = histogram(Comparison, ("passerelle_probe_lag_seconds", LAGS), [], "How much later than intended probes started.");
    DUELS = counter(Comparison, "passerelle_duels_total", [set(OUTCOME, &["answered", "failed", "judged"])],
        "Blind duels by outcome: answered (both whole), failed, judged.");

    BUILD_INFO = gauge(Gateway, "passerelle_build_info", [from(VERSION, "the version of the program that serves")], "Always 1.");
    READY = gauge(Gateway, "passerelle_ready", [], "1 when the process takes new requests, 0 when it does not.");
    CONNECTIONS_OPEN = gauge(Gateway, "passerelle_connections_open", [BY_LISTENER], "Connections open now.");
    TERMS_RELOADS = counter(Gateway, "passerelle_terms_reloads_total", [BY_RELOAD],
        "Times that prices, plans and the envelope were read again while serving.");
    RELOAD_SUCCESSFUL = gauge(Gateway, "passerelle_config_last_reload_successful", [],
        "1 when what was read last, at the start or since, is in force; 0 when it was refused and older terms stay.",
        "files on the disk are not in force" => "passerelle_config_last_reload_successful == 0");
    RELOADED = gauge(Gateway, "passerelle_config_last_reload_success_timestamp_seconds", [],
        "When terms were last put into force.");
    CERTIFICATE_EXPIRES = gauge(Gateway, "passerelle_certificate_expires_timestamp_seconds", [BY_LISTENER],
        "When the certificate of a listener expires; absent where it has none.",
        "days left" => "(passerelle_certificate_expires_timestamp_seconds - time()) / 86400");
    TLS_HANDSHAKES = counter(Gateway, "passerelle_tls_handshakes_total",
        [BY_LISTENER, set(OUTCOME, &["completed", "failed", "timeout", "plain_http"])],
        "TLS handshakes of listeners that have a certificate, by outcome.");
    KEYS_REFUSED = counter(Gateway, "passerelle_keys_refused_total", [set(REASON, &["wrong", "too_many_wrong"])],
        "Keys and tokens refused: wrong, or not looked at after too many wrong ones from the same address.");
    LOG_LINES_DROPPED = counter(Gateway, "passerelle_log_lines_dropped_total", [],
        "Log lines lost because whoever takes them was too slow.");
    SPANS_DROPPED = counter(Gateway, "passerelle_spans_dropped_total", [],
        "Spans lost because the collector was too slow or not there.");
    HANDOVERS = counter(Gateway, "passerelle_handovers_total", [set(OUTCOME, &["completed", "refused", "taken_back"])],
        "Handovers to another process of this program, by outcome.");

    PROCESS_CPU = counter(Process, "process_cpu_seconds_total", [], "User and system processor time.",
        "cores in use" => "rate(process_cpu_seconds_total[5m])");
    PROCESS_MEMORY = gauge(Process, "process_resident_memory_bytes", [], "Resident memory.");
    PROCESS_VIRTUAL_MEMORY = gauge(Process, "process_virtual_memory_bytes", [], "Virtual memory.");
    PROCESS_OPEN_FDS = gauge(Process, "process_open_fds", [], "Open file descriptors.",
        "descriptors run out" => "process_open_fds / process_max_fds > 0.8");
    PROCESS_MAX_FDS = gauge(Process, "process_max_fds", [], "File descriptors that may be open.");
    PROCESS_THREADS = gauge(Process, "process_threads", [], "Threads of the system.");
    PROCESS_START = gauge(Process, "process_start_time_seconds", [], "When the process started, seconds since 1970 (UTC).",
        "a restart within the hour" => "time() - process_start_time_seconds < 3600");
}
