//! The ledger as a file: copied while it is served, looked through, put back. It must not know what becomes of copies.

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::sqlite::{Census, Health, Inspection, files};
use super::{ChainHead, StoreError};

/// A ledger's file, which need not be there.
#[derive(Clone, Debug)]
pub struct LedgerFile(PathBuf);

/// Proof that no gateway serves from a file, and that none begins to while it is held.
#[derive(Debug)]
#[must_use]
pub struct Free {
    _lock: File,
}

impl LedgerFile {
    /// The file of that name.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The files that may stand beside it: SQLite's write-ahead log and its index, and the lock of who serves.
    pub fn companions(&self) -> [PathBuf; 3] {
        files::companions(&self.0)
    }

    /// Whether a gateway serves from it. Changes nothing.
    pub fn is_served(&self) -> bool {
        files::is_served(&self.0)
    }

    /// Keeps every gateway out; makes the folder where there is none.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when one serves.
    pub fn keep_free(&self) -> Result<Free, StoreError> {
        Ok(Free { _lock: files::keep_free(&self.0)? })
    }

    /// Copies it, as it is now, to a new file, flushed to the disk, while others may write it; tells `progress` how many
    /// bytes of how many are there.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, is of a later version of the program, or the copy cannot be written.
    pub fn copy_to(&self, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        files::copy(&self.0, to, self.is_served(), progress)
    }

    /// What a file holds that nobody writes.
    ///
    /// # Errors
    /// [`StoreError`] when it is no ledger, or of a later version of the program.
    pub fn census(&self) -> Result<Census, StoreError> {
        files::census_of(&self.0)
    }

    /// Looks through a file that nobody writes: its pages, its chain against the end that it had, its counters; tells
    /// `progress` how many records were read.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read; damage is a finding.
    pub fn inspect(&self, noted: ChainHead, progress: &mut dyn FnMut(u64)) -> Result<Inspection, StoreError> {
        files::inspect(&self.0, noted, progress)
    }

    /// Brings a file that is nobody else's to this program's version.
    ///
    /// # Errors
    /// [`StoreError`] when that fails; then it is as it was.
    pub fn bring_up_to_date(&self) -> Result<(), StoreError> {
        files::bring_up_to_date(&self.0)
    }

    /// Puts the file `new` in its place; what was there is linked to `aside` first.
    ///
    /// # Errors
    /// [`StoreError`] when a file cannot be linked, removed or moved.
    pub fn replace_by(&self, new: &Path, aside: Option<&Path>, _free: &Free) -> Result<(), StoreError> {
        files::replace(&self.0, new, aside)
    }

    /// Forgets the aggregates, which the next start makes again from the entries.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn forget_aggregates(&self, _free: &Free) -> Result<(), StoreError> {
        files::forget_aggregates(&self.0)
    }

    /// How it is, for whoever looks after it; it may be served. Nothing is changed.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read at all; what is wrong otherwise is in the answer.
    pub fn health(&self, now: Timestamp) -> Result<Health, StoreError> {
        files::examine(&self.0, now)
    }
}
