//! Checks the costs of each job in the database, in figures that are the same on every machine.
//!
//! Bytes and records of write-ahead log and pages read, as PostgreSQL counts them for one statement
//! with all its triggers and checks. A page's first change after a checkpoint logs the whole page,
//! and now and then a page of an index is split: the least of several runs is the statement's own
//! cost.

mod due;
mod hot;
mod looks;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::{app::TestApp, sql};

/// The cost of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    wal_bytes: u64,
    wal_records: u64,
    /// Pages found in shared memory or fetched.
    pages: u64,
}

const SUBMIT: &str = include_str!("../../src/request/submit.sql");
const LOOK_UP: &str = include_str!("../../src/request/load.sql");

/// Makes a function of a statement, so that its triggers are counted too; it keeps its plan, as a
/// prepared statement does.
async fn function(connection: &mut PgConnection, name: &str, parameters: &str, sql: &str) {
    let body = sql.trim_end().trim_end_matches(';');
    sql::run(
        connection,
        &format!(
            "CREATE FUNCTION {name}({parameters}) RETURNS bigint LANGUAGE plpgsql
             SET plan_cache_mode = force_generic_plan AS $test$
             #variable_conflict use_column
             DECLARE n bigint := 0; line record; BEGIN
             FOR line IN {body} LOOP n := n + 1; END LOOP; RETURN n; END $test$"
        ),
    )
    .await;
}

/// The cost of a statement; `None`: a whole page was logged meanwhile, which is not its own cost.
async fn cost(connection: &mut PgConnection, sql: &str) -> Option<Cost> {
    let explain = format!("EXPLAIN (ANALYZE, WAL, BUFFERS, TIMING OFF, FORMAT JSON) {sql}");
    let told: Value = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_one(connection)
        .await
        .unwrap();
    let plan = &told[0]["Plan"];
    let figure = |name: &str| plan[name].as_u64().unwrap();
    (figure("WAL FPI") == 0).then(|| Cost {
        wal_bytes: figure("WAL Bytes"),
        wal_records: figure("WAL Records"),
        pages: figure("Shared Hit Blocks") + figure("Shared Read Blocks"),
    })
}

/// Values for `submit.sql`: `many` requests numbered from `first`, one edge and two domains each,
/// as long as usual.
fn submissions(first: u64, many: u64) -> String {
    let numbers = first..first + many;
    let array = |kind: &str, of: &dyn Fn(u64) -> String| {
        let all: Vec<_> = numbers.clone().map(of).collect();
        format!("ARRAY[{}]::{kind}[]", all.join(", "))
    };
    let digest =
        |n: u64, what: &str, length: u8| format!("substr(sha256('{what} {n}'), 1, {length})");
    // Far apart, as random ones are.
    let symbols = |n: u64| {
        format!("{:016X}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .as_bytes()
            .chunks(4)
            .map(|four| String::from_utf8(four.to_vec()).unwrap())
            .collect::<Vec<_>>()
    };
    let place_twice = |n: u64| format!("{0}, {0}", n - first + 1);
    [
        array("text", &|_| "'initiate'".into()),
        array("bigint", &|_| "NULL".into()),
        array("text", &|_| "'volume_licensing'".into()),
        array("text", &|n| format!("'{n:07}'")),
        array("text", &|n| format!("'{}'", symbols(n).concat())),
        array("bytea", &|n| digest(n, "key", 16)),
        array("text", &|n| format!("'PIC-{}'", symbols(n).join("-"))),
        array("text", &|_| "'on_premises'".into()),
        array("bytea", &|n| digest(n, "content", 8)),
        array("bigint", &|_| "NULL".into()),
        array("text", &|_| "NULL".into()),
        array("bigint", &place_twice),
        array("smallint", &|_| "1, 1".into()),
        array("smallint", &|_| "1, 2".into()),
        array("text", &|n| format!("'sip.d{n:06}.example', NULL")),
        array("text", &|n| {
            format!("'d{n:06}.example', 'it.d{n:06}.example'")
        }),
        "NULL".into(),
    ]
    .join(", ")
}

const SUBMIT_PARAMETERS: &str =
    "text[], bigint[], text[], text[], text[], bytea[], text[], text[], bytea[], bigint[], text[],
    bigint[], smallint[], smallint[], text[], text[], timestamptz[]";

/// A database on which `submit.sql` can be called as `submit`.
async fn with_submit(portal: &TestApp) -> PgConnection {
    let mut connection = PgConnection::connect_with(&portal.db().options())
        .await
        .unwrap();
    function(&mut connection, "submit", SUBMIT_PARAMETERS, SUBMIT).await;
    connection
}

/// The least cost of `times` calls, each with other values.
async fn least(connection: &mut PgConnection, times: u64, call: impl Fn(u64) -> String) -> Cost {
    let mut least = None;
    for n in 0..times {
        let cost = cost(connection, &call(n)).await;
        least = least.into_iter().chain(cost).min();
    }
    least.expect("most calls log no whole page")
}

/// A little more than what was measured: a minor version of PostgreSQL may write a little more.
const SUBMIT_RECORDS: u64 = 20;
const SUBMIT_BYTES: u64 = 1_560;

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test]
async fn a_submit_writes_so_much_and_no_more() {
    let portal = TestApp::new().await;
    let mut connection = with_submit(&portal).await;
    let one = least(&mut connection, 60, |n| {
        format!("SELECT submit({})", submissions(1 + n, 1))
    })
    .await;
    // Five rows, eleven index entries, the request's row locked by foreign keys, and confirmed, because
    // its reference may have been there already: 18 records.
    println!("a submit: {one:?}");
    assert!(one.wal_records <= SUBMIT_RECORDS, "{one:?}");
    assert!(one.wal_bytes <= SUBMIT_BYTES, "{one:?}");
    assert!(one.pages <= 60, "{one:?}");
    assert_eq!(
        portal.number("SELECT count(*) FROM work").await,
        60,
        "it was no retry that was measured"
    );

    // In a batch each request costs the same, apart from page splits.
    let slice = least(&mut connection, 20, |n| {
        format!("SELECT submit({})", submissions(1_000 + 64 * n, 64))
    })
    .await;
    let each = slice.wal_bytes / 64;
    assert!(each <= one.wal_bytes + 200, "{each} bytes, {slice:?}");
    assert!(slice.pages / 64 <= 110, "{slice:?}");
}

/// A session keeps its plans. Those made before the first statistics exist must be good for large
/// tables too.
#[tokio::test]
async fn a_submit_costs_the_same_long_after_the_rows_were_counted() {
    let portal = TestApp::new().await;
    let mut connection = with_submit(&portal).await;
    let by_itself: i64 = sql::one(
        &mut connection,
        "SELECT count(*) FROM pg_class WHERE relname IN ('service', 'request')
         AND reloptions @> '{autovacuum_analyze_threshold=1000,autovacuum_vacuum_threshold=1000}'",
    )
    .await;
    assert_eq!(by_itself, 2, "they are counted by themselves from then on");
    for slice in 0..2 {
        let values = submissions(1_000 + 500 * slice, 500);
        sql::run(&mut connection, &format!("SELECT submit({values})")).await;
    }
    sql::run(&mut connection, "ANALYZE").await;
    for n in 1..8 {
        for values in [submissions(n, 1), submissions(5_000 + 64 * n, 64)] {
            sql::run(&mut connection, &format!("SELECT submit({values})")).await;
        }
    }
    // In another session, so that nothing here is planned again.
    let mut other = PgConnection::connect_with(&portal.db().options())
        .await
        .unwrap();
    for slice in 0..10 {
        let values = submissions(10_000 + 500 * slice, 500);
        sql::run(&mut other, &format!("SELECT submit({values})")).await;
    }
    let one = least(&mut connection, 20, |n| {
        format!("SELECT submit({})", submissions(100 + n, 1))
    })
    .await;
    assert!(one.pages <= 150, "{one:?}");
    let slice = least(&mut connection, 20, |n| {
        format!("SELECT submit({})", submissions(20_000 + 64 * n, 64))
    })
    .await;
    assert!(slice.pages / 64 <= 110, "{slice:?}");
}

/// However few rows the statistics show, the check of a whole submit uses indexes.
#[tokio::test]
async fn no_statistics_lead_the_look_at_a_whole_submit_through_a_table() {
    let portal = TestApp::new().await;
    let mut connection = with_submit(&portal).await;
    let values = submissions(1, 3);
    sql::run(
        &mut connection,
        &format!("SELECT submit({values}); ANALYZE; BEGIN"),
    )
    .await;
    for n in 10..20 {
        let values = submissions(n, 1);
        sql::run(&mut connection, &format!("SELECT submit({values})")).await;
    }
    // No foreign key refers to this one, so nothing else reads it.
    let looks: (i64, i64) = sqlx::query_as(
        "SELECT seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'request_route'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(looks.0 == 0 && looks.1 >= 10, "{looks:?}");
}

#[tokio::test]
async fn a_look_up_reads_so_many_pages_and_writes_nothing() {
    let portal = TestApp::new().await;
    let mut connection = with_submit(&portal).await;
    sql::run(
        &mut connection,
        &format!("SELECT submit({}); ANALYZE", submissions(1, 500)),
    )
    .await;
    function(
        &mut connection,
        "look_up",
        "text[], bytea[], interval, interval",
        LOOK_UP,
    )
    .await;
    let reference: String = sql::one(
        &mut connection,
        "SELECT reference FROM request WHERE id = 250",
    )
    .await;
    let call =
        format!("SELECT look_up(ARRAY['{reference}'], ARRAY[NULL::bytea], '1 hour', '1 day')");
    let found: i64 = sqlx::query_scalar(AssertSqlSafe(call.clone()))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(found, 1);
    let one = least(&mut connection, 5, |_| call.clone()).await;
    assert_eq!((one.wal_records, one.wal_bytes), (0, 0), "{one:?}");
    assert!(one.pages <= 60, "{one:?}");
}

#[tokio::test]
async fn a_transition_writes_so_much_and_no_more() {
    let portal = TestApp::new().await;
    let mut connection = with_submit(&portal).await;
    let mut costs = Vec::new();
    for batch in 0..6 {
        let values = submissions(1 + 500 * batch, 500);
        sql::run(&mut connection, &format!("SELECT submit({values})")).await;
        let cost = cost(
            &mut connection,
            "SELECT * FROM pic_settle(NULL, NULL, 500, NULL, ROW('30 days', '30 s', '1 h', '1 day')::pic_waits, '[]')",
        )
        .await;
        costs.extend(cost);
        assert_eq!(portal.number("SELECT count(*) FROM work").await, 0);
    }
    let least = costs.iter().min().expect("most batches log no whole page");
    // The lock of the claim; the row of `work` deleted; the request's new version with seven
    // entries in indexes; the event with one; two routes with three each; the referenced rows
    // locked.
    let each = (
        least.wal_records / 500,
        least.wal_bytes / 500,
        least.pages / 500,
    );
    assert!(each.0 <= 23, "{each:?} {least:?}");
    assert!(each.1 <= 2_000, "{each:?} {least:?}");
    assert!(each.2 <= 110, "{each:?} {least:?}");
    assert_eq!(
        portal.number("SELECT count(*) FROM route").await,
        6_000,
        "what was measured was done"
    );
}
