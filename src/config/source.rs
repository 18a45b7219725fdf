//! Which files a configuration was read from, and in which state each of them was.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::Settings;

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Files that were read, the configuration first: one of them that changes may change all.
    pub files: Vec<SourceFile>,
    /// Every key as it was set.
    pub settings: Settings,
}

/// A file and the state in which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as it was configured: where that is a link, what it leads to may change.
    pub path: PathBuf,
    state: Option<State>,
}

/// What tells that a file was written to, or is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl SourceFile {
    /// The file in its present state. To be asked before it is read: what is written in between is seen as a change then.
    pub fn now(path: PathBuf) -> Self {
        let state = std::fs::metadata(&path).ok().map(|data| State {
            device: data.dev(),
            inode: data.ino(),
            length: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        });
        Self { path, state }
    }

    /// Whether it is in another state than it was.
    pub fn has_changed(&self) -> bool {
        Self::now(self.path.clone()) != *self
    }
}
