//! The arithmetic of the bench: medians and spread of runs, what is added to the direct arm, what `/proc` says of a
//! process. Pure; it must not know processes, sockets or time. Its tests are in `tests/it/load_bench.rs`.

/// Clock ticks of `/proc/PID/stat` a second: `USER_HZ`, which Linux keeps at 100 for programs on every common platform.
const TICKS_PER_SECOND: f64 = 100.0;

/// The figures of several runs in one: their median and their extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The median; of an even number of runs the mean of the two in the middle.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of the figures of each run; none where there is no figure.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let upper = *figures.get(middle)?;
        let median = if figures.len() % 2 == 1 { upper } else { f64::midpoint(*figures.get(middle - 1)?, upper) };
        Some(Self { median, min, max })
    }

    /// The same in another unit.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self { median: self.median * factor, min: self.min * factor, max: self.max * factor }
    }
}

/// Processor time of a process and its ended threads, in seconds, from the text of `/proc/PID/stat`: utime + stime.
pub(crate) fn cpu_seconds(stat: &str) -> Option<f64> {
    let ticks: u64 = stat_field(stat, 14)?.parse::<u64>().ok()? + stat_field(stat, 15)?.parse::<u64>().ok()?;
    Some(ticks as f64 / TICKS_PER_SECOND)
}

/// The parent of a process, from the text of `/proc/PID/stat`.
pub(crate) fn parent(stat: &str) -> Option<u32> {
    stat_field(stat, 4)?.parse().ok()
}

/// A field by its number in proc(5), from 3 on: the name before them may hold blanks and brackets.
fn stat_field(stat: &str, number: usize) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(number.checked_sub(3)?)
}

/// Resident memory in megabytes (10^6 bytes), from the text of `/proc/PID/status`.
pub(crate) fn resident_megabytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

/// Most open files of a process, soft and hard, from the text of `/proc/PID/limits`; "unlimited" is the largest number.
pub(crate) fn open_files(limits: &str) -> Option<(u64, u64)> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words =
        line.split_whitespace().map(|word| if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() });
    Some((words.next()??, words.next()??))
}

/// When request number `index` of a fixed rate is meant to start, in seconds from the first.
pub(crate) fn intended_start(index: u64, per_second: u32) -> f64 {
    index as f64 / f64::from(per_second)
}

/// Whether times and throughput of a closed loop can both be true: each of its connections is always waiting for an answer,
/// so their number is the throughput times the mean wait (Little's law). Half is left for the edges of a short run, and for
/// the driver's own turn between an answer and the next question, which is in no wait and counts where the vendor is fast.
pub(crate) fn times_fit(connections: u32, per_second: f64, mean_millis: f64) -> bool {
    let waiting = per_second * mean_millis / 1000.0;
    (0.5..=1.5).contains(&(waiting / f64::from(connections)))
}
