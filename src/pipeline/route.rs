//! Which vendor, model, price row and host answer a request, and with what probability: a pure decision.
//!
//! A vendor's own model id goes to that vendor. A route draws the vendor by keyed hash of the conversation, so that the
//! choice is random over conversations and the same within one. It must not call anybody.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use providers::ProviderId;
use providers::catalogue::{Host, Model, Operation, PriceRow, Resolved, UsageBound};
use providers::chat::ChatRequest;
use providers::exchange::ExchangeRate;
use providers::money::Money;

use super::{Offer, Pipeline, PipelineError};
use crate::config::{Plan, Residency};
use crate::identity::Authenticated;
use crate::ledger::{Assignment, Ceiling};

/// Everything about calling one vendor for this request.
#[derive(Clone, Debug)]
pub struct Leg {
    pub(super) provider: ProviderId,
    pub(super) account: Option<String>,
    pub(super) model: Arc<Model>,
    pub(super) sent_id: Arc<str>,
    pub(super) host: Host,
    pub(super) price: Arc<PriceRow>,
    pub(super) uplift_percent: u32,
    pub(super) rate: ExchangeRate,
    pub(super) max_output_tokens: u64,
    /// Most the call can cost, in the vendor's currency.
    pub(super) ceiling_cost: Money,
    /// Most the call can use.
    pub(super) ceiling: Ceiling,
}

/// A request that may be admitted: the model exists and is allowed, the price is known, the host is where it must be.
#[derive(Debug)]
#[must_use]
pub struct Routed {
    pub(super) who: Authenticated,
    pub(super) request: ChatRequest,
    pub(super) request_id: String,
    pub(super) route: Option<String>,
    pub(super) assignment: Assignment,
    pub(super) probability_ppm: Option<u32>,
    /// The vendor to call, then those that may take over, in order.
    pub(super) legs: Vec<Leg>,
    pub(super) ceiling: Ceiling,
}

/// Millionths, the unit of recorded probabilities.
const PPM: u128 = 1_000_000;

pub(super) fn route(
    pipeline: &Pipeline,
    who: Authenticated,
    request: ChatRequest,
    request_id: String,
) -> Result<Routed, PipelineError> {
    let today = pipeline.clock.now().to_zoned_datetime(TimeZone::UTC).date();
    let plan = Arc::clone(who.plan());
    let allowed = plan.models.is_empty() || plan.models.contains(&request.model);
    let named = pipeline.routes.get(&request.model).filter(|_| allowed);
    let (route, assignment, probability_ppm, legs) = match named {
        Some(route) => {
            let residency = route.hosts.and(plan.hosts);
            let legs: Result<Vec<_>, _> = route
                .targets
                .iter()
                .filter_map(|target| Some((pipeline.catalogue.resolve(&target.model, today)?, target.weight)))
                .map(|(found, weight)| Ok((leg(pipeline, &found, &request, &plan, residency, today)?, weight)))
                // A target outside the region, or switched off by its vendor, is no target; any other mistake is the
                // request's.
                .filter(|leg: &Result<_, PipelineError>| {
                    !matches!(leg, Err(PipelineError::OutsideRegion(_) | PipelineError::ModelNotFound(_)))
                })
                .collect();
            let (legs, probability) = draw(pipeline, &who, &request, legs?)?;
            let legs = if route.fallback { legs } else { legs.into_iter().take(1).collect() };
            (Some(request.model.clone()), Assignment::Drawn, Some(probability), legs)
        }
        None => {
            let found = pipeline
                .catalogue
                .resolve(&request.model, today)
                .filter(|found| allowed && found.model.operation == Operation::Chat)
                .ok_or_else(|| PipelineError::ModelNotFound(request.model.clone()))?;
            (None, Assignment::Chosen, None, vec![leg(pipeline, &found, &request, &plan, plan.hosts, today)?])
        }
    };
    // Only one vendor is ever paid for: the dearest bounds them all.
    let ceiling = Ceiling {
        tokens: legs.iter().map(|leg| leg.ceiling.tokens).max().unwrap_or(0),
        euro_nanos: legs.iter().map(|leg| leg.ceiling.euro_nanos).max().unwrap_or(0),
    };
    Ok(Routed { who, request, request_id, route, assignment, probability_ppm, legs, ceiling })
}

fn leg(
    pipeline: &Pipeline,
    found: &Resolved,
    request: &ChatRequest,
    plan: &Plan,
    residency: Residency,
    today: Date,
) -> Result<Leg, PipelineError> {
    let model = &found.model;
    if model.is_retired(today) {
        return Err(PipelineError::ModelNotFound(request.model.clone()));
    }
    let configured = pipeline.providers.get(&found.provider.id);
    let host = configured
        .iter()
        .flat_map(|provider| &provider.hosts)
        .filter_map(|id| found.provider.host(id))
        .find(|host| residency.allows(&host.region))
        .ok_or_else(|| PipelineError::OutsideRegion(request.model.clone()))?;
    let unpriced = || PipelineError::Unpriced(request.model.clone());
    let price = model.price_at(today).ok_or_else(unpriced)?;
    let rate = pipeline.exchange_rates.at(found.provider.currency, today).ok_or_else(unpriced)?;
    let max_output_tokens = request
        .max_output_tokens
        .unwrap_or(u64::MAX)
        .min(plan.max_output_tokens)
        .min(model.max_output_tokens.unwrap_or(u64::MAX));
    let uplift_percent = host.uplift_for(model);
    // A vendor refuses what is larger than its model's room, so that room bounds the input as well.
    let input = request.input_bound().min(model.context_window);
    let output = max_output_tokens.saturating_mul(request.choices);
    let overflow = |_| PipelineError::Internal("the ceiling of a call does not fit");
    let ceiling_cost = price
        .ceiling(&UsageBound { input_tokens: input, output_tokens: output, audio_millis: 0 }, uplift_percent)
        .map_err(overflow)?;
    let ceiling = Ceiling {
        tokens: input.saturating_add(output),
        euro_nanos: rate.to_euro(ceiling_cost).map_err(overflow)?.nanos(),
    };
    Ok(Leg {
        provider: found.provider.id.clone(),
        account: configured.and_then(|provider| provider.account.clone()),
        model: Arc::clone(model),
        sent_id: Arc::clone(&found.sent_id),
        host: host.clone(),
        price: Arc::clone(price),
        uplift_percent,
        rate,
        max_output_tokens,
        ceiling_cost,
        ceiling,
    })
}

/// Draws one leg by weight and puts it first; the others follow in their configured order.
fn draw(
    pipeline: &Pipeline,
    who: &Authenticated,
    request: &ChatRequest,
    mut legs: Vec<(Leg, u32)>,
) -> Result<(Vec<Leg>, u32), PipelineError> {
    let total: u128 = legs.iter().map(|(_, weight)| u128::from(*weight)).sum();
    if total == 0 {
        return Err(PipelineError::OutsideRegion(request.model.clone()));
    }
    let seed = request.conversation_seed();
    let hash = pipeline.secret.keyed_hash("draw", &[who.resident().as_bytes(), request.model.as_bytes(), &seed]);
    let drawn = pick(&hash, legs.iter().map(|(_, weight)| *weight), total);
    let (first, weight) = legs.remove(drawn);
    let probability = u32::try_from(u128::from(weight) * PPM / total).unwrap_or(u32::MAX);
    Ok((std::iter::once(first).chain(legs.into_iter().map(|(leg, _)| leg)).collect(), probability))
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

pub(super) fn offered<'a>(pipeline: &'a Pipeline, plan: &'a Plan) -> Vec<Offer<'a>> {
    let today = pipeline.clock.now().to_zoned_datetime(TimeZone::UTC).date();
    let allowed = |id: &str| plan.models.is_empty() || plan.models.iter().any(|model| model == id);
    let routes = pipeline.routes.keys().map(|id| Offer { id, owner: "passerelle", model: None });
    let models = pipeline.catalogue.providers().flat_map(|provider| {
        let priced = provider.ids_at(today).filter(move |(_, model)| {
            model.operation == Operation::Chat && model.price_at(today).is_some() && !model.is_retired(today)
        });
        priced.map(|(id, model)| Offer { id, owner: provider.id.as_str(), model: Some(model) })
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

    proptest! {
        #[test]
        fn a_draw_is_always_a_target_with_a_weight(hash: [u8; 32], weights in proptest::collection::vec(0u32..1000, 1..6)) {
            let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            prop_assume!(total > 0);
            prop_assert!(weights[pick(&hash, weights.iter().copied(), total)] > 0);
        }
    }
}
