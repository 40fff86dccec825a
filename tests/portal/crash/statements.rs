//! What if a statement fails, whichever, or the connection with it?
//!
//! Each operation is run again and again, and fails once each time: at the first write, at the
//! second, up to the commit, until there is nothing left to fail at. A statement that is added later
//! is covered without anybody thinking of it. Every time: nothing is half-done, and the same call
//! once more leads to what an undisturbed run leads to.

mod administrators;
mod background;
mod staff;
mod sweeps;

use std::fmt::Write as _;

use pic_portal::db::PgPool;
use sqlx::AssertSqlSafe;

use super::{Dice, setting};
use crate::support::{app::TestApp, consistency::assert_consistent, eventually};

/// What PostgreSQL says: a conflict, a full disk, a cancelled statement, a fault of its own, and that
/// the connection is ended (which it is).
const CODES: [&str; 5] = ["40001", "53100", "57014", "XX000", "57P01"];

/// Whether to fail in every way at every row, and not just in one way at every statement.
fn all() -> bool {
    setting("PIC_EVERY_FAULT", 0) > 0
}

/// Something that the portal does to the database.
trait Operation: Sized {
    /// Whether it is one transaction: then a failure leaves all as it was, but for leases.
    const ATOMIC: bool = true;
    /// It can fail at so many places at least: else the faults do not reach it.
    const PLACES: i64;
    /// In the short form, at which of them: at each, at each second one, ...
    const STRIDE: usize = 1;

    /// What has to be there before, in a database without requests.
    async fn prepare(portal: &TestApp) -> Self;

    /// The operation; why not, if it failed.
    async fn run(&self, portal: &TestApp) -> Result<(), String>;

    /// What has to happen before it is run again after a failure.
    async fn recover(&self, _portal: &TestApp) {}

    /// Makes alike afterwards what differs by chance.
    async fn tidy(&self, _portal: &TestApp) {}
}

/// Runs an operation with a failure at each place where it can fail.
async fn fail_everywhere<O: Operation>() {
    let portal = TestApp::new().await;
    portal.run(include_str!("statements/faults.sql")).await;
    fail_everywhere_in::<O>(&portal).await;
}

async fn fail_everywhere_in<O: Operation>(portal: &TestApp) {
    let all = all();
    let mut dice = Dice::cast();
    clear(portal).await;
    let operation = O::prepare(portal).await;
    arm(portal.pool(), i64::MAX, "XX000").await;
    operation.run(portal).await.expect("undisturbed");
    let places = disarm(portal).await;
    operation.tidy(portal).await;
    let undisturbed = outcome(portal).await;
    assert!(places >= O::PLACES, "{places} places to fail at");

    // All codes at all places, or each place with the next code.
    let rounds = if all { CODES.len() } else { 1 };
    for round in 0..rounds {
        let first = if all { round } else { dice.below(CODES.len()) };
        let stride = if all { 1 } else { O::STRIDE };
        let mut place = dice.below(stride) + 1;
        loop {
            let code = if all { first } else { first + place };
            let code = CODES[code % CODES.len()];
            let at = i64::try_from(place).unwrap();
            if !fail_at::<O>(portal, at, code, &undisturbed).await {
                assert!(at > places, "it was struck to the end: {at} of {places}");
                break;
            }
            place += stride;
        }
    }
}

/// Runs it once with a failure at the `at`th place; whether it has as many.
async fn fail_at<O: Operation>(portal: &TestApp, at: i64, code: &str, undisturbed: &str) -> bool {
    clear(portal).await;
    let operation = O::prepare(portal).await;
    let before = contents(portal).await;
    arm(portal.pool(), at, code).await;
    let outcome_of = operation.run(portal).await;
    let reached = disarm(portal).await >= at;
    let after = format!("{code} at place {at}: {outcome_of:?}");
    assert_consistent(portal.pool(), &after).await;
    match outcome_of {
        Ok(()) => {}
        Err(error) => {
            assert!(reached, "{error}");
            if O::ATOMIC {
                let now = contents(portal).await;
                assert!(now == before, "{after}:\n{}", differences(&before, &now));
            }
            operation.recover(portal).await;
            let again = operation.run(portal).await;
            again.unwrap_or_else(|error| panic!("again after {after}: {error}"));
            assert_consistent(portal.pool(), &after).await;
        }
    }
    operation.tidy(portal).await;
    let told = outcome(portal).await;
    assert!(
        told == undisturbed,
        "{after}:\n{}",
        differences(undisturbed, &told)
    );
    reached
}

/// Lines that only one of two texts has.
fn differences(one: &str, other: &str) -> String {
    let mut all = String::new();
    for (sign, these, those) in [('-', one, other), ('+', other, one)] {
        for line in these
            .lines()
            .filter(|line| !those.lines().any(|l| l == *line))
        {
            let _ = writeln!(all, "{sign} {line}");
        }
    }
    all
}

async fn arm(pool: &PgPool, at: i64, code: &str) {
    sqlx::query("SELECT setval('fault.firings', 1, false)")
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO fault.armed VALUES ($1, $2, $3)")
        .bind(at)
        .bind(code)
        .bind(all())
        .execute(pool)
        .await
        .unwrap();
}

/// How many places there were up to the failure; when it is over. PostgreSQL tells of a failure before
/// it lets go of the rows.
async fn disarm(portal: &TestApp) -> i64 {
    let pool = portal.db().pool();
    eventually("the failed transaction is undone", async || {
        let under_way = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL";
        let under_way: i64 = sqlx::query_scalar(under_way).fetch_one(pool).await.unwrap();
        (under_way == 0).then_some(())
    })
    .await;
    sqlx::query_scalar(
        "WITH gone AS (DELETE FROM fault.armed)
         SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM fault.firings",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// No requests, no contacts, no sweeps; accounts stay.
async fn clear(portal: &TestApp) {
    portal
        .run(
            "DELETE FROM route; DELETE FROM request; DELETE FROM service; DELETE FROM staff_audit;
             DELETE FROM retention_run; DELETE FROM instance; TRUNCATE legacy_contact",
        )
        .await;
}

/// What there is without what differs from time to time.
async fn outcome(portal: &TestApp) -> String {
    let lines: Vec<String> = sqlx::query_scalar(include_str!("statements/outcome.sql"))
        .fetch_all(portal.db().pool())
        .await
        .unwrap();
    lines.join("\n")
}

/// Every row, whole but for leases.
async fn contents(portal: &TestApp) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('SELECT ''%1$s '' || (to_jsonb(t) - ''lease_token'' - ''lease_until'')::text FROM %1$s t', oid::regclass)
         FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(portal.db().pool())
    .await
    .unwrap();
    let all = format!("{} ORDER BY 1", tables.join(" UNION ALL "));
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(all))
        .fetch_all(portal.db().pool())
        .await
        .unwrap();
    rows.join("\n")
}
