//! `passerelle probe`: one round of the town's own questions now, by the process that serves or, where none does, by this one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::ProgressBar;
use providers::money::format_nanos;
use providers::transport::Notifier;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::output::{complain, probes_bar, say};
use super::serve::stop_on_signal;
use super::{ConfigFile, Failure, print_warnings, runtime};
use crate::app::{App, AppError};
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::{Ledger, StoreError};
use crate::probes::{Estimate, RoundReport, RoundState, Wish};
use crate::shutdown::Shutdown;
use crate::telemetry::init_logs;

/// Exit code of a round that ended early.
const EX_SOFTWARE: u8 = 70;
/// How often to look how far the round is.
const LOOK: Duration = Duration::from_millis(250);
/// How long the serving process may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Put the basket of questions to every model that is compared, once, now. Says first what that costs.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle probe --config passerelle.toml --questions 10 --yes")]
pub(super) struct ProbeCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Only so many questions, of each length in turn.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    questions: Option<u16>,
    /// Agree to the cost.
    #[arg(long)]
    yes: bool,
    /// The vendors are simulated ones, as in `serve --simulated`.
    #[arg(long)]
    simulated: bool,
}

impl ProbeCommand {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let report = match self.file.load() {
            Ok(loaded) => {
                print_warnings(&loaded);
                let config = &loaded.config;
                let _logs = init_logs(config.log_format, "warn").map_err(Failure::Usage)?;
                runtime()?.block_on(Box::pin(self.with_keys(config)))?
            }
            // Whoever asks the process that serves needs no vendor's key.
            Err(failure) => match self.file.load_without_keys() {
                Ok(loaded) if is_served(&loaded.config) => runtime()?.block_on(self.ask_server(&loaded.config))?,
                _ => return Err(failure),
            },
        };
        say(&table(&report));
        if report.state == RoundState::Completed {
            return Ok(ExitCode::SUCCESS);
        }
        let why = report.ended_by.as_deref().unwrap_or("some records could not be written");
        complain(&format!(
            "the round is incomplete ({why}): {} of {} probes; questions that only some models were asked are left out \
             of comparisons",
            report.recorded, report.planned
        ));
        Ok(ExitCode::from(EX_SOFTWARE))
    }

    async fn with_keys(&self, config: &Config) -> Result<RoundReport, Failure> {
        let shutdown = Shutdown::new();
        let simulated = self.simulated || known_as_simulated(config);
        match App::build(config, Clock::system(), shutdown.clone(), simulated) {
            Ok(app) => {
                stop_on_signal(&shutdown)?;
                let report = self.alone(&app, simulated).await;
                app.close().await?;
                report
            }
            Err(AppError::Ledger(StoreError::InUse(_))) => self.ask_server(config).await,
            Err(error) => Err(error.into()),
        }
    }

    /// A round in this process.
    async fn alone(&self, app: &App, simulated: bool) -> Result<RoundReport, Failure> {
        let probes = app.probes();
        let unusable = |error: crate::probes::ProbeError| Failure::Usage(error.to_string());
        let questions = self.questions.map(usize::from);
        self.consent(&probes.estimate(questions).map_err(unusable)?, simulated)?;
        let begun = probes.begin(Wish { questions, ..Wish::default() }).map_err(unusable)?;
        let bar = probes_bar(begun.planned);
        let ended = probes.ended();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                () = tokio::time::sleep(LOOK) => show(&bar, probes.report().as_ref()),
            }
        }
        bar.finish_and_clear();
        probes.report().ok_or_else(|| anyhow::anyhow!("the round left no report").into())
    }

    /// A round in the process that serves, which goes on there whatever becomes of this one.
    async fn ask_server(&self, config: &Config) -> Result<RoundReport, Failure> {
        let server = Server::of(config)?;
        let questions = self.questions;
        let query = questions.map_or(String::new(), |questions| format!("&questions={questions}"));
        let standing: Standing = server.get(&format!("?estimate=true{query}")).await?;
        let estimate = standing.estimate.ok_or_else(|| anyhow::anyhow!("the serving process gave no estimate"))?;
        self.consent(&estimate, standing.simulated)?;
        let Begun { round: begun } = server.begin(questions).await?;
        let bar = probes_bar(begun.planned);
        loop {
            let standing: Standing = server.get("").await?;
            match standing.round {
                Some(report) if report.round == begun.round => {
                    show(&bar, Some(&report));
                    if report.state != RoundState::Running {
                        bar.finish_and_clear();
                        return Ok(report);
                    }
                }
                _ => return Err(anyhow::anyhow!("the serving process does not know of the round any more").into()),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Says what the round costs; real vendors need a yes.
    fn consent(&self, estimate: &Estimate, simulated: bool) -> Result<(), Failure> {
        complain(&format!(
            "{} questions go to {}: at most {} EUR (list prices and the limits of the answers), about {} EUR to be \
             expected{}",
            estimate.questions,
            estimate.models.join(", "),
            format_nanos(estimate.most_euro_nanos),
            format_nanos(estimate.expected_euro_nanos),
            if simulated { "; the vendors are simulated, nothing is billed" } else { "" }
        ));
        if simulated || self.yes {
            return Ok(());
        }
        Err(Failure::Usage("nothing was asked: add --yes to agree to that cost".to_owned()))
    }
}

/// Whether a process serves from the ledger.
fn is_served(config: &Config) -> bool {
    matches!(Ledger::open_sqlite(&config.ledger), Err(StoreError::InUse(_)))
}

/// Whether there is a ledger already, of simulated figures.
fn known_as_simulated(config: &Config) -> bool {
    let path = &config.ledger.path;
    path.exists()
        && Ledger::open_sqlite_beside(path)
            .and_then(|ledger| ledger.is_simulated())
            .is_ok_and(|kind| kind == Some(true))
}

fn show(bar: &ProgressBar, report: Option<&RoundReport>) {
    if let Some(report) = report {
        bar.set_position(u64::try_from(report.recorded).unwrap_or(u64::MAX));
    }
}

#[derive(Deserialize)]
struct Standing {
    simulated: bool,
    round: Option<RoundReport>,
    estimate: Option<Estimate>,
}

#[derive(Deserialize)]
struct Begun {
    round: RoundReport,
}

#[derive(Deserialize)]
struct Refused {
    error: RefusedError,
}

#[derive(Deserialize)]
struct RefusedError {
    message: String,
}

/// The process that serves, by its listener for the mairie.
struct Server {
    line: Notifier,
    url: String,
    token: SecretString,
}

impl Server {
    fn of(config: &Config) -> Result<Self, Failure> {
        let token = config.mairie_token.clone().ok_or_else(|| {
            Failure::Usage(
                "a process serves from this ledger, and is asked with mairie.token: set it there and here".into(),
            )
        })?;
        let line = Notifier::to_ourselves(PATIENCE).map_err(anyhow::Error::msg)?;
        let url = format!("http://{}/admin/v1/probes", reachable(config.server.mairie));
        Ok(Self { line, url, token })
    }

    async fn get(&self, query: &str) -> Result<Standing, Failure> {
        self.call(query, None).await
    }

    async fn begin(&self, questions: Option<u16>) -> Result<Begun, Failure> {
        let body = questions.map_or(json!({}), |questions| json!({"questions": questions}));
        self.call("", Some(Bytes::from(body.to_string()))).await
    }

    async fn call<T: DeserializeOwned>(&self, query: &str, body: Option<Bytes>) -> Result<T, Failure> {
        let url = format!("{}{query}", self.url);
        let authorization = [("authorization", format!("Bearer {}", self.token.expose_secret()))];
        let called = self.line.call(&url, &authorization, body).await;
        let (status, answer) = called.map_err(|error| {
            anyhow::anyhow!("{}: {error}; is server.mairie the address that it serves at?", self.url)
        })?;
        if status >= 300 {
            let said = serde_json::from_slice::<Refused>(&answer).map(|refused| refused.error.message);
            return Err(Failure::Usage(said.unwrap_or_else(|_| format!("{} answered {status}", self.url))));
        }
        Ok(serde_json::from_slice(&answer).map_err(|error| anyhow::Error::new(error).context("its answer"))?)
    }
}

/// An address of this machine where another listens on all of them.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn table(report: &RoundReport) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["model", "questions", "answered", "first text\nmedian s", "cost\nEUR", "checks\npassed"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for model in &report.models {
        let median = model.median_first_text_micros;
        let known = format_nanos(model.cost_euro_nanos);
        table.add_row([
            model.model.clone(),
            model.questions.to_string(),
            model.answered.to_string(),
            median.map_or("–".to_owned(), |micros| {
                format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000)
            }),
            if model.uncosted == 0 { known } else { format!("{known} + {} unknown", model.uncosted) },
            format!("{} of {}", model.passed, model.checked),
        ]);
    }
    let lag = report.longest_lag_micros.map_or("–".to_owned(), |micros| format!("{} ms", micros / 1_000));
    format!(
        "{table}\nround {}, {} of {} probes, longest lag of a start {lag}",
        report.round, report.recorded, report.planned
    )
}
