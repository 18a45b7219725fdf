//! The machine: rights of files, room and speed of the disk, addresses to listen on, limits of files and memory.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};

use super::{Doctor, Finding};
use crate::clock::Clock;
use crate::config::{Config, has_secrets};
use crate::ledger::LedgerFile;

/// Rights of others than owner and group.
const OTHERS: u32 = 0o007;
/// The right of the group to write.
const GROUP_WRITES: u32 = 0o020;
/// Free bytes below which the disk is wrong, or deserves a look.
const ROOM_WRONG: u64 = 200 << 20;
const ROOM_WARNING: u64 = 2 << 30;
/// Days of growth that should fit on it.
const ROOM_DAYS: u64 = 30;
/// Flushes of which the median is taken.
const FLUSHES: usize = 15;
/// A flush that takes longer, in milliseconds, makes residents wait.
const SLOW_FLUSH_MILLIS: f64 = 20.0;
/// Descriptors beside connections and calls: the ledger, logs, listeners.
const OTHER_FILES: u64 = 128;
/// What long bodies in hand take, against their length (config/default.toml, max_bodies_bytes).
const BODIES_TIMES: u64 = 5;
/// What a gateway takes beside them, in bytes.
const MEMORY_AT_REST: u64 = 64 << 20;

/// The folder of a file that is named without one is the one where we are.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Who may read what, and who owns it.
pub(super) fn files(doctor: &Doctor<'_>, ledger: &LedgerFile, findings: &mut Vec<Finding>) {
    let secret = &doctor.loaded.config.secret_file;
    let mut private: Vec<PathBuf> = vec![ledger.path().to_owned(), secret.clone()];
    private.extend(ledger.companions());
    if let Some(file) = doctor.file.filter(|file| std::fs::read_to_string(file).is_ok_and(|text| has_secrets(&text))) {
        private.push(file.to_owned());
    }
    let before = findings.len();
    for path in &private {
        if let Ok(known) = std::fs::metadata(path)
            && known.mode() & (OTHERS | GROUP_WRITES) != 0
        {
            let found = format!("{} has mode {:04o}: others may use it", path.display(), known.mode() & 0o7777);
            findings.push(Finding::wrong("file rights", found, format!("chmod 600 {}", path.display())));
        }
    }
    let folder = folder_of(ledger.path());
    if let Ok(known) = std::fs::metadata(folder) {
        for path in &private[..private.len().min(5)] {
            findings.extend(other_owner(path, &known, folder));
        }
        if access(folder, Access::WRITE_OK).is_err() {
            let found = format!("{} may not be written by whoever runs this", folder.display());
            findings.push(Finding::warning(
                "file rights",
                found,
                "run this as the service's user, or give it the folder",
            ));
        }
    }
    if findings.len() == before {
        findings.push(Finding::ok("file rights", "the ledger, the secret and keys are their owner's alone"));
    }
}

/// A file of somebody else's in the service's folder: made by a command that was run as another user, most often root.
fn other_owner(path: &Path, folder: &Metadata, name: &Path) -> Option<Finding> {
    let file = std::fs::metadata(path).ok().filter(|file| file.uid() != folder.uid())?;
    if path.parent() != Some(name) {
        return None;
    }
    let found = format!("{} belongs to user {}, its folder to {}", path.display(), file.uid(), folder.uid());
    Some(Finding::wrong("file rights", found, format!("chown --reference={} {}", name.display(), path.display())))
}

/// How much room there is, for how long, and how fast a flush is.
pub(super) fn disk(ledger: &LedgerFile, growth: Option<u64>, clock: &Clock, findings: &mut Vec<Finding>) {
    let folder = folder_of(ledger.path());
    let Ok(known) = statvfs(folder) else {
        findings.push(Finding::warning(
            "disk",
            format!("{} is not there yet", folder.display()),
            "the first start makes it",
        ));
        return;
    };
    let room = known.f_bavail.saturating_mul(known.f_frsize);
    let days = growth.filter(|bytes| *bytes > 0).map(|bytes| room / bytes);
    let lasts = days.map_or_else(String::new, |days| format!(", {days} days at the growth of the last weeks"));
    let found = format!("{} MB free where the ledger is{lasts}", room >> 20);
    let advice = "make room, or move ledger.path to a larger disk: a full one refuses every question";
    findings.push(if room < ROOM_WRONG {
        Finding::wrong("disk", found, advice)
    } else if room < ROOM_WARNING || days.is_some_and(|days| days < ROOM_DAYS) {
        Finding::warning("disk", found, advice)
    } else {
        Finding::ok("disk", found)
    });
    findings.extend(flush_speed(folder, clock));
}

/// The median of some flushes of a file without a name, which is gone afterwards.
fn flush_speed(folder: &Path, clock: &Clock) -> Option<Finding> {
    let mut times = Vec::with_capacity(FLUSHES);
    let mut measured = || {
        let mut file = tempfile::tempfile_in(folder)?;
        for _ in 0..FLUSHES {
            let start = clock.tick();
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
            times.push(clock.tick().since(start));
        }
        Ok(())
    };
    let measured: std::io::Result<()> = measured();
    if let Err(error) = measured {
        if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
            // Told of as rights.
            return None;
        }
        let advice = "make room, and look at the system's log for errors of the disk";
        return Some(Finding::wrong("disk", format!("a small file cannot be written there: {error}"), advice));
    }
    times.sort();
    let millis = times.get(FLUSHES / 2)?.as_secs_f64() * 1_000.0;
    let found = format!("a flush takes {millis:.1} ms");
    Some(if millis > SLOW_FLUSH_MILLIS {
        let advice = "every question waits for one: use a local disk, or ledger.durability = \"normal\"";
        Finding::warning("disk", found, advice)
    } else {
        Finding::ok("disk", found)
    })
}

/// Whether each address can be listened on, or is the gateway's own.
pub(super) fn listeners(config: &Config, served: bool, findings: &mut Vec<Finding>) {
    let server = &config.server;
    let all = [("public", server.public), ("mairie", server.mairie), ("ops", server.ops)];
    findings.extend(all.map(|(name, address)| listener(name, address, served)));
}

fn listener(name: &str, address: SocketAddr, served: bool) -> Finding {
    const CHECK: &str = "listeners";
    let shown = format!("{name} {address}");
    match TcpListener::bind(address).map_err(|error| error.kind()) {
        Ok(_given_back_at_once) => Finding::ok(CHECK, format!("{shown} is free")),
        Err(ErrorKind::AddrInUse) if served => Finding::ok(CHECK, format!("{shown} is in use while a gateway serves")),
        Err(ErrorKind::AddrInUse) => {
            let advice =
                format!("see who has it (ss -ltnp), or change server.{name}; a socket unit of systemd's is fine");
            Finding::wrong(CHECK, format!("{shown} is in use, and no gateway serves from the ledger"), advice)
        }
        Err(ErrorKind::PermissionDenied) => {
            let advice = "give the service CAP_NET_BIND_SERVICE, or take a port from 1024 on";
            Finding::warning(CHECK, format!("{shown} may not be used by whoever runs this"), advice)
        }
        Err(kind) => Finding::wrong(CHECK, format!("{shown} cannot be used: {kind}"), format!("change server.{name}")),
    }
}

/// Open files and memory, of the process that serves where it can be found, or of this one.
pub(super) fn limits(config: &Config, ledger: &LedgerFile, findings: &mut Vec<Finding>) {
    let [_, _, lock] = ledger.companions();
    let server = serving_process(&lock);
    let whose = server.map_or_else(|| "here; the service may have others".to_owned(), |id| format!("of process {id}"));
    let files = match server {
        Some(id) => open_files_of(id),
        None => getrlimit(Resource::Nofile).current,
    };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let calls = count(config.server.max_requests).min(count(config.upstream.transport.max_concurrency));
    let needed = count(config.server.connections.max).saturating_add(calls).saturating_add(OTHER_FILES);
    let found = files.map_or_else(
        || format!("no limit of open files {whose}"),
        |files| format!("{files} open files {whose}, {needed} may be needed"),
    );
    findings.push(if files.is_some_and(|files| files < needed) {
        let advice = "raise it (LimitNOFILE= in the unit), or lower server.max_connections";
        Finding::warning("limits", found, advice)
    } else {
        Finding::ok("limits", found)
    });
    let wanted = count(config.server.max_bodies_bytes).saturating_mul(BODIES_TIMES).saturating_add(MEMORY_AT_REST);
    findings.push(match memory_limit(server) {
        Some(limit) if limit < wanted => {
            let found = format!("{} MB of memory {whose}, {} may be needed", limit >> 20, wanted >> 20);
            Finding::warning("limits", found, "raise it (MemoryMax=), or lower server.max_bodies_bytes")
        }
        Some(limit) => Finding::ok("limits", format!("{} MB of memory {whose}", limit >> 20)),
        None => Finding::ok("limits", format!("no limit of memory {whose}")),
    });
}

/// The process that holds the lock of who serves, as the kernel lists it.
fn serving_process(lock: &Path) -> Option<u32> {
    let inode = format!(":{}", std::fs::metadata(lock).ok()?.ino());
    let held = std::fs::read_to_string("/proc/locks").ok()?;
    held.lines().find_map(|line| {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let is_it = parts.get(1) == Some(&"FLOCK") && parts.get(5).is_some_and(|file| file.ends_with(&inode));
        is_it.then(|| parts.get(4)?.parse().ok())?
    })
}

/// The soft limit of open files of a process; none where there is no limit, or it cannot be seen.
fn open_files_of(id: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The smallest limit of memory of the control groups above a process.
fn memory_limit(server: Option<u32>) -> Option<u64> {
    let id = server.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let groups = std::fs::read_to_string(format!("/proc/{id}/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mount = Path::new("/sys/fs/cgroup");
    let limits = mount.join(group);
    let within = limits.ancestors().take_while(|folder| folder.starts_with(mount));
    let limit = |folder: &Path| {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut File::open(folder.join("memory.max")).ok()?, &mut text).ok()?;
        text.trim().parse::<u64>().ok()
    };
    within.filter_map(limit).min()
}
