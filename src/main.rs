//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use pic_portal::cli::Cli;
use tikv_jemallocator::Jemalloc;

/// The C library's allocator keeps what a flood of requests took: small blocks that live on hold the
/// top of each of its heaps, and only from there does it give memory back. This one gives back
/// every page that is free, from a thread of its own, soon after (`.cargo/config.toml`).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

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
