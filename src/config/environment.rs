//! The process's environment, read once; tests hand in a map and never touch the real one.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use super::secrets::secret_of;

/// Variables by name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// No vendor is to be called: their keys need not be there.
    vendors_left_alone: bool,
}

/// Prefix of configuration keys in the environment.
const PREFIX: &str = "PASSERELLE__";
/// Usual variables, and the key each stands for.
const USUAL: &[(&str, &str)] = &[
    ("OPENAI_API_KEY", "providers.openai.api_key"),
    ("OPENAI_API_KEY_FILE", "providers.openai.api_key_file"),
    ("OPENAI_BASE_URL", "providers.openai.base_url"),
    ("MISTRAL_API_KEY", "providers.mistral_ai.api_key"),
    ("MISTRAL_API_KEY_FILE", "providers.mistral_ai.api_key_file"),
    ("MISTRAL_BASE_URL", "providers.mistral_ai.base_url"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "telemetry.otlp_headers"),
    ("OTEL_RESOURCE_ATTRIBUTES", "telemetry.resource_attributes"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
];

impl Environment {
    /// The real environment.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_process() -> Self {
        Self { variables: std::env::vars().collect(), vendors_left_alone: false }
    }

    /// A made-up environment.
    pub fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { variables, vendors_left_alone: false }
    }

    /// A variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The secret in a variable, or in the file that the variable of that name with `_FILE` at its end names.
    ///
    /// # Errors
    /// A sentence when both are set, or the file cannot be used.
    pub fn secret(&self, name: &str) -> Result<Option<SecretString>, String> {
        let set = |name: &str| self.get(name).map(str::trim).filter(|value| !value.is_empty());
        let file = format!("{name}_FILE");
        match (set(name), set(&file)) {
            (Some(_), Some(_)) => Err(format!("{name} and {file} are both set; keep one of the two")),
            (Some(secret), None) => Ok(Some(secret.to_owned().into())),
            (None, Some(path)) => {
                let secret = secret_of(Path::new(path)).map_err(|error| format!("{file}: {error}"))?;
                Ok(Some(secret.into()))
            }
            (None, None) => Ok(None),
        }
    }

    pub(super) fn vendors_left_alone(&self) -> bool {
        self.vendors_left_alone
    }

    /// Fills in what stands for vendors' keys where none is set: for commands that only read the ledger.
    pub fn assume_vendor_keys(&mut self) {
        self.vendors_left_alone = true;
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
