//! Checks that data which others can make grow stays small, and that one failing request stops no
//! other.

mod apart;
mod evidence;
mod timelines;

use crate::support::app::TestApp;

/// Sizes in bytes of everything that shows a request: its page, JSON, feed and support bundle, and
/// the page of the support desk with this session cookie.
async fn sizes(portal: &TestApp, reference: &str, desk: &str) -> Vec<(String, usize)> {
    let page = format!("/requests/{reference}");
    let json = axum::http::Request::get(&page).header("accept", "application/json");
    let json = portal
        .send(json.body(axum::body::Body::empty()).unwrap())
        .await;
    let mut sizes = vec![("JSON".to_owned(), json.body.len())];
    for path in [
        page.clone(),
        format!("{page}/feed.atom"),
        format!("{page}/support.txt"),
        format!("/staff{page}"),
    ] {
        let answer = portal.get_with(&path, desk).await;
        assert_eq!(answer.status, axum::http::StatusCode::OK, "{path}");
        sizes.push((path, answer.body.len()));
    }
    sizes
}
