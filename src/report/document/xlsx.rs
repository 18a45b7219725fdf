//! The comparison as a workbook: a sheet that explains, a sheet a table, and two sheets with formulas for a buyer who
//! wants to change the assumptions. It computes nothing that a formula can.

mod formats;
mod prices;
mod scorecard;
mod sheet;

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Url, Workbook, Worksheet, XlsxError};

use crate::report::comparison::Comparison;

use super::Lang;
use super::grid::Grid;
use super::grids;
use super::numbers::day;
use super::view::View;
use super::words::{prose, sentences, terms};
use formats::Formats;

/// Why the workbook could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the workbook could not be made")]
pub struct WorkbookError(#[from] XlsxError);

/// Column and row numbers of a sheet.
pub(crate) type Column = u16;
/// Row number, from 0.
pub(crate) type Row = u32;

const READ_ME_WIDTH: f64 = 80.0;
/// A4 in the format's list of papers.
const A4: u8 = 9;

/// The bytes of the workbook.
///
/// # Errors
/// [`WorkbookError`] when the format does not allow what should be written.
pub fn render(comparison: &Comparison, lang: Lang) -> Result<Vec<u8>, WorkbookError> {
    let view = View { comparison, lang };
    let formats = Formats::new();
    let grids = grids::all(&view);
    let mut workbook = Workbook::new();
    workbook.set_properties(&properties(&view));
    explain(&view, &formats, workbook.add_worksheet(), &grids)?;
    if prices::is_useful(&view) {
        prices::write(&view, &formats, workbook.add_worksheet())?;
    }
    if scorecard::is_useful(&view) {
        scorecard::write(&view, &formats, workbook.add_worksheet())?;
    }
    for grid in &grids {
        sheet::write(&view, &formats, workbook.add_worksheet(), grid)?;
    }
    Ok(workbook.save_to_buffer()?)
}

/// The day of the evidence is the day of the workbook, so that the same evidence gives the same bytes.
fn properties(view: &View<'_>) -> DocProperties {
    let made_at = view.comparison.made_at.get(..19).and_then(|moment| ExcelDateTime::parse_from_str(moment).ok());
    let fixed = made_at.or_else(|| ExcelDateTime::from_ymd(2000, 1, 1).ok());
    let properties = DocProperties::new().set_title(terms::title(view.lang));
    match &fixed {
        Some(moment) => properties.set_creation_datetime(moment),
        None => properties,
    }
}

fn explain(view: &View<'_>, formats: &Formats, sheet: &mut Worksheet, grids: &[Grid]) -> Result<(), XlsxError> {
    let lang = view.lang;
    sheet.set_name(terms::read_me(lang))?.set_column_width(0, READ_ME_WIDTH)?;
    page_setup(sheet, false);
    let (from, to) = (day(lang, &view.comparison.from), day(lang, &view.comparison.to));
    sheet.write_string_with_format(0, 0, terms::title(lang), &formats.title)?;
    sheet.write_string_with_format(1, 0, sentences::period(lang, &from, &to), &formats.wrapped)?;
    let mut row = 2;
    for warning in view.warnings() {
        sheet.set_row_height(row, height([(warning.chars().count(), READ_ME_WIDTH)]))?;
        sheet.write_string_with_format(row, 0, warning, &formats.warning)?;
        row += 1;
    }
    let mut texts = vec![prose::workbook_intro(lang)];
    if prices::is_useful(view) {
        texts.push(prose::workbook_play_prices(lang));
    }
    if scorecard::is_useful(view) {
        texts.push(prose::workbook_play_scorecard(lang));
    }
    texts.extend([prose::workbook_units(lang), prose::legend_text(lang), prose::evidence_intro(lang)]);
    for text in texts {
        sheet.set_row_height(row, height([(text.chars().count(), READ_ME_WIDTH)]))?;
        sheet.write_string_with_format(row, 0, text, &formats.wrapped)?;
        row += 1;
    }
    row += 1;
    sheet.write_string_with_format(row, 0, terms::sheets(lang), &formats.head)?;
    for (name, caption) in contents(view, grids) {
        row += 1;
        let link =
            Url::new(format!("internal:'{}'!A1", name.replace('\'', "''"))).set_text(format!("{name} – {caption}"));
        sheet.write_url(row, 0, link)?;
    }
    Ok(())
}

/// Names of the other sheets with what they hold.
fn contents(view: &View<'_>, grids: &[Grid]) -> Vec<(String, String)> {
    let lang = view.lang;
    let mut contents = Vec::new();
    if prices::is_useful(view) {
        contents.push((terms::sheet_prices(lang).to_owned(), prose::what_if_caption(lang).to_owned()));
    }
    if scorecard::is_useful(view) {
        contents.push((terms::sheet_scorecard(lang).to_owned(), terms::scorecard(lang).to_owned()));
    }
    contents.extend(grids.iter().map(|grid| (grid.sheet.clone(), grid.caption.clone())));
    contents
}

/// A4, all columns on a page's width.
fn page_setup(sheet: &mut Worksheet, landscape: bool) {
    sheet.set_paper_size(A4).set_print_fit_to_pages(1, 0);
    if landscape {
        sheet.set_landscape();
    }
}

/// Points of a line of text.
const LINE: f64 = 15.0;

/// Height of a row whose cells hold so many characters in columns of so many: not every program fits rows to wrapped
/// text.
#[expect(clippy::cast_precision_loss, reason = "a text of a cell is far shorter than 2^53 characters")]
fn height(cells: impl IntoIterator<Item = (usize, f64)>) -> f64 {
    let lines = cells.into_iter().map(|(characters, width)| (characters as f64 * WIDER / width).ceil());
    LINE * lines.fold(1.0, f64::max)
}

/// Words do not fill a line to its end.
const WIDER: f64 = 1.2;

/// Nano-euros as the number of euros that a cell holds.
#[expect(clippy::cast_precision_loss, reason = "cells hold 64-bit floats; below 9 million euros no nano-euro is lost")]
pub(crate) fn euros(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
