//! Files that are whole or not there: written for their owner only, flushed, and put in their place by a rename.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::CareError;

/// Rights of a file and of a folder that nobody but their owner reads.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// What failed with which file.
pub(super) fn failed(path: &Path, error: &dyn std::fmt::Display) -> CareError {
    CareError::Failed(format!("{}: {error}", path.display()))
}

/// A new file, for its owner only; an error where there is one already.
pub(super) fn create(path: &Path) -> Result<File, CareError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE).open(path).map_err(|error| failed(path, &error))
}

/// Writes a new file and flushes it to the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CareError> {
    let mut file = create(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failed(path, &error))
}

/// A new folder, for its owner only.
pub(super) fn create_folder(path: &Path) -> Result<(), CareError> {
    DirBuilder::new().mode(FOLDER_MODE).create(path).map_err(|error| failed(path, &error))
}

/// Flushes to the disk which files a folder holds.
pub(super) fn sync_folder(path: &Path) -> Result<(), CareError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| failed(path, &error))
}

/// Length and SHA-256 of a file, in hexadecimal digits; tells `progress` how many bytes of how many are read.
pub(super) fn digest(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(u64, String), CareError> {
    copy_digested(path, &mut std::io::sink(), progress)
}

/// The same of a file that goes to `target` as it is read.
pub(super) fn copy_digested(
    path: &Path,
    target: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(u64, String), CareError> {
    let mut read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut done: u64 = 0;
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok((done, HEXLOWER.encode(&hasher.finalize())));
            }
            hasher.update(&piece[..count]);
            target.write_all(&piece[..count])?;
            done += u64::try_from(count).unwrap_or(0);
            progress(done, length.max(done));
        }
    };
    read().map_err(|error: std::io::Error| failed(path, &error))
}
