//! Restarts the server when it dies while the portal runs.

use std::{
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    child::{self, Stop},
    cluster::Cluster,
};

/// How often to check whether the server still runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Pauses before each new attempt, about a minute in all.
const PAUSES: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
    Duration::from_secs(30),
];
/// If a server that ran this long dies, the pauses begin with the first one again.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// Restarts the server whenever it dies, until `stop`, when it is shut down, or until it cannot be
/// restarted: then `ended` gets the reason.
pub(super) fn keep_running(
    cluster: &Cluster,
    mut child: Child,
    stop: &Stop,
    ended: &watch::Sender<Option<String>>,
) {
    let mut attempts = 0;
    loop {
        let began = Instant::now();
        let Some(status) = wait(&mut child, stop) else {
            child::shut_down(&mut child);
            break;
        };
        if began.elapsed() > WELL_AFTER {
            attempts = 0;
        }
        tracing::warn!(%status, "the private PostgreSQL exited; restarting it");
        match restart(cluster, stop, &mut attempts) {
            Again::Runs(next) => child = next,
            Again::Stopped => break,
            Again::GaveUp(reason) => {
                ended.send_replace(Some(
                    reason.unwrap_or_else(|| format!("it starts, but exits at once ({status})")),
                ));
                break;
            }
        }
    }
    cluster.leave();
}

/// The result of restarting the server.
enum Again {
    Runs(Child),
    Stopped,
    /// All attempts failed, with the error of the last one, or `None` if the server started and
    /// died at once.
    GaveUp(Option<String>),
}

fn restart(cluster: &Cluster, stop: &Stop, attempts: &mut usize) -> Again {
    let mut reason = None;
    while let Some(pause) = PAUSES.get(*attempts) {
        *attempts += 1;
        if stop.within(*pause) {
            return Again::Stopped;
        }
        match cluster.launch(stop) {
            Ok(child) => return Again::Runs(child),
            Err(_) if stop.within(Duration::ZERO) => return Again::Stopped,
            Err(error) => reason = Some(error.to_string()),
        }
    }
    Again::GaveUp(reason)
}

/// Waits for the server's end; `None` if it is to be stopped instead.
fn wait(child: &mut Child, stop: &Stop) -> Option<ExitStatus> {
    loop {
        if stop.within(LOOK_EVERY) {
            return None;
        }
        // An error would mean that the process is not our child, which cannot be, and there would
        // be nothing to do.
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
    }
}
