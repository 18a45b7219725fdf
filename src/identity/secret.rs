//! The instance's secret: 256 bits in a file beside the database, from which every keyed hash derives.
//!
//! It is kept out of the database, so that a copy of the ledger alone links nothing to nobody.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

const SECRET_BYTES: usize = 32;
/// Bytes of a keyed pseudonym as vendors see it; 128 bits keep it under OpenAI's 64 characters.
const PSEUDONYM_BYTES: usize = 16;

/// The secret, cheap to clone; it does not print.
#[derive(Clone, Debug)]
pub struct InstanceSecret(SecretSlice<u8>);

impl InstanceSecret {
    /// Reads the secret, or makes it on first start (mode 0600).
    ///
    /// # Errors
    /// A sentence with the file's name when it cannot be read, written, or is not a secret.
    pub fn load_or_create(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        // First: where there is no chance to be had, no empty file is left behind.
        let mut bytes = vec![0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| format!("no secret can be made: {error}"))?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                let made = Self(bytes.into());
                file.write_all(made.to_file().as_bytes())
                    .and_then(|()| file.sync_all())
                    .map_err(|error| failed(&error))?;
                Ok(made)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::load(path)?.ok_or_else(|| failed(&"has gone"))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Reads the secret; none where there is no file yet.
    ///
    /// # Errors
    /// A sentence with the file's name when it cannot be read, or is not a secret.
    pub fn load(path: &Path) -> Result<Option<Self>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut text = String::new();
        match OpenOptions::new().read(true).open(path).and_then(|mut file| file.read_to_string(&mut text)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| failed(&error))?,
        };
        match HEXLOWER.decode(text.trim().as_bytes()) {
            Ok(bytes) if bytes.len() == SECRET_BYTES => Ok(Some(Self(bytes.into()))),
            _ => Err(failed(&"is not a secret of 64 hexadecimal digits; restore it from a backup")),
        }
    }

    /// The text of its file, for a backup.
    pub fn to_file(&self) -> String {
        format!("{}\n", HEXLOWER.encode(self.0.expose_secret()))
    }

    /// Tells instances apart: the same for the same secret, and says nothing of it.
    pub fn instance(&self) -> String {
        HEXLOWER.encode(&self.keyed_hash("instance", &[])[..PSEUDONYM_BYTES])
    }

    /// HMAC-SHA-256 of the parts under a key of that purpose. Each part is preceded by its length, so that no two lists
    /// of parts give the same hash.
    pub fn keyed_hash(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = match Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) {
            Ok(mac) => mac,
            // HMAC takes a key of any length.
            Err(_) => return [0; 32],
        };
        for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&part.len().to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The name under which a vendor sees a resident: it says nothing, and changes with the month.
    pub fn vendor_pseudonym(&self, resident: &str, month: &str) -> String {
        HEXLOWER.encode(&self.keyed_hash("vendor", &[resident.as_bytes(), month.as_bytes()])[..PSEUDONYM_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_read_again() {
        let folder = std::env::temp_dir().join(format!("passerelle-secret-{}", std::process::id()));
        let path = folder.join("secret");
        let made = InstanceSecret::load_or_create(&path).unwrap();
        let read = InstanceSecret::load_or_create(&path).unwrap();
        assert_eq!(made.vendor_pseudonym("res-a", "2026-11"), read.vendor_pseudonym("res-a", "2026-11"));
        assert_ne!(made.vendor_pseudonym("res-a", "2026-11"), made.vendor_pseudonym("res-a", "2026-12"));
        assert_ne!(made.keyed_hash("a", &[b"bc"]), made.keyed_hash("ab", &[b"c"]));
        std::fs::write(&path, "short").unwrap();
        assert!(InstanceSecret::load_or_create(&path).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
