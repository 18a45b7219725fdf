//! The walls of the house: which module may use which, and how large a file may grow.

use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("src"), root.join("providers/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 60);
    found
}

/// The module of the root crate that a file belongs to: `src/ledger/sqlite.rs` is `ledger`.
fn module(path: &Path) -> Option<String> {
    let rest = path.strip_prefix("src").ok()?;
    Some(rest.components().next()?.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned())
}

/// The source without its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// What each module may use of the others, as the design draws it. `lib` names them all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "app",
            "care",
            "clock",
            "config",
            "doctor",
            "identity",
            "ledger",
            "probes",
            "reconcile",
            "report",
            "shutdown",
            "simulator",
            "telemetry",
            "terms",
        ],
    ),
    (
        "app",
        &[
            "alerts",
            "clock",
            "config",
            "duels",
            "http",
            "identity",
            "ledger",
            "pipeline",
            "probes",
            "quota",
            "report",
            "shutdown",
            "telemetry",
            "terms",
        ],
    ),
    (
        "http",
        &[
            "clock",
            "duels",
            "identity",
            "ledger",
            "pipeline",
            "probes",
            "quota",
            "report",
            "shutdown",
            "telemetry",
            "trail",
        ],
    ),
    ("duels", &["clock", "identity", "ledger", "pipeline", "quota", "shutdown", "telemetry", "trail"]),
    ("probes", &["clock", "identity", "ledger", "pipeline", "quota", "shutdown", "telemetry", "terms", "trail"]),
    ("pipeline", &["clock", "config", "identity", "ledger", "quota", "shutdown", "telemetry", "terms", "trail"]),
    ("trail", &["clock", "ledger", "telemetry"]),
    ("identity", &["config", "ledger", "quota", "telemetry", "terms"]),
    ("alerts", &["clock", "config", "ledger", "quota", "shutdown", "telemetry", "terms"]),
    ("terms", &["clock", "config", "ledger", "quota"]),
    ("care", &["config", "identity", "ledger"]),
    ("doctor", &["clock", "config", "ledger"]),
    ("report", &["ledger"]),
    ("reconcile", &["ledger"]),
    ("ledger", &["clock", "quota", "shutdown", "telemetry"]),
    ("quota", &["clock"]),
    ("config", &["clock", "ledger", "quota", "telemetry"]),
    ("simulator", &["clock", "shutdown"]),
    ("clock", &[]),
    ("shutdown", &[]),
    ("telemetry", &[]),
];

#[test]
fn dependencies_point_one_way() {
    for (path, text) in sources() {
        let Some(module) = module(&path).filter(|module| module != "lib") else { continue };
        let allowed =
            ALLOWED.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} is not in the plan")).1;
        for (position, _) in text.match_indices("crate::") {
            let used: String = text[position + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let known = ALLOWED.iter().any(|(name, _)| *name == used);
            assert!(!known || used == module || allowed.contains(&used.as_str()), "{} uses {used}", path.display());
        }
    }
}

#[test]
fn each_library_has_its_place() {
    let places: &[(&str, &[&str])] = &[
        ("axum::", &["src/http", "src/app", "src/simulator", "src/identity/extractor"]),
        ("hyper", &["src/app/relay", "src/app/server"]),
        ("rusqlite", &["src/ledger/sqlite"]),
        ("reqwest", &["providers/src/transport"]),
        ("governor", &["src/quota"]),
        ("rustls", &["src/config/tls", "src/app/tls", "providers/src/transport"]),
        ("RecommendedWatcher", &["src/app/files"]),
        // Where somebody comes from is nobody else's business.
        ("ConnectInfo", &["src/app/server", "src/identity/extractor/door"]),
        ("prometheus::", &["src/telemetry"]),
        ("procfs", &["src/telemetry/process"]),
        ("opentelemetry", &["src/telemetry/traces", "src/trail"]),
        ("statrs", &["src/report/statistics"]),
        ("rand_pcg", &["src/report/statistics", "src/report/comparison/tests"]),
        ("jiff::Timestamp::now", &["src/clock"]),
    ];
    for (path, text) in sources() {
        for (library, allowed) in places {
            let named =
                without_tests(&text).lines().any(|line| !line.trim_start().starts_with("//") && line.contains(library));
            let shown = path.to_string_lossy();
            assert!(!named || allowed.iter().any(|place| shown.starts_with(place)), "{shown} names {library}");
        }
    }
}

#[test]
fn the_vendors_crate_knows_nothing_of_the_gateway() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/Cargo.toml")).unwrap();
    for library in ["axum", "rusqlite", "sqlx", "governor", "prometheus", "passerelle"] {
        assert!(!manifest.contains(&format!("\n{library}")), "{library} is in the vendors' manifest");
    }
}

#[test]
fn files_stay_small_and_say_what_they_are() {
    for (path, text) in sources() {
        let shown = path.display();
        let is_test = path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
        if !is_test {
            let lines = without_tests(&text).lines().count();
            assert!(lines <= 500, "{shown} has {lines} lines without its tests");
            assert!(text.starts_with("//!"), "{shown} does not say what it does");
        }
        assert!(!path.ends_with("mod.rs"), "{shown}: foo.rs stands beside foo/");
    }
}
