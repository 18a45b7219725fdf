//! What operators install: the commands that packages are made with, and what the files in `deploy/` say of each other.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use passerelle::config::{Config, Environment, load};
use toml::{Table, Value};

use crate::support::program::{PROGRAM, Socket, Town, VendorProcess, question};

const MODEL: &str = "mistral-small-latest";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The value of the first line that begins with `start`.
fn after<'text>(text: &'text str, start: &str) -> &'text str {
    let line = text.lines().map(str::trim).find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no line begins with `{start}`")).trim().trim_matches('"')
}

fn manifest() -> Table {
    text("Cargo.toml").parse().unwrap()
}

fn config(path: &str) -> Config {
    let keys = Environment::from_pairs([("OPENAI_API_KEY", "k"), ("MISTRAL_API_KEY", "k")]);
    load(Some(&root().join(path)), &keys).unwrap_or_else(|error| panic!("{path}: {error}")).config
}

/// Where the Debian package takes each file from and where it puts it.
fn assets() -> Vec<(String, String)> {
    let manifest = manifest();
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    let part = |asset: &Value, number: usize| asset[number].as_str().unwrap().to_owned();
    assets
        .iter()
        .map(|asset| {
            let (from, mut to) = (part(asset, 0), part(asset, 1));
            if to.ends_with('/') && !from.contains('*') {
                to.push_str(from.rsplit('/').next().unwrap());
            }
            (from, format!("/{to}"))
        })
        .collect()
}

fn is_installed(path: &str) -> bool {
    assets().iter().any(|(_, to)| to == path)
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks a gateway's health with a proxy in the environment that nobody listens on.
fn health(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("healthcheck").args(arguments).envs(variables.iter().copied());
    command.env("HTTP_PROXY", "http://127.0.0.1:1").env("http_proxy", "http://127.0.0.1:1");
    let output = command.output().unwrap();
    (output.status.code(), printed(&output) + &String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_tells_living_from_ready_and_dead() {
    let vendors = ["openai", "mistral"]
        .map(|dialect| VendorProcess::start(dialect, ["--first-token-ms", "20", "--inter-token-ms", "20"]));
    let town = Town::new(&vendors[0].address, &vendors[1].address, "", "shutdown_seconds = 20", "");
    let key = town.key();
    let mut gateway = town.serve();
    let url = format!("http://{}", gateway.ops);
    assert_eq!(health(&["--url", &url], &[]), (Some(0), "ok\n".to_owned()));
    assert_eq!(health(&["--url", &format!("{url}/"), "--ready"], &[]), (Some(0), "ready\n".to_owned()));
    // As in a container: the address comes from the configuration, and no vendor's key is at hand.
    let file = town.config.to_string_lossy().into_owned();
    let everywhere = gateway.ops.replace("127.0.0.1", "0.0.0.0");
    let address = [("PASSERELLE__SERVER__OPS", &*everywhere)];
    assert_eq!(health(&["--config", &file], &address), (Some(0), "ok\n".to_owned()));

    // While it finishes an answer it lives, and is not ready.
    let mut stream = Socket::send(&gateway.public, &question(&key, MODEL, true)).await.unwrap();
    stream.until("data: ").await;
    gateway.running.terminate();
    while Socket::get(&gateway.ops, "/readyz").await.unwrap().status != 503 {}
    let (code, said) = health(&["--url", &url, "--ready"], &[]);
    assert!(code == Some(1) && said.contains("503: stopping"), "{code:?} {said}");
    assert_eq!(health(&["--url", &url], &[]).0, Some(0));
    assert!(stream.rest().await.unwrap().is_whole());

    assert_eq!(gateway.running.ended().await.code(), Some(0));
    let (code, said) = health(&["--url", &url], &[]);
    assert!(code == Some(1) && said.contains(&url), "{code:?} {said}");
    assert_eq!(health(&["--timeout-seconds", "0"], &[]).0, Some(64));
}

#[tokio::test]
async fn a_health_check_does_not_wait_for_ever() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let asked = tokio::task::spawn_blocking(move || health(&["--url", &url, "--timeout-seconds", "1"], &[]));
    assert_eq!(asked.await.unwrap().0, Some(1));
}

/// Every command there is, as its own `--help` lists them.
fn commands(path: &[String], found: &mut Vec<Vec<String>>) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = printed(&run(&arguments));
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return };
    let names = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        let below = [path, &[name.to_owned()]].concat();
        found.push(below.clone());
        commands(&below, found);
    }
}

#[test]
fn every_command_and_option_has_its_page_in_the_manual() {
    let folder = std::env::temp_dir().join(format!("passerelle-manual-{}", uuid::Uuid::now_v7()));
    let output = run(&["manual", "--output", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let mut all = vec![Vec::new()];
    commands(&[], &mut all);
    assert!(all.len() > 30, "{all:?}");
    assert!(printed(&output).starts_with(&format!("{} pages", all.len())), "{} {}", all.len(), printed(&output));
    for path in &all {
        let name = [&["passerelle".to_owned()], path.as_slice()].concat().join("-");
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap_or_else(|_| panic!("no {name}.1"));
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        let page = page.replace("\\-", "-");
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = printed(&run(&arguments));
        let options: BTreeSet<&str> = help
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
            .filter(|word| word.starts_with("--") && word.len() > 2)
            .collect();
        for option in options {
            assert!(page.contains(option), "{name}.1 says nothing of {option}");
        }
        if let [parents @ .., _] = path.as_slice() {
            let parent = [&["passerelle".to_owned()], parents].concat().join("-");
            let parent = std::fs::read_to_string(folder.join(format!("{parent}.1"))).unwrap().replace("\\-", "-");
            assert!(parent.contains(&format!("{name}(1)")), "{name} is not named by the page above it");
        }
    }
    let program = std::fs::read_to_string(folder.join("passerelle.1")).unwrap();
    for section in ["EXIT STATUS", "ENVIRONMENT", "FILES", "SIGNALS"] {
        assert!(program.contains(section), "{section}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// What bash offers after these words.
fn completed(script: &Path, words: &[&str]) -> BTreeSet<String> {
    let code = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _passerelle "$1" "${!#}" "${COMP_WORDS[COMP_CWORD-1]}"; printf '%s\n' "${COMPREPLY[@]}""#;
    let mut command = Command::new("bash");
    let output = command.args(["--norc", "-c", code, "bash"]).arg(script).args(words).output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    printed(&output).lines().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let folder = std::env::temp_dir().join(format!("passerelle-completions-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = folder.join("passerelle.bash");
    std::fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&script).status().unwrap().success());
    let offered = |words: &[&str]| completed(&script, words);
    let is = |words: &[&str], expected: &[&str]| {
        assert_eq!(offered(words), expected.iter().map(|word| (*word).to_owned()).collect(), "{words:?}");
    };
    is(&["passerelle", "ke"], &["keys"]);
    is(&["passerelle", "re"], &["report", "reprice", "reconcile", "restore", "resume"]);
    is(&["passerelle", "keys", "iss"], &["issue"]);
    is(&["passerelle", "keys", "issue", "--pl"], &["--plan"]);
    is(&["passerelle", "simulate", "--dialect", ""], &["openai", "mistral"]);
    is(&["passerelle", "completions", ""], &["bash", "zsh", "fish", "--help", "-h"]);
    assert!(offered(&["passerelle", "report", "--format", ""]).contains("xlsx"));
    for shell in ["zsh", "fish"] {
        let script = printed(&run(&["completions", shell]));
        assert!(script.contains("healthcheck") && script.contains("timeout-seconds"), "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(64));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_unit_starts_what_the_package_installs() {
    let unit = text("deploy/passerelle.service");
    let start: Vec<&str> = after(&unit, "ExecStart=").split(' ').collect();
    let [program, "serve", "--config", file] = start.as_slice() else { panic!("{start:?}") };
    assert!(is_installed(program) && is_installed(file), "{start:?}");
    for (from, to) in assets() {
        assert!(from.starts_with("target/package/") || root().join(&from).is_file(), "{from}");
        assert!(!to.contains("systemd") || to.starts_with("/lib/systemd/system/passerelle"), "{to}");
    }
    for entry in std::fs::read_dir(root().join("deploy")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name.ends_with(".service") || name.ends_with(".socket") {
            assert!(is_installed(&format!("/lib/systemd/system/{name}")), "{name}");
        }
    }
    // The package's scripts and the unit name the same user, folders and files of keys.
    let postinst = text("deploy/debian/postinst");
    let user = after(&unit, "User=");
    assert!(postinst.contains(&format!("--gecos \"Passerelle\" {user}")));
    let state = format!("/var/lib/{}", after(&unit, "StateDirectory="));
    assert_eq!(after(&postinst, "state="), state);
    assert_eq!(after(&postinst, "config="), *file);
    let keys = after(&postinst, "keys=");
    for name in ["openai", "mistral"] {
        assert!(unit.contains(&format!("LoadCredential={name}-api-key:{keys}/{name}\n")));
        assert!(unit.contains(&format!("={}_API_KEY_FILE=%d/{name}-api-key\n", name.to_uppercase())));
    }
}

#[test]
fn what_is_installed_is_a_valid_configuration_of_this_machine_alone() {
    let own = config("deploy/passerelle.toml");
    let server = &own.server;
    for address in [server.public, server.mairie, server.ops] {
        assert!(address.ip().is_loopback(), "{address}");
    }
    let state = PathBuf::from("/var/lib/passerelle");
    assert!(own.ledger.path.starts_with(&state) && own.secret_file.starts_with(&state));
    assert!(own.mairie_token.is_none(), "nobody's token ships");
    // The sockets that may be enabled open what the configuration says.
    for (name, address) in [("public", server.public), ("mairie", server.mairie), ("ops", server.ops)] {
        let socket = text(&format!("deploy/passerelle-{name}.socket"));
        assert_eq!(after(&socket, "FileDescriptorName="), name);
        assert_eq!(after(&socket, "ListenStream=").parse::<SocketAddr>().unwrap(), address);
        assert_eq!(after(&socket, "Service="), "passerelle.service");
    }
    // The image's: the same ports, on every address of the container; the same folder, on the volume.
    let inside = config("deploy/container.toml");
    let container = text("deploy/Containerfile");
    let exposed = after(&container, "EXPOSE ");
    let ports =
        [inside.server.public, inside.server.mairie, inside.server.ops].map(|address| address.port().to_string());
    assert_eq!(exposed, ports.join(" "));
    assert!(inside.server.ops.ip().is_unspecified() && inside.ledger.path.starts_with(&state));
    assert!(container.contains("VOLUME [\"/var/lib/passerelle\"]"));
}

#[test]
fn a_stop_is_waited_for_longer_than_the_gateway_waits_for_answers() {
    let seconds = |text: &str| text.trim_end_matches('s').parse::<u64>().unwrap();
    let unit = text("deploy/passerelle.service");
    let compose = text("deploy/compose.yaml");
    for file in ["deploy/passerelle.toml", "deploy/container.toml"] {
        let patience = config(file).server.shutdown.as_secs();
        assert!(seconds(after(&unit, "TimeoutStopSec=")) >= patience + 10, "{file}");
        assert!(seconds(after(&compose, "stop_grace_period: ")) >= patience + 10, "{file}");
    }
}

#[test]
fn versions_agree() {
    let manifest = manifest();
    let package = manifest["workspace"]["package"].as_table().unwrap();
    let version = package["version"].as_str().unwrap();
    let rust = package["rust-version"].as_str().unwrap();
    let container = text("deploy/Containerfile");
    assert!(container.contains(&format!("org.opencontainers.image.version=\"{version}\"")));
    assert!(
        container.contains(&format!("FROM docker.io/library/rust:{rust}.")),
        "built with the compiler of the tests"
    );
    assert_eq!(after(&text("deploy/compose.yaml"), "image: passerelle:"), version);
    assert_eq!(after(&text("publiccode.yml"), "softwareVersion:"), version);
    assert!(text("deploy/debian/changelog").starts_with(&format!("passerelle ({version}-")));
}

#[test]
fn the_image_is_built_from_everything_that_the_program_is_made_of() {
    let container = text("deploy/Containerfile");
    let ignored = text(".dockerignore");
    let mut copied = Vec::new();
    for line in
        container.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        copied.extend(words[..words.len() - 1].iter().map(|path| (*path).to_owned()));
    }
    for path in &copied {
        assert!(root().join(path).exists(), "{path}");
        assert!(ignored.lines().any(|line| line.strip_prefix('!') == Some(path)), "{path} is not let into the build");
    }
    // Cargo wants every target of the manifest to be there, and the program wants what it embeds.
    let manifest = manifest();
    for bench in manifest["bench"].as_array().unwrap() {
        let name = bench["name"].as_str().unwrap();
        let path =
            bench.get("path").map_or_else(|| format!("benches/{name}.rs"), |path| path.as_str().unwrap().to_owned());
        assert!(copied.iter().any(|folder| path.starts_with(folder.as_str())), "{path}");
    }
    let mut folders = vec![root().join("src"), root().join("providers/src")];
    let mut embedded = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for part in source.split("include_str!(\"").skip(1) {
                let file = folder.join(part.split('"').next().unwrap()).canonicalize().unwrap();
                let file = file.strip_prefix(root().canonicalize().unwrap()).unwrap().to_owned();
                embedded += 1;
                let is_test = path.to_string_lossy().contains("tests");
                assert!(is_test || copied.iter().any(|folder| file.starts_with(folder)), "{}", file.display());
            }
        }
    }
    assert!(embedded > 10);
}

#[test]
fn what_compose_mounts_is_there() {
    let compose = text("deploy/compose.yaml");
    let mounts: Vec<&str> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ")?.split(':').next())
        .filter(|path| path.starts_with('.'))
        .collect();
    assert!(mounts.len() >= 4, "{mounts:?}");
    for path in mounts {
        assert!(root().join("deploy").join(path).exists(), "{path}");
    }
    assert!(root().join("deploy").join(after(&compose, "context: ")).join("deploy/Containerfile").is_file());
    // Neither the operators' nor Prometheus' port is published, and nothing beyond loopback.
    let published: Vec<&str> = compose.lines().filter_map(|line| line.trim().strip_prefix("- \"")).collect();
    assert!(published.iter().all(|port| port.starts_with("127.0.0.1:")), "{published:?}");
    assert!(!published.iter().any(|port| port.contains("9090")), "{published:?}");
}
