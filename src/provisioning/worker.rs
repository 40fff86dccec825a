//! When does the background task look, and what does it do then?
//!
//! One task a process; several processes on one database share the work. It is woken in memory by
//! the own process's submits, by NOTIFY from other processes, by the next due time, and by a poll
//! as a safety net. A wake-up carries no data: the task looks for itself.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    checking::{self, Desk, Places, store::progress},
    due::{Pace, Settler},
    meter::Meter,
    store::{self, Settled, Waits},
};
use crate::{
    clock::Clock,
    db::{
        self, PgPool,
        notify::{FAILURE_WAIT, Notifier, POLL},
    },
    provisioning::store::WATCH_EVERY,
    readiness::engine::Checks,
};

/// How long a statement may take: to settle 500 takes some ten milliseconds, and a lease on what is
/// left over lasts longer.
const LIMIT: Duration = Duration::from_secs(10);
/// How often a process tells that it is there.
const SHOW: Duration = Duration::from_mins(1);
/// How long a process that stops may take to tell that it goes.
const HIDE_LIMIT: Duration = Duration::from_secs(1);

/// The background task's means.
#[derive(Clone, Debug)]
pub struct Worker {
    pool: PgPool,
    waits: Waits,
    notifier: Notifier,
    checks: Checks,
    places: Places,
    meter: Meter,
    /// Told what time it is by the database.
    clock: Clock,
    /// A random number of the process's own.
    instance: Uuid,
}

impl Worker {
    /// A worker on `pool` that `notifier` wakes, and that looks nothing up.
    #[must_use]
    pub fn new(pool: PgPool, waits: Waits, notifier: Notifier) -> Self {
        Self {
            pool: pool.within(LIMIT),
            waits,
            notifier,
            checks: Checks::Off,
            places: Places::default(),
            meter: Meter::new(Clock::system()),
            clock: Clock::told(),
            instance: Uuid::new_v4(),
        }
    }

    /// What it has done.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The same, and it tells this clock the database's time, once a minute.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same, with these checks.
    #[must_use]
    pub fn with_checks(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// The same, with so many places for requests that are looked at.
    #[must_use]
    pub fn with_places(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// One batch, settled without look-ups. `None`: nothing was due. The tests step the queue by this.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away; what was claimed is done again later.
    pub async fn step(&self) -> Result<Option<Settled>, db::Error> {
        let turn = self.settler().batch(None).await?;
        Ok(turn.found.then_some(turn.settled))
    }

    /// Steps until nothing is due, and adds up what was done.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn drain(&self) -> Result<Settled, db::Error> {
        if let Some(mut desk) = self.desk() {
            let mut sum = Settled::default();
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
        self.settler().drain().await
    }

    fn settler(&self) -> Settler {
        Settler::new(&self.pool, self.waits, &self.notifier, &self.meter)
    }

    fn desk(&self) -> Option<Desk> {
        Desk::new(&self.pool, self.waits, &self.checks, self.places)
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
            stop.run_until_cancelled(self.notifier.keep_in_touch(&self.pool)),
            self.show(&stop),
        );
    }

    /// Tells the other processes, and the support desk, that this one is there, until `stop`.
    async fn show(&self, stop: &CancellationToken) {
        loop {
            // Not cut off: what came late would show a process that has gone.
            if let Err(error) = self.show_once().await {
                tracing::debug!(%error, "this instance could not be recorded");
            }
            if stop.run_until_cancelled(sleep(SHOW)).await.is_none() {
                break;
            }
        }
        let hidden = timeout(HIDE_LIMIT, self.hide());
        if !matches!(hidden.await, Ok(Ok(()))) {
            tracing::debug!("the record of this instance remains until it expires, in an hour");
        }
    }

    /// Tells once that this process is there, and the clock what time it is; counts what waits to be
    /// looked at.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn show_once(&self) -> Result<(), db::Error> {
        let (started, worked) = (self.meter.since_start(), self.meter.since_turn());
        let now = store::show_instance(&self.pool, self.instance, started, worked).await?;
        self.clock.tell(now);
        if self.checks.checker().is_some() {
            let pending = progress::pending_domains(&self.pool).await?;
            self.notifier.tell_pending_domains(pending);
        }
        Ok(())
    }

    /// Tells that this process is not there any more.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn hide(&self) -> Result<(), db::Error> {
        store::hide_instance(&self.pool, self.instance).await
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
                () = self.notifier.woken() => due = Instant::now(),
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
                    if newcomers.is_none() {
                        progress::forget(&self.pool).await?;
                    }
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
                    tracing::warn!(%error, "the background task is waiting for the database");
                    sleep_or(stop, failure_wait).await;
                    failure_wait = (failure_wait * 2).min(FAILURE_WAIT.1);
                    due = Instant::now();
                }
            }
        }
        if desk.abandon().await.is_err() {
            tracing::debug!("unfinished checks are taken over when their leases expire");
        }
    }

    /// For how long to wait, if nobody wakes us.
    async fn idle(&self) -> Result<Duration, db::Error> {
        let due = store::idle_for(&self.pool, self.checks.checker().is_some()).await?;
        Ok(due.unwrap_or(Duration::MAX).min(self.notifier.poll()))
    }

    /// Says what was done: how many in the log, never what; that it was, to those who follow.
    fn report(&self, settled: Settled) {
        if settled != Settled::default() {
            log(settled);
            self.notifier.changed();
        }
    }

    /// Works without look-ups.
    async fn work(&self, stop: &CancellationToken) {
        let settler = self.settler();
        let mut pace = Pace::new();
        let mut failure_wait = FAILURE_WAIT.0;
        while !stop.is_cancelled() {
            let (since, began) = (pace.since(), Instant::now());
            // A wake-up that comes while we look is kept by the `Notify`: none is lost.
            match settler.clear(since, stop).await {
                Ok(turn) => {
                    failure_wait = FAILURE_WAIT.0;
                    log(turn.settled);
                    pace.keep(since, &turn, self.notifier.poll());
                    sleep_or(stop, Pace::rest(&turn, began.elapsed())).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the background task is waiting for the database");
                    let wait = failure_wait;
                    failure_wait = (failure_wait * 2).min(FAILURE_WAIT.1);
                    pace = Pace::new();
                    sleep_or(stop, wait).await;
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.notifier.woken() => {}
                () = sleep_until(pace.at()) => {}
            }
        }
    }
}

fn log(settled: Settled) {
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
