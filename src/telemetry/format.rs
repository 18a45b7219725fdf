//! Which form of `/metrics` somebody asks for.

use super::openmetrics;

/// A form of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4: what everybody reads, and who does not ask for another gets.
    Text,
    /// OpenMetrics 1.0, with exemplars: what Prometheus asks for.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => openmetrics::CONTENT_TYPE,
        }
    }

    /// The form that an `Accept` header prefers; text where it says nothing that is understood, or likes both the same.
    pub fn accepted(accept: &str) -> Self {
        let (mut text, mut openmetrics) = (0, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut known) = (MOST, true);
            for part in parts {
                match part.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                    Some(("q", value)) => weight = thousandths(value),
                    Some(("version", value)) => known = VERSIONS.contains(&value.trim_matches('"')),
                    _ => {}
                }
            }
            if media.eq_ignore_ascii_case("application/openmetrics-text") && known {
                openmetrics = openmetrics.max(weight);
            } else if ["text/plain", "text/*", "*/*"].iter().any(|range| media.eq_ignore_ascii_case(range)) {
                text = text.max(weight);
            }
        }
        if openmetrics > text { Self::OpenMetrics } else { Self::Text }
    }
}

/// Versions of OpenMetrics whose readers understand what is written.
const VERSIONS: [&str; 2] = ["1.0.0", "0.0.1"];
/// The weight of what has none.
const MOST: u16 = 1_000;

/// A weight such as `0.5`, in thousandths; none for what is no weight.
fn thousandths(text: &str) -> u16 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse()) {
        ("0", Ok(thousandths)) => thousandths,
        ("1", Ok(_)) => MOST,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Format::{self, OpenMetrics, Text};

    #[test]
    fn who_asks_for_openmetrics_gets_it_and_nobody_else() {
        let prometheus_2_42 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (prometheus_2_42, OpenMetrics),
            ("application/openmetrics-text", OpenMetrics),
            ("Application/OpenMetrics-Text; version=\"1.0.0\"; q=0.2, */*; q=0.1", OpenMetrics),
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Text),
            ("text/plain;version=0.0.4,application/openmetrics-text;q=0.9", Text),
            ("application/openmetrics-text,text/plain", Text),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;version=9.0.0,text/plain;q=0.1", Text),
            ("application/openmetrics-text;q=nonsense", Text),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }
}
