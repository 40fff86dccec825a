//! When does the background task look, and what does it do then?
//!
//! One task a process; several processes on one database share the work. It is woken in memory by
//! the own process's submits, by NOTIFY from other processes, by the next due time, and by a poll
//! as a safety net. A wake-up carries no data: the task looks for itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    checking::{self, Desk, store::WATCH_EVERY},
    meter::Meter,
    store::{self, Settled, Verdicts, Waits},
};
use crate::{clock::Clock, code, db, readiness::engine::Checks};

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

/// How often a process tells that it is there.
const SHOW: Duration = Duration::from_mins(1);
/// How long a process that stops may take to tell that it goes.
const HIDE_LIMIT: Duration = Duration::from_secs(1);

/// Wakes the background task of this process and whoever follows requests in it, and through NOTIFY
/// those of the other processes.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Wakes>);

#[derive(Debug, Default)]
struct Wakes {
    own: Notify,
    others: Notify,
    changes: watch::Sender<()>,
    others_of_changes: Notify,
    /// Whether wake-ups from other processes arrive.
    listening: AtomicBool,
}

impl Waker {
    /// There is something to do: called after a commit, never inside a transaction.
    pub fn wake(&self) {
        self.0.own.notify_one();
        self.0.others.notify_one();
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
    fn poll(&self) -> Duration {
        self.0.poll()
    }

    /// Another process has told of something to do.
    fn hear(&self, channel: &str) {
        if channel == store::STATUS_CHANNEL {
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

/// The background task's means.
#[derive(Clone, Debug)]
pub struct Worker {
    pool: PgPool,
    waits: Waits,
    waker: Waker,
    checks: Checks,
    meter: Meter,
    /// A random number of the process's own.
    instance: Uuid,
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
            meter: Meter::new(Clock::system()),
            instance: Uuid::new_v4(),
        }
    }

    /// What it has done.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
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
            self.meter.turned();
            return Ok(None);
        }
        let settled =
            store::settle_surely(&self.pool, &claim, &self.waits, &Verdicts::default()).await?;
        self.meter.settled(settled);
        self.meter.turned();
        Ok(Some(settled))
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
                let settled = desk.settle(looked).await?;
                self.meter.settled(settled);
                self.meter.turned();
                sum += settled;
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
        tokio::join!(
            async {
                match self.desk() {
                    Some(desk) => self.look(desk, &stop).await,
                    None => self.work(&stop).await,
                }
            },
            stop.run_until_cancelled(self.tell_others()),
            stop.run_until_cancelled(self.listen()),
            self.show(&stop),
        );
    }

    /// Tells the other processes, and the support desk, that this one is there, until `stop`.
    async fn show(&self, stop: &CancellationToken) {
        loop {
            // Not cut off: what came late would show a process that has gone.
            if let Err(error) = self.show_once().await {
                tracing::debug!(%error, "not shown as an instance");
            }
            if stop.run_until_cancelled(sleep(SHOW)).await.is_none() {
                break;
            }
        }
        let hidden = timeout(HIDE_LIMIT, store::hide_instance(&self.pool, self.instance));
        if !matches!(hidden.await, Ok(Ok(()))) {
            tracing::debug!("the instance is forgotten when it has not been seen for an hour");
        }
    }

    /// Tells once that this process is there.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn show_once(&self) -> Result<(), db::Error> {
        let (started, worked) = (self.meter.since_start(), self.meter.since_turn());
        store::show_instance(&self.pool, self.instance, started, worked).await
    }

    /// Works with look-ups: what is due is looked at while there is room, and settled when it is
    /// done.
    async fn look(&self, mut desk: Desk, stop: &CancellationToken) {
        let mut failure_wait = FAILURE_WAIT.0;
        let mut renewal = tokio::time::interval(checking::LEASE / 3);
        let mut renewed = Instant::now();
        // What came into force without checks, by an import or while they were off.
        let (mut newcomers, mut rounds) = (Some(0), Instant::now());
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
                    let settled = desk.settle(looked).await?;
                    self.meter.settled(settled);
                    self.report(settled);
                    due = due.min(Instant::now() + self.idle().await?);
                }
                if renewed.elapsed() >= checking::LEASE / 3 {
                    desk.renew().await?;
                    renewed = Instant::now();
                }
                if newcomers.is_none() && rounds.elapsed() >= WATCH_EVERY {
                    (newcomers, rounds) = (Some(0), Instant::now());
                }
                if let Some(after) = newcomers {
                    newcomers = checking::store::begin_to_watch(&self.pool, after).await?;
                }
                if due <= Instant::now() {
                    let all = desk.fill().await?;
                    // Without room for all of it, the next one that is done makes room.
                    let wait = if all { self.idle().await? } else { POLL };
                    due = Instant::now() + wait;
                }
                Ok::<_, db::Error>(())
            };
            match turn.await {
                Ok(()) => {
                    failure_wait = FAILURE_WAIT.0;
                    self.meter.turned();
                }
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
    async fn idle(&self) -> Result<Duration, db::Error> {
        let due = store::idle_for(&self.pool, self.checks.checker().is_some()).await?;
        Ok(due.unwrap_or(Duration::MAX).min(self.waker.poll()))
    }

    /// Says what was done: how many in the log, never what; that it was, to those who follow.
    fn report(&self, settled: Settled) {
        if settled != Settled::default() {
            tracing::info!(
                settled.provisioned,
                settled.held,
                settled.waiting,
                settled.expired,
                settled.watched,
                "settled"
            );
            self.waker.changed();
        }
    }

    async fn work(&self, stop: &CancellationToken) {
        let mut failure_wait = FAILURE_WAIT.0;
        while !stop.is_cancelled() {
            // A wake-up that comes while we look is kept by the `Notify`: none is lost.
            let wait = match self.drain().await {
                Ok(settled) => {
                    failure_wait = FAILURE_WAIT.0;
                    self.report(settled);
                    self.idle().await.unwrap_or(FAILURE_WAIT.0)
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

    /// Tells the other processes of what was done in this one, on each channel by itself: the first
    /// at once, then coalesced.
    async fn tell_others(&self) {
        tokio::join!(
            self.tell(&self.waker.0.others, store::CHANNEL),
            self.tell(&self.waker.0.others_of_changes, store::STATUS_CHANNEL),
        );
    }

    async fn tell(&self, something: &Notify, channel: &str) {
        let mut next = Instant::now();
        loop {
            something.notified().await;
            sleep_until(next).await;
            next = Instant::now() + NOTIFY_GAP;
            if let Err(error) = store::notify(&self.pool, channel, "").await {
                // They poll.
                tracing::debug!(%error, "the other processes were not told");
            }
        }
    }

    /// Hears the other processes, and keeps `listening` true while it does.
    async fn listen(&self) {
        let mut wait = FAILURE_WAIT.0;
        loop {
            match self.hear().await {
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
            self.waker.0.listening.store(false, Relaxed);
            sleep(wait).await;
            wait = (wait * 2).min(FAILURE_WAIT.1);
        }
    }

    /// Returns when a wake-up that we sent ourselves does not arrive. One connection hears both
    /// channels.
    async fn hear(&self) -> Result<(), db::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener
            .listen_all([store::CHANNEL, store::STATUS_CHANNEL])
            .await?;
        let probe = Uuid::new_v4().to_string();
        store::notify(&self.pool, store::CHANNEL, &probe).await?;
        let arrives = async {
            loop {
                let heard = listener.recv().await?;
                if heard.payload() == probe {
                    return Ok::<_, sqlx::Error>(());
                }
                self.waker.hear(heard.channel());
            }
        };
        match timeout(PROBE_LIMIT, arrives).await {
            Ok(heard) => heard?,
            Err(_) => return Ok(()),
        }
        self.waker.0.listening.store(true, Relaxed);
        // What happened while nobody listened.
        self.waker.hear_all();
        loop {
            match listener.try_recv().await? {
                Some(heard) if heard.payload().is_empty() => self.waker.hear(heard.channel()),
                // Another process looks whether LISTEN works.
                Some(_) => {}
                // The connection was lost and made again.
                None => self.waker.hear_all(),
            }
        }
    }
}

async fn sleep_or(stop: &CancellationToken, wait: Duration) {
    tokio::select! { () = stop.cancelled() => {}, () = sleep(wait) => {} }
}

/// `wait` and up to a fifth more, so that processes do not poll in step.
fn jittered(wait: Duration) -> Duration {
    wait + wait * u32::from(code::random::<1>()[0]) / (5 * 255)
}
