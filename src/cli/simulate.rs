//! `passerelle simulate`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use providers::Dialect;
use tokio::net::TcpListener;

use super::serve::stop_on_signal;
use super::{Failure, complain, runtime, say};
use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::simulator::{Disagreement, Simulator, SimulatorSettings};

/// Stand in for a vendor on a loopback port: for demonstrations, training and load tests.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle simulate --dialect mistral --listen 127.0.0.1:9001 --error-rate 0.02")]
pub(super) struct Simulate {
    /// Whose dialect to speak.
    #[arg(long, value_enum)]
    dialect: Vendor,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Seed: the same seed gives the same answers and waits.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Median wait for the first token, in milliseconds.
    #[arg(long)]
    first_token_ms: Option<f64>,
    /// Median wait between tokens, in milliseconds.
    #[arg(long)]
    inter_token_ms: Option<f64>,
    /// Spread of both waits: the standard deviation of their logarithm; 0 makes every wait the median.
    #[arg(long)]
    sigma: Option<f64>,
    /// Length of every answer, in tokens, where the call's limit allows it.
    #[arg(long, value_name = "N")]
    output_tokens: Option<u32>,
    /// Most tokens of a stream in one piece where there is no wait between them; vendors send one.
    #[arg(long, value_name = "N")]
    tokens_at_once: Option<u32>,
    /// Share of calls that fail (500, 503 or 429).
    #[arg(long, default_value_t = 0.0)]
    error_rate: f64,
    /// Share of calls that never answer.
    #[arg(long, default_value_t = 0.0)]
    hang_rate: f64,
    /// Mistral: give its 422 in turn in each of the three shapes that were seen.
    #[arg(long)]
    varied_refusals: bool,
    /// Remember each call (the caller's request id, model, bill) and serve the list at /simulator/calls.
    #[arg(long)]
    record_calls: bool,
    /// Models, hosts and prices from this catalogue file instead of the shipped ones.
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Make the usage and the costs that it publishes differ from the truth; repeatable.
    #[arg(long, value_enum, value_name = "KIND")]
    disagree: Vec<Disagreement>,
    /// No waiting at all.
    #[arg(long)]
    fast: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Vendor {
    /// OpenAI.
    Openai,
    /// Mistral.
    Mistral,
}

impl Simulate {
    fn settings(&self) -> Result<SimulatorSettings, Failure> {
        let dialect = match self.dialect {
            Vendor::Openai => Dialect::Openai,
            Vendor::Mistral => Dialect::Mistral,
        };
        let mut settings = SimulatorSettings::new(dialect);
        settings.seed = self.seed;
        settings.error_rate = self.error_rate;
        settings.hang_rate = self.hang_rate;
        settings.varied_refusals = self.varied_refusals;
        settings.record_calls = self.record_calls;
        if let Some(median) = self.first_token_ms {
            settings.first_token.median = median;
        }
        if let Some(median) = self.inter_token_ms {
            settings.inter_token.median = median;
        }
        if let Some(sigma) = self.sigma {
            settings.first_token.sigma = sigma;
            settings.inter_token.sigma = sigma;
        }
        if let Some(tokens) = self.output_tokens {
            settings.output_tokens = (tokens, tokens);
        }
        if let Some(tokens) = self.tokens_at_once {
            settings.tokens_at_once = tokens;
        }
        settings.disagreements.clone_from(&self.disagree);
        if let Some(file) = &self.catalogue {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
            settings.catalogue = Some(text);
        }
        Ok(if self.fast { settings.fast() } else { settings })
    }

    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let settings = self.settings()?;
        settings.check().map_err(Failure::Usage)?;
        if !self.listen.ip().is_loopback() {
            return Err(Failure::Usage("a simulator listens on loopback only".to_owned()));
        }
        runtime()?.block_on(async {
            let shutdown = Shutdown::new();
            stop_on_signal(&shutdown)?;
            let listener = TcpListener::bind(self.listen)
                .await
                .map_err(|error| Failure::Usage(format!("cannot listen on {}: {error}", self.listen)))?;
            let simulator = Simulator::start(settings, listener, Clock::system(), &shutdown).map_err(Failure::Usage)?;
            say(&format!("listening on http://{}", simulator.address()));
            shutdown.begun().await;
            shutdown.finish(std::time::Duration::from_secs(10)).await;
            let books = serde_json::to_string(&simulator.books()).map_err(anyhow::Error::new)?;
            complain(&books);
            Ok(ExitCode::SUCCESS)
        })
    }
}
