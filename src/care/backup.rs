//! Makes a backup: a folder with the ledger, the secret and the manifest, written beside its place and renamed when it is
//! whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::files::{create_folder, failed, sync_folder};
use super::manifest::{FileRecord, LEDGER, Manifest, SECRET, Verified};
use super::{CareError, Progress, files};
use crate::config::Loaded;
use crate::identity::InstanceSecret;
use crate::ledger::{Census, ChainHead, LedgerFile};

/// How every backup's name begins; its time follows.
const PREFIX: &str = "passerelle-";
/// The one that is being written. There is one at most: its maker holds [`LOCK`].
const PARTIAL: &str = ".passerelle-partial";
/// Keeps two backups from being made into one folder at once.
const LOCK: &str = ".passerelle-lock";

/// A backup to be made.
#[derive(Clone, Copy, Debug)]
pub struct BackupJob<'a> {
    /// The instance's configuration.
    pub loaded: &'a Loaded,
    /// The folder of backups; each becomes a folder in it.
    pub output: &'a Path,
    /// How many of the instance's backups stay, this one included; all without it.
    pub keep: Option<usize>,
    /// Whether the copy is looked through once it is written.
    pub verify: bool,
    /// Now.
    pub now: Timestamp,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What is wrong with the ledger; the first findings.
    pub findings: Vec<String>,
    /// Older backups that were removed.
    pub removed: Vec<PathBuf>,
}

impl BackupJob<'_> {
    /// Makes the backup, beside a gateway that serves or not. What is wrong with the ledger is in the backup too: such a one
    /// is made, says so, and no older one is removed for it.
    ///
    /// # Errors
    /// [`CareError::Refused`] when there is no ledger or another backup is being made; others when a file cannot be read
    /// or written, and then nothing is left behind.
    pub fn run(self, progress: &mut dyn FnMut(Progress)) -> Result<Backup, CareError> {
        let ledger = LedgerFile::new(&self.loaded.config.ledger.path);
        if !ledger.path().exists() {
            return Err(CareError::Refused(format!("{} is not there: nothing to back up", ledger.path().display())));
        }
        std::fs::create_dir_all(self.output).map_err(|error| failed(self.output, &error))?;
        let _one_at_a_time = lock(self.output)?;
        let partial = self.output.join(PARTIAL);
        clear(&partial)?;
        create_folder(&partial)?;
        let made = self.fill(&ledger, &partial, progress).and_then(|(manifest, findings)| {
            let folder = self.place(&partial)?;
            Ok(Backup { folder, manifest, findings, removed: Vec::new() })
        });
        match made {
            Ok(mut backup) => {
                if let Some(keep) = self.keep.filter(|_| backup.manifest.verified != Verified::Damaged) {
                    backup.removed = rotate(self.output, keep, &backup)?;
                }
                Ok(backup)
            }
            Err(error) => {
                // What failed first is what is told.
                let _left_for_the_next_one = clear(&partial);
                Err(error)
            }
        }
    }

    /// Writes everything into `folder`.
    fn fill(
        &self,
        ledger: &LedgerFile,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Manifest, Vec<String>), CareError> {
        let copy = LedgerFile::new(&folder.join(LEDGER));
        ledger.copy_to(copy.path(), &mut |done, all| progress(Progress::Copied(done, all)))?;
        let census = copy.census()?;
        let secret = InstanceSecret::load(&self.loaded.config.secret_file).map_err(CareError::Failed)?;
        let mut manifest = Manifest::of(&census, self.now, secret.as_ref().map(InstanceSecret::instance));
        let digested = &mut |done, all| progress(Progress::Digested(done, all));
        manifest.files.push(FileRecord::of(copy.path(), LEDGER, digested)?);
        if let Some(secret) = secret {
            let path = folder.join(SECRET);
            files::write(&path, secret.to_file().as_bytes())?;
            manifest.files.push(FileRecord::of(&path, SECRET, &mut |_, _| {})?);
        }
        for path in self.loaded.files() {
            manifest.configuration.push(FileRecord::of(path, &path.display().to_string(), &mut |_, _| {})?);
        }
        let mut findings = Vec::new();
        if self.verify {
            (manifest.verified, findings) = look_through(&copy, &census, progress)?;
        }
        manifest.write(folder)?;
        sync_folder(folder)?;
        Ok((manifest, findings))
    }

    /// Gives the whole backup its name.
    fn place(&self, partial: &Path) -> Result<PathBuf, CareError> {
        let name = format!("{PREFIX}{}", self.now.strftime("%Y%m%dT%H%M%SZ"));
        let mut folder = self.output.join(&name);
        let mut twin = 1;
        while folder.exists() {
            twin += 1;
            folder = self.output.join(format!("{name}-{twin}"));
        }
        std::fs::rename(partial, &folder).map_err(|error| failed(&folder, &error))?;
        sync_folder(self.output)?;
        Ok(folder)
    }
}

/// Reads a copy from its first page to its last record.
pub(super) fn look_through(
    copy: &LedgerFile,
    census: &Census,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Verified, Vec<String>), CareError> {
    progress(Progress::Inspecting);
    let ChainHead { seq: records, .. } = census.head;
    let inspection = copy.inspect(census.head, &mut |done| progress(Progress::Verified(done, records)))?;
    let verified = match &inspection.chain {
        _ if !inspection.is_clean() => Verified::Damaged,
        Some(_) => Verified::Sound,
        None => Verified::Pages,
    };
    let chain = inspection.chain.map(|chain| chain.findings).unwrap_or_default();
    Ok((verified, inspection.pages.into_iter().chain(chain).collect()))
}

fn lock(output: &Path) -> Result<File, CareError> {
    let path = output.join(LOCK);
    let file = match files::create(&path) {
        Ok(file) => file,
        Err(_) => File::open(&path).map_err(|error| failed(&path, &error))?,
    };
    let taken = |_| CareError::Refused(format!("another backup is being made into {}", output.display()));
    file.try_lock().map_err(taken)?;
    Ok(file)
}

/// Removes what an earlier run left behind, if it did.
fn clear(partial: &Path) -> Result<(), CareError> {
    match std::fs::remove_dir_all(partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(partial, &error)),
        _removed_or_not_there => Ok(()),
    }
}

/// Removes the oldest backups of this instance beyond `keep`; what is not known to be one stays.
fn rotate(output: &Path, keep: usize, newest: &Backup) -> Result<Vec<PathBuf>, CareError> {
    let mut own = Vec::new();
    for entry in std::fs::read_dir(output).map_err(|error| failed(output, &error))? {
        let path = entry.map_err(|error| failed(output, &error))?.path();
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if !named || path == newest.folder {
            continue;
        }
        // One that cannot be read is somebody's to look at.
        if let Ok(manifest) = Manifest::read(&path)
            && manifest.instance == newest.manifest.instance
        {
            own.push((manifest.made_at, path));
        }
    }
    own.sort();
    let surplus = own.len().saturating_sub(keep.saturating_sub(1));
    let mut removed = Vec::new();
    for (_, path) in own.into_iter().take(surplus) {
        std::fs::remove_dir_all(&path).map_err(|error| failed(&path, &error))?;
        removed.push(path);
    }
    Ok(removed)
}
