//! Checks with a real Prometheus that alerts fire, and go again, at a portal that has these faults.
//!
//! The rules are those of `deploy/prometheus-alerts.yml`, with one change: what each waits (`for:`)
//! is [`WAIT`], and all is looked at every [`TURN`]. Not provoked here, because they need minutes of
//! real time: a background task that is stale, work that waits, sweeps that fail three times.
//! `promtool` tries these with made-up values (`metrics`).

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

use axum::http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use pic_portal::{
    db::MIGRATOR,
    gateway::{GatewayName, GatewayToken, store as gateways},
};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{
    metrics::INSTALL,
    support::{
        app::{advance, request, submission_id},
        db::TestDb,
        eventually,
        process::{Portal, exchange, scratch},
        proxy::{Network, Proxy, Target},
    },
};

/// What each rule waits before it fires.
const WAIT: &str = "for: 1s";
/// How often the portal is scraped and rules are looked at.
const TURN: &str = "1s";

/// A Prometheus that scrapes one portal; killed at the end of the test.
struct Prometheus {
    address: String,
    _child: Child,
}

impl Prometheus {
    /// Starts it in `dir`, on the metrics at `target`.
    async fn start(dir: &Path, target: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let rules = fs::read_to_string(format!("{root}/deploy/prometheus-alerts.yml")).unwrap();
        let shortened = rules.lines().map(|line| match line.split_once("for: ") {
            Some((indent, _)) if indent.trim().is_empty() => format!("{indent}{WAIT}\n"),
            _ => format!("{line}\n"),
        });
        fs::write(dir.join("rules.yml"), shortened.collect::<String>()).unwrap();
        let config = format!(
            "global: {{ scrape_interval: {TURN}, scrape_timeout: {TURN}, evaluation_interval: {TURN} }}\n\
             rule_files: [rules.yml]\n\
             scrape_configs: [{{ job_name: pic-portal, static_configs: [{{ targets: ['{target}'] }}] }}]\n"
        );
        fs::write(dir.join("prometheus.yml"), config).unwrap();
        let log = dir.join("prometheus.log");
        let child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|fault| panic!("{INSTALL} ({fault})"));
        let address = eventually("Prometheus listens", async || {
            let said = fs::read_to_string(&log).unwrap();
            let (_, address) = said.split_once("msg=\"Listening on\" address=")?;
            let (address, _) = address.split_once('\n')?;
            Some(address.to_owned())
        })
        .await;
        Self {
            address,
            _child: child,
        }
    }

    /// What it answers; `None` before it is ready.
    async fn ask(&self, path: &str) -> Option<Value> {
        let client: Client<HttpConnector, _> = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::get(format!("http://{}{path}", self.address));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = client.request(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).ok()
    }

    /// The alerts that fire.
    async fn firing(&self) -> BTreeSet<String> {
        let said = self.ask("/api/v1/alerts").await.unwrap_or_default();
        let alerts = said["data"]["alerts"].as_array();
        let firing = alerts.into_iter().flatten();
        let firing = firing.filter(|alert| alert["state"] == "firing");
        firing
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until `alert` fires, or does not.
    async fn turns(&self, alert: &str, fires: bool) {
        let what = format!("{alert} fires: {fires}");
        eventually(&what, async || {
            (self.firing().await.contains(alert) == fires).then_some(())
        })
        .await;
    }

    /// Waits until `query` gives a number other than 0.
    async fn has(&self, query: &str) {
        eventually(query, async || {
            let said = self.ask(&format!("/api/v1/query?query={query}")).await?;
            let value = said["data"]["result"][0]["value"][1].as_str()?;
            (value != "0").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn they_fire_at_a_real_portal_and_go_again() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let proxy = Proxy::to(Target::of(&db.options())).await;
    let url = proxy.url(&db.options());
    sqlx::raw_sql("CREATE TABLE old AS SELECT 'anna@aviary.example' AS note")
        .execute(db.pool())
        .await
        .unwrap();
    let (name, token) = (GatewayName::parse("gw1").unwrap(), GatewayToken::random());
    let added = gateways::add(db.pool(), &name, &token).await;
    assert!(added.unwrap());
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ("PIC_METRICS_LISTEN", "127.0.0.1:0"),
        // Nobody answers there: what is asked for waits for the portal.
        ("PIC_CHECKS", "enforce"),
        ("PIC_DNS", "127.0.0.1:1"),
    ];
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let log = portal.log();
    let (_, metrics) = log.split_once("metrics on http://").unwrap();
    let metrics = metrics.split('/').next().unwrap();
    let prometheus = Prometheus::start(scratch.path(), metrics).await;
    let submit = async || {
        let id = submission_id();
        let fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
        portal.post("/requests/new", &fields).await.unwrap().status
    };

    // The first sweep finds the table, and the gateway has loaded nothing.
    prometheus.turns("PicPortalContactsRemain", true).await;
    prometheus.turns("PicPortalGatewayBehind", true).await;
    let firing = prometheus.firing().await;
    for alert in ["OverdueGrowing", "GatewaySilent", "DatabaseDown", "Errors"] {
        assert!(!firing.contains(&format!("PicPortal{alert}")), "{alert}");
    }

    // Two days pass, in which nobody hears of the gateway and nothing can be looked at.
    assert_eq!(submit().await, StatusCode::SEE_OTHER);
    prometheus.has("pic_requests_pending").await;
    advance(db.pool(), Duration::from_hours(49)).await;
    prometheus.turns("PicPortalOverdueGrowing", true).await;
    prometheus.turns("PicPortalGatewaySilent", true).await;

    // The database is away, and the forms that are sent are not taken.
    proxy.turn(Network::Refusing);
    prometheus.turns("PicPortalDatabaseDown", true).await;
    assert_eq!(submit().await, StatusCode::SERVICE_UNAVAILABLE);
    prometheus.turns("PicPortalSubmitErrors", true).await;
    prometheus.turns("PicPortalErrors", true).await;
    proxy.turn(Network::Sound);
    prometheus.turns("PicPortalDatabaseDown", false).await;
    for _ in 0..40 {
        let page = portal.get("/").await.unwrap();
        assert_eq!(page.status, StatusCode::OK);
    }
    prometheus.turns("PicPortalErrors", false).await;

    // The gateway asks, and loads what is published.
    let bearer = format!("Bearer {}", token.reveal());
    let headers = [("authorization", &*bearer)];
    let ask = async |path: &str| {
        let answer = exchange(portal.address, "GET", path, &headers, "").await;
        answer.unwrap()
    };
    let load = async || {
        let whole: Value = serde_json::from_str(&ask("/gateway/routes").await.body).unwrap();
        let version = whole["version"].as_str().unwrap();
        let loaded = ask(&format!("/gateway/changes?since={version}")).await;
        assert_eq!(loaded.status, StatusCode::OK, "{}", loaded.body);
    };
    eventually("no alert is about the gateway", async || {
        // What is published meanwhile is loaded too.
        load().await;
        let firing = prometheus.firing().await;
        let about_it = firing.iter().any(|alert| alert.contains("Gateway"));
        (!about_it).then_some(())
    })
    .await;

    portal.kill().await;
    prometheus.turns("PicPortalNoInstance", true).await;
}
