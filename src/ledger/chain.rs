//! Tamper evidence: each entry's hash covers the entry and the hash before it.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};

/// Hash of an entry: SHA-256 over the previous hash and the body as stored. The first entry follows 32 zero bytes.
pub(super) fn link(previous: &[u8; 32], body: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(body);
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

impl std::fmt::Display for ChainHead {
    /// `1234:0badc0de…`, as people write it down.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, HEXLOWER.encode(&self.hash))
    }
}

impl std::str::FromStr for ChainHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (seq, hash) = text.trim().split_once(':')?;
            let hash = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()?;
            Some(Self { seq: seq.parse().ok()?, hash: hash.try_into().ok()? })
        };
        read().ok_or_else(|| format!("`{text}` is not the end of a chain, such as `ledger verify` prints it"))
    }
}

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Entries read.
    pub entries: u64,
    /// Reservations open.
    pub open_reservations: u64,
    /// What is wrong, each with the entry or counter concerned; the first hundred of them.
    pub findings: Vec<String>,
    /// How much is wrong.
    pub count: u64,
    /// The end of the chain: written down elsewhere, it proves later that nothing before it was written again.
    pub head: ChainHead,
}

impl Verification {
    /// True when nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.count == 0
    }
}
