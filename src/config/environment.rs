//! The process's environment, read once; tests hand in a map and never touch the real one.

use std::collections::BTreeMap;

/// Variables by name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

/// Prefix of configuration keys in the environment.
const PREFIX: &str = "PASSERELLE__";
/// Usual variables, and the key each stands for.
const USUAL: &[(&str, &str)] = &[
    ("OPENAI_API_KEY", "providers.openai.api_key"),
    ("OPENAI_BASE_URL", "providers.openai.base_url"),
    ("MISTRAL_API_KEY", "providers.mistral_ai.api_key"),
    ("MISTRAL_BASE_URL", "providers.mistral_ai.base_url"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "telemetry.otlp_headers"),
    ("OTEL_RESOURCE_ATTRIBUTES", "telemetry.resource_attributes"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
];

impl Environment {
    /// The real environment.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_process() -> Self {
        Self { variables: std::env::vars().collect() }
    }

    /// A made-up environment.
    pub fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self { variables: pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// A variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Fills in what stands for vendors' keys where none is set: for commands that only read the ledger.
    pub fn assume_vendor_keys(&mut self) {
        for (name, path) in USUAL {
            if path.ends_with(".api_key") {
                self.variables.entry((*name).to_owned()).or_insert_with(|| "not-needed-here".to_owned());
            }
        }
    }

    /// Configuration keys found here: path, value, and the variable they came from. Our own prefix wins over a usual
    /// variable.
    pub(super) fn settings(&self) -> Vec<(Vec<String>, String, String)> {
        let usual = USUAL.iter().filter_map(|(name, path)| {
            let value = self.get(name).filter(|value| !value.is_empty())?;
            Some((path.split('.').map(str::to_owned).collect(), value.to_owned(), (*name).to_owned()))
        });
        let own = self.variables.iter().filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?.to_lowercase();
            Some((path.split("__").map(str::to_owned).collect(), value.clone(), name.clone()))
        });
        usual.chain(own).collect()
    }
}
