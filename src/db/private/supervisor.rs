//! What happens when the server dies while the portal runs?

use std::{
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    child::{self, Stop},
    cluster::Cluster,
};

/// How often to look whether the server still runs.
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
/// A server that ran this long was well: when it dies, the pauses begin anew.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// Starts the server again whenever it dies, until `stop`, which it stops at, or until it will not
/// run any more: `ended` is told why.
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
        tracing::warn!(%status, "the private PostgreSQL died; it is started again");
        match restart(cluster, stop, &mut attempts) {
            Again::Runs(next) => child = next,
            Again::Stopped => break,
            Again::GaveUp(reason) => {
                ended.send_replace(Some(
                    reason.unwrap_or_else(|| format!("it starts, but dies at once ({status})")),
                ));
                break;
            }
        }
    }
    cluster.leave();
}

/// What came of starting the server again.
enum Again {
    Runs(Child),
    Stopped,
    /// With what kept it from starting the last time, unless it started and died at once.
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
        // An error would mean that it is not our child: impossible, and nothing to act on.
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
    }
}
