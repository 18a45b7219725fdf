//! Energy and carbon of each model's mean answer, by the method that the vendors' crate knows.

use std::collections::BTreeMap;

use providers::energy::{EnergyTable, Output};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::evidence::Evidence;

const MILLIS_PER_KILO: f64 = 1_000.0;

/// From low to high.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Range {
    /// Low end.
    pub low: f64,
    /// High end.
    pub high: f64,
}

/// Energy of a model's mean answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnergyRow {
    /// Qualified id.
    pub model: String,
    /// Mean output tokens of an answer, hidden reasoning included.
    pub output_tokens: f64,
    /// Zone of the electricity mix that the method takes for the host.
    pub zone: String,
    /// Whether the method knows the architecture from the vendor, or guesses it.
    pub is_estimated: bool,
    /// Watt-hours of an answer.
    pub energy_wh: Range,
    /// Grams of CO2 equivalent of an answer, use and making of the hardware.
    pub carbon_g: Range,
    /// Millilitres of water.
    pub water_ml: Range,
    /// Minutes of a 5 W lamp.
    pub lamp_minutes: Range,
    /// All answers of the period, probes included: kilowatt-hours.
    pub period_kwh: Range,
}

/// Energy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnergySection {
    /// Name and version of the method.
    pub method: String,
    /// Models whose architecture it knows.
    pub rows: Vec<EnergyRow>,
    /// Models of which nothing can be said.
    pub unknown: Vec<String>,
}

/// What a model's answers came to: answers, output tokens with hidden reasoning, and the region of the host that gave most.
#[derive(Default)]
struct Given {
    answers: u64,
    tokens: u64,
    by_region: BTreeMap<String, u64>,
}

pub(super) fn section(evidence: &Evidence) -> EnergySection {
    let Ok(table) = EnergyTable::shipped() else { return EnergySection::default() };
    let method = table.method();
    let mut section =
        EnergySection { method: format!("{} {}", method.name, method.version), ..EnergySection::default() };
    for (model, given) in given(evidence) {
        match row(&table, &model, &given) {
            Some(row) => section.rows.push(row),
            None => section.unknown.push(model),
        }
    }
    section
}

/// Everything that was answered in the period, for residents, probes and duels alike: all of it used energy.
fn given(evidence: &Evidence) -> BTreeMap<String, Given> {
    let mut models: BTreeMap<String, Given> = BTreeMap::new();
    for cell in evidence.usage.iter().filter(|cell| cell.operation == "chat") {
        let Some(sums) = cell.sums.as_ref().filter(|sums| sums.answers > 0) else { continue };
        let given = models.entry(cell.model.clone()).or_default();
        given.answers += sums.answers;
        given.tokens += sums.tokens[3] + sums.tokens[4];
        *given.by_region.entry(cell.region.clone()).or_default() += sums.answers;
    }
    models
}

fn row(table: &EnergyTable, model: &str, given: &Given) -> Option<EnergyRow> {
    let (provider, id) = model.split_once('/')?;
    let region = given.by_region.iter().max_by_key(|(_, answers)| **answers)?.0;
    let zone = table.zone_of_host(provider, region)?.zone;
    let tokens = real(given.tokens) / real(given.answers);
    let impact = table.impact(provider, id, zone, Output { tokens, seconds: None })?;
    let range = |range: providers::energy::Range| Range { low: range.low, high: range.high };
    let kilowatt_hours = impact.energy_wh.scaled(real(given.answers) / MILLIS_PER_KILO);
    Some(EnergyRow {
        model: model.to_owned(),
        output_tokens: tokens,
        zone: zone.to_owned(),
        is_estimated: table.model(provider, id)?.estimated,
        energy_wh: range(impact.energy_wh),
        carbon_g: range(impact.total_gco2e),
        water_ml: range(impact.water_ml),
        lamp_minutes: range(impact.everyday().led_bulb_minutes),
        period_kwh: range(kilowatt_hours),
    })
}

/// Watt-hours of a model's mean answer to the basket, the middle of the range, for a mark that needs one number: the same
/// questions to every model, at the host that the town calls. `None` where the method does not know the model or it was not
/// probed.
pub(super) fn middle(evidence: &Evidence, model: &str) -> Option<f64> {
    let mut given = Given::default();
    for row in evidence.probes.iter().filter(|row| row.model == model) {
        let Some(usage) = &row.usage else { continue };
        given.answers += 1;
        given.tokens += usage.output_tokens();
        *given.by_region.entry(row.region.clone()).or_default() += 1;
    }
    let row = row(&EnergyTable::shipped().ok()?, model, &given)?;
    Some(f64::midpoint(row.energy_wh.low, row.energy_wh.high))
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}
