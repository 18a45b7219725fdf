//! The terms in force: models and prices, euro rates, plans, routes, the town's envelope.
//!
//! They are replaced as a whole while the process runs; a request keeps the terms that it came in under until it is
//! settled. Whoever replaces them writes into the ledger who changed what. It must not know requests or vendors' hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use providers::ProviderId;
use providers::catalogue::{Catalogue, Model, ProviderCatalogue};
use providers::exchange::ExchangeRates;
use providers::money::format_nanos;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{ComparisonConfig, Config, Plan, RouteConfig};
use crate::ledger::{Change, Difference, Ledger, StoreError, micros};
use crate::quota::{Envelope, RateGuard, SimultaneousPermit, UsedRates};

/// Where the ledger keeps the text of the terms in force, and their digest.
const NOTE_TEXT: &str = "terms";
const NOTE_DIGEST: &str = "terms_digest";

/// Rates are kept in millionths, and printed like amounts.
const NANOS_PER_MICRO: i64 = 1_000;

/// What is in force at one moment.
pub struct Terms {
    /// Models, hosts and prices.
    pub catalogue: Arc<Catalogue>,
    /// Euro rates.
    pub exchange_rates: Arc<ExchangeRates>,
    /// Routes by name.
    pub routes: BTreeMap<String, RouteConfig>,
    /// Plans by name.
    pub plans: BTreeMap<String, Arc<Plan>>,
    /// The town's limits.
    pub envelope: Envelope,
    /// How vendors are compared.
    pub comparison: Arc<ComparisonConfig>,
    rates: BTreeMap<String, Arc<RateGuard>>,
    text: BTreeMap<String, String>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

impl Terms {
    /// The terms of a configuration.
    pub fn new(config: &Config, clock: &Clock) -> Self {
        let open = Arc::default();
        let guard = |plan: &Plan| Arc::new(RateGuard::new(plan.rate, clock.clone(), Arc::clone(&open)));
        Self {
            catalogue: Arc::clone(&config.catalogue),
            exchange_rates: Arc::clone(&config.exchange_rates),
            routes: config.routes.clone(),
            plans: config.plans.clone(),
            envelope: config.envelope,
            comparison: Arc::clone(&config.comparison),
            rates: config
                .plans
                .values()
                .chain([&config.comparison.probes, &config.comparison.duels])
                .map(|plan| (plan.name.clone(), guard(plan)))
                .collect(),
            text: text(config),
        }
    }

    /// The same terms, with what `former` knows of who asked how often lately: a reload forgives nothing.
    fn after(mut self, former: &Self) -> Self {
        for (name, guard) in &mut self.rates {
            if let Some(known) = former.rates.get(name).or_else(|| former.rates.values().next()) {
                *guard = known.with_rate(guard.rate());
            }
        }
        self
    }

    /// The guard on the rates of a plan.
    pub fn rate_guard(&self, plan: &str) -> Option<&RateGuard> {
        self.rates.get(plan).map(|guard| &**guard)
    }

    /// How far each resident who is not at rest has used up the rate, by plan.
    pub fn used_rates(&self) -> BTreeMap<String, UsedRates> {
        self.rates.iter().map(|(plan, guard)| (plan.clone(), guard.used())).collect()
    }

    /// Goes on from where another process stood with the rates.
    pub fn go_on_from(&self, used: &BTreeMap<String, UsedRates>) {
        for (plan, used) in used {
            if let Some(guard) = self.rates.get(plan) {
                guard.go_on_from(used);
            }
        }
    }

    /// Calls open now, by resident, over all plans.
    pub fn open_calls(&self) -> HashMap<Arc<str>, u32> {
        self.rates.values().next().map(|guard| guard.open_calls()).unwrap_or_default()
    }

    /// Opens one call that another process has open; `None` without any plan.
    pub fn open_elsewhere(&self, resident: &str) -> Option<SimultaneousPermit> {
        self.rates.values().next().map(|guard| guard.open_elsewhere(resident))
    }

    /// SHA-256 over everything in force, as lower-case hexadecimal.
    pub fn digest(&self) -> String {
        digest(&self.text)
    }

    /// Writes into the ledger what these terms change against the last ones that it knows; says what that was. Nothing
    /// is written when they are the same.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger cannot be read or written.
    pub fn record(
        &self,
        ledger: &Ledger,
        actor: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Vec<Difference>, StoreError> {
        let known = ledger.note(NOTE_TEXT)?;
        let known = known.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if digest(&known) == self.digest() {
            return Ok(Vec::new());
        }
        let differences = differences(&known, &self.text);
        let change = Change {
            id: Uuid::now_v7().to_string(),
            at: micros(now),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            terms: Some(self.digest()),
            differences: differences.clone(),
        };
        let text = serde_json::to_string(&self.text).map_err(|error| StoreError::Damaged(error.to_string()))?;
        ledger.append_with_notes(change, &[(NOTE_TEXT, &text), (NOTE_DIGEST, &self.digest())])?;
        Ok(differences)
    }

    /// Digest of the terms that the ledger knows last, whoever recorded them.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger cannot be read.
    pub fn recorded_digest(ledger: &Ledger) -> Result<Option<String>, StoreError> {
        ledger.note(NOTE_DIGEST)
    }
}

/// The terms in force now, cheap to clone.
#[derive(Clone, Debug)]
pub struct CurrentTerms(Arc<RwLock<Arc<Terms>>>);

impl CurrentTerms {
    /// In force from the start.
    pub fn new(terms: Terms) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(terms))))
    }

    /// What is in force now. Held for as long as somebody needs one consistent view.
    pub fn get(&self) -> Arc<Terms> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether other terms could be put into force while running.
    ///
    /// # Errors
    /// A sentence when the vendors are not the same: connections to them are made at the start.
    pub fn check(&self, terms: &Terms) -> Result<(), String> {
        let vendors = |terms: &Terms| -> BTreeSet<ProviderId> {
            terms.catalogue.providers().map(|provider| provider.id.clone()).collect()
        };
        if vendors(&self.get()) == vendors(terms) {
            return Ok(());
        }
        Err("a vendor was enabled or disabled: that needs a restart".to_owned())
    }

    /// Puts other terms into force, for requests that come from now on.
    pub fn replace(&self, terms: Terms) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(terms.after(&current));
    }
}

fn digest(text: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (subject, value) in text {
        hasher.update(format!("{subject}\n{value}\n"));
    }
    HEXLOWER.encode(&hasher.finalize())
}

fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Difference> {
    let subjects: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    subjects
        .into_iter()
        .filter(|subject| before.get(*subject) != after.get(*subject))
        .map(|subject| Difference {
            subject: subject.clone(),
            before: before.get(subject).cloned(),
            after: after.get(subject).cloned(),
        })
        .collect()
}

/// Everything in force, one line each, by what it is about.
fn text(config: &Config) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let envelope = config.envelope;
    let (month, year) = (format_nanos(envelope.euro_nanos_per_month), format_nanos(envelope.euro_nanos_per_year));
    lines.insert("envelope".to_owned(), format!("{month} EUR per month, {year} EUR per year"));
    for (name, plan) in &config.plans {
        lines.insert(format!("plan {name}"), plan.to_string());
    }
    of_comparison(&mut lines, &config.comparison);
    for (name, route) in &config.routes {
        let targets = route.targets.iter().map(|target| format!("{} × {}", target.model, target.weight));
        let targets = targets.collect::<Vec<_>>().join(", ");
        let fallback = if route.fallback { "another takes over" } else { "nobody takes over" };
        let drawn = route.switchback.map_or(String::new(), |block| format!("; drawn for {} s", block.as_secs()));
        lines.insert(format!("route {name}"), format!("{targets}; hosts {:?}; {fallback}{drawn}", route.hosts));
    }
    for rate in config.exchange_rates.rows() {
        let per_euro = i64::try_from(rate.per_euro_micros).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_MICRO);
        let value = format!("{} per euro", format_nanos(per_euro));
        lines.insert(format!("rate {} {}", rate.currency, rate.date), value);
    }
    for provider in config.catalogue.providers() {
        of_provider(&mut lines, provider);
    }
    lines
}

/// The subject of the declared evaluation period among the terms.
pub const EVALUATION: &str = "evaluation period";

/// What a comparison rests on, so that the ledger knows when it was declared.
fn of_comparison(lines: &mut BTreeMap<String, String>, comparison: &ComparisonConfig) {
    let ComparisonConfig { epoch, evaluation, models, probes, duels, weights, .. } = comparison;
    if let Some(period) = evaluation {
        lines.insert(EVALUATION.to_owned(), format!("{} to {}", period.from, period.to));
    }
    let euros = |plan: &Plan| format_nanos(plan.allowance.euro_nanos_per_month);
    lines.insert("epoch of draws".to_owned(), epoch.to_string());
    lines.insert("models compared".to_owned(), models.join(", "));
    lines.insert("budget of probes".to_owned(), format!("{} EUR per month", euros(probes)));
    lines.insert("budget of duels".to_owned(), format!("{} EUR per month", euros(duels)));
    let weights = weights.iter().map(|(criterion, percent)| format!("{criterion} {percent} %"));
    lines.insert("weights".to_owned(), weights.collect::<Vec<_>>().join(", "));
}

fn of_provider(lines: &mut BTreeMap<String, String>, provider: &ProviderCatalogue) {
    for host in &provider.hosts {
        let from = host.uplift_from_release.map_or(String::new(), |day| format!(" for models released from {day} on"));
        let value = format!("region {}, uplift {} %{from}", host.region, host.uplift_percent);
        lines.insert(format!("host {} {}", provider.id, host.id), value);
    }
    for model in provider.models() {
        lines.insert(format!("model {}/{}", provider.id, model.id), model_text(model));
        for row in model.prices() {
            lines.insert(format!("price {}", row.id), row.to_string());
        }
    }
    for (id, model, from, until) in provider.aliases() {
        let until = until.map_or(String::new(), |day| format!(" until {day}"));
        lines.insert(format!("alias {}/{id}@{from}", provider.id), format!("{model}{until}"));
    }
}

/// What of a model decides about ceilings and prices.
fn model_text(model: &Model) -> String {
    let day = |day: Option<jiff::civil::Date>| day.map_or("?".to_owned(), |day| day.to_string());
    let count = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    format!(
        "{}, released {}, retires {}, window {}, output {}, image {}, sound {} s",
        model.operation.as_str(),
        day(model.released),
        day(model.retires),
        model.context_window,
        count(model.max_output_tokens),
        count(model.image_tokens),
        count(model.max_audio_seconds)
    )
}
