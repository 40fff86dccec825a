//! How does a sweep take its turn, remove in batches, and record what it did?

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Cause, Fault, Kind, Outcome, Run, Until, look::Looked};
use crate::{
    db::{self, Impossible, PgPool, interval},
    service::store::{ABSOLUTE_END, IDLE_END},
};

/// How long the turn to sweep lasts unless it is renewed; every step renews it, and takes a fraction
/// of it.
pub const LEASE: Duration = Duration::from_mins(1);
/// How long to wait for whoever reads `legacy_contact`: new rows queue behind us meanwhile.
pub const LOCK_WAIT: Duration = Duration::from_secs(2);
/// The most rows of a kind in one transaction: some ten milliseconds.
const BATCH: i32 = 1_000;
/// The most services whose requests go in one transaction; a request has up to a thousand rows.
const SERVICES: i32 = 50;

/// Why a sweep does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// It took so long that somebody else has taken over.
    #[error("the turn to sweep was lost")]
    TurnLost,
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// The turn to sweep: one instance at a time has it. When its holder dies, its lease runs out, and
/// the next one takes over what is left to do.
#[derive(Debug)]
pub struct Turn {
    pool: PgPool,
    run: i64,
}

impl Turn {
    /// Takes the turn; `None`: another instance has it, or a sweep that began within `unless_clean` has
    /// ended clean, whoever did it.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn take(
        pool: &PgPool,
        instance: Uuid,
        cause: Cause,
        unless_clean: Option<Duration>,
    ) -> Result<Option<Self>, db::Error> {
        let run = sqlx::query_scalar!(
            "SELECT pic_begin_sweep($1, $2, $3::interval, $4::interval)",
            instance,
            cause.as_str(),
            interval(LEASE),
            unless_clean.map(interval),
        )
        .fetch_one(pool)
        .await?;
        let pool = pool.clone();
        Ok(run.map(|run| Self { pool, run }))
    }

    /// Where it works.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Renews the turn, and adds to what its sweep has removed, in the transaction that removes it.
    async fn note(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        removed: u64,
    ) -> Result<(), Halt> {
        let mine = sqlx::query_scalar!(
            r#"SELECT pic_note_sweep($1, $2::interval, $3, $4) AS "mine!""#,
            self.run,
            interval(LEASE),
            kind.as_str(),
            i64::try_from(removed).unwrap_or(i64::MAX),
        )
        .fetch_one(connection)
        .await?;
        if mine { Ok(()) } else { Err(Halt::TurnLost) }
    }

    /// Renews the turn.
    ///
    /// # Errors
    ///
    /// [`Halt`]: stop.
    pub async fn renew(&self) -> Result<(), Halt> {
        let renewed = async {
            let mut connection = self.pool.acquire().await?;
            self.note(&mut connection, Kind::Contacts, 0).await?;
            connection.give_back();
            Ok(())
        };
        self.pool.in_time(renewed).await
    }

    /// Empties `legacy_contact`; how many rows there were.
    ///
    /// # Errors
    ///
    /// [`Halt`]; then nothing changed. See [`is_locked`].
    pub async fn empty_contacts(&self) -> Result<u64, Halt> {
        if is_bare(&self.pool).await? {
            return Ok(0);
        }
        let emptied = async {
            let mut transaction = self.pool.begin().await?;
            let removed = truncate(&mut transaction).await?;
            self.note(&mut transaction, Kind::Contacts, removed).await?;
            transaction.commit().await?;
            Ok(removed)
        };
        self.pool.clone().within(LEASE).in_time(emptied).await
    }

    /// Removes a batch of what has had its time; what it was, empty when nothing is left.
    ///
    /// # Errors
    ///
    /// [`Halt`]; then nothing changed.
    pub async fn remove(&self, until: Until) -> Result<Vec<(Kind, u64)>, Halt> {
        self.pool.in_time(self.remove_once(until)).await
    }

    async fn remove_once(&self, until: Until) -> Result<Vec<(Kind, u64)>, Halt> {
        let mut transaction = self.pool.begin().await?;
        let removed = match until {
            Until::Never
            | Until::NextSweep(_)
            | Until::While(_)
            | Until::Limit
            | Until::Memory(_) => Vec::new(),
            Until::For(Kind::Requests, kept_for) => {
                forget_requests(&mut transaction, kept_for).await?
            }
            Until::For(kind, kept_for) => {
                vec![(kind, forget(&mut transaction, kind, kept_for).await?)]
            }
            Until::Unused(kind, idle, end) => {
                vec![(kind, end_sessions(&mut transaction, kind, idle, end).await?)]
            }
        };
        for &(kind, rows) in &removed {
            self.note(&mut transaction, kind, rows).await?;
        }
        transaction.commit().await?;
        Ok(removed.into_iter().filter(|(_, rows)| *rows > 0).collect())
    }

    /// Ends the sweep, and tells it as it was recorded.
    ///
    /// # Errors
    ///
    /// [`Halt`]; then the turn ends by running out.
    pub async fn end(
        self,
        outcome: Outcome,
        fault: Option<Fault>,
        looked: &Looked,
        remaining: Option<u64>,
    ) -> Result<Run, Halt> {
        let ended = sqlx::query!(
            "UPDATE retention_run
             SET ended_at = greatest(pic_now(), began_at), lease_until = NULL, outcome = $2, fault = $3, remaining = $4,
                 columns_proven = $5, columns_looked = $6, rows_looked = $7, suspects = $8::text[]
             WHERE id = $1 AND ended_at IS NULL",
            self.run,
            outcome.as_str(),
            fault.map(Fault::as_str),
            remaining.map(|n| i64::try_from(n).unwrap_or(i64::MAX)),
            i32::try_from(looked.proven).unwrap_or(i32::MAX),
            i32::try_from(looked.columns).unwrap_or(i32::MAX),
            i64::try_from(looked.rows).unwrap_or(i64::MAX),
            &looked.suspects,
        )
        .execute(&self.pool)
        .await?;
        if ended.rows_affected() != 1 {
            return Err(Halt::TurnLost);
        }
        let run = runs(&self.pool, Some(self.run), 1).await?;
        run.into_iter().next().ok_or(Halt::TurnLost)
    }
}

/// Whether this is the database saying that somebody else holds a lock.
#[must_use]
pub fn is_locked(error: &db::Error) -> bool {
    matches!(error, db::Error::Unavailable(db::Fault::Answer { code, .. }) if code == "55P03")
}

// ---------------------------------------------------------------------------------------------
// legacy_contact

/// Whether `legacy_contact` has not a byte, not even of rows that were deleted or never committed: then
/// nobody need be disturbed for it.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn is_bare(pool: &PgPool) -> Result<bool, db::Error> {
    let bytes = sqlx::query_scalar!(
        r#"SELECT pg_relation_size(oid::regclass)
                  + coalesce(pg_relation_size(nullif(reltoastrelid, 0)::regclass), 0) AS "bytes!"
           FROM pg_class WHERE oid = 'legacy_contact'::regclass"#
    )
    .fetch_one(pool.again())
    .await?;
    Ok(bytes == 0)
}

/// Empties `legacy_contact` in the caller's transaction, which may take as long as [`LEASE`]: counting ten
/// million rows takes longer than any other step. The files with the bytes go when it commits.
async fn truncate(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let patience = i32::try_from(LOCK_WAIT.as_millis())
        .unwrap_or(i32::MAX)
        .to_string();
    // Counting ten million rows takes longer than a page may.
    sqlx::query(
        "SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', '0', true)",
    )
    .bind(patience)
    .execute(&mut *connection)
    .await?;
    sqlx::query!("LOCK TABLE legacy_contact IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *connection)
        .await?;
    let rows = sqlx::query_scalar!(r#"SELECT count(*) AS "rows!" FROM legacy_contact"#)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query!("TRUNCATE legacy_contact")
        .execute(connection)
        .await?;
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// Empties `legacy_contact` before a portal answers anybody: it waits for nobody's turn, because the
/// table's own lock is enough. Recorded as a sweep of its own where there was something.
///
/// # Errors
///
/// [`db::Error`]; then nothing changed, and that is recorded where it can be.
pub async fn empty_at_start(pool: &PgPool, instance: Uuid) -> Result<u64, db::Error> {
    if is_bare(pool).await? {
        return Ok(0);
    }
    let began_at = sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#)
        .fetch_one(pool)
        .await?;
    let emptied = async {
        let mut transaction = pool.begin().await?;
        let removed = truncate(&mut transaction).await?;
        record(&mut transaction, instance, began_at, None, removed).await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(removed)
    };
    match pool.clone().within(LEASE).in_time(emptied).await {
        Ok(removed) => Ok(removed),
        Err(error) => {
            let error = db::Error::from(error);
            let fault = if is_locked(&error) {
                Fault::Locked
            } else {
                Fault::Database
            };
            let recorded = async {
                let mut connection = pool.acquire().await?;
                record(&mut connection, instance, began_at, Some(fault), 0).await?;
                connection.give_back();
                Ok::<_, sqlx::Error>(())
            };
            pool.in_time(recorded).await?;
            Err(error)
        }
    }
}

/// Records what was done at a start: a sweep that was all but one step.
async fn record(
    connection: &mut PgConnection,
    instance: Uuid,
    began_at: DateTime<Utc>,
    fault: Option<Fault>,
    removed: u64,
) -> Result<(), sqlx::Error> {
    let outcome = if fault.is_some() {
        Outcome::Failed
    } else {
        Outcome::Unfinished
    };
    sqlx::query!(
        "WITH run AS (
             INSERT INTO retention_run (instance, cause, began_at, ended_at, outcome, fault)
             VALUES ($1, $2, $3, greatest(pic_now(), $3), $4, $5) RETURNING id
         )
         INSERT INTO retention_removed (run_id, kind, rows) SELECT id, $6, $7::bigint FROM run WHERE $7::bigint > 0",
        instance,
        Cause::Start.as_str(),
        began_at,
        outcome.as_str(),
        fault.map(Fault::as_str),
        Kind::Contacts.as_str(),
        i64::try_from(removed).unwrap_or(i64::MAX),
    )
    .execute(connection)
    .await?;
    Ok(())
}

// ---------------------------------------------------------------------------------------------
// The rest

async fn forget_requests(
    connection: &mut PgConnection,
    kept_for: Duration,
) -> Result<Vec<(Kind, u64)>, Halt> {
    let row = sqlx::query!(
        r#"SELECT requests AS "requests!", services AS "services!"
           FROM pic_forget_requests($1::interval, $2::interval, $3::interval, $4)"#,
        interval(kept_for),
        interval(IDLE_END),
        interval(ABSOLUTE_END),
        SERVICES,
    )
    .fetch_one(connection)
    .await?;
    let count = |rows| u64::try_from(rows).unwrap_or_default();
    Ok(vec![
        (Kind::Requests, count(row.requests)),
        (Kind::Services, count(row.services)),
    ])
}

/// Whether the schema has a table: that of the support desk may be yet to come.
async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, Halt> {
    let exists = sqlx::query_scalar!(r#"SELECT to_regclass($1) IS NOT NULL AS "exists!""#, table);
    Ok(exists.fetch_one(connection).await?)
}

/// Removes a batch of what is older than it is kept.
async fn forget(
    connection: &mut PgConnection,
    kind: Kind,
    kept_for: Duration,
) -> Result<u64, Halt> {
    let (table, statement) = match kind {
        Kind::StaffAudit => (
            "staff_audit",
            "DELETE FROM staff_audit WHERE id IN (
                 SELECT id FROM staff_audit WHERE at <= pic_now() - $2 ORDER BY at LIMIT $1)",
        ),
        Kind::Runs => (
            "retention_run",
            "DELETE FROM retention_run WHERE id IN (
                 SELECT id FROM retention_run WHERE ended_at <= pic_now() - $2 ORDER BY began_at LIMIT $1)",
        ),
        Kind::Contacts | Kind::Sessions | Kind::StaffSessions | Kind::Requests | Kind::Services => return Ok(0),
    };
    if !exists(connection, table).await? {
        return Ok(0);
    }
    let removed = sqlx::query(statement)
        .bind(BATCH)
        .bind(interval(kept_for))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

/// Removes a batch of sessions that have ended. One that is being looked at this moment is not waited
/// for: the next sweep finds it.
async fn end_sessions(
    connection: &mut PgConnection,
    kind: Kind,
    idle: Duration,
    end: Duration,
) -> Result<u64, Halt> {
    let (table, statement) = match kind {
        Kind::Sessions => (
            "session",
            "DELETE FROM session WHERE token_hash IN (
                 SELECT token_hash FROM session WHERE seen_at <= pic_now() - $2 OR began_at <= pic_now() - $3
                 LIMIT $1 FOR UPDATE SKIP LOCKED)",
        ),
        Kind::StaffSessions => (
            "staff_session",
            "DELETE FROM staff_session WHERE token_hash IN (
                 SELECT token_hash FROM staff_session WHERE seen_at <= pic_now() - $2 OR began_at <= pic_now() - $3
                 LIMIT $1 FOR UPDATE SKIP LOCKED)",
        ),
        Kind::Contacts | Kind::StaffAudit | Kind::Requests | Kind::Services | Kind::Runs => return Ok(0),
    };
    if !exists(connection, table).await? {
        return Ok(0);
    }
    let removed = sqlx::query(statement)
        .bind(BATCH)
        .bind(interval(idle))
        .bind(interval(end))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

// ---------------------------------------------------------------------------------------------
// What was done

/// Whether a sweep that began within `within` has ended clean, whoever did it.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn is_clean_since(pool: &PgPool, within: Duration) -> Result<bool, db::Error> {
    let clean = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM retention_run
                          WHERE outcome = 'clean' AND began_at > pic_now() - $1::interval) AS "clean!""#,
        interval(within),
    )
    .fetch_one(pool.again())
    .await?;
    Ok(clean)
}

/// The last sweeps, newest first.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn last_runs(pool: &PgPool, most: u32) -> Result<Vec<Run>, db::Error> {
    runs(pool, None, i64::from(most)).await
}

/// The last sweeps, newest first, and the database's time.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn runs_and_now(
    pool: &PgPool,
    most: u32,
) -> Result<(Vec<Run>, DateTime<Utc>), db::Error> {
    let runs = last_runs(pool, most).await?;
    let now = sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#)
        .fetch_one(pool)
        .await?;
    Ok((runs, now))
}

async fn runs(pool: &PgPool, one: Option<i64>, most: i64) -> Result<Vec<Run>, db::Error> {
    let rows = sqlx::query!(
        r#"SELECT id, cause, began_at, ended_at, outcome, fault, columns_proven, columns_looked, rows_looked, remaining,
                  suspects::text[] AS "suspects!",
                  (SELECT coalesce(jsonb_object_agg(kind, rows), '{}') FROM retention_removed WHERE run_id = r.id)
                      AS "removed!: Json<serde_json::Map<String, Value>>"
           FROM retention_run r WHERE $1::bigint IS NULL OR id = $1 ORDER BY began_at DESC, id DESC LIMIT $2"#,
        one,
        most,
    )
    .fetch_all(pool.again())
    .await?;
    rows.into_iter()
        .map(|row| {
            let impossible = |column| Impossible {
                table: "retention_run",
                column,
                id: Some(row.id),
            };
            let removed = row
                .removed
                .0
                .iter()
                .filter_map(|(kind, rows)| Some((Kind::parse(kind)?, rows.as_u64()?)));
            Ok(Run {
                removed: removed.collect(),
                cause: Cause::parse(&row.cause).ok_or(impossible("cause"))?,
                began_at: row.began_at,
                ended_at: row.ended_at,
                outcome: row
                    .outcome
                    .map(|outcome| Outcome::parse(&outcome).ok_or(impossible("outcome")))
                    .transpose()?,
                fault: row
                    .fault
                    .map(|fault| Fault::parse(&fault).ok_or(impossible("fault")))
                    .transpose()?,
                looked: Looked {
                    proven: row.columns_proven.unsigned_abs(),
                    columns: row.columns_looked.unsigned_abs(),
                    rows: row.rows_looked.unsigned_abs(),
                    suspects: row.suspects,
                },
                remaining: row.remaining.map(i64::unsigned_abs),
            })
        })
        .collect()
}
