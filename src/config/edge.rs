//! Who is in front of the gateway, and how many wrong keys are taken from one address.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;

use super::check::Checker;
use super::raw::RawIdentity;
use crate::quota::WrongKeyRate;

pub(super) fn trusted_proxies(checker: &mut Checker<'_>, raw: &[String]) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in raw {
        let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
        match text.parse::<IpNet>().ok().or_else(one) {
            Some(network) if network.prefix_len() == 0 => checker.mistake(
                "server.trusted_proxies",
                format!("`{network}` is everybody: then anybody says of himself what address he has"),
            ),
            Some(network) => networks.push(network.trunc()),
            None => checker.mistake(
                "server.trusted_proxies",
                format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"),
            ),
        }
    }
    networks
}

pub(super) fn wrong_keys(raw: &RawIdentity) -> Option<WrongKeyRate> {
    let per_minute = NonZeroU32::new(raw.wrong_keys_per_minute)?;
    // Nobody is kept out for the first mistake.
    Some(WrongKeyRate { per_minute, burst: NonZeroU32::new(raw.wrong_keys_burst).unwrap_or(NonZeroU32::MIN) })
}
