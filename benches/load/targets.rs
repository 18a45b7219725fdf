//! The figures that have a target, each with its ratio to nginx in the same run, and whether the median meets it.
//!
//! It must not know how anything was measured.

use serde::Serialize;

use crate::figures::Spread;
use crate::measure::Point;
use crate::stage::Arm;
use crate::steps::Results;

/// One figure against its target.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) target: &'static str,
    /// The median over the runs, and the extremes where they differ.
    pub(crate) figure: String,
    /// The same of nginx.
    pub(crate) nginx: String,
    pub(crate) ratio: String,
    /// None where the figure has no target of its own.
    pub(crate) is_met: Option<bool>,
}

/// A figure of one measurement, by run.
fn by_run(results: &Results, step: &str, level: u32, arm: Arm, figure: fn(&Point) -> Option<f64>) -> Vec<(u32, f64)> {
    let points = results.points.iter().filter(|point| point.step == step && point.level == level && point.arm == arm);
    points.filter_map(|point| Some((point.run, figure(point)?))).collect()
}

/// Figures of the same runs, combined.
fn combined(left: &[(u32, f64)], right: &[(u32, f64)], of: fn(f64, f64) -> f64) -> Vec<(u32, f64)> {
    let other = |run| right.iter().find(|(other, _)| *other == run).map(|(_, figure)| *figure);
    left.iter().filter_map(|(run, figure)| Some((*run, of(*figure, other(*run)?)))).collect()
}

fn spread(figures: &[(u32, f64)]) -> Option<Spread> {
    Spread::of(figures.iter().map(|(_, figure)| *figure).collect())
}

/// A spread as text: the median, and the extremes where there is more than one run.
pub(crate) fn shown(spread: Option<Spread>, digits: usize, unit: &str) -> String {
    match spread {
        None => String::new(),
        Some(Spread { median, min, max }) if min == max => format!("{median:.digits$}{unit}"),
        Some(Spread { median, min, max }) => format!("{median:.digits$}{unit} ({min:.digits$}..{max:.digits$})"),
    }
}

/// Every row for which something was measured.
pub(crate) fn rows(results: &Results, binary_megabytes: f64) -> Vec<Row> {
    let mut rows = cpu_rows(results);
    rows.extend(first_text_rows(results));
    rows.extend(open_row(results));
    rows.extend(one_core_rows(results));
    rows.extend(many_rows(results));
    rows.extend(memory_rows(results));
    rows.push(Row {
        name: "release binary".to_owned(),
        target: "≤ 25 MB",
        figure: format!("{binary_megabytes:.1} MB"),
        nginx: String::new(),
        ratio: String::new(),
        is_met: Some(binary_megabytes <= 25.0),
    });
    rows
}

fn cpu_rows(results: &Results) -> Vec<Row> {
    let table = [
        ("CPU per request, 64 connections", "plain", 64, Arm::Gateway, "≤ 3.0 × nginx", Some(3.0)),
        ("CPU per request, 64 connections, translated", "plain", 64, Arm::Translated, "", None),
        ("CPU per stream of 50 tokens, burst", "burst", 64, Arm::Gateway, "≤ 3.0 × nginx", Some(3.0)),
        ("CPU per stream, burst, translated", "burst", 64, Arm::Translated, "≤ 5 × nginx", Some(5.0)),
        ("CPU per stream of 50 tokens, paced 5 ms", "paced", 16, Arm::Gateway, "≤ 1.5 × nginx", Some(1.5)),
        ("CPU per stream, paced, translated", "paced", 16, Arm::Translated, "≤ 2 × nginx", Some(2.0)),
    ];
    let row = |(name, step, level, arm, target, most): (&str, &str, u32, Arm, &'static str, Option<f64>)| {
        let ours = by_run(results, step, level, arm, |point| point.cpu);
        let nginx = by_run(results, step, level, Arm::Nginx, |point| point.cpu);
        let ratio = spread(&combined(&ours, &nginx, |ours, nginx| ours / nginx))?;
        Some(Row {
            name: name.to_owned(),
            target,
            figure: shown(spread(&ours), 0, " µs"),
            nginx: shown(spread(&nginx), 0, " µs"),
            ratio: shown(Some(ratio), 2, " ×"),
            is_met: most.map(|most| ratio.median <= most),
        })
    };
    table.into_iter().filter_map(row).collect()
}

/// What an arm adds to the direct one in the same run.
fn added(results: &Results, step: &str, level: u32, arm: Arm, figure: fn(&Point) -> Option<f64>) -> Vec<(u32, f64)> {
    let direct = by_run(results, step, level, Arm::Direct, figure);
    combined(&by_run(results, step, level, arm, figure), &direct, |through, direct| through - direct)
}

fn first_text_rows(results: &Results) -> Vec<Row> {
    type Figure = fn(&Point) -> Option<f64>;
    let table: [(_, _, _, Figure); 2] = [
        ("added time to first chunk, paced stream, p50", "≤ 0.5 ms", 0.5, |point| point.first_text_p50),
        ("added time to first chunk, paced stream, p99", "≤ 1.5 ms", 1.5, |point| point.first_text_p99),
    ];
    let row = |(name, target, most, figure): (&str, &'static str, f64, Figure)| {
        let ours = spread(&added(results, "paced", 16, Arm::Gateway, figure))?;
        let nginx = spread(&added(results, "paced", 16, Arm::Nginx, figure));
        Some(Row {
            name: name.to_owned(),
            target,
            figure: shown(Some(ours), 2, " ms"),
            nginx: shown(nginx, 2, " ms"),
            ratio: String::new(),
            is_met: Some(ours.median <= most),
        })
    };
    table.into_iter().filter_map(row).collect()
}

fn open_row(results: &Results) -> Option<Row> {
    let through = |arm| added(results, "open", 500, arm, |point| point.p99);
    let (ours, nginx) = (through(Arm::Gateway), through(Arm::Nginx));
    let figure = spread(&ours)?;
    // Where nginx adds nothing that could be seen, there is no ratio, and nothing to say about it.
    let seen: Vec<(u32, f64)> = nginx.iter().copied().filter(|(_, added)| *added > 0.0).collect();
    let ratio = spread(&combined(&ours, &seen, |ours, nginx| ours / nginx));
    let is_met = match ratio {
        _ if figure.median >= 1.0 => Some(false),
        ratio => ratio.map(|ratio| ratio.median <= 2.0),
    };
    Some(Row {
        name: "added p99 at 500 requests/s, open loop".to_owned(),
        target: "< 1 ms, ≤ 2 × nginx",
        figure: shown(Some(figure), 2, " ms"),
        nginx: shown(spread(&nginx), 2, " ms"),
        ratio: shown(ratio, 2, " ×"),
        is_met,
    })
}

/// From what share of its core on a proxy counts as limited by that core.
const FULL: f64 = 0.9;

fn one_core_rows(results: &Results) -> Vec<Row> {
    let figure = |arm, figure| by_run(results, "one-core", 64, arm, figure);
    let pair = |of| (figure(Arm::Gateway, of), figure(Arm::Nginx, of));
    let (ours, nginx) = pair(|point| Some(point.per_second));
    let Some(ratio) = spread(&combined(&ours, &nginx, |ours, nginx| ours / nginx)) else { return Vec::new() };
    let (busy, nginx_busy) = pair(|point| point.busy);
    // A proxy whose core is not full waits for the driver and the vendor, which share the other one: then the throughput is
    // theirs, and the ratio says nothing about the proxies.
    let is_full = [&busy, &nginx_busy].into_iter().flatten().all(|(_, busy)| *busy >= FULL);
    let percent = |busy: &[(u32, f64)]| shown(spread(busy).map(|it| it.scaled(100.0)), 0, " % busy");
    let (whole, nginx_whole) = pair(|point| point.busy.filter(|busy| *busy > 0.0).map(|busy| point.per_second / busy));
    vec![
        Row {
            name: "throughput at 64 connections on one core".to_owned(),
            target: "≥ 0.33 × nginx",
            figure: format!("{}, {}", shown(spread(&ours), 0, " /s"), percent(&busy)),
            nginx: format!("{}, {}", shown(spread(&nginx), 0, " /s"), percent(&nginx_busy)),
            ratio: shown(Some(ratio), 2, " ×"),
            is_met: is_full.then_some(ratio.median >= 0.33),
        },
        Row {
            name: "the same for each second of its core".to_owned(),
            target: "",
            figure: shown(spread(&whole), 0, " /s"),
            nginx: shown(spread(&nginx_whole), 0, " /s"),
            ratio: shown(spread(&combined(&whole, &nginx_whole, |ours, nginx| ours / nginx)), 2, " ×"),
            is_met: None,
        },
    ]
}

fn many_rows(results: &Results) -> Vec<Row> {
    let Some(first) = results.many.first() else { return Vec::new() };
    let figures =
        |figure: fn(&crate::many::Many) -> Option<f64>| Spread::of(results.many.iter().filter_map(figure).collect());
    let row = |name: String, target, figure, is_met| Row {
        name,
        target,
        figure,
        nginx: String::new(),
        ratio: String::new(),
        is_met,
    };
    // The target is of ten thousand: fewer say nothing about it.
    let judged = |is_met| (first.streams >= 10_000).then_some(is_met);
    let most = figures(|many| Some(many.resident_most));
    let lost: u64 = results.many.iter().flat_map(|many| many.lost.values()).sum();
    let busy = figures(|many| many.busy_still.map(|busy| busy * 100.0));
    let streams = first.streams;
    vec![
        row(
            format!("{streams} open streams: memory, largest"),
            "≤ 250 MB",
            shown(most, 0, " MB"),
            most.and_then(|most| judged(most.max <= 250.0)),
        ),
        row(format!("{streams} open streams: lost"), "none", lost.to_string(), judged(lost == 0)),
        row(
            format!("{streams} open streams: core busy between frames"),
            "idle",
            busy.map_or_else(|| "never still".to_owned(), |busy| shown(Some(busy), 1, " %")),
            // Idle is less than one hundredth of a core.
            busy.and_then(|busy| judged(busy.median <= 1.0)),
        ),
    ]
}

fn memory_rows(results: &Results) -> Vec<Row> {
    let idle = |arm| Spread::of(results.memory.iter().filter(|it| it.arm == arm).map(|it| it.idle).collect());
    let mut rows = Vec::new();
    if let Some(ours) = idle(Arm::Gateway) {
        rows.push(Row {
            name: "memory, idle".to_owned(),
            target: "≤ 30 MB",
            figure: shown(Some(ours), 1, " MB"),
            nginx: shown(idle(Arm::Nginx), 1, " MB"),
            ratio: String::new(),
            is_met: Some(ours.max <= 30.0),
        });
    }
    if let Some(soak) = &results.soak {
        rows.push(Row {
            name: format!("memory after {} requests; half-way, end, rest", soak.requests),
            target: "≤ 60 MB, no growth",
            figure: format!("{:.1}, {:.1}, {:.1} MB", soak.half, soak.end, soak.after),
            nginx: String::new(),
            ratio: String::new(),
            // A megabyte is what the allocator moves by itself. The target is of a million.
            is_met: (soak.requests >= 1_000_000).then_some(soak.end <= 60.0 && soak.end - soak.half <= 1.0),
        });
    }
    rows
}

/// Of every measurement: its arm against the direct one.
pub(crate) fn measurements(results: &Results) -> Vec<[String; 10]> {
    let mut seen: Vec<(&str, u32, Arm)> = Vec::new();
    for point in &results.points {
        if !seen.contains(&(point.step, point.level, point.arm)) {
            seen.push((point.step, point.level, point.arm));
        }
    }
    seen.sort_by_key(|(step, level, arm)| {
        let order = results.points.iter().position(|point| point.step == *step);
        (order, *level, *arm as u8)
    });
    let line = |(step, level, arm): (&str, u32, Arm)| {
        let own = |figure| spread(&by_run(results, step, level, arm, figure));
        let more = |figure| match arm {
            Arm::Direct => None,
            _ => spread(&added(results, step, level, arm, figure)),
        };
        [
            format!("{step} {level}"),
            arm.name().to_owned(),
            shown(own(|point| Some(point.per_second)), 0, ""),
            shown(own(|point| point.p50), 2, ""),
            shown(more(|point| point.p50), 2, ""),
            shown(more(|point| point.p99), 2, ""),
            shown(more(|point| point.p999), 2, ""),
            shown(own(|point| point.cpu), 0, ""),
            shown(own(|point| point.cpu_per_event), 1, ""),
            shown(own(|point| point.resident), 1, ""),
        ]
    };
    seen.into_iter().map(line).collect()
}
