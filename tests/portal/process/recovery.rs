//! Checks a private PostgreSQL that was restored from a base backup.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use axum::http::StatusCode;
use nix::{sys::stat::Mode, unistd::mkfifo};

use super::private;
use crate::support::{
    app::{request, submission_id},
    eventually,
    process::{Portal, scratch},
};

/// Makes the cluster in `data` one that recovers from an archive. The archive has nothing, and the
/// last question to it is answered only once somebody has written to the pipe `gate`.
fn restore(data: &Path, gate: &Path) {
    mkfifo(gate, Mode::S_IRWXU).unwrap();
    fs::set_permissions(gate, Permissions::from_mode(0o644)).unwrap();
    fs::write(data.join("recovery.signal"), "").unwrap();
    // The history of the next timeline is asked for at the beginning and at the end.
    let gate = gate.display();
    let command = format!(
        "case %f in 00000002.history) if [ -e asked ]; then read -r line < {gate}; else : > asked; fi;; esac; exit 1"
    );
    let mut settings = OpenOptions::new()
        .append(true)
        .open(data.join("postgresql.auto.conf"))
        .unwrap();
    writeln!(settings, "restore_command = '{command}'").unwrap();
}

#[tokio::test]
async fn the_portal_waits_until_a_restored_server_takes_writes() {
    let scratch = scratch();
    let (dir, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
    let portal = Portal::start(&private(&dir), &log).await;
    let sent = portal.post("/requests/new", &fields).await.unwrap();
    portal.stop().await;

    let gate = scratch.path().join("gate");
    restore(&dir.join("pgdata"), &gate);
    let settings = private(&dir);
    let (portal, ()) = tokio::join!(Portal::start(&settings, &log), async {
        eventually("it waits", async || {
            let log = fs::read_to_string(&log).unwrap();
            log.contains("still recovers").then_some(())
        })
        .await;
        let opened = tokio::task::spawn_blocking(move || fs::write(gate, "go on\n"));
        opened.await.unwrap().unwrap();
    });
    let again = portal.post("/requests/new", &fields).await.unwrap();
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.body);
    assert_eq!(again.reference(), sent.reference());
    portal.stop().await;
}
