//! Programs under measurement: started, watched through `/proc`, and ended by their own id.
//!
//! It must not know what they serve.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::figures;

/// How long a program may take to end after SIGTERM before it is killed: longer than the gateway's own bound.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running program, with the workers it has forked. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    workers: Vec<u32>,
    /// Kept open: a program whose output is closed may end.
    _stdout: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a program that says where it listens, a line each: `… listening on http://ADDRESS`; gives the first
    /// address. What it logs goes to the file `log`.
    ///
    /// # Errors
    /// It cannot be started, or ends before it has said `lines` addresses.
    pub(crate) fn start_listening(command: &mut Command, lines: usize, log: &Path) -> Result<(Self, SocketAddr)> {
        let logged = fs::File::create(log).with_context(|| log.display().to_string())?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(logged).spawn();
        let mut child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let stdout = child.stdout.take().map(BufReader::new);
        let mut process = Self { child, workers: Vec::new(), _stdout: None };
        let mut stdout = stdout.context("a program without its output")?;
        let mut first = None;
        for _ in 0..lines {
            let mut line = String::new();
            if stdout.read_line(&mut line)? == 0 {
                bail!("{} ended: {}", command.get_program().display(), fs::read_to_string(log)?.trim());
            }
            let (_, address) = line.trim().rsplit_once("http://").with_context(|| format!("unexpected: {line}"))?;
            first = first.or(Some(address.parse()?));
        }
        process._stdout = Some(stdout);
        Ok((process, first.context("no address was asked for")?))
    }

    /// Starts a program that says nothing and forks its workers, and waits until it listens on `address`.
    ///
    /// # Errors
    /// It cannot be started, or does not listen within five seconds; its output is in `log`.
    pub(crate) fn start_forking(command: &mut Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let logged = fs::File::create(log).with_context(|| log.display().to_string())?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(logged).spawn();
        let child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut process = Self { child, workers: Vec::new(), _stdout: None };
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if process.child.try_wait()?.is_some() {
                break;
            }
            process.workers = children(process.child.id())?;
            if !process.workers.is_empty() && std::net::TcpStream::connect(address).is_ok() {
                return Ok(process);
            }
            sleep(Duration::from_millis(20));
        }
        bail!("{} does not listen: {}", command.get_program().display(), fs::read_to_string(log)?.trim())
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.child.id()).chain(self.workers.iter().copied())
    }

    /// Processor time it has taken so far, its workers included, in seconds.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        self.sum("stat", figures::cpu_seconds)
    }

    /// Memory it holds now, its workers included, in megabytes.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn resident_megabytes(&self) -> Result<f64> {
        self.sum("status", figures::resident_megabytes)
    }

    fn sum(&self, file: &str, read: fn(&str) -> Option<f64>) -> Result<f64> {
        let each = self.ids().map(|id| {
            let path = format!("/proc/{id}/{file}");
            let text = fs::read_to_string(&path).with_context(|| format!("a program has ended: {path}"))?;
            read(&text).with_context(|| format!("{path} cannot be read"))
        });
        each.sum()
    }

    /// Asks it to end and waits.
    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                self.child.kill()?;
                self.child.wait()?;
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing depends on how it ends.
        let _ended = self.end();
    }
}

/// The processes forked by `parent`.
fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that has ended meanwhile is nobody's child.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        if figures::parent(&stat) == Some(parent) {
            found.push(id);
        }
    }
    Ok(found)
}
