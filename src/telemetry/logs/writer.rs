//! A thread that writes lines, so that nobody who serves waits for standard error.
//!
//! Lines are put behind one another in one buffer, and leave with one write for as many as are there. Above a bound of
//! bytes, lines are dropped and counted. tracing-appender would take an allocation and a write for each line, bound lines
//! and not bytes, and print to standard output when it cannot end in time.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::telemetry::metrics;

/// Bytes of lines that may wait, beside as many that are being written: ten thousand requests.
const MOST_BYTES: usize = 4 << 20;
/// What the buffers keep of their memory once they are empty.
const KEPT_BYTES: usize = 64 << 10;
/// How long the end of the process waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(2);
/// How long the thread waits, once woken, for lines to join the first: a crowd of requests costs it a wake and a write for
/// each of these times, and not for each line.
const GATHERING: Duration = Duration::from_millis(2);
/// How long to wait before a pipe is tried again that takes nothing, where it says so instead of making us wait.
const FULL_PIPE: Duration = Duration::from_millis(10);

#[derive(Default)]
struct State {
    /// Lines that wait.
    waiting: Vec<u8>,
    /// The thread is writing what waited before.
    writing: bool,
    /// The thread waits to be woken.
    asleep: bool,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or nothing more will come.
    work: Condvar,
    /// Nothing waits and nothing is being written.
    idle: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > MOST_BYTES {
            drop(state);
            return metrics().log_lines_dropped.inc();
        }
        state.waiting.extend_from_slice(line);
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    /// Writes what waits, until nothing more will come.
    fn write_to(&self, mut sink: impl Write) {
        let mut lines = Vec::new();
        while self.await_lines() {
            let mut state = self.state();
            std::mem::swap(&mut lines, &mut state.waiting);
            state.writing = true;
            drop(state);
            let lost = write_all(&mut sink, &lines);
            metrics().log_lines_dropped.inc_by(lost);
            lines.clear();
            lines.shrink_to(KEPT_BYTES);
        }
    }

    /// Waits until there are lines to write; false when there never will be.
    fn await_lines(&self) -> bool {
        let mut state = self.state();
        state.writing = false;
        if state.waiting.is_empty() {
            self.idle.notify_all();
        }
        let mut slept = false;
        while state.waiting.is_empty() && !state.closed {
            slept = true;
            state.asleep = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        let (closed, any) = (state.closed, !state.waiting.is_empty());
        drop(state);
        if slept && !closed {
            std::thread::sleep(GATHERING);
        }
        any
    }

    /// Waits until everything is written, for no longer than `patience`.
    fn flush(&self, patience: Duration) {
        let state = self.state();
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        drop(self.idle.wait_timeout_while(state, patience, busy));
    }
}

/// Writes as much as can be; gives the number of lines that could not.
fn write_all(sink: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match sink.write(lines) {
            Ok(written) if written > 0 => lines = lines.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(FULL_PIPE),
            // A pipe that was closed, a disk that is full: nobody can be told, and the metric tells.
            Ok(_) | Err(_) => break,
        }
    }
    let line_ends = lines.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(line_ends).unwrap_or(u64::MAX)
}

/// The lines on their way. Dropped, it takes no more, and waits until those that are there are written, within a bound: a
/// reader that has stopped reading must not keep the process from ending.
pub(super) struct Writer(Arc<Shared>);

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Writes to standard error.
    pub(super) fn to_stderr() -> io::Result<(Self, Lines)> {
        // A handle of its own: the standard one is locked for as long as a write takes, also for those who complain.
        let sink = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::to(sink)
    }

    fn to(sink: impl Write + Send + 'static) -> io::Result<(Self, Lines)> {
        let shared = Arc::new(Shared::default());
        let writes = Arc::clone(&shared);
        // Not waited for by its handle: it may be stuck in a write for ever.
        std::thread::Builder::new().name("log lines".to_owned()).spawn(move || writes.write_to(sink))?;
        Ok((Self(Arc::clone(&shared)), Lines(shared)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.work.notify_one();
        self.0.flush(LAST_LINES);
    }
}

/// Where lines are put.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A sink that says that it is to write, waits for a word before each write, and tells what was written.
    struct Gated {
        asked: Sender<()>,
        go: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Not every test listens.
            let _ = self.asked.send(());
            let open = self.go.recv();
            open.map_err(|_| io::Error::other("closed"))?;
            self.written.send(bytes.to_vec()).map_err(|_| io::Error::other("gone"))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Writer, Lines, Sender<()>, Receiver<Vec<u8>>) {
        let (writer, lines, open, read, _) = watched();
        (writer, lines, open, read)
    }

    fn watched() -> (Writer, Lines, Sender<()>, Receiver<Vec<u8>>, Receiver<()>) {
        let (asked, writes) = channel();
        let (open, go) = channel();
        let (written, read) = channel();
        let (writer, lines) = Writer::to(Gated { asked, go, written }).unwrap();
        (writer, lines, open, read, writes)
    }

    #[test]
    fn nothing_is_lost_at_the_end_also_by_a_panic() {
        let (writer, mut lines, open, read) = gated();
        for _ in 0..100 {
            open.send(()).unwrap();
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _logs = writer;
            for number in 0..100 {
                writeln!(lines, "line {number}").unwrap();
            }
            panic!("a mistake of ours");
        }));
        assert!(ended.is_err());
        let written: Vec<u8> = read.try_iter().flatten().collect();
        assert_eq!(String::from_utf8(written).unwrap().lines().count(), 100);
    }

    #[test]
    fn who_logs_never_waits_for_a_reader_that_has_stopped_and_what_is_lost_is_counted() {
        let (writer, mut lines, open, read, writes) = watched();
        let before = metrics().log_lines_dropped.get();
        let line = [b'x'; 1 << 10];
        let lines_in_bound = MOST_BYTES / line.len();
        // The first is in the thread's hands, the bound is full behind it, and nothing has been read.
        lines.write_all(&line).unwrap();
        writes.recv().unwrap();
        for _ in 0..2 * lines_in_bound {
            lines.write_all(&line).unwrap();
        }
        let dropped = metrics().log_lines_dropped.get() - before;
        assert_eq!(usize::try_from(dropped).unwrap(), lines_in_bound);
        // Read again, it goes on with what waited.
        open.send(()).unwrap();
        open.send(()).unwrap();
        let written = read.recv().unwrap().len() + read.recv().unwrap().len();
        assert_eq!(written, (1 + lines_in_bound) * line.len());
        drop(open);
        drop(writer);
    }

    #[test]
    fn lines_for_a_closed_pipe_are_counted_and_stop_nobody() {
        let (writer, mut lines, open, _read) = gated();
        drop(open);
        let before = metrics().log_lines_dropped.get();
        lines.write_all(b"one\ntwo\n").unwrap();
        drop(writer);
        assert_eq!(metrics().log_lines_dropped.get() - before, 2);
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (writer, mut lines, _open, _read) = gated();
        lines.write_all(b"never read\n").unwrap();
        drop(writer);
    }
}
