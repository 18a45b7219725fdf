//! The page about the metrics, made of their declarations: for the tree, and for a terminal.

use super::declared::{Kind, Label, Metric, Theme, Values};
use super::names::ALL;

const HEAD: &str = "# Metrics

Made by `passerelle metrics --format markdown` from `src/telemetry/names.rs`; a test fails when the two differ.

`GET /metrics` on the ops listener (127.0.0.1:9090 unless configured) answers within milliseconds, reads no table, and
answers too when the ledger cannot be read. Names follow OpenTelemetry GenAI where it has one (dots as underscores, the
unit at the end); everything else begins with `passerelle_`. Amounts of money are nano-euros: divide by 1e9.

**Labels are closed.** Each is one of a set in the program, or a name in its configuration or catalogue; nothing that a
client or a vendor sends becomes one. A model that nobody knows reaches no vendor and has no series: it is
counted as `passerelle_admissions_total{reason=\"model_not_found\"}`. A path that nobody serves is
`http_route=\"none\"`. No resident, key, address or text is ever a label or an exemplar.

**Absent is not zero.** A counter whose labels are closed sets is there from the start, at 0, so that its first event
shows in `increase()`. A gauge that somebody else must say first (headroom, clock, retirement, certificate) is absent
until then: use `absent()` or `unless` where that matters.

## Two formats, and exemplars

Without a wish, the text format 0.0.4. Who asks for `application/openmetrics-text` (Prometheus does) gets OpenMetrics
1.0 with exemplars on the buckets of `gen_ai_client_operation_duration_seconds`,
`gen_ai_client_operation_time_to_first_chunk_seconds` and `passerelle_overhead_seconds`: `request_id`, by which the
request is found in the log, and `trace_id` where it is traced. A bucket keeps the first request after each scrape.
Prometheus stores them with `--enable-feature=exemplar-storage`; Grafana shows them as points beside the curve.

The two formats differ in one label: OpenMetrics writes a whole bound as `le=\"1.0\"`, the text format as `le=\"1\"`.
Rules for both name a bound that is not whole (`le=\"2.56\"`), or `le=~\"1([.]0)?\"`.

## Classic histograms, and why

Native histograms would choose their buckets themselves. They are not used, for four reasons:

- In Prometheus 2.42, which Debian 12 has, they are an experiment behind `--enable-feature=native-histograms`.
- They travel by protobuf only, and neither text format has room for them. Where the switch is on, Prometheus asks every
  target for protobuf first.
- The `prometheus` crate (0.14) counts none, and its protobuf model has no field for them (nor for exemplars).
- An objective such as \"95 % of answers begin within 2.56 s\" is exact where a bucket ends at 2.56 s. It can be
  counted, added over vendors and tested with `promtool test rules`; from a native histogram it is interpolated.

What it costs: the bounds below are fixed, and a quantile is exact only to its bucket.
";

/// The page for the tree, as Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for theme in Theme::ALL {
        page += &format!(
            "\n## {}\n\n| metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n",
            theme.title()
        );
        let metrics = || ALL.iter().filter(|metric| metric.theme == theme);
        for metric in metrics() {
            let names: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
            let (kind, unit) = (metric.kind.as_str(), metric.unit_in_words());
            page += &format!("| `{}` | {kind} | {unit} | {} | {} |\n", metric.name, names.join(", "), metric.help);
        }
        let examples: Vec<_> = metrics().filter_map(|metric| metric.example).collect();
        if !examples.is_empty() {
            page += "\n```promql\n";
            for (asks, query) in examples {
                page += &format!("# {asks}\n{query}\n");
            }
            page += "```\n";
        }
    }
    page + &labels() + &buckets()
}

/// What each label may be.
fn labels() -> String {
    let mut rows: Vec<(Label, Vec<&str>)> = Vec::new();
    for metric in ALL {
        for label in metric.labels {
            let same = |(known, _): &&mut (Label, Vec<_>)| known.name == label.name && said(*known) == said(*label);
            match rows.iter_mut().find(same) {
                Some((_, metrics)) => metrics.push(metric.name),
                None => rows.push((*label, vec![metric.name])),
            }
        }
    }
    let mut section = "\n## What each label may be\n\n| label | values | of |\n|---|---|---|\n".to_owned();
    for (label, metrics) in rows {
        let metrics: Vec<_> = metrics.iter().map(|name| format!("`{name}`")).collect();
        section += &format!("| `{}` | {} | {} |\n", label.name, said(label), metrics.join(", "));
    }
    section
}

/// What a label may be, in words.
fn said(label: Label) -> String {
    match label.values {
        Values::From(source) => source.to_owned(),
        Values::Set(values) => {
            let word = |value: &&str| if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") };
            values.iter().map(word).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The bounds of each histogram, and why these.
fn buckets() -> String {
    let mut section = "\n## Buckets\n\n| histogram | upper bounds | why |\n|---|---|---|\n".to_owned();
    for metric in ALL {
        if let Kind::Histogram(buckets) = metric.kind {
            let bounds: Vec<_> = buckets.bounds.iter().map(f64::to_string).collect();
            section += &format!("| `{}` | {} | {} |\n", metric.name, bounds.join(" "), buckets.why);
        }
    }
    section
}

/// One line a metric, for a terminal: name, kind, unit, labels, and what it says.
pub fn text() -> String {
    let line = |metric: &Metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| label.name).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let unit = Some(metric.unit_in_words()).filter(|unit| !unit.is_empty());
        let unit = unit.map_or_else(String::new, |unit| format!(", {unit}"));
        format!("{}{labels}  ({}{unit})  {}\n", metric.name, metric.kind.as_str(), metric.help)
    };
    ALL.iter().map(line).collect()
}
