//! Tables of the scorecard and of data protection.

use crate::report::comparison::{DataFacts, FormulaRow};
use crate::report::document::grid::{Cell, Grid};
use crate::report::document::numbers;
use crate::report::document::view::View;
use crate::report::document::words::{closed, prose, sentences, terms};

/// Tables of the scorecard and of data protection.
pub(crate) fn all(view: &View<'_>) -> Vec<Grid> {
    vec![criteria(view), formulas(view), sensitivity(view), data_facts(view)]
}

/// Who comes first by a formula: one name, or several when they are level.
pub(crate) fn winner(view: &View<'_>, formula: &FormulaRow) -> String {
    let offers = &view.comparison.scorecard.offers;
    let first = offers.iter().zip(&formula.ranks).filter(|(_, rank)| **rank == 1);
    first.map(|(offer, _)| view.short_name(offer)).collect::<Vec<_>>().join(" = ")
}

fn offer_heads(view: &View<'_>) -> Vec<String> {
    view.comparison.scorecard.offers.iter().map(|offer| format!("#{}", view.short_name(offer))).collect()
}

fn criteria(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let scorecard = &view.comparison.scorecard;
    let mut names = vec![
        terms::criterion(lang).to_owned(),
        terms::marks_from(lang).to_owned(),
        format!("#{}", terms::weight_percent(lang)),
    ];
    names.extend(offer_heads(view));
    let heads: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut prices =
        vec![Cell::Head(terms::reference_cents(lang).to_owned()), Cell::Text(String::new()), Cell::Count(None)];
    prices.extend(scorecard.prices_euro_nanos.iter().map(|nanos| Cell::Cents(Some(*nanos))));
    prices.resize(heads.len(), Cell::Cents(None));
    let prices = (!scorecard.criteria.is_empty()).then_some(prices);
    let rows = scorecard.criteria.iter().map(|row| {
        let mut cells = vec![
            Cell::Head(closed::criterion(lang, &row.criterion)),
            Cell::Text(closed::marks_from(lang, &row.source)),
            Cell::Count(Some(u64::from(row.weight))),
        ];
        cells.extend(row.marks.iter().map(|mark| Cell::Number(*mark, 1)));
        cells.resize(heads.len(), Cell::Number(None, 1));
        cells
    });
    let sheet = lang.pick("Notes", "Marks");
    Grid::new("criteria", sheet, prose::criteria_caption(lang).to_owned(), &heads)
        .with_rows(prices.into_iter().chain(rows))
}

fn formulas(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let scorecard = &view.comparison.scorecard;
    let mut names = vec![terms::formula(lang).to_owned(), terms::winner(lang).to_owned()];
    names.extend(offer_heads(view));
    let heads: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = scorecard.formulas.iter().map(|row| {
        let mut cells = vec![Cell::Head(closed::formula(lang, &row.formula)), Cell::Text(winner(view, row))];
        let marks = row.price_marks.iter().zip(&row.totals).zip(&row.ranks);
        cells.extend(marks.map(|((price, total), rank)| {
            let (price, total) = (numbers::decimal(lang, *price, 1), numbers::decimal(lang, *total, 1));
            Cell::Text(sentences::marked(lang, &price, &total, *rank))
        }));
        cells.resize(heads.len(), Cell::Number(None, 1));
        cells
    });
    let sheet = lang.pick("Formules de prix", "Price formulas");
    Grid::new("formulas", sheet, prose::formulas_caption(lang).to_owned(), &heads).with_rows(rows)
}

fn sensitivity(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let heads = [terms::criterion(lang), terms::weight_range(lang), terms::winner(lang)];
    let rows = view.comparison.scorecard.sensitivity.iter().flat_map(|row| {
        row.winners.iter().map(|(from, to, winner)| {
            vec![
                Cell::Head(closed::criterion(lang, &row.criterion)),
                Cell::Text(sentences::from_to(
                    lang,
                    &numbers::short_percent(lang, *from),
                    &numbers::short_percent(lang, *to),
                )),
                Cell::Text(view.name(winner)),
            ]
        })
    });
    let sheet = lang.pick("Sensibilité aux poids", "Sensitivity to weights");
    Grid::new("sensitivity", sheet, prose::sensitivity_caption(lang).to_owned(), &heads).with_rows(rows)
}

fn data_facts(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let heads = [
        terms::model(lang),
        terms::hosts(lang),
        terms::retention(lang),
        terms::training(lang),
        terms::law(lang),
        terms::source(lang),
    ];
    let rows = view.comparison.scorecard.data_facts.iter().map(|facts| data_row(view, facts));
    let sheet = lang.pick("Protection des données", "Data protection");
    Grid::new("data-facts", sheet, prose::data_caption(lang).to_owned(), &heads).with_rows(rows)
}

fn data_row(view: &View<'_>, facts: &DataFacts) -> Vec<Cell> {
    let lang = view.lang;
    // Facts come in English and in French, in this order.
    let fact = |fact: &Option<(String, String)>| {
        let text = fact.as_ref().map(|(en, fr)| lang.pick(fr, en).clone());
        Cell::Text(text.unwrap_or_else(|| terms::not_known(lang).to_owned()))
    };
    let hosts: Vec<String> = facts.hosts.iter().map(|(host, region)| format!("{host} ({region})")).collect();
    let source = facts.source.as_ref().map(|(source, day)| format!("{source}, {}", numbers::day(lang, day)));
    let or_unknown = |text: Option<String>| Cell::Text(text.unwrap_or_else(|| terms::not_known(lang).to_owned()));
    vec![
        Cell::Head(view.name(&facts.model)),
        or_unknown((!hosts.is_empty()).then(|| hosts.join(", "))),
        fact(&facts.retention),
        fact(&facts.training),
        fact(&facts.law),
        or_unknown(source),
    ]
}
