//! `passerelle manual`: man pages, made of the same texts as `--help`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Arguments, Failure, say};

/// What the pages are part of, as their head says.
const MANUAL: &str = "Passerelle";

/// What `--help` of the whole program does not say: title, then pairs of a term and its sentence.
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "Done."),
            ("1", "healthcheck only: the process does not live, or is not ready."),
            ("64", "The arguments make no sense."),
            ("70", "Trouble of the program's own, a finding, or a gap that is not explained."),
            ("78", "The configuration cannot be used."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("OPENAI_API_KEY, MISTRAL_API_KEY", "The vendors' keys."),
            ("OPENAI_BASE_URL, MISTRAL_BASE_URL", "Other addresses of the vendors; they end in /v1."),
            ("PASSERELLE__SECTION__KEY", "Any key of the configuration; it wins over the file."),
            ("HTTPS_PROXY, NO_PROXY", "The proxy through which vendors are reached."),
            ("SSL_CERT_FILE, SSL_CERT_DIR", "Certificates that are trusted, instead of the system's."),
        ],
    ),
    (
        "FILES",
        &[
            ("/etc/passerelle/passerelle.toml", "The configuration, as the Debian package installs it."),
            (
                "/var/lib/passerelle",
                "The ledger and the instance's secret. The ledger is the town's books: back it up.",
            ),
            (
                "/usr/share/doc/passerelle/default.toml",
                "Every key of the configuration, with its default and a sentence.",
            ),
        ],
    ),
    (
        "SIGNALS",
        &[
            ("SIGTERM, SIGINT", "serve ends: answers in progress are finished and settled first."),
            ("SIGHUP", "serve reads prices, plans and the envelope again; files with a mistake change nothing."),
            (
                "SIGUSR2",
                "serve starts the program that is on the disk now, which takes over; this process ends what it has in progress.",
            ),
        ],
    ),
];

/// Write the man pages, one for each command, into a folder. The Debian package installs them.
#[derive(clap::Args)]
#[command(after_help = "Example: passerelle manual --output /usr/local/share/man/man1")]
pub(super) struct Manual {
    /// Folder for the pages; made when missing.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

impl Manual {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        fs::create_dir_all(&self.output).with_context(|| self.output.display().to_string())?;
        // A page about each `help` would say nothing.
        let mut program = Arguments::command().disable_help_subcommand(true);
        program.build();
        let pages = write(&program, &self.output, true)?;
        say(&format!("{pages} pages in {}", self.output.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the page of a command and those of the commands under it; says how many.
fn write(command: &Command, folder: &Path, is_program: bool) -> Result<usize, Failure> {
    let source = concat!("passerelle ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual(MANUAL);
    let file = folder.join(man.get_filename());
    let mut text = Vec::new();
    man.render(&mut text).context("the page")?;
    // What follows the options of `--help` is an example everywhere; the library has no name for it.
    let mut text = String::from_utf8_lossy(&text).replace(".SH EXTRA\n", ".SH EXAMPLES\n").into_bytes();
    if is_program {
        sections().to_writer(&mut text).context("the page")?;
    }
    fs::write(&file, text).with_context(|| file.display().to_string())?;
    let mut pages = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages += write(below, folder, false)?;
    }
    Ok(pages)
}

fn sections() -> Roff {
    let mut roff = Roff::new();
    for (title, terms) in SECTIONS {
        roff.control("SH", [*title]);
        for (term, sentence) in *terms {
            roff.control("TP", []);
            roff.text([bold(*term)]);
            roff.text([roman(*sentence)]);
        }
    }
    roff
}
