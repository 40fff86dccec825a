//! Empties the columns, and rewrites the table without the old rows.

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::time::sleep;

use super::{Error, Plan, Step, sql};
use crate::db::{self, Fault};

/// How long a batch should take; the number of pages is adapted to that.
const BATCH: Duration = Duration::from_millis(50);
/// Pages of the first batch.
const FIRST_BATCH: i64 = 64;
/// The most pages of a batch, 64 MB of 8 kB pages: how much one conflict may roll back.
const LARGEST_BATCH: i64 = 8_192;
/// How often a table is gone through while others write to it.
const PASSES: usize = 5;
/// Wait between two attempts at what other sessions hold.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// Empties the columns, batch by batch; returns how many rows had a value. After each batch it
/// rests for as long as the batch took, so that half of the disk's time is left to others.
pub(super) async fn empty(
    connection: &mut PgConnection,
    plan: &Plan,
    patience: Duration,
    tell: &mut impl FnMut(Step),
) -> Result<i64, Error> {
    let mut emptied = 0;
    for _ in 0..PASSES {
        let pages = sql::pages(connection, plan.oid).await?;
        let (mut first, mut size) = (0, FIRST_BATCH);
        while first < pages {
            let past = (first + size).min(pages);
            let began = Instant::now();
            emptied += patiently(plan, patience, async || {
                sql::empty(connection, plan.oid, &plan.names, (first, past)).await
            })
            .await?;
            let took = began.elapsed();
            first = past;
            tell(Step::Emptying(first, pages));
            size = match took {
                took if took < BATCH / 2 => (size * 2).min(LARGEST_BATCH),
                took if took > BATCH * 2 => (size / 2).max(1),
                _ => size,
            };
            sleep(took).await;
        }
        if sql::filled(connection, plan.oid, &plan.names).await? == 0 {
            return Ok(emptied);
        }
    }
    Err(Error::StillWritten(
        sql::filled(connection, plan.oid, &plan.names).await?,
    ))
}

/// Empties a whole table; returns how many rows it had.
pub(super) async fn truncate(
    connection: &mut PgConnection,
    plan: &Plan,
    patience: Duration,
) -> Result<i64, Error> {
    let rows = sql::filled(connection, plan.oid, &[]).await?;
    patiently(plan, patience, async || {
        sql::on_table(connection, "TRUNCATE ONLY %s", plan.oid).await
    })
    .await?;
    Ok(rows)
}

/// Waits until no transaction is left that began before now: `VACUUM FULL` keeps the old rows for
/// those. Transactions of other databases count while they write, because the snapshot of a new one
/// here depends on them too.
pub(super) async fn until_unseen(
    connection: &mut PgConnection,
    patience: Duration,
) -> Result<(), Error> {
    let mark: String = sqlx::query_scalar("SELECT pg_current_xact_id()::xid::text")
        .fetch_one(&mut *connection)
        .await?;
    let began = Instant::now();
    loop {
        let holders: Vec<String> = sqlx::query_scalar(
            "SELECT 'process ' || pid FROM pg_stat_activity
             WHERE pid <> pg_backend_pid() AND (age(backend_xid) > age($1::xid)
                   OR (age(backend_xmin) > age($1::xid)
                       AND (datid IS NULL OR datid = (SELECT oid FROM pg_database WHERE datname = current_database()))))
             UNION ALL SELECT 'a prepared transaction' FROM pg_prepared_xacts WHERE age(transaction) > age($1::xid)
             UNION ALL SELECT 'a replica' FROM pg_replication_slots WHERE age(xmin) > age($1::xid)",
        )
        .bind(&mark)
        .fetch_all(&mut *connection)
        .await?;
        if holders.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= patience {
            return Err(Error::StillSeen {
                holders: holders.join(", "),
                waited: patience,
            });
        }
        sleep(TRY_EVERY).await;
    }
}

/// Rewrites the table, its TOAST and its indexes without the old rows.
pub(super) async fn anew(
    connection: &mut PgConnection,
    plan: &Plan,
    patience: Duration,
) -> Result<(), Error> {
    let before = sql::file(connection, plan.oid).await?;
    patiently(plan, patience, async || {
        sql::on_table(connection, "VACUUM (FULL, ANALYZE) %s", plan.oid).await
    })
    .await?;
    // A role that may not vacuum only gets a warning.
    if sql::file(connection, plan.oid).await? == before {
        return Err(super::Refusal::NotOwner(plan.table.clone()).into());
    }
    Ok(())
}

/// Deletes the planner's statistics of the columns, or of the whole table: they contain the most
/// common values. Returns whether none of them is left, which takes the database's owner or a
/// superuser.
pub(super) async fn forget_statistics(
    connection: &mut PgConnection,
    plan: &Plan,
    patience: Duration,
) -> Result<bool, Error> {
    let may = sqlx::query!(
        r#"SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS "delete!",
                  (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) AS "vacuum!""#
    )
    .fetch_one(&mut *connection)
    .await?;
    if may.delete {
        // Also those of indexes over expressions, and of several columns together.
        sqlx::query!(
            "WITH together AS (
                DELETE FROM pg_statistic_ext_data WHERE stxoid IN (SELECT oid FROM pg_statistic_ext WHERE stxrelid = $1)
             )
             DELETE FROM pg_statistic
             WHERE starelid = $1 OR starelid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1)",
            plan.oid
        )
        .execute(&mut *connection)
        .await?;
    }
    if may.vacuum {
        until_unseen(connection, patience).await?;
        for table in [
            "VACUUM FULL pg_catalog.pg_statistic",
            "VACUUM FULL pg_catalog.pg_statistic_ext_data",
        ] {
            patiently(plan, patience, async || {
                let done = sqlx::raw_sql(table).execute(&mut *connection).await;
                done.map(drop)
            })
            .await?;
        }
    }
    if may.delete && !plan.names.is_empty() {
        // Queries on what is left of the table need theirs.
        patiently(plan, patience, async || {
            sql::on_table(connection, "ANALYZE %s", plan.oid).await
        })
        .await?;
    }
    let left = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM pg_stats s
               JOIN pg_class c ON c.relname = s.tablename
               JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
               WHERE c.oid = $1 AND (attname = ANY ($2) OR cardinality($2) = 0)
                 AND (most_common_vals IS NOT NULL OR histogram_bounds IS NOT NULL OR most_common_elems IS NOT NULL)
           -- Subscribers hold back what goes from the catalogue.
           ) OR EXISTS (SELECT FROM pg_replication_slots WHERE catalog_xmin IS NOT NULL) AS "left!""#,
        plan.oid,
        &plan.names,
    )
    .fetch_one(connection)
    .await?;
    Ok(may.vacuum && !left)
}

/// What to do about a database error.
enum Verdict {
    /// Another session holds the table: try again.
    Again,
    /// Give up.
    Never(Error),
}

/// Decides what to do about an error.
fn judge(fault: sqlx::Error) -> Verdict {
    match db::Error::from(fault) {
        db::Error::Conflict(_) => Verdict::Again,
        db::Error::Unavailable(Fault::Answer { code, .. }) if code == "55P03" => Verdict::Again,
        db::Error::Refused(Fault::Answer { code, constraint }) if code == sql::CONSTRAINT => {
            Verdict::Never(Error::Constraint(constraint.unwrap_or_default()))
        }
        other => Verdict::Never(other.into()),
    }
}

/// Repeats an action that other sessions may block, until it succeeds or `patience` is over.
async fn patiently<T>(
    plan: &Plan,
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, sqlx::Error>,
) -> Result<T, Error> {
    let began = Instant::now();
    loop {
        match attempt().await.map_err(judge) {
            Ok(done) => return Ok(done),
            Err(Verdict::Never(error)) => return Err(error),
            Err(Verdict::Again) if began.elapsed() >= patience => {
                return Err(Error::Locked {
                    table: plan.table.clone(),
                    waited: patience,
                });
            }
            Err(Verdict::Again) => sleep(TRY_EVERY).await,
        }
    }
}
