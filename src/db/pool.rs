//! The connection pool, with a time limit for every statement.
//!
//! sqlx's own pool checks after every use whether the connection still answers, which is a second
//! round trip for each statement, and it has no time limit for a statement or that check. If
//! packets are silently dropped, such a pool is used up until the kernel gives up, a quarter of an
//! hour later. Here
//!
//! - a statement whose answer has come leaves its connection clean, and costs one round trip;
//! - every statement has a time limit, which includes waiting for a connection; a connection whose
//!   answer did not come in time is closed;
//! - a connection that was idle for a second is checked before it is used, and if it is dead, all
//!   that were idle with it are closed: after a restart of the server no statement gets a dead
//!   connection;
//! - while the server is suspect, attempts to connect are short (see [`idle`]), so that the first
//!   answer comes within a second of its return;
//! - statements that can be repeated safely are retried once when the connection was lost
//!   ([`PgPool::retrying`]).
//!
//! Limits in the server come on top (`SETTINGS` in [`idle`]). Behind a pooler in transaction mode
//! they may have no effect; the limits here do not depend on them.

mod ask;
pub mod budget;
mod held;
mod idle;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Release},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream, stream::BoxStream};
use sqlx::{
    Either, Execute, Executor, Postgres, SqlStr,
    postgres::{PgListener, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::time::{Instant, timeout, timeout_at};

pub use self::held::{Held, Transaction};
use self::{
    ask::Ask,
    idle::{Keep, is_loss},
};
use super::servers::{Servers, no_answer};

/// How long a statement of a page may take, including the wait for a connection. A page may need
/// several statements: see [`budget`].
const PAGE_LIMIT: Duration = Duration::from_secs(3);

/// The portal's connections to PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct PgPool {
    keep: Arc<Keep>,
    limit: Duration,
}

impl fmt::Debug for PgPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgPool")
            .field("size", &self.size())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// One part of the answer to a statement: a row, or the end of a result.
type Piece = Either<PgQueryResult, PgRow>;

impl PgPool {
    /// A pool of at most `most` connections, none of which is open yet. Each of its statements has
    /// the limit of those of a page.
    #[must_use]
    pub fn new(servers: impl Into<Servers>, most: u32) -> Self {
        Self {
            keep: Arc::new(Keep::new(servers.into(), most)),
            limit: PAGE_LIMIT,
        }
    }

    /// The same pool, with `limit` as the time limit of each statement.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The same pool, for statements that can be repeated safely (reads, and writes that recognise
    /// a repeat): when the connection is lost, they are retried once on a new one.
    #[must_use]
    pub const fn retrying(&self) -> Again<'_> {
        Again(self)
    }

    /// A connection for several statements, without a limit for each statement.
    ///
    /// # Errors
    ///
    /// [`sqlx::Error`] when none becomes free, or none can be opened, within the limit.
    pub async fn acquire(&self) -> Result<Held, sqlx::Error> {
        self.held(Instant::now() + self.limit).await
    }

    /// A connection in a transaction, without a limit for each statement: see [`PgPool::in_time`].
    ///
    /// # Errors
    ///
    /// As [`PgPool::acquire`].
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.in_time(async {
            let mut held = self.acquire().await?;
            held.execute("BEGIN").await?;
            Ok(Transaction::new(held))
        })
        .await
    }

    /// Runs `work` within the time limit. If it does not finish, the connections it holds are
    /// closed, and the server rolls back what was not committed.
    ///
    /// # Errors
    ///
    /// Those of `work`, and one of the connection when time is up.
    pub async fn in_time<T, E: From<sqlx::Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Ok(done) = timeout(self.limit, Box::pin(work)).await {
            done
        } else {
            self.keep.doubt();
            Err(no_answer().into())
        }
    }

    /// A connection outside the pool that listens for NOTIFY.
    ///
    /// # Errors
    ///
    /// [`sqlx::Error`] when none can be opened within the limit.
    pub async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        let alone = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.limit)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.keep.servers().last().clone());
        PgListener::connect_with(&alone).await
    }

    /// Replaces all connections by new ones: the present ones may lead to the wrong server.
    pub fn renew(&self) {
        self.keep.lost();
    }

    /// Records that the server's disk was full.
    pub fn mark_full(&self) {
        self.keep.full.store(true, Release);
    }

    /// Records that it has room.
    pub(super) fn has_room(&self) {
        self.keep.full.store(false, Release);
    }

    /// Whether the disk was full when something was last stored.
    pub(super) fn was_full(&self) -> bool {
        self.keep.full.load(Acquire)
    }

    /// Closes idle connections at once and the others when they are given back, and hands out none.
    pub async fn close(&self) {
        self.keep.close().await;
    }

    /// How many connections are open.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.keep.size()
    }

    /// How many connections are idle.
    #[must_use]
    pub fn num_idle(&self) -> usize {
        self.keep.resting()
    }

    /// The most connections that may be open (`PIC_DB_POOL`).
    #[must_use]
    pub fn most(&self) -> u32 {
        self.keep.most()
    }

    async fn held(&self, until: Instant) -> Result<Held, sqlx::Error> {
        let (live, room) = self.keep.acquire(until).await?;
        Ok(Held::new(live, Arc::clone(&self.keep), room))
    }

    /// The complete answer to `ask`; with `twice` it is retried once when the connection is lost.
    async fn answer(&self, ask: Ask, twice: bool) -> Result<Vec<Piece>, sqlx::Error> {
        let began = Instant::now();
        let until = began + budget::left().map_or(self.limit, |left| left.min(self.limit));
        let answer = if twice {
            match self.once(ask.clone(), until).await {
                Err(error) if is_loss(&error) && Instant::now() < until => {
                    self.once(ask, until).await
                }
                answer => answer,
            }
        } else {
            self.once(ask, until).await
        };
        budget::spend(began.elapsed());
        answer
    }

    async fn once(&self, ask: Ask, until: Instant) -> Result<Vec<Piece>, sqlx::Error> {
        let mut held = self.held(until).await?;
        match timeout_at(until, ask.of(&mut held)).await {
            Ok(Ok(answer)) => {
                held.give_back();
                Ok(answer)
            }
            Ok(Err(error)) => {
                if is_loss(&error) {
                    self.keep.lost();
                } else if matches!(error, sqlx::Error::Database(_)) {
                    held.give_back();
                }
                Err(error)
            }
            Err(_) => {
                self.keep.doubt();
                Err(no_answer())
            }
        }
    }

    fn pieces<'e>(
        &self,
        ask: Result<Ask, sqlx::Error>,
        twice: bool,
    ) -> BoxStream<'e, Result<Piece, sqlx::Error>> {
        let pool = self.clone();
        async move { pool.answer(ask?, twice).await }
            .map(|answer| {
                let (pieces, fault) = match answer {
                    Ok(pieces) => (pieces, None),
                    Err(error) => (Vec::new(), Some(error)),
                };
                stream::iter(pieces.into_iter().map(Ok).chain(fault.map(Err)))
            })
            .flatten_stream()
            .boxed()
    }

    fn first_row<'e>(
        &self,
        ask: Result<Ask, sqlx::Error>,
        twice: bool,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>> {
        let pool = self.clone();
        async move {
            let answer = pool.answer(ask?, twice).await?;
            Ok(answer.into_iter().find_map(Either::right))
        }
        .boxed()
    }

    fn prepared<'e>(
        &self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>> {
        let pool = self.clone();
        async move {
            pool.in_time(async {
                let mut held = pool.acquire().await?;
                let statement = held.prepare_with(sql, parameters).await?;
                held.give_back();
                Ok(statement)
            })
            .await
        }
        .boxed()
    }

    fn described<'e>(
        &self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>> {
        let pool = self.clone();
        async move {
            pool.in_time(async {
                let mut held = pool.acquire().await?;
                let description = held.describe(sql).await?;
                held.give_back();
                Ok(description)
            })
            .await
        }
        .boxed()
    }
}

impl<'p> Executor<'p> for &'_ PgPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Piece, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        self.pieces(Ask::new(query), false)
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        self.first_row(Ask::new(query), false)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        self.prepared(sql, parameters)
    }

    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>> {
        self.described(sql)
    }
}

/// A pool that retries statements once when the connection is lost.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a>(&'a PgPool);

impl<'p> Executor<'p> for Again<'_> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Piece, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        self.0.pieces(Ask::new(query), true)
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        self.0.first_row(Ask::new(query), true)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        self.0.prepared(sql, parameters)
    }

    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>> {
        self.0.described(sql)
    }
}
