//! `passerelle backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::ProgressBar;

use super::output::{bytes_bar, complain};
use super::{ConfigFile, EX_SOFTWARE, Failure, say};
use crate::care::{Backup, BackupJob, Progress, Verified};
use crate::clock::Clock;

/// Make a backup of the ledger and the instance's secret, beside a running gateway or without one: a folder
/// `passerelle-TIME` with a manifest, readable by its owner only. Exit 70 when the ledger is damaged; such a backup is kept
/// and removes no older one.
#[derive(clap::Args)]
#[command(
    after_help = "Example: passerelle backup --config /etc/passerelle.toml --output /var/backups/passerelle --keep 14"
)]
pub(super) struct BackupCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Folder of backups; made when missing. Better on another disk.
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// How many backups of this instance stay in the folder, this one included; without it all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Do not look through the copy; a restore does it in any case.
    #[arg(long)]
    no_verify: bool,
    /// Print what was made as JSON.
    #[arg(long)]
    json: bool,
}

impl BackupCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let loaded = self.file.load_without_keys()?;
        let job = BackupJob {
            loaded: &loaded,
            output: &self.output,
            keep: self.keep.and_then(|keep| usize::try_from(keep).ok()),
            verify: !self.no_verify,
            now: Clock::system().now(),
        };
        let mut shown = Shown::default();
        let made = job.run(&mut |progress| shown.show(progress));
        shown.end();
        let backup = made?;
        if self.json {
            say(&to_json(&backup)?);
        } else {
            tell(&backup);
        }
        if backup.manifest.instance.is_none() {
            complain("warning: there is no secret yet (identity.secret_file): the backup holds the ledger alone");
        }
        for finding in &backup.findings {
            complain(finding);
        }
        let damaged = backup.manifest.verified == Verified::Damaged;
        if damaged {
            complain(
                "the ledger is DAMAGED: keep this backup and the ones before it, and see `passerelle ledger verify`",
            );
        }
        Ok(if damaged { ExitCode::from(EX_SOFTWARE) } else { ExitCode::SUCCESS })
    }
}

fn tell(backup: &Backup) {
    let manifest = &backup.manifest;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    say(&format!("{}: {} records, {bytes} bytes", backup.folder.display(), manifest.records));
    say(&format!("end of the chain: {}", manifest.head));
    if manifest.open_reservations > 0 {
        say(&format!("{} calls were open; their holds are in it", manifest.open_reservations));
    }
    say(match manifest.verified {
        Verified::Sound => "verified: pages, chain and counters are right",
        Verified::Pages => "verified: pages are right; the chain is of an earlier version and was not read",
        Verified::Damaged => "verified: DAMAGED",
        Verified::No => "not verified",
    });
    for folder in &backup.removed {
        say(&format!("removed {}", folder.display()));
    }
}

fn to_json(backup: &Backup) -> Result<String, Failure> {
    let value = serde_json::json!({
        "folder": backup.folder, "removed": backup.removed, "findings": backup.findings, "manifest": backup.manifest,
    });
    serde_json::to_string(&value).map_err(|error| Failure::Other(anyhow::Error::new(error)))
}

/// What a person sees of the progress, on a terminal only: a bar for each part of the work.
#[derive(Default)]
pub(super) struct Shown(Option<(&'static str, ProgressBar)>);

impl Shown {
    pub(super) fn show(&mut self, progress: Progress) {
        let (what, done, all) = match progress {
            Progress::Copied(done, all) => ("copied", done, all),
            Progress::Digested(done, all) => ("digested", done, all),
            Progress::Inspecting => ("pages looked through", 0, 0),
            Progress::Verified(done, all) => ("records verified", done, all),
        };
        if self.0.as_ref().is_none_or(|(shown, _)| *shown != what) {
            self.end();
            self.0 = Some((what, bytes_bar(what, matches!(progress, Progress::Verified(..)))));
        }
        if let Some((_, bar)) = &self.0 {
            bar.set_length(all);
            bar.set_position(done);
        }
    }

    pub(super) fn end(&mut self) {
        if let Some((_, bar)) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
