//! What an operator decided: files and environment, read as they are written, checked into [`Config`].
//!
//! A [`Config`] is true: amounts and durations are typed, names resolve, secrets are there. Every mistake is reported
//! at once, with the path of its key. It must not open listeners, stores or connections.

mod check;
mod comparison;
mod edge;
mod environment;
mod load;
mod raw;
mod secrets;
mod settings;
mod show;
mod source;
mod tls;
mod traces;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use providers::ProviderId;
use providers::catalogue::Catalogue;
use providers::exchange::ExchangeRates;
use providers::money::format_nanos;
use providers::transport::TransportSettings;
use secrecy::SecretString;

pub use comparison::{ComparisonConfig, EvaluationPeriod, Yardsticks};
pub use environment::Environment;
pub use load::{ConfigError, Loaded, load};
pub use settings::{Resetting, Settings};
pub use show::{has_secrets, show};
pub use source::{Source, SourceFile};
pub use tls::{CertificatePair, TlsConfig};

use crate::ledger::SqliteSettings;
use crate::quota::{Allowance, Calendar, Envelope, Rate, WrongKeyRate};
use crate::telemetry::{LogFormat, TraceSettings};

/// The defaults, also the manual of every key.
pub const DEFAULT_TOML: &str = include_str!("../config/default.toml");
/// The reference rates that ship with the program.
pub const EXCHANGE_RATES_TOML: &str = include_str!("../config/exchange-rates.toml");

/// Where questions may be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Residency {
    /// Any configured host.
    Any,
    /// Only hosts that promise the European Union.
    Eu,
}

impl Residency {
    /// Whether a host of that region may be called.
    pub fn allows(self, region: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Eu => region == "eu",
        }
    }

    /// The stricter of two rules.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Eu || other == Self::Eu { Self::Eu } else { Self::Any }
    }
}

/// Bounds of the connections of one listener.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Connections open at the same time.
    pub max: usize,
    /// How long a new one may take until the head of its first request is there.
    pub header_read: Duration,
    /// How long a client may take to send its request.
    pub request_read: Duration,
    /// How long one may stand still afterwards: between requests, within a body, or with an answer unread.
    pub idle: Duration,
}

/// Addresses and bounds of the listeners.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Residents.
    pub public: SocketAddr,
    /// The mairie.
    pub mairie: SocketAddr,
    /// Operators.
    pub ops: SocketAddr,
    /// Longest body, in bytes.
    pub max_body_bytes: usize,
    /// Longest sum of long bodies in hand, in bytes.
    pub max_bodies_bytes: usize,
    /// Origins of web pages that may call the residents' endpoint.
    pub cors_origins: Vec<String>,
    /// Bounds of each listener's connections.
    pub connections: ConnectionConfig,
    /// Requests at the same time.
    pub max_requests: usize,
    /// Longest recording, in bytes.
    pub max_upload_bytes: u64,
    /// Recordings received and sent on at the same time.
    pub max_uploads: usize,
    /// How long a client may take to send a recording.
    pub upload_read: Duration,
    /// How long a stream may be silent before a comment keeps it alive.
    pub keep_alive: Duration,
    /// How long a stop waits.
    pub shutdown: Duration,
    /// Proxies whose word on who asks is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether files are read again when they change.
    pub watch_files: bool,
    /// Certificates.
    pub tls: TlsConfig,
}

/// A vendor that may be called.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Name.
    pub id: ProviderId,
    /// The vendor's key.
    pub api_key: SecretString,
    /// The vendor's project or workspace, by the operator's name for it.
    pub account: Option<String>,
    /// Hosts that may be called, in order of preference.
    pub hosts: Vec<String>,
    /// Whether it is told of the trace that a question belongs to.
    pub trace_context: bool,
}

/// One target of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// Qualified or plain model id.
    pub model: String,
    /// Share of conversations, against the sum of weights.
    pub weight: u32,
}

/// A model name of the town's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// Its targets.
    pub targets: Vec<TargetConfig>,
    /// Where questions may be processed.
    pub hosts: Residency,
    /// Whether another target takes over when the drawn one fails.
    pub fallback: bool,
    /// Length of the blocks of time that the vendor is drawn for; absent where it is drawn for each conversation.
    pub switchback: Option<Duration>,
}

/// What one resident may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name.
    pub name: String,
    /// What accumulates.
    pub allowance: Allowance,
    /// How often and how many at once.
    pub rate: Rate,
    /// Longest answer, in tokens.
    pub max_output_tokens: u64,
    /// Calls of tools that run at the vendor (searches of the web) that one question may make.
    pub tool_calls_per_question: u64,
    /// Where questions may be processed.
    pub hosts: Residency,
    /// Models and routes allowed; empty means all.
    pub models: Vec<String>,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Taken apart by name, so that a key added to plans cannot be forgotten in the log of changes.
        let Self { name: _, allowance, rate, max_output_tokens, tool_calls_per_question, hosts, models } = self;
        let Allowance { questions_per_day, tokens_per_day, euro_nanos_per_month } = allowance;
        let Rate { requests_per_minute, burst, simultaneous } = rate;
        let euros = format_nanos(*euro_nanos_per_month);
        let models = if models.is_empty() { "all".to_owned() } else { models.join(", ") };
        write!(
            f,
            "{requests_per_minute} requests per minute, burst {burst}, {simultaneous} at once, {questions_per_day} \
             questions and {tokens_per_day} tokens per day, {euros} EUR per month, answers up to {max_output_tokens} \
             tokens, {tool_calls_per_question} searches per question, hosts {hosts:?}, models {models}"
        )
    }
}

/// When to tell of the town's spending, and whom.
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// Shares of the envelope, in percent of it.
    pub envelope_percent: Vec<u32>,
    /// An hour is unusual above so many times the median of the same hour; zero never tells of hours.
    pub hourly_factor: u32,
    /// Nano-euros below which no hour is unusual.
    pub hourly_floor_euro_nanos: i64,
    /// How often to look.
    pub interval: Duration,
    /// Where to send, and the secret that signs, in base64.
    pub webhook: Option<WebhookConfig>,
}

/// A receiver of alerts.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Its address, which may hold a secret.
    pub url: SecretString,
    /// The secret that signs what is sent, in base64.
    pub secret: SecretString,
}

/// How vendors are called.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Deadlines, permits and breaker of each vendor.
    pub transport: TransportSettings,
    /// How long an answer is read on after its client left.
    pub drain: Duration,
    /// Answers read on at the same time.
    pub max_drains: usize,
    /// Attempts at one vendor for one question.
    pub max_attempts: u32,
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it comes from.
    pub source: Source,
    /// Listeners.
    pub server: ServerConfig,
    /// How many wrong keys may come from one address; absent where they are not counted.
    pub wrong_keys: Option<WrongKeyRate>,
    /// The mairie's token; absent means that its listener refuses everybody.
    pub mairie_token: Option<SecretString>,
    /// The ledger's file.
    pub ledger: SqliteSettings,
    /// How long a hold lasts.
    pub lease: Duration,
    /// How often expired holds are looked for.
    pub sweep: Duration,
    /// The instance's secret.
    pub secret_file: PathBuf,
    /// Euro rates.
    pub exchange_rates: Arc<ExchangeRates>,
    /// Calendar of the town.
    pub calendar: Calendar,
    /// The town's limits.
    pub envelope: Envelope,
    /// When to tell of spending, and whom.
    pub alerts: AlertConfig,
    /// Vendors' transport.
    pub upstream: UpstreamConfig,
    /// Models, hosts and prices of the enabled vendors.
    pub catalogue: Arc<Catalogue>,
    /// Enabled vendors.
    pub providers: Vec<ProviderConfig>,
    /// Routes by name.
    pub routes: BTreeMap<String, RouteConfig>,
    /// Plans by name.
    pub plans: BTreeMap<String, Arc<Plan>>,
    /// How vendors are compared.
    pub comparison: Arc<ComparisonConfig>,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Level of log lines.
    pub log_level: String,
    /// Where traces go; absent where none are made.
    pub traces: Option<TraceSettings>,
}
