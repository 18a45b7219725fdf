//! The process as the system counts it, under the names that every exporter uses.
//!
//! The `prometheus` crate has a collector of its own; it counts processor time in whole seconds, which shows nothing of a
//! gateway that takes a hundredth of a core, and wants a second copy of what talks to the system. It must not know what
//! the process does.

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, WithCurrentSystemInfo};
use prometheus::{Counter, Gauge, IntGauge};

/// What the system counts.
pub(super) struct ProcessMetrics {
    pub(super) cpu: Counter,
    pub(super) resident: IntGauge,
    pub(super) virtual_memory: IntGauge,
    pub(super) open_fds: IntGauge,
    pub(super) max_fds: IntGauge,
    pub(super) threads: IntGauge,
    pub(super) started: Gauge,
}

impl ProcessMetrics {
    /// Looks now. Where the system cannot say (no `/proc`), what was known stays.
    pub(super) fn look(&self) {
        if let Err(error) = self.try_look() {
            tracing::debug!(%error, "the system does not tell about this process");
        }
    }

    fn try_look(&self) -> ProcResult<()> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let per_second = procfs::ticks_per_second();
        let cpu = seconds(stat.utime + stat.stime, per_second);
        self.cpu.inc_by((cpu - self.cpu.get()).max(0.0));
        self.resident.set(bounded(stat.rss_bytes().get()));
        self.virtual_memory.set(bounded(stat.vsize));
        self.threads.set(stat.num_threads);
        self.open_fds.set(bounded(u64::try_from(process.fd_count()?).unwrap_or(u64::MAX)));
        if let LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
            self.max_fds.set(bounded(most));
        }
        if self.started.get() == 0.0 {
            // It does not change, and the system's boot time is in a long file.
            self.started.set(seconds(procfs::boot_time_secs()? * per_second + stat.starttime, per_second));
        }
        Ok(())
    }
}

fn seconds(ticks: u64, per_second: u64) -> f64 {
    let whole = u32::try_from(ticks / per_second).map_or(f64::MAX, f64::from);
    let (rest, per_second) = (u32::try_from(ticks % per_second), u32::try_from(per_second));
    whole + rest.map_or(0.0, f64::from) / per_second.map_or(1.0, f64::from)
}

fn bounded(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_seconds() {
        assert_eq!([0, 1, 99, 100, 250].map(|ticks| seconds(ticks, 100)), [0.0, 0.01, 0.99, 1.0, 2.5]);
    }
}
