//! A sheet to play with the scorecard: weights and levels are cells; points, totals and ranks are formulas. The price
//! is marked with the classic formula, lowest price ÷ price (note of the French procurement directorate, 2024).

use rust_xlsxwriter::{Formula, Worksheet, XlsxError, utility::row_col_to_cell};

use crate::report::comparison::{CriterionRow, FormulaRow};
use crate::report::document::view::View;
use crate::report::document::words::{closed, prose, terms};

use super::formats::Formats;
use super::{Column, Row, euros, height, page_setup};

const PRICE_ROW: Row = 3;
const FIRST_CRITERION: Row = 4;
const WEIGHTS: Column = 1;
const FIRST_OFFER: Column = 2;
const WIDTH: f64 = 20.0;
const CLASSIC: &str = "classic";

/// Whether there is a scorecard with a price for each offer.
pub(super) fn is_useful(view: &View<'_>) -> bool {
    let scorecard = &view.comparison.scorecard;
    !scorecard.criteria.is_empty()
        && !scorecard.offers.is_empty()
        && scorecard.prices_euro_nanos.len() == scorecard.offers.len()
}

/// Where things stand on the sheet.
struct Plan {
    /// Offers.
    offers: Column,
    /// Row after the last criterion: sums.
    sums: Row,
}

impl Plan {
    /// First column of points: after the levels and an empty one.
    fn points(&self) -> Column {
        FIRST_OFFER + self.offers + 1
    }

    /// Columns of the offers from a first one, with the number of the offer.
    fn columns(&self, first: Column) -> impl Iterator<Item = (usize, Column)> + use<> {
        (first..first + self.offers).enumerate()
    }
}

/// Writes the sheet.
pub(super) fn write(view: &View<'_>, formats: &Formats, sheet: &mut Worksheet) -> Result<(), XlsxError> {
    let lang = view.lang;
    let scorecard = &view.comparison.scorecard;
    let plan = Plan {
        offers: Column::try_from(scorecard.offers.len()).unwrap_or(0),
        sums: FIRST_CRITERION + Row::try_from(scorecard.criteria.len()).unwrap_or(0),
    };
    sheet.set_name(terms::sheet_scorecard(lang))?;
    sheet.write_string_with_format(0, 0, terms::to_change(lang), &formats.title)?;
    sheet.write_string(1, 0, prose::workbook_play_scorecard(lang))?;
    heads(view, formats, sheet, &plan)?;
    sheet.write_string_with_format(PRICE_ROW, 0, terms::reference_price(lang), &formats.row_head)?;
    for ((_, column), price) in plan.columns(FIRST_OFFER).zip(&scorecard.prices_euro_nanos) {
        sheet.write_number_with_format(PRICE_ROW, column, euros(*price), &formats.input_euros)?;
    }
    for (row, criterion) in (FIRST_CRITERION..).zip(&scorecard.criteria) {
        criterion_row(view, formats, sheet, &plan, row, criterion)?;
    }
    totals(view, formats, sheet, &plan)?;
    sheet.set_freeze_panes(PRICE_ROW, 1)?;
    page_setup(sheet, true);
    Ok(())
}

fn heads(view: &View<'_>, formats: &Formats, sheet: &mut Worksheet, plan: &Plan) -> Result<(), XlsxError> {
    let lang = view.lang;
    let row = PRICE_ROW - 1;
    sheet.write_string_with_format(row, 0, terms::criterion(lang), &formats.head)?;
    sheet.write_string_with_format(row, WEIGHTS, terms::weight_percent(lang), &formats.head)?;
    sheet.set_column_width(0, 36.0)?.set_column_width(WEIGHTS, 12.0)?;
    let names = view.comparison.scorecard.offers.iter().map(|offer| view.short_name(offer).chars().count());
    let title = terms::level(lang).chars().count();
    sheet.set_row_height(row, height(names.map(|name| (title + 3 + name, WIDTH))))?;
    for (first, title) in [(FIRST_OFFER, terms::level(lang)), (plan.points(), terms::points(lang))] {
        for ((_, column), offer) in plan.columns(first).zip(&view.comparison.scorecard.offers) {
            sheet.write_string_with_format(
                row,
                column,
                format!("{title} – {}", view.short_name(offer)),
                &formats.head,
            )?;
            sheet.set_column_width(column, WIDTH)?;
        }
    }
    Ok(())
}

fn criterion_row(
    view: &View<'_>,
    formats: &Formats,
    sheet: &mut Worksheet,
    plan: &Plan,
    row: Row,
    criterion: &CriterionRow,
) -> Result<(), XlsxError> {
    sheet.write_string_with_format(row, 0, closed::criterion(view.lang, &criterion.criterion), &formats.row_head)?;
    sheet.write_number_with_format(row, WEIGHTS, f64::from(criterion.weight), &formats.input_count)?;
    let classic = classic(view);
    for (offer, column) in plan.columns(FIRST_OFFER) {
        let is_price = criterion.criterion == "price";
        let mark = match classic {
            Some(formula) if is_price => formula.price_marks.get(offer).copied(),
            _ => criterion.marks.get(offer).copied().flatten(),
        };
        // A mark goes from 0 to the weight: the level is what stays when the weight changes.
        let level = mark.filter(|_| criterion.weight > 0).map(|mark| mark / f64::from(criterion.weight));
        if is_price {
            let prices =
                format!("{}:{}", fixed(PRICE_ROW, FIRST_OFFER), fixed(PRICE_ROW, FIRST_OFFER + plan.offers - 1));
            let price = row_col_to_cell(PRICE_ROW, column);
            let formula = format!("=IF({price}=0,1,MIN({prices})/{price})");
            sheet.write_formula_with_format(row, column, computed(&formula, level), &formats.ratio)?;
        } else if let Some(level) = level {
            sheet.write_number_with_format(row, column, level, &formats.input_level)?;
        } else {
            sheet.write_blank(row, column, &formats.input_level)?;
        }
        let points = format!("=$B{}*{}", row + 1, row_col_to_cell(row, column));
        let at = plan.points() + (column - FIRST_OFFER);
        sheet.write_formula_with_format(row, at, computed(&points, mark.or(Some(0.0))), &formats.ratio)?;
    }
    Ok(())
}

fn totals(view: &View<'_>, formats: &Formats, sheet: &mut Worksheet, plan: &Plan) -> Result<(), XlsxError> {
    let lang = view.lang;
    let (last, total_row, rank_row) = (plan.sums - 1, plan.sums, plan.sums + 1);
    let weights: u32 = view.comparison.scorecard.criteria.iter().map(|criterion| criterion.weight).sum();
    let label = format!("{} / {}", terms::sum_of_weights(lang), terms::total(lang));
    sheet.write_string_with_format(total_row, 0, label, &formats.row_head)?;
    let sum = format!("=SUM(B{}:B{})", FIRST_CRITERION + 1, last + 1);
    sheet.write_formula_with_format(total_row, WEIGHTS, computed(&sum, Some(f64::from(weights))), &formats.count)?;
    sheet.write_string_with_format(rank_row, 0, terms::rank(lang), &formats.row_head)?;
    let first = plan.points();
    let all = format!("{}:{}", fixed(total_row, first), fixed(total_row, first + plan.offers - 1));
    for (offer, column) in plan.columns(first) {
        let (total, rank) = match classic(view) {
            Some(formula) => (formula.totals.get(offer).copied(), formula.ranks.get(offer).copied().map(f64::from)),
            None => (None, None),
        };
        let sum = format!("=SUM({}:{})", row_col_to_cell(FIRST_CRITERION, column), row_col_to_cell(last, column));
        sheet.write_formula_with_format(total_row, column, computed(&sum, total), &formats.ratio)?;
        let place = format!("=RANK({},{all},0)", row_col_to_cell(total_row, column));
        sheet.write_formula_with_format(rank_row, column, computed(&place, rank), &formats.count)?;
    }
    Ok(())
}

fn classic<'a>(view: &View<'a>) -> Option<&'a FormulaRow> {
    view.comparison.scorecard.formulas.iter().find(|formula| formula.formula == CLASSIC)
}

/// A cell that stays the same when a formula is copied.
fn fixed(row: Row, column: Column) -> String {
    rust_xlsxwriter::utility::row_col_to_cell_absolute(row, column)
}

/// A formula with the value that it has at first, for programs that show a workbook without computing it.
fn computed(formula: &str, value: Option<f64>) -> Formula {
    let formula = Formula::new(formula);
    match value {
        Some(value) => formula.set_result(value.to_string()),
        None => formula,
    }
}
