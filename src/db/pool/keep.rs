//! Which connections are there, which of them are sound, and when is the server in doubt?
//!
//! In doubt is a server that has not answered in time. Then a connection is looked at before it is
//! used however short its rest was, and tries to open a new one are given up soon, so that none
//! hangs in the dark when the light comes back; but for one at a time, which has as long as ever,
//! because a server may be slow and not away. The first answer ends the doubt.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::no_answer;

/// Rested for longer, a connection is looked at before it is used.
const FRESH: Duration = Duration::from_secs(1);
/// How long that look may take.
const LOOK: Duration = Duration::from_secs(1);
/// How long opening a connection may take while the server is in doubt.
const SHORT: Duration = Duration::from_millis(600);
/// Unused for longer, a connection is closed.
const REST: Duration = Duration::from_mins(10);
/// Older, a connection is closed: a server's process keeps memory for what it once did.
const LIFE: Duration = Duration::from_mins(30);
/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the server itself limits, for each connection.
///
/// - a statement: longer than the background task waits for one; the portal gives up before that,
///   and the sweep sets its own;
/// - a lock: longer than anybody who looks at a page waits, who gives up first;
/// - a transaction without a statement: the sweep's, should the portal stop in the middle;
/// - a client that has hung up: its statement is stopped within a second, and lets go of its locks;
/// - a client that has vanished, where the connection is TCP: found out within a minute.
const SETTINGS: &str = "SELECT set_config('statement_timeout', '15s', false), \
     set_config('lock_timeout', '5s', false), \
     set_config('idle_in_transaction_session_timeout', '20s', false), \
     set_config('client_connection_check_interval', '1s', false), \
     set_config('tcp_keepalives_idle', '30', false), \
     set_config('tcp_keepalives_interval', '10', false), \
     set_config('tcp_keepalives_count', '3', false), \
     set_config('tcp_user_timeout', '60s', false)";

/// One open connection.
pub(super) struct Live {
    pub(super) connection: PgConnection,
    opened: Instant,
    /// Which outage was the last when it was opened.
    outage: u64,
    _counted: Counted,
}

/// Counts a connection for as long as it is there.
struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

struct Rested {
    live: Live,
    since: Instant,
}

#[derive(Default)]
struct Bench {
    /// The one that rested last is used next; the others close in time.
    resting: VecDeque<Rested>,
    /// How often a connection was found dead.
    outages: u64,
}

/// The connections of one pool.
pub(super) struct Keep {
    options: PgConnectOptions,
    most: u32,
    room: Arc<Semaphore>,
    bench: Mutex<Bench>,
    size: Arc<AtomicU32>,
    /// A connection has come back.
    returned: Notify,
    doubt: AtomicBool,
    /// Somebody tries to open one for as long as it takes.
    trying: AtomicBool,
}

impl Keep {
    pub(super) fn new(options: PgConnectOptions, most: u32) -> Self {
        Self {
            options,
            most,
            room: Arc::new(Semaphore::new(
                usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            bench: Mutex::default(),
            size: Arc::default(),
            returned: Notify::new(),
            doubt: AtomicBool::new(false),
            trying: AtomicBool::new(false),
        }
    }

    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(super) const fn most(&self) -> u32 {
        self.most
    }

    pub(super) fn size(&self) -> u32 {
        self.size.load(Acquire)
    }

    pub(super) fn resting(&self) -> usize {
        self.bench().resting.len()
    }

    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sound connection, and the room that it takes.
    pub(super) async fn acquire(
        &self,
        until: Instant,
    ) -> Result<(Live, OwnedSemaphorePermit), sqlx::Error> {
        let room = timeout_at(until, Arc::clone(&self.room).acquire_owned())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        while let Some(Rested { mut live, since }) = self.take() {
            if since.elapsed() < FRESH && !self.doubt.load(Acquire) {
                return Ok((live, room));
            }
            let until = until.min(Instant::now() + LOOK);
            if matches!(timeout_at(until, live.connection.ping()).await, Ok(Ok(()))) {
                self.sure();
                return Ok((live, room));
            }
            self.lost();
        }
        Ok((self.open(until).await?, room))
    }

    /// The one that rested last.
    fn take(&self) -> Option<Rested> {
        loop {
            let (old, taken) = {
                let mut bench = self.bench();
                let is_old = |rested: &Rested| rested.since.elapsed() > REST;
                let old = bench.resting.pop_front_if(|rested| is_old(rested));
                (old, bench.resting.pop_back())
            };
            if let Some(old) = old {
                goodbye(old.live);
            }
            match taken {
                Some(rested) if rested.live.opened.elapsed() > LIFE => goodbye(rested.live),
                taken => return taken,
            }
        }
    }

    /// Opens a connection. Where the server has no room for more, waits for one of ours to come back.
    async fn open(&self, until: Instant) -> Result<Live, sqlx::Error> {
        loop {
            let patient = Patient::of(self);
            let limit = if patient.is_some() {
                until
            } else {
                until.min(Instant::now() + SHORT)
            };
            // Seldom, and large.
            let connecting = Box::pin(self.connect());
            match timeout_at(limit, connecting).await {
                Ok(Ok(live)) => {
                    self.sure();
                    return Ok(live);
                }
                Ok(Err(error)) if is_full(&error) && self.size() > 0 => {
                    drop(patient);
                    if timeout_at(until, self.returned.notified()).await.is_err() {
                        return Err(error);
                    }
                    if let Some(rested) = self.take() {
                        return Ok(rested.live);
                    }
                }
                Ok(Err(error)) => {
                    self.lost();
                    return Err(error);
                }
                Err(_) => {
                    // A short try proves nothing: the way may be long.
                    if patient.is_some() {
                        self.lost();
                    }
                    self.doubt();
                    return Err(no_answer());
                }
            }
        }
    }

    async fn connect(&self) -> Result<Live, sqlx::Error> {
        let outage = self.bench().outages;
        let mut connection = self.options.connect().await?;
        connection.execute(SETTINGS).await?;
        self.size.fetch_add(1, AcqRel);
        Ok(Live {
            connection,
            opened: Instant::now(),
            outage,
            _counted: Counted(Arc::clone(&self.size)),
        })
    }

    /// Takes a connection back that has had every answer.
    pub(super) fn rest(&self, live: Live) {
        if self.room.is_closed() {
            goodbye(live);
            return;
        }
        if self.doubt.load(Relaxed) {
            self.sure();
        }
        let mut bench = self.bench();
        if bench.outages == live.outage {
            bench.resting.push_back(Rested {
                live,
                since: Instant::now(),
            });
        }
        drop(bench);
        self.returned.notify_one();
    }

    /// A connection was lost: those that rest, and those that were opened before, are not trusted
    /// any more.
    pub(super) fn lost(&self) {
        let mut bench = self.bench();
        bench.outages += 1;
        let condemned = std::mem::take(&mut bench.resting);
        drop(bench);
        // Outside of the lock, and without a word: nobody may be listening.
        drop(condemned);
    }

    /// The server has not answered in time.
    pub(super) fn doubt(&self) {
        self.doubt.store(true, Release);
    }

    /// The server has answered.
    fn sure(&self) {
        self.doubt.store(false, Release);
    }

    pub(super) async fn close(&self) {
        self.room.close();
        let resting = std::mem::take(&mut self.bench().resting);
        let closing = resting
            .into_iter()
            .map(|rested| timeout(GOODBYE, rested.live.connection.close()));
        futures_util::future::join_all(closing).await;
    }
}

/// The right to wait for a server in doubt for as long as ever; one at a time has it.
struct Patient<'a>(Option<&'a AtomicBool>);

impl<'a> Patient<'a> {
    /// Everybody has it while there is no doubt.
    fn of(keep: &'a Keep) -> Option<Self> {
        if !keep.doubt.load(Acquire) {
            return Some(Self(None));
        }
        let alone = !keep.trying.swap(true, AcqRel);
        alone.then_some(Self(Some(&keep.trying)))
    }
}

impl Drop for Patient<'_> {
    fn drop(&mut self) {
        if let Some(trying) = self.0 {
            trying.store(false, Release);
        }
    }
}

/// Closes a connection as the server likes it, behind everybody's back.
fn goodbye(live: Live) {
    tokio::spawn(async move {
        // The server notices by itself in the end.
        let _ = timeout(GOODBYE, live.connection.close()).await;
    });
}

/// Whether the connection is of no use any more, and others may be like it: cut, shut down by the
/// server, or led to a server that only reads since another one took over.
pub(super) fn is_loss(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(io) => io.kind() != io::ErrorKind::TimedOut,
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(answer) => {
            let is_fatal = answer
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|answer| {
                    matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                });
            let code = answer.code().unwrap_or_default();
            is_fatal || code == "25006" || code.starts_with("57P") || code.starts_with("08")
        }
        _ => false,
    }
}

/// Whether the server has no room for another connection.
fn is_full(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(answer) if answer.code().as_deref() == Some("53300"))
}
