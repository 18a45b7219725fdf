//! What was written to what is true: amounts, durations, addresses, names that must resolve, secrets that must be there.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use jiff::Timestamp;
use jiff::civil::Date;
use providers::ProviderId;
use providers::catalogue::{Catalogue, MISTRAL_TOML, OPENAI_TOML, Operation, ProviderCatalogue};
use providers::exchange::ExchangeRates;
use providers::money::parse_decimal;
use providers::transport::{BreakerSettings, Deadlines, TransportSettings};

use super::raw::{RawAlerts, RawConfig, RawMoney, RawPlan, RawProvider, RawRoute, RawServer, RawUpstream};
use super::{
    AlertConfig, Config, ConnectionConfig, EXCHANGE_RATES_TOML, Plan, ProviderConfig, RouteConfig, ServerConfig,
    Source, SourceFile, TargetConfig, UpstreamConfig, WebhookConfig, comparison, edge, tls, traces,
};
use crate::clock::Clock;
use crate::ledger::SqliteSettings;
use crate::quota::{Allowance, Calendar, Envelope, Rate};

/// How long before a model is switched off a route that uses it is warned about.
const RETIREMENT_WARNING_DAYS: i64 = 60;

/// Seconds in a minute.
const SECONDS_PER_MINUTE: u64 = 60;

/// Shortest key of a webhook's signature, in bytes (Standard Webhooks: 24 to 64).
const SHORTEST_WEBHOOK_KEY: usize = 24;

/// Collects mistakes; each check gives a usable value or nothing.
pub(super) struct Checker<'a> {
    mistakes: &'a mut Vec<String>,
    pub(super) warnings: Vec<String>,
    base: &'a Path,
    pub(super) now: Timestamp,
    pub(super) today: Date,
    /// Files that were read, besides those of secrets.
    files: Vec<SourceFile>,
}

impl Checker<'_> {
    pub(super) fn mistake(&mut self, path: &str, text: impl Display) {
        self.mistakes.push(format!("{path}: {text}"));
    }

    pub(super) fn keep<T, E: Display>(&mut self, path: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.mistake(path, error)).ok()
    }

    pub(super) fn euros(&mut self, path: &str, text: &str) -> Option<i64> {
        let nanos = self.keep(path, parse_decimal(text, 9))?;
        self.keep(path, i64::try_from(nanos).map_err(|_| "is too large"))
    }

    fn at_least_one(&mut self, path: &str, value: u32) -> Option<NonZeroU32> {
        self.keep(path, NonZeroU32::new(value).ok_or("must be at least 1"))
    }

    fn positive(&mut self, path: &str, seconds: u64) -> Duration {
        if seconds == 0 {
            self.mistake(path, "must be at least 1 second");
        }
        Duration::from_secs(seconds)
    }

    /// A day so near that what ends by then deserves a warning.
    fn soon(&self) -> Date {
        self.today.checked_add(jiff::Span::new().days(RETIREMENT_WARNING_DAYS)).unwrap_or(Date::MAX)
    }

    /// Paths in a file are relative to that file's folder.
    fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    /// A file that is read now, and watched from then on.
    pub(super) fn file(&mut self, text: &str) -> PathBuf {
        let file = self.path(text);
        self.files.push(SourceFile::now(file.clone()));
        file
    }

    fn read_file(&mut self, path: &str, text: &str) -> Option<String> {
        let file = self.file(text);
        self.keep(path, std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display())))
    }
}

pub(super) fn check(
    raw: RawConfig,
    base: &Path,
    mut source: Source,
    mistakes: &mut Vec<String>,
) -> Option<(Config, Vec<String>)> {
    let now = Clock::system().now();
    let today = now.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let mut checker = Checker { mistakes, warnings: Vec::new(), base, now, today, files: Vec::new() };
    let server = server(&mut checker, &raw.server);
    let exchange_rates = exchange_rates(&mut checker, &raw.money);
    let calendar = checker.keep("town.timezone", Calendar::new(&raw.town.timezone));
    let month = checker.euros("town.euros_per_month", &raw.town.euros_per_month);
    let year = checker.euros("town.euros_per_year", &raw.town.euros_per_year);
    let alerts = alerts(&mut checker, raw.alerts);
    let upstream = upstream(&mut checker, &raw.upstream);
    let (providers, catalogue) = check_providers(&mut checker, raw.providers);
    let routes = routes(&mut checker, raw.routes, &catalogue);
    let plans = plans(&mut checker, raw.plans, &routes, &catalogue);
    let traces = traces::check(&mut checker, &raw.telemetry);
    let comparison = comparison::check(&mut checker, &raw.comparison, &routes, &plans, &catalogue);
    if raw.ledger.lease_seconds <= raw.upstream.total_seconds + raw.upstream.drain_seconds {
        checker.mistake("ledger.lease_seconds", "must be longer than upstream.total_seconds + upstream.drain_seconds");
    }
    if raw.ledger.queue == 0 || raw.ledger.batch == 0 {
        checker.mistake("ledger", "queue and batch must be at least 1");
    }
    let lease = checker.positive("ledger.lease_seconds", raw.ledger.lease_seconds);
    let sweep = checker.positive("ledger.sweep_seconds", raw.ledger.sweep_seconds);
    let ledger = SqliteSettings {
        path: checker.path(&raw.ledger.path),
        durability: raw.ledger.durability,
        queue: raw.ledger.queue,
        batch: raw.ledger.batch,
    };
    let secret_file = checker.path(&raw.identity.secret_file);
    let wrong_keys = edge::wrong_keys(&raw.identity);
    let token = raw.mairie.token;
    source.files.append(&mut checker.files);
    let config = Config {
        source,
        server: server?,
        wrong_keys,
        mairie_token: (!token.is_empty()).then(|| token.into()),
        ledger,
        lease,
        sweep,
        secret_file,
        exchange_rates: exchange_rates?,
        calendar: calendar?,
        envelope: Envelope { euro_nanos_per_month: month?, euro_nanos_per_year: year? },
        alerts: alerts?,
        upstream,
        catalogue: Arc::new(catalogue),
        providers,
        routes,
        plans,
        comparison: Arc::new(comparison?),
        log_format: raw.telemetry.log_format,
        log_level: raw.telemetry.log_level,
        traces,
    };
    Some((config, checker.warnings))
}

fn server(checker: &mut Checker<'_>, raw: &RawServer) -> Option<ServerConfig> {
    let mut address = |key: &str, text: &str| {
        let path = format!("server.{key}");
        checker.keep(&path, text.parse().map_err(|_| format!("`{text}` is not an address such as 127.0.0.1:8080")))
    };
    let addresses = (address("public", &raw.public), address("mairie", &raw.mairie), address("ops", &raw.ops));
    if raw.max_body_bytes < 1024 {
        checker.mistake("server.max_body_bytes", "must be at least 1024");
    }
    if raw.max_bodies_bytes < raw.max_body_bytes {
        checker.mistake("server.max_bodies_bytes", "must be at least server.max_body_bytes");
    }
    if raw.max_connections == 0 || raw.max_requests == 0 || raw.max_uploads == 0 {
        checker.mistake("server", "max_connections, max_requests and max_uploads must be at least 1");
    }
    for origin in &raw.cors_origins {
        let rest = origin.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
        if rest.is_empty() || rest.contains('/') || !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
            checker
                .mistake("server.cors_origins", format!("`{origin}` is not an origin such as https://chat.example.fr"));
        }
    }
    Some(ServerConfig {
        public: addresses.0?,
        mairie: addresses.1?,
        ops: addresses.2?,
        max_body_bytes: raw.max_body_bytes,
        max_bodies_bytes: raw.max_bodies_bytes,
        cors_origins: raw.cors_origins.clone(),
        connections: ConnectionConfig {
            max: raw.max_connections,
            header_read: checker.positive("server.header_read_seconds", raw.header_read_seconds),
            request_read: checker.positive("server.request_read_seconds", raw.request_read_seconds),
            idle: checker.positive("server.connection_idle_seconds", raw.connection_idle_seconds),
        },
        max_requests: raw.max_requests,
        max_upload_bytes: raw.max_upload_bytes,
        max_uploads: raw.max_uploads,
        upload_read: checker.positive("server.upload_read_seconds", raw.upload_read_seconds),
        keep_alive: checker.positive("server.keep_alive_seconds", raw.keep_alive_seconds),
        shutdown: Duration::from_secs(raw.shutdown_seconds),
        trusted_proxies: edge::trusted_proxies(checker, &raw.trusted_proxies),
        watch_files: raw.watch_files,
        tls: tls::check(checker, &raw.tls),
    })
}

fn exchange_rates(checker: &mut Checker<'_>, raw: &RawMoney) -> Option<Arc<ExchangeRates>> {
    let text = match raw.exchange_rates.as_str() {
        "" => EXCHANGE_RATES_TOML.to_owned(),
        file => checker.read_file("money.exchange_rates", file)?,
    };
    let rates = checker.keep("money.exchange_rates", ExchangeRates::parse(&text))?;
    match rates.at(providers::money::Currency::Usd, checker.today) {
        None => {
            checker.mistake("money.exchange_rates", "holds no dollar rate for today, and both vendors bill in dollars")
        }
        Some(rate) => {
            let age = checker.today.since(rate.date).map_or(0, |span| span.get_days());
            if i64::from(age) > i64::from(raw.exchange_rate_max_age_days) {
                checker.warnings.push(format!(
                    "money.exchange_rates: the newest dollar rate is of {}, {age} days ago; euro figures are only as good as that. Give a newer table.",
                    rate.date
                ));
            }
        }
    }
    Some(Arc::new(rates))
}

fn alerts(checker: &mut Checker<'_>, raw: RawAlerts) -> Option<AlertConfig> {
    let floor = checker.euros("alerts.hourly_floor_euros", &raw.hourly_floor_euros);
    if raw.envelope_percent.iter().any(|percent| !(1..=100).contains(percent)) {
        checker.mistake("alerts.envelope_percent", "each must be between 1 and 100");
    }
    let webhook = match (raw.webhook_url.is_empty(), raw.webhook_secret.is_empty()) {
        (true, true) => None,
        (false, false) => webhook(checker, raw.webhook_url, &raw.webhook_secret),
        _ => {
            checker.mistake("alerts.webhook_url", "needs webhook_secret beside it, and the other way round");
            None
        }
    };
    Some(AlertConfig {
        envelope_percent: raw.envelope_percent,
        hourly_factor: raw.hourly_factor,
        hourly_floor_euro_nanos: floor?,
        interval: checker.positive("alerts.check_seconds", raw.check_seconds),
        webhook,
    })
}

fn webhook(checker: &mut Checker<'_>, url: String, secret: &str) -> Option<WebhookConfig> {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        checker.mistake("alerts.webhook_url", "must be an http address");
    }
    let key = secret.strip_prefix("whsec_").unwrap_or(secret);
    let long_enough = BASE64.decode(key.as_bytes()).is_ok_and(|key| key.len() >= SHORTEST_WEBHOOK_KEY);
    if !long_enough {
        // The secret itself is not repeated.
        checker.mistake(
            "alerts.webhook_secret",
            "must be at least 24 random bytes in base64, such as `openssl rand -base64 32` prints",
        );
    }
    long_enough.then(|| WebhookConfig { url: url.into(), secret: key.to_owned().into() })
}

fn upstream(checker: &mut Checker<'_>, raw: &RawUpstream) -> UpstreamConfig {
    if raw.max_concurrency == 0 || raw.breaker_failures == 0 || raw.max_attempts == 0 {
        checker.mistake("upstream", "max_concurrency, breaker_failures and max_attempts must be at least 1");
    }
    UpstreamConfig {
        transport: TransportSettings {
            deadlines: Deadlines {
                connect: checker.positive("upstream.connect_seconds", raw.connect_seconds),
                first_byte: checker.positive("upstream.first_byte_seconds", raw.first_byte_seconds),
                idle: checker.positive("upstream.idle_seconds", raw.idle_seconds),
                total: checker.positive("upstream.total_seconds", raw.total_seconds),
            },
            max_concurrency: raw.max_concurrency,
            permit_wait: Duration::from_secs(raw.connect_seconds),
            breaker: BreakerSettings {
                failures: raw.breaker_failures,
                pause: checker.positive("upstream.breaker_seconds", raw.breaker_seconds),
            },
        },
        drain: Duration::from_secs(raw.drain_seconds),
        max_drains: raw.max_drains,
        max_attempts: raw.max_attempts,
    }
}

fn check_providers(checker: &mut Checker<'_>, raw: BTreeMap<String, RawProvider>) -> (Vec<ProviderConfig>, Catalogue) {
    let mut configs = Vec::new();
    let mut catalogues = Vec::new();
    let enabled: Vec<_> = raw.into_iter().filter(|(_, provider)| provider.enabled).collect();
    if enabled.is_empty() {
        checker.mistake("providers", "at least one must be enabled");
    }
    for (name, provider) in enabled {
        if let Some((config, catalogue)) = check_provider(checker, &name, &provider) {
            configs.push(config);
            catalogues.push(catalogue);
        }
    }
    (configs, Catalogue::new(catalogues))
}

fn check_provider(
    checker: &mut Checker<'_>,
    name: &str,
    raw: &RawProvider,
) -> Option<(ProviderConfig, ProviderCatalogue)> {
    let path = |key: &str| format!("providers.{name}.{key}");
    let text = match (raw.catalogue.as_str(), name) {
        ("", "openai") => OPENAI_TOML.to_owned(),
        ("", "mistral_ai") => MISTRAL_TOML.to_owned(),
        ("", _) => {
            checker.mistake(
                &path("catalogue"),
                "a provider of your own needs a catalogue file with its models and prices",
            );
            return None;
        }
        (file, _) => checker.read_file(&path("catalogue"), file)?,
    };
    let mut catalogue = checker.keep(&path("catalogue"), ProviderCatalogue::parse(&text))?;
    if catalogue.id.as_str() != name {
        checker.mistake(&path("catalogue"), format!("is the catalogue of `{}`", catalogue.id));
    }
    let mut urls = raw.host_urls.clone();
    if !raw.base_url.is_empty() {
        urls.insert("global".to_owned(), raw.base_url.clone());
    }
    for (host, url) in urls {
        if !url.ends_with("/v1") || !(url.starts_with("http://") || url.starts_with("https://")) {
            checker.mistake(&path("base_url"), format!("`{url}` must be an http address that ends in /v1"));
        }
        match catalogue.hosts.iter_mut().find(|known| known.id == host) {
            Some(known) => known.base_url = url,
            None => checker.mistake(&path("host_urls"), format!("there is no host `{host}` in the catalogue")),
        }
    }
    for host in &raw.hosts {
        if catalogue.host(host).is_none() {
            checker.mistake(&path("hosts"), format!("there is no host `{host}` in the catalogue"));
        }
    }
    let needs_key = catalogue.dialect != providers::Dialect::Compatible;
    if needs_key && raw.api_key.is_empty() {
        let variable = if name == "openai" { "OPENAI_API_KEY" } else { "MISTRAL_API_KEY" };
        checker.mistake(
            &path("api_key"),
            format!("is missing: set {variable}, or {}.enabled = false", path("api_key").trim_end_matches(".api_key")),
        );
    }
    if !raw.api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
        checker.mistake(&path("api_key"), "holds a space, a line break or another character that no key has");
    }
    let config = ProviderConfig {
        id: ProviderId::new(name),
        api_key: raw.api_key.clone().into(),
        account: (!raw.account.is_empty()).then(|| raw.account.clone()),
        hosts: raw.hosts.clone(),
        // A compatible host is the town's own most of the time; the others are somebody else's.
        trace_context: raw.trace_context.unwrap_or(!needs_key),
    };
    Some((config, catalogue))
}

fn routes(
    checker: &mut Checker<'_>,
    raw: BTreeMap<String, RawRoute>,
    catalogue: &Catalogue,
) -> BTreeMap<String, RouteConfig> {
    let mut routes = BTreeMap::new();
    for (name, mut route) in raw {
        let path = format!("routes.{name}.targets");
        if catalogue.resolve(&name, checker.today).is_some() {
            checker.mistake(&format!("routes.{name}"), "is also the id of a vendor's model; choose another name");
        }
        if route.targets.iter().all(|target| target.weight == 0) {
            checker.mistake(&path, "at least one target needs a weight above 0");
        }
        let mut targets = Vec::new();
        for target in std::mem::take(&mut route.targets) {
            match catalogue.resolve(&target.model, checker.today) {
                None => {
                    checker.warnings.push(format!("{path}: no enabled provider has `{}`; it is left out", target.model))
                }
                Some(found) if found.model.operation != Operation::Chat => {
                    checker.mistake(&path, format!("`{}` is not a chat model", target.model));
                }
                Some(found) => {
                    if let Some(day) = found.model.retires.filter(|day| *day <= checker.soon()) {
                        let text = format!(
                            "{path}: the vendor switches `{}` off on {day}; choose its successor",
                            target.model
                        );
                        checker.warnings.push(text);
                    }
                    targets.push(TargetConfig { model: target.model, weight: target.weight });
                }
            }
        }
        if targets.is_empty() {
            checker.warnings.push(format!("routes.{name}: has no target left and is not offered"));
        } else {
            let switchback = (route.switchback_minutes > 0)
                .then(|| Duration::from_secs(route.switchback_minutes.saturating_mul(SECONDS_PER_MINUTE)));
            let RawRoute { hosts, fallback, .. } = route;
            routes.insert(name, RouteConfig { targets, hosts, fallback, switchback });
        }
    }
    routes
}

fn plans(
    checker: &mut Checker<'_>,
    raw: BTreeMap<String, RawPlan>,
    routes: &BTreeMap<String, RouteConfig>,
    catalogue: &Catalogue,
) -> BTreeMap<String, Arc<Plan>> {
    if raw.is_empty() {
        checker.mistake("plans", "at least one plan is needed");
    }
    let mut plans = BTreeMap::new();
    for (name, plan) in raw {
        for model in &plan.models {
            if !routes.contains_key(model) && catalogue.resolve(model, checker.today).is_none() {
                checker.mistake(&format!("plans.{name}.models"), format!("`{model}` is neither a route nor a model"));
            }
        }
        if let Some(plan) = check_plan(checker, &name, plan) {
            plans.insert(name, Arc::new(plan));
        }
    }
    plans
}

fn check_plan(checker: &mut Checker<'_>, name: &str, raw: RawPlan) -> Option<Plan> {
    let path = |key: &str| format!("plans.{name}.{key}");
    let requests_per_minute = checker.at_least_one(&path("requests_per_minute"), raw.requests_per_minute);
    let burst = checker.at_least_one(&path("burst"), raw.burst);
    let simultaneous = checker.at_least_one(&path("simultaneous"), raw.simultaneous);
    let euros = checker.euros(&path("euros_per_month"), &raw.euros_per_month);
    if raw.max_output_tokens == 0 {
        checker.mistake(&path("max_output_tokens"), "must be at least 1: without it a call has no ceiling");
    }
    Some(Plan {
        name: name.to_owned(),
        allowance: Allowance {
            questions_per_day: raw.questions_per_day,
            tokens_per_day: raw.tokens_per_day,
            euro_nanos_per_month: euros?,
        },
        rate: Rate { requests_per_minute: requests_per_minute?, burst: burst?, simultaneous: simultaneous?.get() },
        max_output_tokens: raw.max_output_tokens,
        tool_calls_per_question: raw.tool_calls_per_question,
        hosts: raw.hosts,
        models: raw.models,
    })
}
