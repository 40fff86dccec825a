//! Checks every route of the desk for every role.

use std::{collections::BTreeSet, time::Duration};

use axum::http::{Method, StatusCode};
use pic_portal::staff::Role;

use super::{account, sign_in, signed_in};
use crate::support::app::{Answer, TestApp};

/// The role that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// None: the response is the same for all that are not signed in.
    Open,
    /// Any signed-in account.
    Reader,
    /// An agent.
    Agent,
}

use Rule::{Agent, Open, Reader};

/// The fields of a form.
type Fields = &'static [(&'static str, &'static str)];

/// Every route of the desk with its rule and its fields.
const RULES: &[(&str, &str, Rule, Fields)] = &[
    ("GET", "/staff", Reader, &[]),
    ("GET", "/staff/set-up", Open, &[]),
    (
        "POST",
        "/staff/set-up",
        Open,
        &[("name", "mallory"), ("password", "four words nobody says")],
    ),
    ("GET", "/staff/sign-in", Open, &[]),
    (
        "POST",
        "/staff/sign-in",
        Open,
        &[("name", "mallory"), ("password", "x")],
    ),
    ("GET", "/staff/sign-in/oidc", Open, &[]),
    ("GET", "/staff/sign-in/oidc/callback", Open, &[]),
    (
        "POST",
        "/staff/sign-in/oidc/logout",
        Open,
        &[("logout_token", "x")],
    ),
    ("POST", "/staff/sign-out", Open, &[]),
    ("GET", "/staff/requests", Reader, &[]),
    ("GET", "/staff/requests/stream", Reader, &[]),
    ("GET", "/staff/requests/{reference}/stream", Reader, &[]),
    ("GET", "/staff/requests.csv", Reader, &[]),
    ("GET", "/staff/requests/{reference}", Reader, &[]),
    ("GET", "/staff/services/{service}", Reader, &[]),
    (
        "POST",
        "/staff/requests/{reference}/mark",
        Agent,
        &[("set", "taken")],
    ),
    (
        "POST",
        "/staff/requests/bulk",
        Agent,
        &[("action", "check-again"), ("request", ""), ("go", "on")],
    ),
    ("GET", "/staff/audit", Agent, &[]),
    ("GET", "/staff/gateways", Reader, &[]),
    (
        "POST",
        "/staff/requests/{reference}/check-again",
        Agent,
        &[],
    ),
    (
        "POST",
        "/staff/requests/{reference}/refuse",
        Agent,
        &[("reason", "policy"), ("confirm", "on")],
    ),
    (
        "POST",
        "/staff/requests/{reference}/withdraw",
        Agent,
        &[("confirm", "on")],
    ),
    (
        "POST",
        "/staff/services/{service}/cancel",
        Agent,
        &[("reason", "owner-asked"), ("confirm", "on")],
    ),
    ("GET", "/staff/account", Reader, &[]),
    (
        "POST",
        "/staff/account",
        Reader,
        &[("old", "wrong"), ("new", "four other words here")],
    ),
    ("POST", "/staff/account/sign-out", Reader, &[]),
];

#[test]
fn every_route_of_the_desk_has_a_rule() {
    let mut routes = BTreeSet::new();
    for route in pic_portal::routes::table() {
        for method in route
            .methods()
            .iter()
            .filter(|&method| method != Method::HEAD)
        {
            if route.path().starts_with("/staff") {
                routes.insert((method.to_string(), route.path().to_owned()));
            }
        }
    }
    let ruled: BTreeSet<_> = RULES
        .iter()
        .map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(ruled.len(), RULES.len(), "one rule a route");
    assert_eq!(routes, ruled);
}

/// All rows that the desk could change or show.
async fn rows(portal: &TestApp) -> String {
    let mut all = String::new();
    for table in [
        "request",
        "event",
        "work",
        "route",
        "staff",
        "staff_session",
        "staff_audit",
        "staff_mark",
    ] {
        let rows = format!(
            "SELECT coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM {table} AS t"
        );
        let rows: String = portal.one(&rows).await;
        all.push_str(&rows);
    }
    all
}

/// Sends a request; a field of the name `request` gets the reference.
async fn ask(
    portal: &TestApp,
    method: &str,
    path: &str,
    fields: Fields,
    (reference, cookie): (&str, &str),
) -> Answer {
    let fields: Vec<_> = fields
        .iter()
        .map(|&(name, value)| match name {
            "request" => (name, reference),
            _ => (name, value),
        })
        .collect();
    if method == "GET" {
        portal.get_with(path, cookie).await
    } else {
        portal.post_with(path, &fields, cookie).await
    }
}

/// A portal with a service in force (1) and a pending request of another (2).
async fn portal() -> (TestApp, String, String) {
    // Streams end at once.
    let portal = TestApp::with(|site| site.live.lifetime = Duration::ZERO).await;
    let (_, key) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let administrator = portal.post("/service", &fields).await.cookie();
    let (pending, _) = portal.submit(&[("sip.fabrikam.com", "fabrikam.com")]).await;
    (portal, pending, administrator)
}

#[tokio::test]
async fn nobody_gets_or_does_what_is_not_theirs() {
    const MINUTE: Duration = Duration::from_mins(1);
    let (portal, pending, administrator) = portal().await;
    let idle = signed_in(&portal, "idle", Role::Agent).await;
    portal.advance(31 * MINUTE).await;
    let old = signed_in(&portal, "old", Role::Agent).await;
    portal
        .run("UPDATE staff_session SET began_at = pic_now() - interval '12 hours', seen_at = pic_now()
              FROM staff WHERE staff_id = id AND name = 'old'")
        .await;
    let disabled = signed_in(&portal, "disabled", Role::Agent).await;
    let signed_out = signed_in(&portal, "gone", Role::Agent).await;
    portal.post_with("/staff/sign-out", &[], &signed_out).await;
    portal
        .run("UPDATE staff SET disabled_at = pic_now() WHERE name = 'disabled'")
        .await;
    let reader = signed_in(&portal, "reader", Role::Reader).await;
    let invented = format!("pic_staff={}", pic_portal::base32::encode(&[7; 20]));
    let value = administrator.split_once('=').unwrap().1;
    let borrowed = format!("pic_staff={value}");
    let strangers = [
        ("nobody", ""),
        ("an administrator", administrator.as_str()),
        ("an administrator's token as staff", borrowed.as_str()),
        ("an invented session", invented.as_str()),
        ("no session at all", "pic_staff=nonsense"),
        ("idle", idle.as_str()),
        ("signed in for twelve hours, and busy", old.as_str()),
        ("disabled", disabled.as_str()),
        ("signed out", signed_out.as_str()),
    ];
    for &(method, path, rule, fields) in RULES {
        let address = path
            .replace("{reference}", &pending)
            .replace("{service}", "1");
        let before = rows(&portal).await;
        for (who, cookie) in strangers {
            let what = format!("{method} {path}, {who}");
            let answer = ask(&portal, method, &address, fields, (&pending, cookie)).await;
            assert_eq!(rows(&portal).await, before, "{what}: nothing is changed");
            answer.hides("contoso.com");
            answer.hides("fabrikam.com");
            if rule != Open {
                assert_eq!(answer.status, StatusCode::SEE_OTHER, "{what}");
                assert!(
                    answer.header("location").starts_with("/staff/sign-in"),
                    "{what}"
                );
                assert_eq!(answer.body, "", "{what}");
            }
        }
        if rule == Agent {
            let answer = ask(&portal, method, &address, fields, (&pending, &reader)).await;
            let what = format!("{method} {path}, a reader");
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
            assert!(!answer.body.contains(&pending), "{what}");
            assert_eq!(rows(&portal).await, before, "{what}: nothing is changed");
        }
    }
}

/// The same requests by accounts that may: what was refused above was refused because of the
/// account.
#[tokio::test]
async fn whoever_may_does() {
    let (portal, _, _) = portal().await;
    account(&portal, "reader", Role::Reader).await;
    account(&portal, "agent", Role::Agent).await;
    for &(method, path, rule, fields) in RULES {
        for name in ["reader", "agent"] {
            if rule == Open || (rule == Agent && name == "reader") {
                continue;
            }
            // Each time a request of its own, and a service with routes in force.
            let domain = format!(
                "d{}.example",
                portal.number("SELECT count(*) FROM request").await
            );
            portal
                .store_one(&[(&format!("sip.{domain}"), &domain)])
                .await;
            portal.work().await;
            let service = portal.number("SELECT max(id) FROM service").await;
            let domain = format!("e{domain}");
            let pending = portal
                .store_one(&[(&format!("sip.{domain}"), &domain)])
                .await;
            let cookie = sign_in(&portal, name).await;
            let address = path
                .replace("{reference}", &pending)
                .replace("{service}", &service.to_string());
            let answer = ask(&portal, method, &address, fields, (&pending, &cookie)).await;
            let what = format!("{method} {path}, {name}: {}", answer.body);
            let expected = match (method, path) {
                ("POST", "/staff/requests/bulk") => StatusCode::OK,
                ("POST", "/staff/account") => StatusCode::UNPROCESSABLE_ENTITY,
                ("POST", _) => StatusCode::SEE_OTHER,
                _ => StatusCode::OK,
            };
            assert_eq!(answer.status, expected, "{what}");
            assert!(!answer.header("location").contains("next"), "{what}");
        }
    }
    let ended = "SELECT string_agg(state, ' ' ORDER BY id) FROM request WHERE reason = 'policy' OR state = 'withdrawn'";
    let ended: String = portal.one(ended).await;
    assert_eq!(ended, "rejected withdrawn");
}
