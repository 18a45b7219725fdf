//! Tables of energy: ranges only, and "not available" where nothing can be said.

use crate::report::comparison::EnergyRow;
use crate::report::document::grid::{Cell, Grid};
use crate::report::document::view::View;
use crate::report::document::words::{prose, terms};

use super::council::wh_decimals;

/// Tables of energy.
pub(crate) fn all(view: &View<'_>) -> Vec<Grid> {
    vec![energy(view), footprint(view)]
}

fn grid(
    view: &View<'_>,
    (id, sheet, caption): (&str, &str, &str),
    names: &[String],
    known: fn(&View<'_>, &EnergyRow) -> Vec<Cell>,
) -> Grid {
    let lang = view.lang;
    let heads: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rows: Vec<Vec<Cell>> = view.comparison.energy.rows.iter().map(|row| known(view, row)).collect();
    rows.extend(view.comparison.energy.unknown.iter().map(|model| {
        let mut cells = vec![Cell::Head(view.name(model))];
        cells.resize(names.len(), Cell::Text(terms::not_available(lang).to_owned()));
        cells
    }));
    Grid::new(id, sheet, caption.to_owned(), &heads).with_rows(rows)
}

fn energy(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names = [
        terms::model(lang).to_owned(),
        terms::architecture(lang).to_owned(),
        terms::zone(lang).to_owned(),
        format!("#{}", terms::output_tokens(lang)),
        format!("#{}", terms::energy_wh(lang)),
        format!("#{}", terms::period_kwh(lang)),
    ];
    let title = ("energy-range", lang.pick("Énergie", "Energy"), prose::energy_caption(lang));
    grid(view, title, &names, |view, row| {
        let lang = view.lang;
        vec![
            Cell::Head(view.name(&row.model)),
            Cell::Text((if row.is_estimated { terms::guessed } else { terms::published })(lang).to_owned()),
            Cell::Text(row.zone.clone()),
            Cell::Number(Some(row.output_tokens), 0),
            Cell::Range(Some(row.energy_wh), wh_decimals(&row.energy_wh)),
            Cell::Range(Some(row.period_kwh), 2),
        ]
    })
}

fn footprint(view: &View<'_>) -> Grid {
    let lang = view.lang;
    let names = [
        terms::model(lang).to_owned(),
        format!("#{}", terms::carbon(lang)),
        format!("#{}", terms::water(lang)),
        format!("#{}", terms::lamp(lang)),
    ];
    let sheet = lang.pick("Carbone et eau", "Carbon and water");
    grid(view, ("energy-footprint", sheet, prose::energy_footprint_caption(lang)), &names, |view, row| {
        vec![
            Cell::Head(view.name(&row.model)),
            Cell::Range(Some(row.carbon_g), 3),
            Cell::Range(Some(row.water_ml), 2),
            Cell::Range(Some(row.lamp_minutes), 1),
        ]
    })
}
