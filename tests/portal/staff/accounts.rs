//! Checks who can sign in, and what is stored of a password.

use std::{process::Stdio, time::Duration};

use axum::http::StatusCode;
use pic_portal::{
    secret::SetUpToken,
    staff::{Role, store},
};
use tokio::io::AsyncWriteExt as _;

use super::{PASSWORD, account, sign_in, signed_in};
use crate::support::{
    app::{Answer, TestApp, everything},
    process::{Portal, command, program, scratch},
};

async fn alive(portal: &TestApp, cookie: &str) -> bool {
    portal.get_with("/staff/account", cookie).await.status == StatusCode::OK
}

async fn try_in(portal: &TestApp, name: &str, password: &str, cookie: &str) -> Answer {
    let fields = [("name", name), ("password", password)];
    portal.post_with("/staff/sign-in", &fields, cookie).await
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_look_the_same() {
    let portal = TestApp::new().await;
    account(&portal, "anna", Role::Agent).await;
    account(&portal, "bert", Role::Agent).await;
    portal
        .run("UPDATE staff SET disabled_at = pic_now() WHERE name = 'bert'")
        .await;
    let wrong = try_in(&portal, "anna", "wrong", "").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    for (name, password) in [
        ("nora", PASSWORD),
        ("bert", PASSWORD),
        ("an na", PASSWORD),
        ("anna", ""),
    ] {
        let other = try_in(&portal, name, password, "").await;
        assert_eq!(other.status, wrong.status, "{name}");
        assert_eq!(
            other
                .body
                .replace(&format!("value=\"{name}\""), "value=\"anna\""),
            wrong.body,
            "{name}"
        );
    }
    let cookie = sign_in(&portal, " ANNA ").await;
    assert!(alive(&portal, &cookie).await);
    let all = everything(portal.pool()).await;
    let token = cookie.split_once('=').unwrap().1;
    assert!(all.contains("$argon2id$") && !all.contains(PASSWORD) && !all.contains(token));
}

#[tokio::test]
async fn guesses_from_everywhere_do_not_lock_the_owner_out() {
    let portal = TestApp::new().await;
    account(&portal, "anna", Role::Agent).await;
    let fields = [("name", "anna"), ("password", PASSWORD)];
    let known = portal.post("/staff/sign-in", &fields).await;
    let mark = known.set_cookies()[1].split(';').next().unwrap().to_owned();
    assert!(mark.starts_with("pic_staff_known="), "{mark}");
    let mut slowed = None;
    for _ in 0..20 {
        let answer = try_in(&portal, "anna", "wrong", "").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            slowed = Some(answer);
            break;
        }
    }
    let slowed = slowed.expect("it is slowed down");
    assert!(slowed.header("retry-after").parse::<u32>().unwrap() <= 6);
    slowed.shows("Too many tries at this account");
    slowed.hides("your network");
    assert_eq!(
        try_in(&portal, "anna", PASSWORD, "").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        try_in(&portal, "anna", PASSWORD, &mark).await.status,
        StatusCode::SEE_OTHER
    );
    // The mark is for one account and one password.
    portal.run("UPDATE staff SET password = replace(password, '$argon2id$v=19$m=19456,t=2', '$argon2id$v=19$m=19456,t=1')").await;
    assert_eq!(
        try_in(&portal, "anna", PASSWORD, &mark).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn a_session_ends_by_itself_and_by_its_owner() {
    const MINUTE: Duration = Duration::from_mins(1);
    let portal = TestApp::new().await;
    let used = signed_in(&portal, "anna", Role::Reader).await;
    let mut minutes = 0;
    while alive(&portal, &used).await {
        portal.advance(29 * MINUTE).await;
        minutes += 29;
        assert!(minutes <= 12 * 60 + 29, "12 hours at most");
    }
    assert!(minutes >= 12 * 60, "{minutes}");
    let (one, two) = (
        sign_in(&portal, "anna").await,
        sign_in(&portal, "anna").await,
    );
    assert_eq!(
        portal.number("SELECT count(*) FROM staff_session").await,
        2,
        "what has ended is gone"
    );
    portal.post_with("/staff/account/sign-out", &[], &one).await;
    assert!(!alive(&portal, &one).await && !alive(&portal, &two).await);

    let (one, two) = (
        sign_in(&portal, "anna").await,
        sign_in(&portal, "anna").await,
    );
    let new = "another four words here";
    for (old, new, blamed) in [
        ("wrong", new, "old"),
        (PASSWORD, "short", "new"),
        (PASSWORD, "anna", "new"),
    ] {
        let answer = portal
            .post_with("/staff/account", &[("old", old), ("new", new)], &one)
            .await;
        assert!(answer.blames(blamed), "{old} {new}: {}", answer.body);
        assert!(!answer.body.contains(old), "nothing typed is shown again");
    }
    let done = portal
        .post_with("/staff/account", &[("old", PASSWORD), ("new", new)], &one)
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert!(alive(&portal, &one).await && !alive(&portal, &two).await);
    assert_eq!(
        try_in(&portal, "anna", PASSWORD, "").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        try_in(&portal, "anna", new, "").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn whoever_wanted_a_page_gets_there_after_signing_in() {
    let portal = TestApp::new().await;
    account(&portal, "anna", Role::Reader).await;
    let led = portal.get("/staff/requests?q=contoso.com").await;
    assert_eq!(
        led.header("location"),
        "/staff/sign-in?next=%2Fstaff%2Frequests%3Fq%3Dcontoso.com"
    );
    let form = portal.get(led.header("location")).await;
    let [(name, next)] = &form.hidden()[..] else {
        panic!("{}", form.body);
    };
    let fields = [("name", "anna"), ("password", PASSWORD), (name, next)];
    let on = portal.post("/staff/sign-in", &fields).await;
    assert_eq!(on.header("location"), "/staff/requests?q=contoso.com");
    let elsewhere = [
        ("name", "anna"),
        ("password", PASSWORD),
        ("next", "//evil.example/staff/"),
    ];
    let on = portal.post("/staff/sign-in", &elsewhere).await;
    assert_eq!(on.header("location"), "/staff/requests");
}

#[tokio::test]
async fn the_set_up_link_makes_one_account_within_an_hour() {
    let portal = TestApp::new().await;
    let address = |token: &SetUpToken| format!("/staff/set-up?token={}", token.reveal());
    let first = store::new_set_up(portal.pool()).await.unwrap().unwrap();
    portal.advance(Duration::from_mins(61)).await;
    assert_eq!(
        portal.get(&address(&first)).await.status,
        StatusCode::NOT_FOUND,
        "an hour"
    );
    let earlier = store::new_set_up(portal.pool()).await.unwrap().unwrap();
    let token = store::new_set_up(portal.pool()).await.unwrap().unwrap();
    assert_eq!(
        portal.get(&address(&earlier)).await.status,
        StatusCode::NOT_FOUND,
        "one link"
    );
    let link = address(&token);
    assert_eq!(portal.get(&link).await.status, StatusCode::OK);
    for (name, password, blamed) in [
        ("anna@contoso.com", PASSWORD, "name"),
        ("anna", "short", "password"),
    ] {
        let answer = portal
            .post(&link, &[("name", name), ("password", password)])
            .await;
        assert!(answer.blames(blamed), "{}", answer.body);
        assert!(!answer.body.contains('@'), "an address is not shown again");
    }
    // Ten at once: only one account is made.
    let names: Vec<_> = (0..10).map(|n| format!("desk-{n}")).collect();
    let tries = names.iter().map(|name| {
        let fields = [("name", name.as_str()), ("password", PASSWORD)];
        let (portal, link) = (&portal, &link);
        async move { portal.post(link, &fields).await.status }
    });
    let statuses = futures_util::future::join_all(tries).await;
    let made = statuses
        .iter()
        .filter(|&&status| status == StatusCode::SEE_OTHER)
        .count();
    assert_eq!(made, 1, "{statuses:?}");
    assert_eq!(
        portal
            .number("SELECT count(*) FROM staff WHERE role = 'agent'")
            .await,
        1
    );
    assert_eq!(
        portal.get(&link).await.status,
        StatusCode::NOT_FOUND,
        "it is over"
    );
    assert!(store::new_set_up(portal.pool()).await.unwrap().is_none());
}

/// Runs `pic-portal staff` with a line on standard input; returns whether it succeeded, and its
/// output.
async fn staff(settings: &[(&str, &str)], words: &[&str], line: &str) -> (bool, String) {
    let mut child = command(&program(), settings)
        .arg("staff")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The command may have failed before it read the line.
    let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
    drop(stdin);
    let out = child.wait_with_output().await.unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn accounts_are_made_on_the_private_postgresql_with_and_without_a_portal() {
    let scratch = scratch();
    let dir = scratch.path().join("data");
    let settings = [("PIC_DATA_DIR", dir.to_str().unwrap())];
    let log = scratch.path().join("log");
    let portal = Portal::start(&settings, &log).await;
    crate::support::eventually("the link is printed", async || {
        portal.log().contains("/staff/set-up?token=").then_some(())
    })
    .await;
    let (done, said) = staff(&settings, &["add", "anna"], PASSWORD).await;
    assert!(
        done && said.contains("made anna, agent"),
        "beside the portal: {said}"
    );
    let printed = portal.log();
    let link = printed
        .split("/staff/set-up?token=")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let over = portal
        .get(&format!("/staff/set-up?token={link}"))
        .await
        .unwrap();
    assert_eq!(over.status, StatusCode::NOT_FOUND, "there is an account");
    let fields = [("name", "anna"), ("password", PASSWORD)];
    let answer = portal.post("/staff/sign-in", &fields).await.unwrap();
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    portal.stop().await;

    for (words, line, ok, expected) in [
        (
            // No password is asked for where the account decides alone.
            &["add", "anna"][..],
            "",
            false,
            "there is an account anna already",
        ),
        (
            &["add", "ted@contoso.com"],
            PASSWORD,
            false,
            "That is an email address",
        ),
        (
            &["add", "bert"],
            "too short",
            false,
            "at least 12 characters",
        ),
        (
            &["add", "bert-the-second"],
            "bert-the-second",
            false,
            "not the name",
        ),
        (
            &["add", "bert", "--role", "king"],
            PASSWORD,
            false,
            "neither reader nor agent",
        ),
        (
            &["add", "bert", "--role", "reader"],
            PASSWORD,
            true,
            "made bert, reader",
        ),
        (&["disable", "anna"], "", true, "disabled anna"),
        (&["disable", "anna"], "", false, "no account anna"),
        (&["list"], "", true, "anna  agent, made"),
        (
            &["reset", "anna"],
            PASSWORD,
            true,
            "anna has a new password",
        ),
        (&["reset", "nora"], "", false, "no account nora"),
    ] {
        let (done, said) = staff(&settings, words, line).await;
        assert!(done == ok && said.contains(expected), "{words:?}: {said}");
        assert!(!said.contains(PASSWORD), "{words:?}: {said}");
    }
    let portal = Portal::start(&settings, &log).await;
    assert_eq!(
        portal.log().matches("/staff/set-up?token=").count(),
        1,
        "no second link"
    );
    portal.stop().await;
}
