//! When does the background task look, and what does it do then?
//!
//! One task a process; several processes on one database share the work. It is woken in memory by
//! the own process's submits, by NOTIFY from other processes, by the next due time, and by a poll
//! as a safety net. A wake-up carries no data: the task looks for itself.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    checking::{self, Desk},
    store::{self, Settled, Verdicts, Waits},
};
use crate::{code, db, readiness::engine::Checks};

/// The most requests in one claim: larger ones gained nothing (`limits.md`).
const MOST: u32 = 500;
/// How long a claim lasts that is settled at once, which takes a fraction of it.
const LEASE: Duration = Duration::from_secs(30);
/// The safety net where wake-ups from other processes arrive, and where they do not.
const POLL: Duration = Duration::from_secs(10);
const POLL_ALONE: Duration = Duration::from_secs(1);
/// Between two NOTIFYs of one process: the first goes at once, then at most 20 a second.
const NOTIFY_GAP: Duration = Duration::from_millis(50);
/// Wait after a failure of the database: the first, and the longest.
const FAILURE_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a wake-up of our own may take before we believe that none arrive.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Wakes the background task of this process, and through NOTIFY those of the others.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Wakes>);

#[derive(Debug, Default)]
struct Wakes {
    own: Notify,
    others: Notify,
}

impl Waker {
    /// There is something to do: called after a commit, never inside a transaction.
    pub fn wake(&self) {
        self.0.own.notify_one();
        self.0.others.notify_one();
    }
}

/// The background task's means.
#[derive(Clone, Debug)]
pub struct Worker {
    pool: PgPool,
    waits: Waits,
    waker: Waker,
    checks: Checks,
}

impl Worker {
    /// A worker on `pool` that `waker` wakes, and that looks nothing up.
    #[must_use]
    pub fn new(pool: PgPool, waits: Waits, waker: Waker) -> Self {
        Self {
            pool,
            waits,
            waker,
            checks: Checks::Off,
        }
    }

    /// The same, with these checks.
    #[must_use]
    pub fn with_checks(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// One claim, settled without look-ups. `None`: nothing was due. The tests step the queue by this.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away; what was claimed is done again later.
    pub async fn step(&self) -> Result<Option<Settled>, db::Error> {
        let claim = store::claim(&self.pool, MOST, LEASE).await?;
        if claim.is_empty() {
            return Ok(None);
        }
        store::settle_surely(&self.pool, &claim, &self.waits, &Verdicts::default())
            .await
            .map(Some)
    }

    /// Steps until nothing is due, and adds up what was done.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn drain(&self) -> Result<Settled, db::Error> {
        let mut sum = Settled::default();
        if let Some(mut desk) = self.desk() {
            loop {
                desk.fill().await?;
                if desk.is_empty() {
                    return Ok(sum);
                }
                let looked = desk.next().await;
                sum += desk.settle(looked).await?;
            }
        }
        while let Some(settled) = self.step().await? {
            sum += settled;
        }
        Ok(sum)
    }

    fn desk(&self) -> Option<Desk> {
        Desk::new(&self.pool, self.waits, &self.checks)
    }

    /// Works until `stop`; a claim in hand is settled first.
    pub async fn run(self, stop: CancellationToken) {
        let listening = Arc::new(std::sync::atomic::AtomicBool::new(false));
        tokio::join!(
            async {
                match self.desk() {
                    Some(desk) => self.look(desk, &stop, &listening).await,
                    None => self.work(&stop, &listening).await,
                }
            },
            stop.run_until_cancelled(self.tell_others()),
            stop.run_until_cancelled(self.listen(&listening)),
        );
    }

    /// Works with look-ups: what is due is looked at while there is room, and settled when it is
    /// done.
    async fn look(
        &self,
        mut desk: Desk,
        stop: &CancellationToken,
        listening: &std::sync::atomic::AtomicBool,
    ) {
        let mut failure_wait = FAILURE_WAIT.0;
        let mut renewal = tokio::time::interval(checking::LEASE / 3);
        let mut renewed = Instant::now();
        let mut newcomers = Some(0);
        let mut due = Instant::now();
        loop {
            let mut done = None;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.waker.0.own.notified() => due = Instant::now(),
                () = sleep_until(due) => {}
                _ = renewal.tick() => {}
                looked = desk.next() => done = Some(looked),
            }
            // Not cut off half-way: what was looked at is settled, or known not to be.
            let turn = async {
                if let Some(looked) = done {
                    report(desk.settle(looked).await?);
                    due = due.min(Instant::now() + self.idle(listening).await?);
                }
                if renewed.elapsed() >= checking::LEASE / 3 {
                    desk.renew().await?;
                    renewed = Instant::now();
                }
                if let Some(after) = newcomers {
                    newcomers = checking::store::begin_to_watch(&self.pool, after).await?;
                }
                if due <= Instant::now() {
                    let all = desk.fill().await?;
                    // Without room for all of it, the next one that is done makes room.
                    let wait = if all {
                        self.idle(listening).await?
                    } else {
                        POLL
                    };
                    due = Instant::now() + wait;
                }
                Ok::<_, db::Error>(())
            };
            match turn.await {
                Ok(()) => failure_wait = FAILURE_WAIT.0,
                Err(error) => {
                    tracing::warn!(%error, "the background task waits for the database");
                    sleep_or(stop, failure_wait).await;
                    failure_wait = (failure_wait * 2).min(FAILURE_WAIT.1);
                    due = Instant::now();
                }
            }
        }
        if desk.abandon().await.is_err() {
            tracing::debug!("what was being looked at is free when its lease has run out");
        }
    }

    /// For how long to wait, if nobody wakes us.
    async fn idle(&self, listening: &std::sync::atomic::AtomicBool) -> Result<Duration, db::Error> {
        let poll = if listening.load(std::sync::atomic::Ordering::Relaxed) {
            POLL
        } else {
            POLL_ALONE
        };
        let due = store::idle_for(&self.pool, self.checks.checker().is_some()).await?;
        Ok(due.unwrap_or(Duration::MAX).min(jittered(poll)))
    }

    async fn work(&self, stop: &CancellationToken, listening: &std::sync::atomic::AtomicBool) {
        let mut failure_wait = FAILURE_WAIT.0;
        while !stop.is_cancelled() {
            // A wake-up that comes while we look is kept by the `Notify`: none is lost.
            let wait = match self.drain().await {
                Ok(settled) => {
                    failure_wait = FAILURE_WAIT.0;
                    report(settled);
                    self.idle(listening).await.unwrap_or(FAILURE_WAIT.0)
                }
                Err(error) => {
                    tracing::warn!(%error, "the background task waits for the database");
                    let wait = failure_wait;
                    failure_wait = (failure_wait * 2).min(FAILURE_WAIT.1);
                    sleep_or(stop, wait).await;
                    continue;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.waker.0.own.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Tells the other processes of this one's submits: the first at once, then coalesced.
    async fn tell_others(&self) {
        let mut next = Instant::now();
        loop {
            self.waker.0.others.notified().await;
            sleep_until(next).await;
            next = Instant::now() + NOTIFY_GAP;
            if let Err(error) = store::notify(&self.pool, "").await {
                // They poll.
                tracing::debug!(%error, "the other processes were not told");
            }
        }
    }

    /// Hears the other processes, and keeps `listening` true while it does.
    async fn listen(&self, listening: &std::sync::atomic::AtomicBool) {
        use std::sync::atomic::Ordering::Relaxed;
        let mut wait = FAILURE_WAIT.0;
        loop {
            match self.hear(listening).await {
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
            listening.store(false, Relaxed);
            sleep(wait).await;
            wait = (wait * 2).min(FAILURE_WAIT.1);
        }
    }

    /// Returns when a wake-up that we sent ourselves does not arrive.
    async fn hear(&self, listening: &std::sync::atomic::AtomicBool) -> Result<(), db::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(store::CHANNEL).await?;
        let probe = Uuid::new_v4().to_string();
        store::notify(&self.pool, &probe).await?;
        let arrives = async {
            while listener.recv().await?.payload() != probe {
                self.waker.0.own.notify_one();
            }
            Ok::<_, sqlx::Error>(())
        };
        match timeout(PROBE_LIMIT, arrives).await {
            Ok(heard) => heard?,
            Err(_) => return Ok(()),
        }
        listening.store(true, std::sync::atomic::Ordering::Relaxed);
        loop {
            // `None`: the connection was lost and made again, and something may have been missed.
            if listener
                .try_recv()
                .await?
                .is_none_or(|n| n.payload().is_empty())
            {
                self.waker.0.own.notify_one();
            }
        }
    }
}

/// Says in the log what was done; how many, never what.
fn report(settled: Settled) {
    if settled != Settled::default() {
        tracing::info!(
            settled.provisioned,
            settled.held,
            settled.waiting,
            settled.expired,
            settled.watched,
            "settled"
        );
    }
}

async fn sleep_or(stop: &CancellationToken, wait: Duration) {
    tokio::select! { () = stop.cancelled() => {}, () = sleep(wait) => {} }
}

/// `wait` and up to a fifth more, so that processes do not poll in step.
fn jittered(wait: Duration) -> Duration {
    wait + wait * u32::from(code::random::<1>()[0]) / (5 * 255)
}
