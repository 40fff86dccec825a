//! Checks what the doctor says of each fault, what to do, and its exit code.

use std::time::Duration;

use axum::{Router, routing::get};
use hickory_resolver::proto::op::ResponseCode;
use pic_portal::{
    db::MIGRATOR,
    gateway::{GatewayName, GatewayToken, store as gateways},
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::{net::TcpListener, task::AbortHandle};

use crate::{
    process::checks::Eyes,
    support::{
        app::advance,
        db::TestDb,
        dns::Manner,
        eventually,
        oidc::Provider,
        process::{Portal, command, program, scratch},
        world::World,
    },
};

/// What the doctor has said.
struct Said {
    code: i32,
    report: Value,
}

impl Said {
    /// What it says of a subject: its level, what was found, what to do.
    fn of(&self, subject: &str) -> (&str, &str, &str) {
        let lines = self.report["lines"].as_array().unwrap();
        let line = lines.iter().find(|line| line["subject"] == subject);
        let line = line.unwrap_or_else(|| panic!("{subject}: {lines:#?}"));
        let text = |key: &str| line[key].as_str().unwrap();
        (text("level"), text("says"), text("to_do"))
    }

    /// Checks a line's level, and words that are in what was found or in what to do.
    #[track_caller]
    fn says(&self, subject: &str, level: &str, words: &str) {
        let (as_told, says, to_do) = self.of(subject);
        assert_eq!(as_told, level, "{subject}: {says}");
        assert!(
            says.contains(words) || to_do.contains(words),
            "{says} -> {to_do}"
        );
        let advises = !to_do.is_empty() || says.contains(". ");
        assert!(level == "ok" || advises, "{subject}: says what to do");
    }
}

async fn doctor(settings: &[(&str, &str)]) -> Said {
    let mut command = command(&program(), settings);
    let output = command.args(["doctor", "--json"]).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code().unwrap();
    let wrong = report["verdict"] == "wrong";
    assert_eq!(code, i32::from(wrong), "{report:#}");
    Said { code, report }
}

fn on(url: &str) -> [(&str, &str); 2] {
    [("DATABASE_URL", url), ("PIC_ALLOW_UNSAFE_DATABASE", "true")]
}

#[tokio::test]
async fn a_portal_that_is_well_has_the_settings_to_look_at_alone() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let portal = Portal::start(&on(&url), &scratch.path().join("log")).await;
    eventually("the first sweep is done", async || {
        let done = "SELECT count(*) FROM retention_run WHERE ended_at IS NOT NULL";
        let done: i64 = sqlx::query_scalar(done).fetch_one(db.pool()).await.unwrap();
        (done > 0).then_some(())
    })
    .await;
    let said = doctor(&on(&url)).await;
    assert_eq!((said.code, &said.report["verdict"]), (0, &"warning".into()));
    said.says("version", "ok", env!("CARGO_PKG_VERSION"));
    said.says("settings", "ok", "");
    said.says("mode", "warning", "PIC_CHECKS=enforce");
    said.says("public address", "ok", "this machine alone");
    said.says("operator", "warning", "PIC_OPERATOR");
    said.says("support", "warning", "PIC_SUPPORT");
    said.says("database", "ok", "takes writes");
    said.says("schema", "ok", "up to date");
    said.says("clock", "ok", "");
    said.says("standbys", "ok", "connected: 0");
    said.says("retention", "ok", "clean");
    said.says("portals", "ok", "portals that run: 1");
    said.says("requests", "ok", "pending: 0");
    said.says("accounts", "warning", "pic-portal staff add");
    said.says("gateways", "ok", "none is registered");
    portal.stop().await;
    let stopped = doctor(&on(&url)).await;
    stopped.says("portals", "warning", "none has told of itself");

    let text = command(&program(), &on(&url)).arg("doctor").output().await;
    let text = String::from_utf8(text.unwrap().stdout).unwrap();
    assert!(text.contains("\nwarning  operator "), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("verdict: it works; warnings: "), "{last}");
}

#[tokio::test]
async fn settings_that_do_not_fit_each_other_are_told() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let url = db.url();
    let with = |more: &[(&'static str, &'static str)]| {
        let settings: Vec<_> = on(&url).into_iter().chain(more.iter().copied()).collect();
        async move { doctor(&settings).await }
    };
    let said = with(&[
        ("PIC_TRUSTED_PROXYS", "10.0.0.0/8"),
        ("PIC_PUBLIC_URL", "https://federation.contoso.com"),
        ("PIC_OPERATOR", "Contoso"),
        ("PIC_SUPPORT", "https://contoso.com/help"),
    ])
    .await;
    said.says("settings", "warning", "PIC_TRUSTED_PROXYS");
    said.says("public address", "ok", "https://federation.contoso.com");
    said.says("proxies", "warning", "PIC_TRUSTED_PROXIES");
    said.says("operator", "ok", "Contoso");
    said.says("support", "ok", "https://contoso.com/help");
    let said = with(&[
        ("PIC_LISTEN", "0.0.0.0:8080"),
        ("PIC_CHECKS", "enforce"),
        ("PIC_DNS", "127.0.0.1:1"),
    ])
    .await;
    said.says("public address", "warning", "http://0.0.0.0:8080");
    said.says("mode", "warning", "PIC_PROOF=always");
    said.says("provider", "warning", "PIC_PROXY_FQDN");
    let said = with(&[
        ("PIC_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("PIC_PUBLIC_URL", "http://federation.contoso.com"),
    ])
    .await;
    said.says("public address", "warning", "is not https");
    said.says("proxies", "ok", "10.0.0.0/8");
    // A wrong value is told as by every command.
    let wrong = command(&program(), &[("PIC_PROMISE", "soon")]);
    let wrong = { wrong }.arg("doctor").output().await.unwrap();
    assert_eq!(wrong.status.code(), Some(78));
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_told_beside_the_rest() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let owner = db.options().get_username().to_owned();
    let role = format!("doctor_{}", db.name());
    let run = async |sql: String| {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(db.pool()).await;
        done.unwrap();
    };
    run(format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")).await;
    let url = db.url();
    let as_role = url.replacen(&format!("//{owner}@"), &format!("//{role}@"), 1);
    for (url, words) in [
        ("postgres://pic@127.0.0.1:1/pic", "nothing listens there"),
        ("postgres://pic@nowhere.invalid/pic", "cannot be resolved"),
        (
            &*as_role,
            "53300 (the server has no room for another connection)",
        ),
    ] {
        let said = doctor(&on(url)).await;
        said.says("database", "wrong", words);
        said.says("operator", "warning", "PIC_OPERATOR");
    }
    run(format!("DROP ROLE {role}")).await;
    run(format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        db.name()
    ))
    .await;
    let said = doctor(&on(&url)).await;
    said.says("database", "wrong", "default_transaction_read_only");
    run(format!(
        "SET default_transaction_read_only = off;
         ALTER DATABASE {} RESET default_transaction_read_only",
        db.name()
    ))
    .await;
}

#[tokio::test]
async fn what_the_database_tells_is_judged() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let url = db.url();
    let run = async |sql: String| {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(db.pool()).await;
        done.unwrap();
    };
    let name = GatewayName::parse("gw1").unwrap();
    let token = GatewayToken::random();
    gateways::add(db.pool(), &name, &token).await.unwrap();
    let said = doctor(&on(&url)).await;
    said.says("gateways", "warning", "not heard yet");
    run(format!(
        "ALTER DATABASE {} SET log_statement = 'all'",
        db.name()
    ))
    .await;
    run("INSERT INTO instance VALUES
           (gen_random_uuid(), now(), now(), now(), '0.0.1'),
           (gen_random_uuid(), now(), now(), now(), '0.0.2')"
        .into())
    .await;
    run("INSERT INTO _sqlx_migrations SELECT 9999, 'newer', now(), true, '', 0".into()).await;
    let many = [&on(&url)[..], &[("PIC_DB_POOL", "999")]].concat();
    let said = doctor(&many).await;
    said.says("portals", "warning", "0.0.1, 0.0.2");
    said.says("server's log", "warning", "log_statement");
    said.says("connections", "warning", "lower PIC_DB_POOL");
    said.says("schema", "ok", "9999: a newer version");
    advance(db.pool(), Duration::from_mins(24 * 60 + 1)).await;
    let said = doctor(&on(&url)).await;
    said.says("clock", "warning", "differ by 24 hours");
    said.says("gateways", "wrong", "gw1: not heard yet");
    assert_eq!(said.code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_servers_and_the_port_of_the_edges_are_tried() {
    let world = World::start().await;
    let _edge = world.ready("contoso.com").await;
    let (db, eyes) = (TestDb::fresh(&MIGRATOR).await, Eyes::on(&world));
    let url = db.url();
    let with = |edge: &'static str| {
        let more = [("PIC_CHECKS", "enforce"), ("PIC_PROXY_FQDN", edge)];
        let settings = [&on(&url)[..], &eyes.settings(), &more].concat();
        async move { doctor(&settings).await }
    };
    let said = with("sip.contoso.com").await;
    said.says("name servers", "ok", "answers");
    said.says(
        "port 5061",
        "ok",
        "of 1 servers that should answer there, 1 did",
    );
    let said = with("sip.fabrikam.com").await;
    said.says("port 5061", "warning", "open port 5061 outward");
    said.says("provider", "ok", "sip.fabrikam.com");
    let said = with("").await;
    said.says("port 5061", "ok", "pic-portal check DOMAIN");
    let resolver = &world.internet.resolver;
    resolver.behave(Manner::Code(ResponseCode::Refused));
    let said = with("sip.contoso.com").await;
    said.says("name servers", "wrong", "REFUSED");
    resolver.behave(Manner::Silent);
    let said = with("sip.contoso.com").await;
    said.says("name servers", "wrong", "port 53 outward");
    assert_eq!(said.code, 1);
}

/// A web server that says of itself, as an OpenID provider, that it is `issuer` (where that is empty:
/// what it is asked as), and has no keys. Its address; it ends with the handle.
async fn keyless(issuer: &'static str) -> (String, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let issuer = if issuer.is_empty() { &own } else { issuer };
    let document = json!({
        "issuer": issuer, "authorization_endpoint": format!("{own}/auth"),
        "token_endpoint": format!("{own}/token"), "jwks_uri": format!("{own}/keys"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    let json = |value: Value| ([("content-type", "application/json")], value.to_string());
    let (document, keys) = (json(document), json(json!({"keys": []})));
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(document))
        .route("/keys", get(keys));
    let serving = tokio::spawn(async { axum::serve(listener, routes).await });
    (own, serving.abort_handle())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openid_provider_is_asked() {
    let (db, mut provider) = (TestDb::fresh(&MIGRATOR).await, Provider::start(&[]).await);
    let url = db.url();
    let with = async |issuer: &str| {
        let more = [
            ("PIC_PUBLIC_URL", "https://portal.example"),
            ("PIC_OIDC_ISSUER", issuer),
            ("PIC_OIDC_CLIENT_ID", "pic-portal"),
            ("PIC_OIDC_CLIENT_SECRET", "the secret of the portal"),
            ("PIC_OIDC_AGENTS", "desk-agents"),
        ];
        doctor(&[&on(&url)[..], &more].concat()).await
    };
    let issuer = provider.issuer.clone();
    let subject = "single sign-on";
    with(&issuer).await.says(subject, "ok", "answers");
    let said = with(&format!("{issuer}/tenant")).await;
    said.says(subject, "wrong", "HTTP status 404");
    provider.kill().await;
    let said = with(&issuer).await;
    said.says(subject, "wrong", "it gives no answer");
    assert_eq!(said.code, 1);
    for (issuer, words) in [
        ("https://login.contoso.com", "another issuer"),
        ("", "its key set is empty"),
    ] {
        let (address, serving) = keyless(issuer).await;
        with(&address).await.says(subject, "wrong", words);
        serving.abort();
    }
    let said = doctor(&on(&url)).await;
    assert!(!said.report.to_string().contains(subject));
}
