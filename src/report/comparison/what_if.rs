//! What an answer would cost if a vendor raised its prices, or if a model thought more or less.

use std::collections::BTreeMap;

use super::WhatIf;
use super::euros::{cost_at, per, tokens};
use crate::report::evidence::{Evidence, UsageSums};
use crate::report::forecast::{AnsweredCost, break_even_basis_points, price_changed};

/// Rises that are shown, in percent.
const RISES: [u32; 4] = [10, 25, 50, 100];
const BASIS_POINTS: i32 = 100;

/// For each compared model: by residents' answers, or by the basket's where residents got too few.
pub(super) fn what_if(evidence: &Evidence, by_model: &BTreeMap<String, Option<UsageSums>>) -> Vec<WhatIf> {
    let measured: Vec<(&String, UsageSums)> = evidence
        .compared
        .iter()
        .filter_map(|model| {
            let residents = by_model.get(model).copied().flatten().filter(|sums| sums.costed > 0);
            Some((model, residents.or_else(|| of_probes(evidence, model))?))
        })
        .collect();
    measured.iter().filter_map(|(model, sums)| row(evidence, model, sums, &measured)).collect()
}

fn cost(sums: &UsageSums) -> AnsweredCost {
    AnsweredCost { nanos: sums.cost_euro_nanos, answered: sums.costed }
}

fn row(evidence: &Evidence, model: &str, sums: &UsageSums, all: &[(&String, UsageSums)]) -> Option<WhatIf> {
    let per_answer = cost(sums).per_question_nanos()?;
    let rise = |percent: u32| {
        let basis_points = i32::try_from(percent).ok()?.checked_mul(BASIS_POINTS)?;
        Some((percent, price_changed(per_answer, basis_points)?))
    };
    let others = all.iter().filter(|(other, _)| *other != model);
    let break_even = others
        .filter_map(|(other, theirs)| Some(((*other).clone(), break_even_basis_points(cost(sums), cost(theirs))?)));
    let [.., reasoning] = sums.tokens;
    // At list prices both with and without, so that the difference is the reasoning's alone.
    let with_output = |output: u64| {
        let facts = evidence.models.iter().find(|known| known.model == model)?;
        let [uncached, cached, written, _] = tokens(sums);
        // At the host that is called first, as what was paid is.
        let in_eu = facts.hosts.first().is_some_and(|(_, region)| region == "eu");
        let uplift = facts.eu_uplift_percent.filter(|_| in_eu).unwrap_or(0);
        per(cost_at(evidence, facts, [uncached, cached, written, output], uplift)?, 1, sums.costed)
    };
    let [_, _, _, output] = tokens(sums);
    Some(WhatIf {
        model: model.to_owned(),
        per_answer_euro_nanos: per_answer,
        raised: RISES.into_iter().filter_map(rise).collect(),
        without_reasoning_euro_nanos: if reasoning > 0 { with_output(output - reasoning) } else { None },
        double_reasoning_euro_nanos: if reasoning > 0 { with_output(output + reasoning) } else { None },
        break_even: break_even.collect(),
    })
}

fn of_probes(evidence: &Evidence, model: &str) -> Option<UsageSums> {
    let mut sums = UsageSums::default();
    for row in evidence.probes.iter().filter(|row| row.model == model) {
        let (Some(cost), Some(usage)) = (row.cost_euro_nanos, &row.usage) else { continue };
        sums.merge(&UsageSums {
            questions: 1,
            answers: 1,
            costed: 1,
            cost_euro_nanos: cost,
            tokens: [
                usage.input_tokens().saturating_sub(usage.input_cached + usage.cache_write),
                usage.input_cached,
                usage.cache_write,
                usage.output_visible,
                usage.reasoning,
            ],
            ..UsageSums::default()
        });
    }
    (sums.costed > 0).then_some(sums)
}
