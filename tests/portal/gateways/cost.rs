//! Measures what publishing adds to settling: the same work with a gateway and without, in turns.
//!
//! ```text
//! cargo test --test portal gateways::cost -- --ignored --nocapture
//! ```

use std::time::{Duration, Instant};

use super::{Gateway, publish};
use crate::support::app::TestApp;

/// What is settled at a time: about as much as comes between two publications under full load.
const BATCH: usize = 500;
const ROUNDS: usize = 20;

#[tokio::test]
#[ignore = "measures times, and asserts none"]
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
async fn what_publishing_adds_to_settling() {
    let portal = TestApp::new().await;
    Gateway::add(&portal, "gw1").await;
    portal.run("CREATE TABLE aside AS TABLE gateway").await;
    let (mut with, mut without, mut publishing) = (Vec::new(), Vec::new(), Vec::new());
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    for round in 0..2 * ROUNDS {
        let publishes = round % 2 == 0;
        portal.run("DELETE FROM gateway").await;
        if publishes {
            portal.run("INSERT INTO gateway TABLE aside").await;
        }
        portal.store(BATCH).await;
        let began = Instant::now();
        portal.work().await;
        let settled = began.elapsed();
        let began = Instant::now();
        publish(&portal).await;
        if publishes {
            with.push(settled);
            publishing.push(began.elapsed());
        } else {
            without.push(settled);
        }
    }
    let (with, without, publishing) = (
        median(&mut with),
        median(&mut without),
        median(&mut publishing),
    );
    let share = |of: Duration| 100.0 * of.as_secs_f64() / without.as_secs_f64();
    println!(
        "{BATCH} settled without a gateway in {without:?}; with one in {with:?} ({:+.1} %), and published in {publishing:?} ({:.1} %)",
        share(with) - 100.0,
        share(publishing)
    );
}
