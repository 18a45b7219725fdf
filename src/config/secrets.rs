//! Secrets that stand in files of their own, so that they need not stand in the configuration or the environment.
//!
//! A key of a secret has a sister that ends in `_file`. It must never repeat what it read.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::{Table, Value};

use super::SourceFile;

/// Keys that hold secrets, wherever they stand.
const SECRETS: &[&str] = &["api_key", "token", "webhook_secret", "webhook_url", "otlp_headers"];

/// Whether a key of that name holds a secret.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// Sections whose secrets may be read from files, and the keys; `*` is every vendor.
const PLACES: &[(&str, &str)] =
    &[("providers.*", "api_key"), ("mairie", "token"), ("alerts", "webhook_url"), ("alerts", "webhook_secret")];

/// What a file's name is added to.
const SUFFIX: &str = "_file";

/// Longest file of a secret, of a certificate chain or of its key, in bytes.
const MOST_BYTES: u64 = 256 << 10;

/// The bit of a file's mode that lets everybody on the machine read it.
const EVERYBODY_READS: u32 = 0o004;

/// What came of reading secrets from files.
#[derive(Default)]
pub(super) struct Found {
    /// The files, to be watched.
    pub(super) files: Vec<SourceFile>,
    /// What an operator should look at.
    pub(super) warnings: Vec<String>,
}

/// Puts the content of each `…_file` into the key that it stands for. Vendors' keys are left alone where nobody is to be
/// called (`vendors` is false): who reads the ledger need not be allowed to read them.
pub(super) fn resolve(table: &mut Table, base: &Path, vendors: bool, mistakes: &mut Vec<String>) -> Found {
    let mut found = Found::default();
    for (place, key) in PLACES {
        match place.strip_suffix(".*") {
            Some(group) => {
                let Some(Value::Table(sections)) = table.get_mut(group) else { continue };
                for (name, section) in sections.iter_mut() {
                    let Value::Table(section) = section else { continue };
                    let enabled = section.get("enabled").and_then(Value::as_bool).unwrap_or(true);
                    if vendors && enabled {
                        read_into(section, &format!("{group}.{name}"), key, base, &mut found, mistakes);
                    }
                }
            }
            None => {
                if let Some(Value::Table(section)) = table.get_mut(*place) {
                    read_into(section, place, key, base, &mut found, mistakes);
                }
            }
        }
    }
    found
}

fn read_into(section: &mut Table, place: &str, key: &str, base: &Path, found: &mut Found, mistakes: &mut Vec<String>) {
    let sister = format!("{key}{SUFFIX}");
    let path = format!("{place}.{sister}");
    let name = match section.get(&sister) {
        None => return,
        Some(Value::String(name)) if name.is_empty() => return,
        Some(Value::String(name)) => name,
        Some(_) => {
            mistakes.push(format!("{path}: must be the name of a file, as a text"));
            return;
        }
    };
    if section.get(key).is_some_and(|value| value.as_str() != Some("")) {
        mistakes.push(format!("{path}: {place}.{key} is given too (perhaps by the environment); keep one of the two"));
        return;
    }
    let file = base.join(name);
    // Also one that cannot be read: it may be mended.
    found.files.push(SourceFile::now(file.clone()));
    match secret_of(&file) {
        Ok(secret) => {
            found.warnings.extend(open_to_everybody(&file).map(|warning| format!("{path}: {warning}")));
            section.insert(key.to_owned(), Value::String(secret));
        }
        Err(error) => mistakes.push(format!("{path}: {error}")),
    }
}

/// Takes the `…_file` keys of the known places away: what they stood for has been read.
pub(super) fn forget_files(table: &mut Table) {
    for (place, key) in PLACES {
        let sister = format!("{key}{SUFFIX}");
        match place.strip_suffix(".*") {
            Some(group) => {
                let Some(Value::Table(sections)) = table.get_mut(group) else { continue };
                for (_, section) in sections.iter_mut() {
                    section.as_table_mut().and_then(|section| section.remove(&sister));
                }
            }
            None => drop(table.get_mut(*place).and_then(Value::as_table_mut).and_then(|table| table.remove(&sister))),
        }
    }
}

/// The secret in a file, less the newline that editors and `echo` put at its end.
///
/// # Errors
/// A sentence with the file's name, never with what is in it.
pub(super) fn secret_of(file: &Path) -> Result<String, String> {
    let mut text = String::from_utf8(read(file)?).map_err(|_| format!("{}: is not text", file.display()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(format!("{}: is empty", file.display())) } else { Ok(text) }
}

/// The bytes of a small file.
///
/// # Errors
/// A sentence with the file's name.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    // A pipe would be waited for without end.
    if !std::fs::metadata(file).map_err(|error| failed(&error))?.is_file() {
        return Err(failed(&"is not a file"));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| failed(&error))?;
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(failed(&format!("is longer than {MOST_BYTES} bytes, which no secret is")));
    }
    Ok(bytes)
}

/// A sentence where everybody on the machine may read a file.
pub(super) fn open_to_everybody(file: &Path) -> Option<String> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (mode & EVERYBODY_READS != 0)
        .then(|| format!("{}: everybody on this machine may read it; chmod 640 or 600", file.display()))
}
