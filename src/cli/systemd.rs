//! Tells systemd when the portal is ready and when it stops (`sd_notify(3)`, `Type=notify`).

use std::{env, os::unix::net::UnixDatagram};

/// Sends `state`, such as `READY=1`, where a service manager waits for it.
pub(super) fn tell(state: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent = UnixDatagram::unbound().and_then(|own| own.send_to(state.as_bytes(), socket));
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd could not be told: {state}");
    }
}
