//! What is done with the file as a file, gathered for [`crate::ledger::LedgerFile`].

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{connect_to_existing, create_folder_of, read, schema, unavailable, with_end};
use crate::ledger::StoreError;

pub(in crate::ledger) use super::copy::{bring_up_to_date, census_of, copy, inspect, replace};
pub(in crate::ledger) use super::health::examine;
pub(in crate::ledger) use super::is_served;

pub(in crate::ledger) fn companions(path: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", ".lock"].map(|end| with_end(path, end))
}

pub(in crate::ledger) fn keep_free(path: &Path) -> Result<File, StoreError> {
    create_folder_of(path)?;
    super::lock(path)
}

pub(in crate::ledger) fn forget_aggregates(path: &Path) -> Result<(), StoreError> {
    let mut connection = connect_to_existing(path)?;
    schema::migrate(&mut connection, path)?;
    read::forget_rollups(&mut connection).map_err(|error| unavailable(&error))
}
