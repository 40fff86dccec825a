//! Checks that every route gives a service's data to its owner only.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use pic_portal::{app::App, web::routes::Route};

use crate::{
    service::sign_in,
    support::{
        app::{Answer, TestApp, submission_id},
        sql,
    },
};

/// What a session changes at a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Nothing: the response has the same bytes for all.
    Open,
    /// The reference in the address gives access, and there is nothing without it. A session only
    /// adds something to requests of its own service.
    Reference,
    /// The secret in the address gives access, and there is nothing without it. A session means nothing
    /// there.
    Secret,
    /// Only signed-in clients get anything, about their own service; others are redirected to the
    /// sign-in page.
    Session,
    /// As [`Session`]; others get the sign-in form, which sends on what they have typed.
    SignInAgain,
    /// The sign-in form; for a client that is signed in, its own service.
    HttpServer,
    /// Ends the client's session; the response has the same bytes for all.
    SignOut,
    /// For the staff: a service's session has no meaning there. `staff/matrix.rs` has the rules.
    Staff,
}

use Rule::{HttpServer, Open, Reference, Secret, Session, SignInAgain, SignOut, Staff};

/// Every route with its rule, in the order in which they are tried.
const RULES: &[(&str, &str, Rule)] = &[
    ("GET", "/", Open),
    ("GET", "/requests/new", Open),
    ("POST", "/requests/new", Open),
    ("GET", "/requests/{reference}", Reference),
    ("GET", "/requests/{reference}/receipt", Reference),
    ("GET", "/requests/{reference}/receipt.txt", Reference),
    ("GET", "/requests/{reference}/stream", Reference),
    ("GET", "/requests/{reference}/feed.atom", Reference),
    ("GET", "/requests/{reference}/calendar.ics", Reference),
    ("GET", "/requests/{reference}/support.txt", Reference),
    ("POST", "/requests/{reference}/check-again", Reference),
    ("POST", "/requests/{reference}/withdraw", Reference),
    ("GET", "/status", Open),
    ("GET", "/check", Open),
    ("POST", "/check", Open),
    ("GET", "/help", Open),
    ("GET", "/help/{topic}", Open),
    ("GET", "/help/address", Open),
    ("POST", "/help/address", Open),
    ("GET", "/help/reasons/{reason}", Open),
    ("GET", "/help/findings/{code}", Open),
    ("GET", "/service", HttpServer),
    ("POST", "/service", Open),
    ("GET", "/service/routes.csv", Session),
    ("GET", "/service/edit", Session),
    ("POST", "/service/edit", SignInAgain),
    ("GET", "/service/cancel", Session),
    ("POST", "/service/cancel", Session),
    ("GET", "/service/key", Session),
    ("POST", "/service/key", Session),
    ("GET", "/watch/{secret}/feed.atom", Secret),
    ("GET", "/watch/{secret}/calendar.ics", Secret),
    ("GET", "/service/watch", Session),
    ("POST", "/service/watch", Session),
    ("POST", "/service/sign-out", SignOut),
    ("GET", "/privacy", Open),
    ("GET", "/staff", Staff),
    ("GET", "/staff/set-up", Staff),
    ("POST", "/staff/set-up", Staff),
    ("GET", "/staff/sign-in", Staff),
    ("POST", "/staff/sign-in", Staff),
    ("GET", "/staff/sign-in/oidc", Staff),
    ("GET", "/staff/sign-in/oidc/callback", Staff),
    ("POST", "/staff/sign-in/oidc/logout", Staff),
    ("POST", "/staff/sign-out", Staff),
    ("GET", "/staff/account", Staff),
    ("POST", "/staff/account", Staff),
    ("POST", "/staff/account/sign-out", Staff),
    ("GET", "/staff/requests", Staff),
    ("GET", "/staff/requests/stream", Staff),
    ("GET", "/staff/requests/{reference}/stream", Staff),
    ("GET", "/staff/requests.csv", Staff),
    ("GET", "/staff/requests/{reference}", Staff),
    ("POST", "/staff/requests/{reference}/check-again", Staff),
    ("POST", "/staff/requests/{reference}/refuse", Staff),
    ("POST", "/staff/requests/{reference}/withdraw", Staff),
    ("POST", "/staff/requests/{reference}/mark", Staff),
    ("POST", "/staff/requests/bulk", Staff),
    ("GET", "/staff/services/{service}", Staff),
    ("POST", "/staff/services/{service}/cancel", Staff),
    ("GET", "/staff/audit", Staff),
    ("GET", "/staff/gateways", Staff),
    ("GET", "/gateway/routes", Open),
    ("GET", "/gateway/routes.csv", Open),
    ("GET", "/gateway/routes.ps1", Open),
    ("GET", "/gateway/changes", Open),
    ("GET", "/static/{name}", Open),
    ("GET", "/livez", Open),
    ("GET", "/readyz", Open),
];

/// Methods and paths of the route table. `HEAD` belongs to `GET`.
fn routes() -> BTreeSet<(String, String)> {
    let methods = |route: &Route<App>| {
        let path = route.path().to_owned();
        let methods = route.methods().iter().filter(|&m| m != Method::HEAD);
        methods
            .map(|m| (m.to_string(), path.clone()))
            .collect::<Vec<_>>()
    };
    pic_portal::routes::table()
        .iter()
        .flat_map(methods)
        .collect()
}

#[test]
fn every_route_has_a_rule() {
    let ruled: BTreeSet<(String, String)> = RULES
        .iter()
        .map(|&(method, path, _)| (method.into(), path.into()))
        .collect();
    assert_eq!(ruled.len(), RULES.len(), "one rule a route");
    assert_eq!(routes(), ruled);
}

/// A client.
struct Who {
    name: &'static str,
    cookie: String,
}

/// A portal with the data that is requested.
struct Portal {
    app: TestApp,
    /// A pending update of the service in question.
    pending: String,
    /// All clients that must not get access.
    locked_out: Vec<Who>,
    own: String,
    other: String,
    /// The secret of the feed and calendar of the service in question.
    secret: String,
}

const MINE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com kept.contoso.com")];
const OTHERS: &[(&str, &str)] = &[("sip.fabrikam.com", "fabrikam.com")];

impl Portal {
    async fn new() -> Self {
        const MINUTE: Duration = Duration::from_mins(1);
        let app = TestApp::new().await;
        let (_, key) = app.submit(MINE).await;
        let (_, other_key) = app.submit(OTHERS).await;
        assert_eq!(app.work().await.provisioned, 2);

        // One that is too old although it is used, one that is not used although it is young.
        let old = sign_in(&app, &key).await;
        let idle = loop {
            app.advance(29 * MINUTE).await;
            let hub = app.get_with("/service", &old).await;
            hub.shows("kept.contoso.com");
            let age =
                "SELECT extract(epoch FROM pic_now() - min(began_at))::bigint / 60 FROM session";
            if app.number(age).await > 430 {
                break sign_in(&app, &key).await;
            }
        };
        app.advance(20 * MINUTE).await;
        app.get_with("/service", &old).await;
        // These sessions would still be live without what follows.
        let signed_out = sign_in(&app, &key).await;
        app.post_with("/service/sign-out", &[], &signed_out).await;
        let key_changed = sign_in(&app, &other_key).await;
        let (own, other) = (sign_in(&app, &key).await, sign_in(&app, &other_key).await);
        app.post_with("/service/key", &[], &other).await;
        app.advance(29 * MINUTE).await;
        for live in [&own, &other] {
            let hub = app.get_with("/service", live).await;
            hub.shows("Sign out");
        }
        let rows = "SELECT count(*) FROM session";
        assert_eq!(app.number(rows).await, 4, "what has ended is still there");
        // The clock stands still between two pages that are compared.
        let now = "DO $$ BEGIN EXECUTE format(
            'CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz LANGUAGE sql STABLE RETURN %L::timestamptz',
            pic_now()); END $$";
        sql::run(app.pool(), now).await;

        let id = submission_id();
        let update = app
            .post_with("/service/edit", &fields("/service/edit", &id), &own)
            .await
            .reference();
        let watch = fields("/service/watch", &id);
        let made = app.post_with("/service/watch", &watch, &own).await.cookie();
        let (_, secret) = made.split_once('=').unwrap();
        let secret = secret.to_owned();
        let invented = format!("pic_session={}", pic_portal::base32::encode(&[7; 20]));
        let locked_out = [
            ("nobody", String::new()),
            ("an invented session", invented),
            ("no session at all", "pic_session=nonsense".into()),
            ("idle", idle),
            ("old", old),
            ("signed out", signed_out),
            ("key changed", key_changed),
        ];
        Self {
            app,
            pending: update,
            locked_out: locked_out.map(|(name, cookie)| Who { name, cookie }).into(),
            own,
            other,
            secret,
        }
    }

    /// Requests a route with `cookie`, with valid fields for it.
    async fn ask(&self, method: &str, path: &str, reference: &str, cookie: &str) -> Answer {
        let file = pic_portal::web::assets::url("app.css").to_string();
        let file = file.trim_start_matches("/static/");
        let address = path
            .replace("{reference}", reference)
            .replace("{secret}", &self.secret)
            .replace("{name}", file)
            .replace("{topic}", "times")
            .replace("{service}", "1")
            .replace("{reason}", "expired")
            .replace("{code}", "domain-held");
        let id = submission_id();
        let body = serde_html_form::to_string(fields(path, &id)).unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(address)
            .header(header::HOST, "portal.test");
        if !cookie.is_empty() {
            request = request.header(header::COOKIE, cookie);
        }
        let body = if method == "POST" {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            Body::from(body)
        } else {
            Body::empty()
        };
        self.app.send(request.body(body).unwrap()).await
    }

    /// All rows of all tables.
    async fn rows(&self) -> String {
        let mut all = String::new();
        for table in [
            "service",
            "request",
            "request_route",
            "route",
            "event",
            "finding",
            "work",
            "session",
        ] {
            let rows = format!(
                "SELECT coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM {table} AS t"
            );
            let rows: String = sql::one(self.app.pool(), &rows).await;
            all.extend([table, ": ", &rows, "\n"]);
        }
        all
    }
}

/// Valid fields for each form, whichever service is signed in.
fn fields<'a>(path: &str, id: &'a str) -> Vec<(&'a str, &'a str)> {
    match path {
        "/requests/new" => vec![
            ("number", "1234567"),
            ("submission_id", id),
            ("action", "review"),
        ],
        "/service" => vec![
            ("number", "1234567"),
            ("management_key", "0000-0000-0000-0000-0000-0000-00"),
        ],
        "/service/edit" => vec![
            ("edge", "sip.contoso.com"),
            ("domains", "kept.contoso.com added.contoso.com"),
            ("deployment", "on_premises"),
            ("submission_id", id),
            ("action", "submit"),
        ],
        "/service/cancel" => vec![("confirm", "on")],
        "/service/watch" => vec![("action", "make")],
        _ => Vec::new(),
    }
}

/// Everything that a stranger can see of a response: status, headers, body. The id in each form is
/// random, and always of the same length.
fn told(answer: &Answer) -> (StatusCode, String, String) {
    let mut body = answer.body.clone();
    let mut fields = answer.elements().into_iter();
    if let Some(id) = fields.find(|field| field.is_field("submission_id")) {
        assert_eq!(id.value().len(), 36);
        body = body.replace(id.value(), "");
    }
    let mut headers = answer.headers.clone();
    let id = headers.remove("x-request-id").expect("an id, random too");
    assert_eq!(id.len(), 16);
    (answer.status, format!("{headers:?}"), body)
}

fn assert_led_to_the_door(answer: &Answer, what: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/service"),
        "{what}"
    );
    assert_eq!(answer.body, "", "{what}");
}

#[tokio::test]
async fn what_is_not_yours_looks_like_what_is_not_there() {
    const UNKNOWN: &str = "PIC-0000-0000-0000-0000";
    let portal = Portal::new().await;
    let secrets = ["kept.contoso.com", portal.pending.as_str()];
    for &(method, path, rule) in RULES {
        let nobody = portal.ask(method, path, &portal.pending, "").await;
        for who in &portal.locked_out {
            let what = format!("{method} {path}, {}", who.name);
            let before = portal.rows().await;
            let answer = portal.ask(method, path, &portal.pending, &who.cookie).await;
            assert_eq!(told(&answer), told(&nobody), "{what}");
            assert_eq!(portal.rows().await, before, "{what}: nothing is changed");
            match rule {
                Session => assert_led_to_the_door(&answer, &what),
                SignInAgain => {
                    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}");
                    let mut fields = answer.elements().into_iter();
                    assert!(fields.any(|it| it.is_field("management_key")), "{what}");
                    assert!(!answer.body.contains(&portal.pending), "{what}");
                }
                Reference => {
                    let unknown = portal.ask(method, path, UNKNOWN, &who.cookie).await;
                    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{what}");
                    let nobody = portal.ask(method, path, UNKNOWN, "").await;
                    assert_eq!(told(&unknown), told(&nobody), "{what}");
                }
                Secret => {
                    assert_eq!(answer.status, StatusCode::OK, "{what}");
                    let unknown = path.replace("{secret}", &pic_portal::base32::encode(&[7; 20]));
                    let unknown = portal.ask(method, &unknown, "", &who.cookie).await;
                    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{what}");
                }
                Open | HttpServer | SignOut | Staff => {
                    for secret in secrets {
                        assert!(!answer.body.contains(secret), "{what}: {secret}");
                    }
                }
            }
        }
        // A client that is signed in to another service.
        let what = format!("{method} {path}, another service's session");
        let of_mine = "SELECT md5(string_agg(t, ' ' ORDER BY t)) FROM (
            SELECT s::text FROM service s WHERE id = 1 UNION ALL
            SELECT r::text FROM request r WHERE service_id = 1 UNION ALL
            SELECT x::text FROM route x WHERE service_id = 1 UNION ALL
            SELECT e::text FROM timeline e JOIN request r ON r.id = e.request_id AND service_id = 1 UNION ALL
            SELECT w::text FROM work w JOIN request r ON r.id = w.request_id AND service_id = 1 UNION ALL
            SELECT n::text FROM session n WHERE service_id = 1) AS mine (t)";
        let mine = async || -> String { sql::one(portal.app.pool(), of_mine).await };
        let before = mine().await;
        let answer = portal
            .ask(method, path, &portal.pending, &portal.other)
            .await;
        assert_eq!(mine().await, before, "{what}");
        match rule {
            Open | Secret | SignOut | Staff => assert_eq!(told(&answer), told(&nobody), "{what}"),
            Reference => {
                assert_eq!(told(&answer), told(&nobody), "{what}");
                let unknown = portal.ask(method, path, UNKNOWN, &portal.other).await;
                assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{what}");
            }
            Session | SignInAgain | HttpServer => {
                for secret in secrets {
                    assert!(!answer.body.contains(secret), "{what}: {secret}");
                }
                assert_ne!(answer.status, StatusCode::NOT_FOUND, "{what}");
            }
        }
    }
}

/// The same requests by their owner: what was refused above was refused because of the client and
/// not of the form.
#[tokio::test]
async fn what_is_yours_is_there() {
    let portal = Portal::new().await;
    for &(method, path, rule) in RULES {
        let nobody = portal.ask(method, path, &portal.pending, "").await;
        let answer = portal.ask(method, path, &portal.pending, &portal.own).await;
        let what = format!("{method} {path}: {}", answer.body);
        match (rule, method, path) {
            (Open | Secret | SignOut | Staff, ..) => {
                assert_eq!(told(&answer), told(&nobody), "{what}");
            }
            // Everyone who may see a request may ask for another check.
            (Reference, "POST", "/requests/{reference}/check-again") => {
                let page = format!("/requests/{}?again=", portal.pending);
                assert!(answer.header("location").starts_with(&page), "{what}");
                assert!(nobody.header("location").starts_with(&page), "{what}");
            }
            (Reference, "POST", _) => {
                assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}");
                let page = format!("/requests/{}", portal.pending);
                assert_eq!(answer.header("location"), page, "{what}");
            }
            (Reference, ..) => assert!(answer.body.contains(&portal.pending), "{what}"),
            (Session, "POST", "/service/watch") => {
                assert_eq!(answer.header("location"), "/service/watch", "{what}");
            }
            (Session, "POST", "/service/key") => {
                assert_eq!(answer.header("location"), "/service/key", "{what}");
            }
            (Session | SignInAgain, "POST", _) => {
                let receipt = answer.reference();
                // The next form needs a service without a pending request.
                assert_eq!(portal.app.work().await.provisioned, 1, "{what}");
                assert_eq!(portal.app.state(&receipt).await, "provisioned");
            }
            (Session | SignInAgain | HttpServer, ..) => {
                assert_eq!(answer.status, StatusCode::OK, "{what}");
            }
        }
    }
    assert_eq!(
        portal
            .app
            .number("SELECT count(*) FROM route WHERE service_id = 1")
            .await,
        0,
        "it was cancelled in the end"
    );
    let after = portal.ask("GET", "/service/edit", "", &portal.own).await;
    assert_led_to_the_door(&after, "after sign-out");
}

/// A form that another site sends is refused even with a session.
#[tokio::test]
async fn a_form_of_another_site_is_refused_with_a_session_too() {
    let portal = Portal::new().await;
    let before = portal.rows().await;
    for &(method, path, _) in RULES {
        if method != "POST" {
            continue;
        }
        let address = path.replace("{reference}", &portal.pending);
        let id = submission_id();
        let body = serde_html_form::to_string(fields(path, &id)).unwrap();
        let request = Request::post(address)
            .header(header::HOST, "portal.test")
            .header(header::COOKIE, &portal.own)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "cross-site")
            .header(header::ORIGIN, "https://evil.example");
        let answer = portal
            .app
            .send(request.body(Body::from(body)).unwrap())
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(portal.rows().await, before, "{path}");
    }
}
