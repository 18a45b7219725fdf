//! The one table for the council: a row a model. It takes figures from where they were measured best and says where.

use crate::report::comparison::{DuelPair, Figure, ModelFigures, Range};
use crate::report::document::grid::{Cell, Grid, Unit};
use crate::report::document::view::View;
use crate::report::document::words::{prose, sentences, terms};

/// Models that are compared, with their vendors.
pub(crate) fn models(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let heads = [terms::model(lang), terms::vendor(lang)];
    let caption = prose::models_compared(lang).to_owned();
    let rows = view.comparison.models.iter();
    Grid::new("models", lang.pick("Modèles", "Models"), caption, &heads)
        .with_rows(rows.map(|(model, vendor)| vec![Cell::Head(model.clone()), Cell::Text(vendor.clone())]))
}

/// The models at a glance.
pub(crate) fn glance(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let number = |head: &str| format!("#{head}");
    let heads = [
        terms::model(lang).to_owned(),
        number(terms::answered(lang)),
        number(terms::first_text(lang)),
        number(terms::cost_per_answer(lang)),
        number(terms::checks(lang)),
        number(terms::preference(lang)),
        number(terms::energy_wh(lang)),
    ];
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let caption = prose::council_caption(lang).to_owned();
    let rows = view.comparison.models.iter().map(|(model, _)| glance_row(view, model));
    Grid::new("glance", lang.pick("En un coup d’œil", "At a glance"), caption, &heads).with_rows(rows)
}

/// Figures that stand for a model on the first page: of probes, and else of conversations.
pub(crate) fn figures<'a>(view: &View<'a>, model: &str) -> Option<&'a ModelFigures> {
    let sections = [&view.comparison.probes.models, &view.comparison.conversations.models];
    sections.into_iter().find(|models| !models.is_empty())?.iter().find(|figures| figures.model == model)
}

fn glance_row(view: &View<'_>, model: &str) -> Vec<Cell> {
    let figures = figures(view, model);
    let figure = |pick: fn(&ModelFigures) -> Figure, unit| {
        figures.map_or(Cell::Value(None, unit), |figures| Cell::Figure(pick(figures), unit))
    };
    let checks = figures.and_then(|figures| figures.checks);
    vec![
        Cell::Head(view.name(model)),
        figure(|figures| figures.answered, Unit::Share),
        figure(|figures| figures.first_text, Unit::Time),
        figure(|figures| figures.cost_per_answer, Unit::Cost),
        checks.map_or(Cell::Value(None, Unit::Share), |checks| Cell::Figure(checks, Unit::Share)),
        preference(view, model),
        energy(view, model),
    ]
}

/// With one pair its share of decisive votes; with more, its possible ranks.
fn preference(view: &View<'_>, model: &str) -> Cell {
    let duels = &view.comparison.duels;
    if let Some(rank) = duels.ranking.iter().find(|rank| rank.model == model) {
        let (lang, (best, worst)) = (view.lang, rank.rank);
        let n = sentences::n(lang, rank.score.n);
        return Cell::Text(format!("{} ({n})", sentences::ranks(lang, best, worst)));
    }
    let mut pairs = duels.pairs.iter().filter(|pair| pair.first == model || pair.second == model);
    match (pairs.next(), pairs.next()) {
        (Some(pair), None) => Cell::Figure(share_of(pair, model), Unit::Share),
        _ => Cell::Value(None, Unit::Share),
    }
}

fn share_of(pair: &DuelPair, model: &str) -> Figure {
    let share = pair.share;
    if pair.first == model {
        return share;
    }
    let other = |value: Option<f64>| value.map(|value| 1.0 - value);
    Figure { value: other(share.value), low: other(share.high), high: other(share.low), n: share.n }
}

fn energy(view: &View<'_>, model: &str) -> Cell {
    let row = view.comparison.energy.rows.iter().find(|row| row.model == model);
    match row {
        Some(row) => Cell::Range(Some(row.energy_wh), wh_decimals(&row.energy_wh)),
        None => Cell::Text(terms::not_available(view.lang).to_owned()),
    }
}

/// Small energies need a third decimal to differ from zero.
pub(crate) fn wh_decimals(range: &Range) -> usize {
    if range.low < 0.1 { 3 } else { 2 }
}
