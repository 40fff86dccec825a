//! Parses the command line, runs the command, and sets the exit code.

use std::process::ExitCode;

use pic_portal::cli::Cli;
use tikv_jemallocator::Jemalloc;

/// The C library's allocator keeps the memory that a flood of requests took: small blocks that stay
/// in use are at the top of each of its heaps, and it returns memory only from there. This one
/// returns every free page soon after, from a thread of its own (`.cargo/config.toml`).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[expect(
    clippy::print_stderr,
    reason = "why the portal does not run, in one line, before there is a log"
)]
fn main() -> ExitCode {
    match Cli::read().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pic-portal: {failure}");
            failure.exit_code().into()
        }
    }
}
