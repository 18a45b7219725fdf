//! The tables of the document, in its order. They choose what stands beside what, and know no form of output.

pub(crate) mod council;
pub(crate) mod duels;
pub(crate) mod energy;
pub(crate) mod euros;
pub(crate) mod measured;
pub(crate) mod scorecard;

use super::grid::{Cell, Grid};
use super::numbers;
use super::view::View;
use super::words::{prose, terms};

/// Every table that has rows.
pub(crate) fn all(view: &View<'_>) -> Vec<Grid> {
    let mut grids = vec![council::models(view), council::glance(view)];
    grids.extend(measured::probes(view));
    grids.extend(measured::conversations(view));
    grids.extend(measured::blocks(view));
    grids.extend(duels::all(view));
    grids.extend(euros::all(view));
    grids.extend(scorecard::all(view));
    grids.extend(energy::all(view));
    grids.extend([changes(view), retirements(view), proof(view)]);
    grids.retain(|grid| !grid.is_empty());
    grids
}

/// Changes in the period.
pub(crate) fn changes(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let rows = view
        .comparison
        .changes
        .iter()
        .map(|(day, what)| vec![Cell::Head(numbers::day(lang, day)), Cell::Text(what.clone())]);
    let caption = prose::changes_caption(lang).to_owned();
    Grid::new("changes", lang.pick("Changements", "Changes"), caption, &[terms::day(lang), terms::change(lang)])
        .with_rows(rows)
}

/// Retirements of compared models.
pub(crate) fn retirements(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let rows = view
        .comparison
        .retirements
        .iter()
        .map(|(model, day)| vec![Cell::Head(view.name(model)), Cell::Text(numbers::day(lang, day))]);
    let caption = prose::retirements_caption(lang).to_owned();
    Grid::new("retirements", lang.pick("Arrêts", "Retirements"), caption, &[terms::model(lang), terms::retires(lang)])
        .with_rows(rows)
}

/// What the document rests on.
pub(crate) fn proof(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let proof = &view.comparison.proof;
    let mut rows = vec![
        (terms::read_at(lang), Cell::Text(view.comparison.made_at.clone())),
        (terms::program(lang), Cell::Text(proof.program.clone())),
        (terms::evidence_digest(lang), Cell::Text(proof.evidence_digest.clone())),
        (terms::terms_digest(lang), Cell::Text(proof.terms_digest.clone())),
        (terms::records(lang), Cell::Count(Some(proof.ledger_records))),
        (terms::ledger_hash(lang), Cell::Text(proof.ledger_hash.clone())),
    ];
    if let Some((version, digest)) = &view.comparison.probes.basket {
        rows.push((terms::basket(lang), Cell::Text(format!("{version} – SHA-256 {digest}"))));
    }
    let caption = prose::proof_caption(lang).to_owned();
    Grid::new("proof", lang.pick("Preuves", "Proof"), caption, &[terms::what(lang), terms::value(lang)])
        .with_rows(rows.into_iter().map(|(what, value)| vec![Cell::Head(what.to_owned()), value]))
}
