//! A catalogue file as written, and the checks that turn it into a [`ProviderCatalogue`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use serde::Deserialize;

use super::{Alias, Host, LongContext, Model, Operation, PriceRow, ProviderCatalogue, Rates};
use crate::money::{Currency, parse_decimal};
use crate::{Dialect, ProviderId};

/// Prices are written in units per million tokens and kept in nano-units.
const PRICE_DECIMALS: usize = 9;
/// Below 0.001 a million somebody typed a price per token, above 1000 a price per thousand million.
const PLAUSIBLE_NANOS: std::ops::RangeInclusive<u64> = 1_000_000..=1_000_000_000_000;

/// Why a catalogue file is refused: every mistake, one a line.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", mistakes.join("\n"))]
pub struct CatalogueError {
    /// The mistakes, each with its place.
    pub mistakes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    provider: String,
    name: String,
    dialect: Dialect,
    currency: Currency,
    as_of: Date,
    #[serde(rename = "source")]
    _source: String,
    hosts: Vec<RawHost>,
    models: Vec<RawModel>,
    #[serde(default)]
    aliases: Vec<RawAlias>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    id: String,
    region: String,
    base_url: String,
    uplift_percent: u32,
    uplift_from_release: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    id: String,
    operation: Operation,
    released: Option<Date>,
    retires: Option<Date>,
    context_window: u64,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    reasoning: bool,
    embedding_dimensions: Option<u32>,
    prices: Vec<RawPrice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrice {
    from: Date,
    until: Option<Date>,
    input: String,
    cached_input: Option<String>,
    cache_write: Option<String>,
    output: Option<String>,
    source: String,
    long_context: Option<RawLongContext>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLongContext {
    above_input_tokens: u64,
    input: String,
    cached_input: Option<String>,
    cache_write: Option<String>,
    output: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlias {
    id: String,
    model: String,
    from: Date,
    until: Option<Date>,
}

/// Collects mistakes so that one reading reports them all.
struct Checker {
    mistakes: Vec<String>,
}

impl Checker {
    fn mistake(&mut self, place: &str, text: impl std::fmt::Display) {
        self.mistakes.push(format!("{place}: {text}"));
    }

    fn rate(&mut self, place: &str, text: &str) -> u64 {
        match parse_decimal(text, PRICE_DECIMALS) {
            Ok(nanos) if PLAUSIBLE_NANOS.contains(&nanos) => nanos,
            Ok(_) => {
                self.mistake(place, format!("{text} per million tokens is not plausible (0.001 to 1000)"));
                0
            }
            Err(error) => {
                self.mistake(place, error);
                0
            }
        }
    }

    fn rates(
        &mut self,
        place: &str,
        input: &str,
        cached: Option<&str>,
        write: Option<&str>,
        output: Option<&str>,
    ) -> Rates {
        Rates {
            input: self.rate(&format!("{place}.input"), input),
            cached_input: cached.map(|text| self.rate(&format!("{place}.cached_input"), text)),
            cache_write: write.map(|text| self.rate(&format!("{place}.cache_write"), text)),
            output: output.map_or(0, |text| self.rate(&format!("{place}.output"), text)),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<ProviderCatalogue, CatalogueError> {
    let raw: RawCatalogue =
        toml::from_str(text).map_err(|error| CatalogueError { mistakes: vec![error.to_string()] })?;
    let mut checker = Checker { mistakes: Vec::new() };
    let id = ProviderId::new(&raw.provider);
    let hosts = check_hosts(&mut checker, raw.hosts);
    let mut models = BTreeMap::new();
    for model in raw.models {
        let model = Arc::new(check_model(&mut checker, &id, raw.currency, model));
        if let Some(twice) = models.insert(Arc::clone(&model.id), model) {
            checker.mistake(&twice.id, "listed twice");
        }
    }
    let aliases = check_aliases(&mut checker, &models, raw.aliases);
    if !checker.mistakes.is_empty() {
        return Err(CatalogueError { mistakes: checker.mistakes });
    }
    Ok(ProviderCatalogue {
        id,
        name: raw.name,
        dialect: raw.dialect,
        currency: raw.currency,
        as_of: raw.as_of,
        hosts,
        models,
        aliases,
    })
}

fn check_hosts(checker: &mut Checker, raw: Vec<RawHost>) -> Vec<Host> {
    let mut seen = BTreeSet::new();
    if raw.is_empty() {
        checker.mistake("hosts", "at least one is needed");
    }
    for host in &raw {
        if !seen.insert(&host.id) {
            checker.mistake(&host.id, "host listed twice");
        }
        if !host.base_url.ends_with("/v1") {
            checker.mistake(&host.id, "base_url must end in /v1");
        }
        if host.uplift_percent > 100 {
            checker.mistake(&host.id, "an uplift above 100 % is not plausible");
        }
    }
    raw.into_iter()
        .map(|host| Host {
            id: host.id,
            region: host.region,
            base_url: host.base_url,
            uplift_percent: host.uplift_percent,
            uplift_from_release: host.uplift_from_release,
        })
        .collect()
}

fn check_model(checker: &mut Checker, provider: &ProviderId, currency: Currency, raw: RawModel) -> Model {
    let mut prices: Vec<Arc<PriceRow>> = raw
        .prices
        .into_iter()
        .map(|price| Arc::new(check_price(checker, &format!("{provider}/{}", raw.id), raw.operation, currency, price)))
        .collect();
    prices.sort_by_key(|row| row.from);
    for pair in prices.windows(2) {
        if let [earlier, later] = pair
            && earlier.until.is_none_or(|until| until > later.from)
        {
            checker.mistake(&earlier.id, format!("overlaps the row of {}: close it with `until`", later.from));
        }
    }
    if raw.context_window == 0 {
        checker.mistake(&raw.id, "context_window must not be 0");
    }
    Model {
        id: raw.id.into(),
        operation: raw.operation,
        released: raw.released,
        retires: raw.retires,
        context_window: raw.context_window,
        max_output_tokens: raw.max_output_tokens,
        reasoning: raw.reasoning,
        embedding_dimensions: raw.embedding_dimensions,
        prices,
    }
}

fn check_price(
    checker: &mut Checker,
    place: &str,
    operation: Operation,
    currency: Currency,
    raw: RawPrice,
) -> PriceRow {
    let id = format!("{place}@{}", raw.from);
    if operation == Operation::Chat && raw.output.is_none() {
        checker.mistake(&id, "a chat model needs an output price");
    }
    if raw.until.is_some_and(|until| until <= raw.from) {
        checker.mistake(&id, "`until` must be after `from`");
    }
    let rates =
        checker.rates(&id, &raw.input, raw.cached_input.as_deref(), raw.cache_write.as_deref(), raw.output.as_deref());
    let long_context = raw.long_context.map(|tier| LongContext {
        above_input_tokens: tier.above_input_tokens,
        rates: checker.rates(
            &format!("{id}.long_context"),
            &tier.input,
            tier.cached_input.as_deref(),
            tier.cache_write.as_deref(),
            Some(&tier.output),
        ),
    });
    PriceRow { id: id.into(), currency, from: raw.from, until: raw.until, rates, long_context, source: raw.source }
}

fn check_aliases(
    checker: &mut Checker,
    models: &BTreeMap<Arc<str>, Arc<Model>>,
    raw: Vec<RawAlias>,
) -> BTreeMap<String, Vec<Alias>> {
    let mut aliases: BTreeMap<String, Vec<Alias>> = BTreeMap::new();
    for alias in raw {
        if models.contains_key(alias.id.as_str()) {
            checker.mistake(&alias.id, "is both a model and an alias");
        }
        match models.get(alias.model.as_str()) {
            Some(model) => aliases.entry(alias.id).or_default().push(Alias {
                model: Arc::clone(model),
                from: alias.from,
                until: alias.until,
            }),
            None => checker.mistake(&alias.id, format!("stands for `{}`, which is not listed", alias.model)),
        }
    }
    for rows in aliases.values_mut() {
        rows.sort_by_key(|row| row.from);
    }
    aliases
}
