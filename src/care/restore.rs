//! Puts a backup back: nobody serves, what was there stays beside it, and nothing is in its place before it was looked
//! through.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::backup::look_through;
use super::files::{copy_digested, create, failed, sync_folder};
use super::manifest::{FileRecord, LEDGER, Manifest, SECRET, Verified};
use super::{CareError, Progress, files};
use crate::config::Loaded;
use crate::ledger::LedgerFile;

/// A backup to be put back.
#[derive(Clone, Copy, Debug)]
pub struct RestoreJob<'a> {
    /// The configuration that says where ledger and secret belong.
    pub loaded: &'a Loaded,
    /// The backup's folder.
    pub from: &'a Path,
    /// Whether a ledger and a secret that are there already are moved aside.
    pub replace: bool,
    /// Now.
    pub now: Timestamp,
}

/// A backup that was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Where the ledger is now.
    pub ledger: PathBuf,
    /// Where the secret is now; absent where the backup has none.
    pub secret: Option<PathBuf>,
    /// Where those are that were there before.
    pub moved_aside: Vec<PathBuf>,
    /// Files of the configuration that are not what they were when the backup was made.
    pub configuration_changed: Vec<String>,
}

impl RestoreJob<'_> {
    /// Puts the backup back.
    ///
    /// # Errors
    /// [`CareError::Usage`] when `from` is no backup; [`CareError::Refused`] when somebody serves or something is there
    /// already; [`CareError::Failed`] when a file is not what the manifest says, or the chain is not sound. Then nothing has
    /// changed.
    pub fn run(self, progress: &mut dyn FnMut(Progress)) -> Result<Restore, CareError> {
        let manifest = Manifest::read(self.from)?;
        let ledger = LedgerFile::new(&self.loaded.config.ledger.path);
        let free = ledger.keep_free()?;
        let secret = self.secret(&manifest)?;
        // A write-ahead log without its file is somebody's last commits.
        let [log, ..] = ledger.companions();
        let old_ledger = ledger.path().exists() || log.exists();
        if old_ledger && !self.replace {
            return Err(self.in_the_way(ledger.path()));
        }
        let waiting = self.beside(ledger.path(), "restoring");
        let ready = self.prepare(&manifest, &waiting, progress);
        if ready.is_err() {
            let _tried = std::fs::remove_file(&waiting);
        }
        ready?;
        let mut moved_aside = Vec::new();
        if let Some((path, bytes)) = &secret {
            moved_aside.extend(self.put_secret(path, bytes)?);
        }
        let aside = self.beside(ledger.path(), "before-restore");
        ledger.replace_by(&waiting, old_ledger.then_some(aside.as_path()), &free)?;
        if old_ledger {
            moved_aside.push(aside);
        }
        if let Some(folder) = ledger.path().parent().filter(|folder| !folder.as_os_str().is_empty()) {
            sync_folder(folder)?;
        }
        Ok(Restore {
            configuration_changed: self.configuration_changed(&manifest),
            manifest,
            ledger: ledger.path().to_owned(),
            secret: secret.map(|(path, _)| path),
            moved_aside,
        })
    }

    /// Copies the ledger of the backup to `waiting` and looks through it there.
    fn prepare(
        &self,
        manifest: &Manifest,
        waiting: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CareError> {
        let from = self.from.join(LEDGER);
        let mut file = create(waiting)?;
        let copied = copy_digested(&from, &mut file, &mut |done, all| progress(Progress::Copied(done, all)))?;
        file.sync_all().map_err(|error| failed(waiting, &error))?;
        check(manifest, LEDGER, copied)?;
        let copy = LedgerFile::new(waiting);
        let census = copy.census()?;
        if census.head.to_string() != manifest.head {
            return Err(failed(&from, &"its chain does not end as the manifest says"));
        }
        // An earlier version is brought up to date here, where that can fail without harm.
        copy.bring_up_to_date()?;
        match look_through(&copy, &census, progress)? {
            (Verified::Sound, _) => Ok(()),
            (_, findings) => Err(failed(&from, &format!("is damaged: {}", findings.join("; ")))),
        }
    }

    /// The secret of the backup and where it belongs, unless the same one is there.
    fn secret(&self, manifest: &Manifest) -> Result<Option<(PathBuf, Vec<u8>)>, CareError> {
        let place = &self.loaded.config.secret_file;
        if manifest.file(SECRET).is_none() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let copied = copy_digested(&self.from.join(SECRET), &mut bytes, &mut |_, _| {})?;
        check(manifest, SECRET, copied)?;
        match std::fs::read(place) {
            Ok(there) if there != bytes && !self.replace => Err(self.in_the_way(place)),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(place, &error)),
            _none_or_the_same => Ok(Some((place.clone(), bytes))),
        }
    }

    /// Writes the secret to its place; gives where another one went.
    fn put_secret(&self, place: &Path, bytes: &[u8]) -> Result<Option<PathBuf>, CareError> {
        let there = std::fs::read(place).ok();
        if there.as_deref() == Some(bytes) {
            return Ok(None);
        }
        if let Some(folder) = place.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        }
        let waiting = self.beside(place, "restoring");
        files::write(&waiting, bytes)?;
        let aside = self.beside(place, "before-restore");
        if there.is_some() {
            std::fs::hard_link(place, &aside).map_err(|error| failed(&aside, &error))?;
        }
        std::fs::rename(&waiting, place).map_err(|error| failed(place, &error))?;
        Ok(there.map(|_| aside))
    }

    /// A name beside `path` that nobody has.
    fn beside(&self, path: &Path, what: &str) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{what}-{}", self.now.strftime("%Y%m%dT%H%M%S%.3fZ")));
        name.into()
    }

    fn in_the_way(&self, path: &Path) -> CareError {
        let text = "is there already: --replace moves it aside and puts the backup in its place";
        CareError::Refused(format!("{} {text}", path.display()))
    }

    fn configuration_changed(&self, manifest: &Manifest) -> Vec<String> {
        let now: Vec<FileRecord> = self
            .loaded
            .files()
            .iter()
            .filter_map(|path| FileRecord::of(path, &path.display().to_string(), &mut |_, _| {}).ok())
            .collect();
        let differs = |then: &&FileRecord| !now.iter().any(|file| file.sha256 == then.sha256);
        manifest.configuration.iter().filter(differs).map(|file| file.name.clone()).collect()
    }
}

/// A file of the backup is what the manifest says.
fn check(manifest: &Manifest, name: &str, (bytes, sha256): (u64, String)) -> Result<(), CareError> {
    match manifest.file(name) {
        Some(file) if file.bytes == bytes && file.sha256 == sha256 => Ok(()),
        Some(_) => {
            Err(CareError::Failed(format!("{name} in the backup is not what its manifest says: use another one")))
        }
        None => Err(CareError::Failed(format!("the manifest does not name {name}"))),
    }
}
