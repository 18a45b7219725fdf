//! From the ledger's aggregates to what may be published of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use providers::catalogue::{Catalogue, Operation};
use providers::exchange::ExchangeRates;
use providers::money::Currency;

use super::drawn::Gathered;
use super::suppress::hidden;
use super::{Buyer, Evidence, FEWEST_PEOPLE, FORMAT, Kind, ModelFacts, ProbeRow, UsageCell, UsageSums, days, duels};
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
            usage: usage.finish(facts, duels.people >= FEWEST_PEOPLE),
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
        let day = |change: &Change| {
            Timestamp::from_microsecond(change.at)
                .map_or(Date::MIN, |at| at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date())
        };
        if let Some((from, to)) = facts.evaluation {
            let said = format!("{from} to {to}");
            let declares = |change: &&Change| {
                let mut differences = change.differences.iter();
                differences.any(|d| d.subject == facts.evaluation_subject && d.after.as_ref() == Some(&said))
            };
            let first = changes.iter().map(|(_, change)| change).find(declares);
            self.declared = Some((from.to_string(), to.to_string(), first.map(|change| day(change).to_string())));
        }
        let within = changes.iter().map(|(_, change)| change);
        for change in within.filter(|change| (period.from..=period.to).contains(&day(change))) {
            for difference in &change.differences {
                // At a first start everything is new, and nothing changed.
                let is_new = difference.before.is_none() && change.actor == FOUND_AT_START;
                if !is_new && TOUCHING.iter().any(|subject| difference.subject.starts_with(subject)) {
                    let none = String::new();
                    let (before, after) =
                        (difference.before.as_ref().unwrap_or(&none), difference.after.as_ref().unwrap_or(&none));
                    self.changes.push((day(change).to_string(), format!("{}: {before} → {after}", difference.subject)));
                }
            }
        }
        self.changes.truncate(MOST_CHANGES);
    }
}

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

    /// Rows are models with their hosts and operations, columns the ways in which residents ask.
    ///
    /// Duels are charged to one account: they may be shown when enough people judged some.
    fn finish(self, facts: &Facts<'_>, duels_shown: bool) -> Vec<UsageCell> {
        let rows: Vec<_> = {
            let mut rows: Vec<_> = self.cells.keys().map(|(m, h, o, _)| (m.clone(), h.clone(), o.clone())).collect();
            rows.dedup();
            rows
        };
        let kinds = [Kind::Chosen, Kind::Conversation, Kind::Block];
        let people = |row: &(String, String, String), kind| {
            let key = (row.0.clone(), row.1.clone(), row.2.clone(), kind);
            self.cells.get(&key).map_or(0, |(_, people)| people.at_least())
        };
        let table: Vec<Vec<u32>> =
            rows.iter().map(|row| kinds.iter().map(|kind| people(row, *kind)).collect()).collect();
        let hidden = hidden(&table);
        let is_hidden = |row: usize, kind: Kind| {
            kinds.iter().position(|known| *known == kind).is_some_and(|column| hidden[row][column])
        };
        let mut cells = Vec::new();
        for ((model, host, operation, evidence), (sums, _)) in self.cells {
            let row = rows.iter().position(|known| (&known.0, &known.1, &known.2) == (&model, &host, &operation));
            let hidden = row.is_some_and(|row| is_hidden(row, evidence)) || evidence == Kind::Duel && !duels_shown;
            let region = region(facts, &model, &host);
            cells.push(UsageCell { model, host, region, operation, evidence, sums: (!hidden).then_some(sums) });
        }
        cells
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
