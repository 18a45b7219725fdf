//! The report for a person at a terminal of 120 columns.
//!
//! It says what is not known ("–"), not yet sayable ("n<36") or beyond the limit ("> 60 s"); it computes nothing.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};
use providers::money::format_nanos;

use super::{ATTEMPTS_FOR_P50, ATTEMPTS_FOR_P90, ATTEMPTS_FOR_P95, Quantiles, Report};

/// Columns of the terminal.
const WIDTH: u16 = 120;
const NOT_KNOWN: &str = "–";
pub(super) const SIMULATED: &str = "*** SIMULATED VENDORS: these figures say nothing about real ones ***";

/// The whole page.
pub(super) fn render(report: &Report) -> String {
    let mut parts = vec![title(report)];
    if report.rows.is_empty() {
        parts.push("No question reached a vendor in this period: there is nothing to compare.".to_owned());
    } else {
        parts.extend([costs(report), not_in_costs(report), times(report)]);
    }
    parts.push(refusals(report));
    if !report.rows.is_empty() {
        parts.push(legend(report));
    }
    if report.simulated {
        parts.push(SIMULATED.to_owned());
    }
    parts.join("\n\n") + "\n"
}

fn title(report: &Report) -> String {
    let period = &report.period;
    let line = format!("Vendors from {} to {}, as of {}", period.from, period.to, report.generated_at);
    if report.simulated { format!("{SIMULATED}\n{line}") } else { line }
}

fn costs(report: &Report) -> String {
    let mut table = empty_table([
        "provider",
        "model",
        "questions",
        "answered\n%",
        "taken\nover",
        "cost\nEUR",
        "EUR /\nquestion",
        "EUR / 1,000\ncharacters",
    ]);
    for row in &report.rows {
        table.add_row([
            row.provider.clone(),
            row.model.clone(),
            row.questions.to_string(),
            percent(row.answered_share),
            row.taken_over.to_string(),
            euros(row.cost_euro_nanos, row.uncosted),
            text(row.cost_per_question_euro.as_deref()),
            text(row.cost_per_1000_chars_euro.as_deref()),
        ]);
    }
    let totals = &report.totals;
    table.add_row([
        "all".to_owned(),
        String::new(),
        totals.questions.to_string(),
        percent(totals.answered_share),
        totals.taken_over.to_string(),
        euros(totals.cost_euro_nanos, totals.uncosted),
        text(totals.cost_per_question_euro.as_deref()),
        text(totals.cost_per_1000_chars_euro.as_deref()),
    ]);
    align_numbers(&mut table);
    table.trim_fmt()
}

/// What the sums above leave out, in a sentence.
fn not_in_costs(report: &Report) -> String {
    let totals = &report.totals;
    let charged = format!(
        "Charged beyond these exact costs: {} EUR, for {} interrupted and {} unknown calls at their upper bound.",
        format_nanos(totals.charged_uncertain_euro_nanos),
        totals.interrupted,
        totals.unknown,
    );
    let sentence = match totals.uncosted {
        0 => charged,
        count => format!("{charged} The cost of {count} answers is not known: sums marked ≥ are lower bounds."),
    };
    wrap(&sentence)
}

fn times(report: &Report) -> String {
    let mut table = empty_table([
        "provider",
        "model",
        "n",
        "first\ntext\np50",
        "first\ntext\np90",
        "first\ntext\np95",
        "n",
        "end to\nend\np50",
        "end to\nend\np90",
        "end to\nend\np95",
        "tok/s\np50",
        "char/s\np50",
    ]);
    for row in &report.rows {
        let (first, whole) = (&row.first_text_ms, &row.duration_ms);
        let mut cells = vec![row.provider.clone(), row.model.clone()];
        cells.extend(time_cells(first, report.limit_seconds));
        cells.extend(time_cells(whole, report.limit_seconds));
        cells.extend([speed(&row.tokens_per_second), speed(&row.chars_per_second)]);
        table.add_row(cells);
    }
    align_numbers(&mut table);
    table.trim_fmt()
}

fn time_cells(times: &Quantiles, limit_seconds: u64) -> [String; 4] {
    let attempts = times.n + times.beyond;
    let cell = |value: Option<f64>, minimum: u64| match value {
        Some(ms) => format!("{:.2} s", ms / 1_000.0),
        None if attempts == 0 => NOT_KNOWN.to_owned(),
        None if attempts < minimum => format!("n<{minimum}"),
        None => format!("> {limit_seconds} s"),
    };
    [
        attempts.to_string(),
        cell(times.p50, ATTEMPTS_FOR_P50),
        cell(times.p90, ATTEMPTS_FOR_P90),
        cell(times.p95, ATTEMPTS_FOR_P95),
    ]
}

fn speed(speeds: &Quantiles) -> String {
    match speeds.p50 {
        Some(value) => format!("{value:.0}"),
        None if speeds.n == 0 => NOT_KNOWN.to_owned(),
        None => format!("n<{ATTEMPTS_FOR_P50}"),
    }
}

fn refusals(report: &Report) -> String {
    let mut lines = Vec::new();
    if report.refusals.is_empty() {
        lines.push("No question was refused before it reached a vendor.".to_owned());
    } else {
        lines.push("Refused before any vendor heard of it:".to_owned());
    }
    for (reason, count) in &report.refusals {
        lines.push(format!("{count:>9}  {}", reason_in_words(reason)));
    }
    lines.push(match report.open_reservations {
        0 => "No reservation is open.".to_owned(),
        1 => "1 reservation is open: that call is in progress and not yet in these figures.".to_owned(),
        open => format!("{open} reservations are open: those calls are in progress and not yet in these figures."),
    });
    lines.join("\n")
}

/// A reason as a person would say it; one that is not known here is printed as it is.
fn reason_in_words(reason: &str) -> &str {
    match reason {
        "questions_per_day" => "the resident had asked all questions of the day",
        "tokens_per_day" => "the resident had too few tokens left for the day",
        "euros_per_month" => "the resident had too little money left for the month",
        "town_euros_per_month" => "the town's envelope of the month had too little left",
        "town_euros_per_year" => "the town's envelope of the year had too little left",
        "requests_per_minute" => "the resident asked too often in a minute",
        "simultaneous_requests" => "the resident had too many questions open at once",
        "model_not_found" => "the model does not exist or is not in the resident's plan",
        "invalid_api_key" => "the key is not known or was revoked",
        "resident_suspended" => "the resident is suspended",
        "invalid_request" => "the request could not be understood",
        "context_length_exceeded" => "the question is longer than the model can read",
        "request_too_large" => "the request has too many bytes",
        "store_unavailable" => "the ledger could not be written",
        "upstream_unavailable" => "no vendor could be called",
        "stopped" => "the town had stopped the service, the vendor or the plan",
        "revoked" => "the key was revoked while the question came in",
        "outside_region" => "no host of the model is where the plan requires it",
        "unpriced" => "the model has no price in force",
        "shutting_down" => "the gateway was stopping",
        other => other,
    }
}

fn legend(report: &Report) -> String {
    wrap(&format!(
        "How these figures are made: a question belongs to the model it was first sent to; when another vendor took \
         over, the failure stays with the vendor that failed, and the answer is counted under \"taken over\" with its \
         cost but not its time. Times run from receipt of the question, on a monotonic clock; first text is measured on \
         streamed answers only. Questions without an answer count as longer than {limit} s, and n counts them too; \
         those whose client left before the end say nothing about the vendor and are in no time; p90 is what 90 % of questions stay within. Speeds are of streamed answers of \
         at least 20 tokens, and p50 is what half of them reach at least. Quantiles come from histograms with an error \
         of at most 1 %; n<{p50}, n<{p90} and n<{p95} say that fewer attempts allow no 95 % interval. Money is added up \
         in exact integers; euros per question and per 1,000 characters are divided once and rounded up. Answers whose \
         cost is not known are in neither. {NOT_KNOWN} means not known, never zero. Questions for which a resident chose \
         the model are included and nothing is adjusted for length or hour: this describes what happened and does not \
         show that one vendor is better.",
        limit = report.limit_seconds,
        p50 = ATTEMPTS_FOR_P50,
        p90 = ATTEMPTS_FOR_P90,
        p95 = ATTEMPTS_FOR_P95,
    ))
}

pub(super) fn empty_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header);
    table
}

/// Everything after provider and model is a number; one space less a column leaves room for long model names.
pub(super) fn align_numbers(table: &mut Table) {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 1));
    });
    table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NOT_KNOWN.to_owned(), |share| format!("{:.1}", share * 100.0))
}

fn euros(nanos: Option<i64>, uncosted: u64) -> String {
    let bound = if uncosted > 0 { "≥" } else { "" };
    nanos.map_or_else(|| NOT_KNOWN.to_owned(), |nanos| format!("{bound}{}", format_nanos(nanos)))
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or(NOT_KNOWN).to_owned()
}

/// Breaks a paragraph at plain spaces, so that no line is wider than the terminal; a non-breaking space does not break.
pub(super) fn wrap(paragraph: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split_ascii_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= usize::from(WIDTH) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}
