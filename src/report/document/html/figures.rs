//! Figures of the page: which values of the comparison each chart shows, and under what name.

use maud::{Markup, html};

use crate::report::comparison::{Figure, ModelFigures, RepricedModel};
use crate::report::document::Lang;
use crate::report::document::chart::strip::{Strip, strips};
use crate::report::document::chart::{Panel, Point, beside, figure, panels};
use crate::report::document::grid::{Cell, Unit, interval};
use crate::report::document::grids::council;
use crate::report::document::grids::measured::pair;
use crate::report::document::money;
use crate::report::document::numbers::{decimal, percent};
use crate::report::document::view::View;
use crate::report::document::words::{closed, prose, sentences, terms};

/// Cost against waiting, a line a model.
pub(super) fn council(view: &View<'_>) -> Markup {
    let lang = view.lang;
    let models: Vec<&ModelFigures> =
        view.comparison.models.iter().filter_map(|(model, _)| council::figures(view, model)).collect();
    if models.is_empty() {
        return html! {};
    }
    let mut cost = model_panel(view, terms::cost_per_answer(lang), &models, Unit::Cost, |model| model.cost_per_answer);
    let wait_title = seconds(view, terms::first_text(lang));
    let mut wait = model_panel(view, &wait_title, &models, Unit::Time, |model| model.first_text);
    // Names and values alone: vendors and intervals are in the table above.
    for panel in [&mut cost, &mut wait] {
        for (point, model) in panel.points.iter_mut().zip(&models) {
            point.label = view.short_name(&model.model);
            point.text = point.short.clone();
        }
    }
    let (height, drawing) = beside(lang, &cost, &wait);
    figure("council-figure", prose::council_figure(lang), prose::council_figure_desc(lang), height, &drawing)
}

/// Waiting times of probes: median and slow cases, of the first text and of the whole answer.
pub(super) fn times(view: &View<'_>, models: &[ModelFigures]) -> Markup {
    type Pick = fn(&ModelFigures) -> Figure;
    let lang = view.lang;
    let models: Vec<&ModelFigures> = models.iter().collect();
    let panel = |title: &str, pick: Pick| model_panel(view, &seconds(view, title), &models, Unit::Time, pick);
    let wait = [
        panel(terms::first_text(lang), |model| model.first_text),
        panel(terms::first_text_p95(lang), |model| model.first_text_p95),
    ];
    let duration = [
        panel(terms::duration(lang), |model| model.duration),
        panel(terms::duration_p95(lang), |model| model.duration_p95),
    ];
    html! {
        (drawn(view, "wait-figure", (prose::wait_figure(lang), prose::times_desc(lang)), &wait))
        (drawn(view, "duration-figure", (prose::duration_figure(lang), prose::times_desc(lang)), &duration))
    }
}

/// Preference, a line a pair.
pub(super) fn preference(view: &View<'_>) -> Markup {
    let lang = view.lang;
    let points = view.comparison.duels.pairs.iter().map(|duel| {
        let label = pair(view, &duel.first, &duel.second);
        point(view, label, view.place(&duel.first), &duel.share, Unit::Share)
    });
    let panel = Panel {
        title: terms::share_first(lang).to_owned(),
        points: points.collect(),
        end: Some(1.0),
        reference: Some(0.5),
        tick: |lang, value| percent(lang, value, 0),
    };
    drawn(view, "duels-figure", (prose::duels_figure(lang), prose::duels_figure_desc(lang)), &[panel])
}

/// Models of the catalogue that are drawn beside those compared.
const CHEAPEST: usize = 10;

/// The same period at the prices of each model.
pub(super) fn repriced(view: &View<'_>) -> Markup {
    let lang = view.lang;
    // The table that follows has them all; a chart of fifty lines says less than one of a dozen.
    let cheapest = |(place, row): &(usize, &RepricedModel)| *place < CHEAPEST || row.compared;
    let rows = view.comparison.euros.repriced.iter().enumerate().filter(cheapest).map(|(_, row)| row);
    let points = rows.map(|row| {
        let text = |nanos| money::euros(lang, nanos, 2);
        let (low, high) = (row.euro_nanos.min(row.uncached_euro_nanos), row.euro_nanos.max(row.uncached_euro_nanos));
        Point {
            label: view.name(&row.model),
            place: view.place(&row.model),
            value: Some(euros(row.euro_nanos)),
            low: Some(euros(low)),
            high: Some(euros(high)),
            beyond: false,
            text: sentences::from_to(lang, &text(low), &text(high)),
            short: text(row.euro_nanos),
        }
    });
    let panel = Panel {
        title: format!("{} (€)", terms::cost_period(lang)),
        points: points.collect(),
        end: None,
        reference: None,
        tick,
    };
    drawn(view, "repriced-figure", (prose::repriced_figure(lang), prose::repriced_figure_desc(lang)), &[panel])
}

/// Ranges of energy.
pub(super) fn energy(view: &View<'_>) -> Markup {
    let lang = view.lang;
    let points = view.comparison.energy.rows.iter().map(|row| Point {
        label: view.name(&row.model),
        place: view.place(&row.model),
        value: None,
        low: Some(row.energy_wh.low),
        high: Some(row.energy_wh.high),
        beyond: false,
        text: Cell::Range(Some(row.energy_wh), council::wh_decimals(&row.energy_wh)).show(view).main,
        short: String::new(),
    });
    let panel =
        Panel { title: terms::energy_wh(lang).to_owned(), points: points.collect(), end: None, reference: None, tick };
    drawn(view, "energy-figure", (prose::energy_figure(lang), prose::energy_figure_desc(lang)), &[panel])
}

/// Winners by weight, a strip a criterion.
pub(super) fn sensitivity(view: &View<'_>) -> Markup {
    let (lang, scorecard) = (view.lang, &view.comparison.scorecard);
    let key: Vec<String> = scorecard.offers.iter().map(|offer| view.short_name(offer)).collect();
    let place = |winner: &String| scorecard.offers.iter().position(|offer| offer == winner).unwrap_or(key.len());
    let rows: Vec<Strip> = scorecard
        .sensitivity
        .iter()
        .map(|row| Strip {
            label: closed::criterion(lang, &row.criterion),
            mark: scorecard
                .criteria
                .iter()
                .find(|criterion| criterion.criterion == row.criterion)
                .map(|criterion| f64::from(criterion.weight)),
            parts: row.winners.iter().map(|(from, to, winner)| (*from, *to, place(winner))).collect(),
        })
        .collect();
    if rows.is_empty() {
        return html! {};
    }
    let (height, drawing) = strips(lang, "sensitivity-figure", &rows, &key);
    let (title, description) = (prose::sensitivity_figure(lang), prose::sensitivity_figure_desc(lang));
    figure("sensitivity-figure", title, description, height, &drawing)
}

fn drawn(view: &View<'_>, id: &str, (title, description): (&str, &str), kinds: &[Panel]) -> Markup {
    let kinds: Vec<Panel> = kinds.iter().filter(|panel| !panel.points.is_empty()).cloned().collect();
    if kinds.is_empty() {
        return html! {};
    }
    let (height, drawing) = panels(view.lang, &kinds);
    figure(id, title, description, height, &drawing)
}

fn model_panel(
    view: &View<'_>,
    title: &str,
    models: &[&ModelFigures],
    unit: Unit,
    pick: fn(&ModelFigures) -> Figure,
) -> Panel {
    let points =
        models.iter().map(|model| point(view, view.name(&model.model), view.place(&model.model), &pick(model), unit));
    Panel { title: title.to_owned(), points: points.collect(), end: None, reference: None, tick }
}

fn point(view: &View<'_>, label: String, place: usize, value: &Figure, unit: Unit) -> Point {
    let shown = Cell::Figure(*value, unit).show(view);
    let ends = interval(view, value, unit);
    let scaled = |end: Option<f64>| end.map(|end| unit.shown(end));
    Point {
        label,
        place,
        value: scaled(value.value),
        low: scaled(value.low),
        high: scaled(value.high),
        beyond: unit == Unit::Time
            && value.n > 0
            && (value.value.is_none() || (value.low.is_some() && value.high.is_none())),
        short: shown.main.clone(),
        text: ends.map_or(shown.main.clone(), |ends| format!("{} ({ends})", shown.main)),
    }
}

fn seconds(view: &View<'_>, title: &str) -> String {
    format!("{title}, {}", view.lang.pick("secondes", "seconds"))
}

/// A value of an axis, with as many decimals as it needs.
fn tick(lang: Lang, value: f64) -> String {
    let decimals = (0..=4).find(|decimals| {
        let factor = 10_f64.powi(*decimals);
        ((value * factor).round() / factor - value).abs() < 1e-9
    });
    decimal(lang, value, decimals.and_then(|decimals| usize::try_from(decimals).ok()).unwrap_or(4))
}

/// Nano-euros as euros, to place on an axis.
#[expect(clippy::cast_precision_loss, reason = "a place on an axis needs no more than 53 bits")]
fn euros(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
