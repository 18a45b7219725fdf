//! An authority of the test's own, certificates from it, and a client that trusts nobody else.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate that is valid until that year, with its key.
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

impl Pair {
    /// Writes both files, the way an automaton does: one after the other, each put into the old one's place.
    pub fn write(&self, folder: &Path) {
        for (name, text) in [("tls.pem", &self.certificate), ("tls.key", &self.key)] {
            std::fs::write(folder.join("new"), text).unwrap();
            std::fs::rename(folder.join("new"), folder.join(name)).unwrap();
        }
    }
}

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), roots }
    }

    pub fn pair(&self, until: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// Connects to a listener on loopback.
    pub async fn connect(
        &self,
        address: &str,
        protocols: &[&str],
        version: &'static SupportedProtocolVersion,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// The certificate that a listener shows now.
    pub async fn shown(&self, address: &str) -> std::io::Result<CertificateDer<'static>> {
        let stream = self.connect(address, &[], &rustls::version::TLS13).await?;
        Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone())
    }

    /// Sends a request over HTTP/1.1 and reads to the end.
    pub async fn ask(&self, address: &str, request: &str) -> std::io::Result<String> {
        let mut stream = self.connect(address, &["http/1.1"], &rustls::version::TLS13).await?;
        stream.write_all(request.as_bytes()).await?;
        read_on(&mut stream, "\0").await
    }
}

/// Reads until `text` has come, or to the end.
pub async fn read_on(stream: &mut TlsStream<TcpStream>, text: &str) -> std::io::Result<String> {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) && stream.read_buf(&mut read).await? > 0 {}
    Ok(String::from_utf8_lossy(&read).into_owned())
}
