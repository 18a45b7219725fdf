//! The table's file as written, and the checks that turn it into an [`EnergyTable`].

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use super::{Architecture, ArchitectureKind, EnergyTable, Method, Mix, ProviderSettings, Range};

/// Why a table is refused: every mistake, one a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", mistakes.join("\n"))]
pub struct EnergyTableError {
    /// The mistakes, each with its place.
    pub mistakes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    method: String,
    version: String,
    source: String,
    licence: String,
    as_of: Date,
    zones: Vec<RawZone>,
    providers: Vec<RawProvider>,
    models: Vec<RawModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZone {
    id: String,
    name: String,
    gwp: f64,
    pe: f64,
    adpe: f64,
    water: f64,
    #[serde(default)]
    world_water: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProvider {
    id: String,
    pue: f64,
    wue: f64,
    default_zone: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    provider: String,
    id: String,
    architecture: ArchitectureKind,
    total_b: [f64; 2],
    active_b: [f64; 2],
    decode_tokens_per_s: Option<f64>,
    ttft_s: Option<f64>,
    #[serde(default)]
    estimated: bool,
}

pub(super) fn parse(text: &str) -> Result<EnergyTable, EnergyTableError> {
    let raw: RawTable = toml::from_str(text)
        .map_err(|error| EnergyTableError { mistakes: vec![crate::written::mistake(text, &error)] })?;
    let mut mistakes = Vec::new();
    let zones = zones(raw.zones, &mut mistakes);
    let providers = providers(raw.providers, &zones, &mut mistakes);
    let models = models(raw.models, &providers, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(EnergyTableError { mistakes });
    }
    let method =
        Method { name: raw.method, version: raw.version, source: raw.source, licence: raw.licence, as_of: raw.as_of };
    Ok(EnergyTable { method, zones, providers, models })
}

fn zones(rows: Vec<RawZone>, mistakes: &mut Vec<String>) -> BTreeMap<String, Mix> {
    let mut zones = BTreeMap::new();
    for row in rows {
        let place = format!("zone `{}`", row.id);
        positive(&place, &[("gwp", row.gwp), ("pe", row.pe), ("adpe", row.adpe), ("water", row.water)], mistakes);
        let mix = Mix {
            name: row.name,
            gwp: row.gwp,
            pe: row.pe,
            adpe: row.adpe,
            water: row.water,
            world_water: row.world_water,
        };
        if zones.insert(row.id, mix).is_some() {
            mistakes.push(format!("{place} comes twice"));
        }
    }
    zones
}

fn providers(
    rows: Vec<RawProvider>,
    zones: &BTreeMap<String, Mix>,
    mistakes: &mut Vec<String>,
) -> BTreeMap<String, ProviderSettings> {
    let mut providers = BTreeMap::new();
    for row in rows {
        let place = format!("provider `{}`", row.id);
        positive(&place, &[("pue", row.pue), ("wue", row.wue)], mistakes);
        if row.pue < 1.0 {
            mistakes.push(format!("{place}: pue is below 1, less than the servers themselves take"));
        }
        if !zones.contains_key(&row.default_zone) {
            mistakes.push(format!("{place}: there is no zone `{}`", row.default_zone));
        }
        let settings = ProviderSettings { pue: row.pue, wue: row.wue, default_zone: row.default_zone };
        if providers.insert(row.id, settings).is_some() {
            mistakes.push(format!("{place} comes twice"));
        }
    }
    providers
}

fn models(
    rows: Vec<RawModel>,
    providers: &BTreeMap<String, ProviderSettings>,
    mistakes: &mut Vec<String>,
) -> BTreeMap<String, BTreeMap<String, Architecture>> {
    let mut models: BTreeMap<String, BTreeMap<String, Architecture>> = BTreeMap::new();
    for row in rows {
        let place = format!("model `{}/{}`", row.provider, row.id);
        if !providers.contains_key(&row.provider) {
            mistakes.push(format!("{place}: there is no provider `{}`", row.provider));
        }
        let architecture = architecture(&row, &place, mistakes);
        if models.entry(row.provider).or_default().insert(row.id, architecture).is_some() {
            mistakes.push(format!("{place} comes twice"));
        }
    }
    models
}

fn architecture(row: &RawModel, place: &str, mistakes: &mut Vec<String>) -> Architecture {
    let ([total_low, total_high], [active_low, active_high]) = (row.total_b, row.active_b);
    positive(place, &[("total_b", total_low), ("active_b", active_low)], mistakes);
    let observed = [("decode_tokens_per_s", row.decode_tokens_per_s), ("ttft_s", row.ttft_s)];
    for (key, value) in observed {
        if let Some(value) = value {
            positive(place, &[(key, value)], mistakes);
        }
    }
    // Written so that a number that is none fails too.
    for (key, low, high) in [("total_b", total_low, total_high), ("active_b", active_low, active_high)] {
        if !(low <= high && high.is_finite()) {
            mistakes.push(format!("{place}: {key} must be [minimum, maximum]"));
        }
    }
    if active_low > total_low || active_high > total_high {
        mistakes.push(format!("{place}: more parameters are active than there are"));
    }
    if row.architecture == ArchitectureKind::Dense && row.total_b != row.active_b {
        mistakes.push(format!("{place}: in a dense model all parameters are active"));
    }
    Architecture {
        kind: row.architecture,
        total_b: Range { low: total_low, high: total_high },
        active_b: Range { low: active_low, high: active_high },
        decode_tokens_per_s: row.decode_tokens_per_s,
        ttft_s: row.ttft_s,
        estimated: row.estimated,
    }
}

fn positive(place: &str, values: &[(&str, f64)], mistakes: &mut Vec<String>) {
    for (key, value) in values {
        if !(value.is_finite() && *value > 0.0) {
            mistakes.push(format!("{place}: {key} must be above zero"));
        }
    }
}
