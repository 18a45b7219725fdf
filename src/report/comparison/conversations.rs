//! Conversations (or blocks of time) whose vendor was drawn: standardised figures, the strata as they came, the claims.

use super::measure::{Counts, Method, NOTHING, Sample, Times, measure};
use super::{ConversationSection, Metric, Slice};
use crate::ledger::Evidence as Kind;
use crate::report::evidence::{Drawn, DrawnModel, Evidence, GroupMass, StratumCell};

/// The metrics named in advance: what residents met themselves.
const PRIMARY: [Metric; 1] = [Metric::Answered];
/// Groups below which no interval is made.
const FEWEST_GROUPS: u8 = 8;
const MICROS_PER_MILLI: f64 = 1_000.0;

/// The section of one kind of draw.
pub(super) fn section(evidence: &Evidence, drawn: &Drawn, kind: Kind, method: Method) -> ConversationSection {
    let mut section = ConversationSection {
        drawn_for: kind.as_str().to_owned(),
        groups: drawn.folds.into(),
        people: drawn.people.map(u64::from),
        slices: drawn.cells.iter().map(|cell| slice(cell, evidence.limit_seconds)).collect(),
        share_left_out: drawn.share_left_out,
        models_left_out: drawn.left_out.clone(),
        refused: refusal(drawn).map(str::to_owned),
        chosen: if kind == Kind::Conversation { evidence.chosen.clone() } else { Vec::new() },
        ..ConversationSection::default()
    };
    let samples: Vec<Sample> = drawn.models.iter().map(|model| sample(model, evidence.limit_seconds)).collect();
    if samples.is_empty() {
        return section;
    }
    let (mut models, effects) = measure(&samples, evidence.limit_seconds, method.draws);
    for figures in &mut models {
        // What a failed question cost was paid for the vendor that took over.
        figures.cost_per_question = NOTHING;
    }
    section.models = models;
    if section.refused.is_none() {
        section.claims = effects.into_iter().map(|effect| effect.claim(&PRIMARY, None, method)).collect();
    }
    section
}

fn refusal(drawn: &Drawn) -> Option<&'static str> {
    if drawn.cells.is_empty() {
        return Some("none");
    }
    if drawn.models.len() < 2 {
        let for_overlap = drawn.left_out.values().any(|why| why == "no_overlap");
        let for_people = drawn.left_out.values().any(|why| why == "too_few_people");
        return Some(if for_overlap {
            "no_overlap"
        } else if for_people {
            "too_few_people"
        } else {
            "one_model"
        });
    }
    (drawn.folds < FEWEST_GROUPS).then_some("too_few_groups")
}

fn sample(model: &DrawnModel, limit_seconds: u64) -> Sample {
    let times = |values: &[u64], of: fn(&GroupMass) -> (&Vec<i64>, i64)| {
        let clusters: Vec<_> = model
            .groups
            .iter()
            .map(|group| {
                let (weights, never) = of(group);
                (values.iter().copied().zip(weights.iter().copied()).collect(), never)
            })
            .collect();
        Times::new(&clusters, limit_seconds)
    };
    let groups = model.groups.len();
    Sample {
        model: model.model.clone(),
        n: model.questions,
        first_text: times(&model.first_text, |group| (&group.first_text, group.without_text)),
        duration: times(&model.duration, |group| (&group.duration, group.without_end)),
        counts: model.groups.iter().map(|group| counts(group, groups)).collect(),
    }
}

/// The questions of all groups together are one, in equal parts.
fn counts(group: &GroupMass, groups: usize) -> Counts {
    Counts {
        questions: 1.0 / real(u64::try_from(groups).unwrap_or(u64::MAX)),
        answered: group.answered,
        prompt: group.prompt,
        costed: group.costed,
        cost: group.cost,
        chars: group.chars,
        ..Counts::default()
    }
}

fn slice(cell: &StratumCell, limit_seconds: u64) -> Slice {
    let limit = limit_seconds.saturating_mul(1_000_000);
    let mut slice = Slice {
        name: cell.stratum.to_string(),
        model: cell.model.clone(),
        questions: None,
        answered: None,
        first_text: None,
        duration: None,
        cost_per_answer: None,
        interrupted: cell.sums.as_ref().map(|sums| sums.interrupted),
        suppressed: cell.sums.is_none(),
    };
    if let Some(sums) = &cell.sums {
        let ratio = |top: f64, below: u64| (below > 0).then(|| top / real(below));
        let median = |times: &crate::ledger::Spread, beyond| {
            times.quantile(0.5, beyond).filter(|micros| *micros <= limit).map(|micros| real(micros) / MICROS_PER_MILLI)
        };
        slice.questions = Some(sums.questions);
        slice.answered = ratio(real(sums.answered), sums.questions);
        slice.first_text = median(&sums.first_text, sums.without_text);
        slice.duration = median(&sums.duration, sums.questions - sums.answered);
        slice.cost_per_answer = ratio(euros(sums.cost_euro_nanos), sums.costed);
    }
    slice
}

#[expect(clippy::cast_precision_loss, reason = "weights and counts; only ratios are made of them")]
fn real(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "only a mean is made of it")]
fn euros(nanos: i64) -> f64 {
    nanos as f64
}
