//! Tamper evidence: each entry's hash covers the entry and the hash before it.

use sha2::{Digest, Sha256};

/// Hash of an entry: SHA-256 over the previous hash and the body as stored. The first entry follows 32 zero bytes.
pub(super) fn link(previous: &[u8; 32], body: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(body.as_bytes());
    hasher.finalize().into()
}

/// The end of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// Number of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Entries read.
    pub entries: u64,
    /// Reservations open.
    pub open_reservations: u64,
    /// What is wrong, each with the entry or counter concerned.
    pub findings: Vec<String>,
}

impl Verification {
    /// True when nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}
