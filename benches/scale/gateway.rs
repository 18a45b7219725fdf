//! A whole gateway on a ledger's folder, built and started as `serve` does; its clock stands still.

use std::path::Path;

use axum::Router;
use passerelle::app::{App, Listeners};
use passerelle::clock::Clock;
use passerelle::config::{Config, Environment, load};
use passerelle::identity::Directory;
use passerelle::ledger::Ledger;
use passerelle::quota::Calendar;
use passerelle::shutdown::Shutdown;
use passerelle::terms::{CurrentTerms, Terms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::books::NOW;

/// The plan of every resident.
pub(crate) const PLAN: &str = "resident";
/// The defaults, less what would refuse some measured call; listeners on ports of the system's choice.
const CONFIGURATION: &str = r#"
    [server]
    public = "127.0.0.1:0"
    mairie = "127.0.0.1:0"
    ops = "127.0.0.1:0"
    shutdown_seconds = 1
    [ledger]
    path = "ledger.sqlite"
    [identity]
    secret_file = "secret"
    [town]
    euros_per_month = "1000000"
    euros_per_year = "9000000"
    [plans.resident]
    questions_per_day = 1000000
    tokens_per_day = 1000000000
    euros_per_month = "100000"
"#;

/// A gateway that does not listen.
pub(crate) struct Gateway {
    pub(crate) router: Router,
    pub(crate) ledger: Ledger,
    pub(crate) directory: Directory,
    pub(crate) calendar: Calendar,
}

fn configuration(folder: &Path) -> Config {
    let file = folder.join("gateway.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let keys = [("OPENAI_API_KEY", "vendor-key-openai"), ("MISTRAL_API_KEY", "vendor-key-mistral")];
    load(Some(&file), &Environment::from_pairs(keys)).unwrap().config
}

fn clock() -> Clock {
    Clock::manual(NOW.parse().unwrap())
}

impl Gateway {
    pub(crate) fn open(folder: &Path) -> Self {
        let config = configuration(folder);
        let app = App::build(&config, clock(), Shutdown::new(), true).unwrap();
        let terms = CurrentTerms::new(Terms::new(&config, &clock()));
        let ledger = app.ledger().clone();
        let directory = Directory::new(ledger.clone(), terms);
        Self { router: app.public_router(), ledger, directory, calendar: config.calendar }
    }

    pub(crate) async fn close(self) {
        self.ledger.close().await.unwrap();
    }
}

/// From nothing to the first "ready" of `/readyz`; gives the seconds it took, then stops.
pub(crate) async fn start(folder: &Path) -> f64 {
    let begin = std::time::Instant::now();
    let config = configuration(folder);
    let shutdown = Shutdown::new();
    let listeners = Listeners::bind(&config).await.unwrap();
    let ops = listeners.addresses().unwrap().ops;
    let app = App::build(&config, clock(), shutdown.clone(), true).unwrap();
    let running = tokio::spawn(app.run(listeners));
    let mut stream = TcpStream::connect(ops).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seconds = begin.elapsed().as_secs_f64();
    shutdown.begin();
    running.await.unwrap().unwrap();
    seconds
}
