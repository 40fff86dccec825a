//! Runs the sweep: when, in which order, and what happens when a step fails.
//!
//! It is a task of its own next to the background task, so that scanning a large table never delays
//! a request. At the start `legacy_contact` is emptied before the portal answers any request: a
//! restored backup may have brought contacts back. The rest follows at once, and then every
//! `PIC_SWEEP`, in one process at a time: a process that finds another one sweeping waits, and does
//! not repeat what that one has just done. A failure is recorded, logged and counted by the
//! [`Meter`], and retried soon.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Cause, Fault, KEPT, Kind, Outcome, Run,
    meter::Meter,
    store::{self, Halt, Turn},
};
use crate::retention::scan::{self, Scan};
use crate::{
    base32,
    db::{self, PgPool},
};

/// Wait after a failure: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// Wait between two attempts to empty `legacy_contact` before the portal answers requests.
const RETRY_AT_START: Duration = Duration::from_secs(2);
/// How long a step may take, except emptying `legacy_contact`: it normally takes a fraction of it,
/// and a portal that stops waits for it.
const STEP_LIMIT: Duration = Duration::from_secs(10);
/// How often to check whether another process is done.
const TURN_POLL: Duration = Duration::from_millis(500);

/// Runs the sweeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sweeper {
    pool: PgPool,
    every: Duration,
    instance: Uuid,
    meter: Meter,
    stop: CancellationToken,
}

impl Sweeper {
    /// A sweeper with the interval `every` (`PIC_SWEEP`), until `stop`, with a random id of its
    /// own.
    #[must_use]
    pub fn new(pool: PgPool, every: Duration, stop: CancellationToken) -> Self {
        Self {
            pool: pool.within(STEP_LIMIT),
            every,
            instance: Uuid::new_v4(),
            meter: Meter::default(),
            stop,
        }
    }

    /// Its counters.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Returns when no contacts of an older system are left, or at `stop`: no request may be
    /// answered before. While another session reads the table, or the database is unreachable, it
    /// retries.
    pub async fn make_clean(&self) {
        loop {
            let began = Instant::now();
            let emptied = self
                .stop
                .run_until_cancelled(store::empty_at_start(&self.pool, self.instance));
            match emptied.await {
                None => return,
                Some(Ok(removed)) => {
                    if removed > 0 {
                        self.meter.removed(Kind::Contacts, removed);
                        tracing::info!(
                            removed,
                            "contacts of an older system removed before the first response"
                        );
                    }
                    return;
                }
                Some(Err(error)) => {
                    let fault = fault_of(&error);
                    self.meter
                        .ended(Outcome::Failed, Some(fault), None, began.elapsed());
                    tracing::warn!(
                        %error,
                        fault = fault.as_str(),
                        "contacts of an older system cannot be removed yet; the portal does not listen before that: retrying"
                    );
                }
            }
            if self
                .stop
                .run_until_cancelled(sleep(jittered(RETRY_AT_START)))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// Sweeps at once, and then at each interval, until `stop`; the present step is finished first.
    pub async fn run(self) {
        let mut cause = Cause::Start;
        let mut retry = RETRY.0;
        while !self.stop.is_cancelled() {
            let swept = self.sweep(cause).await;
            let wait = if matches!(&swept, Ok(Some(run)) if run.fault.is_some()) || swept.is_err() {
                cause = Cause::Retry;
                let wait = retry.min(self.every);
                retry = (retry * 2).min(RETRY.1);
                wait
            } else {
                cause = Cause::Schedule;
                retry = RETRY.0;
                self.every
            };
            self.stop.run_until_cancelled(sleep(jittered(wait))).await;
        }
    }

    /// One sweep, as soon as no other process is sweeping. `None`: it is no longer needed, because
    /// another process has just done it, or `stop` came first.
    ///
    /// # Errors
    ///
    /// [`Halt`] when it could not even be recorded; then it is logged and counted.
    pub async fn sweep(&self, cause: Cause) -> Result<Option<Run>, Halt> {
        let began = Instant::now();
        let swept = self.sweep_in_turn(cause, began).await;
        if let Err(error) = &swept {
            self.meter.ended(
                Outcome::Failed,
                Some(Fault::Database),
                None,
                began.elapsed(),
            );
            tracing::warn!(%error, "the retention sweep failed");
        }
        swept
    }

    async fn sweep_in_turn(&self, cause: Cause, began: Instant) -> Result<Option<Run>, Halt> {
        let by_time = matches!(cause, Cause::Schedule | Cause::Retry);
        // A sweep less than this ago has done what would be done now.
        let enough = by_time.then_some(self.every * 8 / 10);
        loop {
            let turn = Turn::take(&self.pool, self.instance, cause, enough).await?;
            if let Some(turn) = turn {
                return self.in_turn(turn, began).await.map(Some);
            }
            if let Some(enough) = enough
                && store::is_clean_since(&self.pool, enough).await?
            {
                return Ok(None);
            }
            tracing::debug!("another instance sweeps");
            if self
                .stop
                .run_until_cancelled(sleep(TURN_POLL))
                .await
                .is_none()
            {
                return Ok(None);
            }
        }
    }

    /// All steps, in order of urgency, and the record of them.
    async fn in_turn(&self, turn: Turn, began: Instant) -> Result<Run, Halt> {
        let (look, fault) = match self.steps(&turn).await {
            Ok(done) => done,
            Err(Halt::TurnLost) => return Err(Halt::TurnLost),
            Err(Halt::Database(error)) => {
                tracing::warn!(%error, "the retention sweep was interrupted");
                (Scan::default(), Some(Fault::Database))
            }
        };
        let outcome = match (fault, look.found) {
            (Some(_), _) => Outcome::Failed,
            (None, 1..) => Outcome::Remains,
            (None, 0) if look.whole => Outcome::Clean,
            (None, 0) => Outcome::Unfinished,
        };
        let remaining = (fault.is_none() && (look.whole || look.found > 0)).then_some(look.found);
        let run = turn.end(outcome, fault, &look.looked, remaining).await?;
        self.meter.ended(outcome, fault, remaining, began.elapsed());
        self.tell(&run);
        Ok(run)
    }

    /// Deletes and scans; returns the result, and the error that prevented contacts from being
    /// deleted.
    async fn steps(&self, turn: &Turn) -> Result<(Scan, Option<Fault>), Halt> {
        let mut fault = None;
        match turn.empty_contacts().await {
            Ok(removed) => self.meter.removed(Kind::Contacts, removed),
            // The other steps need not wait for sessions that read that table.
            Err(Halt::Database(error)) if store::is_locked(&error) => fault = Some(Fault::Locked),
            Err(halt) => return Err(halt),
        }
        for kept in KEPT {
            while !self.stop.is_cancelled() {
                let batch = Instant::now();
                let removed = turn.remove(kept.until).await?;
                if removed.is_empty() {
                    break;
                }
                for (kind, rows) in removed {
                    self.meter.removed(kind, rows);
                }
                // Half of the time at most, so that submits are not slowed down.
                sleep(batch.elapsed()).await;
            }
        }
        let mut look = scan::through(turn, &self.stop).await?;
        look.whole &= !self.stop.is_cancelled();
        Ok((look, fault))
    }

    fn tell(&self, run: &Run) {
        let outcome = run.outcome.map_or("under way", Outcome::as_str);
        let removed: u64 = run.removed.iter().map(|(_, rows)| rows).sum();
        let remaining = run.remaining.unwrap_or_default();
        match run.fault {
            Some(fault) => tracing::warn!(
                fault = fault.as_str(),
                failing = self.meter.failing(),
                "the retention sweep failed; retrying soon"
            ),
            None if remaining > 0 => tracing::warn!(
                outcome,
                removed,
                remaining,
                columns = run.looked.suspects.len(),
                "the retention sweep found possible contact information: run pic-portal doctor to see where"
            ),
            None => tracing::info!(outcome, removed, remaining, "the retention sweep is done"),
        }
    }
}

fn fault_of(error: &db::Error) -> Fault {
    if store::is_locked(error) {
        Fault::Locked
    } else {
        Fault::Database
    }
}

/// `wait` plus or minus up to a tenth, so that processes do not sweep at the same moment.
fn jittered(wait: Duration) -> Duration {
    wait * 9 / 10 + wait * u32::from(base32::random::<1>()[0]) / (5 * 255)
}
