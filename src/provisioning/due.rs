//! Settles what is due where nothing is looked up, and says when to look next.
//!
//! A batch is taken and settled by one statement, which also tells when to look next. Where that fails
//! because of one of its requests, each is settled alone. A look without a wait before it begins where the
//! last one ended: what lies before that is done, and while somebody holds an old snapshot open its dead
//! rows are in the way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    apart::Batch,
    meter::Meter,
    store::{self, BatchOutcome, Place, Settled, Verdicts, Waits},
};
use crate::db::{self, PgPool, notify::Notifier};

/// The most requests in one claim: larger ones gained nothing
/// (`docs/performance.md#where-the-limits-lie`).
const MOST: u32 = 500;
/// How long a claim lasts on a batch that failed; it is settled at once, which takes a fraction of it.
const LEASE: Duration = Duration::from_secs(30);

/// After a batch of several that was not a full one, so many times as long as it took, at most
/// [`LONGEST_REST`]: while many come in, few large batches leave more of the machine for those who
/// submit than many small ones.
const REST: u32 = 4;
/// What a request waits longer for it at most; nobody sees that.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// Settles what is due.
#[derive(Clone, Debug)]
pub(super) struct Settler {
    pool: PgPool,
    waits: Waits,
    notifier: Notifier,
    meter: Meter,
    /// How many to take next: fewer after a batch that took too long.
    most: Arc<AtomicU32>,
}

/// What one batch, or several, came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) settled: Settled,
    /// Whether anything was due.
    pub(super) found: bool,
    /// Whether there may be more.
    pub(super) more: bool,
    /// Whether as many were due as a batch takes: there is a queue.
    is_full: bool,
    since: Option<DateTime<Utc>>,
    idle: Option<Duration>,
}

impl Settler {
    pub(super) fn new(pool: &PgPool, waits: Waits, notifier: &Notifier, meter: &Meter) -> Self {
        Self {
            pool: pool.clone(),
            waits,
            notifier: notifier.clone(),
            meter: meter.clone(),
            most: Arc::new(AtomicU32::new(MOST)),
        }
    }

    /// One batch of what is due since then; `None`: since ever.
    pub(super) async fn batch(&self, since: Option<DateTime<Utc>>) -> Result<Turn, db::Error> {
        let look = self.look(since).await?;
        let settled = look.settled;
        if settled != Settled::default() {
            self.meter.settled(settled);
            self.notifier.changed();
        }
        self.meter.turned();
        Ok(Turn {
            settled,
            found: settled != Settled::default(),
            more: look.full || look.again,
            is_full: look.full,
            since: look.next_since.or(since),
            idle: look.idle,
        })
    }

    async fn look(&self, since: Option<DateTime<Utc>>) -> Result<BatchOutcome, db::Error> {
        loop {
            let most = self.most.load(Relaxed);
            match store::settle_due(&self.pool, most, since, &self.waits).await {
                Ok(look) => {
                    self.most.store(most.saturating_mul(2).min(MOST), Relaxed);
                    return Ok(look);
                }
                // Somebody else got on in the meantime, so this ends.
                Err(db::Error::Conflict(_)) => {}
                // A batch of requests of a thousand domains each may not come to its end in time.
                Err(error) if most > 1 && !matches!(error, db::Error::Refused(_)) => {
                    self.most.store(most / 2, Relaxed);
                    return Err(error);
                }
                Err(error) if error.may_be_a_part() => return self.one_by_one(most).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Claims what is due, and leaves it to [`Batch::settle`], which can settle each request alone.
    async fn one_by_one(&self, most: u32) -> Result<BatchOutcome, db::Error> {
        let claim = store::claim(&self.pool, Place::Pending, most, LEASE).await?;
        let batch = Batch::Pending(Verdicts::default());
        Ok(BatchOutcome {
            settled: batch.settle(&self.pool, &claim, &self.waits).await?,
            full: claim.len() >= usize::try_from(most).unwrap_or(usize::MAX),
            again: true,
            next_since: None,
            idle: None,
        })
    }

    /// Batches until no more is due since then. When there is a queue, two at a time: one is computed
    /// while the other is flushed. Else one after the other: of those who wait for one domain, all are
    /// in one batch, and the first gets it. At `stop` the batches in hand are the last.
    pub(super) async fn clear(
        &self,
        since: Option<DateTime<Utc>>,
        stop: &CancellationToken,
    ) -> Result<Turn, db::Error> {
        let first = self.batch(since).await?;
        if !first.more || stop.is_cancelled() {
            return Ok(first);
        }
        let lane = async || {
            let mut sum = Settled::default();
            let mut since = first.since;
            loop {
                let turn = self.batch(since).await?;
                sum += turn.settled;
                since = turn.since;
                if !turn.more || stop.is_cancelled() {
                    return Ok::<_, db::Error>(Turn {
                        settled: sum,
                        ..turn
                    });
                }
            }
        };
        let other = async || {
            if first.is_full {
                lane().await.map(Some)
            } else {
                Ok(None)
            }
        };
        let (one, other) = tokio::join!(lane(), other());
        let (mut sum, other) = (one?, other?);
        sum.settled += first.settled;
        if let Some(other) = other {
            sum.settled += other.settled;
            sum.since = sum.since.min(other.since);
        }
        Ok(Turn {
            found: true,
            more: true,
            idle: None,
            ..sum
        })
    }

    /// Batches until nothing at all is due.
    pub(super) async fn drain(&self) -> Result<Settled, db::Error> {
        let mut sum = Settled::default();
        let never = CancellationToken::new();
        loop {
            let turn = self.clear(None, &never).await?;
            sum += turn.settled;
            if !turn.more {
                return Ok(sum);
            }
        }
    }
}

/// When to look next, and where to begin.
#[derive(Debug)]
pub(super) struct Pace {
    since: Option<DateTime<Utc>>,
    /// When to look at everything, woken or not.
    at: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            since: None,
            at: Instant::now(),
        }
    }

    /// When to look at the latest.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// From when on to look now; `None`: since ever.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        self.since.filter(|_| Instant::now() < self.at)
    }

    /// `turn` began at `since`; without a wake-up nobody looks for longer than `poll`.
    pub(super) fn keep(&mut self, since: Option<DateTime<Utc>>, turn: &Turn, poll: Duration) {
        self.since = turn.since;
        if turn.more {
            // The end of several batches: what others held meanwhile is looked for at once.
            self.at = Instant::now();
            return;
        }
        let next = Instant::now() + turn.idle.unwrap_or(Duration::MAX).min(poll);
        self.at = match since {
            None => next,
            Some(_) => self.at.min(next),
        };
    }

    /// How long to look at nothing after `turn`, which took so long.
    pub(super) fn rest(turn: &Turn, took: Duration) -> Duration {
        if turn.more || turn.settled.provisioned <= 1 {
            return Duration::ZERO;
        }
        (took * REST).min(LONGEST_REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::notify::POLL;

    fn turn(more: bool, idle: Option<Duration>) -> Turn {
        Turn {
            settled: Settled::default(),
            found: more,
            more,
            is_full: false,
            since: Some(DateTime::UNIX_EPOCH),
            idle,
        }
    }

    /// Between now and when `pace` looks at everything.
    fn wait(pace: &Pace) -> Duration {
        pace.at().saturating_duration_since(Instant::now())
    }

    #[test]
    fn an_idle_portal_looks_once_a_poll_and_one_that_is_woken_no_later() {
        let mut pace = Pace::new();
        assert_eq!(pace.since(), None, "the first look is at everything");
        pace.keep(None, &turn(false, None), POLL);
        assert!(
            wait(&pace) > Duration::from_secs(5),
            "docs/performance.md#goals, P6"
        );
        assert!(wait(&pace) <= POLL);
        // Woken: from where the last look ended. However often that is, everything is looked at in
        // time.
        for _ in 0..3 {
            let since = pace.since();
            assert_eq!(since, Some(DateTime::UNIX_EPOCH));
            pace.keep(since, &turn(false, None), POLL * 9);
            assert!(wait(&pace) <= POLL);
        }
    }

    #[test]
    fn what_is_due_earlier_is_looked_at_earlier() {
        let mut pace = Pace::new();
        let soon = Duration::from_secs(4);
        pace.keep(None, &turn(false, Some(soon)), POLL);
        assert!(wait(&pace) <= soon);
        let since = pace.since();
        pace.keep(since, &turn(false, Some(soon / 2)), POLL);
        assert!(wait(&pace) <= soon / 2);
        pace.keep(since, &turn(false, Some(POLL / 2)), POLL);
        assert!(wait(&pace) <= soon / 2, "and not later again");
    }

    #[test]
    fn one_alone_is_no_reason_to_rest_and_a_queue_is_none() {
        let of = |provisioned, more| Turn {
            settled: Settled {
                provisioned,
                ..Settled::default()
            },
            ..turn(more, None)
        };
        let took = Duration::from_millis(3);
        for (provisioned, more, rest) in
            [(0, false, 0), (1, false, 0), (500, true, 0), (2, false, 12)]
        {
            let rested = Pace::rest(&of(provisioned, more), took);
            assert_eq!(rested, Duration::from_millis(rest), "{provisioned} {more}");
        }
        let long = Pace::rest(&of(2, false), Duration::from_secs(1));
        assert_eq!(long, LONGEST_REST);
    }

    #[test]
    fn after_several_batches_everything_is_looked_at() {
        let mut pace = Pace::new();
        pace.keep(None, &turn(false, None), POLL);
        pace.keep(pace.since(), &turn(true, None), POLL);
        assert_eq!(wait(&pace), Duration::ZERO);
        assert_eq!(pace.since(), None);
    }
}
