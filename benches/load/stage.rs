//! What one step plays on: two simulated vendors, nginx and the gateway, each a process of its own, on free ports of the
//! loopback and in a folder that goes with them.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tempfile::TempDir;

use crate::driver::Target;
use crate::process::Process;
use crate::question;

/// The programs that are measured.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The gateway, which is the simulator too.
    pub(crate) passerelle: PathBuf,
    /// The reverse proxy.
    pub(crate) nginx: PathBuf,
    /// Where folders are made.
    pub(crate) folder: PathBuf,
}

/// A way to the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arm {
    /// The driver calls the simulated vendor.
    Direct,
    /// Through nginx.
    Nginx,
    /// Through the gateway, in the vendor's own dialect.
    Gateway,
    /// Through the gateway, translated for Mistral.
    Translated,
}

impl Arm {
    /// What tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Gateway => "gateway",
            Self::Translated => "gateway→mistral",
        }
    }
}

/// What a step needs.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Arguments of both simulated vendors.
    pub(crate) pace: Vec<String>,
    /// Residents, one for each connection.
    pub(crate) keys: usize,
    /// Whether nginx and the gateway have core 0 to themselves and the vendors core 1.
    pub(crate) one_core: bool,
    /// Keys of the configuration beside addresses, limits and the ledger's path, whole lines in TOML.
    pub(crate) more: String,
}

/// Everything that runs for a step.
#[derive(Debug)]
pub(crate) struct Stage {
    // In the order in which they end: who asks before who is asked, the folder last.
    pub(crate) gateway: Process,
    pub(crate) nginx: Process,
    _vendors: [Process; 2],
    addresses: [SocketAddr; 3],
    keys: Arc<[String]>,
    _folder: TempDir,
}

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    /// The first program that does not start, with what it says.
    pub(crate) fn start(programs: &Programs, setting: &Setting) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("passerelle-load-").tempdir_in(&programs.folder)?;
        let path = folder.path();
        let core = |number| setting.one_core.then_some(number);
        let vendor = |dialect: &str| {
            let mut command = on_core(core("1"), &programs.passerelle);
            command.args(["simulate", "--dialect", dialect]).args(&setting.pace);
            Process::start_listening(&mut command, 1, &path.join(format!("{dialect}.log")))
        };
        let (openai, direct) = vendor("openai")?;
        let (mistral, other) = vendor("mistral")?;
        let config = path.join("passerelle.toml");
        fs::write(&config, configuration(direct, other, &setting.more))?;
        let keys = issue_keys(&programs.passerelle, &config, setting.keys)?;
        let (nginx, proxied) = start_nginx(programs, path, direct, core("0"))?;
        let mut command = on_core(core("0"), &programs.passerelle);
        command.arg("serve").arg("--simulated").arg("--config").arg(&config);
        command.env("OPENAI_API_KEY", "vendor-key").env("MISTRAL_API_KEY", "vendor-key");
        let (gateway, public) = Process::start_listening(&mut command, 3, &path.join("gateway.log"))?;
        let vendors = [openai, mistral];
        Ok(Self { gateway, nginx, _vendors: vendors, addresses: [direct, proxied, public], keys, _folder: folder })
    }

    /// Whom the driver asks for that arm: for a whole answer, or for a stream of `tokens`.
    pub(crate) fn target(&self, arm: Arm, tokens: Option<u32>) -> Target {
        let [direct, nginx, gateway] = self.addresses;
        let one_key = || Arc::from([question::PROXY_KEY.to_owned()]);
        let (address, keys) = match arm {
            Arm::Direct => (direct, one_key()),
            Arm::Nginx => (nginx, one_key()),
            Arm::Gateway | Arm::Translated => (gateway, Arc::clone(&self.keys)),
        };
        let body = question::body(arm == Arm::Translated, tokens);
        Target { address, keys, body, least_events: tokens.map_or(0, u64::from) }
    }

    /// The process that is measured on that arm.
    pub(crate) fn process(&self, arm: Arm) -> Option<&Process> {
        match arm {
            Arm::Direct => None,
            Arm::Nginx => Some(&self.nginx),
            Arm::Gateway | Arm::Translated => Some(&self.gateway),
        }
    }
}

/// A command, on one core where that is asked for. `taskset` becomes the program, so the process id is the program's.
fn on_core(core: Option<&str>, program: &Path) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// The default configuration, but for addresses, vendors, limits and the ledger's path.
fn configuration(openai: SocketAddr, mistral: SocketAddr, more: &str) -> String {
    let mut text = String::from("[ledger]\npath = \"ledger.sqlite\"\n[identity]\nsecret_file = \"secret\"\n");
    let _ = write!(text, "[providers.openai]\nbase_url = \"http://{openai}/v1\"\n");
    let _ = write!(text, "[providers.mistral_ai]\nbase_url = \"http://{mistral}/v1\"\n");
    text.push_str("[town]\neuros_per_month = \"1000000\"\neuros_per_year = \"1000000\"\n");
    text.push_str("[plans.resident]\nrequests_per_minute = 1000000000\nburst = 1000000000\n");
    text.push_str("questions_per_day = 1000000000\ntokens_per_day = 1000000000000\neuros_per_month = \"1000000\"\n");
    text.push_str("[server]\npublic = \"127.0.0.1:0\"\nmairie = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n");
    text.push_str(more);
    text
}

fn issue_keys(passerelle: &Path, config: &Path, count: usize) -> Result<Arc<[String]>> {
    let mut command = Command::new(passerelle);
    command.args(["keys", "issue", "--plan", "resident", "--count", &count.to_string()]).arg("--config").arg(config);
    let output = command.output().context("keys issue")?;
    ensure!(output.status.success(), "keys issue: {}", String::from_utf8_lossy(&output.stderr));
    let keys: Arc<[String]> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    ensure!(keys.len() == count, "{} keys were issued instead of {count}", keys.len());
    Ok(keys)
}

/// Starts nginx before `vendor`. It takes no port 0: a free port is found first, and another where it was taken meanwhile.
fn start_nginx(
    programs: &Programs,
    folder: &Path,
    vendor: SocketAddr,
    core: Option<&str>,
) -> Result<(Process, SocketAddr)> {
    let prefix = folder.join("nginx");
    fs::create_dir(&prefix)?;
    let mut last = None;
    for _ in 0..3 {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        fs::write(prefix.join("nginx.conf"), nginx_configuration(address, vendor))?;
        let mut command = on_core(core, &programs.nginx);
        command.arg("-p").arg(&prefix).args(["-c", "nginx.conf", "-e", "error.log"]);
        match Process::start_forking(&mut command, address, &folder.join("nginx.log")) {
            Ok(nginx) => return Ok((nginx, address)),
            Err(error) => last = Some(error),
        }
    }
    last.map_or_else(|| bail!("nginx was not started"), Err)
}

/// A bare reverse proxy that compares a key: what remains is the floor.
fn nginx_configuration(address: SocketAddr, vendor: SocketAddr) -> String {
    let key = question::PROXY_KEY;
    format!(
        "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log error.log;\nevents {{ worker_connections 8192; }}\n\
         http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 1000000000;\n  keepalive_timeout 1h;\n  \
         client_body_temp_path body;\n  proxy_temp_path proxy;\n  fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  \
         scgi_temp_path scgi;\n  map $http_authorization $known {{ default 0; \"Bearer {key}\" 1; }}\n  \
         upstream vendor {{ server {vendor}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }}\n  \
         server {{\n    listen {address} backlog=4096;\n    location / {{\n      if ($known = 0) {{ return 401; }}\n      \
         proxy_pass http://vendor;\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      \
         proxy_buffering off;\n    }}\n  }}\n}}\n"
    )
}
