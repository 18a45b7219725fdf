//! What the demo runs on: its folder, its addresses, its vendors and its configuration file.
//!
//! It must not know the questions or what is shown of them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::HEXLOWER;
use providers::Dialect;
use tokio::net::TcpListener;

use super::live;
use crate::app::{Addresses, Listeners};
use crate::cli::Failure;
use crate::clock::Clock;
use crate::config::{Environment, Loaded, load};
use crate::shutdown::Shutdown;
use crate::simulator::{Simulator, SimulatorSettings};

/// Where the three listeners would like to be, as in the defaults.
const USUAL_PORTS: [u16; 3] = [8080, 8081, 9090];
/// Bytes of chance in the mairie's token.
const TOKEN_BYTES: usize = 24;
/// Folders of one process that may be there already.
const MOST_FOLDERS: u32 = 100;
/// Share of the simulated vendors' calls that fail.
const ERROR_RATE: f64 = 0.02;
/// The simulated vendors wait that much of their usual times, so that the demo stays short.
const HASTE: f64 = 0.55;

/// Everything that must be there before the gateway is.
pub(super) struct Stage {
    /// Whether the vendors are simulated.
    pub(super) simulated: bool,
    /// Where everything is kept.
    pub(super) folder: PathBuf,
    /// The configuration file in it.
    pub(super) config_file: PathBuf,
    /// What was read from that file.
    pub(super) loaded: Loaded,
    /// Where the gateway listens.
    pub(super) addresses: Addresses,
    /// What opens the mairie's listener.
    pub(super) mairie_token: String,
    /// The simulated vendors; none when they are real.
    pub(super) simulators: Vec<Simulator>,
}

impl Stage {
    /// Takes addresses, starts the simulated vendors and writes the configuration. `vendors` is asked to stop last.
    ///
    /// # Errors
    /// [`Failure`] when there is no folder, no address or no configuration to be had.
    pub(super) async fn set(
        folder: Option<&Path>,
        live: Option<&Environment>,
        seed: u64,
        clock: &Clock,
        vendors: &Shutdown,
    ) -> Result<(Self, Listeners), Failure> {
        let simulated = live.is_none();
        let folder = match folder {
            Some(folder) => existing_folder(folder)?,
            None => new_folder(if simulated { "passerelle-demo" } else { "passerelle-demo-live" })?,
        };
        let listeners = bind_usual().await?;
        let addresses = listeners.addresses().context("the gateway's addresses")?;
        let mairie_token = token()?;
        let mut simulators = Vec::new();
        if simulated {
            for dialect in [Dialect::Openai, Dialect::Mistral] {
                simulators.push(simulate(dialect, seed, clock, vendors).await?);
            }
        }
        let name = if simulated { "demo" } else { "live" };
        let upstream = if simulated { simulated_toml(&simulators) } else { live::LIVE_TOML.to_owned() };
        let config_file = folder.join(format!("{name}.toml"));
        let text = config_toml(name, &addresses, &mairie_token) + &upstream;
        write_private(&config_file, &text)?;
        let loaded = match live {
            Some(environment) => load(Some(&config_file), environment)?,
            None => {
                let keys = [("OPENAI_API_KEY", "simulated"), ("MISTRAL_API_KEY", "simulated")];
                load(Some(&config_file), &Environment::from_pairs(keys))?
            }
        };
        Ok((Self { simulated, folder, config_file, loaded, addresses, mairie_token, simulators }, listeners))
    }

    /// What the simulated vendors would bill by their own books; `None` when they are real.
    pub(super) fn billed_nanos(&self) -> Option<i64> {
        self.simulated.then(|| self.simulators.iter().map(|simulator| simulator.books().billed_nanos).sum())
    }
}

fn existing_folder(folder: &Path) -> Result<PathBuf, Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Failure::Usage(format!("--folder {}: {error}", folder.display())))?;
    Ok(folder.to_owned())
}

/// A folder that was not there before and that only its owner reads.
fn new_folder(name: &str) -> Result<PathBuf, Failure> {
    let base = std::env::temp_dir();
    let process = std::process::id();
    for number in 1..=MOST_FOLDERS {
        let folder = match number {
            1 => base.join(format!("{name}-{process}")),
            _ => base.join(format!("{name}-{process}-{number}")),
        };
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::Usage(format!("{}: {error}; give --folder", folder.display()))),
        }
    }
    Err(Failure::Usage(format!("{} holds too many demo folders; give --folder", base.display())))
}

/// The usual addresses where they are free, others where not.
async fn bind_usual() -> Result<Listeners, Failure> {
    let bind = async |port: u16| {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match TcpListener::bind(at(port)).await {
            Ok(listener) => Ok(listener),
            Err(_taken) => TcpListener::bind(at(0)).await.context("no address on 127.0.0.1 can be listened on"),
        }
    };
    let [public, mairie, ops] = USUAL_PORTS;
    Ok(Listeners { public: bind(public).await?, mairie: bind(mairie).await?, ops: bind(ops).await? })
}

async fn simulate(dialect: Dialect, seed: u64, clock: &Clock, vendors: &Shutdown) -> Result<Simulator, Failure> {
    let mut settings = SimulatorSettings::new(dialect);
    settings.seed = seed;
    settings.error_rate = ERROR_RATE;
    settings.first_token.median *= HASTE;
    settings.inter_token.median *= HASTE;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no address for a simulated vendor")?;
    let started = Simulator::start(settings, listener, clock.clone(), vendors);
    started.map_err(|error| Failure::Other(anyhow::Error::msg(error)))
}

fn token() -> Result<String, Failure> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(anyhow::Error::new)?;
    Ok(HEXLOWER.encode(&bytes))
}

/// It holds a token, so only its owner reads it.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    Ok(written.with_context(|| path.display().to_string())?)
}

/// What simulated and real demos share. Paths are relative to the file.
fn config_toml(name: &str, addresses: &Addresses, mairie_token: &str) -> String {
    format!(
        r#"# Written by `passerelle demo`; written anew by the next demo in this folder.
# Every key that is not here has its default: `passerelle config show --config FILE` prints them all.

[server]
public = "{public}"
mairie = "{mairie}"
ops = "{ops}"
shutdown_seconds = 10

[mairie]
token = "{mairie_token}"

[ledger]
path = "{name}.sqlite"
lease_seconds = 120

[identity]
secret_file = "{name}.secret"

[upstream]
first_byte_seconds = 30
idle_seconds = 30
total_seconds = 60
"#,
        public = addresses.public,
        mairie = addresses.mairie,
        ops = addresses.ops,
    )
}

/// The simulated vendors' addresses and the plans of the demo.
fn simulated_toml(simulators: &[Simulator]) -> String {
    let mut text = String::new();
    for (name, simulator) in ["openai", "mistral_ai"].iter().zip(simulators) {
        let (global, eu) = (simulator.base_url(), simulator.base_url_of("eu"));
        text += &format!(
            "\n[providers.{name}]\nbase_url = \"{global}\"\nhost_urls = {{ eu = \"{eu}\" }}\nhosts = [\"global\"]\n"
        );
    }
    text + PLANS_TOML
}

/// What a simulated demo's file adds. Its plans: one that never stands in the way, and two whose limits are met.
const PLANS_TOML: &str = r#"
[telemetry]
# Simulated vendors fail on purpose; a line for each failure would hide the table.
log_level = "error"

# The town's own questions, put to both vendors, and residents' blind duels between them.
[comparison]
probe_euros_per_month = "25.00"
duel_euros_per_month = "5.00"

[plans.resident]
requests_per_minute = 600
burst = 100
simultaneous = 20
questions_per_day = 1000
tokens_per_day = 10000000
euros_per_month = "20.00"

[plans.decouverte]
requests_per_minute = 60
burst = 10
simultaneous = 2
questions_per_day = 3
tokens_per_day = 100000
euros_per_month = "1.00"
max_output_tokens = 1024
hosts = "any"
models = []

# A question may cost up to 0.0002 EUR under this plan, so a few of them are all it allows.
[plans.petit-budget]
requests_per_minute = 60
burst = 20
simultaneous = 2
questions_per_day = 100
tokens_per_day = 100000
euros_per_month = "0.0006"
max_output_tokens = 300
hosts = "any"
models = []
"#;
