//! A serving ledger as a process among others: what it takes, and how another one takes over.

use super::{DiskUse, Ledger, StoreError};

impl Ledger {
    /// Commands that wait to be written; from memory.
    pub fn queue_depth(&self) -> u64 {
        match self {
            Self::Sqlite(store) => store.queue_depth(),
        }
    }

    /// Whether the last write succeeded, or the last look after one that failed; from memory.
    pub fn is_writable(&self) -> bool {
        match self {
            Self::Sqlite(store) => store.is_writable(),
        }
    }

    /// What its files take on the disk, and what is free there. The store itself is not asked.
    pub fn disk_use(&self) -> DiskUse {
        match self {
            Self::Sqlite(store) => store.disk_use(),
        }
    }

    /// Lets another process serve from the store. From here on this one only ends what it began: what it holds and
    /// settles is decided on the same counters, read anew in each transaction.
    ///
    /// # Errors
    /// [`StoreError`] when the writer has ended.
    pub async fn hand_over(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.hand_over().await,
        }
    }

    /// Serves again, after a [`Ledger::hand_over`] to a process that did not come.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process serves from the store after all.
    pub async fn take_back(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.take_back().await,
        }
    }
}
