//! A table as a sheet: numbers as numbers, an estimate with its interval and its observations in four columns.

use rust_xlsxwriter::{Format, Worksheet, XlsxError};

use crate::report::document::Lang;
use crate::report::document::grid::{Cell, Grid, Unit};
use crate::report::document::view::View;
use crate::report::document::words::terms;

use super::formats::Formats;
use super::{Column, Row, euros, height, page_setup};

/// Rows above the headings: the caption, and an empty one.
const HEAD_ROW: Row = 2;
const FIRST_WIDTH: f64 = 34.0;
const TEXT_WIDTH: f64 = 30.0;
const NUMBER_WIDTH: f64 = 15.0;

/// How many columns of a sheet a column of a table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Single,
    LowHigh,
    Estimate,
}

/// Writes a table to a sheet.
pub(super) fn write(view: &View<'_>, formats: &Formats, sheet: &mut Worksheet, grid: &Grid) -> Result<(), XlsxError> {
    sheet.set_name(&grid.sheet)?;
    sheet.write_string_with_format(0, 0, &grid.caption, &formats.title)?;
    let shapes: Vec<Shape> = (0..grid.columns.len()).map(|column| shape(grid, column)).collect();
    let mut at: Column = 0;
    let mut starts = Vec::new();
    let mut head_sizes = Vec::new();
    let mut widths = Vec::new();
    for (index, (column, shape)) in grid.columns.iter().zip(&shapes).enumerate() {
        starts.push(at);
        for head in heads(view.lang, &column.head, *shape) {
            let width = if column.numeric { NUMBER_WIDTH } else { TEXT_WIDTH };
            let width = if index == 0 { FIRST_WIDTH } else { width };
            head_sizes.push((head.chars().count(), width));
            sheet.write_string_with_format(HEAD_ROW, at, head, &formats.head)?;
            sheet.set_column_width(at, width)?;
            widths.push((index, width));
            at += 1;
        }
    }
    sheet.set_row_height(HEAD_ROW, height(head_sizes))?;
    for (row, cells) in (HEAD_ROW + 1..).zip(&grid.rows) {
        // Only words are wrapped; a number has a line of its own.
        let words = widths.iter().filter_map(|(index, width)| Some((words(view, cells.get(*index)?), *width)));
        sheet.set_row_height(row, height(words))?;
        for ((cell, start), shape) in cells.iter().zip(&starts).zip(&shapes) {
            put(view, formats, sheet, (row, *start), cell, *shape)?;
        }
    }
    sheet.set_freeze_panes(HEAD_ROW + 1, 1)?.set_repeat_rows(HEAD_ROW, HEAD_ROW)?;
    page_setup(sheet, at > 5);
    Ok(())
}

/// Characters of a cell of words.
fn words(view: &View<'_>, cell: &Cell) -> usize {
    match cell {
        Cell::Head(_) | Cell::Text(_) | Cell::Suppressed | Cell::Persons(None) => cell.show(view).main.chars().count(),
        _ => 0,
    }
}

fn shape(grid: &Grid, column: usize) -> Shape {
    let cells = || grid.rows.iter().filter_map(|row| row.get(column));
    if cells().any(|cell| matches!(cell, Cell::Figure(..))) {
        Shape::Estimate
    } else if cells().any(|cell| matches!(cell, Cell::Range(..))) {
        Shape::LowHigh
    } else {
        Shape::Single
    }
}

fn heads(lang: Lang, head: &str, shape: Shape) -> Vec<String> {
    let (low, high) = (format!("{head} – {}", terms::low(lang)), format!("{head} – {}", terms::high(lang)));
    match shape {
        Shape::Single => vec![head.to_owned()],
        Shape::LowHigh => vec![low, high],
        Shape::Estimate => vec![head.to_owned(), low, high, format!("{head} – n")],
    }
}

fn put(
    view: &View<'_>,
    formats: &Formats,
    sheet: &mut Worksheet,
    (row, column): (Row, Column),
    cell: &Cell,
    shape: Shape,
) -> Result<(), XlsxError> {
    let number = |sheet: &mut Worksheet, column: Column, value: Option<f64>, format: &Format| match value {
        Some(value) => sheet.write_number_with_format(row, column, value, format).map(|_| ()),
        None => Ok(()),
    };
    match cell {
        Cell::Figure(figure, unit) => {
            let format = look(formats, *unit);
            let shown = |value: Option<f64>| value.map(|value| unit.shown(value));
            if figure.value.is_none() && figure.n > 0 && *unit == Unit::Time {
                sheet.write_string_with_format(row, column, cell.show(view).main, &formats.wrapped)?;
            }
            number(sheet, column, shown(figure.value), format)?;
            number(sheet, column + 1, shown(figure.low), format)?;
            number(sheet, column + 2, shown(figure.high), format)?;
            number(sheet, column + 3, Some(count(figure.n)), &formats.count)
        }
        Cell::Range(range, _) => {
            number(sheet, column, range.map(|range| range.low), &formats.number)?;
            number(sheet, column + 1, range.map(|range| range.high), &formats.number)
        }
        Cell::Value(value, unit) => number(sheet, column, value.map(|value| unit.shown(value)), look(formats, *unit)),
        Cell::Count(value) | Cell::Persons(value @ Some(_)) => number(sheet, column, value.map(count), &formats.count),
        Cell::Euros(nanos, _) => number(sheet, column, nanos.map(euros), &formats.euros),
        Cell::Cents(nanos) => number(sheet, column, nanos.map(|nanos| euros(nanos) * 100.0), &formats.cents),
        Cell::Number(value, _) => number(sheet, column, *value, &formats.number),
        Cell::Head(text) => sheet.write_string_with_format(row, column, text, &formats.row_head).map(|_| ()),
        Cell::Text(_) | Cell::Suppressed | Cell::Persons(None) => {
            let text = cell.show(view).main;
            sheet.write_string_with_format(row, column, &text, &formats.wrapped)?;
            // What is not available is so for both ends of a range.
            if shape == Shape::LowHigh {
                sheet.write_string_with_format(row, column + 1, &text, &formats.wrapped)?;
            }
            Ok(())
        }
    }
}

fn look(formats: &Formats, unit: Unit) -> &Format {
    match unit {
        Unit::Time => &formats.seconds,
        Unit::Share | Unit::Points => &formats.percent,
        Unit::Cost => &formats.cents,
        Unit::Ratio => &formats.ratio,
        Unit::Score => &formats.count,
    }
}

/// A count as the number that a cell holds.
#[expect(clippy::cast_precision_loss, reason = "counts of questions are far below 2^53")]
fn count(count: u64) -> f64 {
    count as f64
}
