//! Parse, run, exit code.

use std::{env, ffi::OsString, io::Write as _, path::Path, process::ExitCode, time::Duration};

use pic_portal::db::private;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let done = match arguments.as_slice() {
        [command, dir, linger] if command == "__test-postgres" => {
            let seconds = linger
                .to_str()
                .and_then(|seconds| seconds.parse().ok())
                .unwrap_or(10);
            private::test_server::supervise(Path::new(dir), Duration::from_secs(seconds))
        }
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
