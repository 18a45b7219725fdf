//! What the gateway costs with everything on, beside the vendor called directly and beside nginx as a bare reverse proxy:
//! processor time, added waiting time, throughput and memory, all arms in the same run.
//!
//! `cargo bench --bench load`; `-- --help` tells the rest. It builds the release program itself and measures that, as a
//! process of its own with the default configuration and the ledger on the disk. Ends with exit code 1 when an answer was
//! not whole; a target that is not met is said, and is no failure.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures, reads the clock and the environment, and its tasks end with its runtime"
)]

mod arguments;
mod driver;
mod events;
mod figures;
mod histogram;
mod machine;
mod many;
mod measure;
mod process;
mod question;
mod schedule;
mod stage;
mod steps;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use arguments::{Arguments, Step};
use clap::Parser;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use stage::Programs;
use steps::Results;
use targets::Row;

/// Load average up to which a machine counts as having nothing else to do.
const QUIET: f64 = 0.5;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.only.contains(&Step::Soak) && arguments.only.len() == 1 {
        anyhow::ensure!(arguments.soak > 0, "the step soak needs --soak N, for example --soak 1000000");
    }
    machine::raise_open_files()?;
    let nginx = machine::find_nginx()?;
    let built = arguments.binary.clone().map_or_else(machine::build_release, Ok)?;
    // A copy: whoever builds meanwhile changes nothing.
    let copies = tempfile::tempdir()?;
    let passerelle = copies.path().join("passerelle");
    fs::copy(&built, &passerelle).with_context(|| built.display().to_string())?;
    let machine = machine::Machine::read(&passerelle, &nginx)?;
    let folder = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let programs = Programs { passerelle, nginx, folder: fs::canonicalize(&folder)? };
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {elapsed}")?);
    let results = steps::take(&arguments, &programs, &bar);
    bar.finish_and_clear();
    let results = results?;
    let rows = targets::rows(&results, machine.binary_megabytes);
    show(&rows, &results);
    if machine.load_before > QUIET {
        println!(
            "load average before the run: {}. Other work shared the machine: compare ratios only",
            machine.load_before
        );
    }
    let settings = json!({
        "runs": arguments.runs(), "seconds": arguments.seconds(), "quick": arguments.quick, "streams": arguments.streams(),
        "soak": arguments.soak, "tokens": steps::TOKENS,
    });
    let report = json!({"machine": machine, "settings": settings, "rows": rows, "results": results});
    let file = json_file(&arguments, &machine.date);
    write(&file, &report)?;
    println!("every figure of every run: {}", file.display());
    Ok(if failures(&results) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn json_file(arguments: &Arguments, date: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/load/{date}.json"));
    arguments.json.clone().unwrap_or_else(default)
}

fn write(file: &Path, report: &serde_json::Value) -> Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, serde_json::to_string_pretty(report)?).with_context(|| file.display().to_string())
}

/// Prints every measurement, the figures that have a target, and what went wrong.
fn show(rows: &[Row], results: &Results) {
    if !results.points.is_empty() {
        let head = ["step", "arm", "/s", "p50 ms", "added p50", "added p99", "added p99.9", "CPU µs", "µs/chunk", "MB"];
        println!("{}\n", table(head, targets::measurements(results), 2));
    }
    let lines = rows.iter().map(|row| {
        let met = match row.is_met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        [&row.name, row.target, &row.figure, &row.nginx, &row.ratio, met].map(str::to_owned)
    });
    println!("{}", table(["figure", "target", "gateway: median (min..max)", "nginx", "ratio", "met"], lines, 6));
    if let Some(many) = results.many.first() {
        println!(
            "{} streams over connections of their own (HTTP/1.1), {} over HTTP/2, since a process here may open {} files; \
             configuration of that step: {}",
            many.over_http1,
            many.streams - many.over_http1,
            many.open_files,
            many.configuration.trim()
        );
    }
    for point in &results.points {
        for (why, count) in &point.failures {
            println!("FAILED: {} {} on {}: {count} times {why}", point.step, point.level, point.arm.name());
        }
    }
    for (why, count) in results.many.iter().flat_map(|many| &many.lost) {
        println!("LOST: {count} streams: {why}");
    }
}

/// A table whose columns from `figures` on are figures.
fn table<const N: usize>(head: [&str; N], lines: impl IntoIterator<Item = [String; N]>, figures: usize) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(head);
    for line in lines {
        table.add_row(line);
    }
    table.column_iter_mut().skip(figures).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.trim_fmt()
}

/// Answers that did not come, or not whole.
fn failures(results: &Results) -> u64 {
    let points = results.points.iter().flat_map(|point| point.failures.values());
    let lost = results.many.iter().flat_map(|many| many.lost.values());
    points.chain(lost).sum::<u64>() + results.soak.as_ref().map_or(0, |soak| soak.failures)
}
