//! Backups of an instance while it serves, and their way back: the ledger as it was at one moment, the instance's secret,
//! and a manifest that says what they are.
//!
//! It must not know HTTP, vendors or what a ledger's rows mean, and it never serves.

mod backup;
mod files;
mod manifest;
mod restore;

pub use backup::{Backup, BackupJob};
pub use manifest::{FileRecord, Manifest, Verified};
pub use restore::{Restore, RestoreJob};

use crate::ledger::StoreError;

/// Why a backup was not made or not put back.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// What was named is not what it should be.
    #[error("{0}")]
    Usage(String),
    /// It may not be done as things are: somebody serves, or something is there already.
    #[error("{0}")]
    Refused(String),
    /// Files could not be read or written, or are not what the manifest says.
    #[error("{0}")]
    Failed(String),
    /// The ledger cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is being done, for whoever waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes of the ledger copied, of how many.
    Copied(u64, u64),
    /// Bytes read for their digest, of how many.
    Digested(u64, u64),
    /// The pages of the copy are being looked through.
    Inspecting,
    /// Records of the copy verified, of how many.
    Verified(u64, u64),
}
