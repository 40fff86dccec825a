//! Takes the turn to sweep, deletes in batches, and records what was done.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Cause, Fault, Kind, Outcome, Run, Until};
use crate::db::{self, PgPool, interval};
use crate::retention::scan::Looked;

mod contacts;
mod old;
mod runs;

pub use contacts::empty_at_start;
pub use runs::{is_clean_since, last_runs, runs_and_now};

/// How long the turn to sweep lasts unless it is renewed; every step renews it, and takes a
/// fraction of it.
pub const LEASE: Duration = Duration::from_mins(1);

/// Why a sweep ends early.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// A database call failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// It took so long that another process has taken over.
    #[error("the turn to sweep was lost")]
    TurnLost,
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// The turn to sweep: one process at a time has it. When its holder dies, its lease expires, and
/// the next one takes over what is left to do.
#[derive(Debug)]
pub struct Turn {
    pool: PgPool,
    run: i64,
}

impl Turn {
    /// Takes the turn; `None`: another process has it, or a sweep that began within `unless_clean`
    /// has ended clean, in any process.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is unreachable.
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

    /// The connections it works on.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Renews the turn, and adds to the record of what its sweep has removed, in the transaction
    /// that removes it.
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
    /// [`Halt`]: the sweep must stop.
    pub async fn renew(&self) -> Result<(), Halt> {
        let renewed = async {
            let mut connection = self.pool.acquire().await?;
            self.note(&mut connection, Kind::Contacts, 0).await?;
            connection.give_back();
            Ok(())
        };
        self.pool.in_time(renewed).await
    }

    /// Empties `legacy_contact`; returns how many rows there were.
    ///
    /// # Errors
    ///
    /// [`Halt`]; then nothing has changed. See [`is_locked`].
    pub async fn empty_contacts(&self) -> Result<u64, Halt> {
        if contacts::is_bare(&self.pool).await? {
            return Ok(0);
        }
        let emptied = async {
            let mut transaction = self.pool.begin().await?;
            let removed = contacts::truncate(&mut transaction).await?;
            self.note(&mut transaction, Kind::Contacts, removed).await?;
            transaction.commit().await?;
            Ok(removed)
        };
        self.pool.clone().within(LEASE).in_time(emptied).await
    }

    /// Deletes a batch of rows that are no longer kept; returns how many of each kind, empty when
    /// none are left.
    ///
    /// # Errors
    ///
    /// [`Halt`]; then nothing has changed.
    pub async fn remove(&self, until: Until) -> Result<Vec<(Kind, u64)>, Halt> {
        self.pool.in_time(self.remove_once(until)).await
    }

    async fn remove_once(&self, until: Until) -> Result<Vec<(Kind, u64)>, Halt> {
        let mut transaction = self.pool.begin().await?;
        let removed = old::remove(&mut transaction, until).await?;
        for &(kind, rows) in &removed {
            self.note(&mut transaction, kind, rows).await?;
        }
        transaction.commit().await?;
        Ok(removed.into_iter().filter(|(_, rows)| *rows > 0).collect())
    }

    /// Ends the sweep, and returns its record.
    ///
    /// # Errors
    ///
    /// [`Halt`]; then the turn ends when it expires.
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
        let run = runs::runs(&self.pool, Some(self.run), 1).await?;
        run.into_iter().next().ok_or(Halt::TurnLost)
    }
}

/// Whether the error means that another session holds a lock.
#[must_use]
pub fn is_locked(error: &db::Error) -> bool {
    matches!(error, db::Error::Unavailable(db::Fault::Answer { code, .. }) if code == "55P03")
}
