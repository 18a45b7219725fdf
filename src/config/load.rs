//! Layers (defaults, file, environment) to one table, the table to [`RawConfig`], every mistake kept.

use std::fmt;
use std::path::{Path, PathBuf};

use providers::written::mistake;
use toml::{Table, Value};

use super::check::check;
use super::raw::RawConfig;
use super::settings::Settings;
use super::{Config, DEFAULT_TOML, Environment, Source, SourceFile, secrets};

/// Everything that is wrong with a configuration, one line a mistake: `path.of.key: sentence`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", mistakes.join("\n"))]
pub struct ConfigError {
    /// The mistakes.
    pub mistakes: Vec<String>,
}

/// A configuration that may be used, and what an operator should know about it.
#[derive(Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Things that work but deserve a look.
    pub warnings: Vec<String>,
    /// All layers together, as `config show` prints them; secrets are still in it.
    pub(super) table: Table,
    /// The files that it was read from.
    files: Vec<PathBuf>,
}

impl Loaded {
    /// The files that it was read from: the configuration itself, the table of euro rates and catalogues, where they are not
    /// those that ship with the program.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The layers hold secrets.
        f.debug_struct("Loaded").field("config", &self.config).field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

/// Reads defaults, `file` if given, and the environment.
///
/// # Errors
/// [`ConfigError`] with every mistake found.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
    let mut mistakes = Vec::new();
    let defaults: Table = DEFAULT_TOML.parse().map_err(|error: toml::de::Error| one_mistake(&error.to_string()))?;
    let mut table = defaults.clone();
    let mut base = PathBuf::new();
    let own_file = file.map(|path| SourceFile::now(path.to_owned()));
    if let Some(path) = file {
        base = path.parent().map(Path::to_owned).unwrap_or_default();
        let text =
            std::fs::read_to_string(path).map_err(|error| one_mistake(&format!("{}: {error}", path.display())))?;
        let own: Table =
            text.parse().map_err(|error| one_mistake(&format!("{}: {}", path.display(), mistake(&text, &error))))?;
        merge(&mut table, own);
    }
    for (path, value, variable) in environment.settings() {
        if let Err(error) = set(&mut table, &path, parse_value(&defaults, &path, &value)) {
            mistakes.push(format!("{} (from {variable}): {error}", path.join(".")));
        }
    }
    let found = secrets::resolve(&mut table, &base, !environment.vendors_left_alone(), &mut mistakes);
    let mut written = table.clone();
    secrets::forget_files(&mut written);
    let raw = read(written, &defaults, &mut mistakes);
    let source = Source { files: own_file.into_iter().chain(found.files).collect(), settings: Settings::of(&table) };
    let checked = raw.and_then(|raw| check(raw, &base, source, &mut mistakes));
    match checked {
        Some((config, mut warnings)) if mistakes.is_empty() => {
            warnings.extend(found.warnings);
            let files = file.map(Path::to_owned).into_iter().chain(named_files(&table, &base)).collect();
            Ok(Loaded { config, warnings, table, files })
        }
        _ => {
            mistakes.dedup();
            Err(ConfigError { mistakes })
        }
    }
}

/// The files that a configuration names for more of it.
fn named_files(table: &Table, base: &Path) -> Vec<PathBuf> {
    let named = |section: &Value, key: &str| section.get(key).and_then(Value::as_str).map(str::to_owned);
    let rates = table.get("money").and_then(|money| named(money, "exchange_rates"));
    let providers = table.get("providers").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let catalogues = providers.filter_map(|provider| named(provider, "catalogue"));
    rates.into_iter().chain(catalogues).filter(|name| !name.is_empty()).map(|name| base.join(name)).collect()
}

fn one_mistake(text: &str) -> ConfigError {
    ConfigError { mistakes: vec![text.to_owned()] }
}

/// Lays `own` over `table`; tables are merged, everything else is replaced.
fn merge(table: &mut Table, own: Table) {
    for (key, value) in own {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => drop(table.insert(key, value)),
        }
    }
}

/// A variable's text in the type that the default of its key has; a text otherwise.
fn parse_value(defaults: &Table, path: &[String], text: &str) -> Value {
    let default = path.iter().try_fold(None, |at: Option<&Value>, key| {
        let next = match at {
            None => defaults.get(key),
            Some(value) => value.get(key),
        };
        next.map(Some)
    });
    if matches!(default, Some(Some(Value::String(_)))) {
        return Value::String(text.to_owned());
    }
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn set(table: &mut Table, path: &[String], value: Value) -> Result<(), &'static str> {
    match path {
        [] => Err("empty name"),
        [key] => {
            table.insert(key.clone(), value);
            Ok(())
        }
        [section, rest @ ..] => match table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(below) => set(below, rest, value),
            _ => Err("is not a section"),
        },
    }
}

/// Reads the table; a value that cannot be read is reported and replaced by its default, so that the next one can be
/// looked at too.
fn read(mut table: Table, defaults: &Table, mistakes: &mut Vec<String>) -> Option<RawConfig> {
    let mut first_round = true;
    // Each round takes one mistake away, and there are not more mistakes than keys.
    for _ in 0..1_000 {
        let mut unknown = Vec::new();
        let mut note = |path: serde_ignored::Path<'_>| unknown.push(path.to_string());
        let tracked = serde_ignored::Deserializer::new(table.clone(), &mut note);
        let result: Result<RawConfig, _> = serde_path_to_error::deserialize(tracked);
        if first_round || result.is_ok() {
            for path in unknown {
                let line = format!("{path}: is not a key of Passerelle");
                if !mistakes.contains(&line) {
                    mistakes.push(line);
                }
            }
            first_round = false;
        }
        match result {
            Ok(raw) => return Some(raw),
            Err(error) => {
                let path = error.path().to_string();
                let keys: Vec<&str> = path.split(['.', '[']).take_while(|key| !key.ends_with(']')).collect();
                let is_secret = keys.last().is_some_and(|key| secrets::is_secret(key));
                // The message repeats what stands there.
                let message = if is_secret { "must be a text" } else { error.inner().message() };
                mistakes.push(format!("{path}: {message}"));
                if !heal(&mut table, defaults, &keys) {
                    return None;
                }
            }
        }
    }
    None
}

/// Puts the default back at a path, or takes the path away; false when neither is possible.
fn heal(table: &mut Table, defaults: &Table, path: &[&str]) -> bool {
    match path {
        [] => false,
        [key] => match defaults.get(*key) {
            Some(default) if table.get(*key) != Some(default) => {
                table.insert((*key).to_owned(), default.clone());
                true
            }
            _ => table.remove(*key).is_some(),
        },
        [section, rest @ ..] => {
            let empty = Table::new();
            let below = defaults.get(*section).and_then(Value::as_table).unwrap_or(&empty);
            match table.get_mut(*section) {
                Some(Value::Table(inner)) => heal(inner, below, rest),
                _ => heal(table, defaults, &path[..1]),
            }
        }
    }
}
