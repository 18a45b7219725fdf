//! Tables of money: what it cost, what it would cost elsewhere, what if.

use crate::report::comparison::{EuroSection, WhatIf};
use crate::report::document::grid::{Cell, Grid, Unit};
use crate::report::document::numbers;
use crate::report::document::view::View;
use crate::report::document::words::{prose, sentences, terms};

/// Tables of money.
pub(crate) fn all(view: &View<'_>) -> Vec<Grid> {
    vec![
        summary(view),
        rows(view),
        unit_costs(view),
        months(view),
        repriced(view),
        repriced_more(view),
        what_if(view),
        break_even(view),
    ]
}

/// Decimals of an amount of the whole period.
const PERIOD: u32 = 2;

fn heads(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn summary(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let euros = &view.comparison.euros;
    let mut items = vec![
        (prose::residents_item(lang), Some(euros.residents_euro_nanos)),
        (prose::probes_item(lang), Some(euros.probes_euro_nanos)),
        (prose::duels_item(lang), euros.duels_euro_nanos),
        (prose::spent_item(lang), Some(euros.spent_euro_nanos)),
        (prose::envelope_item(lang), Some(euros.envelope_euro_nanos)),
    ];
    if let Some((value, low, high)) = euros.forecast_euro_nanos {
        items.extend([
            (prose::forecast_item(lang), Some(value)),
            (prose::forecast_low_item(lang), Some(low)),
            (prose::forecast_high_item(lang), Some(high)),
        ]);
    }
    let names = [terms::what(lang).to_owned(), format!("#{}", terms::amount(lang))];
    let sheet = lang.pick("Argent", "Money");
    Grid::new("euros-summary", sheet, prose::euros_summary_caption(lang).to_owned(), &heads(&names))
        .with_rows(items.into_iter().map(|(item, nanos)| vec![Cell::Head(item.to_owned()), Cell::Euros(nanos, PERIOD)]))
}

fn rows(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names = [
        terms::model(lang).to_owned(),
        format!("#{}", terms::questions(lang)),
        format!("#{}", terms::answers(lang)),
        format!("#{}", terms::cost_period(lang)),
        format!("#{}", terms::uncertain(lang)),
        format!("#{}", terms::reasoning(lang)),
        format!("#{}", terms::cached(lang)),
    ];
    let rows = view.comparison.euros.rows.iter().map(|row| {
        vec![
            Cell::Head(view.name(&row.model)),
            Cell::Persons(row.questions),
            Cell::Persons(row.answers),
            Cell::Euros(row.cost_euro_nanos, PERIOD),
            Cell::Euros(row.uncertain_euro_nanos, PERIOD),
            Cell::Value(row.reasoning_share, Unit::Share),
            Cell::Value(row.cached_share, Unit::Share),
        ]
    });
    let sheet = lang.pick("Coût par modèle", "Cost by model");
    Grid::new("euros-rows", sheet, prose::euros_rows_caption(lang).to_owned(), &heads(&names)).with_rows(rows)
}

fn unit_costs(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names = [
        terms::model(lang).to_owned(),
        format!("#{} (n)", terms::answers(lang)),
        format!("#{}", terms::cost_per_question(lang)),
        format!("#{}", terms::cost_per_answer(lang)),
        format!("#{}", terms::cost_per_1000(lang)),
    ];
    let rows = view.comparison.euros.rows.iter().map(|row| {
        vec![
            Cell::Head(view.name(&row.model)),
            Cell::Persons(row.answers),
            Cell::Cents(row.per_question_euro_nanos),
            Cell::Cents(row.per_answer_euro_nanos),
            Cell::Cents(row.per_1000_chars_euro_nanos),
        ]
    });
    let sheet = lang.pick("Coût unitaire", "Unit cost");
    Grid::new("euros-units", sheet, prose::euros_units_caption(lang).to_owned(), &heads(&names)).with_rows(rows)
}

fn months(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names = [
        terms::month(lang).to_owned(),
        format!("#{}", terms::residents(lang)),
        format!("#{}", terms::per_resident(lang)),
    ];
    let rows = view.comparison.euros.per_resident.iter().map(|(month, residents, nanos)| {
        let suppressed = residents.is_none();
        vec![
            Cell::Head(numbers::month(lang, month)),
            Cell::Persons(*residents),
            if suppressed { Cell::Suppressed } else { Cell::Euros(*nanos, 4) },
        ]
    });
    let sheet = lang.pick("Par habitant", "Per resident");
    Grid::new("euros-months", sheet, prose::euros_months_caption(lang).to_owned(), &heads(&names)).with_rows(rows)
}

fn repriced(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names = [
        terms::model(lang).to_owned(),
        terms::compared(lang).to_owned(),
        format!("#{}", terms::with_cache(lang)),
        format!("#{}", terms::without_cache(lang)),
        format!("#{}", terms::eu_host(lang)),
        format!("#{}", terms::with_vat(lang)),
    ];
    let rows = view.comparison.euros.repriced.iter().map(|row| {
        vec![
            Cell::Head(view.name(&row.model)),
            Cell::Text((if row.compared { terms::yes } else { terms::no })(lang).to_owned()),
            Cell::Euros(Some(row.euro_nanos), PERIOD),
            Cell::Euros(Some(row.uncached_euro_nanos), PERIOD),
            Cell::Euros(row.eu_euro_nanos, PERIOD),
            Cell::Euros(Some(row.with_vat_euro_nanos), PERIOD),
        ]
    });
    let sheet = lang.pick("Même période ailleurs", "Same period elsewhere");
    Grid::new("repriced", sheet, over_questions(view, prose::repriced_caption(lang)), &heads(&names)).with_rows(rows)
}

fn repriced_more(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names = [
        terms::model(lang).to_owned(),
        terms::retires(lang).to_owned(),
        format!("#{}", terms::cost_per_answer(lang)),
        format!("#{}", terms::own_tokens(lang)),
    ];
    let rows = view.comparison.euros.repriced.iter().map(|row| {
        let retires =
            row.retires.as_deref().map_or_else(|| terms::none(lang).to_owned(), |day| numbers::day(lang, day));
        vec![
            Cell::Head(view.name(&row.model)),
            Cell::Text(retires),
            Cell::Cents(Some(row.per_answer_euro_nanos)),
            Cell::Cents(row.own_tokens_euro_nanos),
        ]
    });
    let sheet = lang.pick("Même période – réponses", "Same period – answers");
    Grid::new("repriced-answers", sheet, over_questions(view, prose::repriced_more_caption(lang)), &heads(&names))
        .with_rows(rows)
}

/// A caption with the number of questions that the figures are over.
fn over_questions(view: &View<'_>, caption: &str) -> String {
    format!("{caption} ({})", sentences::n(view.lang, view.comparison.euros.questions))
}

/// Rises that any model was computed for, in order.
fn rises(euros: &EuroSection) -> Vec<u32> {
    let mut rises: Vec<u32> = euros.what_if.iter().flat_map(|row| row.raised.iter().map(|(rise, _)| *rise)).collect();
    rises.sort_unstable();
    rises.dedup();
    rises
}

fn what_if(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let rises = rises(&view.comparison.euros);
    let mut names = vec![terms::model(lang).to_owned(), format!("#{}", terms::as_is(lang))];
    names.extend(rises.iter().map(|rise| format!("#{}", sentences::raised(lang, *rise))));
    names.extend([format!("#{}", terms::without_reasoning(lang)), format!("#{}", terms::double_reasoning(lang))]);
    let rows = view.comparison.euros.what_if.iter().map(|row| {
        let mut cells = vec![Cell::Head(view.name(&row.model)), Cell::Cents(Some(row.per_answer_euro_nanos))];
        cells.extend(rises.iter().map(|rise| Cell::Cents(raised(row, *rise))));
        cells.extend([Cell::Cents(row.without_reasoning_euro_nanos), Cell::Cents(row.double_reasoning_euro_nanos)]);
        cells
    });
    let sheet = lang.pick("Et si", "What if");
    Grid::new("what-if", sheet, prose::what_if_caption(lang).to_owned(), &heads(&names)).with_rows(rows)
}

fn raised(row: &WhatIf, rise: u32) -> Option<i64> {
    row.raised.iter().find(|(percent, _)| *percent == rise).map(|(_, nanos)| *nanos)
}

fn break_even(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names =
        [terms::model(lang).to_owned(), terms::other_model(lang).to_owned(), format!("#{}", terms::break_even(lang))];
    let rows = view.comparison.euros.what_if.iter().flat_map(|row| {
        row.break_even.iter().map(|(other, basis_points)| {
            vec![
                Cell::Head(view.name(&row.model)),
                Cell::Text(view.name(other)),
                Cell::Value(Some(share_of_basis_points(*basis_points)), Unit::Share),
            ]
        })
    });
    let sheet = lang.pick("Point d’équilibre", "Break-even");
    Grid::new("break-even", sheet, prose::break_even_caption(lang).to_owned(), &heads(&names)).with_rows(rows)
}

/// Hundredths of a percent as a share.
#[expect(clippy::cast_precision_loss, reason = "a change of price is far below 2^53 hundredths of a percent")]
pub(crate) fn share_of_basis_points(basis_points: i64) -> f64 {
    basis_points as f64 / 10_000.0
}
