//! `passerelle keys issue|list|revoke`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, Failure, complain, say};
use crate::clock::Clock;
use crate::identity::{ApiKey, new_resident_key};

/// Issue, list and revoke residents' keys. Works beside a running gateway, at once.
#[derive(clap::Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make new residents with one key each. Keys are printed once, one a line, and kept nowhere.
    #[command(
        after_help = "Example: passerelle keys issue --config passerelle.toml --plan resident --count 20 > cles.txt"
    )]
    Issue {
        #[command(flatten)]
        file: ConfigFile,
        /// Plan of the new residents.
        #[arg(long)]
        plan: String,
        /// How many.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
    },
    /// List keys by their public id, newest first. The keys themselves are not known.
    #[command(after_help = "Example: passerelle keys list --config passerelle.toml")]
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Revoke keys, given whole (psk-…) or by public id (key-…). The next request with it is refused.
    #[command(after_help = "Example: passerelle keys revoke --config passerelle.toml key-mzxw6ytboi4tq")]
    Revoke {
        #[command(flatten)]
        file: ConfigFile,
        /// Keys or public ids.
        #[arg(required = true)]
        keys: Vec<String>,
    },
}

impl Keys {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Issue { file, plan, count } => issue(&file, &plan, count),
            Action::List { file } => list(&file),
            Action::Revoke { file, keys } => revoke(&file, &keys),
        }
    }
}

fn issue(file: &ConfigFile, plan: &str, count: u32) -> Result<ExitCode, Failure> {
    let (ledger, config) = file.open_ledger()?;
    if !config.plans.contains_key(plan) {
        let known: Vec<&str> = config.plans.keys().map(String::as_str).collect();
        return Err(Failure::Usage(format!("there is no plan `{plan}`; the configuration has: {}", known.join(", "))));
    }
    let now = Clock::system().now();
    let made: Result<Vec<_>, _> = (0..count).map(|_| new_resident_key(plan, now)).collect();
    let (keys, records): (Vec<_>, Vec<_>) = made.map_err(anyhow::Error::new)?.into_iter().unzip();
    // Stored first: a key that was shown always works.
    ledger.add_keys(&records)?;
    for key in keys {
        say(key.expose());
    }
    Ok(ExitCode::SUCCESS)
}

fn list(file: &ConfigFile) -> Result<ExitCode, Failure> {
    let (ledger, _) = file.open_ledger()?;
    for key in ledger.list_keys()? {
        let state = match (key.revoked_at, key.suspended_at) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(at)) => format!("suspended {at}"),
            (None, None) => "live".to_owned(),
        };
        say(&format!("{}\t{}\t{}\tissued {}\t{state}", key.key_id, key.resident, key.plan, key.created_at));
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(file: &ConfigFile, keys: &[String]) -> Result<ExitCode, Failure> {
    let (ledger, _) = file.open_ledger()?;
    let now = Clock::system().now();
    let mut unknown = 0;
    for (position, key) in keys.iter().enumerate() {
        let hash = ApiKey::parse(key).map(|key| key.hash());
        if ledger.revoke_key(hash.as_ref(), key, now)? {
            say(&format!("revoked {} of {}", position + 1, keys.len()));
        } else {
            unknown += 1;
            // The argument may be a key: it is not repeated.
            complain(&format!("argument {} is no known key; `passerelle keys list` shows public ids", position + 1));
        }
    }
    if unknown > 0 {
        Err(Failure::Usage(format!("{unknown} of {} were not found", keys.len())))
    } else {
        Ok(ExitCode::SUCCESS)
    }
}
