//! Measures what publishing adds to settling, the same work with a gateway and without in turns, and how soon a
//! thousand gateways that wait have a change.
//!
//! ```text
//! cargo test --test portal gateways::cost -- --ignored --nocapture
//! ```

use std::{fs, time::Instant};

use futures_util::future::join_all;
use pic_portal::{db::MIGRATOR, gateway::GatewayToken};
use sqlx::{ConnectOptions as _, PgConnection};

use super::Gateway;
use crate::support::{
    app::{TestApp, request, submission_id},
    db::TestDb,
    eventually,
    process::{Connection, Portal, scratch},
    sql,
};

/// What is settled at a time: about as much as comes between two publications under full load.
const BATCH: usize = 500;
const ROUNDS: usize = 20;

/// Says that the checks of all that is due found nothing that is wrong: a claim, and what they found.
const CHECKED: &str = "UPDATE work SET lease_token = '00000000-0000-0000-0000-000000000001', lease_until = pic_now() + interval '1 h'";
const FOUND: &str = "SELECT jsonb_agg(jsonb_build_object('request_id', r.request_id, 'blocked', false, 'proven', ARRAY[d], 'findings',
        jsonb_build_array(jsonb_build_array('srv', 'ok', d, e, ARRAY[e]), jsonb_build_array('domain-proven', 'ok', d, '', '{}'::text[]),
                          jsonb_build_array('certificate', 'ok', e, e, ARRAY[e]), jsonb_build_array('sip', 'ok', e, '', '{}'::text[]))))::text
    FROM work w JOIN request_route r USING (request_id) JOIN request_edge q ON q.request_id = r.request_id AND q.ordinal = r.edge,
         LATERAL (VALUES (r.sip_domain::text, q.access_edge::text)) AS n (d, e)";
const SETTLE_CHECKED: &str = "SELECT (pic_settle(ARRAY(SELECT request_id FROM work), '00000000-0000-0000-0000-000000000001', 500, NULL,
    ROW('90 d', '1 h', '1 d', '1 d')::pic_waits, $1::jsonb)).provisioned";
const SETTLE: &str = "SELECT (pic_settle(NULL, NULL, 500, NULL, ROW('90 d', '1 h', '1 d', '1 d')::pic_waits, '[]')).provisioned";
const PUBLISH: &str = "SELECT news FROM pic_publish('5 min', false, false)";

/// A connection, and the process of PostgreSQL that serves it.
struct Session {
    connection: PgConnection,
    process: i32,
}

impl Session {
    async fn on(portal: &TestApp) -> Self {
        let mut connection = portal.db().options().connect().await.unwrap();
        let process = sqlx::query_scalar("SELECT pg_backend_pid()");
        let process = process.fetch_one(&mut connection).await.unwrap();
        Self {
            connection,
            process,
        }
    }

    async fn run(&mut self, sql: &'static str) {
        sqlx::raw_sql(sql)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    /// Runs a statement that takes at most one parameter; milliseconds of processor time that it took.
    async fn cost(&mut self, sql: &'static str, parameter: Option<&str>) -> f64 {
        let path = format!("/proc/{}/schedstat", self.process);
        let used = || {
            let stat = fs::read_to_string(&path).unwrap();
            let nanoseconds: f64 = stat.split(' ').next().unwrap().parse().unwrap();
            nanoseconds / 1e6
        };
        let before = used();
        let mut query = sqlx::query(sql);
        if let Some(parameter) = parameter {
            query = query.bind(parameter);
        }
        query.fetch_all(&mut self.connection).await.unwrap();
        used() - before
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Processor time of PostgreSQL, which others on the machine change little.
#[tokio::test]
#[ignore = "measures times, and asserts none"]
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
async fn what_publishing_adds_to_settling() {
    for checks in [false, true] {
        let portal = TestApp::new().await;
        Gateway::add(&portal, "gw1").await;
        let mut session = Session::on(&portal).await;
        session.run("CREATE TABLE aside AS TABLE gateway").await;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let (mut publishing, mut telling) = (Vec::new(), Vec::new());
        for round in 0..2 * ROUNDS {
            let publishes = round % 2 == 0;
            session.run("DELETE FROM gateway").await;
            if publishes {
                session.run("INSERT INTO gateway TABLE aside").await;
            }
            portal.store(BATCH).await;
            let settled = if checks {
                session.run(CHECKED).await;
                let found = sqlx::query_scalar(FOUND);
                let found: String = found.fetch_one(&mut session.connection).await.unwrap();
                session.cost(SETTLE_CHECKED, Some(&found)).await
            } else {
                session.cost(SETTLE, None).await
            };
            assert_eq!(portal.number("SELECT count(*) FROM work").await, 0);
            if publishes {
                with.push(settled);
                publishing.push(session.cost(PUBLISH, None).await);
                session
                    .run(
                        "UPDATE gateway SET silent = false, heard_at = pic_now(), loaded_at = pic_now(),
                                            serial = (SELECT max(serial) FROM publication)",
                    )
                    .await;
                telling.push(session.cost(PUBLISH, None).await);
            } else {
                without.push(settled);
            }
        }
        let (with, without) = (median(with), median(without));
        let (publishing, telling) = (median(publishing), median(telling));
        let share = |of: f64| 100.0 * of / without;
        println!(
            "{} {BATCH} settled without a gateway in {without:.1} ms of processor; with one in {with:.1} ms ({:+.1} %), \
             published in {publishing:.1} ms ({:.1} %), told as live in {telling:.1} ms ({:.1} %)",
            if checks { "checks on:" } else { "checks off:" },
            share(with) - 100.0,
            share(publishing),
            share(telling)
        );
    }
}

/// Gateways that wait at once.
const CROWD: usize = 1_000;
const CHANGES: usize = 7;

/// Resident memory of a process in KiB.
fn resident(process: u32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// Time of processors that a process has used: hundredths of a second.
fn used(process: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    fields
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}

/// Registers all of them; their tokens.
async fn crowd(db: &TestDb) -> Vec<GatewayToken> {
    let tokens: Vec<_> = (0..CROWD).map(|_| GatewayToken::random()).collect();
    let hashes: Vec<_> = tokens.iter().map(|token| token.hash().to_vec()).collect();
    sqlx::query(
        "INSERT INTO gateway (name, token_hash, created_at) \
         SELECT 'gw' || n, h, pic_now() FROM unnest($1::bytea[]) WITH ORDINALITY AS u (h, n)",
    )
    .bind(&hashes)
    .execute(db.pool())
    .await
    .unwrap();
    tokens
}

#[tokio::test]
#[ignore = "measures times, and asserts none"]
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
async fn how_soon_a_thousand_gateways_have_a_change() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
    ];
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let tokens = crowd(&db).await;
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
    portal.post("/requests/new", &fields).await.unwrap();
    let newest = "SELECT epoch || '.' || serial FROM publication WHERE routes = 1 ORDER BY serial DESC LIMIT 1";
    let mut has: String = eventually("the route is published", async || {
        let newest = sqlx::query_scalar(newest).fetch_optional(db.pool());
        newest.await.unwrap()
    })
    .await;
    let before = resident(portal.id());
    let mut lines = Vec::new();
    for _ in &tokens {
        lines.push(Connection::to(portal.address).await.unwrap());
    }
    let (mut all, mut half, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for change in 0..CHANGES {
        let path = format!("/gateway/changes?since={has}");
        for (line, token) in lines.iter_mut().zip(&tokens) {
            let bearer = format!("Bearer {}", token.reveal());
            let headers = [("authorization", bearer.as_str()), ("prefer", "wait=60")];
            line.ask("GET", &path, &headers, "").await.unwrap();
        }
        let sent = Instant::now();
        let receipts = "SELECT count(*) FROM gateway g JOIN publication p ON p.serial = g.serial
                        WHERE p.epoch || '.' || p.serial = $1";
        eventually("all wait", async || {
            let heard = sqlx::query_scalar(receipts).bind(&has).fetch_one(db.pool());
            let heard: i64 = heard.await.unwrap();
            (heard == i64::try_from(CROWD).unwrap()).then_some(())
        })
        .await;
        told.push(sent.elapsed());
        if change == 0 {
            let grown = resident(portal.id()) - before;
            println!("{CROWD} gateways wait: {grown} KiB more");
        }
        let (portal_used, own_used) = (used(&portal.id().to_string()), used("self"));
        let moved =
            format!("SELECT sip_domain, 'sip{change}.contoso.com' AS access_edge FROM route");
        sql::put_routes(db.pool(), &moved).await;
        let began = Instant::now();
        sqlx::query("NOTIFY pic_status")
            .execute(db.pool())
            .await
            .unwrap();
        let answers = join_all(lines.iter_mut().map(async |line| {
            let answer = line.answer().await.unwrap();
            (began.elapsed(), answer)
        }));
        let mut times = Vec::new();
        for (time, answer) in answers.await {
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(
                body["set"][0]["access_edge"],
                format!("sip{change}.contoso.com")
            );
            has = super::version(&body);
            times.push(time);
        }
        times.sort_unstable();
        half.push(times[CROWD / 2]);
        all.push(times[CROWD - 1]);
        println!(
            "first {:?}, half {:?}, all {:?}; processors: portal {} ms, client {} ms",
            times[0],
            times[CROWD / 2],
            times[CROWD - 1],
            10 * (used(&portal.id().to_string()) - portal_used),
            10 * (used("self") - own_used)
        );
    }
    for times in [&mut all, &mut half, &mut told] {
        times.sort_unstable();
    }
    println!(
        "a change is with half of {CROWD} gateways after {:?}, with all after {:?}; they ask again and are heard within {:?} (medians of {CHANGES})",
        half[CHANGES / 2],
        all[CHANGES / 2],
        told[CHANGES / 2]
    );
    drop(lines);
    portal.kill().await;
}
