//! What a backup says of itself: when it was made of which instance by which version, what it holds, and the digest of each
//! of its files.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files::failed;
use super::{CareError, files};
use crate::ledger::Census;

/// Name of the manifest within a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// Name of the ledger within a backup.
pub(super) const LEDGER: &str = "ledger.sqlite";
/// Name of the instance's secret within a backup.
pub(super) const SECRET: &str = "secret";

/// The form of manifests that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// What is known of a backup, beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of the manifest.
    pub format: u32,
    /// Version of the program that made the backup.
    pub program: String,
    /// When it was begun: nothing later is in it.
    pub made_at: Timestamp,
    /// Tells instances apart, without telling the secret; absent where there was none.
    pub instance: Option<String>,
    /// Version of the ledger's schema.
    pub schema_version: u32,
    /// The end of the chain, `number:hash`, as `ledger verify --noted` takes it.
    pub head: String,
    /// Number of records.
    pub records: u64,
    /// When the last of them was written.
    pub last_record_at: Option<Timestamp>,
    /// Calls that were open: their holds are in the ledger.
    pub open_reservations: u64,
    /// When the lease of the last of them ends.
    pub last_lease_ends: Option<Timestamp>,
    /// Keys issued.
    pub keys: u64,
    /// Whether the figures are simulated, where that was decided.
    pub simulated: Option<bool>,
    /// What was made of the copy before it was given its name.
    pub verified: Verified,
    /// The files beside the manifest.
    pub files: Vec<FileRecord>,
    /// The configuration's files at that time, by their digests; they are not in the backup, since they may hold vendors'
    /// keys.
    pub configuration: Vec<FileRecord>,
}

/// Whether a copy was looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// Its pages, its chain and its counters are right.
    Sound,
    /// Its pages are right; its chain was not read, being of another version than the program's.
    Pages,
    /// Something is wrong with it, and so with the ledger that it was made of.
    Damaged,
    /// Nobody looked.
    No,
}

/// A file by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name; a whole path for what is not in the backup.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a copy.
    pub(super) fn of(census: &Census, made_at: Timestamp, instance: Option<String>) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made_at,
            instance,
            schema_version: census.schema_version,
            head: census.head.to_string(),
            records: census.head.seq,
            last_record_at: census.last_record_at,
            open_reservations: census.open_reservations,
            last_lease_ends: census.last_lease_ends,
            keys: census.keys,
            simulated: census.simulated,
            verified: Verified::No,
            files: Vec::new(),
            configuration: Vec::new(),
        }
    }

    /// Reads the manifest of the backup in `folder`.
    ///
    /// # Errors
    /// [`CareError::Usage`] when there is none; [`CareError::Failed`] when it cannot be read or is of a later form.
    pub fn read(folder: &Path) -> Result<Self, CareError> {
        let path = folder.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CareError::Usage(format!("{} is no backup: it has no {MANIFEST}", folder.display())));
            }
            read => read.map_err(|error| failed(&path, &error))?,
        };
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        // The form first: a later one may have other fields.
        let form: Form = serde_json::from_slice(&text).map_err(|error| failed(&path, &error))?;
        if form.format > FORMAT {
            let text = format!("is of form {}, and this program knows up to {FORMAT}: use the newer one", form.format);
            return Err(failed(&path, &text));
        }
        serde_json::from_slice(&text).map_err(|error| failed(&path, &error))
    }

    /// Writes it into `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CareError> {
        let path = folder.join(MANIFEST);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| failed(&path, &error))?;
        text.push(b'\n');
        files::write(&path, &text)
    }

    /// The record of the file of that name.
    pub(super) fn file(&self, name: &str) -> Option<&FileRecord> {
        self.files.iter().find(|file| file.name == name)
    }
}

impl FileRecord {
    /// The record of a file as it is.
    pub(super) fn of(path: &Path, name: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, CareError> {
        let (bytes, sha256) = files::digest(path, progress)?;
        Ok(Self { name: name.to_owned(), bytes, sha256 })
    }
}
