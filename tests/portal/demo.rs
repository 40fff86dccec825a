//! Checks that the demonstration shows organisations in every state, and touches nothing else.

use std::{collections::BTreeMap, fs, process::Stdio};

use axum::http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::{
    app::{request, submission_id},
    assert_says, eventually,
    process::{command, exchange, post, program, scratch},
};

/// What `state` and `standing` of each organisation are to be.
const STATES: [(&str, &str, &str); 11] = [
    ("fourthcoffee.com", "rejected", "rejected"),
    ("adatum.com", "provisioned", "in-force"),
    ("fabrikam.com", "provisioned", "superseded"),
    ("cohowinery.com", "provisioned", "superseded"),
    ("contoso.com", "pending", "needs-action"),
    ("litwareinc.com", "rejected", "rejected"),
    ("tailspintoys.com", "pending", "needs-action"),
    ("proseware.com", "withdrawn", "withdrawn"),
    ("wingtiptoys.com", "pending", "needs-action"),
    ("northwindtraders.com", "pending", "needs-action"),
    // It is put right after the start.
    ("wideworldimporters.com", "provisioned", "in-force"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demonstration_shows_every_state() {
    let scratch = scratch();
    let dir = scratch.path().join("demo");
    // What would spoil it does not count.
    let settings = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("PIC_DATA_DIR", "/nowhere"),
    ];
    let mut demo = command(&program(), &settings)
        .args(["demo", "--mend-after", "1ms", "--dir"])
        .arg(&dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut paths = BTreeMap::new();
    let mut passwords = Vec::new();
    let mut service = None;
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it gets ready");
        if let Some(address) = line.strip_prefix("listening on http://") {
            break address.parse().unwrap();
        }
        if let Some((path, about)) = line.trim().split_once("  ")
            && path.starts_with("/requests/PIC-")
        {
            let (domain, _) = about.split_once(':').unwrap();
            paths.insert(domain.to_owned(), path.to_owned());
        }
        if let Some((_, told)) = line.split_once(": agreement number ") {
            let (number, key) = told.split_once(", management key ").unwrap();
            service = Some((number.to_owned(), key.to_owned()));
        }
        if let Some((name, password)) = line.trim().split_once(", password ") {
            passwords.push((name.to_owned(), password.to_owned()));
        }
    };
    let json = ("accept", "application/json");
    for (domain, state, standing) in STATES {
        let path = paths.get(domain).unwrap_or_else(|| panic!("{domain}"));
        eventually(domain, async || {
            let answer = exchange(address, "GET", path, &[json], "").await.unwrap();
            let told: Value = serde_json::from_str(&answer.body).unwrap();
            (told["state"] == state && told["standing"] == standing).then_some(())
        })
        .await;
    }
    let page = exchange(address, "GET", "/", &[], "").await.unwrap();
    assert!(page.body.contains("Demonstration. All"), "the banner");
    assert_eq!(passwords.len(), 2);
    for (name, password) in &passwords {
        let fields = [("name", name.as_str()), ("password", password)];
        let answer = post(address, "/staff/sign-in", &fields).await.unwrap();
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}");
    }
    let (number, key) = service.expect("number and key are printed");
    let fields = [("number", &*number), ("management_key", &*key)];
    let answer = post(address, "/service", &fields).await.unwrap();
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let id = submission_id();
    let fields = request(&id, &[("sip.alpineskihouse.com", "alpineskihouse.com")]);
    let reference = post(address, "/requests/new", &fields).await.unwrap();
    let path = format!("/requests/{}", reference.reference());
    eventually("what is right is provisioned", async || {
        let answer = exchange(address, "GET", &path, &[json], "").await.unwrap();
        answer.body.contains("\"provisioned\"").then_some(())
    })
    .await;

    // Another one keeps off what is in use.
    let mut other = command(&program(), &[]);
    let refused = other.arg("demo").arg("--dir").arg(&dir).output().await;
    let refused = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert_says(&refused, "in use by another");
    demo.kill().await.unwrap();
}

#[tokio::test]
async fn a_demonstration_is_for_this_machine_and_its_own_directory() {
    let scratch = scratch();
    let mut public = command(&program(), &[("PIC_LISTEN", "0.0.0.0:0")]);
    let public = public.arg("demo").arg("--dir").arg(scratch.path());
    let public = public.output().await.unwrap();
    assert_eq!(public.status.code(), Some(78));
    let kept = scratch.path().join("kept");
    fs::write(&kept, "").unwrap();
    let mut ordinary = command(&program(), &[]);
    let ordinary = ordinary.arg("demo").arg("--dir").arg(scratch.path());
    let ordinary = ordinary.output().await.unwrap();
    assert_eq!(ordinary.status.code(), Some(1));
    let told = String::from_utf8(ordinary.stderr).unwrap();
    assert_says(&told, "no demonstration made it");
    assert!(kept.exists());
}
