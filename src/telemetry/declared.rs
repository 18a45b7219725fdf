//! What a metric says of itself: the words in which [`names`](super::names) declares them.
//!
//! It must not know any metric.

/// A metric as it is declared, registered and documented.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name on `/metrics`.
    pub name: &'static str,
    /// What it counts or measures.
    pub kind: Kind,
    /// What it is about.
    pub theme: Theme,
    /// Its labels, in their order.
    pub labels: &'static [Label],
    /// Help text.
    pub help: &'static str,
    /// A question that it answers, and the PromQL that asks it.
    pub example: Option<(&'static str, &'static str)>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram(Buckets),
}

impl Kind {
    /// The word for it, as Prometheus writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// The bounds of a histogram.
#[derive(Clone, Copy, Debug)]
pub struct Buckets {
    /// Upper bounds, each included, in the metric's unit.
    pub bounds: &'static [f64],
    /// Why these.
    pub why: &'static str,
}

/// A label and what it may say.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it may say.
    pub values: Values,
}

/// What a label may say. Never anything that came in with a request.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these.
    Set(&'static [&'static str]),
    /// One of what this sentence says, bounded by the program or its configuration.
    From(&'static str),
}

/// What a metric is about: the sections of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// What residents meet.
    Residents,
    /// What vendors do.
    Vendors,
    /// What it costs.
    Money,
    /// The record.
    Ledger,
    /// Probes and duels.
    Comparison,
    /// The gateway itself.
    Gateway,
    /// The process, as the system counts it.
    Process,
}

impl Theme {
    /// Every theme, in the order of the page.
    pub const ALL: [Self; 7] =
        [Self::Residents, Self::Vendors, Self::Money, Self::Ledger, Self::Comparison, Self::Gateway, Self::Process];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Residents => "What residents meet",
            Self::Vendors => "Vendors",
            Self::Money => "Money",
            Self::Ledger => "The ledger",
            Self::Comparison => "The comparison",
            Self::Gateway => "The gateway",
            Self::Process => "The process",
        }
    }
}

impl Metric {
    /// A counter; its name ends in `_total`.
    pub const fn counter(
        theme: Theme,
        name: &'static str,
        labels: &'static [Label],
        help: &'static str,
        example: Option<(&'static str, &'static str)>,
    ) -> Self {
        Self { name, kind: Kind::Counter, theme, labels, help, example }
    }

    /// A gauge.
    pub const fn gauge(
        theme: Theme,
        name: &'static str,
        labels: &'static [Label],
        help: &'static str,
        example: Option<(&'static str, &'static str)>,
    ) -> Self {
        Self { name, kind: Kind::Gauge, theme, labels, help, example }
    }

    /// A histogram over `buckets`.
    pub const fn histogram(
        theme: Theme,
        (name, buckets): (&'static str, Buckets),
        labels: &'static [Label],
        help: &'static str,
        example: Option<(&'static str, &'static str)>,
    ) -> Self {
        Self { name, kind: Kind::Histogram(buckets), theme, labels, help, example }
    }

    /// The name without `_total`: that of the family, as OpenMetrics has it.
    pub fn family(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }

    /// The unit that the name ends in, if it names one.
    pub fn unit(&self) -> Option<&'static str> {
        const UNITS: [&str; 4] = ["seconds", "bytes", "ratio", "euro_nanos"];
        let ends = |unit: &&str| self.family().strip_suffix(*unit).is_some_and(|before| before.ends_with('_'));
        UNITS.into_iter().find(ends)
    }

    /// The unit in words.
    pub fn unit_in_words(&self) -> &'static str {
        match self.unit() {
            Some("seconds") if self.family().ends_with("_timestamp_seconds") => "seconds since 1970 (UTC)",
            Some("euro_nanos") => "nano-euros",
            Some("ratio") => "share, 0 to 1",
            Some(unit) => unit,
            None if self.family().ends_with("_tokens") => "tokens",
            None => "",
        }
    }
}
