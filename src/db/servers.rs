//! The servers that `DATABASE_URL` names. Where it names several, the portal uses the one that takes
//! writes.
//!
//! The server that took writes last is tried first. As soon as it fails, or after [`HEAD_START`] without
//! an answer, all others are tried at the same time, each within [`EACH`] ([`SILENT`] if it did not
//! answer last time), and the first that takes writes is used. So neither a server that is gone nor one
//! that is silent delays the others, and a standby is used as soon as it is promoted.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use sqlx::{ConnectOptions as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::error::NoneTakesWrites;

/// How long the server that was used last is tried alone.
const HEAD_START: Duration = Duration::from_millis(250);
/// How long one server may take to accept a connection.
const EACH: Duration = Duration::from_secs(3);
/// The same for a server that did not answer last time.
const SILENT: Duration = Duration::from_secs(1);

/// A row where the server takes no writes. As a simple query, which takes one round trip.
const READS_ONLY: &str =
    "SELECT 1 WHERE pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'";

/// One server or several, of which one takes writes. Cheap to clone; clones know which it was last.
#[derive(Clone)]
pub struct Servers {
    each: Arc<[PgConnectOptions]>,
    last: Arc<AtomicUsize>,
    /// Which servers have not answered since they were last tried.
    silent: Arc<[AtomicBool]>,
}

impl From<PgConnectOptions> for Servers {
    fn from(options: PgConnectOptions) -> Self {
        Self::from(vec![options])
    }
}

impl From<Vec<PgConnectOptions>> for Servers {
    fn from(each: Vec<PgConnectOptions>) -> Self {
        Self {
            silent: each.iter().map(|_| AtomicBool::new(false)).collect(),
            each: each.into(),
            last: Arc::default(),
        }
    }
}

impl Servers {
    /// The options of each server.
    #[must_use]
    pub fn each(&self) -> &[PgConnectOptions] {
        &self.each
    }

    /// The same servers for connections that PostgreSQL lists under `application`. The driver would
    /// log each statement: ours carry no values, but the log would be long and of no use.
    #[must_use]
    pub fn named(&self, application: &str) -> Self {
        let named = |options: &PgConnectOptions| {
            let options = options.clone().application_name(application);
            options.disable_statement_logging()
        };
        Self::from(self.each.iter().map(named).collect::<Vec<_>>())
    }

    /// The options of the server that took writes last, or of the first.
    #[must_use]
    pub fn last(&self) -> &PgConnectOptions {
        &self.each[self.last.load(Relaxed)]
    }

    /// Connects: to the only server, whether it takes writes or not, or to the one of several that
    /// does.
    ///
    /// # Errors
    ///
    /// [`sqlx::Error`] of the only server. Of several: what one of them answered; if all that
    /// answered only read, that; else why the last of them could not be reached.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        if let [only] = &*self.each {
            return only.connect().await;
        }
        let first = self.last.load(Relaxed);
        let mut attempts = FuturesUnordered::from_iter([self.attempt(first)]);
        let early = timeout(HEAD_START, attempts.next()).await;
        let mut done = early.ok().flatten();
        attempts.extend(
            (0..self.each.len())
                .filter(|at| *at != first)
                .map(|at| self.attempt(at)),
        );
        let mut fault = no_answer();
        loop {
            match done {
                Some(Ok((at, connection))) => {
                    self.last.store(at, Relaxed);
                    return Ok(connection);
                }
                Some(Err(error)) if weight(&error) >= weight(&fault) => fault = error,
                None if attempts.is_empty() => return Err(fault),
                Some(Err(_)) | None => {}
            }
            done = attempts.next().await;
        }
    }

    async fn attempt(&self, at: usize) -> Result<(usize, PgConnection), sqlx::Error> {
        let attempt = async {
            let mut connection = self.each[at].connect().await?;
            if connection.fetch_optional(READS_ONLY).await?.is_some() {
                return Err(sqlx::Error::AnyDriverError(Box::new(NoneTakesWrites)));
            }
            Ok((at, connection))
        };
        let limit = if self.silent[at].swap(true, Relaxed) {
            SILENT
        } else {
            EACH
        };
        let Ok(answer) = timeout(limit, Box::pin(attempt)).await else {
            return Err(no_answer());
        };
        self.silent[at].store(false, Relaxed);
        answer
    }
}

/// How much an error says about what is wrong, if another server gave another.
fn weight(error: &sqlx::Error) -> u8 {
    match error {
        sqlx::Error::Database(_) => 2,
        sqlx::Error::AnyDriverError(_) => 1,
        _ => 0,
    }
}

/// Without passwords: `postgres://pic@db1:5432,db2:5432/pic`.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |it: &PgConnectOptions| match it.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", it.get_host(), it.get_port()),
        };
        let places: Vec<_> = self.each.iter().map(place).collect();
        let first = &self.each[0];
        let database = first.get_database().unwrap_or(first.get_username());
        write!(
            f,
            "postgres://{}@{}/{database}",
            first.get_username(),
            places.join(",")
        )
    }
}

/// As [`fmt::Display`]: the options hold passwords.
impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The error for a server that did not answer in time.
pub(super) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}
