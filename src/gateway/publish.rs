//! Runs the publisher, and lets gateways wait until there is something newer than what they have.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    GatewayToken, Version,
    set::{Differences, Set},
    store::{self, Heard, Receipt, Turn, Why},
};
use crate::db::{
    self, Fault, PgPool,
    batcher::Batcher,
    notify::{FAILURE_WAIT, Notifier},
};

/// Shortest time between two publications.
const GAP: Duration = Duration::from_millis(100);
/// How long a publication may take: one of 100,000 routes takes a second.
const LIMIT: Duration = Duration::from_secs(30);

/// The newest publication as this process knows it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publication(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    notifier: Notifier,
    /// A gateway that has not asked for this long is silent (`PIC_GATEWAY_SILENT`).
    silent_after: Duration,
    /// Those who wait would keep a portal from stopping.
    stopping: CancellationToken,
    head: watch::Sender<Option<Version>>,
    /// One turn at a time, so that the head does not go back.
    turn: Mutex<()>,
    receipts: Batcher<Receipt>,
    set: Mutex<Option<Arc<Set>>>,
    differences: Mutex<Option<Arc<Differences>>>,
}

impl Publication {
    /// Publications in the database of `pool`; `notifier` tells when routes change.
    #[must_use]
    pub fn new(
        pool: PgPool,
        notifier: Notifier,
        silent_after: Duration,
        stopping: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            receipts: Batcher::new(pool.clone()),
            pool,
            notifier,
            silent_after,
            stopping,
            head: watch::Sender::new(None),
            turn: Mutex::new(()),
            set: Mutex::new(None),
            differences: Mutex::new(None),
        }))
    }

    /// A turn of the publisher. The tests step it by this.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn step(&self) -> Result<Turn, db::Error> {
        self.publish(Why::Changed).await
    }

    /// The first publication of a process is made whether anything has changed or not, and so is the first one
    /// after the database was restored beside it: gateways then get one that is newer than all that they know.
    async fn publish(&self, why: Why) -> Result<Turn, db::Error> {
        let pool = self.0.pool.clone().within(LIMIT);
        let _turn = self.0.turn.lock().await;
        let known = self.0.head.borrow().clone();
        let mut turn = store::publish(&pool, self.0.silent_after, why).await?;
        if is_restored(known.as_ref(), turn.head.as_ref()) {
            store::publish(&pool, self.0.silent_after, Why::Fresh).await?;
            turn = store::publish(&pool, self.0.silent_after, why).await?;
            turn.news = true;
        }
        self.0.head.send_if_modified(|head| {
            let is_new = *head != turn.head;
            head.clone_from(&turn.head);
            is_new
        });
        if turn.news {
            // Pages, and the publishers of other processes, whose gateways wait.
            self.0.notifier.changed();
        }
        Ok(turn)
    }

    /// Publishes after every change of routes, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut changes = self.0.notifier.changes();
        let mut failure_wait = FAILURE_WAIT.0;
        let mut why = Why::Fresh;
        let work = async {
            loop {
                match self.publish(why).await {
                    Ok(turn) => {
                        why = Why::Changed;
                        failure_wait = FAILURE_WAIT.0;
                        sleep(GAP).await;
                        if !turn.again {
                            changes.next().await;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the publisher is waiting for the database");
                        sleep(failure_wait).await;
                        failure_wait = (failure_wait * 2).min(FAILURE_WAIT.1);
                    }
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// The gateway with this token, which has loaded `has`: as soon as there is something newer, or
    /// after `wait`. `None`: there is no such gateway.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn hear(
        &self,
        token: &GatewayToken,
        has: Option<&Version>,
        wait: Duration,
    ) -> Result<Option<Heard>, db::Error> {
        let until = Instant::now() + wait;
        let mut newest = self.0.head.subscribe();
        loop {
            let receipt = Receipt {
                token: token.hash(),
                has: has.cloned(),
            };
            let Some(heard) = self.0.receipts.load(receipt).await? else {
                return Ok(None);
            };
            if heard.news {
                self.0.notifier.changed();
            }
            let is_over = Instant::now() >= until || self.0.stopping.is_cancelled();
            if is_over || has != Some(&heard.head) {
                return Ok(Some(heard));
            }
            // Too late, or never again: asking once more is right in any case.
            let news = timeout_at(until, newest.changed());
            let _ = self.0.stopping.run_until_cancelled(news).await;
        }
    }

    /// What has changed from `since` to `head` or later: read once for all who ask for the same.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away.
    pub async fn changes(
        &self,
        since: &Version,
        head: &Version,
    ) -> Result<Arc<Differences>, db::Error> {
        let mut last = self.0.differences.lock().await;
        if let Some(known) = last.as_ref().filter(|it| it.is_between(since, head)) {
            return Ok(Arc::clone(known));
        }
        let changes = store::changes(&self.0.pool, since).await?;
        let differences = Arc::new(Differences::of(since, head, changes));
        *last = Some(Arc::clone(&differences));
        Ok(differences)
    }

    /// The whole set as of `head` or later: read once for all who ask for it. `None`: there is no gateway any
    /// more.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away, or the set is not whole.
    pub async fn set(&self, head: &Version) -> Result<Option<Arc<Set>>, db::Error> {
        let mut last = self.0.set.lock().await;
        if let Some(set) = last.as_ref().filter(|set| set.version == *head) {
            return Ok(Some(Arc::clone(set)));
        }
        let Some(whole) = self.publish(Why::Whole).await?.whole else {
            return Ok(None);
        };
        let set = spawn_blocking(|| Arc::new(Set::of(whole))).await;
        let set =
            set.map_err(|_| db::Error::Refused(Fault::Client("the set cannot be written")))?;
        *last = Some(Arc::clone(&set));
        Ok(Some(set))
    }
}

/// Whether the newest publication is earlier than one that was known, or another of the same serial.
fn is_restored(known: Option<&Version>, newest: Option<&Version>) -> bool {
    known.zip(newest).is_some_and(|(known, newest)| {
        newest.serial < known.serial || newest.serial == known.serial && newest != known
    })
}
