//! `passerelle doctor`.

use std::process::ExitCode;

use super::output::spinner;
use super::{ConfigFile, EX_SOFTWARE, Failure, runtime, say};
use crate::clock::Clock;
use crate::doctor::{Doctor, Finding, State, worst};

/// Look the instance over, serving or not: files, disk, ledger, clock, vendors, models, prices, addresses, limits. It changes
/// nothing and asks vendors nothing that costs. Exit 0 when all is well or deserves a look, 70 when something is wrong.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle doctor --config /etc/passerelle.toml")]
pub(super) struct DoctorCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Leave vendors and the webhook alone.
    #[arg(long)]
    offline: bool,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

impl DoctorCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (loaded, has_keys) = match self.file.load() {
            Ok(loaded) => (loaded, true),
            // Only the keys may be missing: those are the service's, and this may be somebody's shell.
            Err(_) => (self.file.load_without_keys()?, false),
        };
        let clock = Clock::system();
        let doctor = Doctor {
            loaded: &loaded,
            file: self.file.config.as_deref(),
            has_keys,
            offline: self.offline,
            clock: &clock,
        };
        let bar = spinner("looking");
        let findings = runtime()?.block_on(doctor.examine(&mut |what| bar.set_message(what)));
        bar.finish_and_clear();
        let state = worst(&findings);
        if self.json {
            let value = serde_json::json!({ "at": clock.now(), "state": state, "findings": findings });
            say(&serde_json::to_string(&value).map_err(anyhow::Error::new)?);
        } else {
            findings.iter().for_each(tell);
            let count = |state| findings.iter().filter(|finding| finding.state == state).count();
            say(&format!("{} wrong, {} to look at", count(State::Wrong), count(State::Warning)));
        }
        Ok(if state == State::Wrong { ExitCode::from(EX_SOFTWARE) } else { ExitCode::SUCCESS })
    }
}

fn tell(finding: &Finding) {
    let state = match finding.state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Wrong => "WRONG",
    };
    say(&format!("{state:<8}{:<14} {}", finding.check, finding.found));
    if !finding.advice.is_empty() {
        say(&format!("{:<23}-> {}", "", finding.advice));
    }
}
