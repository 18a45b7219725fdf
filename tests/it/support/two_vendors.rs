//! A whole gateway before two simulated vendors, all on one clock moved by hand: what it booked can be compared with what
//! they publish. Also used by the bench of a month.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use jiff::Timestamp;
use jiff::civil::Date;
use passerelle::app::App;
use passerelle::clock::Clock;
use passerelle::config::{Config, Environment, load};
use passerelle::identity::new_resident_key;
use passerelle::ledger::{Entry, Ledger};
use passerelle::reconcile::{Question, Reconciler, Reconciliation};
use passerelle::shutdown::Shutdown;
use passerelle::simulator::{Disagreement, Simulator, SimulatorSettings};
use providers::figures::{FiguresRequest, VendorFigures, fetch};
use providers::{Dialect, ProviderId};
use serde_json::{Value, json};
use tower::ServiceExt;

/// How the stage is set.
pub struct Setting {
    pub start: Timestamp,
    /// Catalogue files for both sides, OpenAI's and Mistral's; the shipped ones where there are none.
    pub catalogues: [Option<String>; 2],
    pub disagreements: Vec<Disagreement>,
    /// Changes what a simulated vendor is like.
    pub vendors: fn(SimulatorSettings) -> SimulatorSettings,
    /// TOML over the configuration.
    pub overrides: &'static str,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            start: "2026-11-23T09:00:00Z".parse().unwrap(),
            catalogues: [None, None],
            disagreements: Vec::new(),
            vendors: SimulatorSettings::fast,
            overrides: "",
        }
    }
}

pub struct Stage {
    pub openai: Simulator,
    pub mistral: Simulator,
    pub clock: Clock,
    pub config: Config,
    pub folder: tempfile::TempDir,
    router: Router,
    ledger: Ledger,
    outside: Shutdown,
    _app: std::sync::Mutex<App>,
}

impl Stage {
    pub async fn start(setting: &Setting) -> Self {
        let clock = Clock::manual(setting.start);
        let outside = Shutdown::new();
        let folder = tempfile::tempdir().unwrap();
        let mut vendors = Vec::new();
        let mut sections = String::new();
        let named = [(Dialect::Openai, "openai"), (Dialect::Mistral, "mistral_ai")];
        for ((dialect, name), catalogue) in named.into_iter().zip(&setting.catalogues) {
            let mut settings = (setting.vendors)(SimulatorSettings::new(dialect));
            settings.output_tokens = (20, 60);
            settings.catalogue.clone_from(catalogue);
            settings.disagreements.clone_from(&setting.disagreements);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let vendor = Simulator::start(settings, listener, clock.clone(), &outside).unwrap();
            sections += &format!(
                "[providers.{name}]\nbase_url = \"{}\"\nhost_urls = {{ eu = \"{}\" }}\n",
                vendor.base_url(),
                vendor.base_url_of("eu")
            );
            if let Some(text) = catalogue {
                std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
                sections += &format!("catalogue = \"{name}.toml\"\n");
            }
            vendors.push(vendor);
        }
        let plan = "requests_per_minute = 100000\nburst = 100000\nsimultaneous = 1000\nquestions_per_day = 1000000\n\
                    tokens_per_day = 1000000000\neuros_per_month = \"100000\"\nmax_output_tokens = 200\nmodels = []\n";
        let text = format!(
            "[ledger]\npath = \"ledger.sqlite\"\ndurability = \"normal\"\n[identity]\nsecret_file = \"secret\"\n\
             {sections}[plans.resident]\n{plan}hosts = \"any\"\n[plans.eu]\n{plan}hosts = \"eu\"\n\
             [town]\neuros_per_month = \"1000000\"\neuros_per_year = \"10000000\"\n{}\n",
            setting.overrides
        );
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let keys = [("OPENAI_API_KEY", "vendor-key-openai"), ("MISTRAL_API_KEY", "vendor-key-mistral")];
        let config = load(Some(&file), &Environment::from_pairs(keys)).unwrap().config;
        let app = App::build(&config, clock.clone(), Shutdown::new(), true).unwrap();
        let mistral = vendors.pop().unwrap();
        let openai = vendors.pop().unwrap();
        let (router, ledger) = (app.public_router(), app.ledger().clone());
        Self { openai, mistral, clock, config, folder, router, ledger, outside, _app: std::sync::Mutex::new(app) }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A new resident's key.
    pub fn resident(&self, plan: &str) -> String {
        let (key, record) = new_resident_key(plan, self.clock.now()).unwrap();
        self.ledger.add_keys(&[record]).unwrap();
        key.expose().to_owned()
    }

    /// Sends a call and reads its answer to the end, or `pieces` of it, and leaves.
    pub async fn call(&self, key: &str, path: &str, body: &Value, pieces: usize) -> StatusCode {
        let request = Request::post(path).header("authorization", format!("Bearer {key}"));
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let mut body = response.into_body().into_data_stream();
        let mut read = 0;
        while read < pieces && body.next().await.is_some_and(|piece| piece.is_ok()) {
            read += 1;
        }
        status
    }

    /// Asks one question and reads the whole answer.
    pub async fn ask(&self, key: &str, model: &str, question: &str, stream: bool) {
        let status = self.call(key, "/v1/chat/completions", &chat(model, question, stream), usize::MAX).await;
        assert_eq!(status, StatusCode::OK);
    }

    /// Waits until no call is open on either side.
    pub async fn settled(&self) {
        let all = async {
            while self.ledger.gauges().unwrap().open_reservations > 0 || !self.vendors_rest() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    }

    /// Whether each call that reached a vendor has come to its end there.
    fn vendors_rest(&self) -> bool {
        [&self.openai, &self.mistral].into_iter().all(|vendor| vendor.books().is_closed())
    }

    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.ledger.visit_entries(&mut |_, entry| entries.push(entry)).unwrap();
        entries
    }

    /// What a vendor publishes of those days, over HTTP.
    pub async fn figures(&self, name: &str, from: Date, to: Date) -> VendorFigures {
        let (dialect, vendor, key) = match name {
            "openai" => (Dialect::Openai, &self.openai, "sk-admin-x"),
            _ => (Dialect::Mistral, &self.mistral, "admin"),
        };
        let request =
            FiguresRequest { dialect, base_url: vendor.base_url(), admin_key: key.to_owned().into(), from, to };
        fetch(&request, &|_| {}).await.unwrap()
    }

    /// Compares the ledger with what a vendor publishes.
    pub async fn reconcile(&self, name: &str, from: Date, to: Date, now: Timestamp) -> Reconciliation {
        let figures = self.figures(name, from, to).await;
        self.compare(name, from, to, now, &figures)
    }

    pub fn compare(&self, name: &str, from: Date, to: Date, now: Timestamp, figures: &VendorFigures) -> Reconciliation {
        let catalogue = self.config.catalogue.provider(&ProviderId::new(name)).unwrap();
        let question = Question { catalogue, rates: &self.config.exchange_rates, from, to, now };
        let mut reconciler = Reconciler::new(question, figures).unwrap();
        self.ledger.visit_entries(&mut |_, entry| reconciler.add(&entry)).unwrap();
        reconciler.finish()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.outside.begin();
    }
}

pub fn chat(model: &str, question: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": question}]})
}
