//! Reads what `/metrics` says, as strictly as the formats are written: anything else fails.

use std::collections::BTreeMap;

/// Names and values, in their order.
pub type Labels = Vec<(String, String)>;

/// One line with a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
    /// Its labels, its value, and when, in seconds.
    pub exemplar: Option<(Labels, f64, f64)>,
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| &**value)
    }

    /// The series, without the bound of a bucket.
    fn series(&self) -> Labels {
        self.labels.iter().filter(|(label, _)| label != "le").cloned().collect()
    }
}

/// What is said of one family.
#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// Families by name.
pub type Families = BTreeMap<String, Family>;

/// Reads OpenMetrics 1.0.
pub fn openmetrics(text: &str) -> Families {
    let body = text.strip_suffix("# EOF\n").unwrap();
    let families = read(body, true);
    for (name, family) in &families {
        assert!(family.unit.is_empty() || name.ends_with(&format!("_{}", family.unit)), "{name}: unit {}", family.unit);
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    families
}

/// Reads the text format 0.0.4.
pub fn text(text: &str) -> Families {
    read(text, false)
}

fn read(text: &str, openmetrics: bool) -> Families {
    let mut families = Families::new();
    let mut current = String::new();
    for line in text.split_terminator('\n') {
        if let Some(words) = line.strip_prefix("# ") {
            let (word, rest) = words.split_once(' ').unwrap();
            let (name, said) = rest.split_once(' ').unwrap();
            if *name != current {
                assert!(!families.contains_key(name), "{name} is not in one piece");
                name.clone_into(&mut current);
            }
            let family = families.entry(name.to_owned()).or_default();
            assert!(family.samples.is_empty(), "{line} comes after numbers");
            let place = match word {
                "TYPE" => &mut family.kind,
                "HELP" => &mut family.help,
                "UNIT" if openmetrics => &mut family.unit,
                _ => panic!("{line} is nothing"),
            };
            assert!(place.is_empty(), "{line} is said twice");
            said.clone_into(place);
            continue;
        }
        let sample = sample(line);
        let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line} belongs to nothing"));
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" if openmetrics => &["_total"],
            "counter" | "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            kind => panic!("{current} is a {kind}"),
        };
        assert!(suffixes.iter().any(|suffix| sample.name == format!("{current}{suffix}")), "{line} within {current}");
        assert!(sample.exemplar.is_none() || openmetrics && sample.name.ends_with("_bucket"), "{line}");
        let twin = family.samples.iter().any(|other| (&other.name, &other.labels) == (&sample.name, &sample.labels));
        assert!(!twin, "{line} is said twice");
        family.samples.push(sample);
    }
    families
}

fn sample(line: &str) -> Sample {
    let (line, exemplar) = match line.split_once(" # ") {
        Some((line, exemplar)) => (line, Some(exemplar)),
        None => (line, None),
    };
    let end = line.find(['{', ' ']).unwrap();
    let (name, rest) = line.split_at(end);
    assert!(name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'), "{line}");
    let (labels, value) = labels(rest);
    let exemplar = exemplar.map(|exemplar| {
        let (labels, numbers) = self::labels(exemplar);
        let chars: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        assert!(chars <= 128, "{exemplar} is too long");
        let (value, at) = numbers.trim().split_once(' ').unwrap();
        (labels, value.parse().unwrap(), at.parse().unwrap())
    });
    Sample { name: name.to_owned(), labels, value: number(value.trim()), exemplar }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}

/// The labels in braces at the beginning, and what is left.
fn labels(text: &str) -> (Labels, &str) {
    let Some(mut rest) = text.strip_prefix('{') else { return (Vec::new(), text) };
    let mut labels = Vec::new();
    loop {
        let (name, quoted) = rest.split_once("=\"").unwrap();
        let (mut value, mut chars) = (String::new(), quoted.char_indices());
        let end = loop {
            match chars.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    char @ ('\\' | '"') => char,
                    char => panic!("\\{char} is no escape"),
                }),
                (_, char) => value.push(char),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &quoted[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return (labels, after);
        }
        rest = rest.strip_prefix(',').unwrap();
    }
}

/// Buckets grow, end with all, and hold what their exemplars say.
fn check_histogram(name: &str, family: &Family) {
    let mut series: Vec<_> = family.samples.iter().map(Sample::series).collect();
    series.dedup();
    for labels in series {
        let of = |suffix: &str| {
            let name = format!("{name}{suffix}");
            family.samples.iter().filter(|sample| sample.name == name && sample.series() == labels).collect::<Vec<_>>()
        };
        let (mut below, mut count) = (f64::NEG_INFINITY, 0.0);
        for bucket in of("_bucket") {
            let bound = number(bucket.label("le").unwrap().strip_prefix('+').unwrap_or(bucket.label("le").unwrap()));
            assert!(bound > below && bucket.value >= count, "{bucket:?}");
            if let Some((_, value, _)) = &bucket.exemplar {
                assert!(*value > below && *value <= bound && bucket.value > count, "{bucket:?}");
            }
            (below, count) = (bound, bucket.value);
        }
        assert_eq!((below, of("_count")[0].value, of("_sum").len()), (f64::INFINITY, count, 1), "{name} {labels:?}");
    }
}
