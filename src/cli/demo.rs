//! `passerelle demo`: the gateway, two vendors and forty residents in one process, and the comparison they lead to.
//!
//! It uses the gateway from outside, over HTTP, and checks its ledger against the simulated vendors' own books.

mod figures;
mod live;
mod play;
mod screen;
mod stage;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::app::App;
use crate::cli::output::{complain, say};
use crate::cli::serve::stop_on_signal;
use crate::cli::{Failure, runtime};
use crate::clock::Clock;
use crate::config::Environment;
use crate::identity::new_resident_key;
use crate::ledger::{Ledger, LengthClass};
use crate::probes::basket::Basket;
use crate::probes::{Pace, ProbeError, Probes, RoundReport, Wish};
use crate::shutdown::Shutdown;
use crate::telemetry::init_logs;
use figures::Figures;
use play::{Ready, Resident, Tally};
use stage::Stage;

/// Exit code when the ledger and the vendors' books differ.
const EX_SOFTWARE: u8 = 70;
/// Residents who put the questions of the basket.
const RESIDENTS: usize = 38;
/// How often each question is put, each time by another resident.
const ROUNDS: usize = 2;
/// Questions of each length that residents put.
const QUESTIONS_PER_LENGTH: usize = 24;
/// Rounds of probes, one after the other …
const PROBE_ROUNDS: usize = 8;
/// … of so many questions each.
const PROBE_QUESTIONS: usize = 15;
/// A town's probes take minutes; those of a demo are as much in haste as its vendors.
const PROBE_PACE: Pace = Pace { questions: Duration::from_millis(80), models: Duration::from_millis(10) };
/// Questions of the resident on trial, who may ask three a day.
const TRIAL_QUESTIONS: usize = 5;
/// Questions at which the resident with a small budget stops at the latest.
const BUDGET_QUESTIONS: usize = 12;
/// How long the simulated vendors may take to stop.
const VENDORS_PATIENCE: Duration = Duration::from_secs(10);

/// See the whole gateway at work: simulated vendors, forty residents, the comparison, the bill checked to the nano.
#[derive(clap::Args)]
#[command(
    after_help = "Example: passerelle demo --once      (about half a minute; nothing leaves this machine)\n         \
                  passerelle demo             (stays up, with keys and addresses to try)\n         \
                  passerelle demo --json | jq .report.totals"
)]
pub(crate) struct Demo {
    /// Stop after the table instead of staying up.
    #[arg(long)]
    once: bool,
    /// Print the figures as JSON and nothing else, then stop.
    #[arg(long)]
    json: bool,
    /// Seed of the questions' order and of the simulated vendors.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Questions asked at the same time.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=500))]
    concurrency: u16,
    /// Where to keep the configuration and the ledger; a demo's ledger found there is continued. By default a new
    /// folder under the system's temporary one, which is kept.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Ask the real vendors a few short questions, with OPENAI_API_KEY and MISTRAL_API_KEY. This costs money.
    #[arg(long)]
    live: bool,
    /// Agree to the cost of --live without being asked.
    #[arg(long, requires = "live")]
    yes: bool,
}

/// Who asks what.
struct Cast {
    residents: Vec<Resident>,
    questions: Vec<Ready>,
    rounds: usize,
    /// The resident on trial and the one with a small budget, with what they ask.
    limited: Option<Limited>,
}

struct Limited {
    trial: (Resident, Vec<Ready>),
    budget: (Resident, Vec<Ready>),
}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let basket = Basket::shipped().context("the demo's basket")?;
        let clock = Clock::system();
        let live = if self.live {
            let environment = live::environment(&Environment::from_process())?;
            live::consent(&environment, &basket, &clock, self.yes)?;
            Some(environment)
        } else {
            None
        };
        runtime()?.block_on(Box::pin(self.perform(&basket, live.as_ref(), &clock)))
    }

    /// Builds everything, plays, and takes everything down again in order: residents, gateway, vendors.
    async fn perform(&self, basket: &Basket, live: Option<&Environment>, clock: &Clock) -> Result<ExitCode, Failure> {
        let shutdown = Shutdown::new();
        stop_on_signal(&shutdown)?;
        // Apart from the gateway's: the vendors end after it, and the gateway's own task cannot wait for itself.
        let outside = Shutdown::new();
        let (stage, listeners) = Stage::set(self.folder.as_deref(), live, self.seed, clock, &outside).await?;
        let config = &stage.loaded.config;
        // Dropped last, after all that may log.
        let _logs = init_logs(config.log_format, &config.log_level).map_err(Failure::Usage)?;
        for warning in &stage.loaded.warnings {
            complain(&format!("warning: {warning}"));
        }
        let app = App::build(config, clock.clone(), shutdown.clone(), stage.simulated)?;
        let (ledger, probes) = (app.ledger().clone(), app.probes().clone());
        let begin = shutdown.clone();
        let gateway = outside.spawn(async move {
            let ended = app.run(listeners).await;
            // A gateway that fails must not leave the play waiting.
            begin.begin();
            ended
        });
        let shown = tokio::select! {
            // In this order: what was shown to its end and then told to stop has not failed.
            biased;
            shown = self.show(basket, &stage, (&ledger, &probes), clock, &shutdown) => shown,
            () = shutdown.begun() => Err(anyhow::anyhow!("stopped before the end of the play: no table").into()),
        };
        shutdown.begin();
        gateway.await.context("the gateway's task")??;
        outside.begin();
        outside.finish(VENDORS_PATIENCE).await;
        let agree = shown?;
        if self.stops_by_itself() && !self.json {
            screen::when_down(&stage);
        }
        Ok(if agree { ExitCode::SUCCESS } else { ExitCode::from(EX_SOFTWARE) })
    }

    /// Plays and shows the figures; stays until shutdown where it should. False when the money differs.
    async fn show(
        &self,
        basket: &Basket,
        stage: &Stage,
        (ledger, probes): (&Ledger, &Probes),
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> Result<bool, Failure> {
        let before = figures::last_entry(ledger)?;
        let cast = cast(basket, stage, ledger, clock)?;
        let started = clock.tick();
        let (tally, rounds) = tokio::join!(self.play(&cast, stage), self.probe(probes, stage));
        let played = clock.tick().since(started);
        let mut figures = Figures::read(stage, ledger, before, clock, played).await?;
        figures.probes = rounds?;
        let agree = figures.agree();
        if self.json {
            say(&serde_json::to_string_pretty(&figures).map_err(anyhow::Error::new)?);
            if !agree {
                complain(&screen::check(&figures));
            }
            return Ok(agree);
        }
        screen::outcome(&figures, &tally);
        if agree && !self.stops_by_itself() {
            screen::while_up(stage, cast.residents.first());
            shutdown.begun().await;
        }
        Ok(agree)
    }

    async fn play(&self, cast: &Cast, stage: &Stage) -> Tally {
        let turns = play::order(cast.questions.len(), cast.residents.len(), cast.rounds, self.seed);
        let limited = cast.limited.as_ref();
        if !self.json {
            screen::opening(stage, turns.len(), cast.residents.len() + limited.map_or(0, |_| 2));
        }
        let bar = play::progress_bar(turns.len());
        let at_their_limits = async {
            let Some(Limited { trial, budget }) = limited else { return Tally::default() };
            let trial = play::ask_in_turn(&trial.0, &trial.1, false);
            let budget = play::ask_in_turn(&budget.0, &budget.1, true);
            let (trial, budget) = tokio::join!(trial, budget);
            trial.and(budget)
        };
        let concurrency = usize::from(self.concurrency);
        let asked = play::play(&turns, &cast.questions, &cast.residents, concurrency, &bar);
        let (asked, refused) = tokio::join!(asked, at_their_limits);
        bar.finish_and_clear();
        asked.and(refused)
    }

    /// Plays rounds of the town's own probes, as its timetable would over a day.
    async fn probe(&self, probes: &Probes, stage: &Stage) -> Result<Vec<RoundReport>, Failure> {
        let mut rounds = Vec::new();
        while stage.simulated && rounds.len() < PROBE_ROUNDS {
            let seed = Some(self.seed + u64::try_from(rounds.len()).unwrap_or(0));
            let wish = Wish { questions: Some(PROBE_QUESTIONS), pace: PROBE_PACE, seed, at: None };
            match probes.begin(wish) {
                Ok(_) => {
                    probes.ended().await;
                    rounds.extend(probes.report());
                }
                // The timetable's own round, if the demo was begun right before one.
                Err(ProbeError::UnderWay) => probes.ended().await,
                Err(error) => return Err(anyhow::Error::new(error).context("the demo's probes").into()),
            }
        }
        Ok(rounds)
    }

    fn stops_by_itself(&self) -> bool {
        self.once || self.json
    }
}

/// Hands out keys, in the ledger as `keys issue` does, and questions.
fn cast(basket: &Basket, stage: &Stage, ledger: &Ledger, clock: &Clock) -> Result<Cast, Failure> {
    let residents = enrol(ledger, stage, clock, "resident", if stage.simulated { RESIDENTS } else { live::QUESTIONS })?;
    if !stage.simulated {
        return Ok(Cast { residents, questions: live::questions(basket), rounds: 1, limited: None });
    }
    let short = |count| play::ready(basket, LengthClass::Short, count, None);
    let trial = enrol(ledger, stage, clock, "decouverte", 1)?.pop();
    let budget = enrol(ledger, stage, clock, "petit-budget", 1)?.pop();
    let limited = trial.zip(budget).map(|(trial, budget)| Limited {
        trial: (trial, short(TRIAL_QUESTIONS)),
        budget: (budget, short(BUDGET_QUESTIONS)),
    });
    let lengths = [LengthClass::Short, LengthClass::Medium, LengthClass::Long];
    let questions = lengths.into_iter().flat_map(|class| play::ready(basket, class, QUESTIONS_PER_LENGTH, None));
    Ok(Cast { residents, questions: questions.collect(), rounds: ROUNDS, limited })
}

fn enrol(ledger: &Ledger, stage: &Stage, clock: &Clock, plan: &str, count: usize) -> Result<Vec<Resident>, Failure> {
    let made: Result<Vec<_>, _> = (0..count).map(|_| new_resident_key(plan, clock.now())).collect();
    let (keys, records): (Vec<_>, Vec<_>) = made.map_err(anyhow::Error::new)?.into_iter().unzip();
    ledger.add_keys(&records)?;
    Ok(keys.into_iter().map(|key| Resident::new(key, stage.addresses.public)).collect())
}
