//! Checks that a portal's memory does not grow the longer it runs.

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use pic_portal::db::MIGRATOR;
use tokio::task::JoinSet;

use super::{
    Dice,
    load::{Addresses, Log, clients},
};
use crate::support::{
    consistency::assert_consistent,
    db::TestDb,
    process::{Portal, exchange, scratch},
};

/// How many clients change data, and how many read.
const WRITERS: usize = 6;
const READERS: usize = 2;
/// Log entries between two measurements of the memory.
const BETWEEN: usize = 10;
/// Measurements in the short form.
const LOOKS: usize = 60;
/// How much more the second half may need than the first, in addition to a twentieth: some 4 KiB
/// for each request between their middles in the short form, and next to nothing in the long one.
const SLACK_KIB: u64 = 1024;

/// Resident memory of a process in KiB.
pub(super) fn resident(process: u32) -> u64 {
    kib(process, "VmRSS:")
}

/// The highest resident memory of a process so far, in KiB.
pub(super) fn most_resident(process: u32) -> u64 {
    kib(process, "VmHWM:")
}

fn kib(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.unwrap().trim().split(' ').next().unwrap();
    number.parse().unwrap()
}

fn median(of: &[u64]) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Reads all readable pages until `stop`; returns how many.
async fn read(portal: std::net::SocketAddr, log: Arc<Log>, stop: Arc<AtomicBool>) -> usize {
    let mut pages = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = format!("/requests/{}", log.last().unwrap_or_default());
        for (path, accept) in [
            ("/", "text/html"),
            ("/requests/new", "text/html"),
            ("/help", "text/html"),
            ("/privacy", "text/html"),
            ("/service", "text/html"),
            (&request, "text/html"),
            (&request, "application/json"),
            (&format!("{request}/feed.atom"), "*/*"),
            (&format!("{request}/calendar.ics"), "*/*"),
            ("/status?q=shared1.example", "text/html"),
            (&format!("/nothing/{pages}"), "text/html"),
        ] {
            let answer = exchange(portal, "GET", path, &[("accept", accept)], "").await;
            let status = answer.unwrap().status;
            let known = [StatusCode::OK, StatusCode::NOT_FOUND];
            assert!(known.contains(&status), "{path}: {status}");
            pages += 1;
        }
    }
    pages
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_under_load() {
    let seconds = env::var("PIC_SOAK_SECONDS").map(|s| s.parse().expect("a number"));
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut dice = Dice::cast();
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ("PIC_RECHECK_FIRST", "1s"),
        ("PIC_RECHECK_MAX", "5s"),
        ("PIC_SWEEP", "5s"),
    ];
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let (log, stop) = (Log::new(), Arc::new(AtomicBool::new(false)));
    let addresses = Addresses::new(vec![portal.address]);
    let writers = clients(WRITERS, &mut dice, &addresses, &log, &stop);
    let loader: JoinSet<_> = (0..READERS)
        .map(|_| read(portal.address, Arc::clone(&log), Arc::clone(&stop)))
        .collect();
    let mut looks = Vec::new();
    while until
        .as_ref()
        .map_or_else(|_| looks.len() < LOOKS, |until| Instant::now() < *until)
    {
        log.more(BETWEEN).await;
        looks.push(resident(portal.id()));
    }
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
    let pages: usize = loader.join_all().await.iter().sum();
    assert_consistent(db.pool(), "a lot of load").await;
    // By then everything that is loaded and kept once is in memory.
    let warm = &looks[looks.len() / 5..];
    let (first, second) = warm.split_at(warm.len() / 2);
    let (before, after) = (median(first), median(second));
    println!(
        "{} things done and {pages} pages read: {before} KiB in the first half, {after} KiB in the second, {} KiB at most",
        log.len(),
        warm.iter().max().unwrap(),
    );
    assert!(
        after <= before + before / 20 + SLACK_KIB,
        "{before} KiB, then {after} KiB: {looks:?}"
    );
    portal.stop().await;
}
