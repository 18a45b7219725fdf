//! Notices that a file of the configuration changed: by the system's word, and by a look now and then for what the system
//! does not tell (network file systems, a folder that was replaced).
//!
//! Folders are watched and not files: editors, configuration management and mounts of secrets put another file into an old
//! one's place. It must not read what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::config::SourceFile;

/// What a mounted secret's or configuration's generations begin with: Kubernetes turns the link `..data` from one to the
/// next, and the files' own links stay.
const GENERATION: &[u8] = b"..";

/// Watches the folders of some files for as long as it lives.
pub(super) struct FolderWatch {
    place: Place,
    _watcher: Option<RecommendedWatcher>,
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
}

impl FolderWatch {
    /// The same watch where it still is on these files and their folders are the same; otherwise another, which notifies
    /// `changed` when something happens to one of the files. Blocks on the file system.
    pub(super) fn renewed(former: Option<Self>, files: &[SourceFile], changed: &Arc<Notify>) -> Self {
        let place = Place::of(files);
        match former {
            Some(former) if former.place == place => former,
            _ => Self::on(place, changed),
        }
    }

    /// Where the system cannot watch a folder, that is said, and nothing comes from it.
    fn on(place: Place, changed: &Arc<Notify>) -> Self {
        let (changed, names) = (Arc::clone(changed), place.names.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // What the system lost count of may have been one of them.
            if event.map_or(true, |event| concerns(&event, &names)) {
                changed.notify_one();
            }
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(%error, "files cannot be watched; they are looked at every few seconds instead");
                return Self { place, _watcher: None };
            }
        };
        for folder in place.folders.keys() {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "a folder cannot be watched; it is looked at every few seconds instead");
            }
        }
        Self { place, _watcher: Some(watcher) }
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

fn concerns(event: &Event, names: &BTreeSet<OsString>) -> bool {
    let read_only = matches!(event.kind, EventKind::Access(_));
    let is_ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| names.contains(name) || name.as_bytes().starts_with(GENERATION))
    };
    !read_only && (event.need_rescan() || event.paths.iter().any(is_ours))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A folder of this test's own, gone with it.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    async fn told(changed: &Notify) {
        tokio::time::timeout(Duration::from_secs(20), changed.notified()).await.expect("nobody was told");
    }

    #[tokio::test]
    async fn a_file_written_replaced_or_put_back_is_told_and_its_neighbours_are_not() {
        let folder = folder();
        let (file, neighbour) = (folder.path().join("town.toml"), folder.path().join("ledger.sqlite"));
        std::fs::write(&file, "1").unwrap();
        let changed = Arc::new(Notify::new());
        let _watch = FolderWatch::renewed(None, &[SourceFile::now(file.clone())], &changed);
        std::fs::write(&neighbour, "x").unwrap();
        std::fs::write(&file, "2").unwrap();
        told(&changed).await;
        // As editors save: another file under its name.
        std::fs::write(folder.path().join("town.toml~"), "3").unwrap();
        std::fs::rename(folder.path().join("town.toml~"), &file).unwrap();
        told(&changed).await;
        std::fs::remove_file(&file).unwrap();
        told(&changed).await;
        let event = Event::new(EventKind::Any).add_path(neighbour);
        assert!(!concerns(&event, &BTreeSet::from(["town.toml".into()])));
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
        let changed = Arc::new(Notify::new());
        let _watch = FolderWatch::renewed(None, std::slice::from_ref(&before), &changed);
        assert!(!before.has_changed());
        link("..2", "..data_tmp");
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        told(&changed).await;
        assert!(before.has_changed(), "the link leads to another file");
    }
}
