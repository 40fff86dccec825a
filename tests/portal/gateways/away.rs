//! Checks that gateways go on when a database is restored, an instance is killed, the server is switched over,
//! or the portal is away for a day.

use std::{process::Command, time::Duration};

use axum::http::StatusCode;
use pic_portal::db::MIGRATOR;
use serde_json::{Value, json};
use tokio::process::Command as Running;

use super::{Gateway, provision, publish, version};
use crate::support::{
    app::{Answer, TestApp, request, submission_id},
    db::{TestDb, tool},
    eventually,
    process::{Portal, command, exchange, program, scratch},
    proxy::Network,
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const OTHER: &[(&str, &str)] = &[("sip.fabrikam.com", "fabrikam.com")];

/// Runs one of PostgreSQL's own tools on the portal's database.
fn run(portal: &TestApp, name: &str, arguments: &[&str]) {
    let program = tool(name).expect("make tools-test installs PostgreSQL's tools");
    let options = portal.db().options();
    let socket = options.get_socket();
    let host = socket.map_or(options.get_host().into(), |dir| dir.to_string_lossy());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["-h", &host, "-p", &options.get_port().to_string()])
        .args(["-U", options.get_username(), "-d", portal.db().name()]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[tokio::test]
async fn after_a_restore_beside_a_running_portal_gateways_take_what_is_in_force_then() {
    let portal = TestApp::new().await;
    let (gateway, scratch) = (Gateway::add(&portal, "gw1").await, scratch());
    let dump = scratch.path().join("pic.dump");
    let dump = dump.to_str().unwrap();
    provision(&portal, ONE).await;
    let old = gateway.whole(&portal).await;
    run(
        &portal,
        "pg_dump",
        &["--no-unlogged-table-data", "-Fc", "-f", dump],
    );
    portal.advance(Duration::from_secs(10)).await;
    provision(&portal, OTHER).await;
    let lost = gateway.whole(&portal).await;
    gateway.load(&portal).await;
    run(&portal, "pg_restore", &["--clean", "--if-exists", dump]);
    portal.advance(Duration::from_secs(20)).await;
    // What a gateway has loaded is none of this database: it is told to take the whole set.
    let since = format!("/gateway/changes?since={}", version(&lost));
    let refused = gateway.ask(&portal, &since, &[]).await;
    assert_eq!(refused.status, StatusCode::GONE, "{}", refused.body);
    publish(&portal).await;
    let now = gateway.whole(&portal).await;
    assert_eq!((&now["routes"], &now["count"]), (&old["routes"], &json!(1)));
    // A set that is older than what a gateway has would be refused by it.
    assert!(now["expires"].as_str() > lost["expires"].as_str(), "{now}");
    // Who had loaded what is in the backup goes on by differences.
    let from_old = gateway.changes(&portal, &version(&old)).await;
    assert_eq!(
        (&from_old["set"], &from_old["version"]),
        (&json!([]), &now["version"])
    );
    publish(&portal).await;
    assert_eq!(gateway.whole(&portal).await, now, "once");
}

#[tokio::test]
async fn a_portal_that_was_away_for_a_day_goes_on_where_it_was() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let reference = provision(&portal, ONE).await;
    gateway.load(&portal).await;
    let had = gateway.whole(&portal).await;
    gateway.changes(&portal, &version(&had)).await;
    portal.advance(Duration::from_hours(24)).await;
    publish(&portal).await;
    let page = async || {
        let page = portal.get(&format!("/requests/{reference}")).await;
        page.attribute("data-gateways").unwrap().to_owned()
    };
    assert_eq!(page().await, "0/1", "it was not heard of");
    provision(&portal, OTHER).await;
    let changed = gateway.changes(&portal, &version(&had)).await;
    assert_eq!(changed["set"][0]["sip_domain"], "fabrikam.com");
    assert!(changed["expires"].as_str() > had["expires"].as_str());
    gateway.changes(&portal, &version(&changed)).await;
    assert_eq!(page().await, "1/1");
}

#[tokio::test]
async fn while_the_database_is_switched_over_a_gateway_is_told_to_ask_again() {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    provision(&portal, ONE).await;
    let had = gateway.whole(&portal).await;
    proxy.turn(Network::Refusing);
    let since = format!("/gateway/changes?since={}", version(&had));
    let away = gateway.ask(&portal, &since, &[("prefer", "wait=60")]).await;
    assert_eq!(
        away.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        away.body
    );
    assert_eq!(away.header("content-type"), "application/problem+json");
    proxy.turn(Network::Sound);
    eventually(
        "the same version is known to the server that took over",
        async || {
            let answer = gateway.ask(&portal, &since, &[]).await;
            (answer.status == StatusCode::OK).then_some(())
        },
    )
    .await;
    assert_eq!(gateway.whole(&portal).await, had);
}

/// A gateway that asks one of several processes.
struct Asking {
    authorization: String,
}

impl Asking {
    async fn ask(&self, portal: &Portal, path: &str, wait: &str) -> Answer {
        let headers = [
            ("authorization", self.authorization.as_str()),
            ("prefer", wait),
        ];
        exchange(portal.address, "GET", path, &headers, "")
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_may_ask_any_instance_and_one_that_is_killed_takes_nothing_with_it() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ("PIC_CHECKS", "off"),
    ];
    let mut add: Running = command(&program(), &settings);
    let added = add.args(["gateway", "add", "gw1"]);
    let one = Portal::start(&settings, &scratch.path().join("one")).await;
    let two = Portal::start(&settings, &scratch.path().join("two")).await;
    let token = String::from_utf8(added.output().await.unwrap().stdout).unwrap();
    let gateway = Asking {
        authorization: format!("Bearer {}", token.trim()),
    };
    let mut had = String::new();
    for (edges, waits_at, submits_at) in [(ONE, &two, &one), (OTHER, &one, &two)] {
        let whole: Value =
            serde_json::from_str(&gateway.ask(waits_at, "/gateway/routes", "").await.body).unwrap();
        had = version(&whole);
        let since = format!("/gateway/changes?since={had}");
        let id = submission_id();
        let fields = request(&id, edges);
        let ((), sent) = tokio::join!(
            eventually("the change is there, in one or more answers", async || {
                let news = gateway.ask(waits_at, &since, "wait=30").await;
                news.body.contains(edges[0].1).then_some(())
            }),
            submits_at.post("/requests/new", &fields)
        );
        sent.unwrap();
    }
    let same = |portal| gateway.ask(portal, "/gateway/routes", "");
    let (first, second) = (same(&one).await, same(&two).await);
    assert_eq!(first.header("etag"), second.header("etag"));
    assert_eq!(first.body, second.body);
    one.kill().await;
    let since = format!("/gateway/changes?since={had}");
    let after = gateway.ask(&two, &since, "").await;
    assert!(after.body.contains("fabrikam.com"), "{}", after.body);
    two.stop().await;
}
