//! Removes what a killed portal, or a killed server, left behind.
//!
//! The caller holds the directory's lock, so processes that still work in the data directory have
//! no portal, and what `postmaster.pid` says about others is out of date.

use std::{fs, path::Path, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{child::Stop, error::StartError, options::unless_missing};
use crate::db::private::data_dir::{socket_file, socket_lock_file, unwritable};

/// How often to check whether they are gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until no process of an earlier server is left, with stronger signals as time passes, and
/// removes the files that would keep the next server from starting. Returns early at `stop`.
///
/// It finds processes in /proc and does nothing where that is missing: PostgreSQL then takes its
/// own precautions, and reports an error if it does not start.
pub(super) fn clear(data: &Path, sockets: &Path, stop: &Stop) -> Result<(), StartError> {
    if fs::read_link("/proc/self/cwd").is_err() {
        return Ok(());
    }
    let file = data.join("postmaster.pid");
    let text = unless_missing(fs::read_to_string(&file).map(Some)).map_err(unwritable(&file))?;
    let first = |text: String| text.lines().next()?.trim().parse().map(Pid::from_raw).ok();
    let marked = text.map(first);
    drive_out(data, marked.flatten(), stop)?;
    match marked {
        // The lock is free or its process is gone: PostgreSQL checks that itself, and more than we
        // can.
        None => {}
        Some(Some(pid)) if kill(pid, None).is_err() => {}
        // The id belongs to another process by now, or to one that has ended and was not waited
        // for, or the file was cut short.
        Some(_) => unless_missing(fs::remove_file(&file)).map_err(unwritable(&file))?,
    }
    for file in [socket_file(sockets), socket_lock_file(sockets)] {
        unless_missing(fs::remove_file(&file)).map_err(unwritable(&file))?;
    }
    Ok(())
}

/// Waits for the processes in `data`. If `postmaster` is among them, it ends the others.
fn drive_out(data: &Path, postmaster: Option<Pid>, stop: &Stop) -> Result<(), StartError> {
    let leads = postmaster.filter(|pid| strays(data).contains(pid));
    // A postmaster ends its children, with a checkpoint; children without one end by themselves.
    let patience = Duration::from_secs(if leads.is_some() { 30 } else { 5 });
    for (signal, patience) in [
        (Signal::SIGINT, patience),
        (Signal::SIGQUIT, Duration::from_secs(5)),
        (Signal::SIGKILL, Duration::from_secs(5)),
    ] {
        let left = strays(data);
        if left.is_empty() {
            return Ok(());
        }
        tracing::debug!(%signal, processes = left.len(), "an earlier server is still there");
        let addressed = if signal == Signal::SIGINT {
            leads.into_iter().collect()
        } else {
            left
        };
        for pid in addressed {
            // It may have ended just now.
            let _ = kill(pid, signal);
        }
        let looks = patience.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..looks {
            if strays(data).is_empty() || stop.within(LOOK_EVERY) {
                return Ok(());
            }
        }
    }
    match strays(data).first() {
        None => Ok(()),
        Some(pid) => Err(StartError::Orphan {
            process: pid.as_raw(),
            data_dir: data.to_owned(),
        }),
    }
}

/// The server processes whose working directory is `data`, which is true of all of PostgreSQL's.
/// This is more reliable than a number in a file, or than a command line with a path in some
/// spelling.
fn strays(data: &Path) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            // The cheap test first, since most processes are others.
            let name = fs::read_to_string(process.path().join("comm")).ok()?;
            let is_server = matches!(name.trim_end(), "postgres" | "postmaster");
            let dir = is_server
                .then(|| fs::read_link(process.path().join("cwd")))?
                .ok()?;
            (dir == data).then(|| Pid::from_raw(pid))
        })
        .collect()
}
