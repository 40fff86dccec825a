//! P8: measures the memory of a portal under load, and the time until it is ready.

use std::process::Stdio;

use tokio::{process::Command, time::Instant};

use super::{
    Bench,
    figures::{Goal, Line, Rounds, Times, short},
    load,
    portal::{PROGRAM, Portal},
    statements::fill,
    submits::Submits,
};

pub(crate) async fn measure(bench: &Bench) -> Vec<Line> {
    let mut lines = vec![ready(bench).await];
    lines.push(memory(bench).await);
    lines
}

/// From its start until it listens and `/readyz` answers, compared with a start that only prints
/// the version.
async fn ready(bench: &Bench) -> Line {
    bench.pool("p8").await.close().await;
    let (mut portals, mut bare) = (Times::default(), Times::default());
    let mut rounds = Rounds::default();
    for _ in 0..bench.of(9, 1) {
        let began = Instant::now();
        let mut program = Command::new(PROGRAM);
        let version = program
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        assert!(
            version
                .status()
                .await
                .expect("the portal's program")
                .success()
        );
        bare.push(began.elapsed());

        let portal = Portal::start(bench, "p8").await;
        assert!(
            portal.is_ready().await,
            "it is ready as soon as it says that it listens"
        );
        portals.push(portal.start);
        rounds.push(portal.start.as_secs_f64() * 1000.0);
        portal.stop().await;
    }
    Line {
        measure: "P8 ready after exec on a migrated database".into(),
        goal: Goal::AtMost(100.0),
        figure: rounds.median(),
        unit: " ms",
        beside: String::new(),
        yardstick: format!(
            "the same program saying its version: {} ms",
            short(bare.at(500))
        ),
        spread: rounds.spread(),
    }
}

/// The most memory it used, with 512 connections that submit while it drains what is pending.
async fn memory(bench: &Bench) -> Line {
    let pending = if bench.million {
        1_000_000
    } else {
        bench.of(20_000, 500)
    };
    let connections = bench.of(512, 64);
    let pool = bench.pool("p8").await;
    fill(&pool, pending).await;
    pool.close().await;
    let portal = Portal::start(bench, "p8").await;
    let (at_start, _) = portal.memory();
    let span = bench.span(1.0, 9.0);
    let outcome = load::closed(portal.address, connections, span, &Submits::default()).await;
    let (now, most) = portal.memory();
    portal.stop().await;
    Line {
        measure: format!("P8 memory, {connections} connections, {pending} pending"),
        goal: Goal::AtMost(40.0),
        figure: most,
        unit: " MB",
        beside: format!("the most it had; {} MB afterwards", short(now)),
        yardstick: format!("{} MB at its start", short(at_start)),
        spread: format!("one round, {} submits", outcome.all_done),
    }
}
