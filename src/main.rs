//! The `passerelle` program: reads its arguments, runs the command, gives the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    passerelle::cli::run()
}
