//! Looks of cells: one of each, so that the same thing looks the same on every sheet.

use rust_xlsxwriter::{Color, Format, FormatAlign, FormatBorder};

/// Formats of the workbook.
#[derive(Clone, Debug)]
pub(super) struct Formats {
    /// Title of a sheet.
    pub(super) title: Format,
    /// Warning.
    pub(super) warning: Format,
    /// Heading of a column.
    pub(super) head: Format,
    /// What a row is about.
    pub(super) row_head: Format,
    /// Words.
    pub(super) wrapped: Format,
    /// Whole numbers.
    pub(super) count: Format,
    /// Shares.
    pub(super) percent: Format,
    /// Seconds.
    pub(super) seconds: Format,
    /// Cents.
    pub(super) cents: Format,
    /// Euros with four decimals.
    pub(super) euros: Format,
    /// Euros with six, for one answer.
    pub(super) small_euros: Format,
    /// Ratios and marks.
    pub(super) ratio: Format,
    /// Numbers that need three decimals.
    pub(super) number: Format,
    /// A number to change.
    pub(super) input_count: Format,
    /// A share to change.
    pub(super) input_percent: Format,
    /// Euros to change.
    pub(super) input_euros: Format,
    /// A level from 0 to 1 to change.
    pub(super) input_level: Format,
}

impl Formats {
    /// All of them.
    pub(super) fn new() -> Self {
        let base = || Format::new().set_align(FormatAlign::Top);
        let input = || base().set_background_color(Color::RGB(0x00E4_E4E4)).set_border(FormatBorder::Thin);
        let head = base().set_bold().set_text_wrap().set_border_bottom(FormatBorder::Medium);
        Self {
            title: Format::new().set_bold().set_font_size(14),
            warning: base().set_bold().set_text_wrap().set_border(FormatBorder::Medium),
            head,
            row_head: base().set_bold().set_text_wrap(),
            wrapped: base().set_text_wrap(),
            count: base().set_num_format("#,##0"),
            percent: base().set_num_format("0.0%"),
            seconds: base().set_num_format("#,##0.00"),
            cents: base().set_num_format("#,##0.0000"),
            euros: base().set_num_format("#,##0.0000 \"€\""),
            small_euros: base().set_num_format("#,##0.000000 \"€\""),
            ratio: base().set_num_format("0.00"),
            number: base().set_num_format("#,##0.000"),
            input_count: input().set_num_format("#,##0"),
            input_percent: input().set_num_format("0.0%"),
            input_euros: input().set_num_format("#,##0.000000 \"€\""),
            input_level: input().set_num_format("0.00"),
        }
    }
}
