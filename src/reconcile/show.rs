//! A reconciliation as a table, JSON and CSV.
//!
//! It must not compare.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table};
use providers::money::format_nanos;

use super::{MoneyRow, Reconciliation, UsageRow, Verdict};

/// Rows that differ are shown up to this number; files have them all.
const SHOWN: usize = 20;

impl Reconciliation {
    /// For a terminal: the figure for the period, what makes it up, and the first rows that differ.
    pub fn to_table(&self) -> String {
        let currency = self.currency;
        let billed = if self.billed { "billed" } else { "counted, at our prices" };
        let (lower, upper) = self.uncertain_nanos;
        let mut text = format!(
            "{} from {} to {} (UTC): {} calls of exact cost, {} of uncertain cost ({} to {} {currency})\n\
             ledger {} {currency} · {billed} {} {currency} · gap {} {currency} = {} EUR\n",
            self.provider,
            self.from,
            self.to,
            self.entries,
            self.uncertain,
            format_nanos(lower),
            format_nanos(upper),
            format_nanos(self.ours_nanos),
            format_nanos(self.theirs_nanos),
            format_nanos(self.gap_nanos),
            format_nanos(self.gap_euro_nanos),
        );
        if !self.shares.is_empty() {
            text.push_str(&self.shares_table().to_string());
            text.push('\n');
        }
        let differing: Vec<&UsageRow> = self.usage.iter().filter(|row| row.verdict != Verdict::Equal).collect();
        text.push_str(&format!(
            "usage: {} figures equal, {} differ\n",
            self.usage.len() - differing.len(),
            differing.len()
        ));
        if !differing.is_empty() {
            text.push_str(&usage_table(&differing).to_string());
            text.push('\n');
        }
        let money: Vec<&MoneyRow> =
            self.money.iter().filter(|row| row.parts.iter().any(|part| !part.cause.explains())).collect();
        if !money.is_empty() {
            text.push_str(&format!(
                "money that is not explained, {} of {} days and models:\n",
                money.len(),
                self.money.len()
            ));
            text.push_str(&money_table(&money).to_string());
            text.push('\n');
        }
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text.push_str(&self.conclusion());
        text
    }

    /// The last line.
    fn conclusion(&self) -> String {
        if self.is_explained() {
            return "everything is explained\n".to_owned();
        }
        format!(
            "NOT EXPLAINED: {} {} = {} EUR, and {} figures of usage\n",
            format_nanos(i64::try_from(self.unexplained_nanos).unwrap_or(i64::MAX)),
            self.currency,
            format_nanos(i64::try_from(self.unexplained_euro_nanos).unwrap_or(i64::MAX)),
            self.unexplained_usage,
        )
    }

    fn shares_table(&self) -> Table {
        let mut table = table(&["why", self.currency.code(), "EUR", "days and models"]);
        for share in &self.shares {
            table.add_row(vec![
                share.cause.to_string(),
                format_nanos(share.nanos),
                format_nanos(share.euro_nanos),
                share.rows.to_string(),
            ]);
        }
        aligned(table, &[1, 2, 3])
    }

    /// For programs.
    ///
    /// # Errors
    /// Never in practice: everything here can be written as JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// For spreadsheets: every row of money, then every row of usage.
    ///
    /// # Errors
    /// When a record cannot be written.
    pub fn to_csv(&self) -> Result<String, csv::Error> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["start", "model", "figure", "ours", "theirs", "verdict", "explanation", "explained"])?;
        for row in &self.money {
            let causes: Vec<String> =
                row.parts.iter().map(|part| format!("{} {}", part.cause, format_nanos(part.nanos))).collect();
            csv.write_record([
                row.day.to_string(),
                row.model.clone(),
                format!("cost_{}", self.currency.code()),
                format_nanos(row.ours_nanos),
                format_nanos(row.theirs_nanos),
                row.verdict.as_str().to_owned(),
                causes.join("; "),
                row.parts.iter().all(|part| part.cause.explains()).to_string(),
            ])?;
        }
        for row in &self.usage {
            csv.write_record([
                row.start.to_string(),
                row.model.clone(),
                row.bucket.as_str().to_owned(),
                row.ours.to_string(),
                row.theirs.to_string(),
                row.verdict.as_str().to_owned(),
                row.cause.as_ref().map(ToString::to_string).unwrap_or_default(),
                row.cause.as_ref().is_none_or(super::Cause::explains).to_string(),
            ])?;
        }
        let bytes = csv.into_inner().map_err(|error| error.into_error())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn usage_table(rows: &[&UsageRow]) -> Table {
    let mut table = table(&["from", "model", "bucket", "ours", "theirs", "why"]);
    for row in rows.iter().take(SHOWN) {
        table.add_row(vec![
            row.start.to_string(),
            row.model.clone(),
            row.bucket.as_str().to_owned(),
            row.ours.to_string(),
            row.theirs.to_string(),
            row.cause.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    more(&mut table, rows.len());
    aligned(table, &[3, 4])
}

fn money_table(rows: &[&MoneyRow]) -> Table {
    let mut table = table(&["day", "model", "ours", "theirs", "why"]);
    for row in rows.iter().take(SHOWN) {
        let parts: Vec<String> =
            row.parts.iter().map(|part| format!("{}: {}", part.cause, format_nanos(part.nanos))).collect();
        table.add_row(vec![
            row.day.to_string(),
            row.model.clone(),
            format_nanos(row.ours_nanos),
            format_nanos(row.theirs_nanos),
            parts.join("\n"),
        ]);
    }
    more(&mut table, rows.len());
    aligned(table, &[2, 3])
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(header.to_vec());
    table
}

fn aligned(mut table: Table, columns: &[usize]) -> Table {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn more(table: &mut Table, rows: usize) {
    if rows > SHOWN {
        table.add_row(vec![format!("and {} more (--format csv has them all)", rows - SHOWN)]);
    }
}
