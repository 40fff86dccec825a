//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use pic_portal::cli::Cli;

#[expect(
    clippy::print_stderr,
    reason = "why the portal does not run, in one line, before there is a log"
)]
fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pic-portal: {failure}");
            ExitCode::FAILURE
        }
    }
}
