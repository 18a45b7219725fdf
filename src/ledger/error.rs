//! What can go wrong with the store. It must not know which store it is.

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be read or written now; the text says what it answered.
    #[error("the ledger's store is not available: {0}")]
    Unavailable(String),
    /// Too many writes are waiting.
    #[error("the ledger's queue is full")]
    Busy,
    /// Another process serves from the same store.
    #[error("{0} is already in use by another passerelle: stop it first, or choose another ledger.path")]
    InUse(String),
    /// The reservation is no longer open: its lease ended and it was settled as unknown.
    #[error("the reservation was already resolved")]
    AlreadyResolved,
    /// Something in the store cannot be read as what it should be.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The file was written by a later version of the program.
    #[error(
        "{path} was written by a newer passerelle (schema {found}; this one knows up to {known}): install the newer one \
         again, or restore the backup that was made before it"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// The last version that this program knows.
        known: u32,
    },
    /// An earlier version of the program serves from the file.
    #[error(
        "an older passerelle serves from {path} (schema {found}), and this one would change it to {known}: use the program \
         that serves, or stop it first"
    )]
    Older {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// The version of this program.
        known: u32,
    },
}
