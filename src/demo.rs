//! Placeholder while the demo is written.
#[derive(clap::Args)]
pub(crate) struct Demo {}
impl Demo {
    pub(crate) fn run(self) -> Result<std::process::ExitCode, crate::cli::Failure> {
        Ok(std::process::ExitCode::SUCCESS)
    }
}
