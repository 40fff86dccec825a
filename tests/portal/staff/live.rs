//! Checks that the desk's streams report changes, and end with the session.

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream},
    http::{Request, StatusCode},
    response::Response,
};
use futures_util::StreamExt as _;
use pic_portal::staff::Role;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::signed_in;
use crate::support::{app::TestApp, assert_says};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const QUEUE: &str = "/staff/requests/stream";
/// Long enough for anything that happens at all, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A desk whose streams check and report quickly.
async fn quick() -> TestApp {
    TestApp::with(|site| {
        site.live.queue_gap = Duration::from_millis(1);
        site.live.session = Duration::from_millis(20);
    })
    .await
}

async fn ask(portal: &TestApp, path: &str, cookie: &str) -> Response {
    let request = Request::get(path)
        .header("cookie", cookie)
        .header("accept", "text/event-stream");
    let request = request.body(Body::empty()).unwrap();
    portal.router.clone().oneshot(request).await.unwrap()
}

/// An open stream.
struct Stream(BodyDataStream, String);

impl Stream {
    async fn open(portal: &TestApp, path: &str, cookie: &str) -> Self {
        let answer = ask(portal, path, cookie).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut stream = Self(answer.into_body().into_data_stream(), String::new());
        assert!(stream.block().await.unwrap().starts_with("retry:"));
        stream
    }

    /// The next block; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.1.find("\n\n") {
                let block: String = self.1.drain(..end + 2).collect();
                if !block.starts_with(':') {
                    return Some(block);
                }
                continue;
            }
            let part = timeout(PATIENCE, self.0.next()).await;
            let part = part.expect("something is said, or the stream ends")?;
            self.1 += std::str::from_utf8(&part.unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn the_queue_hears_that_something_has_changed_and_nothing_else() {
    let portal = quick().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let (reference, key) = portal.submit(ONE).await;
    let mut queue = Stream::open(&portal, QUEUE, &agent).await;
    let withdraw = format!("/requests/{reference}/withdraw");
    portal
        .post(&withdraw, &[("management_key", key.as_str())])
        .await;
    assert_eq!(
        queue.block().await.unwrap(),
        "event: changed\ndata: {}\n\n",
        "no data"
    );
    // The action of an agent is reported too.
    let (reference, _) = portal.submit(ONE).await;
    let refuse = format!("/staff/requests/{reference}/refuse");
    let fields = [("reason", "policy"), ("confirm", "on")];
    portal.post_with(&refuse, &fields, &agent).await;
    assert_eq!(portal.state(&reference).await, "rejected");
    assert!(queue.block().await.is_some());
}

#[tokio::test]
async fn many_changes_within_the_gap_are_one() {
    let portal = TestApp::with(|site| site.live.queue_gap = Duration::from_millis(300)).await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let mut queue = Stream::open(&portal, QUEUE, &agent).await;
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        for _ in 0..100 {
            portal.app.notifier().changed();
        }
        queue.block().await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(850));
}

#[tokio::test]
async fn a_request_is_followed_at_the_desk_until_the_session_ends() {
    for end in [
        "UPDATE staff SET disabled_at = pic_now()",
        "DELETE FROM staff_session",
        "UPDATE staff_session SET began_at = began_at - interval '12 hours'",
        "UPDATE staff_session SET began_at = began_at - interval '1 hour', seen_at = seen_at - interval '31 minutes'",
    ] {
        let portal = quick().await;
        let (reference, _) = portal.submit(ONE).await;
        let reader = signed_in(&portal, "rita", Role::Reader).await;
        let path = format!("/staff/requests/{reference}/stream");
        let mut stream = Stream::open(&portal, &path, &reader).await;
        let mut queue = Stream::open(&portal, QUEUE, &reader).await;
        let first = stream.block().await.unwrap();
        assert_says(&first, "event: status");
        assert_says(&first, "\"pending\"");
        portal.work().await;
        portal.app.notifier().changed();
        let mut told = String::new();
        while !told.contains("\"provisioned\"") {
            told = stream.block().await.unwrap();
        }
        portal.run(end).await;
        while stream.block().await.is_some() {}
        while queue.block().await.is_some() {}
        assert_eq!(portal.app.live().streams(), 0, "{end}");
        // Browsers take no page for a stream, not even the one where one signs in.
        for stream in [&path, QUEUE] {
            let refused = ask(&portal, stream, &reader).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        }
        let page = portal
            .get_with(path.trim_end_matches("/stream"), &reader)
            .await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
    }
}

/// Requests that an open page makes in the background are no use of the session.
#[tokio::test]
async fn what_a_page_asks_by_itself_does_not_keep_the_session() {
    const MINUTE: Duration = Duration::from_mins(1);
    let portal = quick().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let by_itself = async || {
        let request = Request::get("/staff/requests").header("cookie", &agent);
        let request = request.header("x-pic-live", "1").body(Body::empty());
        portal.send(request.unwrap()).await.status
    };
    portal.advance(20 * MINUTE).await;
    assert_eq!(by_itself().await, StatusCode::OK);
    portal.advance(11 * MINUTE).await;
    assert_eq!(by_itself().await, StatusCode::SEE_OTHER);
    let agent = super::sign_in(&portal, "anna").await;
    for _ in 0..3 {
        portal.advance(20 * MINUTE).await;
        let answer = portal.get_with("/staff/requests", &agent).await;
        assert_eq!(answer.status, StatusCode::OK, "somebody is at it");
    }
}

#[tokio::test]
async fn streams_are_counted_by_account_and_end_when_the_portal_stops() {
    let portal = TestApp::with(|site| site.live.share = 2).await;
    let (reference, _) = portal.submit(ONE).await;
    let path = format!("/staff/requests/{reference}/stream");
    let anna = signed_in(&portal, "anna", Role::Agent).await;
    let rita = signed_in(&portal, "rita", Role::Reader).await;
    let mut open = vec![
        Stream::open(&portal, QUEUE, &anna).await,
        Stream::open(&portal, &path, &anna).await,
    ];
    for path in [QUEUE, &path] {
        let refused = ask(&portal, path, &anna).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "30");
    }
    // Another account at the same desk, and an administrator in the same network, have their own
    // limits.
    open.push(Stream::open(&portal, QUEUE, &rita).await);
    let outside = ask(&portal, &format!("/requests/{reference}/stream"), "").await;
    assert_eq!(outside.status(), StatusCode::OK);
    drop(outside);
    drop(open.remove(0));
    open.push(Stream::open(&portal, QUEUE, &anna).await);
    portal.app.stop();
    for stream in &mut open {
        while stream.block().await.is_some() {}
    }
    drop(open);
    assert_eq!(portal.app.live().streams(), 0);
}

#[tokio::test]
async fn without_a_stream_a_link_does_the_same() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ONE).await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    for path in [
        "/staff/requests?state=rejected&amp;age=7d".to_owned(),
        format!("/staff/requests/{reference}"),
    ] {
        let page = portal.get_with(&path.replace("&amp;", "&"), &agent).await;
        let link = format!("href=\"{}\">Refresh</a>", path.replace("&amp;", "&#38;"));
        let refreshes = page.body.replace("&amp;", "&#38;").contains(&link);
        assert!(refreshes, "{link}: {}", page.body);
    }
}
