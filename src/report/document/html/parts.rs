//! Pieces that every part of the page is made of: tables, help boxes, refusals.

use maud::{Markup, html};

use crate::report::document::grid::{Cell, Column, Grid};
use crate::report::document::view::View;
use crate::report::document::words::{closed, prose};

/// Rows of a table that is kept on one page of paper.
const SHORT: usize = 10;

/// A table in a region that scrolls on its own when it is wider than the screen; nothing when it has no rows.
pub(super) fn table(view: &View<'_>, grid: &Grid) -> Markup {
    let caption = format!("{}-caption", grid.id);
    html! {
        @if !grid.is_empty() {
            div.scroll .short[grid.rows.len() <= SHORT] role="region" tabindex="0" aria-labelledby=(caption) {
                table id=(grid.id) .dense[is_dense(grid)] {
                    caption id=(caption) { (grid.caption) }
                    thead {
                        tr { @for column in &grid.columns { th scope="col" .number[column.numeric] { (column.head) } } }
                    }
                    tbody {
                        @for row in &grid.rows {
                            tr {
                                @for (cell, column) in row.iter().zip(&grid.columns) {
                                    (self::cell(view, cell, column))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether a table has too many intervals for each to stand on one line.
fn is_dense(grid: &Grid) -> bool {
    grid.rows.first().is_some_and(|row| row.iter().filter(|cell| matches!(cell, Cell::Figure(..))).count() > 4)
}

fn cell(view: &View<'_>, cell: &Cell, column: &Column) -> Markup {
    let shown = cell.show(view);
    let words = matches!(cell, Cell::Suppressed | Cell::Persons(None) | Cell::Text(_));
    html! {
        @if let Cell::Head(text) = cell {
            th scope="row" { (text) }
        } @else {
            td .number[column.numeric] .words[words] {
                (shown.main)
                @for detail in [&shown.interval, &shown.n].into_iter().flatten() { span.detail { (detail) } }
            }
        }
    }
}

/// Tables one after the other.
pub(super) fn tables<'a>(view: &View<'_>, grids: impl IntoIterator<Item = &'a Grid>) -> Markup {
    html! { @for grid in grids { (table(view, grid)) } }
}

/// Why there is nothing to compare.
pub(super) fn refused(view: &View<'_>, reason: Option<&str>) -> Markup {
    html! { @if let Some(reason) = reason { p.band { (closed::refusal(view.lang, reason)) } } }
}

/// A box that explains.
pub(super) fn help(id: &str, title: &str, text: &str) -> Markup {
    let title_id = format!("{id}-title");
    html! {
        div.help role="note" aria-labelledby=(title_id) {
            h4 id=(title_id) { (title) }
            p { (text) }
        }
    }
}

/// Said where a section has no table.
pub(super) fn nothing(view: &View<'_>, grids: &[Grid], refused: Option<&str>) -> Markup {
    html! {
        @if refused.is_none() && grids.iter().all(Grid::is_empty) { p { (prose::nothing(view.lang)) } }
    }
}
