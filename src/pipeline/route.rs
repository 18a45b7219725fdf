//! Which vendor, model, price row and host answer a request, and with what probability: a pure decision.
//!
//! A vendor's own model id goes to that vendor. A route draws the vendor by keyed hash of the conversation, so that the
//! choice is random over conversations and the same within one. It must not call anybody.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use providers::ProviderId;
use providers::catalogue::{Host, Model, Operation, PriceRow, ProviderCatalogue, Resolved};
use providers::exchange::ExchangeRate;
use providers::money::Money;
use providers::request::ApiRequest;
use providers::upstream::{CallContext, Encoded, encode};
use providers::usage::Usage;

use super::{Asking, Offer, Pipeline, PipelineError, ROUTES_OWNER, Witness};
use crate::config::{Plan, Residency, RouteConfig};
use crate::identity::{Authenticated, InstanceSecret};
use crate::ledger::{Assignment, Ceiling, LengthClass, Stops};
use crate::quota::Windows;
use crate::terms::Terms;
use crate::trail::Trail;

/// Everything about calling one vendor for this request.
#[derive(Clone, Debug)]
pub struct Leg {
    pub(super) provider: ProviderId,
    pub(super) account: Option<String>,
    /// The vendor's models and prices, as they were when the request came in.
    pub(super) catalogue: Arc<ProviderCatalogue>,
    pub(super) model: Arc<Model>,
    pub(super) sent_id: Arc<str>,
    pub(super) host: Host,
    pub(super) price: Arc<PriceRow>,
    pub(super) uplift_percent: u32,
    /// The cheaper service tier that is asked of the vendor, if any.
    pub(super) service_tier: Option<&'static str>,
    pub(super) rate: ExchangeRate,
    /// Most the call can cost, in the vendor's currency.
    pub(super) ceiling_cost: Money,
    /// Most the call can use.
    pub(super) ceiling: Ceiling,
}

/// A call that can be made.
#[derive(Debug)]
pub struct Call {
    pub(super) leg: Arc<Leg>,
    /// The request in the vendor's words.
    pub(super) encoded: Encoded,
}

/// What the books say of a request. The request itself is kept only in its vendors' words, and no longer than they are
/// needed: it may be as long as a photograph, and its answer may take minutes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) operation: Operation,
    pub(super) stream: bool,
    pub(super) choices: u64,
    pub(super) length: LengthClass,
    /// The question came with passages of the town's own pages.
    pub(super) local_passages: bool,
}

impl Asked {
    fn of(request: &ApiRequest, local_passages: bool) -> Self {
        Self {
            local_passages,
            operation: request.operation(),
            stream: request.is_stream(),
            choices: request.choices(),
            length: LengthClass::of_bytes(request.asked_bytes().unwrap_or(0)),
        }
    }
}

/// How the vendor of a request was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    pub(super) assignment: Assignment,
    /// In millionths, where it was drawn.
    pub(super) probability_ppm: Option<u32>,
    /// The epoch it was drawn in.
    pub(super) epoch: Option<u32>,
    /// Beginning of the block of time it was drawn for, seconds since 1970.
    pub(super) time_block: Option<i64>,
}

impl Draw {
    /// Not drawn: by name, and so by whoever asked.
    fn named(assignment: Assignment) -> Self {
        Self { assignment, probability_ppm: None, epoch: None, time_block: None }
    }
}

/// A request that may be admitted: the model exists and is allowed, its vendor can express the request, the price is
/// known, the host is where it must be.
#[derive(Debug)]
#[must_use]
pub struct Routed {
    pub(super) who: Authenticated,
    pub(super) asked: Asked,
    /// The model or route asked for, or chosen where none was.
    pub(super) model: String,
    pub(super) request_id: String,
    /// Wall time of receipt.
    pub(super) received_at: Timestamp,
    pub(super) windows: Windows,
    pub(super) route: Option<String>,
    pub(super) draw: Draw,
    /// Hears of the entry once the call is settled.
    pub(super) witness: Option<Witness>,
    /// Where operators find it again.
    pub(super) trail: Trail,
    /// The vendor to call, then those that may take over, in order; [`super::dispatch`] makes them.
    pub(super) calls: Vec<Call>,
    pub(super) ceiling: Ceiling,
}

impl Routed {
    /// What `usage` costs at the vendor that is called first, nano-euros.
    pub(super) fn cost_of(&self, usage: &Usage) -> Option<i64> {
        let leg = &self.calls.first()?.leg;
        let cost = leg.price.cost_at(leg.service_tier, usage, leg.uplift_percent).ok()?;
        leg.rate.to_euro(cost).ok().map(Money::nanos)
    }
}

/// Millionths, the unit of recorded probabilities.
const PPM: u128 = 1_000_000;

/// What a call is made of, beside the model.
struct Wanted<'a> {
    pipeline: &'a Pipeline,
    terms: &'a Terms,
    stops: &'a Stops,
    request: &'a ApiRequest,
    /// The model or route asked for, for what is said to the client.
    model: &'a str,
    plan: &'a Plan,
    today: Date,
    /// The resident as vendors see them.
    pseudonym: &'a str,
    request_id: &'a str,
}

pub(super) fn route(
    pipeline: &Pipeline,
    who: Authenticated,
    request: &ApiRequest,
    asking: Asking,
) -> Result<Routed, PipelineError> {
    let Asking { request_id, local_passages, witness, trail } = asking;
    let received_at = pipeline.clock.now();
    let windows = pipeline.calendar.windows(received_at);
    let today = received_at.to_zoned_datetime(TimeZone::UTC).date();
    let plan = Arc::clone(who.plan());
    let terms = Arc::clone(who.terms());
    let stops = pipeline.ledger.recent_stops()?;
    stops.check_plan(&plan.name).map_err(PipelineError::Stopped)?;
    let allowed = |id: &str| plan.models.is_empty() || plan.models.iter().any(|model| model == id);
    let known = |id: &&str| allowed(id) && terms.catalogue.resolve(id, today).is_some();
    let model = asked_model(request, known);
    let pseudonym = pipeline.secret.vendor_pseudonym(who.resident(), &windows.month.label);
    let wanted = Wanted {
        pipeline,
        terms: &terms,
        stops: &stops,
        request,
        model: &model,
        plan: &plan,
        today,
        pseudonym: &pseudonym,
        request_id: &request_id,
    };
    let named = terms.routes.get(&model).filter(|_| allowed(&model) && request.operation() == Operation::Chat);
    let (route, draw, calls) = match named {
        Some(route) => {
            let block = route.switchback.map(|length| block_at(received_at, length));
            let (mut calls, draw) = draw(&wanted, &who, able_calls(&wanted, route)?, block)?;
            if !route.fallback {
                calls.truncate(1);
            }
            (Some(model.clone()), draw, calls)
        }
        None => {
            let found = terms
                .catalogue
                .resolve(&model, today)
                .filter(|found| allowed(&model) && found.model.operation == request.operation())
                .ok_or_else(|| PipelineError::ModelNotFound(model.clone()))?;
            (None, Draw::named(who.assignment()), vec![call(&wanted, &found, plan.hosts)?])
        }
    };
    let ceiling = ceiling_of(&calls);
    Ok(Routed {
        who,
        asked: Asked::of(request, local_passages),
        model,
        request_id,
        received_at,
        windows,
        route,
        draw,
        witness,
        trail,
        calls,
        ceiling,
    })
}

/// Only one vendor is ever paid for: the dearest bounds them all.
fn ceiling_of(calls: &[Call]) -> Ceiling {
    Ceiling {
        tokens: calls.iter().map(|call| call.leg.ceiling.tokens).max().unwrap_or(0),
        euro_nanos: calls.iter().map(|call| call.leg.ceiling.euro_nanos).max().unwrap_or(0),
    }
}

/// The model or route asked for; where none was, the first of the endpoint's usual ones that is known.
fn asked_model(request: &ApiRequest, known: impl Fn(&&str) -> bool) -> String {
    match request.model() {
        "" => request.default_models().iter().copied().find(known).unwrap_or_default().to_owned(),
        asked => asked.to_owned(),
    }
}

/// The targets of a route that can answer, each with its weight. A target outside the region, switched off by its
/// vendor, or unable to express the request is no target; when none is left, the client hears why.
fn able_calls(wanted: &Wanted<'_>, route: &RouteConfig) -> Result<Vec<(Call, u32)>, PipelineError> {
    let residency = route.hosts.and(wanted.plan.hosts);
    let mut calls = Vec::with_capacity(route.targets.len());
    let mut refusal = None;
    for target in &route.targets {
        let Some(found) = wanted.terms.catalogue.resolve(&target.model, wanted.today) else { continue };
        match call(wanted, &found, residency) {
            Ok(call) => calls.push((call, target.weight)),
            Err(PipelineError::OutsideRegion(_) | PipelineError::ModelNotFound(_)) => {}
            Err(error @ (PipelineError::Invalid(_) | PipelineError::Stopped(_))) => refusal = refusal.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match refusal {
        Some(refusal) if calls.is_empty() => Err(refusal),
        _ => Ok(calls),
    }
}

/// The first host of a vendor, as the operator prefers them, that is where it must be.
fn host_of<'a>(pipeline: &Pipeline, found: &'a Resolved, residency: Residency) -> Option<&'a Host> {
    let configured = pipeline.providers.get(&found.provider.id)?;
    let mut hosts = configured.hosts.iter().filter_map(|id| found.provider.host(id));
    hosts.find(|host| residency.allows(&host.region))
}

/// Whether a model could be asked by its name now: offered, priced, not stopped, with a host where it must be.
pub(super) fn is_able(pipeline: &Pipeline, who: &Authenticated, id: &str, stops: &Stops) -> bool {
    let today = pipeline.clock.now().to_zoned_datetime(TimeZone::UTC).date();
    let terms = who.terms();
    terms.catalogue.resolve(id, today).is_some_and(|found| {
        !found.model.is_retired(today)
            && found.model.price_at(today).is_some()
            && terms.exchange_rates.at(found.provider.currency, today).is_some()
            && stops.check_provider(found.provider.id.as_str()).is_ok()
            && host_of(pipeline, &found, who.plan().hosts).is_some()
    })
}

fn call(wanted: &Wanted<'_>, found: &Resolved, residency: Residency) -> Result<Call, PipelineError> {
    let Wanted { pipeline, terms, request, plan, today, .. } = wanted;
    let asked = || wanted.model.to_owned();
    let model = &found.model;
    if model.is_retired(*today) {
        return Err(PipelineError::ModelNotFound(asked()));
    }
    wanted.stops.check_provider(found.provider.id.as_str()).map_err(PipelineError::Stopped)?;
    let configured = pipeline.providers.get(&found.provider.id);
    let host = host_of(pipeline, found, residency).ok_or_else(|| PipelineError::OutsideRegion(asked()))?;
    let price = model.price_at(*today).ok_or_else(|| PipelineError::Unpriced(asked()))?;
    let rate = terms.exchange_rates.at(found.provider.currency, *today);
    let rate = rate.ok_or_else(|| PipelineError::Unpriced(asked()))?;
    let max_output_tokens = request
        .max_output_tokens()
        .unwrap_or(u64::MAX)
        .min(plan.max_output_tokens)
        .min(model.max_output_tokens.unwrap_or(u64::MAX));
    let uplift_percent = host.uplift_for(model);
    let tool_calls = request.tool_calls(found.provider.dialect, price, plan.tool_calls_per_question);
    let bound = request.bound(model, max_output_tokens)?.with_tool_calls(tool_calls, model.context_window);
    let service_tier = request.cheaper_tier(found.provider.dialect, price, &bound);
    let overflow = || PipelineError::Internal("the ceiling of a call does not fit");
    let ceiling_cost = price.ceiling_at(service_tier, &bound, uplift_percent).map_err(|_| overflow())?;
    let ceiling = Ceiling {
        tokens: bound.input_tokens.saturating_add(bound.output_tokens),
        euro_nanos: rate.to_euro(ceiling_cost).map_err(|_| overflow())?.nanos(),
    };
    let context = CallContext {
        model_id: &found.sent_id,
        model,
        max_output_tokens,
        tool_calls,
        service_tier,
        safety_identifier: wanted.pseudonym,
        request_id: wanted.request_id,
    };
    let encoded = encode(found.provider.dialect, request, &context)?;
    let leg = Leg {
        provider: found.provider.id.clone(),
        account: configured.and_then(|provider| provider.account.clone()),
        catalogue: Arc::clone(&found.provider),
        model: Arc::clone(model),
        sent_id: Arc::clone(&found.sent_id),
        host: host.clone(),
        price: Arc::clone(price),
        uplift_percent,
        service_tier,
        rate,
        ceiling_cost,
        ceiling,
    };
    Ok(Call { leg: Arc::new(leg), encoded })
}

/// Draws one call by weight and puts it first; the others follow in their configured order. In a switchback the block of
/// time decides for everybody in it, otherwise the conversation.
fn draw(
    wanted: &Wanted<'_>,
    who: &Authenticated,
    mut calls: Vec<(Call, u32)>,
    block: Option<i64>,
) -> Result<(Vec<Call>, Draw), PipelineError> {
    let total: u128 = calls.iter().map(|(_, weight)| u128::from(*weight)).sum();
    if total == 0 {
        return Err(PipelineError::OutsideRegion(wanted.model.to_owned()));
    }
    let epoch = wanted.terms.comparison.epoch;
    let (secret, model) = (&wanted.pipeline.secret, wanted.model.as_bytes());
    let hash = match block {
        Some(block) => draw_hash(secret, "block", &[model, &block.to_be_bytes()], epoch),
        None => {
            let seed = wanted.request.conversation_seed();
            draw_hash(secret, "draw", &[who.resident().as_bytes(), model, &seed], epoch)
        }
    };
    let drawn = pick(&hash, calls.iter().map(|(_, weight)| *weight), total);
    let (first, weight) = calls.remove(drawn);
    let draw = Draw {
        assignment: if block.is_some() { Assignment::Block } else { Assignment::Drawn },
        probability_ppm: Some(u32::try_from(u128::from(weight) * PPM / total).unwrap_or(u32::MAX)),
        epoch: (epoch != 0).then_some(epoch),
        time_block: block,
    };
    Ok((std::iter::once(first).chain(calls.into_iter().map(|(call, _)| call)).collect(), draw))
}

/// What decides a draw for one conversation or block. The first epoch, 0, adds nothing: conversations that were drawn before
/// there were epochs stay where they are.
fn draw_hash(secret: &InstanceSecret, purpose: &str, of: &[&[u8]], epoch: u32) -> [u8; 32] {
    let epoch_text = epoch.to_string();
    let epoch_part = (epoch != 0).then_some(epoch_text.as_bytes());
    let parts: Vec<&[u8]> = of.iter().copied().chain(epoch_part).collect();
    secret.keyed_hash(purpose, &parts)
}

/// The beginning of the block of that length, counted from 1970, seconds.
fn block_at(at: Timestamp, length: Duration) -> i64 {
    let length = i64::try_from(length.as_secs()).unwrap_or(i64::MAX).max(1);
    at.as_second() - at.as_second().rem_euclid(length)
}

/// The index at which the running sum of weights passes a uniform point of `0..total`.
fn pick(hash: &[u8; 32], weights: impl Iterator<Item = u32>, total: u128) -> usize {
    let point = hash.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    // Multiply and shift: uniform to within 2⁻³² for weights of 32 bits.
    let point = (u128::from(point) * total) >> 64;
    let mut sum = 0;
    let mut last = 0;
    for (index, weight) in weights.enumerate() {
        sum += u128::from(weight);
        if weight > 0 {
            last = index;
        }
        if point < sum {
            return index;
        }
    }
    last
}

pub(super) fn offered(who: &Authenticated, now: Timestamp) -> Vec<Offer<'_>> {
    let (terms, plan) = (who.terms(), who.plan());
    let today = now.to_zoned_datetime(TimeZone::UTC).date();
    let allowed = |id: &str| plan.models.is_empty() || plan.models.iter().any(|model| model == id);
    let reached = |route: &RouteConfig| {
        let found = route.targets.iter().filter_map(|target| terms.catalogue.resolve(&target.model, today));
        found.map(|found| found.model).collect()
    };
    let routes = terms.routes.iter().map(|(id, route)| Offer { id, owner: ROUTES_OWNER, models: reached(route) });
    let models = terms.catalogue.providers().flat_map(|provider| {
        let priced = provider
            .ids_at(today)
            .filter(move |(_, model)| model.price_at(today).is_some() && !model.is_retired(today));
        priced.map(|(id, model)| Offer { id, owner: provider.id.as_str(), models: vec![Arc::clone(model)] })
    });
    routes.chain(models).filter(|offer| allowed(offer.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn draws_follow_the_weights() {
        let mut counts = [0u32; 3];
        for n in 0u64..30_000 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            counts[pick(&hash, [1, 0, 2].into_iter(), 3)] += 1;
        }
        assert_eq!(counts[1], 0, "a weight of zero is never drawn");
        assert!(counts[0].abs_diff(10_000) < 100 && counts[2].abs_diff(20_000) < 100, "{counts:?}");
    }

    #[test]
    fn conversations_of_before_there_were_epochs_stay_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let secret = InstanceSecret::load_or_create(&folder.path().join("secret")).unwrap();
        let of: [&[u8]; 3] = [b"resident", b"auto", b"seed"];
        assert_eq!(draw_hash(&secret, "draw", &of, 0), secret.keyed_hash("draw", &of));
        assert_ne!(draw_hash(&secret, "draw", &of, 1), draw_hash(&secret, "draw", &of, 0));
        assert_ne!(draw_hash(&secret, "draw", &of, 1), draw_hash(&secret, "draw", &of, 2));
    }

    proptest! {
        #[test]
        fn a_draw_is_always_a_target_with_a_weight(hash: [u8; 32], weights in proptest::collection::vec(0u32..1000, 1..6)) {
            let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            prop_assume!(total > 0);
            prop_assert!(weights[pick(&hash, weights.iter().copied(), total)] > 0);
        }
    }
}
