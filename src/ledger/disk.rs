//! How much the ledger's files take, and how much more could be written beside them.
//!
//! It must not open them: this is asked when the store is in trouble, too.

use std::path::Path;

/// Bytes on the disk; each absent where the system cannot say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// What the database and its write-ahead log take.
    pub file_bytes: Option<u64>,
    /// What a process without privileges may still write there.
    pub free_bytes: Option<u64>,
}

/// Looks at a database and the log beside it.
pub(super) fn look(path: &Path) -> DiskUse {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let bytes = |path: &Path| std::fs::metadata(path).map(|file| file.len());
    // The log is there while somebody has the database open.
    let file_bytes = bytes(path).ok().map(|database| database + bytes(Path::new(&log)).unwrap_or(0));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free_bytes = rustix::fs::statvfs(folder).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    DiskUse { file_bytes, free_bytes }
}
