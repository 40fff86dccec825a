//! P6: measures the time from a submit to routes in force, and the queries of an idle portal.
//!
//! The portals are idle except for one request at a time. That it is provisioned is seen on the
//! channel on which portals notify each other of changes, which they do after the commit: so the
//! times run from before the submit was sent until another session was notified.

use std::time::Duration;

use pic_portal::db::notify::{STATUS_CHANNEL, WORK_CHANNEL};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, postgres::PgListener};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Bench,
    figures::{Goal, Line, Times, short},
    http::{Connection, get},
    load::Asks as _,
    portal::Portal,
    statements::submit,
    submits::{Submits, Submitting, reference},
};

/// Pause between two requests: longer than portals wait between two notifications.
const PAUSE: Duration = Duration::from_millis(75);
/// After this time the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn measure(bench: &Bench) -> Vec<Line> {
    let mut server = bench
        .server
        .database("postgres")
        .await
        .connect()
        .await
        .expect("a connection");
    bench.server.database("p6").await;
    sqlx::raw_sql(
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
         ALTER DATABASE p6 SET pg_stat_statements.track = 'top'",
    )
    .execute(&mut server)
    .await
    .expect("PostgreSQL's contrib modules");
    let portal = Submitting::start(bench, "p6").await;
    let mut listener = PgListener::connect_with(&portal.pool)
        .await
        .expect("a connection");
    listener.listen(STATUS_CHANNEL).await.expect("it listens");
    let times = bench.of(200, 5);

    let (mut here, mut there, mut told) = (Times::default(), Times::default(), Times::default());
    for n in 0..times {
        here.push(by_itself(&portal, &mut listener).await);
        there.push(by_another(&portal, &mut listener, n).await);
    }
    let other = Portal::start(bench, "p6").await;
    for _ in 0..times {
        told.push(on_the_stream(&portal, &other).await);
    }
    other.stop().await;

    let window = bench.of(Duration::from_secs(30), Duration::from_secs(1));
    // The work after the last request does not count as idle.
    sleep(bench.of(Duration::from_secs(2), Duration::from_millis(100))).await;
    let before = statements(&mut server).await;
    assert!(before.1 > 0, "claims are known by what they ask");
    sleep(window).await;
    let after = statements(&mut server).await;
    let each =
        |calls: i64| f64::from(i32::try_from(calls).expect("few")) * 5.0 / window.as_secs_f64();
    let statements = each(after.0 - before.0);
    let claims = each(after.1 - before.1);
    drop(listener);
    portal.stop().await;

    let line = |measure: &str, goal, figure, times: &Times| Line {
        measure: format!("P6 {measure}"),
        goal,
        figure,
        unit: " ms",
        beside: format!("{} requests: {times}", times.count()),
        yardstick: "heard by LISTEN, after the commit".into(),
        spread: "p50 / p99 / p99.9".into(),
    };
    vec![
        line(
            "sent to provisioned, p50",
            Goal::AtMost(5.0),
            here.at(500),
            &here,
        ),
        line(
            "sent to provisioned, p99",
            Goal::AtMost(15.0),
            here.at(990),
            &here,
        ),
        line(
            "provisioned by another instance, p99",
            Goal::AtMost(50.0),
            there.at(990),
            &there,
        ),
        Line {
            yardstick: "event on the other's stream, opened after the answer".into(),
            ..line(
                "sent here, told there, p99",
                Goal::AtMost(50.0),
                told.at(990),
                &told,
            )
        },
        Line {
            measure: "P6 claims when idle, in 5 s".into(),
            goal: Goal::AtMost(1.0),
            figure: claims,
            unit: "",
            beside: format!("{} statements in all", short(statements)),
            yardstick: "pg_stat_statements".into(),
            spread: format!("in {} s", window.as_secs()),
        },
    ]
}

/// Submits one request to the only portal, and waits until it is provisioned.
async fn by_itself(portal: &Submitting, listener: &mut PgListener) -> Duration {
    let mut connection = Connection::to(portal.portal.address)
        .await
        .expect("a connection");
    let mut request = Vec::new();
    Submits::default().write(&mut request);
    pause(listener).await;
    let began = Instant::now();
    let answer = connection.ask(&request).await.expect("an answer");
    assert_eq!(answer.status, 303);
    let reference = reference(&answer);
    heard(portal, listener, &reference, began).await
}

/// Stores one request as a portal would whose background task is busy, and notifies the others as
/// it would: the only portal acts as another one.
async fn by_another(portal: &Submitting, listener: &mut PgListener, n: u32) -> Duration {
    let mut connection = portal.pool.acquire().await.expect("a connection");
    let sql = submit(&format!("{}::bigint", 1 + n), 1);
    pause(listener).await;
    let began = Instant::now();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *connection)
        .await
        .expect("stored");
    sqlx::query("SELECT pg_notify($1, '')")
        .bind(WORK_CHANNEL)
        .execute(&mut *connection)
        .await
        .expect("told");
    let reference: String =
        sqlx::query_scalar("SELECT reference FROM request ORDER BY id DESC LIMIT 1")
            .fetch_one(&mut *connection)
            .await
            .expect("a reference");
    heard(portal, listener, &reference, began).await
}

/// Submits one request to one portal, and waits until the stream of another one says that it is
/// provisioned.
async fn on_the_stream(portal: &Submitting, other: &Portal) -> Duration {
    let mut connection = Connection::to(portal.portal.address)
        .await
        .expect("a connection");
    let mut stream = Connection::to(other.address).await.expect("a connection");
    let mut request = Vec::new();
    Submits::default().write(&mut request);
    sleep(PAUSE).await;
    let began = Instant::now();
    let answer = connection.ask(&request).await.expect("an answer");
    assert_eq!(answer.status, 303);
    let path = format!("/requests/{}/stream", reference(&answer));
    let request = get(&path, "");
    let told = stream.ask_until(&request, b"\"state\":\"provisioned\"");
    timeout(PATIENCE, told)
        .await
        .expect("in time")
        .expect("a stream");
    began.elapsed()
}

/// Waits until the portals are idle, and drops the notifications that came meanwhile.
async fn pause(listener: &mut PgListener) {
    sleep(PAUSE).await;
    while listener.next_buffered().is_some() {}
}

/// Waits for a notification after which the request is provisioned.
async fn heard(
    portal: &Submitting,
    listener: &mut PgListener,
    reference: &str,
    began: Instant,
) -> Duration {
    loop {
        let heard = timeout(PATIENCE, listener.recv()).await;
        heard.expect("in time").expect("a connection that lasts");
        let took = began.elapsed();
        let state: String = sqlx::query_scalar("SELECT state FROM request WHERE reference = $1")
            .bind(reference)
            .fetch_one(&portal.pool)
            .await
            .expect("a state");
        if state == "provisioned" {
            return took;
        }
    }
}

/// The number of statements on the database so far, and of those that search for due work and claim
/// it.
async fn statements(server: &mut PgConnection) -> (i64, i64) {
    sqlx::query_as(
        "SELECT coalesce(sum(calls), 0)::bigint,
                coalesce(sum(calls) FILTER (WHERE query ~ 'pic_settle|work'), 0)::bigint
         FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = 'p6'",
    )
    .fetch_one(server)
    .await
    .expect("counters")
}
