//! The comparison for a person at a terminal of 120 columns: warnings, the three sentences, and the tables that a
//! decision rests on. It computes nothing.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, Width};

use crate::report::comparison::Comparison;

use super::Lang;
use super::grid::{Cell, Grid};
use super::grids::{council, duels, energy, euros, measured, scorecard};
use super::numbers::day;
use super::summary;
use super::view::View;
use super::words::{prose, sentences, terms};

/// Columns of the terminal.
const WIDTH: u16 = 120;
/// Columns that a column of words has at least.
const WORDS: u16 = 21;

/// The table of all models of the catalogue, and how many of its cheapest are shown here.
const REPRICED: &str = "repriced";
const CHEAPEST: usize = 5;

/// Tables that are shown; the others are in the page and in the workbook.
const SHOWN: [&str; 11] = [
    "glance",
    "probes-results",
    "probes-claims",
    "conversations-results",
    "conversations-claims",
    "duels-pairs",
    "duels-claims",
    REPRICED,
    "criteria",
    "formulas",
    "energy-range",
];

/// The comparison as text, with lines of 120 columns at most.
#[must_use]
pub fn render(comparison: &Comparison, lang: Lang) -> String {
    let view = View { comparison, lang };
    let (from, to) = (day(lang, &comparison.from), day(lang, &comparison.to));
    let mut parts = vec![format!("{}\n{}", terms::title(lang), sentences::period(lang, &from, &to))];
    let warnings = view.warnings();
    parts.extend(warnings.iter().map(|warning| wrap(&format!("*** {warning} ***"))));
    parts.extend(summary::three(&view).iter().map(|sentence| wrap(sentence)));
    let sections = [
        vec![council::glance(&view)],
        measured::probes(&view),
        measured::conversations(&view),
        duels::all(&view),
        euros::all(&view),
        scorecard::all(&view),
        energy::all(&view),
    ];
    let shown = sections.iter().flatten().filter(|grid| SHOWN.contains(&grid.id.as_str()) && !grid.is_empty());
    parts.extend(shown.map(|grid| format!("{}\n{}", grid.caption, table(&view, grid))));
    parts.push(wrap(prose::legend_text(lang)));
    parts.push(wrap(&sentences::failures(lang, comparison.limit_seconds)));
    // Once more at the end, where a reader of a long output looks.
    parts.extend(warnings.first().map(|warning| wrap(&format!("*** {warning} ***"))));
    parts.join("\n\n") + "\n"
}

/// Of the many models of the catalogue only the cheapest and those compared.
fn is_shown(view: &View<'_>, grid: &Grid, place: usize, row: &[Cell]) -> bool {
    let is_compared = || row.get(1).is_some_and(|cell| cell.show(view).main == terms::yes(view.lang));
    grid.id != REPRICED || place < CHEAPEST || is_compared()
}

fn table(view: &View<'_>, grid: &Grid) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(grid.columns.iter().map(|column| narrow(&column.head)));
    for row in grid.rows.iter().enumerate().filter(|(place, row)| is_shown(view, grid, *place, row)).map(|(_, row)| row)
    {
        table.add_row(row.iter().map(|cell| {
            let shown = cell.show(view);
            let lines = [Some(shown.main), shown.interval, shown.n];
            narrow(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n"))
        }));
    }
    for (column, meaning) in table.column_iter_mut().zip(&grid.columns) {
        column.set_padding((0, 1));
        if meaning.numeric {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // Names of models and conclusions are read, numbers are looked up: words keep their width.
    let named = grid.columns.iter().position(|column| column.head == terms::conclusion(view.lang));
    for index in [Some(0), named].into_iter().flatten() {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(WORDS)));
        }
    }
    table.trim_fmt()
}

/// Terminals lack the thin space: the plain one that does not break stands for it.
fn narrow(text: &str) -> String {
    text.replace('\u{202f}', "\u{a0}")
}

fn wrap(paragraph: &str) -> String {
    crate::report::table::wrap(&narrow(paragraph))
}
