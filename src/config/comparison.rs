//! How the town compares vendors: what is declared beforehand, what probes and duels may cost, what the buyer weighs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use providers::catalogue::{Catalogue, Operation};
use serde::Deserialize;

use super::check::Checker;
use super::{Plan, Residency, RouteConfig};
use crate::ledger::{DUELS_ACCOUNT, PROBES_ACCOUNT};
use crate::quota::{Allowance, Rate};

/// The town's own account asks as often as a round needs; what bounds it is its budget.
const TOWN_RATE: u32 = 6_000;
/// Longest answer that the town asks for, in tokens.
const MOST_OUTPUT_TOKENS: u64 = 1_024;
/// Weights are percent of the whole.
const WHOLE: u32 = 100;

#[derive(Deserialize)]
pub(super) struct RawComparison {
    epoch: u32,
    evaluation_from: String,
    evaluation_to: String,
    models: Vec<String>,
    hosts: Residency,
    probe_euros_per_month: String,
    probe_every_minutes: u64,
    probe_jitter_minutes: u64,
    duel_euros_per_month: String,
    duel_wait_minutes: u64,
    weights: BTreeMap<String, u32>,
    vat_percent: String,
    seat_euros_per_month: String,
    assumed_cents_per_question: (String, String),
}

/// The days on which a decision is to rest, fixed before they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationPeriod {
    /// The first.
    pub from: Date,
    /// The last.
    pub to: Date,
}

/// How the town compares vendors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparisonConfig {
    /// Draws of another epoch are drawn anew.
    pub epoch: u32,
    /// The declared evaluation period.
    pub evaluation: Option<EvaluationPeriod>,
    /// Qualified ids of the models that are compared.
    pub models: Vec<String>,
    /// The town's account for probes, with their budget.
    pub probes: Arc<Plan>,
    /// The time between two rounds of probes.
    pub probe_every: Duration,
    /// A round begins later than its time by up to so much, at random.
    pub probe_jitter: Duration,
    /// The town's account for duels, with their budget.
    pub duels: Arc<Plan>,
    /// How long a duel waits for its judgement.
    pub duel_wait: Duration,
    /// The buyer's weights in percent, by criterion.
    pub weights: BTreeMap<String, u32>,
    /// What the report sets the figures against.
    pub yardsticks: Yardsticks,
}

/// What a councillor compares the figures with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yardsticks {
    /// Value added tax in hundredths of a percent.
    pub vat_basis_points: u32,
    /// What a seat costs an individual a month, nano-euros.
    pub seat_euro_nanos: i64,
    /// What the town assumed a question to cost, from and to, nano-euros.
    pub assumed_euro_nanos: (i64, i64),
}

impl ComparisonConfig {
    /// Whether probes are asked at all.
    pub fn has_probes(&self) -> bool {
        self.probes.allowance.euro_nanos_per_month > 0
    }

    /// Whether residents may judge duels.
    pub fn has_duels(&self) -> bool {
        self.duels.allowance.euro_nanos_per_month > 0 && self.models.len() >= 2
    }
}

fn town_plan(name: &str, euro_nanos_per_month: i64, hosts: Residency) -> Option<Arc<Plan>> {
    let rate = std::num::NonZeroU32::new(TOWN_RATE)?;
    Some(Arc::new(Plan {
        name: name.to_owned(),
        allowance: Allowance { questions_per_day: u64::MAX, tokens_per_day: u64::MAX, euro_nanos_per_month },
        rate: Rate { requests_per_minute: rate, burst: rate, simultaneous: TOWN_RATE },
        max_output_tokens: MOST_OUTPUT_TOKENS,
        tool_calls_per_question: 0,
        hosts,
        models: Vec::new(),
    }))
}

pub(super) fn check(
    checker: &mut Checker<'_>,
    raw: &RawComparison,
    routes: &BTreeMap<String, RouteConfig>,
    plans: &BTreeMap<String, Arc<Plan>>,
    catalogue: &Catalogue,
) -> Option<ComparisonConfig> {
    for name in [PROBES_ACCOUNT, DUELS_ACCOUNT] {
        if plans.contains_key(name) {
            checker.mistake(&format!("plans.{name}"), "is the name of the town's own account; choose another");
        }
    }
    let probe_euros = checker.euros("comparison.probe_euros_per_month", &raw.probe_euros_per_month);
    let duel_euros = checker.euros("comparison.duel_euros_per_month", &raw.duel_euros_per_month);
    let sum: u32 = raw.weights.values().sum();
    if sum != WHOLE {
        checker.mistake("comparison.weights", format!("must add up to {WHOLE}, not {sum}"));
    }
    let vat = checker.euros("comparison.vat_percent", &raw.vat_percent);
    let seat = checker.euros("comparison.seat_euros_per_month", &raw.seat_euros_per_month);
    let (from, to) = &raw.assumed_cents_per_question;
    let cents = |checker: &mut Checker<'_>, text| {
        checker.euros("comparison.assumed_cents_per_question", text).map(|nanos| nanos / CENTS_PER_EURO)
    };
    let assumed = (cents(checker, from), cents(checker, to));
    let every = minutes(raw.probe_every_minutes);
    let jitter = minutes(raw.probe_jitter_minutes);
    if raw.probe_every_minutes == 0 || jitter >= every {
        checker.mistake("comparison.probe_every_minutes", "must be longer than comparison.probe_jitter_minutes");
    }
    if raw.duel_wait_minutes == 0 {
        checker.mistake("comparison.duel_wait_minutes", "must be at least 1");
    }
    Some(ComparisonConfig {
        epoch: raw.epoch,
        evaluation: evaluation(checker, raw),
        models: models(checker, raw, routes, catalogue),
        probes: town_plan(PROBES_ACCOUNT, probe_euros?, raw.hosts)?,
        probe_every: every,
        probe_jitter: jitter,
        duels: town_plan(DUELS_ACCOUNT, duel_euros?, raw.hosts)?,
        duel_wait: minutes(raw.duel_wait_minutes),
        weights: raw.weights.clone(),
        yardsticks: Yardsticks {
            vat_basis_points: u32::try_from(vat? / NANOS_PER_BASIS_POINT).ok()?,
            seat_euro_nanos: seat?,
            assumed_euro_nanos: (assumed.0?, assumed.1?),
        },
    })
}

/// A percent read as an amount has nine decimals; a basis point is its hundredth part.
const NANOS_PER_BASIS_POINT: i64 = 10_000_000;
const CENTS_PER_EURO: i64 = 100;

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(60))
}

fn evaluation(checker: &mut Checker<'_>, raw: &RawComparison) -> Option<EvaluationPeriod> {
    if raw.evaluation_from.is_empty() && raw.evaluation_to.is_empty() {
        return None;
    }
    let day = |checker: &mut Checker<'_>, key: &str, text: &str| {
        let parsed = text.parse::<Date>().map_err(|_| format!("`{text}` is not a day such as 2026-12-01"));
        checker.keep(&format!("comparison.{key}"), parsed)
    };
    let from = day(checker, "evaluation_from", &raw.evaluation_from)?;
    let to = day(checker, "evaluation_to", &raw.evaluation_to)?;
    if to < from {
        checker.mistake("comparison.evaluation_to", "must not be before evaluation_from");
    }
    Some(EvaluationPeriod { from, to })
}

/// Those named, or what the routes lead to, each once and by its qualified id.
fn models(
    checker: &mut Checker<'_>,
    raw: &RawComparison,
    routes: &BTreeMap<String, RouteConfig>,
    catalogue: &Catalogue,
) -> Vec<String> {
    let of_routes = routes.values().flat_map(|route| &route.targets).map(|target| &target.model);
    let named: Vec<&String> = if raw.models.is_empty() { of_routes.collect() } else { raw.models.iter().collect() };
    let mut models = Vec::new();
    for name in named {
        match catalogue.resolve(name, checker.today) {
            Some(found) if found.model.operation == Operation::Chat => {
                let id = format!("{}/{}", found.provider.id, found.sent_id);
                if !models.contains(&id) {
                    models.push(id);
                }
            }
            _ => checker
                .warnings
                .push(format!("comparison.models: no enabled provider has a chat model `{name}`; it is left out")),
        }
    }
    models
}
