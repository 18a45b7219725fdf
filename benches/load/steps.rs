//! The steps of the bench, each on a stage of its own, the arms interleaved: round after round another arm begins.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::arguments::{Arguments, Step};
use crate::driver::{Seen, drive};
use crate::machine::pin_driver;
use crate::many::{Many, many};
use crate::measure::{Load, Point, measure};
use crate::stage::{Arm, Programs, Setting, Stage};

/// Tokens of a stream.
pub(crate) const TOKENS: u32 = 50;
/// Connections of the closed loop.
const CONNECTIONS: [u32; 4] = [1, 16, 64, 256];
/// Questions a second of the open loop.
const RATES: [u32; 3] = [100, 500, 1000];
/// Connections of the open loop: more than are ever busy.
const OPEN_CONNECTIONS: u32 = 64;
/// Connections of the closed loop with streams in a burst.
const BURST_CONNECTIONS: u32 = 64;
/// Open streams of the paced ones: as many as leave the machine some rest, since their first text is timed.
const PACED_CONNECTIONS: u32 = 16;
/// Wait before each token of a paced stream, in milliseconds.
const PACE_MILLIS: u32 = 5;
/// Rest before memory is read after a load.
const REST: Duration = Duration::from_secs(2);

const ALL: [Arm; 4] = [Arm::Direct, Arm::Nginx, Arm::Gateway, Arm::Translated];

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) points: Vec<Point>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) many: Vec<Many>,
    pub(crate) soak: Option<Soak>,
}

/// Memory of the two proxies around one step, in megabytes.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) run: u32,
    pub(crate) step: &'static str,
    pub(crate) arm: Arm,
    /// Before the first request.
    pub(crate) idle: f64,
    /// Two seconds after the last.
    pub(crate) after: f64,
}

/// Memory of the gateway over many requests, in megabytes.
#[derive(Debug, Serialize)]
pub(crate) struct Soak {
    pub(crate) requests: u64,
    pub(crate) idle: f64,
    pub(crate) half: f64,
    pub(crate) end: f64,
    pub(crate) after: f64,
    pub(crate) failures: u64,
}

/// Takes the steps that are asked for, as often as asked.
///
/// # Errors
/// A program that does not start or ends.
pub(crate) fn take(arguments: &Arguments, programs: &Programs, bar: &ProgressBar) -> Result<Results> {
    let mut results = Results::default();
    for run in 0..arguments.runs() {
        let mut round = Round { programs, bar, run, results: &mut results };
        if arguments.takes(Step::Plain) {
            let load = whole("plain", arguments);
            round.play(&ALL, &fast(256), &CONNECTIONS.map(|connections| Load { connections, ..load }))?;
        }
        if arguments.takes(Step::Open) {
            let load = Load { connections: OPEN_CONNECTIONS, ..whole("open", arguments) };
            round.play(&ALL, &fast(64), &RATES.map(|rate| Load { per_second: Some(rate), ..load }))?;
        }
        if arguments.takes(Step::Streams) {
            let load = Load { tokens: Some(TOKENS), ..whole("burst", arguments) };
            round.play(&ALL, &fast(64), &[Load { connections: BURST_CONNECTIONS, ..load }])?;
            // A paced stream takes a quarter of a second: it needs longer for the same number.
            let whole_stream = Duration::from_millis(u64::from(PACE_MILLIS * TOKENS));
            let (warm, length) = (load.warm.max(2 * whole_stream), 2 * load.length);
            let load =
                Load { step: "paced", connections: PACED_CONNECTIONS, spread: whole_stream, warm, length, ..load };
            round.play(&ALL, &Setting { pace: paced(PACE_MILLIS, PACE_MILLIS, TOKENS), ..fast(64) }, &[load])?;
        }
        if arguments.takes(Step::OneCore) {
            pin_driver(true)?;
            let setting = Setting { one_core: true, ..fast(64) };
            let load = Load { connections: 64, ..whole("one-core", arguments) };
            let played = round.play(&[Arm::Nginx, Arm::Gateway], &setting, &[load]);
            pin_driver(false)?;
            played?;
        }
        if arguments.takes(Step::Many) {
            bar.set_message("many");
            let figures = many(programs, arguments.streams(), arguments.quick, run)?;
            results.many.push(figures);
        }
    }
    if arguments.takes(Step::Soak) {
        results.soak = Some(soak(programs, arguments.soak, bar)?);
    }
    Ok(results)
}

fn whole(step: &'static str, arguments: &Arguments) -> Load {
    let length = Duration::from_secs_f64(arguments.seconds());
    let warm = (length / 5).clamp(Duration::from_millis(200), Duration::from_secs(1));
    Load { step, connections: 1, per_second: None, tokens: None, spread: Duration::ZERO, warm, length }
}

/// Vendors that wait for nothing and send each token in a piece of its own, as vendors do.
fn fast(keys: usize) -> Setting {
    let tokens = TOKENS.to_string();
    let pace = ["--fast", "--output-tokens", &tokens, "--tokens-at-once", "1"].map(str::to_owned).to_vec();
    Setting { pace, keys, one_core: false, more: String::new() }
}

/// Arguments of a vendor that waits exactly so long before its first token and before each other one.
pub(crate) fn paced(first_millis: u32, other_millis: u32, tokens: u32) -> Vec<String> {
    let pairs = [
        ("--first-token-ms", first_millis.to_string()),
        ("--inter-token-ms", other_millis.to_string()),
        ("--sigma", "0".to_owned()),
        ("--output-tokens", tokens.to_string()),
    ];
    pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

struct Round<'a> {
    programs: &'a Programs,
    bar: &'a ProgressBar,
    run: u32,
    results: &'a mut Results,
}

impl Round<'_> {
    /// Puts each load on each arm, on one stage.
    fn play(&mut self, arms: &[Arm], setting: &Setting, loads: &[Load]) -> Result<()> {
        let stage = Stage::start(self.programs, setting)?;
        let idle = [stage.nginx.resident_megabytes()?, stage.gateway.resident_megabytes()?];
        self.bar.inc_length((arms.len() * loads.len()) as u64);
        for (number, load) in loads.iter().enumerate() {
            let mut arms = arms.to_vec();
            let first = (usize::try_from(self.run)? + number) % arms.len();
            arms.rotate_left(first);
            for arm in arms {
                let point = measure(&stage, arm, load, self.run)?;
                self.bar.set_message(format!("run {}: {} {} on {}", self.run + 1, load.step, point.level, arm.name()));
                self.bar.inc(1);
                self.results.points.push(point);
            }
        }
        thread::sleep(REST);
        let after = [stage.nginx.resident_megabytes()?, stage.gateway.resident_megabytes()?];
        let step = loads.first().map_or("", |load| load.step);
        for ((arm, idle), after) in [Arm::Nginx, Arm::Gateway].into_iter().zip(idle).zip(after) {
            self.results.memory.push(Memory { run: self.run, step, arm, idle, after });
        }
        Ok(())
    }
}

/// Many whole answers at 64 connections, and the gateway's memory on the way.
fn soak(programs: &Programs, requests: u64, bar: &ProgressBar) -> Result<Soak> {
    let stage = Stage::start(programs, &fast(64))?;
    let idle = stage.gateway.resident_megabytes()?;
    let seen = Arc::new(Seen::default());
    let target = stage.target(Arm::Gateway, None);
    bar.set_message(format!("soak of {requests}"));
    let (half, end) = thread::scope(|scope| {
        let driver = scope.spawn(|| drive(&target, 64, None, Duration::ZERO, &seen));
        let watched = (|| {
            let reach = |count: u64| {
                while seen.answers.load(Ordering::Relaxed) < count && !driver.is_finished() {
                    thread::sleep(Duration::from_millis(20));
                }
                stage.gateway.resident_megabytes()
            };
            anyhow::Ok((reach(requests / 2)?, reach(requests)?))
        })();
        seen.stop();
        driver.join().map_err(|_| anyhow!("the driver panicked"))??;
        watched
    })?;
    thread::sleep(REST);
    let after = stage.gateway.resident_megabytes()?;
    let failures = seen.kept_so_far().failures.values().sum();
    Ok(Soak { requests: seen.answers.load(Ordering::Relaxed), idle, half, end, after, failures })
}
