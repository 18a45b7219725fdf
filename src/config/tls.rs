//! Certificates with their keys, from PEM files: read, fitted together, dated. It must not serve anybody.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

use super::check::Checker;
use super::secrets;

/// How long before a certificate expires somebody is told.
const NEAR: SignedDuration = SignedDuration::from_hours(21 * 24);

#[derive(Deserialize)]
pub(super) struct RawTls {
    certificate: String,
    key: String,
    mairie_certificate: String,
    mairie_key: String,
}

/// What each listener shows to its clients; absent where it speaks plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    /// Residents.
    pub public: Option<CertificatePair>,
    /// The mairie.
    pub mairie: Option<CertificatePair>,
}

/// A certificate chain and the private key that fits it. Cheap to clone; it does not print.
#[derive(Clone)]
pub struct CertificatePair {
    /// Path of the certificate's key in the configuration.
    pub path: &'static str,
    /// As TLS uses it.
    pub certified: Arc<CertifiedKey>,
    /// When the first certificate of the chain expires.
    pub expires: Timestamp,
}

impl fmt::Debug for CertificatePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificatePair")
            .field("path", &self.path)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl CertificatePair {
    /// Whether both are the same certificates.
    pub fn same_as(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }

    /// Whether clients refuse it for its age.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// A sentence, where it has expired or does so within 21 days.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let (path, day) = (self.path, self.expires.strftime("%Y-%m-%d %H:%M UTC"));
        let left = self.expires.duration_since(now);
        if self.has_expired(now) {
            Some(format!("{path}: expired on {day}; clients refuse it. Renew it and write it to the same file."))
        } else if left < NEAR {
            let days = left.as_hours() / 24;
            Some(format!("{path}: expires on {day}, in {days} days; renew it and write it to the same file."))
        } else {
            None
        }
    }
}

pub(super) fn check(checker: &mut Checker<'_>, raw: &RawTls) -> TlsConfig {
    TlsConfig {
        public: pair(checker, ("server.tls.certificate", &raw.certificate), ("server.tls.key", &raw.key)),
        mairie: pair(
            checker,
            ("server.tls.mairie_certificate", &raw.mairie_certificate),
            ("server.tls.mairie_key", &raw.mairie_key),
        ),
    }
}

fn pair(
    checker: &mut Checker<'_>,
    (path, certificate): (&'static str, &str),
    (key_path, key): (&'static str, &str),
) -> Option<CertificatePair> {
    match (certificate.is_empty(), key.is_empty()) {
        (true, true) => return None,
        (false, false) => {}
        _ => {
            checker.mistake(path, format!("needs {key_path} beside it, and the other way round"));
            return None;
        }
    }
    let (certificate, key) = (checker.file(certificate), checker.file(key));
    let chain = read_chain(&certificate);
    let private = read_key(&key);
    let (chain, private) = (checker.keep(path, chain), checker.keep(key_path, private));
    let (chain, private) = (chain?, private?);
    if let Some(warning) = secrets::open_to_everybody(&key) {
        checker.warnings.push(format!("{key_path}: {warning}"));
    }
    let (begins, expires) = checker.keep(path, validity(&chain))?;
    // The error says which of the two is wrong, and nothing of what is in them.
    let certified = CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider());
    let certified = checker.keep(
        key_path,
        certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => format!("does not fit the certificate of {path}"),
            _ => "is of a kind that cannot be used; take ECDSA P-256, P-384, Ed25519 or RSA of 2048 bits or more"
                .to_owned(),
        }),
    )?;
    let pair = CertificatePair { path, certified: Arc::new(certified), expires };
    checker.warnings.extend(pair.warning(checker.now));
    if begins > checker.now {
        checker.warnings.push(format!("{path}: is valid only from {begins} on; clients refuse it until then"));
    }
    Some(pair)
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = secrets::read(file)?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(format!("{}: holds no certificate in PEM", file.display())),
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    // The parser's own error can repeat a line of the file.
    PrivateKeyDer::from_pem_slice(&secrets::read(file)?)
        .map_err(|_| format!("{}: holds no private key in PEM, or one under a passphrase", file.display()))
}

/// From when on, and until when, all of a chain is valid.
fn validity(chain: &[CertificateDer<'static>]) -> Result<(Timestamp, Timestamp), String> {
    let unreadable = || "holds a certificate that cannot be read".to_owned();
    let (mut begins, mut expires) = (Timestamp::MIN, Timestamp::MAX);
    for certificate in chain {
        // Raw: what certificates of the wild do beside the letter of RFC 5280 is not ours to judge here.
        let certificate = CertificateInner::<Raw>::from_der(certificate).map_err(|_| unreadable())?;
        let validity = certificate.tbs_certificate().validity();
        let at = |time: x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| unreadable())?;
            // Year 9999, the form of "never", is a little later than the last instant that can be told.
            Ok::<_, String>(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
        };
        begins = begins.max(at(validity.not_before)?);
        expires = expires.min(at(validity.not_after)?);
    }
    Ok((begins, expires))
}
