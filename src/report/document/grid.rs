//! A table before it takes a form: cells that know their unit. Page, terminal and workbook show the same ones.

use crate::report::comparison::{Figure, Range};

use super::Lang;
use super::numbers::{self, NOT_KNOWN};
use super::words::{sentences, terms};
use super::{money, view::View};

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Milliseconds, shown as seconds.
    Time,
    /// From 0 to 1, shown as a percentage.
    Share,
    /// Nano-euros, shown as cents.
    Cost,
    /// First over second.
    Ratio,
    /// First less second, of shares: percentage points.
    Points,
    /// Score of a ranking.
    Score,
}

/// A cell.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// What the row is about.
    Head(String),
    /// Words.
    Text(String),
    /// A count; what is absent is not known.
    Count(Option<u64>),
    /// A count of people or of what they did; what is absent stands for too few of them.
    Persons(Option<u64>),
    /// A cell that stands for too few people.
    Suppressed,
    /// An estimate with its interval and its observations.
    Figure(Figure, Unit),
    /// A value alone, whose observations stand in a column of their own.
    Value(Option<f64>, Unit),
    /// Nano-euros shown in euros with so many decimals.
    Euros(Option<i64>, u32),
    /// Nano-euros shown in cents.
    Cents(Option<i64>),
    /// A number with so many decimals.
    Number(Option<f64>, usize),
    /// From low to high, with so many decimals.
    Range(Option<Range>, usize),
}

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Heading.
    pub(crate) head: String,
    /// Whether it holds numbers.
    pub(crate) numeric: bool,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// Name in the document, unique: letters and hyphens.
    pub(crate) id: String,
    /// Name of its sheet, 31 characters at most.
    pub(crate) sheet: String,
    /// What it shows.
    pub(crate) caption: String,
    /// Columns.
    pub(crate) columns: Vec<Column>,
    /// Rows, each with as many cells as there are columns.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A cell in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The value.
    pub(crate) main: String,
    /// Its interval.
    pub(crate) interval: Option<String>,
    /// Its observations.
    pub(crate) n: Option<String>,
}

impl Grid {
    /// A table without rows. A heading that starts with `#` is that of a column of numbers.
    pub(crate) fn new(id: &str, sheet: &str, caption: String, heads: &[&str]) -> Self {
        let columns = heads
            .iter()
            .map(|head| Column { head: head.trim_start_matches('#').to_owned(), numeric: head.starts_with('#') })
            .collect();
        Self { id: id.to_owned(), sheet: sheet.to_owned(), caption, columns, rows: Vec::new() }
    }

    /// The same with these rows.
    pub(crate) fn with_rows(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows = rows.into_iter().collect();
        self
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Unit {
    /// A value in words; its unit is left to the heading where that names it.
    pub(crate) fn text(self, lang: Lang, value: f64) -> String {
        let sign = if self == Self::Ratio { "×\u{a0}" } else { "" };
        format!("{sign}{}{}", self.number(lang, value), self.after(lang))
    }

    fn number(self, lang: Lang, value: f64) -> String {
        match self {
            Self::Time => numbers::seconds(lang, value),
            Self::Share => numbers::decimal(lang, value * 100.0, 1),
            Self::Cost => money::cents(lang, nanos(value)),
            Self::Ratio => numbers::decimal(lang, value, 2),
            Self::Points if value > 0.0 => format!("+{}", numbers::decimal(lang, value * 100.0, 1)),
            Self::Points => numbers::decimal(lang, value * 100.0, 1),
            Self::Score => numbers::decimal(lang, value, 0),
        }
    }

    /// What follows the number.
    fn after(self, lang: Lang) -> &'static str {
        match self {
            Self::Time => "\u{a0}s",
            Self::Share => lang.pick("\u{202f}%", "%"),
            Self::Points => lang.pick("\u{a0}points", "\u{a0}points"),
            Self::Cost | Self::Ratio | Self::Score => "",
        }
    }

    /// The value as the unit shows it: seconds, cents, and the others as they are.
    pub(crate) fn shown(self, value: f64) -> f64 {
        match self {
            Self::Time => value / 1_000.0,
            Self::Cost => value / 10_000_000.0,
            Self::Share | Self::Ratio | Self::Points | Self::Score => value,
        }
    }
}

/// A mean of nano-euros as whole nano-euros.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and no mean cost comes near 9 billion euros")]
pub(crate) fn nanos(mean: f64) -> i64 {
    mean.round() as i64
}

/// An interval in words, if there is one; the unit is said once. Times may end beyond the limit.
pub(crate) fn interval(view: &View<'_>, figure: &Figure, unit: Unit) -> Option<String> {
    let (lang, low) = (view.lang, figure.low?);
    match (figure.high, unit) {
        (Some(high), _) => {
            let ends = sentences::from_to(lang, &unit.number(lang, low), &unit.number(lang, high));
            Some(format!("{ends}{}", unit.after(lang)))
        }
        (None, Unit::Time) => {
            let beyond = sentences::beyond(lang, view.comparison.limit_seconds);
            Some(sentences::from_to(lang, &unit.text(lang, low), &beyond))
        }
        (None, _) => None,
    }
}

/// A figure in words: its estimate, its interval and its observations.
pub(crate) fn figure(view: &View<'_>, figure: &Figure, unit: Unit) -> Shown {
    let main = match (figure.value, unit) {
        (Some(value), _) => unit.text(view.lang, value),
        (None, Unit::Time) if figure.n > 0 => sentences::beyond(view.lang, view.comparison.limit_seconds),
        (None, _) => NOT_KNOWN.to_owned(),
    };
    Shown { main, interval: interval(view, figure, unit), n: Some(sentences::n(view.lang, figure.n)) }
}

impl Cell {
    /// The cell in words.
    pub(crate) fn show(&self, view: &View<'_>) -> Shown {
        let lang = view.lang;
        let main = match self {
            Self::Figure(value, unit) => return figure(view, value, *unit),
            Self::Head(text) | Self::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Self::Count(count) => count.map(|count| numbers::integer(lang, count)),
            Self::Persons(count) => {
                Some(count.map_or_else(|| terms::suppressed(lang).to_owned(), |count| numbers::integer(lang, count)))
            }
            Self::Suppressed => Some(terms::suppressed(lang).to_owned()),
            Self::Value(value, unit) => value.map(|value| unit.text(lang, value)),
            Self::Euros(amount, decimals) => amount.map(|amount| money::euros(lang, amount, *decimals)),
            Self::Cents(amount) => amount.map(|amount| money::cents(lang, amount)),
            Self::Number(number, decimals) => number.map(|number| numbers::decimal(lang, number, *decimals)),
            Self::Range(range, decimals) => range.map(|range| {
                let end = |value| numbers::decimal(lang, value, *decimals);
                let (low, high) = (end(range.low), end(range.high));
                if low == high { low } else { sentences::from_to(lang, &low, &high) }
            }),
        };
        Shown { main: main.unwrap_or_else(|| NOT_KNOWN.to_owned()), interval: None, n: None }
    }
}
