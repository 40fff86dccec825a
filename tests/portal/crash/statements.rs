//! Makes every statement of each operation fail once, and checks that nothing is half done.
//!
//! Each operation is run again and again, and fails once each time: at the first write, at the
//! second, up to the commit, until there is nothing left to fail; then at the first statement of
//! any kind that goes to the server, whose connection is cut before it arrives or after it is done,
//! and so on. A statement that is added later is covered automatically. Every time: nothing is half
//! done, and repeating the call gives the result of an undisturbed run.

mod administrators;
mod background;
mod commands;
mod staff;
mod sweeps;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
};

use super::{Dice, setting};
use crate::support::{
    app::TestApp,
    consistency::assert_consistent,
    eventually,
    proxy::{Fate, Proxy},
    sql,
};

/// A way to fail.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// PostgreSQL returns this error at a write.
    Write(&'static str),
    /// This happens to a statement on its way.
    Way(Fate),
}

/// PostgreSQL's errors: a conflict, a full disk, a cancelled statement, an internal error, and that
/// the connection is ended (which it is).
const WRITES: &[Fault] = &[
    Fault::Write("40001"),
    Fault::Write("53100"),
    Fault::Write("57014"),
    Fault::Write("XX000"),
    Fault::Write("57P01"),
];

/// The connection is cut: before the statement has arrived, or when it is done and the answer is
/// lost.
const WAYS: &[Fault] = &[Fault::Way(Fate::Cut), Fault::Way(Fate::LoseAnswer)];

/// Whether to fail in every way at every row, and not just in one way at every statement.
fn all() -> bool {
    setting("PIC_EVERY_FAULT", 0) > 0
}

/// Something that the portal does to the database.
trait Operation: Sized {
    /// Whether it is one transaction: then a failure leaves everything as it was, except for
    /// leases.
    const ATOMIC: bool = true;
    /// The least number of places where it can fail: otherwise the faults do not reach it.
    const PLACES: i64;
    /// Which of them the short form uses: each, each second one, ...
    const STRIDE: usize = 1;

    /// What must exist before, in a database without requests.
    async fn prepare(portal: &TestApp) -> Self;

    /// Runs the operation; returns why it failed, if it did.
    async fn run(&self, portal: &TestApp) -> Result<(), String>;

    /// What must happen before it is run again after a failure.
    async fn recover(&self, _portal: &TestApp) {}

    /// Removes differences that are due to chance.
    async fn tidy(&self, _portal: &TestApp) {}
}

/// Runs an operation with a failure at each place where it can fail.
async fn fail_everywhere<O: Operation>() {
    Struck::new().await.everywhere::<O>().await;
}

/// The number of places where an operation can fail, or those up to its failure.
#[derive(Clone, Copy)]
struct Places {
    writes: i64,
    statements: i64,
}

impl Places {
    /// The places for this kind of failure.
    fn of(self, fault: Fault) -> i64 {
        match fault {
            Fault::Write(_) => self.writes,
            Fault::Way(_) => self.statements,
        }
    }
}

/// A portal whose database fails on request.
struct Struck {
    portal: TestApp,
    proxy: Proxy,
    statements: Arc<AtomicI64>,
}

impl Struck {
    async fn new() -> Self {
        let (portal, proxy) = TestApp::behind_a_proxy().await;
        portal.run(include_str!("statements/faults.sql")).await;
        Self {
            portal,
            proxy,
            statements: Arc::default(),
        }
    }

    async fn everywhere<O: Operation>(&self) {
        clear(&self.portal).await;
        let operation = O::prepare(&self.portal).await;
        self.arm(i64::MAX, WRITES[0]).await;
        operation.run(&self.portal).await.expect("undisturbed");
        let places = self.disarm().await;
        operation.tidy(&self.portal).await;
        let undisturbed = outcome(&self.portal).await;
        assert!(places.writes >= O::PLACES, "{} places", places.writes);
        assert!(places.statements > 0, "the proxy sees them");
        for faults in [WRITES, WAYS] {
            self.at_each_place::<O>(faults, places, &undisturbed).await;
        }
    }

    /// All faults at all places, or each place with the next fault.
    async fn at_each_place<O: Operation>(&self, faults: &[Fault], places: Places, told: &str) {
        let all = all();
        let mut dice = Dice::cast();
        for round in 0..if all { faults.len() } else { 1 } {
            let first = if all { round } else { dice.below(faults.len()) };
            let stride = if all { 1 } else { O::STRIDE };
            let mut place = dice.below(stride) + 1;
            loop {
                let fault = faults[if all { first } else { first + place } % faults.len()];
                let at = i64::try_from(place).unwrap();
                let reached = self.at::<O>(at, fault, told).await;
                // A new connection takes a statement, in one run or another.
                if !reached && at > places.of(fault) {
                    break;
                }
                assert!(
                    reached || matches!(fault, Fault::Way(_)),
                    "it was struck to the end: {at} of {}",
                    places.of(fault)
                );
                place += stride;
            }
        }
    }

    /// Runs the operation once with a failure at place `at`; returns whether there is such a place.
    async fn at<O: Operation>(&self, at: i64, fault: Fault, undisturbed: &str) -> bool {
        let portal = &self.portal;
        clear(portal).await;
        let operation = O::prepare(portal).await;
        let before = contents(portal).await;
        self.arm(at, fault).await;
        let ended = operation.run(portal).await;
        let reached = self.disarm().await.of(fault) >= at;
        let after = format!("{fault:?} at place {at}: {ended:?}");
        assert_consistent(portal.pool(), &after).await;
        if let Err(error) = ended {
            assert!(reached, "{error}");
            if self
                .is_left::<O>(&operation, fault, &before, undisturbed, &after)
                .await
            {
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

    /// Whether a failed operation still has to be done; otherwise it is done, and only the answer
    /// was lost.
    async fn is_left<O: Operation>(
        &self,
        operation: &O,
        fault: Fault,
        before: &str,
        undisturbed: &str,
        after: &str,
    ) -> bool {
        let now = contents(&self.portal).await;
        if now == before {
            return true;
        }
        if matches!(fault, Fault::Way(_)) {
            // An operation of several steps continues where it stopped.
            if O::ATOMIC {
                operation.tidy(&self.portal).await;
            }
            if outcome(&self.portal).await == undisturbed {
                return false;
            }
        }
        assert!(!O::ATOMIC, "{after}:\n{}", differences(before, &now));
        true
    }

    /// Makes place `at` fail from now on, and counts the places.
    async fn arm(&self, at: i64, fault: Fault) {
        let pool = self.portal.db().pool();
        let (code, fate) = match fault {
            Fault::Write(code) => (code, Fate::Pass),
            Fault::Way(fate) => ("", fate),
        };
        sql::run(pool, "SELECT setval('fault.firings', 1, false)").await;
        sqlx::query("INSERT INTO fault.armed VALUES ($1, $2, $3)")
            .bind(if code.is_empty() { i64::MAX } else { at })
            .bind(code)
            .bind(all())
            .execute(pool)
            .await
            .unwrap();
        self.statements.store(0, SeqCst);
        let statements = Arc::clone(&self.statements);
        self.proxy.judge(move |kind, _| {
            let is_statement = matches!(kind, b'E' | b'Q');
            if is_statement && statements.fetch_add(1, SeqCst) + 1 == at {
                fate
            } else {
                Fate::Pass
            }
        });
    }

    /// The number of places up to the failure, once it is over. PostgreSQL reports a failure before
    /// it releases the rows.
    async fn disarm(&self) -> Places {
        self.proxy.judge_no_more();
        let pool = self.portal.db().pool();
        eventually("the failed transaction is undone", async || {
            let under_way = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL";
            let under_way: i64 = sql::one(pool, under_way).await;
            (under_way == 0).then_some(())
        })
        .await;
        let writes = sqlx::query_scalar(
            "WITH gone AS (DELETE FROM fault.armed)
             SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM fault.firings",
        );
        Places {
            writes: writes.fetch_one(pool).await.unwrap(),
            statements: self.statements.load(SeqCst),
        }
    }
}

/// Lines that only one of two texts contains.
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

/// Deletes requests, contacts and sweeps; accounts stay.
async fn clear(portal: &TestApp) {
    portal
        .run(
            "DELETE FROM domain_in_force; DELETE FROM request; DELETE FROM service; DELETE FROM staff_audit;
             DELETE FROM retention_run; DELETE FROM instance; TRUNCATE legacy_contact",
        )
        .await;
}

/// The contents without what differs from run to run.
async fn outcome(portal: &TestApp) -> String {
    let outcome = include_str!("statements/outcome.sql");
    let lines: Vec<String> = sql::all(portal.db().pool(), outcome).await;
    lines.join("\n")
}

/// Every row, complete except for leases.
async fn contents(portal: &TestApp) -> String {
    let pool = portal.db().pool();
    let tables: Vec<String> = sql::all(
        pool,
        "SELECT format('SELECT ''%1$s '' || (to_jsonb(t) - ''lease_token'' - ''lease_until'')::text FROM %1$s t', oid::regclass)
         FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    .await;
    let all = format!("{} ORDER BY 1", tables.join(" UNION ALL "));
    let rows: Vec<String> = sql::all(pool, &all).await;
    rows.join("\n")
}
