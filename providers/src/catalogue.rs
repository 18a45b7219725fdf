//! Models, hosts and dated prices: one file a vendor, embedded in the program and replaceable by the operator.
//!
//! It answers which model an id stands for on a day, what a usage costs, and what a call can cost at most. It must
//! not know residents, quotas or exchange rates.

mod price;
mod raw;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

pub use price::{LongContext, PriceRow, PricingError, Rates, Tier, ToolRates, UsageBound};
pub use raw::CatalogueError;

use crate::money::Currency;
use crate::{Dialect, ProviderId};

/// OpenAI's catalogue file as shipped.
pub const OPENAI_TOML: &str = include_str!("../catalogue/openai.toml");
/// Mistral's catalogue file as shipped.
pub const MISTRAL_TOML: &str = include_str!("../catalogue/mistral.toml");

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Chat completions and Responses.
    Chat,
    /// Embeddings.
    Embeddings,
    /// Moderations.
    Moderation,
    /// Transcriptions of sound.
    Transcription,
}

impl Operation {
    /// The name used in OpenTelemetry's `gen_ai.operation.name`; of one's own making where it has none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Moderation => "moderation",
            Self::Transcription => "transcription",
        }
    }
}

/// One address at which a vendor serves its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Short name within the vendor: `global`, `eu`.
    pub id: String,
    /// Where the vendor promises to process: `eu`, `us`, or `global` for no promise.
    pub region: String,
    /// Address, ending in `/v1`.
    pub base_url: String,
    /// Added to every price, in percent.
    pub uplift_percent: u32,
    /// The uplift only concerns models released on or after this day.
    pub uplift_from_release: Option<Date>,
}

impl Host {
    /// The uplift that applies to `model` on this host, in percent. A model of unknown release pays it: a ceiling
    /// must not be too low.
    pub fn uplift_for(&self, model: &Model) -> u32 {
        match (self.uplift_from_release, model.released) {
            (Some(from), Some(released)) if released < from => 0,
            _ => self.uplift_percent,
        }
    }
}

/// What a vendor says of what is sent to it, in English and in French.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// What it keeps by default, and for how long.
    pub retention: (String, String),
    /// Days that it keeps questions by default; absent where the source gives no number.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// The law that reaches it.
    pub law: (String, String),
    /// Whether its seat is under the law of a member state of the European Union.
    pub eu_seat: bool,
    /// Whether it trains on what is sent.
    pub training: (String, String),
    /// Whether it says that it does not, without being asked.
    pub no_training_by_default: bool,
    /// Where this was read.
    pub source: String,
    /// When.
    pub as_of: Date,
}

/// One model, under its most specific id.
#[derive(Clone, Debug)]
pub struct Model {
    /// The vendor's id.
    pub id: Arc<str>,
    /// What it is for.
    pub operation: Operation,
    /// Day of release, where known.
    pub released: Option<Date>,
    /// Day on which the vendor switches it off, where announced.
    pub retires: Option<Date>,
    /// Room for input, in tokens.
    pub context_window: u64,
    /// Longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Whether it spends hidden reasoning tokens.
    pub reasoning: bool,
    /// Whether it looks at images.
    pub vision: bool,
    /// Most input tokens of one image, by the vendor's rule; where that is not known an image may fill the window.
    pub image_tokens: Option<u64>,
    /// Whether it listens to sound in a message.
    pub audio_input: bool,
    /// Whether it reads files (PDF) in a message.
    pub file_input: bool,
    /// Longest sound the vendor takes, in seconds.
    pub max_audio_seconds: Option<u64>,
    /// Length of an embedding vector.
    pub embedding_dimensions: Option<u32>,
    prices: Vec<Arc<PriceRow>>,
}

impl Model {
    /// The price row in force on `date` (UTC), if there is one. A model without a price is refused, never free.
    pub fn price_at(&self, date: Date) -> Option<&Arc<PriceRow>> {
        self.prices.iter().rev().find(|row| row.from <= date && row.until.is_none_or(|until| date < until))
    }

    /// Whether the vendor has switched it off by `date`.
    pub fn is_retired(&self, date: Date) -> bool {
        self.retires.is_some_and(|day| day <= date)
    }

    /// Every price row, oldest first.
    pub fn prices(&self) -> &[Arc<PriceRow>] {
        &self.prices
    }
}

#[derive(Clone, Debug)]
struct Alias {
    model: Arc<Model>,
    from: Date,
    until: Option<Date>,
}

/// The catalogue of one vendor.
#[derive(Clone, Debug)]
pub struct ProviderCatalogue {
    /// Name of the vendor.
    pub id: ProviderId,
    /// Name for people.
    pub name: String,
    /// Wire format.
    pub dialect: Dialect,
    /// Billing currency.
    pub currency: Currency,
    /// Day on which the facts were checked.
    pub as_of: Date,
    /// Addresses.
    pub hosts: Vec<Host>,
    /// What becomes of what is sent, where it was looked up.
    pub data: Option<DataFacts>,
    models: BTreeMap<Arc<str>, Arc<Model>>,
    aliases: BTreeMap<String, Vec<Alias>>,
}

impl ProviderCatalogue {
    /// Reads and checks one catalogue file.
    ///
    /// # Errors
    /// Every mistake found, each with its place: an unknown key, an alias to nowhere, overlapping price rows, a price
    /// that looks like "per token" typed for "per million".
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        raw::parse(text)
    }

    /// The model that `id` stands for on `date`: its own id, or a dated alias.
    pub fn resolve(&self, id: &str, date: Date) -> Option<&Arc<Model>> {
        self.models.get(id).or_else(|| {
            let rows = self.aliases.get(id)?;
            let row = rows.iter().rev().find(|row| row.from <= date && row.until.is_none_or(|until| date < until))?;
            Some(&row.model)
        })
    }

    /// Every model, by id.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    /// Every alias: its id, the id of the model it stands for, and the days from and until which it does.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str, Date, Option<Date>)> {
        let rows = self.aliases.iter().flat_map(|(id, rows)| rows.iter().map(move |row| (id, row)));
        rows.map(|(id, row)| (id.as_str(), &*row.model.id, row.from, row.until))
    }

    /// The host of that short name.
    pub fn host(&self, id: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.id == id)
    }

    /// Every id a client may ask for on `date`, with the model behind it: canonical ids first, then aliases.
    pub fn ids_at(&self, date: Date) -> impl Iterator<Item = (&str, &Arc<Model>)> {
        let canonical = self.models.iter().map(|(id, model)| (&**id, model));
        let aliases = self.aliases.keys().filter_map(move |id| Some((id.as_str(), self.resolve(id, date)?)));
        canonical.chain(aliases)
    }
}

/// The catalogues of all configured vendors.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    providers: BTreeMap<ProviderId, Arc<ProviderCatalogue>>,
}

/// A model found by the id a client asked for.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The vendor.
    pub provider: Arc<ProviderCatalogue>,
    /// The model.
    pub model: Arc<Model>,
    /// The id to send: what was asked, without the vendor's prefix.
    pub sent_id: Arc<str>,
}

impl Catalogue {
    /// Puts vendors' catalogues together.
    pub fn new(providers: impl IntoIterator<Item = ProviderCatalogue>) -> Self {
        Self { providers: providers.into_iter().map(|entry| (entry.id.clone(), Arc::new(entry))).collect() }
    }

    /// Finds a model by a vendor's own id (`mistral-small-latest`) or a qualified id (`openai/gpt-6-luna`). Where two
    /// vendors know one id, the first by name wins; a qualified id says which.
    pub fn resolve(&self, id: &str, date: Date) -> Option<Resolved> {
        let found = |provider: &Arc<ProviderCatalogue>, id: &str| {
            let model = provider.resolve(id, date)?;
            Some(Resolved { provider: Arc::clone(provider), model: Arc::clone(model), sent_id: id.into() })
        };
        self.providers.values().find_map(|provider| found(provider, id)).or_else(|| {
            id.split_once('/').and_then(|(name, rest)| found(self.providers.get(&ProviderId::new(name))?, rest))
        })
    }

    /// The catalogue of one vendor.
    pub fn provider(&self, id: &ProviderId) -> Option<&Arc<ProviderCatalogue>> {
        self.providers.get(id)
    }

    /// All vendors, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<ProviderCatalogue>> {
        self.providers.values()
    }
}

#[cfg(test)]
mod tests;
