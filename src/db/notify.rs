//! LISTEN and NOTIFY: tells the background tasks of all processes that there is work, and live
//! pages that a request has changed.
//!
//! Within the process this goes through memory, to other processes through NOTIFY. A notification
//! carries no data. Where none arrives, because a pooler is in the way, all processes poll.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::Executor as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use uuid::Uuid;

use super::{Error, PgPool};
use crate::base32;

/// The channel on which processes wake each other's background tasks.
pub const WORK_CHANNEL: &str = "pic_work";
/// The channel on which processes tell each other that some request has changed.
pub const STATUS_CHANNEL: &str = "pic_status";
/// Wait after a database error: the first, and the longest.
pub(crate) const FAILURE_WAIT: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(5));

/// Poll interval: where notifications from other processes arrive, and where they do not.
pub(crate) const POLL: Duration = Duration::from_secs(10);
const POLL_ALONE: Duration = Duration::from_secs(1);
/// Shortest time between two NOTIFYs of one process: the first goes at once, then at most 20 a
/// second.
const NOTIFY_GAP: Duration = Duration::from_millis(50);
/// After this time without a notification the connection is checked.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a notification of our own may take before we conclude that none arrive.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Wakes the background task and the live pages of this process, and through NOTIFY those of the
/// other processes.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Arc<Wakes>);

#[derive(Debug, Default)]
struct Wakes {
    own: Notify,
    others: Notify,
    changes: watch::Sender<()>,
    others_of_changes: Notify,
    /// Whether notifications from other processes arrive.
    listening: AtomicBool,
    pending_domains: AtomicU64,
}

impl Notifier {
    /// Wakes the background tasks. Called after a commit, never inside a transaction.
    pub fn wake(&self) {
        self.0.own.notify_one();
        self.0.others.notify_one();
    }

    /// How many domains were pending when the background task last counted them; 0 before the first
    /// count. The queue uses it to decide whether to take more.
    #[must_use]
    pub fn pending_domains(&self) -> u64 {
        self.0.pending_domains.load(Relaxed)
    }

    /// Stores the number of pending domains.
    pub fn tell_pending_domains(&self, count: u64) {
        self.0.pending_domains.store(count, Relaxed);
    }

    /// Returns when there is work. A wake-up that comes while no task waits is kept.
    pub(crate) async fn woken(&self) {
        self.0.own.notified().await;
    }

    /// Tells live pages that the standing, timeline or findings of some request changed. Called
    /// after the commit, never inside a transaction. Listeners find out themselves which request it
    /// was.
    pub fn changed(&self) {
        self.0.changes.send_replace(());
        self.0.others_of_changes.notify_one();
    }

    /// The changes from now on, of all processes on the database.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes {
            seen: self.0.changes.subscribe(),
            wakes: Arc::clone(&self.0),
        }
    }

    /// How often to poll in addition to notifications.
    pub(crate) fn poll(&self) -> Duration {
        self.0.poll()
    }

    /// Handles a notification from another process.
    fn hear(&self, channel: &str) {
        if channel == STATUS_CHANNEL {
            self.0.changes.send_replace(());
        } else {
            self.0.own.notify_one();
        }
    }

    /// Wakes everything: the connection was lost, so notifications may have been missed.
    fn hear_all(&self) {
        self.0.own.notify_one();
        self.0.changes.send_replace(());
    }

    /// Sends notifications to other processes and receives theirs, for as long as the future is
    /// polled.
    pub(crate) async fn keep_in_touch(&self, pool: &PgPool) {
        tokio::join!(self.tell_others(pool), self.listen(pool));
    }

    /// Sends what happened in this process to the others, separately for each channel: the first at
    /// once, then coalesced.
    async fn tell_others(&self, pool: &PgPool) {
        tokio::join!(
            tell(pool, &self.0.others, WORK_CHANNEL),
            tell(pool, &self.0.others_of_changes, STATUS_CHANNEL),
        );
    }

    /// Receives notifications, and keeps `listening` true while that works.
    async fn listen(&self, pool: &PgPool) {
        let mut wait = FAILURE_WAIT.0;
        loop {
            match self.hear_others(pool).await {
                Ok(()) => {
                    // Notifications do not arrive: there is a pooler in transaction mode between us
                    // and the server.
                    tracing::warn!(
                        "LISTEN does not work on this connection (a pooler in transaction mode?); polling every {} s",
                        POLL_ALONE.as_secs()
                    );
                    wait = Duration::from_mins(10);
                }
                Err(error) => tracing::debug!(%error, "not listening"),
            }
            self.0.listening.store(false, Relaxed);
            sleep(wait).await;
            wait = (wait * 2).min(FAILURE_WAIT.1);
        }
    }

    /// Returns when a notification that we sent ourselves does not arrive. One connection listens
    /// on both channels.
    async fn hear_others(&self, pool: &PgPool) -> Result<(), Error> {
        let mut listener = pool.clone().within(PROBE_LIMIT).listener().await?;
        answered(listener.listen_all([WORK_CHANNEL, STATUS_CHANNEL])).await?;
        let probe = Uuid::new_v4().to_string();
        notify(pool, WORK_CHANNEL, &probe).await?;
        let arrives = async {
            loop {
                let heard = listener.recv().await?;
                if heard.payload() == probe {
                    return Ok::<_, sqlx::Error>(());
                }
                self.hear(heard.channel());
            }
        };
        match timeout(PROBE_LIMIT, arrives).await {
            Ok(heard) => heard?,
            Err(_) => return Ok(()),
        }
        self.0.listening.store(true, Relaxed);
        // Something may have happened before LISTEN was in effect.
        self.hear_all();
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(heard))) if heard.payload().is_empty() => self.hear(heard.channel()),
                // A probe of another process, which checks whether LISTEN works.
                Ok(Ok(Some(_))) => {}
                // The connection was lost and opened again.
                Ok(Ok(None)) => self.hear_all(),
                Ok(Err(error)) => return Err(error.into()),
                // No notification came for a while: either there was none, or the connection is
                // dead.
                Err(_) => {
                    answered(listener.execute("SELECT")).await?;
                }
            }
        }
    }
}

impl Wakes {
    fn poll(&self) -> Duration {
        let poll = if self.listening.load(Relaxed) {
            POLL
        } else {
            POLL_ALONE
        };
        jittered(poll)
    }
}

/// Tells a live page when to read its requests again.
#[derive(Clone, Debug)]
pub struct Changes {
    seen: watch::Receiver<()>,
    wakes: Arc<Wakes>,
}

impl Changes {
    /// Returns `true` when some request has changed since the last call, and `false` when the poll
    /// interval is over: 10 s, or 1 s where notifications of other processes do not arrive. Several
    /// changes count as one.
    pub async fn next(&mut self) -> bool {
        let poll = self.wakes.poll();
        // Late or closed: reading again is right in both cases.
        matches!(timeout(poll, self.seen.changed()).await, Ok(Ok(())))
    }
}

/// The server's answer to a statement of the listener, within the time limit.
async fn answered<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let silent = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    timeout(PROBE_LIMIT, answer).await.unwrap_or_else(silent)
}

async fn tell(pool: &PgPool, something: &Notify, channel: &str) {
    let mut next = Instant::now();
    loop {
        something.notified().await;
        sleep_until(next).await;
        next = Instant::now() + NOTIFY_GAP;
        if let Err(error) = notify(pool, channel, "").await {
            // The other processes poll anyway.
            tracing::debug!(%error, "other processes could not be notified");
        }
    }
}

/// Notifies all processes that listen on `channel`, including this one. Not for use inside a
/// transaction that stores something (`docs/decisions/04-notify-outside-the-transaction.md`).
///
/// # Errors
///
/// [`Error`] when the database is unreachable.
pub async fn notify(pool: &PgPool, channel: &str, payload: &str) -> Result<(), Error> {
    sqlx::query!("SELECT pg_notify($1, $2)", channel, payload)
        .execute(pool)
        .await?;
    Ok(())
}

/// `wait` plus up to a fifth, so that processes do not poll at the same moment.
fn jittered(wait: Duration) -> Duration {
    wait + wait * u32::from(base32::random::<1>()[0]) / (5 * 255)
}
