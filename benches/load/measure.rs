//! One measurement: a load on one arm, warmed up, and what it cost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use serde::Serialize;

use crate::driver::{Seen, drive};
use crate::figures::times_fit;
use crate::schedule::Schedule;
use crate::stage::{Arm, Stage};

/// A load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Of which measurement, as tables call it.
    pub(crate) step: &'static str,
    /// Connections, each with a key of its own.
    pub(crate) connections: u32,
    /// Open loop: questions a second.
    pub(crate) per_second: Option<u32>,
    /// Tokens of each stream; none for whole answers.
    pub(crate) tokens: Option<u32>,
    /// Over how long the first questions are spread.
    pub(crate) spread: Duration,
    /// How long it runs before it is measured.
    pub(crate) warm: Duration,
    /// How long it is measured.
    pub(crate) length: Duration,
}

/// What came of it. Times in milliseconds, processor times in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) run: u32,
    pub(crate) step: &'static str,
    pub(crate) arm: Arm,
    /// Connections, or in an open loop questions a second.
    pub(crate) level: u32,
    pub(crate) seconds: f64,
    pub(crate) answers: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) first_text_p50: Option<f64>,
    pub(crate) first_text_p99: Option<f64>,
    /// Events of a stream, on average.
    pub(crate) events: Option<f64>,
    /// Of the proxy, per answer or stream; none where it took too little to be told.
    pub(crate) cpu: Option<f64>,
    /// Of the proxy, per event of a stream.
    pub(crate) cpu_per_event: Option<f64>,
    /// Share of one core that the proxy kept busy.
    pub(crate) busy: Option<f64>,
    /// Of the proxy at the end, in megabytes.
    pub(crate) resident: Option<f64>,
    /// Answers that did not come, or not whole, by their reason.
    pub(crate) failures: BTreeMap<String, u64>,
}

/// Least processor time that is told, in seconds: the kernel counts it in hundredths, so less is off by more than a tenth.
const LEAST_CPU: f64 = 0.1;

/// What is read at the beginning of the measured time and at its end.
struct Reading {
    at: Instant,
    cpu: Option<f64>,
    answers: u64,
    events: u64,
}

impl Reading {
    fn take(stage: &Stage, arm: Arm, seen: &Seen) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            cpu: stage.process(arm).map(|process| process.cpu_seconds()).transpose()?,
            answers: seen.answers.load(Ordering::Relaxed),
            events: seen.events.load(Ordering::Relaxed),
        })
    }
}

/// Puts a load on one arm.
///
/// # Errors
/// The driver or a measured program has ended. Answers that do not come are counted in the point.
pub(crate) fn measure(stage: &Stage, arm: Arm, load: &Load, run: u32) -> Result<Point> {
    let seen = Arc::new(Seen::default());
    let target = stage.target(arm, load.tokens);
    let schedule = load.per_second.map(|_| Arc::new(Schedule::new()));
    let connections = usize::try_from(load.connections)?;
    let (from, to, resident) = thread::scope(|scope| {
        let driver = scope.spawn(|| drive(&target, connections, schedule.as_ref(), load.spread, &seen));
        if let (Some(schedule), Some(per_second)) = (&schedule, load.per_second) {
            scope.spawn(move || schedule.keep(per_second, load.warm + load.length));
        }
        let watched = (|| {
            thread::sleep(load.warm);
            seen.measure();
            let from = Reading::take(stage, arm, &seen)?;
            thread::sleep(load.length);
            let to = Reading::take(stage, arm, &seen)?;
            let resident = stage.process(arm).map(|process| process.resident_megabytes()).transpose()?;
            anyhow::Ok((from, to, resident))
        })();
        // Whatever happened: the driver would never end.
        seen.stop();
        driver.join().map_err(|_| anyhow!("the driver panicked"))??;
        watched
    })?;
    let point = point(&seen, arm, load, run, (&from, &to, resident));
    if load.per_second.is_none() && point.failures.is_empty() {
        let mean = seen.kept_so_far().whole.mean_millis().unwrap_or_default();
        ensure!(
            times_fit(load.connections, point.per_second, mean),
            "{} on {}: {:.0} answers a second over {} connections cannot take {mean:.4} ms each: the bench is wrong",
            load.step,
            arm.name(),
            point.per_second,
            load.connections
        );
    }
    Ok(point)
}

fn point(seen: &Arc<Seen>, arm: Arm, load: &Load, run: u32, read: (&Reading, &Reading, Option<f64>)) -> Point {
    let (from, to, resident) = read;
    let kept = seen.kept_so_far();
    let seconds = to.at.duration_since(from.at).as_secs_f64();
    let events = load
        .tokens
        .map(|_| seen.events.load(Ordering::Relaxed) as f64 / (seen.answers.load(Ordering::Relaxed).max(1)) as f64);
    // Streams are counted by their events: at the edges of the measured time many are half done.
    let answers = match events {
        Some(events) if events > 0.0 => (to.events - from.events) as f64 / events,
        _ => (to.answers - from.answers) as f64,
    };
    let used = to.cpu.zip(from.cpu).map(|(to, from)| to - from);
    let cpu = used.filter(|used| *used >= LEAST_CPU && answers > 0.0).map(|used| used * 1e6 / answers);
    Point {
        run,
        step: load.step,
        arm,
        level: load.per_second.unwrap_or(load.connections),
        seconds,
        answers: to.answers - from.answers,
        per_second: answers / seconds,
        p50: kept.whole.quantile_millis(0.5),
        p99: kept.whole.quantile_millis(0.99),
        p999: kept.whole.quantile_millis(0.999),
        first_text_p50: kept.first_text.quantile_millis(0.5),
        first_text_p99: kept.first_text.quantile_millis(0.99),
        events,
        cpu,
        cpu_per_event: cpu.zip(events).map(|(cpu, events)| cpu / events),
        busy: used.map(|used| used / seconds),
        resident,
        failures: kept.failures,
    }
}
