//! A sheet to play with prices and volume: price rise, VAT and questions a month are cells, the rest are formulas.

use rust_xlsxwriter::{Formula, Worksheet, XlsxError};

use crate::report::document::view::View;
use crate::report::document::words::terms;

use super::formats::Formats;
use super::{Row, euros, height, page_setup};

/// Where the assumptions stand, as formulas name them.
const RISE: &str = "$B$3";
const VAT: &str = "$B$4";
const QUESTIONS: &str = "$B$5";
const ENVELOPE: &str = "$B$6";
const HEAD_ROW: Row = 7;
const WIDTH: f64 = 18.0;
/// What the sheet begins with: a reader changes it.
const FIRST_RISE: f64 = 0.1;

/// Whether any model has a price to play with.
pub(super) fn is_useful(view: &View<'_>) -> bool {
    !view.comparison.euros.repriced.is_empty()
}

/// Writes the sheet.
pub(super) fn write(view: &View<'_>, formats: &Formats, sheet: &mut Worksheet) -> Result<(), XlsxError> {
    let lang = view.lang;
    let section = &view.comparison.euros;
    let first = First {
        vat: f64::from(section.vat_basis_points) / 10_000.0,
        questions: questions_a_month(view),
        envelope: euros(section.envelope_euro_nanos),
    };
    sheet.set_name(terms::sheet_prices(lang))?;
    sheet.write_string_with_format(0, 0, terms::to_change(lang), &formats.title)?;
    let inputs = [
        (terms::price_rise(lang), FIRST_RISE, &formats.input_percent),
        (terms::vat(lang), first.vat, &formats.input_percent),
        (terms::questions_a_month(lang), first.questions, &formats.input_count),
        (terms::envelope(lang), first.envelope, &formats.input_euros),
    ];
    for (row, (label, value, format)) in (2..).zip(inputs) {
        sheet.write_string_with_format(row, 0, label, &formats.row_head)?;
        sheet.write_number_with_format(row, 1, value, format)?;
    }
    let heads = [
        terms::model(lang),
        terms::cost_now(lang),
        terms::cost_raised(lang),
        terms::cost_raised_vat(lang),
        terms::year(lang),
        terms::year_vat(lang),
        terms::envelope_share(lang),
    ];
    sheet.set_row_height(HEAD_ROW, height(heads.map(|head| (head.chars().count(), WIDTH))))?;
    for (column, head) in (0..).zip(heads) {
        sheet.write_string_with_format(HEAD_ROW, column, head, &formats.head)?;
        sheet.set_column_width(column, if column == 0 { 40.0 } else { WIDTH })?;
    }
    for (row, priced) in (HEAD_ROW + 1..).zip(&section.repriced) {
        sheet.write_string_with_format(row, 0, view.name(&priced.model), &formats.row_head)?;
        let cost = euros(priced.per_answer_euro_nanos);
        sheet.write_number_with_format(row, 1, cost, &formats.input_euros)?;
        write_formulas(formats, sheet, row, cost, &first)?;
    }
    sheet.set_freeze_panes(HEAD_ROW + 1, 1)?;
    page_setup(sheet, true);
    Ok(())
}

/// Values that the assumptions begin with.
struct First {
    vat: f64,
    questions: f64,
    envelope: f64,
}

/// Formulas with the values that they have at first, for programs that show a workbook without computing it.
fn write_formulas(
    formats: &Formats,
    sheet: &mut Worksheet,
    row: Row,
    cost: f64,
    first: &First,
) -> Result<(), XlsxError> {
    let line = row + 1;
    let raised = cost * (1.0 + FIRST_RISE);
    let year = raised * first.questions * 12.0;
    let with_vat = 1.0 + first.vat;
    let share = if first.envelope > 0.0 { (year / first.envelope).to_string() } else { String::new() };
    let cells = [
        (format!("=B{line}*(1+{RISE})"), raised.to_string(), &formats.small_euros),
        (format!("=C{line}*(1+{VAT})"), (raised * with_vat).to_string(), &formats.small_euros),
        (format!("=C{line}*{QUESTIONS}*12"), year.to_string(), &formats.euros),
        (format!("=E{line}*(1+{VAT})"), (year * with_vat).to_string(), &formats.euros),
        (format!("=IF({ENVELOPE}>0,E{line}/{ENVELOPE},\"\")"), share, &formats.percent),
    ];
    for (column, (formula, result, format)) in (2..).zip(cells) {
        sheet.write_formula_with_format(row, column, Formula::new(formula).set_result(result), format)?;
    }
    Ok(())
}

/// Questions of the period, shared over the months that it touches.
fn questions_a_month(view: &View<'_>) -> f64 {
    let section = &view.comparison.euros;
    let months = u64::try_from(section.per_resident.len()).unwrap_or(1).max(1);
    f64::from(u32::try_from(section.questions / months).unwrap_or(u32::MAX))
}
