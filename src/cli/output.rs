//! The only place that prints. A pipe that was closed (`| head`) is no reason to fail.

use std::io::Write;

/// A line on standard output.
pub(crate) fn say(line: &str) {
    let _closed_pipe = writeln!(std::io::stdout(), "{line}").and_then(|()| std::io::stdout().flush());
}

/// A line on standard error.
pub(crate) fn complain(line: &str) {
    let _closed_pipe = writeln!(std::io::stderr(), "{line}");
}
