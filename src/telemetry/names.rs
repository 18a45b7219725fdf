//! Every metric and label name, in one place.
//!
//! OpenTelemetry GenAI names (semantic-conventions-genai, status Development, as of November 2026) with dots as
//! underscores and the unit at the end; what has no convention is under our own prefix.

/// A metric's name and what it says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name on `/metrics`.
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
}

/// Duration of a call as the resident sees it.
pub const OPERATION_DURATION: Metric =
    Metric { name: "gen_ai_client_operation_duration_seconds", help: "Duration of a call as the resident sees it." };
/// From receipt to the first chunk with content.
pub const TIME_TO_FIRST_CHUNK: Metric = Metric {
    name: "gen_ai_client_operation_time_to_first_chunk_seconds",
    help: "From receipt to the first chunk with content.",
};
/// Billed input tokens, cached ones included.
pub const INPUT_TOKENS: Metric = Metric {
    name: "gen_ai_client_inference_usage_input_tokens_total",
    help: "Billed input tokens, cached ones included.",
};
/// Billed output tokens, reasoning included.
pub const OUTPUT_TOKENS: Metric = Metric {
    name: "gen_ai_client_inference_usage_output_tokens_total",
    help: "Billed output tokens, reasoning included.",
};
/// Input tokens read from the vendor's cache.
pub const CACHED_INPUT_TOKENS: Metric = Metric {
    name: "gen_ai_client_inference_usage_cache_read_input_tokens_total",
    help: "Input tokens read from the vendor's cache.",
};
/// Reasoning tokens.
pub const REASONING_TOKENS: Metric =
    Metric { name: "gen_ai_client_inference_usage_reasoning_output_tokens_total", help: "Reasoning tokens." };
/// Exact cost in nano-euros.
pub const COST: Metric = Metric { name: "passerelle_cost_euro_nanos_total", help: "Exact cost in nano-euros." };
/// Answers whose cost is not known.
pub const UNKNOWN_COST: Metric =
    Metric { name: "passerelle_cost_unknown_total", help: "Answers whose cost is not known." };
/// Time spent in the gateway before the vendor is called.
pub const OVERHEAD: Metric =
    Metric { name: "passerelle_overhead_seconds", help: "Time spent in the gateway before the vendor is called." };
/// Admission decisions.
pub const ADMISSIONS: Metric = Metric { name: "passerelle_admissions_total", help: "Admission decisions." };
/// Attempts at vendors by outcome.
pub const ATTEMPTS: Metric = Metric { name: "passerelle_attempts_total", help: "Attempts at vendors by outcome." };
/// Requests open now.
pub const REQUESTS_OPEN: Metric = Metric { name: "passerelle_requests_open", help: "Requests open now." };
/// HTTP responses by route and status.
pub const RESPONSES: Metric =
    Metric { name: "passerelle_http_responses_total", help: "HTTP responses by route and status." };
/// Streams drained after their client left.
pub const DRAINS: Metric = Metric { name: "passerelle_drains_total", help: "Streams drained after their client left." };
/// Reservations open now.
pub const RESERVATIONS_OPEN: Metric = Metric { name: "passerelle_reservations_open", help: "Reservations open now." };
/// Reservations settled as unknown at the end of their lease.
pub const RESERVATIONS_EXPIRED: Metric = Metric {
    name: "passerelle_reservations_expired_total",
    help: "Reservations settled as unknown at the end of their lease.",
};
/// Reservations dropped without being settled: an alarm, must stay zero.
pub const RESERVATIONS_DROPPED: Metric = Metric {
    name: "passerelle_reservations_dropped_total",
    help: "Reservations dropped without being settled: an alarm, must stay zero.",
};
/// Commands waiting for the ledger's writer.
pub const LEDGER_QUEUE: Metric =
    Metric { name: "passerelle_ledger_queue_depth", help: "Commands waiting for the ledger's writer." };
/// Writes in one commit.
pub const LEDGER_BATCH: Metric = Metric { name: "passerelle_ledger_batch_size", help: "Writes in one commit." };
/// Writes that the ledger did not take.
pub const LEDGER_REFUSED: Metric =
    Metric { name: "passerelle_ledger_writes_refused_total", help: "Writes that the ledger did not take." };
/// Settlements that found their reservation already resolved.
pub const SETTLED_LATE: Metric = Metric {
    name: "passerelle_settlements_late_total",
    help: "Settlements that found their reservation already resolved.",
};
/// Calls that cost more than was held for them: an alarm, must stay zero.
pub const CEILINGS_EXCEEDED: Metric = Metric {
    name: "passerelle_ceilings_exceeded_total",
    help: "Calls that cost more than was held for them: an alarm, must stay zero.",
};
/// Times that prices, plans and the envelope were read again while serving.
pub const TERMS_RELOADS: Metric = Metric {
    name: "passerelle_terms_reloads_total",
    help: "Times that prices, plans and the envelope were read again while serving.",
};
/// Nano-euros that the town has spent, settled, in the current hour, month and year.
pub const TOWN_SPENT: Metric = Metric {
    name: "passerelle_town_spent_euro_nanos",
    help: "Nano-euros that the town has spent, settled, in the current hour, month and year.",
};
/// Nano-euros of the town's envelope.
pub const TOWN_ENVELOPE: Metric =
    Metric { name: "passerelle_town_envelope_euro_nanos", help: "Nano-euros of the town's envelope." };
/// Alerts raised, each once a window.
pub const ALERTS_RAISED: Metric =
    Metric { name: "passerelle_alerts_raised_total", help: "Alerts raised, each once a window." };
/// Attempts to deliver an alert to the webhook.
pub const ALERT_DELIVERIES: Metric =
    Metric { name: "passerelle_alert_deliveries_total", help: "Attempts to deliver an alert to the webhook." };
/// Rounds of probes by outcome: completed, incomplete, missed.
pub const PROBE_ROUNDS: Metric = Metric {
    name: "passerelle_probe_rounds_total",
    help: "Rounds of probes by outcome: completed, incomplete, missed.",
};
/// How much later than intended probes started.
pub const PROBE_LAG: Metric =
    Metric { name: "passerelle_probe_lag_seconds", help: "How much later than intended probes started." };

/// Blind duels: both answers there, failed, judged.
pub const DUELS: Metric =
    Metric { name: "passerelle_duels_total", help: "Blind duels by outcome: answered (both whole), failed, judged." };

/// 1 when the configuration was read without a mistake the last time, 0 when a former one stayed in force.
pub const CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = Metric {
    name: "passerelle_config_last_reload_successful",
    help: "1 when the configuration was read without a mistake the last time, 0 when a former one stayed in force.",
};
/// When the configuration in force was read, in seconds since 1970.
pub const CONFIG_LAST_RELOAD_SUCCESS: Metric = Metric {
    name: "passerelle_config_last_reload_success_timestamp_seconds",
    help: "When the configuration in force was read, in seconds since 1970.",
};
/// When the certificate of a listener expires, in seconds since 1970; absent without TLS.
pub const CERTIFICATE_EXPIRES: Metric = Metric {
    name: "passerelle_certificate_expires_timestamp_seconds",
    help: "When the certificate of a listener expires, in seconds since 1970; absent without TLS.",
};
/// TLS handshakes by outcome: completed, failed, timeout, plain_http.
pub const TLS_HANDSHAKES: Metric = Metric {
    name: "passerelle_tls_handshakes_total",
    help: "TLS handshakes by outcome: completed, failed, timeout, plain_http.",
};
/// Keys and tokens refused: wrong, or not looked at (too_many_wrong) after too many wrong ones from the same address.
pub const KEYS_REFUSED: Metric = Metric {
    name: "passerelle_keys_refused_total",
    help: "Keys and tokens refused: wrong, or not looked at (too_many_wrong) after too many wrong ones from the same address.",
};

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
/// Which of the three: public, mairie or ops.
pub const LISTENER: &str = "listener";
