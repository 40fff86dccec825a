//! The signals of the running portal: SIGTERM and SIGINT stop it in two steps, SIGHUP does nothing.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The two steps of stopping.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopping {
    /// The first: everything is answered, and `/readyz` says no, so that no more is sent here.
    pub(super) draining: CancellationToken,
    /// The second: requests in progress are answered, and no others.
    pub(super) stop: CancellationToken,
}

impl Stopping {
    /// Takes the signals from now on; `drain` is the time from the first step to the second.
    pub(super) fn on_signals(drain: Duration) -> io::Result<Self> {
        let (mut terminate, mut interrupt, mut hang_up) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        );
        // A terminal that is closed ends what was started on it. A service has none: there an
        // operator sends SIGHUP to have the settings read again.
        let on_terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
        let stopping = Self::default();
        let told = stopping.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = hang_up.recv() => {
                        if on_terminal {
                            break;
                        }
                        tracing::warn!(
                            "SIGHUP does nothing: settings are read at the start alone, so restart the portal to change them"
                        );
                    }
                }
            }
            told.draining.cancel();
            // A second signal ends the wait.
            tokio::select! {
                () = sleep(drain) => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.stop.cancel();
        });
        Ok(stopping)
    }

    /// Takes both steps at once.
    pub(super) fn now(&self) {
        self.draining.cancel();
        self.stop.cancel();
    }
}
