//! What a round costs, said before it is begun.
//!
//! It must not ask anybody.

use std::sync::Arc;

use providers::usage::Usage;
use serde::{Deserialize, Serialize};

use super::basket::Basket;
use super::{Parts, ask};
use crate::identity::{Authenticated, TownAccount};
use crate::pipeline::PipelineError;

/// Bytes of French text to a token, about: what is expected, never what is held.
const BYTES_PER_TOKEN: u64 = 4;
/// An answer takes about this part of its limit.
const LIMIT_PER_ANSWER: u64 = 2;

/// What a round costs. Amounts are nano-euros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Questions.
    pub questions: usize,
    /// Models, by their qualified ids.
    pub models: Vec<String>,
    /// The sum of the ceilings: nothing beyond it is ever spent.
    pub most_euro_nanos: i64,
    /// With a token for four bytes of the question, and answers of half their limit.
    pub expected_euro_nanos: i64,
}

pub(super) fn estimate(
    parts: &Parts,
    basket: &Basket,
    questions: &[usize],
    models: &[String],
) -> Result<Estimate, PipelineError> {
    let terms = parts.terms.get();
    let (mut most, mut expected) = (0_i64, 0_i64);
    for question in questions.iter().filter_map(|index| basket.questions.get(*index)) {
        for model in models {
            let Some(request) = ask::request(basket, question, model) else { continue };
            let usage = Usage {
                input_uncached: request.text_bytes().unwrap_or(0) / BYTES_PER_TOKEN,
                output_visible: question.max_output_tokens / LIMIT_PER_ANSWER,
                ..Usage::default()
            };
            let town = Authenticated::town(TownAccount::Probes, Arc::clone(&terms));
            let quote = parts.pipeline.quote(town, &request, Some(&usage))?;
            most = most.saturating_add(quote.most_euro_nanos);
            expected = expected.saturating_add(quote.expected_euro_nanos.unwrap_or(quote.most_euro_nanos));
        }
    }
    Ok(Estimate {
        questions: questions.len(),
        models: models.to_vec(),
        most_euro_nanos: most,
        expected_euro_nanos: expected,
    })
}
