//! `passerelle restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::backup::Shown;
use super::output::complain;
use super::{ConfigFile, Failure, say};
use crate::care::{Restore, RestoreJob};
use crate::clock::Clock;

/// Put a backup back where the configuration says, while no gateway serves. It is checked and verified first; what is there
/// already is never overwritten.
#[derive(clap::Args)]
#[command(
    after_help = "Example: passerelle restore --config /etc/passerelle.toml --from /var/backups/passerelle/passerelle-20261130T031500Z"
)]
pub(super) struct RestoreCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// The backup: a folder that `passerelle backup` made.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Move a ledger and a secret that are there aside, and say where they are.
    #[arg(long)]
    replace: bool,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

impl RestoreCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let loaded = self.file.load_without_keys()?;
        let job = RestoreJob { loaded: &loaded, from: &self.from, replace: self.replace, now: Clock::system().now() };
        let mut shown = Shown::default();
        let done = job.run(&mut |progress| shown.show(progress));
        shown.end();
        let restore = done?;
        if self.json {
            say(&to_json(&restore)?);
        } else {
            tell(&restore);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(restore: &Restore) {
    let manifest = &restore.manifest;
    for path in &restore.moved_aside {
        say(&format!("moved aside: {}", path.display()));
    }
    say(&format!("restored {}: {} records, verified", restore.ledger.display(), manifest.records));
    match &restore.secret {
        Some(path) => say(&format!("restored {}", path.display())),
        None => complain("warning: the backup holds no secret: pseudonyms and draws begin anew"),
    }
    say(&format!("end of the chain: {}", manifest.head));
    let last = manifest.last_record_at.map_or_else(|| "there is none".to_owned(), |at| at.to_string());
    say(&format!("the backup was begun at {}; its last record is of {last}", manifest.made_at));
    say(
        "What came after that is not in it, and nothing here knows what it was: what was asked and spent, keys issued or \
         revoked, stops, adjustments. Ask for it with `passerelle reconcile`, revoke and stop again what has to be.",
    );
    if let Some(at) = manifest.last_lease_ends.filter(|_| manifest.open_reservations > 0) {
        let open = manifest.open_reservations;
        say(&format!(
            "{open} calls were open: they are settled as unknown, at their ceiling, once their leases end (by {at})"
        ));
    }
    for file in &restore.configuration_changed {
        complain(&format!("warning: {file} is not what it was when the backup was made"));
    }
}

fn to_json(restore: &Restore) -> Result<String, Failure> {
    let value = serde_json::json!({
        "ledger": restore.ledger,
        "secret": restore.secret,
        "moved_aside": restore.moved_aside,
        "configuration_changed": restore.configuration_changed,
        "manifest": restore.manifest,
    });
    serde_json::to_string(&value).map_err(|error| Failure::Other(anyhow::Error::new(error)))
}
