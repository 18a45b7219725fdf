//! A catalogue file as written, and the checks that turn it into a [`ProviderCatalogue`].

mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::civil::Date;
use serde::Deserialize;

use self::tiers::{RawTier, RawToolCalls};
use super::{Alias, DataFacts, Host, LongContext, Model, Operation, PriceRow, ProviderCatalogue, Rates, Tier};
use crate::money::{Currency, parse_decimal};
use crate::{Dialect, ProviderId};

/// Prices are written in units per million tokens and kept in nano-units.
const PRICE_DECIMALS: usize = 9;
/// Below 0.001 a million somebody typed a price per token, above 1000 a price per thousand million.
const PLAUSIBLE_NANOS: RangeInclusive<u64> = 1_000_000..=1_000_000_000_000;
/// Below 0.0001 a minute somebody typed a price per second, above 1 a price per hour.
const PLAUSIBLE_NANOS_PER_MINUTE: RangeInclusive<u64> = 100_000..=1_000_000_000;
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
    data: Option<DataFacts>,
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
    #[serde(default)]
    vision: bool,
    image_tokens: Option<u64>,
    #[serde(default)]
    audio_input: bool,
    #[serde(default)]
    file_input: bool,
    max_audio_seconds: Option<u64>,
    embedding_dimensions: Option<u32>,
    prices: Vec<RawPrice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrice {
    from: Date,
    until: Option<Date>,
    input: Option<String>,
    cached_input: Option<String>,
    cache_write: Option<String>,
    output: Option<String>,
    audio_input: Option<String>,
    audio_minute: Option<String>,
    /// Free of charge, by the vendor's own word: the only way to have no rate.
    #[serde(default)]
    free: bool,
    source: String,
    long_context: Option<RawLongContext>,
    #[serde(default)]
    tiers: BTreeMap<String, RawTier>,
    #[serde(default)]
    tool_calls: RawToolCalls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLongContext {
    above_input_tokens: u64,
    input: Option<String>,
    cached_input: Option<String>,
    cache_write: Option<String>,
    output: Option<String>,
}

/// Units per million tokens, but for sound by the minute.
#[derive(Default)]
struct RawRates<'a> {
    input: Option<&'a str>,
    cached_input: Option<&'a str>,
    cache_write: Option<&'a str>,
    output: Option<&'a str>,
    audio_input: Option<&'a str>,
    audio_minute: Option<&'a str>,
}

impl RawPrice {
    fn rates(&self) -> RawRates<'_> {
        RawRates {
            input: self.input.as_deref(),
            cached_input: self.cached_input.as_deref(),
            cache_write: self.cache_write.as_deref(),
            output: self.output.as_deref(),
            audio_input: self.audio_input.as_deref(),
            audio_minute: self.audio_minute.as_deref(),
        }
    }
}

impl RawLongContext {
    fn rates(&self) -> RawRates<'_> {
        RawRates {
            input: self.input.as_deref(),
            cached_input: self.cached_input.as_deref(),
            cache_write: self.cache_write.as_deref(),
            output: self.output.as_deref(),
            ..RawRates::default()
        }
    }
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
        self.plausible(place, text, PLAUSIBLE_NANOS, "per million tokens is not plausible (0.001 to 1000)")
    }

    fn plausible(&mut self, place: &str, text: &str, range: RangeInclusive<u64>, complaint: &str) -> u64 {
        match parse_decimal(text, PRICE_DECIMALS) {
            Ok(nanos) if range.contains(&nanos) => nanos,
            Ok(_) => {
                self.mistake(place, format!("{text} {complaint}"));
                0
            }
            Err(error) => {
                self.mistake(place, error);
                0
            }
        }
    }

    fn rates(&mut self, place: &str, raw: &RawRates<'_>) -> Rates {
        let mut rate = |key: &str, text: Option<&str>| text.map(|text| self.rate(&format!("{place}.{key}"), text));
        let rates = Rates {
            input: rate("input", raw.input).unwrap_or(0),
            cached_input: rate("cached_input", raw.cached_input),
            cache_write: rate("cache_write", raw.cache_write),
            output: rate("output", raw.output).unwrap_or(0),
            audio_input: rate("audio_input", raw.audio_input),
            audio_minute: None,
        };
        let complaint = "per minute is not plausible (0.0001 to 1)";
        let audio_minute = raw
            .audio_minute
            .map(|text| self.plausible(&format!("{place}.audio_minute"), text, PLAUSIBLE_NANOS_PER_MINUTE, complaint));
        Rates { audio_minute, ..rates }
    }
}

pub(super) fn parse(text: &str) -> Result<ProviderCatalogue, CatalogueError> {
    let raw: RawCatalogue = toml::from_str(text)
        .map_err(|error| CatalogueError { mistakes: vec![crate::written::mistake(text, &error)] })?;
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
        data: raw.data,
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
    if raw.image_tokens.is_some() && !raw.vision {
        checker.mistake(&raw.id, "image_tokens without vision");
    }
    if raw.operation == Operation::Transcription && raw.max_audio_seconds.is_none() {
        checker.mistake(&raw.id, "max_audio_seconds is missing: without it a transcription has no ceiling");
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
        vision: raw.vision,
        image_tokens: raw.image_tokens,
        audio_input: raw.audio_input,
        file_input: raw.file_input,
        max_audio_seconds: raw.max_audio_seconds,
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
    if raw.until.is_some_and(|until| until <= raw.from) {
        checker.mistake(&id, "`until` must be after `from`");
    }
    let rates = checker.rates(&id, &raw.rates());
    check_unit(checker, &id, operation, raw.free, &raw.rates());
    let unit = Unit { operation, free: raw.free };
    let long_context = raw.long_context.as_ref().map(|long| check_long_context(checker, &id, unit, rates, long));
    let standard = Tier { rates, long_context };
    let tiers = tiers::check_tiers(checker, &id, unit, standard, &raw.tiers);
    let tool_calls = tiers::check_tool_calls(checker, &id, &raw.tool_calls);
    PriceRow {
        id: id.into(),
        currency,
        from: raw.from,
        until: raw.until,
        rates,
        long_context,
        tiers,
        tool_calls,
        source: raw.source,
    }
}

/// What a row's calls are billed by.
#[derive(Clone, Copy)]
struct Unit {
    operation: Operation,
    free: bool,
}

/// Rates of long context, beside `rates`, those of shorter ones: sound by the minute costs the same in both.
fn check_long_context(
    checker: &mut Checker,
    place: &str,
    unit: Unit,
    rates: Rates,
    raw: &RawLongContext,
) -> LongContext {
    let place = format!("{place}.long_context");
    check_unit(checker, &place, unit.operation, unit.free, &raw.rates());
    let long = checker.rates(&place, &raw.rates());
    LongContext {
        above_input_tokens: raw.above_input_tokens,
        rates: Rates { audio_minute: rates.audio_minute, ..long },
    }
}

/// Whatever a call of that kind is billed by has a rate: a missing one must not look like "free".
fn check_unit(checker: &mut Checker, place: &str, operation: Operation, free: bool, rates: &RawRates<'_>) {
    let tokens = rates.input.is_some();
    let any = tokens || rates.output.is_some() || rates.audio_minute.is_some();
    match operation {
        _ if free && any => checker.mistake(place, "is free and has a rate: which of them?"),
        _ if free => {}
        Operation::Chat if !tokens || rates.output.is_none() => {
            checker.mistake(place, "a chat model needs an input and an output price");
        }
        Operation::Transcription if rates.audio_minute.is_none() && (!tokens || rates.output.is_none()) => {
            checker.mistake(place, "a transcription needs `audio_minute`, or an input and an output price");
        }
        Operation::Embeddings | Operation::Moderation if !tokens => {
            checker.mistake(place, "needs an input price, or `free = true`");
        }
        _ => {}
    }
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
