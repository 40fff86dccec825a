//! Checks that requests for another host, and forms from another site, are refused.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use pic_portal::{
    clock::Clock,
    meter,
    server::{Limits, network::Proxies},
    web::{limit::Throttle, origin::Origin},
};

use super::{Open, assert_has_face, status};
use crate::support::{
    app::{Answer, TestApp},
    assert_says,
};

/// A portal with the public address `origin`, behind proxies at 10.0.0.0/8.
async fn at(origin: Origin) -> TestApp {
    let proxies = Proxies::parse("10.0.0.0/8").unwrap();
    TestApp::with(|site| {
        site.public_url = origin;
        site.throttle = Throttle::new(0, 0, proxies, &Clock::system());
    })
    .await
}

/// The origin of a portal that has no public address.
fn listened_on() -> Origin {
    Origin::of("127.0.0.1:8080".parse().unwrap())
}

async fn get(portal: &TestApp, peer: &str, target: &str, host: &str) -> Answer {
    let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
    let mut request = Request::get(target)
        .header("host", host)
        .body(Body::empty())
        .unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    portal.send(request).await
}

#[tokio::test]
async fn a_name_that_another_can_own_is_not_answered_where_that_opens_what_is_closed() {
    let own = at(listened_on()).await;
    let public = at(Origin::parse("https://fed.example").unwrap()).await;
    for (portal, peer, host, expected) in [
        (&own, "127.0.0.1", "127.0.0.1:8080", 200),
        (&own, "127.0.0.1", "localhost:8080", 200),
        (&own, "::1", "[::1]:8080", 200),
        (&own, "192.0.2.1", "192.0.2.9", 200),
        (&own, "192.0.2.1", "portal", 200),
        (&own, "127.0.0.1", "evil.example:8080", 421),
        (&own, "::ffff:127.0.0.1", "evil.example", 421),
        (&own, "192.0.2.1", "evil.example", 421),
        (&own, "10.0.0.1", "fed.example", 200),
        (&public, "127.0.0.1", "fed.example", 200),
        (&public, "127.0.0.1", "FED.EXAMPLE:443", 200),
        (&public, "127.0.0.1", "portal_backend", 200),
        (&public, "127.0.0.1", "evil.example", 421),
        (&public, "10.0.0.1", "evil.example", 200),
        (&public, "192.0.2.1", "inside.contoso.com", 200),
        (&public, "192.0.2.1", "a/b", 400),
        (&public, "10.0.0.1", "a b", 400),
        (&own, "127.0.0.1", "", 400),
    ] {
        let answer = get(portal, peer, "/", host).await;
        assert_eq!(answer.status, expected, "{host} from {peer}");
        answer.shows("<h1");
        // Probes reveal nothing, and may use any name.
        let alive = get(portal, peer, "/livez", host).await;
        let expected = if expected == 400 { 400 } else { 200 };
        assert_eq!(alive.status, expected, "{host} from {peer}");
    }
    let elsewhere = get(&own, "127.0.0.1", "http://evil.example/", "localhost").await;
    assert_eq!(elsewhere.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_host_that_is_none_is_refused_on_the_wire() {
    let open = Open::with(Limits::default()).await;
    for (host, expected) in [("a/b", 400), ("evil.example", 421), ("portal.test", 200)] {
        let answer = open
            .tell(format!(
                "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert_has_face(&answer);
    }
    // HTTP/1.0 need not have one.
    let answer = open.tell("GET /livez HTTP/1.0\r\n\r\n").await;
    assert_says(&answer, " 200 ");
}

#[tokio::test]
async fn what_the_front_door_makes_in_advance_is_not_counted() {
    let open = Open::with(Limits::default()).await;
    assert_eq!(status(&open.get("/livez").await), 200);
    assert_eq!(counted(&open), 1);
    assert_eq!(status(&open.tell("GET / HTTP/1.1\r\n\r\n").await), 400);
    assert_eq!(counted(&open), 2, "a client's own fault is");
}

/// All answers so far.
fn counted(open: &Open) -> u64 {
    let told = meter::text(open.portal.app.meter().collectors());
    told.lines()
        .filter(|line| line.starts_with("pic_http_requests_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn a_form_is_taken_from_the_portals_own_pages_and_from_programs() {
    let own = at(listened_on()).await;
    let public = at(Origin::parse("https://fed.example").unwrap()).await;
    for (portal, host, site, origin, is_taken) in [
        (&public, "fed.example", "", "", true),
        (&public, "fed.example", "", "https://fed.example", true),
        (&public, "backend", "", "https://fed.example", true),
        (&public, "alias.example", "", "https://alias.example", true),
        (
            &public,
            "alias.example",
            "same-origin",
            "https://alias.example",
            true,
        ),
        (&public, "fed.example", "none", "", true),
        (&public, "fed.example", "", "http://fed.example", false),
        (
            &public,
            "fed.example:8443",
            "",
            "https://fed.example:8443",
            false,
        ),
        (&public, "alias.example", "", "http://alias.example", false),
        (&public, "fed.example", "", "https://evil.example", false),
        (
            &public,
            "fed.example",
            "",
            "https://fed.example.evil.example",
            false,
        ),
        (&public, "fed.example", "", "null", false),
        (
            &public,
            "fed.example",
            "cross-site",
            "https://fed.example",
            false,
        ),
        (
            &public,
            "fed.example",
            "same-site",
            "https://fed.example",
            false,
        ),
        (&public, "fed.example", "cross-site", "", false),
        (
            &public,
            "fed.example",
            "nonsense",
            "https://fed.example",
            false,
        ),
        (&own, "127.0.0.1:8080", "", "http://127.0.0.1:8080", true),
        (&own, "localhost:9000", "", "http://localhost:9000", true),
        (&own, "localhost:9000", "", "https://localhost:9000", false),
        (&own, "localhost:9000", "", "http://localhost:9001", false),
        (&own, "localhost:9000", "", "http://evil.example", false),
    ] {
        let mut request = Request::post("/requests/new")
            .header("host", host)
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let answer = portal
            .send(request.body(Body::from("action=change")).unwrap())
            .await;
        let expected = if is_taken { 200 } else { 403 };
        assert_eq!(answer.status, expected, "{host} {site} {origin}");
    }
}
