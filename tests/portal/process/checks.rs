//! Checks that the portal as a process runs its checks as configured, and reports what it found.

use std::{fs, path::Path, process::Output, time::Duration};

use axum::http::StatusCode;
use pic_portal::db::MIGRATOR;
use tempfile::NamedTempFile;
use tokio::time::timeout;

use super::{on, private, refusal};
use crate::support::{
    app::{request, submission_id},
    assert_says,
    db::TestDb,
    edge::{Edge, Mode},
    eventually,
    process::{Portal, command, program, scratch},
    world::World,
};

/// Settings with which a portal sees a test's world and nothing else.
pub(crate) struct Eyes {
    resolver: String,
    roots: NamedTempFile,
}

impl Eyes {
    pub(crate) fn on(world: &World) -> Self {
        Self {
            resolver: world.internet.resolver.address.to_string(),
            roots: world.roots(),
        }
    }

    pub(crate) fn settings(&self) -> [(&str, &str); 3] {
        [
            ("PIC_DNS", &self.resolver),
            ("PIC_CHECK_PRIVATE", "true"),
            ("PIC_CHECK_CA", self.roots.path().to_str().unwrap()),
        ]
    }
}

/// Runs `pic-portal check`; the checks of the portal itself are off.
async fn check(settings: &[(&str, &str)], domain: &str, edge: &str) -> Output {
    let mut command = command(&program(), settings);
    command.args(["check", domain, edge]);
    let output = timeout(Duration::from_mins(1), command.output()).await;
    output.expect("it ends by itself").unwrap()
}

/// What it printed, with a name in place of the edge's address.
fn printed(output: &Output, edge: &Edge) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.replace(&edge.address().to_string(), "ADDRESS")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_is_there_and_whether_it_proves_enough() {
    let (world, edge) = World::with("contoso.com").await;
    let eyes = Eyes::on(&world);
    let good = check(&eyes.settings(), "Contoso.com.", "SIP.contoso.com").await;
    assert_eq!(printed(&good, &edge), include_str!("ready.txt"));
    assert_eq!(good.status.code(), Some(0));
    assert!(good.stderr.is_empty());

    // The edge is found by the record.
    let mut alone = command(&program(), &eyes.settings());
    let alone = alone.args(["check", "contoso.com"]).output().await.unwrap();
    assert_eq!(printed(&alone, &edge), include_str!("ready.txt"));
    assert_eq!(alone.status.code(), Some(0));

    let always = [
        &eyes.settings()[..],
        &[("PIC_CHECKS", ""), ("PIC_PROOF", "always")],
    ]
    .concat();
    let asked = check(&always, "contoso.com", "sip.contoso.com").await;
    assert!(printed(&asked, &edge).contains("(PIC_PROOF=always)"));
    assert_eq!(asked.status.code(), Some(0));

    world.unroute("contoso.com");
    let mut alone = command(&program(), &eyes.settings());
    let alone = alone.args(["check", "contoso.com"]).output().await.unwrap();
    assert!(printed(&alone, &edge).contains("the full name of your Access Edge"));
    assert_eq!(alone.status.code(), Some(1));
    edge.behave(Mode::Reset);
    let bad = check(&eyes.settings(), "contoso.com", "sip.contoso.com").await;
    assert_eq!(printed(&bad, &edge), include_str!("not-ready.txt"));
    assert_eq!(bad.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(bad.stderr).unwrap(),
        "pic-portal: not ready: see above what to fix\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_names_what_it_cannot_use() {
    let world = World::start().await;
    let eyes = Eyes::on(&world);
    for (domain, edge) in [
        ("someone@contoso.com", "sip.contoso.com"),
        ("contoso.com", "contoso.com"),
    ] {
        let refused = check(&eyes.settings(), domain, edge).await;
        assert_eq!(refused.status.code(), Some(1), "{domain} {edge}");
        assert!(refused.stdout.is_empty(), "nothing was looked up");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!said.contains("someone"), "{said}");
    }
    // If no server answers nothing is proven.
    let unknown = check(&eyes.settings(), "nowhere.example", "sip.nowhere.example").await;
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(
        world.internet.authorities[0].asked(),
        [],
        "PIC_DNS alone is asked"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_provisions_what_is_ready_and_the_rest_when_it_is() {
    let world = World::start().await;
    let _contoso = world.ready("contoso.com").await;
    let _fabrikam = world.ready("fabrikam.com").await;
    world.unroute("fabrikam.com");
    let eyes = Eyes::on(&world);
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let more = [("PIC_CHECKS", "enforce"), ("PIC_RECHECK_FIRST", "1s")];
    let settings = [&on(&url)[..], &eyes.settings(), &more].concat();
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let submit = async |domain: &str| {
        let (id, edge) = (submission_id(), format!("sip.{domain}"));
        let fields = request(&id, &[(&edge, domain)]);
        let sent = portal.post("/requests/new", &fields).await.unwrap();
        let reference = sent.reference();
        format!("/requests/{reference}")
    };
    let state = async |path: &str| {
        let page = portal.get(path).await.unwrap();
        assert_eq!(page.status, StatusCode::OK);
        let finding = page.attribute("data-finding").unwrap_or_default();
        let state = page.attribute("data-state").unwrap();
        format!("{state} {finding}")
    };
    let becomes = async |path: &str, what: &str| {
        eventually(what, async || (state(path).await == what).then_some(())).await;
    };
    let (ready, unready) = (submit("contoso.com").await, submit("fabrikam.com").await);
    becomes(&unready, "pending srv-missing").await;
    becomes(&ready, "provisioned srv").await;
    assert_eq!(state(&unready).await, "pending srv-missing");
    world.route("fabrikam.com", "sip.fabrikam.com");
    becomes(&unready, "provisioned srv").await;
    let log = portal.log();
    assert_says(&log, "readiness checks enforce");
    assert_says(&log, "(PIC_PROOF=held)");
    for secret in ["contoso", "fabrikam", "127.", "NXDOMAIN"] {
        // It prints the address it listens on to standard output.
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    portal.stop().await;
}

/// What a portal that starts with these settings logs about its checks.
async fn mode(settings: &[(&str, &str)], scratch: &Path) -> String {
    // The tests' own setting is off; an empty value counts as unset.
    let unset = [("PIC_CHECKS", ""), ("PIC_DNS", "127.0.0.1:53")];
    let portal = Portal::start(&[settings, &unset].concat(), &scratch.join("log")).await;
    let log = portal.log();
    portal.stop().await;
    let (_, said) = log.split_once("readiness checks ").expect("it is said");
    said.split(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn how_strict_the_checks_are_is_said_at_the_start() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let trial = private(&data).to_vec();
    assert_eq!(mode(&trial, scratch.path()).await, "advise");
    let log = scratch.path().join("log");
    fs::remove_file(&log).unwrap();
    let db = TestDb::fresh(&MIGRATOR).await;
    let url = db.url();
    assert_eq!(mode(&on(&url), scratch.path()).await, "enforce");
    fs::remove_file(&log).unwrap();
    // A portal that others can reach is not for trying out.
    let open = [&trial[..], &[("PIC_LISTEN", "0.0.0.0:0")]].concat();
    assert_eq!(mode(&open, scratch.path()).await, "enforce");
}

#[tokio::test]
async fn that_every_domain_has_to_be_proven_is_said_at_the_start() {
    let scratch = scratch();
    let db = TestDb::fresh(&MIGRATOR).await;
    let (url, log) = (db.url(), scratch.path().join("log"));
    let settings = [
        ("PIC_CHECKS", "advise"),
        ("PIC_PROOF", "always"),
        ("PIC_DNS", "127.0.0.1:53"),
    ];
    let portal = Portal::start(&[&on(&url)[..], &settings].concat(), &log).await;
    let said = portal.log();
    portal.stop().await;
    assert_says(&said, "(PIC_PROOF=always)");
    assert_says(&said, "once its domains are proven");
    // Where checks are off nothing could be proven.
    let off = [("PIC_CHECKS", "off"), ("PIC_PROOF", "always")];
    let settings = [&on(&url)[..], &off].concat();
    let said = refusal(&mut command(&program(), &settings), 78).await;
    let fault = "pic-portal: PIC_PROOF: is always while PIC_CHECKS is off";
    assert!(said.starts_with(fault), "{said}");
}

#[tokio::test]
async fn a_resolver_or_roots_that_cannot_be_used_stop_the_start_by_name() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let missing = scratch.path().join("hunter2.pem");
    let empty = scratch.path().join("empty.pem");
    fs::write(&empty, "hunter2\n").unwrap();
    for (variable, value) in [
        ("PIC_CHECK_CA", missing.to_str().unwrap()),
        ("PIC_CHECK_CA", empty.to_str().unwrap()),
        ("PIC_DNS", "hunter2"),
        ("PIC_DNS", "127.0.0.1:hunter2"),
        ("PIC_DNS", "127.0.0.1"),
    ] {
        let more = [("PIC_CHECKS", "enforce"), (variable, value)];
        let settings = [&private(&data)[..], &more].concat();
        let said = refusal(&mut command(&program(), &settings), 78).await;
        assert!(
            said.starts_with(&format!("pic-portal: {variable}: ")),
            "{said}"
        );
        assert_says(&said, &format!("Example: {variable}="));
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!data.exists(), "nothing was started: {variable}={value}");
        let mut check = command(&program(), &[(variable, value)]);
        check.args(["check", "contoso.com", "sip.contoso.com"]);
        assert_eq!(refusal(&mut check, 78).await, said);
    }
}
