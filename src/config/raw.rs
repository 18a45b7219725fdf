//! What was written, before anything is believed. One struct a section, unknown keys refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Residency;
use super::comparison::RawComparison;
use super::tls::RawTls;
use crate::ledger::Durability;
use crate::telemetry::LogFormat;

#[derive(Deserialize)]
pub(super) struct RawConfig {
    pub(super) server: RawServer,
    pub(super) mairie: RawMairie,
    pub(super) ledger: RawLedger,
    pub(super) identity: RawIdentity,
    pub(super) money: RawMoney,
    pub(super) town: RawTown,
    pub(super) alerts: RawAlerts,
    pub(super) comparison: RawComparison,
    pub(super) upstream: RawUpstream,
    pub(super) telemetry: RawTelemetry,
    pub(super) providers: BTreeMap<String, RawProvider>,
    pub(super) routes: BTreeMap<String, RawRoute>,
    pub(super) plans: BTreeMap<String, RawPlan>,
}

#[derive(Deserialize)]
pub(super) struct RawServer {
    pub(super) public: String,
    pub(super) mairie: String,
    pub(super) ops: String,
    pub(super) max_body_bytes: usize,
    pub(super) max_bodies_bytes: usize,
    pub(super) cors_origins: Vec<String>,
    pub(super) max_connections: usize,
    pub(super) header_read_seconds: u64,
    pub(super) connection_idle_seconds: u64,
    pub(super) max_requests: usize,
    pub(super) request_read_seconds: u64,
    pub(super) max_upload_bytes: u64,
    pub(super) max_uploads: usize,
    pub(super) upload_read_seconds: u64,
    pub(super) keep_alive_seconds: u64,
    pub(super) shutdown_seconds: u64,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) watch_files: bool,
    pub(super) tls: RawTls,
}

#[derive(Deserialize)]
pub(super) struct RawMairie {
    pub(super) token: String,
}

#[derive(Deserialize)]
pub(super) struct RawLedger {
    pub(super) path: String,
    pub(super) durability: Durability,
    pub(super) queue: usize,
    pub(super) batch: usize,
    pub(super) lease_seconds: u64,
    pub(super) sweep_seconds: u64,
}

#[derive(Deserialize)]
pub(super) struct RawIdentity {
    pub(super) secret_file: String,
    pub(super) wrong_keys_per_minute: u32,
    pub(super) wrong_keys_burst: u32,
}

#[derive(Deserialize)]
pub(super) struct RawMoney {
    pub(super) exchange_rates: String,
    pub(super) exchange_rate_max_age_days: u32,
}

#[derive(Deserialize)]
pub(super) struct RawTown {
    pub(super) timezone: String,
    pub(super) euros_per_month: String,
    pub(super) euros_per_year: String,
}

#[derive(Deserialize)]
pub(super) struct RawAlerts {
    pub(super) envelope_percent: Vec<u32>,
    pub(super) hourly_factor: u32,
    pub(super) hourly_floor_euros: String,
    pub(super) check_seconds: u64,
    pub(super) webhook_url: String,
    pub(super) webhook_secret: String,
}

#[derive(Deserialize)]
pub(super) struct RawUpstream {
    pub(super) connect_seconds: u64,
    pub(super) first_byte_seconds: u64,
    pub(super) idle_seconds: u64,
    pub(super) total_seconds: u64,
    pub(super) drain_seconds: u64,
    pub(super) max_drains: usize,
    pub(super) max_concurrency: usize,
    pub(super) breaker_failures: u32,
    pub(super) breaker_seconds: u64,
    pub(super) max_attempts: u32,
}

#[derive(Deserialize)]
pub(super) struct RawTelemetry {
    pub(super) log_format: LogFormat,
    pub(super) log_level: String,
    pub(super) otlp_endpoint: String,
    pub(super) otlp_headers: String,
    pub(super) trace_sample_ratio: f64,
    pub(super) service_name: String,
    pub(super) resource_attributes: String,
}

#[derive(Deserialize)]
pub(super) struct RawProvider {
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) api_key: String,
    #[serde(default)]
    pub(super) account: String,
    #[serde(default)]
    pub(super) base_url: String,
    #[serde(default)]
    pub(super) host_urls: BTreeMap<String, String>,
    pub(super) hosts: Vec<String>,
    /// Absent is what fits the vendor's dialect.
    pub(super) trace_context: Option<bool>,
    #[serde(default)]
    pub(super) catalogue: String,
}

#[derive(Deserialize)]
pub(super) struct RawRoute {
    pub(super) targets: Vec<RawTarget>,
    pub(super) hosts: Residency,
    pub(super) fallback: bool,
    /// Absent in a route of the town's own is never.
    #[serde(default)]
    pub(super) switchback_minutes: u64,
}

#[derive(Deserialize)]
pub(super) struct RawTarget {
    pub(super) model: String,
    pub(super) weight: u32,
}

#[derive(Deserialize)]
pub(super) struct RawPlan {
    pub(super) requests_per_minute: u32,
    pub(super) burst: u32,
    pub(super) simultaneous: u32,
    pub(super) questions_per_day: u64,
    pub(super) tokens_per_day: u64,
    pub(super) euros_per_month: String,
    pub(super) max_output_tokens: u64,
    /// Absent is none: what costs beside tokens is never allowed by silence.
    #[serde(default)]
    pub(super) tool_calls_per_question: u64,
    pub(super) hosts: Residency,
    pub(super) models: Vec<String>,
}
