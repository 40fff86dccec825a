//! Checks the metrics for Prometheus, and that they contain nothing that was typed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::gateways::Gateway;
use crate::support::{
    app::{TestApp, submission_id},
    db::TestDb,
    eventually,
    process::{Portal, exchange, scratch},
    sql,
};
use pic_portal::{
    db::MIGRATOR,
    metrics::{Metrics, endpoint},
    provisioning::worker::Worker,
    readiness::{Severity, meter::CheckKind},
    retention,
    server::{HttpServer, Limits},
    web::metrics::CLASSES,
};

pub(crate) const INSTALL: &str = "prometheus or promtool is missing; run `make test`, or: apt-get install -y --no-install-recommends prometheus";

/// Samples by name with labels, as they are written.
type Samples = BTreeMap<String, String>;

/// A portal, its background task, and its metrics.
struct Watched {
    portal: TestApp,
    worker: Worker,
    router: Router,
}

impl Watched {
    async fn new() -> Self {
        Self::of(TestApp::new().await)
    }

    fn of(portal: TestApp) -> Self {
        let worker = portal.own_worker();
        let metrics = Metrics::new(
            portal.app.clone(),
            worker.meter().clone(),
            retention::meter::Meter::default(),
            HttpServer::new(Limits::default()),
        );
        Self {
            portal,
            worker,
            router: endpoint::router(metrics),
        }
    }

    async fn ask(&self, method: Method, path: &str) -> (StatusCode, String, String) {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let kind = response.headers().get("content-type");
        let kind = kind.map_or_else(String::new, |kind| kind.to_str().unwrap().into());
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn text(&self) -> String {
        let (status, kind, text) = self.ask(Method::GET, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        text
    }

    async fn samples(&self) -> Samples {
        samples(&self.text().await)
    }
}

fn samples(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let before = samples.insert(name.to_owned(), value.to_owned());
        assert_eq!(before, None, "{name} stands there twice");
        value.parse::<f64>().unwrap();
    }
    samples
}

/// The names and kinds of all families.
fn families(text: &str) -> BTreeMap<&str, &str> {
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    families.map(|it| it.split_once(' ').unwrap()).collect()
}

/// Runs Debian's promtool on `input`; the tests require it.
fn promtool(arguments: &[&str], input: &str) {
    let started = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.unwrap_or_else(|fault| panic!("{INSTALL} ({fault})"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

fn answers(method: &str, path: &str, class: &str) -> String {
    format!("pic_http_requests_total{{method=\"{method}\",path=\"{path}\",status=\"{class}\"}}")
}

#[tokio::test]
async fn every_counter_is_there_before_anything_has_happened() {
    let watched = Watched::new().await;
    let text = watched.text().await;
    promtool(&["check", "metrics"], &text);
    let samples = samples(&text);
    for (family, _) in families(&text)
        .into_iter()
        // What this process has used of a processor is never nothing.
        .filter(|(name, kind)| *kind == "counter" && *name != "process_cpu_seconds_total")
    {
        let of_it: Vec<_> = samples
            .iter()
            .filter(|(name, _)| name.split('{').next() == Some(family))
            .collect();
        assert!(!of_it.is_empty(), "{family}");
        assert!(of_it.iter().all(|(_, value)| *value == "0"), "{of_it:?}");
    }
    let mut expected = BTreeSet::new();
    for route in pic_portal::routes::table() {
        for method in route.methods() {
            for class in CLASSES {
                expected.insert(answers(method.as_str(), route.path(), class));
            }
        }
        let end = format!(
            "pic_http_request_duration_seconds_bucket{{path=\"{}\",le=\"+Inf\"}}",
            route.path()
        );
        assert_eq!(samples[&end], "0");
    }
    expected.extend(CLASSES.map(|class| answers("other", "other", class)));
    let there: BTreeSet<_> = samples
        .keys()
        .filter(|name| name.starts_with("pic_http_requests_total"))
        .cloned()
        .collect();
    assert_eq!(there, expected);
    for outcome in ["provisioned", "held", "waiting", "expired", "watched"] {
        assert_eq!(
            samples[&format!("pic_settled_total{{outcome=\"{outcome}\"}}")],
            "0"
        );
    }
    for (look, found) in CheckKind::ALL
        .iter()
        .flat_map(|look| Severity::ALL.iter().map(move |found| (look, found)))
    {
        let name = format!(
            "pic_looks_total{{found=\"{}\",kind=\"{}\"}}",
            found.as_str(),
            look.as_str()
        );
        assert_eq!(samples[&name], "0");
    }
    assert_eq!(samples["pic_database_up"], "1");
    assert_eq!(samples["pic_requests_pending"], "0");
    assert_eq!(samples["pic_oldest_pending_seconds"], "0");
}

#[tokio::test]
async fn answers_are_counted_by_route_and_never_by_what_was_typed() {
    const TYPED: &str = "canary7f3a";
    let watched = Watched::new().await;
    let portal = &watched.portal;
    portal.get("/").await;
    portal.get("/").await;
    portal.get(&format!("/requests/{TYPED}")).await;
    portal.get(&format!("/{TYPED}?{TYPED}")).await;
    portal.get(&format!("/status/?q={TYPED}")).await;
    portal.get(&format!("/status?q={TYPED}.example")).await;
    portal
        .post("/requests/new", &[("number", TYPED), (TYPED, TYPED)])
        .await;
    portal
        .post("/staff/sign-in", &[("name", TYPED), ("password", TYPED)])
        .await;
    for method in [TYPED, "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri("/help")
            .header("host", TYPED)
            .header("user-agent", TYPED);
        portal.send(request.body(Body::empty()).unwrap()).await;
    }
    let text = watched.text().await;
    assert!(!text.to_lowercase().contains(TYPED), "{text}");
    let samples = samples(&text);
    for (name, count) in [
        (answers("GET", "/", "2xx"), "2"),
        (answers("GET", "/requests/{reference}", "4xx"), "1"),
        (answers("GET", "other", "4xx"), "1"),
        (answers("GET", "other", "3xx"), "1"),
        (answers("GET", "/status", "2xx"), "1"),
        (answers("POST", "/requests/new", "4xx"), "1"),
        (answers("POST", "/staff/sign-in", "4xx"), "1"),
        (answers("other", "/help", "4xx"), "2"),
        (
            "pic_http_request_duration_seconds_count{path=\"/\"}".into(),
            "2",
        ),
    ] {
        let told = samples.get(&name).map(String::as_str);
        assert_eq!(told, Some(count), "{name}: {text}");
    }
    let all: u64 = samples
        .iter()
        .filter(|(name, _)| name.starts_with("pic_http_requests_total"))
        .map(|(_, count)| count.parse::<u64>().unwrap())
        .sum();
    assert_eq!(all, 10, "each once");
}

#[tokio::test]
async fn what_the_background_task_did_and_what_is_left_is_told() {
    let watched = Watched::new().await;
    let portal = &watched.portal;
    portal
        .store_one(&[("sip.contoso.com", "contoso.com")])
        .await;
    watched.worker.drain().await.unwrap();
    portal
        .store_one(&[("sip.fabrikam.com", "contoso.com")])
        .await;
    watched.worker.drain().await.unwrap();
    // One that waits for the portal is overdue then; the one that is held is not.
    portal.store(1).await;
    portal.advance(Duration::from_hours(49)).await;
    portal.store(3).await;
    portal
        .run("INSERT INTO watch (request_id, due_at, checked_at) VALUES (1, pic_now() + interval '1 day', pic_now())
                  ON CONFLICT DO NOTHING;
              INSERT INTO finding (request_id, code, subject, severity, at) VALUES
                  (1, 'srv-missing', 'contoso.com', 'blocking', pic_now()),
                  (1, 'edge-unreachable', 'sip.contoso.com', 'blocking', pic_now())")
        .await;
    watched.worker.show_once().await.unwrap();
    let samples = watched.samples().await;
    for (name, value) in [
        ("pic_settled_total{outcome=\"provisioned\"}", "1"),
        ("pic_settled_total{outcome=\"held\"}", "1"),
        ("pic_requests_pending", "5"),
        ("pic_requests_overdue", "1"),
        ("pic_services_at_risk", "1"),
        ("pic_instances", "1"),
        ("pic_services", "6"),
        ("pic_routes", "1"),
    ] {
        assert_eq!(samples.get(name).map(String::as_str), Some(value), "{name}");
    }
    let number = |name: &str| samples[name].parse::<f64>().unwrap();
    let hours = number("pic_oldest_pending_seconds") / 3600.0;
    assert!((49.0..49.1).contains(&hours), "{hours}");
    assert!(number("pic_worker_heartbeat_seconds") < 60.0);
    let lag = number("pic_work_lag_seconds") / 3600.0;
    assert!((48.9..49.1).contains(&lag), "{lag}");
}

#[tokio::test]
async fn a_scrape_without_the_database_says_so() {
    let watched = Watched::new().await;
    watched.portal.store(1).await;
    watched.portal.pool().close().await;
    watched.portal.get("/status?q=contoso.com").await;
    let text = watched.text().await;
    promtool(&["check", "metrics"], &text);
    let samples = samples(&text);
    assert_eq!(samples["pic_database_up"], "0");
    assert_eq!(samples[&answers("GET", "/status", "5xx")], "1");
    assert!(!samples.contains_key("pic_requests_pending"), "not a 0");
}

/// A query that waits for a lock is given up, and the scrape is answered.
#[tokio::test]
async fn a_scrape_does_not_wait_for_a_database_that_hangs() {
    let watched = Watched::new().await;
    let mut holder = watched.portal.db().pool().begin().await.unwrap();
    sql::run(&mut *holder, "LOCK TABLE work").await;
    assert_eq!(watched.samples().await["pic_database_up"], "0");
    holder.rollback().await.unwrap();
    assert_eq!(watched.samples().await["pic_database_up"], "1");
}

#[tokio::test]
async fn there_is_nothing_else_on_that_listener() {
    let watched = Watched::new().await;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/metrics/"),
        (Method::GET, "/readyz"),
        (Method::GET, "/staff"),
        (Method::POST, "/metrics"),
        (Method::DELETE, "/metrics"),
    ] {
        let (status, _, body) = watched.ask(method.clone(), path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(body, "only /metrics is here\n");
    }
    let public = watched.portal.get("/metrics").await;
    assert_eq!(public.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_process_answers_prometheus_on_an_address_of_its_own() {
    const TYPED: &str = "canary9b1c";
    let db = TestDb::fresh(&MIGRATOR).await;
    let dir = scratch();
    let url = db.url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ("PIC_CHECKS", "off"),
        ("PIC_METRICS_LISTEN", "127.0.0.1:0"),
    ];
    let portal = Portal::start(&settings, &dir.path().join("log")).await;
    let log = portal.log();
    let (_, rest) = log.split_once("metrics on http://").unwrap();
    let address: SocketAddr = rest.split('/').next().unwrap().parse().unwrap();
    assert_ne!(address, portal.address);
    let id = submission_id();
    let domain = format!("{TYPED}.example");
    let edge = format!("sip.{domain}");
    let fields = crate::support::app::request(&id, &[(&edge, &domain)]);
    let sent = portal.post("/requests/new", &fields).await.unwrap();
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let scrape = exchange(address, "GET", "/metrics", &[], "").await.unwrap();
    assert_eq!(scrape.status, StatusCode::OK);
    promtool(&["check", "metrics"], &scrape.body);
    scrape.hides(TYPED);
    let told = samples(&scrape.body);
    assert_eq!(told[&answers("POST", "/requests/new", "3xx")], "1");
    assert_eq!(told["pic_database_up"], "1");
    eventually(
        "only the scrape itself is connected, which does not count",
        async || {
            let scrape = exchange(address, "GET", "/metrics", &[], "").await.ok()?;
            (samples(&scrape.body)["pic_connections"] == "0").then_some(())
        },
    )
    .await;
    let public = portal.get("/metrics").await.unwrap();
    assert_eq!(public.status, StatusCode::NOT_FOUND);
    portal.stop().await;
}

/// The expressions of the dashboard, with a time in place of Grafana's variable.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .map(|expression| expression.replace("$__rate_interval", "5m"))
        .collect()
}

#[tokio::test]
async fn the_dashboard_is_about_what_there_is() {
    let root = env!("CARGO_MANIFEST_DIR");
    let file = std::fs::read_to_string(format!("{root}/deploy/grafana-dashboard.json")).unwrap();
    let expressions = expressions(&serde_json::from_str(&file).unwrap());
    // As a rule each is parsed by Prometheus itself.
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (at, expression) in expressions.iter().enumerate() {
        writeln!(
            rules,
            "      - record: panel{at}\n        expr: '{expression}'"
        )
        .unwrap();
    }
    let scratch = scratch();
    let path = scratch.path().join("rules.yml");
    std::fs::write(&path, rules).unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()], "");
    let watched = Watched::new().await;
    Gateway::add(&watched.portal, "gw1").await;
    let text = watched.text().await;
    let families = families(&text);
    let ours = |word: &&str| word.starts_with("pic_") || word.starts_with("process_");
    let words = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(ours).map(str::to_owned).collect::<Vec<_>>()
    };
    let named: Vec<_> = expressions.iter().flat_map(|it| words(it)).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let family = name.strip_suffix("_bucket").unwrap_or(&name);
        assert!(families.contains_key(family), "{name}");
    }
}

#[tokio::test]
async fn the_alerts_are_right_and_about_what_there_is() {
    promtool(&["check", "rules", "deploy/prometheus-alerts.yml"], "");
    promtool(&["test", "rules", "deploy/prometheus-alerts.test.yml"], "");
    let watched = Watched::new().await;
    Gateway::add(&watched.portal, "gw1").await;
    let text = watched.text().await;
    let families = families(&text);
    let root = env!("CARGO_MANIFEST_DIR");
    let rules = std::fs::read_to_string(format!("{root}/deploy/prometheus-alerts.yml")).unwrap();
    let tests = std::fs::read_to_string(format!("{root}/deploy/prometheus-alerts.test.yml"));
    let mut named = 0;
    for file in [&rules, &tests.unwrap()] {
        for word in file.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.starts_with("pic_") {
                named += 1;
                assert!(families.contains_key(word), "{word}");
            }
        }
    }
    assert!(named > 16, "{named}");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts {
        let tested = std::fs::read_to_string(format!("{root}/deploy/prometheus-alerts.test.yml"));
        assert!(tested.unwrap().matches(alert).count() >= 2, "{alert}");
    }
}
