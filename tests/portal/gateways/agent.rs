//! Checks the agent of `deploy/kamailio` against the portal as a process.

use std::{fs, path::Path, process::Stdio};

use pic_portal::db::MIGRATOR;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::{
    app::{request, submission_id},
    db::TestDb,
    eventually,
    process::{Portal, command, program, scratch},
};

/// A file of the repository.
fn path(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn python(arguments: &[&str], dir: &Path) -> Command {
    let mut python = Command::new("python3");
    python
        .args(arguments)
        .current_dir(dir)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    python
}

async fn done(mut command: Command) -> String {
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_agent_refuses_what_was_cut_short_changed_or_rolled_back() {
    let dir = path("deploy/kamailio");
    done(python(
        &["-m", "unittest", "-q", "test_agent"],
        Path::new(&dir),
    ))
    .await;
}

/// Kamailio's tables as the stand-in has them.
fn loaded(dir: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(dir.join("state")).ok()?).ok()
}

/// Submits a request for these edges.
async fn submit(portal: &Portal, edges: &[(&str, &str)]) -> String {
    let id = submission_id();
    let fields = request(&id, edges);
    portal
        .post("/requests/new", &fields)
        .await
        .unwrap()
        .reference()
}

async fn has_route(dir: &Path, domain: &str, edge: &str) {
    eventually("the route is in Kamailio's table", async || {
        let tables = loaded(dir)?;
        (tables["routes"][domain] == edge).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_provisioned_is_in_kamailios_tables_and_the_portal_knows_it() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let dir = scratch.path();
    let url = db.url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
    ];
    let log = dir.join("log");
    let portal = Portal::start(&settings, &log).await;
    submit(&portal, &[("sip.early.example", "early.example")]).await;
    let gateway = |words: &[&str]| {
        let mut command = command(&program(), &settings);
        command.arg("gateway").args(words);
        command
    };
    let token = done(gateway(&["add", "gw1"])).await;
    assert_eq!(token.len(), 32);
    fs::write(dir.join("token"), &token).unwrap();
    let (agent, stand_in) = (
        path("deploy/kamailio/agent.py"),
        path("tests/portal/gateways/kamailio.py"),
    );
    done(python(&[&agent, "--init", "routes.db"], dir)).await;
    let kamailio = python(&[&stand_in, "rpc", "routes.db", "state"], dir).spawn();
    let _kamailio: Child = kamailio.unwrap();
    let origin = format!("http://{}", portal.address);
    let agent_log = fs::File::create(dir.join("agent.log")).unwrap();
    let running = python(&[&agent, &origin, "token", "routes.db", "rpc"], dir)
        .stderr(agent_log)
        .spawn();
    let _agent: Child = running.unwrap();
    // The whole set first, and then differences.
    has_route(dir, "early.example", "sip.early.example").await;
    let reference = submit(&portal, &[("sip.contoso.com", "contoso.com")]).await;
    has_route(dir, "contoso.com", "sip.contoso.com").await;
    let page = format!("/requests/{reference}");
    eventually("the portal says that it is live", async || {
        let page = portal.get(&page).await.unwrap();
        (page.attribute("data-gateways") == Some("1/1")).then_some(())
    })
    .await;
    sqlx::raw_sql(
        "DELETE FROM domain_in_force WHERE sip_domain = 'early.example'; NOTIFY pic_status",
    )
    .execute(db.pool())
    .await
    .unwrap();
    eventually("the route is gone", async || {
        loaded(dir)?["routes"]["early.example"]
            .is_null()
            .then_some(())
    })
    .await;
    eventually("the agent says so", async || {
        let said = fs::read_to_string(dir.join("agent.log")).unwrap();
        (said.contains("set=1 gone=0") && said.contains("set=0 gone=1")).then_some(())
    })
    .await;
    let listed = done(gateway(&["list"])).await;
    assert!(listed.contains("gw1  has loaded"), "{listed}");
    assert!(!listed.contains(&token));
    done(gateway(&["remove", "gw1"])).await;
    portal.stop().await;
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains(&token), "a token in the log");
}
