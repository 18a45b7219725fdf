//! Where traces go: an address, headers and attributes as OpenTelemetry's variables write them, checked.

use secrecy::SecretString;

use super::check::Checker;
use super::raw::RawTelemetry;
use crate::telemetry::TraceSettings;

/// Path of traces at a collector.
const PATH: &str = "/v1/traces";

pub(super) fn check(checker: &mut Checker<'_>, raw: &RawTelemetry) -> Option<TraceSettings> {
    if !(0.0..=1.0).contains(&raw.trace_sample_ratio) {
        checker.mistake("telemetry.trace_sample_ratio", "must be between 0 and 1");
    }
    let headers = pairs(&raw.otlp_headers).filter(|headers| headers.iter().all(|(name, _)| is_header_name(name)));
    if headers.is_none() {
        // What was written is not repeated: it may be a secret.
        checker.mistake("telemetry.otlp_headers", "must be name=value,name=value, each value percent-encoded");
    }
    let attributes = pairs(&raw.resource_attributes);
    if attributes.is_none() {
        checker.mistake("telemetry.resource_attributes", "must be name=value,name=value, each value percent-encoded");
    }
    let endpoint = raw.otlp_endpoint.trim_end_matches('/');
    if endpoint.is_empty() {
        return None;
    }
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['@', '?', '#'])) {
        let wanted = "must be an http address without a query; a name and a password go into telemetry.otlp_headers";
        checker.mistake("telemetry.otlp_endpoint", wanted);
    }
    let path = if endpoint.ends_with(PATH) { "" } else { PATH };
    // The service's own name wins, as OpenTelemetry says of its two variables.
    let mut resource: Vec<_> = attributes?.into_iter().filter(|(name, _)| name != "service.name").collect();
    resource.push(("service.name".to_owned(), raw.service_name.clone()));
    resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    Some(TraceSettings {
        url: format!("{endpoint}{path}"),
        headers: headers?.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect(),
        sample_ratio: raw.trace_sample_ratio,
        resource,
    })
}

/// `name=value,name=value`; `None` where it is not that.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let name = name.trim();
            (!name.is_empty()).then_some(())?;
            Some((name.to_owned(), decoded(value.trim())?))
        })
        .collect()
}

fn is_header_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// A value with its `%20` and the like read.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_opentelemetry_writes_them() {
        let read =
            |text| pairs(text).map(|pairs| pairs.iter().map(|(name, value)| format!("{name}:{value}")).collect());
        let expected = |pairs: &[&str]| Some(pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(""), expected(&[]));
        let two = " authorization=Basic%20dTpw=, x-scope-orgid = arcachon,";
        assert_eq!(read(two), expected(&["authorization:Basic dTpw=", "x-scope-orgid:arcachon"]));
        for wrong in ["name", "=value", "a=%2", "a=%zz", "a=%ff", "a=%0d%0ab: c"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
