//! What a demo shows: the check, the table, and where to look next.
//!
//! It must not compute anything.

use std::path::Path;

use providers::money::format_nanos;

use super::figures::{Figures, Overhead};
use super::play::{Resident, Tally};
use super::stage::Stage;
use crate::cli::output::say;
use crate::probes::RoundReport;

/// Columns of the terminal that the table is made for.
const WIDTH: usize = 120;
/// What stands before a line that goes on.
const INDENT: &str = "          ";
/// What the overhead is of.
const OVERHEAD_NOTE: &str = "From receipt of a question to sending it on, the durable hold on its money included.";

/// What is about to happen.
pub(super) fn opening(stage: &Stage, questions: usize, residents: usize) {
    let vendors = if stage.simulated { "two simulated vendors" } else { "the two REAL vendors" };
    say(&format!(
        "Passerelle demo: {residents} residents put {questions} questions to {vendors}, streamed, through http://{}/v1",
        stage.addresses.public
    ));
}

/// The table and the lines around it.
pub(super) fn outcome(figures: &Figures, tally: &Tally) {
    say("");
    say(figures.report.to_table().trim_end());
    say("");
    say(&format!("Play      {}", played(figures, tally)));
    for sentence in &tally.sentences {
        say(&indented(&format!("Refused: {sentence}")));
    }
    if !figures.probes.is_empty() {
        say(&format!("Probes    {}", probes(figures)));
    }
    say(&format!("Gateway   {}", overhead(figures)));
    say(&indented(OVERHEAD_NOTE));
    say(&format!("Money     {}", check(figures)));
}

fn played(figures: &Figures, tally: &Tally) -> String {
    let failed: u64 = tally.failed.values().sum();
    let mut line = format!(
        "{:.1} s; {} answers read to their end, {} questions refused for a limit, {failed} failed",
        figures.play_seconds, tally.answered, tally.refused
    );
    if failed > 0 {
        let kinds: Vec<String> = tally.failed.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        line += &format!(" ({})", kinds.join(", "));
    }
    line
}

/// The town's own questions.
fn probes(figures: &Figures) -> String {
    let sum = |count: fn(&RoundReport) -> usize| figures.probes.iter().map(count).sum::<usize>();
    format!(
        "{} rounds of the town's own questions, each to every model within the same minute: {} of {} pairs complete",
        figures.probes.len(),
        sum(|round| round.complete_questions),
        sum(|round| round.questions)
    )
}

fn overhead(figures: &Figures) -> String {
    let millis = |micros: Option<u64>| match micros {
        Some(micros) => format!("{}.{:03} ms", micros / 1_000, micros % 1_000),
        None => "not known".to_owned(),
    };
    let build = if cfg!(debug_assertions) { ", unoptimised build" } else { "" };
    let Overhead { n, p50, p99 } = figures.overhead_micros;
    format!("overhead p50 {}, p99 {}, exact over {n} first attempts{build}", millis(p50), millis(p99))
}

/// A paragraph under a heading, broken between words.
fn indented(paragraph: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{INDENT}{word}")),
        }
    }
    lines.join("\n")
}

/// The ledger against the vendors' books, in one line.
pub(super) fn check(figures: &Figures) -> String {
    let ledger = format_nanos(figures.ledger_cost_nanos);
    match figures.vendors_billed_nanos {
        Some(billed) if figures.agree() => {
            format!("ledger {ledger} USD = vendors' bills {} USD: equal to the nano", format_nanos(billed))
        }
        Some(billed) => format!("ledger {ledger} USD, vendors' bills {} USD: DIFFERENT", format_nanos(billed)),
        None => format!("ledger {ledger} USD; compare it with the usage pages of both vendors"),
    }
}

/// Addresses, keys and commands, while the gateway is up.
pub(super) fn while_up(stage: &Stage, resident: Option<&Resident>) {
    let at = &stage.addresses;
    say("");
    say("Where to look next");
    say(&format!("  residents   http://{}/v1   (description: http://{}/openapi.json)", at.public, at.public));
    say(&format!("  operators   http://{}/metrics", at.ops));
    say(&format!(
        "  mairie      curl -s http://{}/admin/v1/report -H 'Authorization: Bearer {}'",
        at.mairie, stage.mairie_token
    ));
    if let Some(resident) = resident {
        say(&format!(
            "  a question  curl -sN http://{}/v1/chat/completions -H 'Authorization: Bearer {}' -H 'Content-Type: \
             application/json' -d '{{\"model\":\"auto\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\
             \"content\":\"Quand sort-on le bac jaune ?\"}}]}}'",
            at.public,
            resident.key().expose()
        ));
        if stage.simulated {
            say(&format!(
                "  a duel      curl -sN http://{}/v1/duels -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d \
                 '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Quels papiers pour une procuration ?\"}}]}}'",
                at.public,
                resident.key().expose()
            ));
        }
    }
    report_command(stage);
    say("");
    say("The gateway stays up until Ctrl-C.");
}

/// What is left when the gateway has stopped.
pub(super) fn when_down(stage: &Stage) {
    say("");
    say("Where to look next");
    report_command(stage);
    let live = if stage.simulated { "" } else { " --live" };
    say(&format!("  go on       {} demo{live} --folder {}", program(), quoted(&stage.folder)));
}

fn report_command(stage: &Stage) {
    say(&format!("  report      {} report --config {}", program(), quoted(&stage.config_file)));
    say(&format!(
        "  council     {} report --config {} --format html --output rapport.html   (also xlsx, json, evidence)",
        program(),
        quoted(&stage.config_file)
    ));
    say(&format!("  kept in     {}", stage.folder.display()));
    if stage.simulated {
        say("  All figures are of simulated vendors, in a database of their own: they say nothing about real ones.");
    }
}

/// How this program was called, so that a printed command works where this one did.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "passerelle".to_owned())
}

/// A path for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
