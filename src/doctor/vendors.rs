//! Vendors' hosts: whether each is found, answers, takes the key and still offers what the routes lead to; what their clocks
//! say of ours. And whether somebody is there where alerts are sent.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;
use providers::Dialect;
use providers::transport::{Unreachable, Visit, Visitor};
use secrecy::{ExposeSecret, SecretString};

use super::{Doctor, Finding};
use crate::config::ProviderConfig;

/// How long a host may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds by which our clock may differ from a vendor's, whose own is told to the second.
const CLOCK_WARNING: i64 = 5;
const CLOCK_WRONG: i64 = 60;

pub(super) async fn look(doctor: &Doctor<'_>, findings: &mut Vec<Finding>) {
    let config = &doctor.loaded.config;
    let visitor = Visitor::new(PATIENCE);
    let no_key = SecretString::from(String::new());
    let mut clocks = Vec::new();
    for vendor in &config.providers {
        let Some(catalogue) = config.catalogue.provider(&vendor.id) else { continue };
        let key = if doctor.has_keys { &vendor.api_key } else { &no_key };
        let mut offered: Option<BTreeSet<String>> = None;
        for host in vendor.hosts.iter().filter_map(|name| catalogue.host(name)) {
            let visit = visitor.models(&host.base_url, key).await;
            let name = format!("{} ({})", vendor.id, host.id);
            if let Ok(visit) = &visit {
                clocks.extend(visit.date.map(|date| (name.clone(), doctor.now().duration_since(date).as_secs())));
            }
            findings.push(of_visit(&name, &visit, doctor.has_keys, catalogue.dialect));
            offered = offered.or_else(|| visit.ok()?.models);
        }
        if let Some(offered) = offered {
            findings.push(models(doctor, vendor, &offered, catalogue.dialect));
        }
    }
    findings.extend(clock(&clocks));
    if let Some(webhook) = &config.alerts.webhook {
        findings.push(match visitor.knock(webhook.url.expose_secret()).await {
            Ok(()) => Finding::ok("webhook", "its host accepts connections"),
            // The address may be a secret.
            Err(error) => {
                Finding::wrong("webhook", format!("its host: {error}"), "alerts reach nobody: see alerts.webhook_url")
            }
        });
    }
}

fn of_visit(name: &str, visit: &Result<Visit, Unreachable>, has_keys: bool, dialect: Dialect) -> Finding {
    const CHECK: &str = "vendors";
    match visit {
        Ok(visit) => {
            let found = format!("{name} answers {} after {} ms", visit.status, visit.latency.as_millis());
            match visit.status {
                200..=299 => Finding::ok(CHECK, found),
                401 | 403 if has_keys => {
                    let advice =
                        "the key is wrong, revoked, or of a project without rights: give a new one and restart";
                    Finding::wrong(CHECK, format!("{found}: it refuses the key"), advice)
                }
                401 | 403 => Finding::ok(CHECK, format!("{found}, without a key")),
                404 | 405 if dialect == Dialect::Compatible => {
                    Finding::warning(CHECK, format!("{found}: it lists no models"), "whether calls work is not known")
                }
                _ => Finding::warning(CHECK, found, "see the vendor's status page; residents meet the same"),
            }
        }
        Err(error) => {
            let advice = match error {
                Unreachable::Name(_) => "look at the machine's DNS (resolvectl, /etc/resolv.conf) and at base_url",
                Unreachable::Certificate(_) => {
                    "look at the machine's clock and certificates (ca-certificates), and at what stands between"
                }
                Unreachable::Tls(_) | Unreachable::Late(_) | Unreachable::Connection(_) => {
                    "look at the firewall, the proxy and the vendor's status page"
                }
                Unreachable::Unusable(_) => "look at the vendor's base_url and key",
            };
            Finding::wrong(CHECK, format!("{name}: {error}"), advice)
        }
    }
}

/// The models that routes lead to at a vendor, and whether it still lists them.
fn models(doctor: &Doctor<'_>, vendor: &ProviderConfig, offered: &BTreeSet<String>, dialect: Dialect) -> Finding {
    const CHECK: &str = "models";
    let config = &doctor.loaded.config;
    let today = doctor.now().to_zoned_datetime(TimeZone::UTC).date();
    let targets = config.routes.values().flat_map(|route| &route.targets);
    let resolved = targets.filter_map(|target| config.catalogue.resolve(&target.model, today));
    let wanted: BTreeSet<_> =
        resolved.filter(|found| found.provider.id == vendor.id).map(|found| found.sent_id.to_string()).collect();
    let missing: Vec<&str> = wanted.difference(offered).map(String::as_str).collect();
    if missing.is_empty() {
        return Finding::ok(CHECK, format!("{} offers all {} models of the routes", vendor.id, wanted.len()));
    }
    let found = format!("{} does not list {}", vendor.id, missing.join(", "));
    let advice = "routes lead there: choose another model in routes, or ask the vendor for access";
    match dialect {
        Dialect::Compatible => Finding::warning(CHECK, found, advice),
        Dialect::Openai | Dialect::Mistral => Finding::wrong(CHECK, found, advice),
    }
}

/// Our clock against theirs: against the one that agrees best, since theirs may be wrong too.
fn clock(clocks: &[(String, i64)]) -> Option<Finding> {
    let (name, seconds) = clocks.iter().min_by_key(|(_, seconds)| seconds.abs())?;
    let side = if *seconds > 0 { "ahead of" } else { "behind" };
    let found = format!("ours is {} s {side} that of {name}", seconds.abs());
    let advice = "set the clock (NTP): windows, prices and certificates go by it";
    Some(match seconds.abs() {
        ..CLOCK_WARNING => Finding::ok("clock", format!("it agrees with that of {name}")),
        CLOCK_WARNING..CLOCK_WRONG => Finding::warning("clock", found, advice),
        _ => Finding::wrong("clock", found, advice),
    })
}
