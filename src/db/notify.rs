//! LISTEN and NOTIFY: tells the background task, in this process and in others, that there is work,
//! and tells live pages that a request has changed.
//!
//! In memory from its own handlers, and from other processes through NOTIFY. A wake-up carries no
//! data. Where none arrives, because a pooler is in the way, everybody polls.

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
use crate::code;

/// The channel on which processes wake each other's background task.
pub const WORK_CHANNEL: &str = "pic_work";
/// The channel on which they tell each other that some request has changed.
pub const STATUS_CHANNEL: &str = "pic_status";
/// Wait after a failure of the database: the first, and the longest.
pub(crate) const FAILURE_WAIT: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(5));

/// The safety net where wake-ups from other processes arrive, and where they do not.
pub(crate) const POLL: Duration = Duration::from_secs(10);
const POLL_ALONE: Duration = Duration::from_secs(1);
/// Between two NOTIFYs of one process: the first goes at once, then at most 20 a second.
const NOTIFY_GAP: Duration = Duration::from_millis(50);
/// Nothing heard for so long: look whether the connection still leads anywhere.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a wake-up of our own may take before we believe that none arrive.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Wakes the background task of this process and whoever follows requests in it, and through NOTIFY
/// those of the other processes.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Arc<Wakes>);

#[derive(Debug, Default)]
struct Wakes {
    own: Notify,
    others: Notify,
    changes: watch::Sender<()>,
    others_of_changes: Notify,
    /// Whether wake-ups from other processes arrive.
    listening: AtomicBool,
    pending_domains: AtomicU64,
}

impl Notifier {
    /// There is something to do: called after a commit, never inside a transaction.
    pub fn wake(&self) {
        self.0.own.notify_one();
        self.0.others.notify_one();
    }

    /// How many domains were pending when the background task last counted them, for those who take
    /// more; 0 before that.
    #[must_use]
    pub fn pending_domains(&self) -> u64 {
        self.0.pending_domains.load(Relaxed)
    }

    /// So many domains are pending.
    pub fn tell_pending_domains(&self, count: u64) {
        self.0.pending_domains.store(count, Relaxed);
    }

    /// Returns when there is something to do; a wake-up that comes while nobody waits is kept.
    pub(crate) async fn woken(&self) {
        self.0.own.notified().await;
    }

    /// Some request stands otherwise than before, or its timeline or findings do: called after the
    /// commit, never inside a transaction. Which one is for those who follow to find out.
    pub fn changed(&self) {
        self.0.changes.send_replace(());
        self.0.others_of_changes.notify_one();
    }

    /// The changes from now on, of every process on the database.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes {
            seen: self.0.changes.subscribe(),
            wakes: Arc::clone(&self.0),
        }
    }

    /// How often to look without being woken: the safety net.
    pub(crate) fn poll(&self) -> Duration {
        self.0.poll()
    }

    /// Another process has told of something to do.
    fn hear(&self, channel: &str) {
        if channel == STATUS_CHANNEL {
            self.0.changes.send_replace(());
        } else {
            self.0.own.notify_one();
        }
    }

    /// The connection was lost: anything may have been missed.
    fn hear_all(&self) {
        self.0.own.notify_one();
        self.0.changes.send_replace(());
    }

    /// Tells other processes and hears them, for as long as it is polled.
    pub(crate) async fn keep_in_touch(&self, pool: &PgPool) {
        tokio::join!(self.tell_others(pool), self.listen(pool));
    }

    /// Tells the other processes of what was done in this one, on each channel by itself: the first
    /// at once, then coalesced.
    async fn tell_others(&self, pool: &PgPool) {
        tokio::join!(
            tell(pool, &self.0.others, WORK_CHANNEL),
            tell(pool, &self.0.others_of_changes, STATUS_CHANNEL),
        );
    }

    /// Hears the other processes, and keeps `listening` true while it does.
    async fn listen(&self, pool: &PgPool) {
        let mut wait = FAILURE_WAIT.0;
        loop {
            match self.hear_others(pool).await {
                Ok(()) => {
                    // The wake-ups do not arrive: a pooler in transaction mode is in the way.
                    tracing::warn!(
                        "LISTEN does not work on this connection (a pooler in transaction mode?): polling every {} s",
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

    /// Returns when a wake-up that we sent ourselves does not arrive. One connection hears both
    /// channels.
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
        // What happened while nobody listened.
        self.hear_all();
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(heard))) if heard.payload().is_empty() => self.hear(heard.channel()),
                // Another process looks whether LISTEN works.
                Ok(Ok(Some(_))) => {}
                // The connection was lost and made again.
                Ok(Ok(None)) => self.hear_all(),
                Ok(Err(error)) => return Err(error.into()),
                // Nobody has anything to say, or the connection leads nowhere.
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

/// Tells when to look at requests again.
#[derive(Clone, Debug)]
pub struct Changes {
    seen: watch::Receiver<()>,
    wakes: Arc<Wakes>,
}

impl Changes {
    /// Returns when some request has changed since the last call, or when it is time to look all
    /// the same: after 10 s, or after 1 s where changes of other processes cannot be heard. Several
    /// changes are one. Whether one was heard of.
    pub async fn next(&mut self) -> bool {
        let poll = self.wakes.poll();
        // Late or closed: to look is right.
        matches!(timeout(poll, self.seen.changed()).await, Ok(Ok(())))
    }
}

/// What the server answers to a statement of the listener, if it does in time.
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
            // They poll.
            tracing::debug!(%error, "the other processes were not told");
        }
    }
}

/// Tells all processes that listen on `channel`, this one too. Not for use inside a transaction
/// that stores something (`docs/decisions/04-notify-outside-the-transaction.md`).
///
/// # Errors
///
/// [`Error`] when the database is away.
pub async fn notify(pool: &PgPool, channel: &str, payload: &str) -> Result<(), Error> {
    sqlx::query!("SELECT pg_notify($1, $2)", channel, payload)
        .execute(pool)
        .await?;
    Ok(())
}

/// `wait` and up to a fifth more, so that processes do not poll in step.
fn jittered(wait: Duration) -> Duration {
    wait + wait * u32::from(code::random::<1>()[0]) / (5 * 255)
}
