//! Checks what is written to systemd's journal, which others can read too.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use axum::http::StatusCode;
use nix::unistd::geteuid;
use pic_portal::db::MIGRATOR;

use super::on;
use crate::support::{
    app::{request, submission_id},
    db::TestDb,
    eventually,
    process::{Portal, scratch},
};

#[tokio::test]
async fn the_set_up_link_is_in_a_file_of_its_own_and_not_in_the_journal() {
    let scratch = scratch();
    let (dir, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let journal = File::create(&log).unwrap().metadata().unwrap();
    let journal = format!("{}:{}", journal.dev(), journal.ino());
    let settings = [
        ("PIC_DATA_DIR", dir.to_str().unwrap()),
        ("PIC_LOG_FORMAT", "json"),
        ("JOURNAL_STREAM", &journal),
    ];
    let portal = Portal::start(&settings, &log).await;
    let said = portal.log();
    let (_, time) = said.split_once("\"milliseconds\":").unwrap();
    assert!(time.starts_with(|it: char| it.is_ascii_digit()), "{time}");
    let file = dir.join("set-up-link");
    eventually("the file is named", async || {
        portal.log().contains(file.to_str()?).then_some(())
    })
    .await;
    assert!(!portal.log().contains("token="), "{}", portal.log());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let link = fs::read_to_string(&file).unwrap();
    let (_, path) = link.trim_end().split_once("/staff/").unwrap();
    let page = portal.get(&format!("/staff/{path}")).await.unwrap();
    assert_eq!(page.status, StatusCode::OK);
    let is_told = portal.log().contains("runs as root");
    assert_eq!(is_told, geteuid().is_root(), "{}", portal.log());
    portal.stop().await;

    // The next start replaces it; a file that has the link is not overwritten with another's.
    let portal = Portal::start(&settings, &log).await;
    eventually("there is another link", async || {
        (fs::read_to_string(&file).ok()? != link).then_some(())
    })
    .await;
    let fields = [("name", "anna"), ("password", "a long enough password")];
    let link = fs::read_to_string(&file).unwrap();
    let (_, path) = link.trim_end().split_once("/staff/").unwrap();
    let account = portal
        .post(&format!("/staff/{path}"), &fields)
        .await
        .unwrap();
    assert_eq!(account.status, StatusCode::SEE_OTHER, "{}", account.body);
    portal.stop().await;

    let portal = Portal::start(&settings, &log).await;
    eventually("it goes when there is an account", async || {
        (!file.exists()).then_some(())
    })
    .await;
    portal.stop().await;
}

#[tokio::test]
async fn what_postgresql_says_beside_its_answers_is_not_logged() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    sqlx::raw_sql(
        "CREATE FUNCTION speaks() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE WARNING 'heard %', TG_TABLE_NAME; RETURN NULL; END $$;
         CREATE TRIGGER speaks AFTER INSERT ON request EXECUTE FUNCTION speaks();",
    )
    .execute(db.pool())
    .await
    .unwrap();
    let url = db.url();
    let settings = [&on(&url)[..], &[("PIC_LOG", "trace")]].concat();
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
    let sent = portal.post("/requests/new", &fields).await.unwrap();
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    // The answer is written down after the statement.
    eventually("the answer is logged", async || {
        portal.log().contains("answered").then_some(())
    })
    .await;
    assert!(!portal.log().contains("heard"), "{}", portal.log());
    portal.stop().await;
}
