//! From evidence to the comparison: the order of the sections, and whether anything is claimed at all.

use super::measure::{DRAWS, MARGIN, Method};
use super::{Comparison, Proof, conversations, duels, energy, euros, probes, scores};
use crate::ledger::Evidence as Kind;
use crate::report::evidence::Evidence;

impl Comparison {
    /// Everything that the evidence says. The same evidence gives the same comparison, to the last digit.
    pub fn of(evidence: &Evidence) -> Self {
        Self::with(evidence, DRAWS)
    }

    pub(super) fn with(evidence: &Evidence, draws: u32) -> Self {
        let claims = may_claim(evidence);
        let method = Method { claims, draws };
        let drawn_by_block = !evidence.blocks.cells.is_empty();
        let mut comparison = Self {
            from: evidence.from.clone(),
            to: evidence.to.clone(),
            made_at: evidence.made_at.clone(),
            simulated: evidence.simulated,
            limit_seconds: evidence.limit_seconds,
            declared: evidence.declared.clone(),
            claims,
            margin: MARGIN,
            models: models(evidence),
            probes: probes::section(evidence, method),
            conversations: conversations::section(evidence, &evidence.conversations, Kind::Conversation, method),
            blocks: drawn_by_block.then(|| conversations::section(evidence, &evidence.blocks, Kind::Block, method)),
            duels: duels::section(evidence, method),
            euros: euros::section(evidence),
            energy: energy::section(evidence),
            disturbed: evidence.disturbed,
            changes: evidence.changes.clone(),
            retirements: retirements(evidence),
            proof: Proof {
                ledger_records: evidence.ledger_records,
                ledger_hash: evidence.ledger_hash.clone(),
                terms_digest: evidence.terms_digest.clone(),
                program: evidence.program.clone(),
                evidence_digest: evidence.digest(),
            },
            ..Self::default()
        };
        comparison.scorecard = scores::section(evidence, &comparison);
        comparison
    }
}

/// A figure that is looked at every day is no test: differences are claimed for the period that was declared before it
/// began, and only once it is over.
fn may_claim(evidence: &Evidence) -> bool {
    let Some((from, to, Some(declared_on))) = &evidence.declared else { return false };
    let is_this = (from, to) == (&evidence.from, &evidence.to);
    // Days as texts of this form are in the order of time.
    evidence.over && is_this && declared_on < from && !evidence.disturbed
}

fn models(evidence: &Evidence) -> Vec<(String, String)> {
    let vendor = |model: &String| {
        let facts = evidence.models.iter().find(|facts| facts.model == *model);
        facts.map_or_else(|| model.clone(), |facts| facts.vendor.clone())
    };
    evidence.compared.iter().map(|model| (model.clone(), vendor(model))).collect()
}

fn retirements(evidence: &Evidence) -> Vec<(String, String)> {
    let compared = evidence.models.iter().filter(|facts| evidence.compared.contains(&facts.model));
    compared.filter_map(|facts| Some((facts.model.clone(), facts.retires.clone()?))).collect()
}
