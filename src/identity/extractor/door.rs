//! Where a request comes from, and whether too many wrong keys came from there.
//!
//! The address stays in here: no handler, log, metric or answer gets it. It must not know what a key opens.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::quota::{Network, WrongKeyGuard};
use crate::telemetry::metrics;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Counts wrong keys by address, and keeps those out that send too many. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Door {
    guard: Option<WrongKeyGuard>,
    proxies: Arc<[IpNet]>,
}

impl Door {
    /// A door with a guard; `proxies` are believed about who asks.
    pub fn new(guard: Option<WrongKeyGuard>, proxies: &[IpNet]) -> Self {
        Self { guard, proxies: proxies.into() }
    }

    /// How long the key of a request is not looked at, because of the wrong ones that came from the same address; not at
    /// all for one that is `known` to be right.
    pub fn closed_for(&self, parts: &Parts, known: impl FnOnce() -> bool) -> Option<Duration> {
        // Almost always: then it costs one read, and nobody is placed.
        let guard = self.guard.as_ref().filter(|guard| !guard.is_calm())?;
        let wait = guard.closed_for(self.network(parts)?).filter(|_| !known())?;
        metrics().keys_refused.with_label_values(&["too_many_wrong"]).inc();
        Some(wait)
    }

    /// Counts a wrong key.
    pub fn count_wrong(&self, parts: &Parts) {
        metrics().keys_refused.with_label_values(&["wrong"]).inc();
        if let (Some(guard), Some(network)) = (&self.guard, self.network(parts)) {
            guard.count(network);
        }
    }

    /// Where a request comes from. Who serves without a socket, or behind a proxy that does not say for whom, does not
    /// know: nobody is counted then, or the whole town would be as one.
    fn network(&self, parts: &Parts) -> Option<Network> {
        // The one thing about a connection that an extractor needs; axum's own way for it is an extension.
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        client(peer.ip(), &parts.headers, &self.proxies).map(Network::from)
    }
}

/// The client's address: the peer, or where that is a trusted proxy the last address in X-Forwarded-For that is none.
/// What stands before it was written by the client, and may be anything. RFC 7239's `Forwarded` is not read: a proxy that
/// sets one of the two lets the client's own of the other kind pass.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.contains(&address));
    let peer = peer.to_canonical();
    if !is_proxy(peer) {
        return Some(peer);
    }
    let lines: Vec<_> = headers.get_all(&FORWARDED_FOR).iter().collect();
    for line in lines.into_iter().rev() {
        for entry in line.to_str().ok()?.rsplit(',') {
            // What a trusted proxy wrote and cannot be read is nobody: what stands before it is not for us to believe.
            let address = address(entry.trim())?;
            if !is_proxy(address) {
                return Some(address);
            }
        }
    }
    None
}

/// An address as proxies write it: alone, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PEER: &str = "10.0.0.9";

    fn seen(peer: &str, lines: &[&str]) -> Option<String> {
        let headers = lines.iter().map(|line| (FORWARDED_FOR.clone(), HeaderValue::from_str(line).unwrap())).collect();
        let proxies: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].iter().map(|text| text.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_last_foreign_address() {
        for (peer, lines, client) in [
            ("192.0.2.7", &["198.51.100.1"][..], Some("192.0.2.7")),
            (PEER, &["198.51.100.1"], Some("198.51.100.1")),
            (PEER, &["203.0.113.66, 198.51.100.1"], Some("198.51.100.1")),
            (PEER, &["203.0.113.66, 198.51.100.1, 10.0.0.3"], Some("198.51.100.1")),
            (PEER, &["203.0.113.66", "198.51.100.1, 10.0.0.3"], Some("198.51.100.1")),
            ("::ffff:10.0.0.9", &["198.51.100.1:4711"], Some("198.51.100.1")),
            ("fd00::1", &["[2001:db8::1]:443"], Some("2001:db8::1")),
            ("fd00::1", &["[2001:db8::1]"], Some("2001:db8::1")),
            (PEER, &["::ffff:198.51.100.1"], Some("198.51.100.1")),
            (PEER, &["203.0.113.66, unknown"], None),
            (PEER, &["203.0.113.66,"], None),
            (PEER, &["10.0.0.4"], None),
            (PEER, &[], None),
        ] {
            assert_eq!(seen(peer, lines).as_deref(), client, "{peer} {lines:?}");
        }
    }

    proptest! {
        #[test]
        fn what_a_client_writes_itself_never_moves_it(forged in "[ -~]{0,60}") {
            prop_assert_eq!(seen("192.0.2.7", &[&forged]).unwrap(), "192.0.2.7");
            prop_assert_eq!(seen(PEER, &[&format!("{forged}, 198.51.100.1")]).unwrap(), "198.51.100.1");
            prop_assert_eq!(seen(PEER, &[&forged, "198.51.100.1"]).unwrap(), "198.51.100.1");
        }
    }
}
