//! A stand-in for a vendor on a loopback port: its routes, its dialect, its pace, its refusals and its bill.
//!
//! For demonstrations, training and load tests. Everything about the k-th call of a simulator is drawn from its seed
//! and k. It keeps its own books, with its own arithmetic, so that a ledger can be checked against them. It must not
//! know the gateway: no identity, quota, pipeline or ledger, and no price function other than its own.

mod answer;
mod books;
mod call;
mod calls;
mod chance;
mod chat;
mod disagreement;
mod embeddings;
mod figures;
mod forms;
mod frames;
mod instance;
mod media;
mod models;
mod moderations;
mod refusal;
mod request;
mod responses;
mod rules;
mod server;
mod shape;
mod sound;
mod stream;
mod tokens;
mod transcriptions;
mod upload;
mod wish;
mod wording;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use providers::Dialect;
use tokio::net::TcpListener;

pub use books::{Books, ModelBooks};
pub use calls::RecordedCall;
pub use disagreement::Disagreement;

use crate::clock::Clock;
use crate::shutdown::Shutdown;

/// Longest answer that can be asked for, in tokens.
const MAX_OUTPUT_TOKENS: u32 = 100_000;
/// Tokens in one piece where nothing else is asked for: a load test of short answers measures no writing of pieces.
const TOKENS_AT_ONCE: u32 = 64;
/// Widest spread of a latency.
const MAX_SIGMA: f64 = 3.0;

/// How long a simulated vendor takes for one step, as a log-normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormalMillis {
    /// The median, in milliseconds. Zero means no wait.
    pub median: f64,
    /// Spread: the standard deviation of the logarithm.
    pub sigma: f64,
}

impl LogNormalMillis {
    /// No wait at all.
    pub const NONE: Self = Self { median: 0.0, sigma: 0.0 };

    fn check(self, name: &str) -> Result<(), String> {
        if !(self.median.is_finite() && self.median >= 0.0) {
            return Err(format!("{name}: the median must be zero or more milliseconds, not {}", self.median));
        }
        if !(0.0..=MAX_SIGMA).contains(&self.sigma) {
            return Err(format!("{name}: sigma must be between 0 and {MAX_SIGMA}, not {}", self.sigma));
        }
        Ok(())
    }
}

/// What a simulated vendor is like.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatorSettings {
    /// Whose wire format it speaks; a compatible host behaves like OpenAI.
    pub dialect: Dialect,
    /// Where all chance comes from.
    pub seed: u64,
    /// Wait before the first token.
    pub first_token: LogNormalMillis,
    /// Wait between two tokens.
    pub inter_token: LogNormalMillis,
    /// Share of the valid calls that fail with 429, 500 or 503.
    pub error_rate: f64,
    /// Share of the valid calls that never get a byte.
    pub hang_rate: f64,
    /// Shortest and longest visible answer, in tokens.
    pub output_tokens: (u32, u32),
    /// Most tokens of a stream handed over as one piece where there is nothing to wait for between them; vendors send
    /// each in a piece of its own.
    pub tokens_at_once: u32,
    /// Mistral: whether its 422 comes in turn in each of the three shapes that were seen, or always in today's.
    pub varied_refusals: bool,
    /// Whether it remembers each call, for matching a ledger with it one by one. Memory grows with every call.
    pub record_calls: bool,
    /// Its models, hosts and prices, as a catalogue file; the shipped one where there is none.
    pub catalogue: Option<String>,
    /// In which ways the usage and the costs that it publishes differ from the truth.
    pub disagreements: Vec<Disagreement>,
}

impl SimulatorSettings {
    /// A vendor of plausible pace that never fails. The two vendors differ, so that a comparison has something to find.
    pub fn new(dialect: Dialect) -> Self {
        let (first, between, output_tokens) = match dialect {
            Dialect::Openai | Dialect::Compatible => ((480.0, 0.45), (11.0, 0.6), (120, 420)),
            Dialect::Mistral => ((320.0, 0.35), (8.0, 0.5), (90, 340)),
        };
        let millis = |(median, sigma)| LogNormalMillis { median, sigma };
        Self {
            dialect,
            seed: 1,
            first_token: millis(first),
            inter_token: millis(between),
            error_rate: 0.0,
            hang_rate: 0.0,
            output_tokens,
            tokens_at_once: TOKENS_AT_ONCE,
            varied_refusals: false,
            record_calls: false,
            catalogue: None,
            disagreements: Vec::new(),
        }
    }

    /// The same vendor without any wait, for load tests.
    #[must_use]
    pub fn fast(self) -> Self {
        Self { first_token: LogNormalMillis::NONE, inter_token: LogNormalMillis::NONE, ..self }
    }

    /// Checks the figures.
    ///
    /// # Errors
    /// A sentence about the first figure that makes no sense.
    pub fn check(&self) -> Result<(), String> {
        self.first_token.check("first token")?;
        self.inter_token.check("between tokens")?;
        for (name, rate) in [("error rate", self.error_rate), ("hang rate", self.hang_rate)] {
            if !(0.0..=1.0).contains(&rate) {
                return Err(format!("{name}: must be between 0 and 1, not {rate}"));
            }
        }
        if self.error_rate + self.hang_rate > 1.0 {
            return Err("error rate and hang rate together must not pass 1".to_owned());
        }
        if self.tokens_at_once == 0 {
            return Err("tokens at once: must be at least 1".to_owned());
        }
        let (shortest, longest) = self.output_tokens;
        if shortest == 0 || shortest > longest || longest > MAX_OUTPUT_TOKENS {
            return Err(format!(
                "output tokens: must be a range within 1 to {MAX_OUTPUT_TOKENS}, not {shortest} to {longest}"
            ));
        }
        Ok(())
    }

    /// True when no wait is ever drawn.
    fn is_instant(&self) -> bool {
        self.first_token.median == 0.0 && self.inter_token.median == 0.0
    }
}

/// A simulated vendor that runs.
#[derive(Clone, Debug)]
pub struct Simulator {
    address: SocketAddr,
    vendor: Arc<server::Vendor>,
}

impl Simulator {
    /// Serves on `listener` until shutdown begins; calls in flight are finished.
    ///
    /// # Errors
    /// Settings that make no sense, or a listener without an address.
    pub fn start(
        settings: SimulatorSettings,
        listener: TcpListener,
        clock: Clock,
        shutdown: &Shutdown,
    ) -> Result<Self, String> {
        let address = listener.local_addr().map_err(|error| format!("the simulator's listener: {error}"))?;
        let vendor = Arc::new(server::Vendor::new(settings, clock)?);
        let serving = server::serve(listener, server::router(&vendor), shutdown.clone());
        shutdown.spawn(serving);
        Ok(Self { address, vendor })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its global host, as a vendor's base URL.
    pub fn base_url(&self) -> String {
        self.base_url_of("global")
    }

    /// The address of one of its hosts, by the catalogue's short name: `global`, `eu`, `us`.
    pub fn base_url_of(&self, host: &str) -> String {
        let mut reachable = self.address;
        if reachable.ip().is_unspecified() {
            reachable.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        match host {
            "global" | "" => format!("http://{reachable}/v1"),
            region => format!("http://{reachable}/{region}/v1"),
        }
    }

    /// What it would put on the invoice so far.
    pub fn books(&self) -> Books {
        self.vendor.books()
    }

    /// The calls that reached it, in the order of their arrival; empty unless [`SimulatorSettings::record_calls`].
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.vendor.recorded()
    }
}

#[cfg(test)]
mod tests;
