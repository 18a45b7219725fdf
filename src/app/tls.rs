//! TLS at a listener: the certificate in force, replaced while connections go on, and handshakes that nobody waits for.
//!
//! It must not read files: what is handed in was checked. What is spoken within TLS is the server's.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::Clock;
use crate::config::{CertificatePair, TlsConfig};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics;

/// HTTP/2 first: clients that know both take it.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How often somebody is told of a certificate that expires soon.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What is answered to plain HTTP, so that whoever sees it knows what to change.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    connection: close\r\ncontent-length: 57\r\n\r\nThis port speaks HTTPS; write https:// into the address.\n";

/// What is read, and thrown away, of a client that spoke plain HTTP: it sees the answer only when it is not cut off.
const DISCARDED_BYTES: u64 = 64 << 10;

/// The certificates of the listeners that have one. Cheap to clone.
#[derive(Clone)]
pub(super) struct Certificates {
    /// Residents.
    pub(super) public: Option<Tls>,
    /// The mairie.
    pub(super) mairie: Option<Tls>,
}

/// TLS at one listener. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tls {
    listener: &'static str,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// What the next handshake shows.
#[derive(Debug)]
struct Current(RwLock<CertificatePair>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get().certified)
    }
}

impl Current {
    fn get(&self) -> CertificatePair {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Certificates {
    /// The certificates of a configuration.
    ///
    /// # Errors
    /// A sentence when the process's cryptography cannot be used.
    pub(super) fn new(config: &TlsConfig) -> Result<Self, String> {
        let tls = |listener, pair: &Option<CertificatePair>| {
            pair.clone().map(|pair| Tls::new(listener, pair)).transpose().map_err(|error| error.to_string())
        };
        Ok(Self { public: tls("public", &config.public)?, mairie: tls("mairie", &config.mairie)? })
    }

    /// Whether these certificates could be put into force.
    ///
    /// # Errors
    /// A sentence: one that has expired never takes the place of another.
    pub(super) fn check(&self, config: &TlsConfig, now: Timestamp) -> Result<(), String> {
        for (_, current, new) in self.pairs(config) {
            if new.has_expired(now) && !new.same_as(&current.get()) {
                return Err(format!("{}: expired on {}; the former one stays", new.path, new.expires));
            }
        }
        Ok(())
    }

    /// Shows these to clients that come from now on. Connections in progress keep what they were made with.
    pub(super) fn replace(&self, config: &TlsConfig) {
        for (tls, current, new) in self.pairs(config) {
            if !new.same_as(&current.get()) {
                *current.0.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
                tls.note();
                tracing::info!(listener = tls.listener, expires = %new.expires, "a new certificate is in force");
            }
        }
    }

    /// Whether a listener of that configuration speaks TLS that does not now, or the other way round.
    pub(super) fn needs_restart(&self, config: &TlsConfig) -> bool {
        self.public.is_some() != config.public.is_some() || self.mairie.is_some() != config.mairie.is_some()
    }

    /// Tells every day of a certificate that expires soon, until shutdown begins.
    pub(super) async fn remind(self, clock: Clock, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(REMIND_EVERY) => {}
                () = shutdown.begun() => return,
            }
            for tls in self.public.iter().chain(&self.mairie) {
                if let Some(warning) = tls.current.get().warning(clock.now()) {
                    tracing::warn!(listener = tls.listener, "{warning}");
                }
            }
        }
    }

    fn pairs<'a>(&'a self, config: &'a TlsConfig) -> impl Iterator<Item = (&'a Tls, &'a Current, &'a CertificatePair)> {
        let both = [(&self.public, &config.public), (&self.mairie, &config.mairie)];
        both.into_iter().filter_map(|(tls, new)| {
            let tls = tls.as_ref()?;
            Some((tls, &*tls.current, new.as_ref()?))
        })
    }
}

impl Tls {
    pub(super) fn new(listener: &'static str, pair: CertificatePair) -> Result<Self, rustls::Error> {
        let current = Arc::new(Current(RwLock::new(pair)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        let tls = Self { listener, current, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tls.note();
        Ok(tls)
    }

    fn note(&self) {
        let expires = self.current.get().expires.as_second();
        metrics().certificate_expires.with_label_values(&[self.listener]).set(expires);
    }

    /// The handshake of a new connection, until `deadline` at the latest; nothing when there is none, for whatever reason.
    pub(super) async fn accept(&self, stream: TcpStream, deadline: Instant) -> Option<TlsStream<TcpStream>> {
        let (outcome, stream) = match timeout_at(deadline, self.shake(stream)).await {
            Err(_) => ("timeout", None),
            Ok(Ok(stream)) => ("completed", Some(stream)),
            Ok(Err(outcome)) => (outcome, None),
        };
        metrics().tls_handshakes.with_label_values(&[self.listener, outcome]).inc();
        stream
    }

    async fn shake(&self, mut stream: TcpStream) -> Result<TlsStream<TcpStream>, &'static str> {
        // TLS begins with a number that no method of HTTP does.
        let mut first = [0];
        if stream.peek(&mut first).await.is_ok() && first[0].is_ascii_uppercase() {
            say_tls(&mut stream).await;
            return Err("plain_http");
        }
        self.acceptor.accept(stream).await.map_err(|error| {
            tracing::debug!(listener = self.listener, %error, "a TLS handshake failed");
            "failed"
        })
    }
}

/// Answers plain HTTP, and lets the client finish what it says: one that is cut off may never see why.
async fn say_tls(stream: &mut TcpStream) {
    if stream.write_all(SPEAK_TLS).await.is_ok() && stream.shutdown().await.is_ok() {
        let _gone_or_enough = tokio::io::copy(&mut stream.take(DISCARDED_BYTES), &mut tokio::io::sink()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = String::from_utf8_lossy(SPEAK_TLS).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}: {head}", body.len());
    }
}
