//! The open loop: the intended starts of questions, handed to whichever connection is free.
//!
//! A thread of its own sleeps until each start: the runtime's timers have a grain of a millisecond, which is more than
//! what is measured. A start that finds no free connection waits in line, and its wait counts (no coordinated omission).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::figures::intended_start;

/// Starts that are due and not taken yet.
#[derive(Debug)]
pub(crate) struct Schedule {
    due: Mutex<VecDeque<Instant>>,
    count: Semaphore,
}

impl Schedule {
    /// With nothing due.
    pub(crate) fn new() -> Self {
        Self { due: Mutex::default(), count: Semaphore::new(0) }
    }

    fn due(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes starts due at `per_second` for `length`; returns at its end, after which none follows.
    pub(crate) fn keep(&self, per_second: u32, length: Duration) {
        let first = Instant::now();
        for index in 0.. {
            let after = Duration::from_secs_f64(intended_start(index, per_second));
            if after > length {
                break;
            }
            let start = first + after;
            sleep(start.saturating_duration_since(Instant::now()));
            self.due().push_back(start);
            self.count.add_permits(1);
        }
        self.count.close();
    }

    /// The next start, when it is due; none after the last.
    pub(crate) async fn next(&self) -> Option<Instant> {
        // Closed, it gives no permit any more, but what is due is still taken.
        if let Ok(permit) = self.count.acquire().await {
            permit.forget();
        }
        self.due().pop_front()
    }
}
