//! The OpenMetrics 1.0 text format, which carries exemplars: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
//!
//! The `prometheus` crate writes only the older text format, and no well-kept crate writes its families in this one. What
//! is written is what that crate counts: counters, gauges and histograms. It must not know any metric.

use std::collections::HashMap;
use std::fmt::{self, Write};

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

use super::exemplar::{Kept, REQUEST_ID, TRACE_ID};

/// The media type of what is written here.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Exemplars by bucket, of each series by its family and its labels as they are written.
pub(super) type Exemplars = HashMap<(String, String), Vec<Option<Kept>>>;

/// Label pairs as they are written, in the order given.
pub(super) fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let comma = if text.is_empty() { "" } else { "," };
        // A text takes whatever is written to it.
        let _written = write!(text, "{comma}{name}=\"{}\"", Escaped(value));
    }
    text
}

/// Writes the families, each with the unit that `unit` knows for its name.
///
/// # Errors
/// None in practice: a text takes whatever is written to it.
pub(super) fn encode(
    families: &[MetricFamily],
    exemplars: &Exemplars,
    unit: impl Fn(&str) -> Option<&'static str>,
) -> Result<String, fmt::Error> {
    let mut out = String::with_capacity(64 << 10);
    for family in families {
        let full = family.name();
        let kind = family.get_field_type();
        let name = if kind == MetricType::COUNTER { full.strip_suffix("_total").unwrap_or(full) } else { full };
        let word = match kind {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            // Nobody declares any other kind.
            MetricType::SUMMARY | MetricType::UNTYPED => continue,
        };
        writeln!(out, "# TYPE {name} {word}")?;
        if let Some(unit) = unit(full) {
            writeln!(out, "# UNIT {name} {unit}")?;
        }
        writeln!(out, "# HELP {name} {}", Escaped(family.help()))?;
        for metric in family.get_metric() {
            let labels = labels(metric.get_label().iter().map(|pair: &LabelPair| (pair.name(), pair.value())));
            let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            match kind {
                MetricType::COUNTER => {
                    writeln!(out, "{name}_total{braced} {}", Number(metric.get_counter().get_value()))?
                }
                MetricType::GAUGE => writeln!(out, "{name}{braced} {}", Number(metric.get_gauge().get_value()))?,
                _ => {
                    let kept = exemplars.get(&(full.to_owned(), labels.clone())).map(Vec::as_slice);
                    histogram(&mut out, name, &labels, metric.get_histogram(), kept.unwrap_or_default())?;
                    writeln!(out, "{name}_count{braced} {}", metric.get_histogram().get_sample_count())?;
                    writeln!(out, "{name}_sum{braced} {}", Number(metric.get_histogram().get_sample_sum()))?;
                }
            }
        }
    }
    out.push_str("# EOF\n");
    Ok(out)
}

/// The buckets of one series, each with its exemplar.
fn histogram(
    out: &mut String,
    name: &str,
    labels: &str,
    histogram: &prometheus::proto::Histogram,
    exemplars: &[Option<Kept>],
) -> fmt::Result {
    let comma = if labels.is_empty() { "" } else { "," };
    let buckets = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let last = (f64::INFINITY, histogram.get_sample_count());
    for (number, (bound, count)) in buckets.chain([last]).enumerate() {
        write!(out, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {count}", Bound(bound))?;
        if let Some(Some(kept)) = exemplars.get(number) {
            exemplar(out, kept)?;
        }
        out.push('\n');
    }
    Ok(())
}

fn exemplar(out: &mut String, kept: &Kept) -> fmt::Result {
    write!(out, " # {{{REQUEST_ID}=\"{}\"", Escaped(&kept.request_id))?;
    if let Some(trace) = &kept.trace_id {
        write!(out, ",{TRACE_ID}=\"{}\"", Escaped(trace))?;
    }
    let (seconds, micros) = (kept.at_micros.div_euclid(1_000_000), kept.at_micros.rem_euclid(1_000_000));
    write!(out, "}} {} {seconds}.{micros:06}", Number(kept.value))
}

/// Text within quotation marks, or in a line of help.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            char => f.write_char(char),
        })
    }
}

/// A number as both sides read it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            infinite if infinite.is_infinite() => f.write_str(if infinite > 0.0 { "+Inf" } else { "-Inf" }),
            number => write!(f, "{number}"),
        }
    }
}

/// A bound as the format wants it: a whole one with `.0`.
struct Bound(f64);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_infinite() || self.0.fract() != 0.0 {
            return Number(self.0).fmt(f);
        }
        write!(f, "{:.1}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

    #[test]
    fn every_kind_is_written_as_the_format_wants_it() {
        let registry = Registry::new();
        let asked = IntCounterVec::new(Opts::new("asked_total", "Questions \"asked\"."), &["who", "how"]).unwrap();
        asked.with_label_values(&["a\"b\\c\nd", "x"]).inc_by(7);
        let open = IntGauge::new("open", "Open now.").unwrap();
        open.set(-3);
        let options = HistogramOpts::new("waited_seconds", "Waiting.").buckets(vec![0.000_05, 1.0, 2.5]);
        let waited = Histogram::with_opts(options).unwrap();
        for seconds in [0.5, 2.0, 9.0] {
            waited.observe(seconds);
        }
        registry.register(Box::new(asked)).unwrap();
        registry.register(Box::new(open)).unwrap();
        registry.register(Box::new(waited)).unwrap();
        let kept = |value, trace_id| Kept {
            value,
            at_micros: 1_790_000_000_000_042,
            request_id: "req_1".to_owned(),
            trace_id,
        };
        let of_buckets = vec![None, Some(kept(0.5, None)), None, Some(kept(9.0, Some("abc".to_owned())))];
        let exemplars = HashMap::from([(("waited_seconds".to_owned(), String::new()), of_buckets)]);
        let unit = |name: &str| name.ends_with("_seconds").then_some("seconds");
        let text = encode(&registry.gather(), &exemplars, unit).unwrap();
        let expected = r##"# TYPE asked counter
# HELP asked Questions \"asked\".
asked_total{how="x",who="a\"b\\c\nd"} 7
# TYPE open gauge
# HELP open Open now.
open -3
# TYPE waited_seconds histogram
# UNIT waited_seconds seconds
# HELP waited_seconds Waiting.
waited_seconds_bucket{le="0.00005"} 0
waited_seconds_bucket{le="1.0"} 1 # {request_id="req_1"} 0.5 1790000000.000042
waited_seconds_bucket{le="2.5"} 2
waited_seconds_bucket{le="+Inf"} 3 # {request_id="req_1",trace_id="abc"} 9 1790000000.000042
waited_seconds_count 3
waited_seconds_sum 11.5
# EOF
"##;
        assert_eq!(text, expected);
    }

    #[test]
    fn numbers_are_read_back_as_they_were() {
        for number in [0.0, 0.000_05, 1.0, 81.92, 1e21, 5e-324, f64::MAX] {
            assert_eq!(Number(number).to_string().parse::<f64>(), Ok(number));
            assert_eq!(Bound(number).to_string().parse::<f64>(), Ok(number));
        }
        assert_eq!((Number(f64::INFINITY).to_string(), Number(f64::NAN).to_string()), ("+Inf".into(), "NaN".into()));
    }
}
