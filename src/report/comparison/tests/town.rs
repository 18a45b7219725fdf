//! A made-up town: residents with habits of their own, vendors whose true speed, price and reliability are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Span;
use jiff::civil::{Date, date};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal};
use rand_pcg::Pcg64;

use crate::ledger::samples::full;
use crate::ledger::{
    Assignment, Duel, DuelSide, Entry, LengthClass, Outcome, Probe, Record, ReportData, Rollup, RollupKey, Style, Vote,
};
use crate::report::Period;
use crate::report::evidence::{Buyer, Evidence, Facts};
use providers::catalogue::{Catalogue, MISTRAL_TOML, OPENAI_TOML, ProviderCatalogue};
use providers::exchange::ExchangeRates;

pub(super) const OPENAI: &str = "openai/gpt-6-luna";
pub(super) const MISTRAL: &str = "mistral_ai/mistral-small-2603";
const FIRST: Date = date(2026, 12, 1);
const DAYS: i64 = 28;

/// What is true of a vendor.
#[derive(Clone, Copy)]
pub(super) struct Truth {
    /// Median time to the first text of a short question, microseconds.
    pub(super) micros: f64,
    /// Spread of the logarithm of the time within a person.
    pub(super) sigma: f64,
    /// Mean cost of an answer, nano-euros.
    pub(super) cost: f64,
    /// Share of questions that fail.
    pub(super) fails: f64,
    /// Share of its questions that are long, and so four times as slow and dear.
    pub(super) long: f64,
    /// Share of answers that pass their checks.
    pub(super) passes: f64,
}

pub(super) const ALIKE: Truth =
    Truth { micros: 800_000.0, sigma: 0.5, cost: 400_000.0, fails: 0.02, long: 0.2, passes: 0.9 };

pub(super) struct Town {
    pub(super) residents: u32,
    pub(super) questions_each: u32,
    pub(super) rounds: u32,
    pub(super) questions_of_basket: u32,
    pub(super) openai: Truth,
    pub(super) mistral: Truth,
    pub(super) seed: u64,
}

impl Town {
    pub(super) fn new(openai: Truth, mistral: Truth, seed: u64) -> Self {
        Self { residents: 320, questions_each: 6, rounds: 0, questions_of_basket: 20, openai, mistral, seed }
    }

    fn truth(&self, model: &str) -> Truth {
        if model == OPENAI { self.openai } else { self.mistral }
    }

    /// What the ledger would read of four weeks.
    pub(super) fn data(&self) -> ReportData {
        let mut rollups: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
        for entry in self.questions() {
            let record = Record::Attempt(Arc::new(entry));
            rollups.entry(RollupKey::of(&record).unwrap().of_all_days()).or_default().add(&record);
        }
        let mut chance = Pcg64::seed_from_u64(self.seed ^ u64::MAX);
        let probes = (0..self.rounds).flat_map(|round| self.round(&mut chance, round)).collect();
        let residents = vec![("2026-12".to_owned(), u64::from(self.residents))];
        ReportData { rollups: rollups.into_iter().collect(), probes, residents, ..ReportData::default() }
    }

    /// Everything that residents asked.
    pub(super) fn questions(&self) -> Vec<Entry> {
        let mut chance = Pcg64::seed_from_u64(self.seed);
        let mut all = Vec::new();
        for resident in 0..self.residents {
            let habit = LogNormal::new(0.0, 0.3).unwrap().sample(&mut chance);
            all.extend((0..self.questions_each).map(|_| self.question(&mut chance, resident, habit)));
        }
        all
    }

    fn question(&self, chance: &mut Pcg64, resident: u32, habit: f64) -> Entry {
        let model = if chance.random_bool(0.5) { OPENAI } else { MISTRAL };
        let truth = self.truth(model);
        let is_long = chance.random_bool(truth.long);
        let times = if is_long { 4.0 } else { 1.0 };
        let first_text = truth.micros * times * habit * LogNormal::new(0.0, truth.sigma).unwrap().sample(chance);
        let failed = chance.random_bool(truth.fails);
        let cost = (truth.cost * times * LogNormal::new(-0.08, 0.4).unwrap().sample(chance)) as i64;
        let (provider, id) = model.split_once('/').unwrap();
        let day = FIRST.checked_add(Span::new().days(chance.random_range(0..DAYS))).unwrap();
        Entry {
            resident: format!("resident-{resident}"),
            day: day.to_string(),
            provider: provider.to_owned(),
            price_row: format!("{provider}/{id}@2026-01-01"),
            host: "global".to_owned(),
            outcome: if failed { Outcome::Rejected } else { Outcome::Completed },
            cost_euro_nanos: (!failed).then_some(cost),
            assignment: Assignment::Drawn,
            time_block: None,
            retried: false,
            client_left: false,
            length_class: if is_long { LengthClass::Long } else { LengthClass::Short },
            local_passages: false,
            local_hour: Some(if chance.random_bool(0.6) { 9 } else { 15 }),
            first_text_micros: (!failed).then_some(first_text as u64),
            duration_micros: (!failed).then_some((first_text * 4.0) as u64),
            output_chars: Some(900),
            ..full()
        }
    }

    fn round(&self, chance: &mut Pcg64, round: u32) -> Vec<Probe> {
        let weather = LogNormal::new(0.0, 0.2).unwrap().sample(chance);
        let mut probes = Vec::new();
        for question in 0..self.questions_of_basket {
            let difficulty = LogNormal::new(0.0, 0.4).unwrap().sample(chance);
            for (position, model) in [OPENAI, MISTRAL].into_iter().enumerate() {
                let truth = self.truth(model);
                let noise = LogNormal::new(0.0, truth.sigma).unwrap().sample(chance);
                let first_text = (truth.micros * weather * difficulty * noise) as u64;
                let failed = chance.random_bool(truth.fails);
                let (provider, id) = model.split_once('/').unwrap();
                let cost = truth.cost * difficulty * LogNormal::new(0.0, 0.1).unwrap().sample(chance);
                probes.push(Probe {
                    id: format!("{round}-{question}-{position}"),
                    round: format!("round-{round:03}"),
                    basket: "1".to_owned(),
                    basket_digest: "d".to_owned(),
                    question: format!("q{question}"),
                    length_class: [LengthClass::Short, LengthClass::Medium, LengthClass::Long][question as usize % 3],
                    local_passages: question % 3 == 2,
                    provider: provider.to_owned(),
                    model: id.to_owned(),
                    host: "global".to_owned(),
                    region: "global".to_owned(),
                    intended_at: 0,
                    lag_micros: 1_000,
                    position: position as u32,
                    request_id: "r".to_owned(),
                    outcome: if failed { Outcome::Rejected } else { Outcome::Completed },
                    error_type: None,
                    first_text_micros: (!failed).then_some(first_text),
                    duration_micros: (!failed).then_some(first_text * 3),
                    usage: full().usage,
                    cost_euro_nanos: (!failed).then_some(cost as i64),
                    output_chars: Some(800),
                    passed: (!failed).then(|| chance.random_bool(truth.passes)),
                    day: "2026-12-02".to_owned(),
                    local_hour: 9,
                });
            }
        }
        probes
    }

    /// The evidence of it, of a period that was declared beforehand and is over.
    pub(super) fn evidence(&self) -> Evidence {
        declared(self.data())
    }
}

/// Evidence of a declared period that is over.
pub(super) fn declared(data: ReportData) -> Evidence {
    let catalogue = Catalogue::new([OPENAI_TOML, MISTRAL_TOML].map(|text| ProviderCatalogue::parse(text).unwrap()));
    let rates = ExchangeRates::parse(crate::report::comparison::tests::RATES).unwrap();
    let period = Period { from: FIRST, to: date(2026, 12, 28) };
    let facts = Facts {
        catalogue: &catalogue,
        exchange_rates: &rates,
        hosts: BTreeMap::from([
            ("openai".to_owned(), vec!["global".to_owned()]),
            ("mistral_ai".to_owned(), vec!["eu".to_owned()]),
        ]),
        compared: vec![OPENAI.to_owned(), "mistral_ai/mistral-small-latest".to_owned()],
        evaluation: Some((period.from, period.to)),
        evaluation_subject: "evaluation period",
        buyer: Buyer {
            weights: [
                ("price", 40),
                ("latency", 10),
                ("quality", 15),
                ("ease_of_use", 10),
                ("data_protection", 15),
                ("environment", 10),
            ]
            .into_iter()
            .map(|(key, weight)| (key.to_owned(), weight))
            .collect(),
            vat_basis_points: 2_000,
            seat_euro_nanos: 24_000_000_000,
            assumed_euro_nanos: (20_000_000, 30_000_000),
            envelope_euro_nanos: 10_000_000_000_000,
        },
        terms_digest: "t".to_owned(),
        limit_seconds: 60,
        today: date(2026, 12, 30),
        now: "2026-12-30T08:00:00Z".parse().unwrap(),
    };
    let mut evidence = Evidence::of(data, &period, &facts);
    evidence.declared = Some((evidence.from.clone(), evidence.to.clone(), Some("2026-11-20".to_owned())));
    evidence
}

/// A duel that `resident` judged.
pub(super) fn duel(resident: u32, number: u32, models: (&str, &str), chars: (u64, u64), vote: Vote) -> Duel {
    let side = |model: &str, chars| {
        let (provider, id) = model.split_once('/').unwrap();
        DuelSide {
            provider: provider.to_owned(),
            model: id.to_owned(),
            host: "global".to_owned(),
            request_id: "r".to_owned(),
            first_text_micros: Some(1),
            duration_micros: Some(2),
            cost_euro_nanos: Some(3),
            output_tokens: Some(4),
            style: Style { chars, ..Style::default() },
            qualifiers: Vec::new(),
        }
    };
    Duel {
        id: format!("{resident}-{number}"),
        at: 0,
        day: "2026-12-03".to_owned(),
        resident: format!("resident-{resident}"),
        length_class: LengthClass::Short,
        left: side(models.0, chars.0),
        right: side(models.1, chars.1),
        vote,
    }
}
