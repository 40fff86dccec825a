//! P1 to P3: measures the rate of submits, their flushes, and how long one takes.

use std::{
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, postgres::PgConnectOptions,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Bench,
    express::Express,
    figures::{Goal, Line, Rounds, Times, figure, in_turn, short},
    http::Answer,
    load::{self, Asks, Outcome, Verdict},
    pgbench::Plan,
    portal::Portal,
    statements::submit_script,
    yardstick::Yardstick,
};

/// Sends complete, valid forms, each for domains that no other form uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Submits {
    body: Vec<u8>,
}

impl Asks for Submits {
    fn write(&mut self, into: &mut Vec<u8>) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Relaxed);
        self.body.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(
            self.body,
            "programme=volume_licensing&number={}&edge=sip.d{n}.example&domains=d{n}.example+it.d{n}.example\
             &deployment=on_premises&terms=on&submission_id={}&action=submit",
            1_000_000 + n % 9_000_000,
            Uuid::new_v4(),
        );
        let _ = write!(
            into,
            "POST /requests/new HTTP/1.1\r\nhost: portal.test\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
            self.body.len()
        );
        into.extend_from_slice(&self.body);
    }

    fn judge(&mut self, answer: &Answer<'_>) -> Verdict {
        match answer.status {
            303 => Verdict::Done,
            503 if answer.header("retry-after").is_some() => Verdict::Refused,
            other => panic!("a submit was answered with {other}"),
        }
    }
}

/// The reference in the response to a submit.
pub(crate) fn reference(answer: &Answer<'_>) -> String {
    let location = answer.header("location").expect("an address");
    location.split('/').nth(2).expect("a reference").to_owned()
}

/// A portal on a database of its own, and what it has acknowledged.
pub(crate) struct Submitting {
    pub(crate) portal: Portal,
    pub(crate) pool: PgPool,
    options: PgConnectOptions,
    /// Requests that were stored at the last check.
    stored: usize,
}

impl Submitting {
    pub(crate) async fn start(bench: &Bench, database: &str) -> Self {
        let options = bench.server.database(database).await;
        let pool = bench.pool(database).await;
        let portal = Portal::start(bench, database).await;
        Self {
            portal,
            pool,
            options,
            stored: 0,
        }
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.pool)
            .await
            .expect("a number")
    }

    /// Adds what a load has submitted, and checks that exactly that is stored. A request that was
    /// refused with a timeout may be stored or not.
    pub(crate) async fn account_for(&mut self, outcome: &Outcome) {
        let stored = self.number("SELECT count(*) FROM request").await;
        let stored = usize::try_from(stored).expect("a count");
        let least = self.stored + outcome.all_done;
        assert!(
            (least..=least + outcome.all_refused).contains(&stored),
            "{} are stored where {least} were acknowledged and {} refused",
            stored,
            outcome.all_refused
        );
        self.stored = stored;
    }

    /// Waits until no request is pending.
    pub(crate) async fn settled(&self) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while self.number("SELECT count(*) FROM work").await > 0 {
            assert!(
                Instant::now() < deadline,
                "the background task does not get on"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Keeps the background task from settling, until [`Held::release`], to measure submits alone.
    /// They do not use the table that is locked.
    async fn hold(&self) -> Held {
        let mut connection = self.options.connect().await.expect("a connection");
        sqlx::raw_sql("BEGIN; LOCK TABLE route IN SHARE MODE")
            .execute(&mut connection)
            .await
            .expect("a lock");
        Held(connection)
    }

    /// Submits a second in a closed loop, with the background task held or not. At the end
    /// everything is settled.
    async fn load(&mut self, bench: &Bench, connections: usize, is_held: bool) -> f64 {
        let held = if is_held {
            Some(self.hold().await)
        } else {
            None
        };
        let span = bench.span(0.5, 2.5);
        let submits = Submits::default();
        let outcome = load::closed(self.portal.address, connections, span, &submits).await;
        if let Some(held) = held {
            held.release().await;
        }
        self.settled().await;
        self.account_for(&outcome).await;
        outcome.rate()
    }

    pub(crate) async fn stop(self) {
        self.pool.close().await;
        self.portal.stop().await;
    }
}

/// While it exists, the background task waits.
struct Held(PgConnection);

impl Held {
    async fn release(self) {
        // Closing the connection ends its transaction.
        self.0.close().await.expect("a connection that closes");
    }
}

/// P1: with the background task running, with the task held, and the yardsticks.
///
/// Many backends on few cores slow each other down, and take seconds to start: the yardstick of 512
/// connections is `pgbench` with as many, or with 32 where that is faster.
pub(crate) async fn throughput(bench: &Bench) -> Vec<Line> {
    let mut portal = Submitting::start(bench, "p1").await;
    let mut sql = Yardstick::on(bench, "p1_sql").await;
    let express = Express::start(bench, "p1_express").await;
    let mut lines = Vec::new();
    let sizes = [(32, 2.6), (512, 4.0)];
    for (connections, goal) in sizes.into_iter().take(bench.of(2, 1)) {
        let few = connections == 32;
        let [mut whole, mut alone, mut single, mut sliced, mut by_express] =
            [(); 5].map(|()| Rounds::default());
        for round in 0..bench.rounds() {
            let mut by_one = [0.0_f64; 2];
            for place in in_turn(round, 6) {
                match place {
                    0 => whole.push(portal.load(bench, connections, false).await),
                    1 => alone.push(portal.load(bench, connections, true).await),
                    2 => by_one[0] = sql.rate(1, 32, (1, 2)).await,
                    3 if few => {}
                    3 => by_one[1] = sql.rate(1, connections, (3, 3)).await,
                    4 => {
                        if let Some(express) = &express {
                            let (span, submits) = (bench.span(0.5, 2.5), Submits::default());
                            let load = load::closed(express.address, connections, span, &submits);
                            by_express.push(load.await.rate());
                        }
                    }
                    _ => sliced.push(sql.rate(MEMBERS, WRITERS, (1, 2)).await),
                }
            }
            single.push(by_one[0].max(by_one[1]));
        }
        let or = if few { "32" } else { "32 or 512" };
        let by_one = format!("pgbench, the same SQL for one request a call, {or} connections");
        let by_many = format!("the same for {MEMBERS} requests a call, {WRITERS} connections");
        let measure = format!("P1 durable submits, {connections} connections");
        let held = format!("{measure}, the background task held");
        let goal = Goal::AtLeast(goal);
        lines.extend([
            Line::ratio(&measure, goal, &whole, (&by_one, &single)),
            Line::ratio(&held, Goal::None, &alone, (&by_one, &single)),
            Line::ratio(&held, Goal::None, &alone, (&by_many, &sliced)),
        ]);
        if express.is_some() {
            let by_express = ("Express and pg in two workers, the same form", &by_express);
            lines.push(Line::ratio(
                &measure,
                Goal::AtLeast(3.5),
                &whole,
                by_express,
            ));
        }
    }
    sql.close().await;
    portal.stop().await;
    lines
}

/// Requests in each call, and connections, at which PostgreSQL stores most (`docs/performance.md`).
const MEMBERS: usize = 64;
const WRITERS: usize = 8;

/// P2: flushes and bytes of the write-ahead log for each submit, with the background task held,
/// because it has flushes of its own.
pub(crate) async fn flushes(bench: &Bench) -> Vec<Line> {
    let mut portal = Submitting::start(bench, "p2").await;
    let address = portal.portal.address;
    let mut held = portal.hold().await;
    let warm_up = load::closed(address, 32, bench.span(1.0, 1.0), &Submits::default()).await;
    portal.account_for(&warm_up).await;
    let mut of_a_submit = [(); 3].map(|()| Rounds::default());
    for _ in 0..bench.rounds() {
        let before = counted(&mut held).await;
        let outcome = load::closed(address, 32, bench.span(0.0, 4.0), &Submits::default()).await;
        let after = counted(&mut held).await;
        portal.account_for(&outcome).await;
        for (rounds, (before, after)) in of_a_submit.iter_mut().zip(before.into_iter().zip(after)) {
            rounds.push((after - before) / figure(outcome.all_done));
        }
    }
    held.release().await;
    portal.stop().await;
    let [flushes, bytes, pages] = of_a_submit;
    let line = |measure: &str, goal, unit, rounds: &Rounds, beside: String| Line {
        measure: format!("P2 {measure} a submit, 32 connections"),
        goal: Goal::AtMost(goal),
        figure: rounds.median(),
        unit,
        beside,
        yardstick: "pg_stat_wal".into(),
        spread: rounds.spread(),
    };
    let pages = format!("with {} whole pages", short(pages.median()));
    vec![
        line("flushes", 0.05, "", &flushes, String::new()),
        line("bytes of write-ahead log", 1700.0, "", &bytes, pages),
    ]
}

/// Flushes, bytes and whole pages of the write-ahead log so far. All other connections to the
/// database are ended first, because they report their counters then; the portal opens new ones.
async fn counted(held: &mut Held) -> [f64; 3] {
    let others: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .fetch_all(&mut held.0)
    .await
    .expect("connections");
    // It waits for the end of each; one that has ended already only causes a warning.
    sqlx::query("SELECT pg_terminate_backend(pid, 10000) FROM unnest($1) AS pid")
        .bind(&others)
        .execute(&mut held.0)
        .await
        .expect("connections of our own");
    // Otherwise this connection would read its earlier values again, in the same transaction.
    sqlx::raw_sql("SELECT pg_stat_clear_snapshot()")
        .execute(&mut held.0)
        .await
        .expect("it runs");
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)")
            .bind(&others)
            .fetch_one(&mut held.0)
            .await
            .expect("a number");
    assert_eq!(left, 0, "connections that do not end");
    let (flushes, bytes, pages) = sqlx::query_as(
        "SELECT wal_sync::float8, wal_bytes::float8, wal_fpi::float8 FROM pg_stat_wal",
    )
    .fetch_one(&mut held.0)
    .await
    .expect("counters");
    [flushes, bytes, pages]
}

/// P3: how long a submit takes at half of the maximum rate.
pub(crate) async fn latency(bench: &Bench) -> Vec<Line> {
    let mut portal = Submitting::start(bench, "p3").await;
    let address = portal.portal.address;
    let sql = bench.server.database("p3_sql").await;
    bench.pool("p3_sql").await.close().await;
    let script = submit_script(1);
    let connections = bench.of(512, 32);
    let (mut ours, mut by_sql) = (Times::default(), Times::default());
    let mut at = [("p50", 500, 5.0), ("p99", 990, 25.0), ("p99.9", 999, 100.0)]
        .map(|goal| (goal, Rounds::default()));
    let (mut rates, mut sql_rates) = (Rounds::default(), Rounds::default());
    for _ in 0..bench.rounds() {
        let submits = Submits::default();
        let most = load::closed(address, connections, bench.span(1.0, 3.0), &submits).await;
        portal.settled().await;
        portal.account_for(&most).await;
        let rate = (most.rate() / 2.0).max(1.0);
        let half = load::open(address, connections, rate, bench.span(1.0, 6.0), &submits).await;
        portal.settled().await;
        portal.account_for(&half).await;
        for ((_, thousandths, _), rounds) in &mut at {
            rounds.push(half.times.at(*thousandths));
        }
        rates.push(rate);
        ours.extend(half.times);

        let plan = Plan {
            script: &script,
            connections: 32,
            seconds: bench.seconds(1, 3),
            rate: None,
        };
        let rate = (bench.pgbench.run(&sql, plan).await.rate / 2.0).max(1.0);
        let plan = Plan {
            seconds: bench.seconds(1, 6),
            rate: Some(rate),
            ..plan
        };
        sql_rates.push(rate);
        by_sql.extend(bench.pgbench.run(&sql, plan).await.times);
    }
    portal.stop().await;
    at.into_iter()
        .map(|((part, thousandths, goal), rounds)| Line {
            measure: format!("P3 {part} of submits at half of the own most"),
            goal: Goal::AtMost(goal),
            figure: rounds.median(),
            unit: " ms",
            beside: format!("{} submits at {}/s", ours.count(), short(rates.median())),
            yardstick: format!(
                "pgbench, the same SQL at half of its own most, {}/s: {} ms",
                short(sql_rates.median()),
                short(by_sql.at(thousandths))
            ),
            spread: rounds.spread(),
        })
        .collect()
}
