//! Does what others can make grow stay small, and can one request that fails stop others?

mod apart;
mod evidence;
mod timelines;

use crate::support::app::TestApp;

/// Sizes in bytes of all that tells of a request: its page, JSON, feed and support bundle, and the page
/// of the support desk for whoever has this cookie.
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
