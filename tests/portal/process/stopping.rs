//! Checks what signals do, and what a service manager is told.

use axum::http::StatusCode;
use nix::sys::signal::Signal;
use pic_portal::db::MIGRATOR;
use tokio::net::UnixDatagram;

use super::{FORM, body, on};
use crate::support::{
    app::submission_id,
    db::TestDb,
    eventually,
    process::{Connection, Portal, scratch},
};

#[tokio::test]
async fn a_hang_up_is_told_and_ends_nothing() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let portal = Portal::start(&on(&db.url()), &scratch.path().join("log")).await;
    for times in 1..=2 {
        portal.signal(Signal::SIGHUP);
        eventually("it is told", async || {
            let told = portal.log().matches("SIGHUP does nothing").count();
            (told == times).then_some(())
        })
        .await;
    }
    assert_eq!(portal.get("/readyz").await.unwrap().body, "ready\n");
    portal.stop().await;
}

#[tokio::test]
async fn while_it_drains_everything_is_answered_and_nothing_is_kept_open() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let mut settings = on(&url).to_vec();
    settings.push(("PIC_DRAIN", "1h"));
    let mut portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let mut kept = Connection::to(portal.address).await.unwrap();
    kept.ask("GET", "/", &[], "").await.unwrap();
    assert_eq!(kept.answer().await.unwrap().header("connection"), "");

    portal.signal(Signal::SIGTERM);
    eventually("it says that it is not ready", async || {
        let ready = portal.get("/readyz").await.unwrap();
        (ready.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    kept.ask("GET", "/requests/new", &[], "").await.unwrap();
    let answer = kept.answer().await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("connection"), "close");
    assert!(kept.is_closed().await);
    let mut new = Connection::to(portal.address).await.unwrap();
    let form = body(&submission_id());
    new.ask("POST", "/requests/new", &[FORM], &form)
        .await
        .unwrap();
    let sent = new.answer().await.unwrap();
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);

    // Who does not want to wait sends a second one.
    portal.signal(Signal::SIGTERM);
    assert_eq!(portal.ended().await.code(), Some(0), "{}", portal.log());
}

#[tokio::test]
async fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let (url, socket) = (db.url(), scratch.path().join("notify"));
    let manager = UnixDatagram::bind(&socket).unwrap();
    let mut settings = on(&url).to_vec();
    settings.push(("NOTIFY_SOCKET", socket.to_str().unwrap()));
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let told = async || {
        let mut text = [0; 64];
        let length = manager.recv(&mut text).await.unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    assert_eq!(told().await, "READY=1");
    portal.stop().await;
    assert_eq!(told().await, "STOPPING=1");
}

#[tokio::test]
async fn a_setting_that_is_none_is_told_without_its_value() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let mut settings = on(&url).to_vec();
    settings.push(("PIC_TRUSTED_PROXYS", "hunter2"));
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let log = portal.log();
    let told = log.matches("there is no setting of this name").count();
    assert!(told == 1 && log.contains("PIC_TRUSTED_PROXYS"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    portal.stop().await;
}
