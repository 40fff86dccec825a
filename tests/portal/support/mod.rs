//! What the tests of the portal share.

pub(crate) mod app;
pub(crate) mod consistency;
pub(crate) mod db;
pub(crate) mod desk;
pub(crate) mod dns;
pub(crate) mod edge;
pub(crate) mod html;
pub(crate) mod oidc;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod sql;
pub(crate) mod world;

use std::time::{Duration, Instant};

/// Polls `condition` until it returns a value; for what other processes do.
///
/// # Panics
/// After a minute, with `what` it waited for.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "still waiting after a minute: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asserts that a text has `part` in it.
#[track_caller]
pub(crate) fn assert_says(text: &(impl AsRef<str> + ?Sized), part: &str) {
    let text = text.as_ref();
    assert!(text.contains(part), "no {part:?} in {text}");
}
