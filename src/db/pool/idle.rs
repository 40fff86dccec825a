//! Keeps the idle connections, finds out which of them work, and decides when the server is
//! suspect.
//!
//! A server that has not answered in time is suspect. Then a connection is checked before each use,
//! however short it was idle, and attempts to connect use a short timeout, so that none still hangs
//! when the server is back. One attempt at a time has the full timeout, because the server may be
//! slow rather than down. The first answer ends the suspicion.

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
    Connection as _, Executor as _, PgConnection,
    postgres::{PgDatabaseError, PgSeverity},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::{Servers, no_answer};

/// A connection that was idle for longer is checked before it is used.
const FRESH: Duration = Duration::from_secs(1);
/// How long that check may take.
const LOOK: Duration = Duration::from_secs(1);
/// How long connecting may take while the server is suspect.
const SHORT: Duration = Duration::from_millis(600);
/// A connection that was idle for longer is closed.
const REST: Duration = Duration::from_mins(10);
/// A connection that is older is closed: the server's process keeps memory for all it ever did.
const LIFE: Duration = Duration::from_mins(30);
/// How long closing a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Limits in the server, for each connection.
///
/// - a statement: longer than the background task waits for one. The portal gives up before that;
///   the sweep sets its own limit;
/// - a lock: longer than any page waits for one;
/// - a transaction without a statement: for the sweep's, in case the portal stops in the middle;
/// - a client that has disconnected: its statement is stopped within a second, and its locks are
///   released;
/// - a client that has vanished without closing the connection: found out within a minute, over
///   TCP.
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
    /// The number of outages when it was opened.
    outage: u64,
    _counted: Counted,
}

/// Counts a connection for as long as it is open.
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
struct Idle {
    /// Idle connections. The one that was used last is used next; the others close in time.
    resting: VecDeque<Rested>,
    /// How often a connection was found dead.
    outages: u64,
}

/// The connections of one pool, open and idle.
pub(super) struct Keep {
    servers: Servers,
    most: u32,
    room: Arc<Semaphore>,
    bench: Mutex<Idle>,
    size: Arc<AtomicU32>,
    /// Signals that a connection was given back.
    returned: Notify,
    doubt: AtomicBool,
    /// Whether the server's disk was full when something was last stored.
    pub(super) full: AtomicBool,
    /// Whether an attempt to connect with the full timeout is running.
    trying: AtomicBool,
}

impl Keep {
    pub(super) fn new(servers: Servers, most: u32) -> Self {
        Self {
            servers,
            most,
            room: Arc::new(Semaphore::new(
                usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            bench: Mutex::default(),
            size: Arc::default(),
            returned: Notify::new(),
            doubt: AtomicBool::new(false),
            full: AtomicBool::new(false),
            trying: AtomicBool::new(false),
        }
    }

    pub(super) const fn servers(&self) -> &Servers {
        &self.servers
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

    fn bench(&self) -> MutexGuard<'_, Idle> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A working connection, and the permit that counts it.
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

    /// Takes the connection that was used last.
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

    /// Opens a connection. Where the server has no room for more, waits for one of ours to be given
    /// back.
    async fn open(&self, until: Instant) -> Result<Live, sqlx::Error> {
        loop {
            let patient = Probe::of(self);
            let limit = if patient.is_some() {
                until
            } else {
                until.min(Instant::now() + SHORT)
            };
            // Boxed because it is large and rarely needed.
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
                    // Only an attempt with the full timeout proves that the server is down: the
                    // network may be slow.
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
        let mut connection = self.servers.connect().await?;
        connection.execute(SETTINGS).await?;
        self.size.fetch_add(1, AcqRel);
        Ok(Live {
            connection,
            opened: Instant::now(),
            outage,
            _counted: Counted(Arc::clone(&self.size)),
        })
    }

    /// Takes back a connection whose answers have all been read.
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

    /// Records that a connection was lost: idle ones, and those opened before, are no longer
    /// trusted.
    pub(super) fn lost(&self) {
        let mut bench = self.bench();
        bench.outages += 1;
        let condemned = std::mem::take(&mut bench.resting);
        drop(bench);
        // Dropped outside the lock and without a Terminate message: the server may not be there.
        drop(condemned);
    }

    /// Records that the server has not answered in time.
    pub(super) fn doubt(&self) {
        self.doubt.store(true, Release);
    }

    /// Records that the server has answered.
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

/// The permit to use the full timeout while the server is suspect; one attempt at a time has it.
struct Probe<'a>(Option<&'a AtomicBool>);

impl<'a> Probe<'a> {
    /// Every attempt gets it while the server is not suspect.
    fn of(keep: &'a Keep) -> Option<Self> {
        if !keep.doubt.load(Acquire) {
            return Some(Self(None));
        }
        let alone = !keep.trying.swap(true, AcqRel);
        alone.then_some(Self(Some(&keep.trying)))
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(trying) = self.0 {
            trying.store(false, Release);
        }
    }
}

/// Closes a connection properly, in the background.
fn goodbye(live: Live) {
    tokio::spawn(async move {
        // If this fails, the server notices the loss by itself.
        let _ = timeout(GOODBYE, live.connection.close()).await;
    });
}

/// Whether the connection is unusable, and others may be too: cut, shut down by the server, or led
/// to a server that became read-only after a switch-over.
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
