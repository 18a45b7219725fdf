//! What commands share of what a person sees, and the only place that prints. A pipe that was closed (`| head`) is no reason to fail.

use std::io::Write;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

/// Forms of figures.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For a terminal.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// A bar over so many entries; it shows on a terminal only.
pub(crate) fn entries_bar(entries: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} entries, {eta} left");
    ProgressBar::new(entries).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A bar over bytes, or over records; it shows on a terminal only.
pub(crate) fn bytes_bar(what: &'static str, records: bool) -> ProgressBar {
    let template = match records {
        true => "{bar:40} {human_pos} of {human_len} {msg}, {eta} left",
        false => "{bar:40} {bytes} of {total_bytes} {msg}, {eta} left",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(what)
}

/// A bar over so many probes; it shows on a terminal only.
pub(crate) fn probes_bar(probes: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} probes, {elapsed}");
    let bar = ProgressBar::new(u64::try_from(probes).unwrap_or(u64::MAX));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A sign of life for work of unknown length; it shows on a terminal only.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(SPIN);
    spinner
}

/// How often a sign of life moves.
const SPIN: Duration = Duration::from_millis(100);

/// A line on standard output.
pub(crate) fn say(line: &str) {
    let _closed_pipe = writeln!(std::io::stdout(), "{line}").and_then(|()| std::io::stdout().flush());
}

/// A line on standard error.
pub(crate) fn complain(line: &str) {
    let _closed_pipe = writeln!(std::io::stderr(), "{line}");
}
