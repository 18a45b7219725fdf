//! Every metric and label name, in one place.
//!
//! OpenTelemetry GenAI names (semantic-conventions-genai, status Development, as of November 2026) with dots as
//! underscores and the unit at the end; what has no convention is under our own prefix.

/// Duration of a call as the resident sees it.
pub const OPERATION_DURATION: &str = "gen_ai_client_operation_duration_seconds";
/// From receipt to the first chunk with content.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai_client_operation_time_to_first_chunk_seconds";
/// Billed input tokens, cached ones included.
pub const INPUT_TOKENS: &str = "gen_ai_client_inference_usage_input_tokens_total";
/// Billed output tokens, reasoning included.
pub const OUTPUT_TOKENS: &str = "gen_ai_client_inference_usage_output_tokens_total";
/// Input tokens read from the vendor's cache.
pub const CACHED_INPUT_TOKENS: &str = "gen_ai_client_inference_usage_cache_read_input_tokens_total";
/// Reasoning tokens.
pub const REASONING_TOKENS: &str = "gen_ai_client_inference_usage_reasoning_output_tokens_total";
/// Exact cost in nano-euros.
pub const COST: &str = "passerelle_cost_euro_nanos_total";
/// Answers whose cost is not known.
pub const UNKNOWN_COST: &str = "passerelle_cost_unknown_total";
/// Time spent in the gateway before the vendor is called.
pub const OVERHEAD: &str = "passerelle_overhead_seconds";
/// Admission decisions.
pub const ADMISSIONS: &str = "passerelle_admissions_total";
/// Attempts at vendors by outcome.
pub const ATTEMPTS: &str = "passerelle_attempts_total";
/// Requests open now.
pub const REQUESTS_OPEN: &str = "passerelle_requests_open";
/// HTTP responses by route and status.
pub const RESPONSES: &str = "passerelle_http_responses_total";
/// Streams drained after their client left.
pub const DRAINS: &str = "passerelle_drains_total";
/// Reservations open now.
pub const RESERVATIONS_OPEN: &str = "passerelle_reservations_open";
/// Reservations settled as unknown at the end of their lease.
pub const RESERVATIONS_EXPIRED: &str = "passerelle_reservations_expired_total";
/// Reservations dropped without being settled: an alarm, must stay zero.
pub const RESERVATIONS_DROPPED: &str = "passerelle_reservations_dropped_total";
/// Commands waiting for the ledger's writer.
pub const LEDGER_QUEUE: &str = "passerelle_ledger_queue_depth";
/// Writes in one commit.
pub const LEDGER_BATCH: &str = "passerelle_ledger_batch_size";
/// Writes that the ledger did not take.
pub const LEDGER_REFUSED: &str = "passerelle_ledger_writes_refused_total";
/// Settlements that found their reservation already resolved.
pub const SETTLED_LATE: &str = "passerelle_settlements_late_total";

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
/// Matched route, never the raw path.
pub const ROUTE: &str = "http_route";
/// HTTP status.
pub const STATUS: &str = "http_response_status_code";
