//! A gateway between residents and two simulated vendors, which keep books of their own to check the ledger against.

use std::ops::Deref;
use std::time::Duration;

use passerelle::clock::Clock;
use passerelle::shutdown::Shutdown;
use passerelle::simulator::{Books, LogNormalMillis, RecordedCall, Simulator, SimulatorSettings};
use providers::Dialect;

use super::TestGateway;
use super::gateway::START;

/// How long a vendor may take to notice that nobody listens any more.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct SimulatedGateway {
    gateway: TestGateway,
    pub openai: Simulator,
    pub mistral: Simulator,
    vendors: Shutdown,
}

impl Deref for SimulatedGateway {
    type Target = TestGateway;

    fn deref(&self) -> &TestGateway {
        &self.gateway
    }
}

/// A vendor whose answers of 5 to 60 tokens begin after about `first` milliseconds, one token every `between`.
pub fn paced(dialect: Dialect, seed: u64, first: f64, between: f64) -> SimulatorSettings {
    let millis = |median| LogNormalMillis { median, sigma: if median > 0.0 { 0.3 } else { 0.0 } };
    SimulatorSettings {
        seed,
        first_token: millis(first),
        inter_token: millis(between),
        output_tokens: (5, 60),
        record_calls: true,
        ..SimulatorSettings::new(dialect)
    }
}

impl SimulatedGateway {
    /// A gateway whose configuration is `overrides` (TOML) over the test's defaults, before two vendors.
    pub async fn with(openai: SimulatorSettings, mistral: SimulatorSettings, overrides: &str) -> Self {
        let vendors = Shutdown::new();
        let (openai, mistral) = (start(openai, &vendors).await, start(mistral, &vendors).await);
        let hosts = |name, vendor: &Simulator| {
            let (global, eu) = (vendor.base_url(), vendor.base_url_of("eu"));
            format!("[providers.{name}]\nbase_url = \"{global}\"\nhost_urls = {{ eu = \"{eu}\" }}\n")
        };
        let overrides = format!("{}{}{overrides}", hosts("openai", &openai), hosts("mistral_ai", &mistral));
        Self { gateway: TestGateway::with(&overrides).await, openai, mistral, vendors }
    }

    /// The vendor's name in the ledger, and the vendor.
    pub fn vendors(&self) -> [(&'static str, &Simulator); 2] {
        [("openai", &self.openai), ("mistral_ai", &self.mistral)]
    }

    /// A vendor's books and calls once no call is in flight there any more.
    pub async fn closed_books(&self, vendor: &Simulator) -> (Books, Vec<RecordedCall>) {
        let closed = async {
            loop {
                let books = vendor.books();
                if books.is_closed() {
                    return (books, vendor.calls());
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.unwrap()
    }
}

impl Drop for SimulatedGateway {
    fn drop(&mut self) {
        self.vendors.begin();
    }
}

async fn start(settings: SimulatorSettings, vendors: &Shutdown) -> Simulator {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(settings, listener, Clock::manual(START.parse().unwrap()), vendors).unwrap()
}
