//! The life of a request, as types: `Authenticated → Entered → Routed → Admitted → Dispatched → Settled`.
//!
//! Each stage is a value that only the function before it makes. Routing comes before admission, because what is held is
//! the ceiling price of the chosen model. From admission on the work is carried on by whoever waits for the answer, and by
//! a task of the process once nobody does: a client that leaves stops nothing. It must not know HTTP: statuses and bodies
//! are made in `http`.

mod admit;
mod deliver;
mod dispatch;
mod enter;
mod frames;
mod gauges;
mod route;
mod said;
mod settle;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use providers::ProviderId;
use providers::catalogue::Model;
use providers::chat::InvalidRequest;
use providers::error::ProviderError;
use providers::request::ApiRequest;
use providers::upstream::Upstream;
use providers::usage::Usage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub use admit::Admitted;
pub use dispatch::Dispatched;
pub use enter::Entered;
pub use frames::Frames;
pub use route::{Call, Leg, Routed};
pub use said::Said;
pub use settle::Settled;

use admit::Place;
use work::Work;

use crate::clock::{Clock, Tick};
use crate::config::{Config, ProviderConfig};
use crate::identity::{Authenticated, InstanceSecret};
use crate::ledger::{Entry, Ledger, Stop, StopScope, StoreError};
use crate::quota::{Calendar, RateRefusal, RateState, Refusal};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics;
use crate::terms::CurrentTerms;
use crate::trail::Trail;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The request itself is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// Neither a route nor a model that this resident may use.
    #[error("the model `{0}` does not exist or is not allowed")]
    ModelNotFound(String),
    /// The model has no price in force: it is refused, never free.
    #[error("the model `{0}` has no price today")]
    Unpriced(String),
    /// No host of the model is where questions may be processed.
    #[error("the model `{0}` cannot be reached within the required region")]
    OutsideRegion(String),
    /// Too often or too many at once.
    #[error("rate limit: {}", .0.as_str())]
    Rate(RateRefusal),
    /// The town, the vendor or the plan is stopped.
    #[error("stopped: {}", .0.subject())]
    Stopped(Stop),
    /// The key was revoked, or its resident suspended, while the request came in.
    #[error("the key is not valid any more")]
    Revoked,
    /// Nothing, or too little, is left.
    #[error("quota: {}", .0.limit)]
    Quota(Refusal),
    /// The ledger could not hold the money: no vendor was called.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vendor failed, and nobody could take over.
    #[error("{provider}: {error}")]
    Provider {
        /// The vendor of the last attempt.
        provider: ProviderId,
        /// What happened there.
        error: Box<ProviderError>,
    },
    /// The process is stopping.
    #[error("shutting down")]
    ShuttingDown,
    /// Something that must not happen.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl PipelineError {
    /// The label of admission metrics and the ledger's count of refusals; `None` for what is no refusal.
    pub fn refusal_reason(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(_) => Some("invalid_request"),
            Self::ModelNotFound(_) => Some("model_not_found"),
            Self::Unpriced(_) => Some("unpriced"),
            Self::OutsideRegion(_) => Some("outside_region"),
            Self::Rate(refusal) => Some(refusal.as_str()),
            Self::Quota(refusal) => Some(refusal.limit.as_str()),
            Self::Stopped(_) => Some("stopped"),
            Self::Revoked => Some("revoked"),
            Self::Store(_) => Some("store_unavailable"),
            Self::ShuttingDown => Some("shutting_down"),
            Self::Provider { .. } | Self::Internal(_) => None,
        }
    }
}

/// Who asked on the town's behalf hears by this what the books say of the call.
pub type Witness = oneshot::Sender<Entry>;

/// What is to be kept of a request beside its content.
#[derive(Debug, Default)]
pub struct Asking {
    /// Our id of it.
    pub request_id: String,
    /// Whether it came with passages of the town's own pages.
    pub local_passages: bool,
    /// Hears of the entry once the call is settled; closed without a word when no vendor was asked.
    pub witness: Option<Witness>,
    /// Where operators find it again; it knows the trace that the request belongs to.
    pub trail: Trail,
}

/// A request that has arrived.
#[derive(Debug)]
pub struct Incoming {
    /// What is asked, or what is wrong with it.
    pub request: Result<ApiRequest, InvalidRequest>,
    /// What is to be kept of it.
    pub asking: Asking,
    /// When it was there whole.
    pub received: Tick,
    /// What it takes of the memory or of the disk, given back once it is with the vendor that answers.
    pub room: OwnedSemaphorePermit,
}

/// Where an answer comes from, for the response headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The vendor.
    pub provider: ProviderId,
    /// The model id the vendor returned, or the one sent.
    pub model: String,
    /// The host called.
    pub host: String,
    /// Names of the client's fields that were left out.
    pub dropped: Vec<String>,
}

/// Where a resident stands once a request was let in, for the response headers.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The rate.
    pub rate: RateState,
    /// Tokens that the plan allows per day.
    pub tokens_per_day: u64,
    /// Of those, left beside everything held.
    pub tokens_left: u64,
    /// When the day ends.
    pub day_ends: Timestamp,
}

/// An answer on its way to the client.
#[derive(Debug)]
pub struct Answered {
    /// Where it comes from.
    pub origin: Origin,
    /// Where the resident stands.
    pub standing: Standing,
    /// The answer.
    pub delivery: Delivery,
}

/// A whole answer, or one that comes piece by piece.
#[derive(Debug)]
pub enum Delivery {
    /// Not streamed; settled.
    Whole {
        /// The answer in OpenAI's shape.
        body: Bytes,
        /// Its media type.
        content_type: &'static str,
        /// Exact cost in nano-euros, where it is known.
        cost_euro_nanos: Option<i64>,
    },
    /// Streamed: event-stream frames. The last of them comes once the call is settled.
    Stream(Frames),
}

/// Everything that the stages share.
pub struct Pipeline {
    providers: BTreeMap<ProviderId, ProviderConfig>,
    upstreams: BTreeMap<ProviderId, Upstream>,
    calendar: Calendar,
    lease: Duration,
    /// How long a whole call may take, its delivery included.
    total: Duration,
    /// How long a client waits for a sign of life.
    keep_alive: Duration,
    drain: Duration,
    drains: Arc<Semaphore>,
    max_attempts: u32,
    secret: InstanceSecret,
    terms: CurrentTerms,
    ledger: Ledger,
    clock: Clock,
    shutdown: Shutdown,
}

impl Pipeline {
    /// Builds the pipeline from the configuration and the process's parts.
    pub fn new(
        config: &Config,
        terms: CurrentTerms,
        secret: InstanceSecret,
        ledger: Ledger,
        clock: Clock,
        shutdown: Shutdown,
    ) -> Self {
        let upstream = |provider: &ProviderConfig| {
            let dialect = config.catalogue.provider(&provider.id)?.dialect;
            let transport = &config.upstream.transport;
            Some((provider.id.clone(), Upstream::new(provider.id.clone(), dialect, &provider.api_key, transport)))
        };
        gauges::begin(config.providers.iter().map(|provider| &provider.id));
        Self {
            providers: config.providers.iter().map(|provider| (provider.id.clone(), provider.clone())).collect(),
            upstreams: config.providers.iter().filter_map(upstream).collect(),
            calendar: config.calendar.clone(),
            lease: config.lease,
            total: config.upstream.transport.deadlines.total,
            keep_alive: config.server.keep_alive,
            drain: config.upstream.drain,
            drains: Arc::new(Semaphore::new(config.upstream.max_drains)),
            max_attempts: config.upstream.max_attempts,
            secret,
            terms,
            ledger,
            clock,
            shutdown,
        }
    }

    /// Gives vendors the keys of a configuration read again, from the next call on.
    pub fn replace_keys(&self, providers: &[ProviderConfig]) {
        for provider in providers {
            if let Some(upstream) = self.upstreams.get(&provider.id) {
                upstream.replace_key(&provider.api_key);
            }
        }
    }

    /// Whether there is such a vendor or plan, those of the town's own accounts included; the town is always there.
    pub fn knows(&self, scope: StopScope, name: &str) -> bool {
        match scope {
            StopScope::Town => true,
            StopScope::Provider => self.providers.contains_key(&ProviderId::new(name)),
            StopScope::Plan => self.terms.get().rate_guard(name).is_some(),
        }
    }

    /// Models and routes that somebody may ask for, with the model behind each id and its vendor.
    pub fn offered<'a>(&self, who: &'a Authenticated) -> Vec<Offer<'a>> {
        route::offered(who, self.clock.now())
    }

    /// Those of the models that somebody could ask by name now.
    ///
    /// # Errors
    /// [`PipelineError::Store`] when the ledger cannot say what is stopped.
    pub fn able<'a>(&self, who: &Authenticated, ids: &'a [String]) -> Result<Vec<&'a String>, PipelineError> {
        let stops = self.ledger.stops()?;
        Ok(ids.iter().filter(|id| route::is_able(self, who, id, &stops)).collect())
    }

    /// What a request would hold if it came now, and what `usage` would cost where it is given: nobody is called, nothing is
    /// held or counted.
    ///
    /// # Errors
    /// [`PipelineError`] when it would be refused before anything is held.
    pub fn quote(
        &self,
        who: Authenticated,
        request: &ApiRequest,
        usage: Option<&Usage>,
    ) -> Result<Quote, PipelineError> {
        let routed = route::route(self, who, request, Asking::default())?;
        let expected = usage.and_then(|usage| routed.cost_of(usage));
        Ok(Quote { most_euro_nanos: routed.ceiling.euro_nanos, expected_euro_nanos: expected })
    }

    /// Answers a request; one that could not be read is refused, and counted like any other refusal. Every endpoint that
    /// can reach a vendor goes through here.
    ///
    /// # Errors
    /// [`PipelineError`], counted by reason when it is a refusal.
    pub async fn answer(self: &Arc<Self>, entered: Entered, incoming: Incoming) -> Result<Answered, PipelineError> {
        self.counted(self.try_answer(entered, incoming).await)
    }

    /// Lets somebody in whose rate allows it; a refusal is counted like any other.
    ///
    /// # Errors
    /// [`PipelineError::Rate`], or [`PipelineError::ShuttingDown`].
    pub fn enter(&self, who: Authenticated) -> Result<Entered, PipelineError> {
        self.counted(enter::enter(self, who))
    }

    /// Counts what is a refusal by its reason.
    fn counted<T>(&self, result: Result<T, PipelineError>) -> Result<T, PipelineError> {
        if let Some(reason) = result.as_ref().err().and_then(PipelineError::refusal_reason) {
            metrics().admissions.with_label_values(&[reason]).inc();
            self.ledger.count_refusal(&self.calendar.date(self.clock.now()).to_string(), reason);
        }
        result
    }

    async fn try_answer(self: &Arc<Self>, entered: Entered, incoming: Incoming) -> Result<Answered, PipelineError> {
        let Incoming { request, asking, received, room } = incoming;
        let Entered { who, rate, permit } = entered;
        if self.shutdown.has_begun() {
            return Err(PipelineError::ShuttingDown);
        }
        let routed = route::route(self, who, &request?, asking)?;
        let place = Place { rate, permit, received };
        // From here on nothing may stop half-way: the client can leave, the hold must be resolved.
        Work::begin(&self.shutdown, Arc::clone(self).run(routed, place, room)).await
    }

    async fn run(
        self: Arc<Self>,
        routed: Routed,
        place: Place,
        room: OwnedSemaphorePermit,
    ) -> Result<Answered, PipelineError> {
        let admitted = admit::admit(&self, routed, place).await?;
        metrics().admissions.with_label_values(&["admitted"]).inc();
        let dispatched = dispatch::dispatch(&self, admitted).await;
        // Sent, and not to be sent again: what follows needs nothing of it, however long the answer goes on.
        drop(room);
        match dispatched {
            Ok(dispatched) => Ok(deliver::deliver(&self, dispatched).await),
            Err(failed) => Err(failed.settle(&self).await),
        }
    }
}

/// What a request would cost, nano-euros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What is held for it.
    pub most_euro_nanos: i64,
    /// What the given usage costs, where it was given and has a price.
    pub expected_euro_nanos: Option<i64>,
}

/// Something a resident may ask for by name.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// The id.
    pub id: &'a str,
    /// The vendor, or `passerelle` for a route.
    pub owner: &'a str,
    /// The model behind it, or those that a route may reach.
    pub models: Vec<Arc<Model>>,
}

impl Offer<'_> {
    /// The model behind it; absent for a route, which has no window and no price of its own.
    pub fn model(&self) -> Option<&Model> {
        self.models.first().filter(|_| self.owner != ROUTES_OWNER).map(|model| &**model)
    }
}

/// Who owns routes.
const ROUTES_OWNER: &str = "passerelle";
