//! Shows the link for the first staff account, where only the operator sees it.
//!
//! It is printed where the operator reads the portal's output: a terminal, a container's output, a
//! file. The journal of systemd is read by more people than operate the portal, and forwarded:
//! there the link is written to a file that only the portal's user can read, and its path to the
//! log.

use std::{
    env, fs,
    io::{self, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use crate::{app::App, staff};

/// The file with the link, in the data directory.
const FILE: &str = "set-up-link";

/// Says where to make the first account of the support desk, while there is none: with the private
/// PostgreSQL, in `data_dir`, the person who starts the portal is the operator
/// (`docs/design.md#contract`).
#[expect(
    clippy::print_stderr,
    reason = "for the operator alone: a link that makes an account is no log line"
)]
pub(super) async fn offer(app: &App, data_dir: &Path) {
    let file = data_dir.join(FILE);
    let token = match staff::store::new_set_up(&app.db().pool).await {
        Ok(Some(token)) => token,
        Ok(None) => {
            // The link in it is no longer valid.
            let _ = fs::remove_file(file);
            return;
        }
        Err(error) => {
            return tracing::warn!(%error, "no set-up link for the first staff account");
        }
    };
    let link = format!(
        "{}/staff/set-up?token={}",
        app.site().public_url.as_str(),
        token.reveal()
    );
    if !is_journal(env::var("JOURNAL_STREAM").ok().as_deref()) {
        eprintln!("no staff account yet: make the first one within an hour at {link}");
        return;
    }
    match write(&file, &link) {
        Ok(()) => tracing::info!(
            file = %file.display(),
            "no staff account yet: the link in this file makes the first one, within an hour"
        ),
        Err(error) => tracing::warn!(
            %error,
            file = %file.display(),
            "the set-up link for the first staff account cannot be written"
        ),
    }
}

/// Whether standard error is the journal, by the `device:inode` that systemd sets in
/// `JOURNAL_STREAM` (systemd.exec(5)).
fn is_journal(stream: Option<&str>) -> bool {
    let standard_error = || {
        let file = fs::File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let about = file.metadata()?;
        io::Result::Ok(format!("{}:{}", about.dev(), about.ino()))
    };
    stream.is_some_and(|stream| standard_error().is_ok_and(|own| own == stream))
}

/// Writes `link` to `file`, which only the portal's user can read. A file of an earlier start is
/// replaced at once, so that nobody reads a part of it.
fn write(file: &Path, link: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    writeln!(opened, "{link}")?;
    fs::rename(&new, file)
}
