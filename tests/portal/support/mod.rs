//! What do several tests need?

pub(crate) mod app;
pub(crate) mod consistency;
pub(crate) mod db;
pub(crate) mod dns;
pub(crate) mod edge;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod world;

use std::time::{Duration, Instant};

/// Polls `condition` until it yields a value; for what other processes do.
///
/// # Panics
/// After 30 seconds, naming `what` was waited for.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "still waiting after 30 seconds: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
