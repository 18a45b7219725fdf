//! Keys: made, shown once, hashed.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::ledger::NewKey;

/// What every key begins with.
const PREFIX: &str = "psk-";
/// Chance in a key, in bytes: 256 bits.
const KEY_BYTES: usize = 32;
/// Chance in a pseudonym or a key id, in bytes.
const ID_BYTES: usize = 10;

/// A resident's key. It does not print.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Wraps what a client sent; `None` when it cannot be a key of ours.
    pub fn parse(text: &str) -> Option<Self> {
        text.starts_with(PREFIX).then(|| Self(text.to_owned().into()))
    }

    /// SHA-256 of the key: with 256 bits of chance a plain hash cannot be reversed by trying.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose_secret().as_bytes()).into()
    }

    /// The key itself, to be shown to its owner once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Makes a new resident of `plan` with one key, and the key to be handed out.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_resident_key(plan: &str, now: Timestamp) -> Result<(ApiKey, NewKey), getrandom::Error> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)?;
    let key = ApiKey(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)).into());
    let record = NewKey {
        key_id: random_id("key-")?,
        hash: key.hash(),
        resident: random_id("res-")?,
        plan: plan.to_owned(),
        created_at: now,
    };
    Ok((key, record))
}

fn random_id(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", BASE32_NOPAD.encode(&bytes).to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_256_bits_and_never_prints() {
        let (key, record) = new_resident_key("resident", Timestamp::UNIX_EPOCH).unwrap();
        let (other, _) = new_resident_key("resident", Timestamp::UNIX_EPOCH).unwrap();
        let body = key.expose().strip_prefix("psk-").unwrap();
        assert_eq!(BASE64URL_NOPAD.decode(body.as_bytes()).unwrap().len(), 32);
        assert_ne!(key.expose(), other.expose());
        assert_eq!(key.hash(), record.hash);
        assert!(!format!("{key:?} {record:?}").contains(body));
    }
}
