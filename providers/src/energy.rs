//! Energy, carbon and water of an answer: one public method (EcoLogits), its dated table of architectures, and ranges.
//!
//! It answers what generating a number of output tokens may have used, between the smallest and the largest model that
//! an id may stand for. It must not know residents, money or the ledger. A model that the table does not hold has no
//! figure: `None`, never zero. Figures of another method (a vendor's own life-cycle assessment) do not belong beside
//! these: the two differ by two orders of magnitude for the same answer.

mod everyday;
mod formulas;
mod limits;
mod raw;
mod zone;

use std::collections::BTreeMap;
use std::ops::Add;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use everyday::Everyday;
pub use limits::Limit;
pub use raw::EnergyTableError;
pub use zone::{AssumedZone, LocationBasis};

/// The table as shipped: mixes, provider settings and architectures of the method's release.
pub const ENERGY_TOML: &str = include_str!("../catalogue/energy.toml");

/// An interval between the two ends of what is assumed of a model. It is no confidence interval: the truth may lie
/// outside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// With the smallest assumed architecture.
    pub low: f64,
    /// With the largest assumed architecture.
    pub high: f64,
}

impl Range {
    /// Both ends times `factor`, which must not be negative.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { low: self.low * factor, high: self.high * factor }
    }
}

impl Add for Range {
    type Output = Self;

    /// Adds end to end: all models at their smallest, all models at their largest.
    fn add(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }
}

/// How a model is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchitectureKind {
    /// Every parameter works on every token.
    Dense,
    /// Mixture of experts: a part of the parameters works on a token.
    Moe,
}

/// What the method assumes of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Dense or mixture of experts.
    pub kind: ArchitectureKind,
    /// All parameters, in billions.
    pub total_b: Range,
    /// Parameters at work on a token, in billions.
    pub active_b: Range,
    /// Speed of generation that the method's authors observed, in tokens per second.
    pub decode_tokens_per_s: Option<f64>,
    /// Time to first token that the method's authors observed, in seconds.
    pub ttft_s: Option<f64>,
    /// The vendor publishes no architecture: this row is a guess, made among others from prices.
    pub estimated: bool,
}

/// What one kilowatt-hour of a zone's electricity causes.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Name for people, in English.
    pub name: String,
    /// Kilograms of CO2 equivalent a kWh.
    pub gwp: f64,
    /// Primary energy, in megajoules a kWh.
    pub pe: f64,
    /// Abiotic resources, in kilograms of antimony equivalent a kWh.
    pub adpe: f64,
    /// Water, in litres a kWh.
    pub water: f64,
    /// The water figure is the world's: the zone has none of its own.
    pub world_water: bool,
}

/// What the method assumes of a vendor's data centres.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// Power usage effectiveness: energy of the site for one of IT energy.
    pub pue: f64,
    /// Water usage effectiveness: litres of the site's own water for a kWh of IT energy.
    pub wue: f64,
    /// Zone of the mix where the vendor promises no region.
    pub default_zone: String,
}

/// Which method made a figure; printed beside every one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Name of the method.
    pub name: String,
    /// Its release.
    pub version: String,
    /// Where formulas and table come from.
    pub source: String,
    /// Licence of the source.
    pub licence: String,
    /// Day on which the source was read.
    pub as_of: Date,
}

/// What an answer is made of, as far as the method looks at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output {
    /// Output tokens, hidden reasoning tokens included.
    pub tokens: f64,
    /// Measured duration of the answer in seconds, where there is one: the method lets no answer take longer.
    pub seconds: Option<f64>,
}

/// What one answer, or the answers of a period, may have used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Electricity of the data centre, in watt-hours.
    pub energy_wh: Range,
    /// Carbon of that electricity, in grams of CO2 equivalent.
    pub usage_gco2e: Range,
    /// Share of making the servers, in grams of CO2 equivalent.
    pub embodied_gco2e: Range,
    /// Usage and share of making, in grams of CO2 equivalent.
    pub total_gco2e: Range,
    /// Water of the site and of making the electricity, in millilitres. Making the servers is not in it.
    pub water_ml: Range,
    /// Abiotic resources, usage and share of making, in micrograms of antimony equivalent.
    pub adpe_ugsbe: Range,
    /// Primary energy, usage and share of making, in kilojoules.
    pub primary_energy_kj: Range,
}

impl Impact {
    fn combined(self, other: Self, join: impl Fn(Range, Range) -> Range) -> Self {
        Self {
            energy_wh: join(self.energy_wh, other.energy_wh),
            usage_gco2e: join(self.usage_gco2e, other.usage_gco2e),
            embodied_gco2e: join(self.embodied_gco2e, other.embodied_gco2e),
            total_gco2e: join(self.total_gco2e, other.total_gco2e),
            water_ml: join(self.water_ml, other.water_ml),
            adpe_ugsbe: join(self.adpe_ugsbe, other.adpe_ugsbe),
            primary_energy_kj: join(self.primary_energy_kj, other.primary_energy_kj),
        }
    }

    /// Everything times `factor`: one over the number of answers gives the mean answer. It must not be negative.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        self.combined(self, |range, _same| range.scaled(factor))
    }

    /// The same in everyday units.
    pub fn everyday(&self) -> Everyday {
        Everyday::of(self)
    }
}

impl Add for Impact {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combined(other, Range::add)
    }
}

/// The dated table of one release of the method.
#[derive(Clone, Debug)]
pub struct EnergyTable {
    method: Method,
    zones: BTreeMap<String, Mix>,
    providers: BTreeMap<String, ProviderSettings>,
    models: BTreeMap<String, BTreeMap<String, Architecture>>,
}

impl EnergyTable {
    /// The table that comes with the program.
    ///
    /// # Errors
    /// See [`EnergyTable::parse`].
    pub fn shipped() -> Result<Self, EnergyTableError> {
        Self::parse(ENERGY_TOML)
    }

    /// Reads and checks a table.
    ///
    /// # Errors
    /// Every mistake found, each with its place: an unknown key, a zone or provider that is not there, a number that
    /// is not positive, a minimum above its maximum, a row that comes twice.
    pub fn parse(text: &str) -> Result<Self, EnergyTableError> {
        raw::parse(text)
    }

    /// The method and its release.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// What is assumed of the model with that exact id, as the vendor returns it.
    pub fn model(&self, provider: &str, model: &str) -> Option<&Architecture> {
        self.models.get(provider)?.get(model)
    }

    /// Every row: provider, id and architecture.
    pub fn models(&self) -> impl Iterator<Item = (&str, &str, &Architecture)> {
        let rows = self.models.iter().flat_map(|(provider, rows)| rows.iter().map(move |row| (provider, row)));
        rows.map(|(provider, (id, architecture))| (provider.as_str(), id.as_str(), architecture))
    }

    /// What is assumed of a vendor's data centres.
    pub fn provider(&self, provider: &str) -> Option<&ProviderSettings> {
        self.providers.get(provider)
    }

    /// The electricity of a zone, by its three letters: `FRA`, `SWE`, `EEE` for Europe, `WOR` for the world.
    pub fn zone(&self, zone: &str) -> Option<&Mix> {
        self.zones.get(zone)
    }

    /// Every zone: its three letters and its mix.
    pub fn zones(&self) -> impl Iterator<Item = (&str, &Mix)> {
        self.zones.iter().map(|(id, mix)| (id.as_str(), mix))
    }

    /// Where an answer of a vendor's host is assumed to be made. `None` for a region or vendor that nothing is assumed
    /// of.
    pub fn zone_of_host(&self, provider: &str, region: &str) -> Option<AssumedZone<'_>> {
        zone::of_host(self.provider(provider)?, region)
    }

    /// What one answer may have used. `None` where the model, the vendor or the zone is not in the table, or a number
    /// is negative or not finite: unknown is not zero.
    pub fn impact(&self, provider: &str, model: &str, zone: &str, output: Output) -> Option<Impact> {
        self.impact_of_sum(provider, model, zone, 1, output)
    }

    /// What `answers` answers of one model may have used, from their sums: tokens and, where all were measured,
    /// seconds. Exact without measured seconds, as all formulas are linear in tokens and answers. With them the
    /// method's cap acts on the sum instead of each answer, which gives the same or more, never less.
    pub fn impact_of_sum(
        &self,
        provider: &str,
        model: &str,
        zone: &str,
        answers: u64,
        total: Output,
    ) -> Option<Impact> {
        let amount = |value: f64| (value.is_finite() && value >= 0.0).then_some(value);
        let output = formulas::Sums {
            answers: answers as f64,
            tokens: amount(total.tokens)?,
            seconds: match total.seconds {
                Some(seconds) => Some(amount(seconds)?),
                None => None,
            },
        };
        let (architecture, site, mix) = (self.model(provider, model)?, self.provider(provider)?, self.zone(zone)?);
        Some(formulas::impact(architecture, site, mix, output))
    }

    /// What a reader must know of such a figure: the limits of the method, then those of this model and zone. Empty
    /// where there is no figure.
    pub fn limits(&self, provider: &str, model: &str, zone: &str) -> Vec<Limit> {
        match (self.model(provider, model), self.zone(zone)) {
            (Some(architecture), Some(mix)) => limits::of(architecture, mix),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
