//! Residents' keys as the store keeps them: a hash, a pseudonym, a plan.

use jiff::Timestamp;

/// A resident's key as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyRecord {
    /// Public id of the key.
    pub key_id: String,
    /// Pseudonym of the resident.
    pub resident: String,
    /// The resident's plan.
    pub plan: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When the resident was suspended, if so.
    pub suspended_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether somebody may ask with it: neither revoked, nor its resident suspended.
    pub fn is_live(&self) -> bool {
        self.revoked_at.is_none() && self.suspended_at.is_none()
    }
}

/// In which state of the store a key was read; by default, nobody knows. Whoever decides on it later need not look again
/// while that state lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighting(pub(super) Option<u64>);

/// A key to be stored: its hash, never itself.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Public id of the key.
    pub key_id: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Pseudonym of a new resident.
    pub resident: String,
    /// Plan of the resident.
    pub plan: String,
    /// When it is issued.
    pub created_at: Timestamp,
}
