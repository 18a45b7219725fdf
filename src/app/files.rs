//! Notices that a file of the configuration changed: by the system's word, and by a look now and then for what the system
//! does not tell (network file systems, a folder that was replaced).
//!
//! Folders are watched and not files: editors, configuration management and mounts of secrets put another file into an old
//! one's place. It must not read what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use inotify::{EventMask, EventStream, Inotify, WatchMask};

use crate::config::SourceFile;

/// What may have changed a file, once it is done: not each write on the way there. A ledger in the same folder is written to
/// with every request and closed at the end, and must cost nothing here.
const CHANGES: WatchMask = WatchMask::ATTRIB
    .union(WatchMask::CLOSE_WRITE)
    .union(WatchMask::CREATE)
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVE)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);
/// A folder is not there any more, or is another one's.
const GONE: EventMask = EventMask::DELETE_SELF.union(EventMask::MOVE_SELF).union(EventMask::IGNORED);
/// Room for the events of a moment, each with a name; what does not fit waits with the system.
const EVENT_BYTES: usize = 4096;

/// What a mounted secret's or configuration's generations begin with: Kubernetes turns the link `..data` from one to the
/// next, and the files' own links stay.
const GENERATION: &[u8] = b"..";

/// Watches the folders of some files for as long as it lives.
pub(super) struct FolderWatch {
    place: Place,
    /// Absent where the system cannot watch.
    events: Option<EventStream<Vec<u8>>>,
}

/// What is watched: names within folders, and which folders these really are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    names: BTreeSet<OsString>,
    folders: BTreeMap<PathBuf, (u64, u64)>,
}

impl Place {
    fn of(files: &[SourceFile]) -> Self {
        let names = files.iter().flat_map(|file| [Some(file.path.clone()), file.path.canonicalize().ok()]);
        let folder = |folder: PathBuf| {
            let data = std::fs::metadata(&folder).ok()?;
            Some((folder, (data.dev(), data.ino())))
        };
        Self {
            names: names.filter_map(|path| Some(path?.file_name()?.to_owned())).collect(),
            folders: files.iter().flat_map(|file| folders_of(&file.path)).filter_map(folder).collect(),
        }
    }

    /// Whether an event may be about one of the files. What the system lost count of may have been one of them.
    fn concerns(&self, what: EventMask, name: Option<&OsStr>) -> bool {
        let is_ours = |name: &OsStr| self.names.contains(name) || name.as_bytes().starts_with(GENERATION);
        what.contains(EventMask::Q_OVERFLOW) || name.is_some_and(is_ours)
    }
}

impl FolderWatch {
    /// The same watch where it still is on these files and their folders are the same; otherwise another. Blocks on the
    /// file system; within a runtime.
    pub(super) fn renewed(former: Option<Self>, files: &[SourceFile]) -> Self {
        let place = Place::of(files);
        match former {
            Some(former) if former.place == place => former,
            _ => Self::on(place),
        }
    }

    /// Where the system cannot watch a folder, that is said, and nothing comes from it.
    fn on(place: Place) -> Self {
        let begin = || -> io::Result<EventStream<Vec<u8>>> {
            let inotify = Inotify::init()?;
            for folder in place.folders.keys() {
                if let Err(error) = inotify.watches().add(folder, CHANGES) {
                    let folder = folder.display();
                    tracing::warn!(%folder, %error, "a folder cannot be watched; it is looked at every few seconds instead");
                }
            }
            inotify.into_event_stream(vec![0; EVENT_BYTES])
        };
        let events = begin().inspect_err(|error| {
            tracing::warn!(%error, "files cannot be watched; they are looked at every few seconds instead");
        });
        Self { place, events: events.ok() }
    }

    /// Resolves when something happened to one of the files; never where the system cannot tell. Nothing is lost where it
    /// is given up and asked again.
    pub(super) async fn changed(&mut self) {
        while let Some(events) = &mut self.events {
            match events.next().await {
                Some(Ok(event)) if event.mask.intersects(GONE) => {
                    // One made anew in its place may have its very number: whatever is there is watched anew.
                    self.place.folders.clear();
                    return;
                }
                Some(Ok(event)) if self.place.concerns(event.mask, event.name.as_deref()) => return,
                Some(Ok(_)) => {}
                ended => {
                    let error = ended.and_then(Result::err);
                    tracing::warn!(?error, "files cannot be watched any more; they are looked at instead");
                    self.events = None;
                }
            }
        }
        std::future::pending().await
    }
}

/// The folder that a file is named in, and the one that it really lies in.
fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let parent = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.is_dir().then(|| folder.to_owned())
    };
    [parent(file), file.canonicalize().ok().and_then(|file| parent(&file))].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    /// A folder of this test's own, gone with it.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    async fn told(watch: &mut FolderWatch) {
        tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.expect("nobody was told");
    }

    fn is_quiet(watch: &mut FolderWatch) -> bool {
        watch.changed().now_or_never().is_none()
    }

    #[tokio::test]
    async fn a_file_written_replaced_or_put_back_is_told_and_its_neighbours_are_not() {
        let folder = folder();
        let (file, neighbour) = (folder.path().join("town.toml"), folder.path().join("notes"));
        std::fs::write(&file, "1").unwrap();
        let mut watch = FolderWatch::renewed(None, &[SourceFile::now(file.clone())]);
        std::fs::write(&neighbour, "x").unwrap();
        assert!(is_quiet(&mut watch));
        std::fs::write(&file, "2").unwrap();
        told(&mut watch).await;
        assert!(is_quiet(&mut watch));
        // As editors save: another file under its name.
        std::fs::write(folder.path().join("town.toml~"), "3").unwrap();
        std::fs::rename(folder.path().join("town.toml~"), &file).unwrap();
        told(&mut watch).await;
        assert!(is_quiet(&mut watch));
        std::fs::remove_file(&file).unwrap();
        told(&mut watch).await;
        assert!(is_quiet(&mut watch));
    }

    #[tokio::test]
    async fn a_folder_made_anew_in_the_place_of_another_is_watched() {
        let folder = folder();
        let inner = folder.path().join("etc");
        let files = [SourceFile::now(inner.join("town.toml"))];
        std::fs::create_dir(&inner).unwrap();
        let mut watch = FolderWatch::renewed(None, &files);
        std::fs::remove_dir(&inner).unwrap();
        told(&mut watch).await;
        std::fs::create_dir(&inner).unwrap();
        let mut watch = FolderWatch::renewed(Some(watch), &files);
        assert!(is_quiet(&mut watch));
        std::fs::write(inner.join("town.toml"), "1").unwrap();
        told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_ledger_beside_it_that_is_written_to_costs_nothing() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("town.toml"), "1").unwrap();
        let ledger = rusqlite::Connection::open(at("ledger.sqlite")).unwrap();
        ledger.pragma_update(None, "journal_mode", "wal").unwrap();
        ledger.execute_batch("CREATE TABLE t (x)").unwrap();
        let mut watch = FolderWatch::renewed(None, &[SourceFile::now(at("town.toml"))]);
        for _ in 0..100 {
            ledger.execute("INSERT INTO t VALUES (1)", []).unwrap();
        }
        std::fs::write(at("town.toml"), "2").unwrap();
        let first = watch.events.as_mut().unwrap().next().await.unwrap().unwrap();
        assert_eq!(first.name.as_deref(), Some(OsStr::new("town.toml")), "the system wakes us for each write");
    }

    #[tokio::test]
    async fn a_mount_that_turns_its_link_to_another_generation_is_told() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        for (generation, content) in [("..1", "old"), ("..2", "new")] {
            std::fs::create_dir(at(generation)).unwrap();
            std::fs::write(at(generation).join("key"), content).unwrap();
        }
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
        link("..1", "..data");
        link("..data/key", "key");
        let before = SourceFile::now(at("key"));
        let mut watch = FolderWatch::renewed(None, std::slice::from_ref(&before));
        assert!(!before.has_changed());
        link("..2", "..data_tmp");
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        told(&mut watch).await;
        assert!(before.has_changed(), "the link leads to another file");
    }
}
