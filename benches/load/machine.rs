//! The machine and the programs: what is measured, with which versions, on what; and the few settings of the bench's own
//! process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::figures;

/// What a figure needs to be understood later.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// When it began, UTC.
    pub(crate) date: String,
    commit: String,
    /// Whether the sources differ from that commit.
    is_dirty: bool,
    nginx: String,
    rustc: String,
    passerelle: String,
    kernel: String,
    cores: usize,
    open_files: Option<(u64, u64)>,
    /// Programs that wanted to run in the minute before, on average: what else the machine was doing.
    pub(crate) load_before: f64,
    /// In megabytes.
    pub(crate) binary_megabytes: f64,
}

impl Machine {
    /// Reads everything.
    ///
    /// # Errors
    /// A program that cannot be asked for its version.
    pub(crate) fn read(passerelle: &Path, nginx: &Path) -> Result<Self> {
        let git = |arguments: &[&str]| output(Command::new("git").args(arguments));
        let load = fs::read_to_string("/proc/loadavg")?;
        let load_before = load.split_whitespace().next().context("/proc/loadavg is empty")?.parse()?;
        let rustc = option_env!("RUSTC").unwrap_or("rustc");
        Ok(Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H%M%SZ").to_string(),
            commit: git(&["rev-parse", "HEAD"]).unwrap_or_else(|_| "unknown".to_owned()),
            is_dirty: git(&["status", "--porcelain"]).is_ok_and(|changes| !changes.is_empty()),
            nginx: output(Command::new(nginx).arg("-v"))?,
            rustc: output(Command::new(rustc).arg("-V"))?,
            passerelle: output(Command::new(passerelle).arg("--version"))?,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            cores: available_parallelism()?.get(),
            open_files: figures::open_files(&fs::read_to_string("/proc/self/limits")?),
            load_before,
            binary_megabytes: fs::metadata(passerelle)?.len() as f64 / 1e6,
        })
    }
}

/// What a program says, on whichever output: nginx tells its version on the wrong one.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| name.clone())?;
    ensure!(output.status.success(), "{name}: {}", output.status);
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

/// Builds the release profile with the same cargo that runs the bench; gives the program.
///
/// # Errors
/// It does not build.
pub(crate) fn build_release() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--locked", "--bin", "passerelle"]).current_dir(manifest);
    ensure!(command.status().context("cargo")?.success(), "the release build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| manifest.join("target"), PathBuf::from);
    Ok(target.join("release/passerelle"))
}

/// Where nginx is.
///
/// # Errors
/// Nowhere, with how to install it.
pub(crate) fn find_nginx() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join("nginx")).find(|file| file.is_file());
    found.context("nginx is not installed, and it is what the gateway is compared with: apt-get install nginx-light")
}

/// Lets this process and those it starts open as many files as the system allows.
///
/// # Errors
/// The limits cannot be read.
pub(crate) fn raise_open_files() -> Result<()> {
    let (soft, hard) =
        figures::open_files(&fs::read_to_string("/proc/self/limits")?).context("no limit of open files")?;
    if soft < hard {
        let process = std::process::id().to_string();
        let limit = if hard == u64::MAX { "unlimited".to_owned() } else { hard.to_string() };
        // Without it the step of many streams says what is missing.
        let _raised = Command::new("prlimit").args(["--pid", &process, &format!("--nofile={limit}:{limit}")]).status();
    }
    Ok(())
}

/// Keeps the driver on core 1, away from the proxy under measurement, or gives it all cores back.
///
/// # Errors
/// There is one core only, or no `taskset`.
pub(crate) fn pin_driver(is_pinned: bool) -> Result<()> {
    let cores = available_cores()?;
    if cores < 2 {
        bail!("the step one-core needs two cores: one for the proxy, one for the driver and the vendor");
    }
    let set = if is_pinned { "1".to_owned() } else { format!("0-{}", cores - 1) };
    let process = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["-a", "-p", "-c", &set, &process]).stdout(std::process::Stdio::null());
    ensure!(command.status().context("taskset (package util-linux)")?.success(), "taskset failed");
    Ok(())
}

/// Cores of the machine, whatever this process is pinned to.
fn available_cores() -> Result<usize> {
    let text = fs::read_to_string("/proc/stat")?;
    let is_core =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    Ok(text.lines().filter(is_core).count())
}
