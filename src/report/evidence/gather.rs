//! From the ledger's aggregates to what may be published of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use providers::catalogue::{Catalogue, Operation};
use providers::exchange::ExchangeRates;
use providers::money::Currency;

use super::drawn::Gathered;
use super::{
    Audience, Buyer, Duels, Evidence, FEWEST_PEOPLE, FORMAT, Kind, ModelFacts, ProbeRow, UsageCell, UsageSums, days,
    duels,
};
use crate::ledger::{Change, Ledger, People, ReportData, Rollup, RollupKey, StoreError};
use crate::report::Period;

/// What is known beside the ledger.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Models, hosts and prices.
    pub catalogue: &'a Catalogue,
    /// Euro rates.
    pub exchange_rates: &'a ExchangeRates,
    /// Configured hosts of each vendor.
    pub hosts: BTreeMap<String, Vec<String>>,
    /// Models compared, as they are configured.
    pub compared: Vec<String>,
    /// The declared evaluation period.
    pub evaluation: Option<(Date, Date)>,
    /// Subject under which the ledger's changes know that period.
    pub evaluation_subject: &'static str,
    /// What the buyer decided.
    pub buyer: Buyer,
    /// SHA-256 of the terms in force.
    pub terms_digest: String,
    /// Questions without an answer count as longer than this, seconds.
    pub limit_seconds: u64,
    /// Local day of now.
    pub today: Date,
    /// Now.
    pub now: Timestamp,
}

/// Subjects of changes that touch a comparison.
const TOUCHING: [&str; 6] = ["route ", "price ", "model ", "alias ", "epoch of draws", "models compared"];
/// Changes listed.
const MOST_CHANGES: usize = 50;

impl Evidence {
    /// What may be published of `period`, of which `data` was read.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger cannot be read.
    pub fn read(ledger: &Ledger, data: ReportData, period: &Period, facts: &Facts<'_>) -> Result<Self, StoreError> {
        let changes = ledger.changes()?;
        let year = period.to.first_of_year();
        let days = ledger.spend_by_day(&year.to_string(), &period.to.to_string())?;
        let simulated = ledger.is_simulated()?.unwrap_or(false);
        let mut evidence = Self::of(data, period, facts);
        evidence.simulated = simulated;
        evidence.spent_euro_nanos = days::to_the_cent(days.iter().map(|day| day.euro_nanos).sum());
        evidence.days = days::published(&days, year, period.to.min(facts.today));
        evidence.declare(&changes, period, facts);
        Ok(evidence)
    }

    /// The evidence of what was read: no store.
    pub fn of(data: ReportData, period: &Period, facts: &Facts<'_>) -> Self {
        let (mut conversations, mut blocks) = (Gathered::default(), Gathered::default());
        let mut usage = Usage::default();
        for (key, rollup) in &data.rollups {
            usage.add(key, rollup);
            let gathered = match key.evidence {
                Kind::Conversation => &mut conversations,
                Kind::Block => &mut blocks,
                Kind::Chosen | Kind::Probe | Kind::Duel => continue,
            };
            if key.operation == Operation::Chat.as_str() {
                gathered.add(label(&key.provider, &key.model), key.stratum, &rollup.groups);
            }
        }
        let duels = duels::published(&data.duels);
        let residents = data.residents.into_iter().map(|(month, count)| {
            let enough = count >= u64::from(FEWEST_PEOPLE);
            (month, enough.then_some(count))
        });
        let mut baskets: Vec<_> =
            data.probes.iter().map(|probe| (probe.basket.clone(), probe.basket_digest.clone())).collect();
        baskets.sort();
        baskets.dedup();
        Self {
            format: FORMAT.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: facts.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            from: period.from.to_string(),
            to: period.to.to_string(),
            over: period.to < facts.today,
            limit_seconds: facts.limit_seconds,
            buyer: facts.buyer.clone(),
            compared: facts.compared.iter().filter_map(|id| priced_id(facts, id)).collect(),
            models: models(facts),
            rates: rates(facts),
            chosen: usage.chosen(),
            usage: usage.finish(facts, &duels),
            residents: residents.collect(),
            conversations: conversations.finish(Kind::Conversation),
            blocks: blocks.finish(Kind::Block),
            probes: probes(data.probes),
            baskets,
            duels,
            ledger_records: data.head.seq,
            ledger_hash: data_encoding::HEXLOWER.encode(&data.head.hash),
            terms_digest: facts.terms_digest.clone(),
            ..Self::default()
        }
    }

    fn declare(&mut self, changes: &[(u64, Change)], period: &Period, facts: &Facts<'_>) {
        let changes: Vec<(Date, &Change)> = changes.iter().map(|(_, change)| (day_of(change), change)).collect();
        if let Some((from, to)) = facts.evaluation {
            let declared = declared_on(&changes, facts, (from, to)).map(|day| day.to_string());
            self.declared = Some((from.to_string(), to.to_string(), declared));
        }
        let within = changes.iter().filter(|(day, _)| (period.from..=period.to).contains(day));
        for (day, change) in within {
            for difference in &change.differences {
                // At a first start everything is new, and nothing changed.
                let is_new = difference.before.is_none() && change.actor == FOUND_AT_START;
                let touches =
                    |subjects: &[&str]| subjects.iter().any(|subject| difference.subject.starts_with(subject));
                if is_new || !touches(&TOUCHING) {
                    continue;
                }
                self.disturbed |= touches(&DISTURBING);
                let none = String::new();
                let before = difference.before.as_ref().unwrap_or(&none);
                let after = difference.after.as_ref().unwrap_or(&none);
                self.changes.push((day.to_string(), format!("{}: {before} → {after}", difference.subject)));
            }
        }
        self.changes_left_out = u64::try_from(self.changes.len().saturating_sub(MOST_CHANGES)).unwrap_or(0);
        self.changes.truncate(MOST_CHANGES);
    }
}

/// The day on which the period was declared that is in force; `None` when it was another one at its beginning, or was changed
/// before its end: then it could have been chosen with a look at the figures.
fn declared_on(changes: &[(Date, &Change)], facts: &Facts<'_>, (from, to): (Date, Date)) -> Option<Date> {
    let said = format!("{from} to {to}");
    let about = changes.iter().filter_map(|(day, change)| {
        let last = change.differences.iter().rfind(|difference| difference.subject == facts.evaluation_subject)?;
        Some((*day, last.after.as_ref() == Some(&said)))
    });
    let mut declared = None;
    for (day, is_this) in about {
        match (declared, is_this) {
            (None, true) => declared = Some(day),
            (Some(_), false) if day <= to => declared = None,
            _ => {}
        }
    }
    declared
}

/// The day of a change. Two hours early at most, so that what was declared on a first evening is not of the day before.
fn day_of(change: &Change) -> Date {
    let at = Timestamp::from_microsecond(change.at.saturating_add(SUMMER_TIME_MICROS));
    at.map_or(Date::MIN, |at| at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date())
}

/// Local time is ahead of UTC by two hours at most where towns of this program are.
const SUMMER_TIME_MICROS: i64 = 2 * 3_600 * 1_000_000;
/// Subjects of changes after which draws are of another experiment.
const DISTURBING: [&str; 3] = ["route ", "epoch of draws", "models compared"];

/// Who records the terms that are found at a start.
const FOUND_AT_START: &str = "serve";

pub(super) fn label(provider: &str, model: &str) -> String {
    format!("{provider}/{model}")
}

/// The name of the price row that a configured id leads to.
fn priced_id(facts: &Facts<'_>, id: &str) -> Option<String> {
    let found = facts.catalogue.resolve(id, facts.today)?;
    Some(label(found.provider.id.as_str(), &found.model.id))
}

fn models(facts: &Facts<'_>) -> Vec<ModelFacts> {
    let mut models = Vec::new();
    for provider in facts.catalogue.providers() {
        let configured = facts.hosts.get(provider.id.as_str()).cloned().unwrap_or_default();
        let hosts: Vec<_> = configured.iter().filter_map(|id| provider.host(id)).collect();
        for model in provider.models().filter(|model| model.operation == Operation::Chat) {
            let Some(row) = model.price_at(facts.today).filter(|_| !model.is_retired(facts.today)) else { continue };
            let rates = &row.rates;
            models.push(ModelFacts {
                model: label(provider.id.as_str(), &model.id),
                vendor: provider.name.clone(),
                rates: [
                    rates.input,
                    rates.cached_input.unwrap_or(rates.input),
                    rates.cache_write.unwrap_or(rates.input),
                    rates.output,
                ],
                currency: row.currency.code().to_owned(),
                price_row: row.id.to_string(),
                eu_uplift_percent: provider
                    .hosts
                    .iter()
                    .find(|host| host.region == "eu")
                    .map(|host| host.uplift_for(model)),
                retires: model.retires.map(|day| day.to_string()),
                hosts: hosts.iter().map(|host| (host.id.clone(), host.region.clone())).collect(),
                data: provider.data.clone(),
            });
        }
    }
    models
}

fn rates(facts: &Facts<'_>) -> Vec<(String, u64, String)> {
    let at = |currency: Currency| facts.exchange_rates.at(currency, facts.today);
    let mut currencies: Vec<Currency> = facts.catalogue.providers().map(|provider| provider.currency).collect();
    currencies.sort_by_key(|currency| currency.code());
    currencies.dedup();
    let rates = currencies.into_iter().filter_map(at);
    rates.map(|rate| (rate.currency.code().to_owned(), rate.per_euro_micros, rate.date.to_string())).collect()
}

/// Use by model, host, kind of call and kind of evidence, as it is gathered.
#[derive(Default)]
struct Usage {
    cells: BTreeMap<(String, String, String, Kind), (UsageSums, People)>,
}

impl Usage {
    fn add(&mut self, key: &RollupKey, rollup: &Rollup) {
        let cell = (label(&key.provider, &key.model), key.host.clone(), key.operation.clone(), key.evidence);
        let (sums, people) = self.cells.entry(cell).or_default();
        people.merge(rollup.everybody().people);
        let figures = &rollup.figures;
        sums.merge(&UsageSums {
            questions: figures.questions,
            answers: figures.answered + figures.taken_over,
            costed: figures.costed,
            cost_euro_nanos: figures.cost_euro_nanos,
            uncertain_euro_nanos: figures.charged_uncertain_euro_nanos,
            charged_euro_nanos: figures.charged_euro_nanos + figures.adjusted_euro_nanos,
            tokens: [
                (figures.input_tokens).saturating_sub(figures.input_cached + figures.cache_write),
                figures.input_cached,
                figures.cache_write,
                figures.output_tokens.saturating_sub(figures.reasoning),
                figures.reasoning,
            ],
            output_chars: figures.output_chars,
            duration_micros: rollup.everybody().duration.sum(),
        });
    }

    /// By model, host and kind of call: residents together, probes, duels. Of residents only those ways of asking are in it
    /// in which enough people asked: no total is published that holds more, so that nothing is left by subtraction.
    /// Corrections of a whole day have neither host nor kind of call, and are in the days alone. Duels are charged to one
    /// account: those of a model may be shown when enough people judged some.
    fn finish(self, facts: &Facts<'_>, duels: &Duels) -> Vec<UsageCell> {
        let mut cells: BTreeMap<(String, String, String, Audience), UsageCell> = BTreeMap::new();
        for ((model, host, operation, kind), (sums, people)) in self.cells {
            if operation.is_empty() {
                continue;
            }
            let audience = Audience::of(kind);
            let is_shown = match audience {
                Audience::Residents => people.at_least() >= FEWEST_PEOPLE,
                Audience::Probes => true,
                Audience::Duels => duels.shown.contains_key(&model),
            };
            let key = (model.clone(), host.clone(), operation.clone(), audience);
            let region = region(facts, &model, &host);
            let cell = cells.entry(key).or_insert(UsageCell {
                model,
                host,
                region,
                operation,
                audience,
                sums: None,
                incomplete: false,
            });
            if is_shown {
                cell.sums.get_or_insert_default().merge(&sums);
            }
            cell.incomplete |= !is_shown;
        }
        cells.into_values().collect()
    }

    /// Questions whose resident chose the vendor, by model; `None` where few people did.
    fn chosen(&self) -> Vec<(String, Option<u64>)> {
        let mut models: BTreeMap<&str, (u64, People)> = BTreeMap::new();
        for ((model, _, operation, kind), (sums, people)) in &self.cells {
            if *kind == Kind::Chosen && operation == Operation::Chat.as_str() {
                let (questions, all) = models.entry(model).or_default();
                *questions += sums.questions;
                all.merge(*people);
            }
        }
        let shown = |(model, (questions, people)): (&str, (u64, People))| {
            (model.to_owned(), (people.at_least() >= FEWEST_PEOPLE).then_some(questions))
        };
        models.into_iter().map(shown).collect()
    }
}

fn region(facts: &Facts<'_>, model: &str, host: &str) -> String {
    let provider = model.split_once('/').map_or(model, |(provider, _)| provider);
    let provider = facts.catalogue.provider(&providers::ProviderId::new(provider));
    provider.and_then(|provider| provider.host(host)).map(|host| host.region.clone()).unwrap_or_default()
}

/// Rounds are numbered as they come: their identities say when.
fn probes(probes: Vec<crate::ledger::Probe>) -> Vec<ProbeRow> {
    let mut rounds: BTreeMap<String, u32> = BTreeMap::new();
    let rows = probes.into_iter().map(|probe| {
        let next = u32::try_from(rounds.len()).unwrap_or(u32::MAX);
        ProbeRow {
            round: *rounds.entry(probe.round).or_insert(next),
            day: probe.day,
            question: probe.question,
            length: probe.length_class,
            model: label(&probe.provider, &probe.model),
            region: probe.region,
            lag_micros: probe.lag_micros,
            outcome: probe.outcome,
            first_text_micros: probe.first_text_micros,
            duration_micros: probe.duration_micros,
            usage: probe.usage,
            cost_euro_nanos: probe.cost_euro_nanos,
            output_chars: probe.output_chars,
            passed: probe.passed,
        }
    });
    rows.collect()
}
