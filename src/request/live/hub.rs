//! Tells all who follow requests of changes, with one query for all of them.
//!
//! Streams subscribe by request. One task of the process queries all followed requests: when a
//! change is announced, when a stream subscribes, and now and then in any case. It costs one query
//! each time, two when a timeline has grown, however many streams there are. The task begins with
//! the first subscriber and ends with the last.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::version;
use crate::{
    clock::Clocks,
    db::{
        self, PgPool,
        notify::{Changes, Notifier},
    },
    request::{
        Standing,
        store::Event,
        summary::{RequestId, Summary, store},
    },
    server::network::Network,
    web::site::{Site, StreamLimits},
};

/// Wait after a database error.
const FAILURE_WAIT: Duration = Duration::from_secs(1);

/// The summary of a request, for all who follow it.
#[derive(Debug)]
pub(super) struct News {
    pub(super) summary: Summary,
    pub(super) standing: Standing,
    /// The last entries of its timeline, up to the number in the summary.
    pub(super) timeline: Arc<[Event]>,
    pub(super) version: String,
}

/// The channel of one request. `None` in it: it was not queried yet.
type Topic = watch::Sender<Option<Arc<News>>>;

/// The subscribers of requests in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    clocks: Clocks,
    notifier: Notifier,
    stopping: CancellationToken,
    limits: StreamLimits,
    /// Signals a new subscriber.
    joined: Notify,
    looks: AtomicU64,
    followed: Mutex<Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    topics: HashMap<RequestId, Topic>,
    all: usize,
    by_who: HashMap<Who, usize>,
    /// Whether the task runs.
    looking: bool,
}

/// Whom a stream is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A client's network, for clients who are not signed in.
    Network(Network),
    /// An account of the staff, by its id: a whole desk may share one network.
    Staff(i64),
}

/// Why there is no room for another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The network or the account has as many as it may have.
    Share(Who),
    /// The portal has as many as it may have.
    All,
}

/// The permit for one stream; released when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Hub,
    who: Who,
}

impl Seat {
    /// Takes the permit for a stream of `who`, if the limits allow it.
    pub(crate) fn take(hub: &Hub, who: Who) -> Result<Self, Full> {
        let mut followed = hub.lock();
        if followed.all >= hub.0.limits.in_all {
            return Err(Full::All);
        }
        let count = followed.by_who.entry(who).or_default();
        if *count >= hub.0.limits.share {
            return Err(Full::Share(who));
        }
        *count += 1;
        followed.all += 1;
        drop(followed);
        Ok(Self {
            hub: hub.clone(),
            who,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut followed = self.hub.lock();
        followed.all -= 1;
        if let Some(count) = followed.by_who.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                followed.by_who.remove(&self.who);
            }
        }
    }
}

/// Follows one request; unsubscribes when it is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    seat: Seat,
    request: RequestId,
    /// Only `None` while it is being dropped.
    news: Option<watch::Receiver<Option<Arc<News>>>>,
}

impl Hub {
    /// A hub without subscribers.
    #[must_use]
    pub fn new(
        pool: &PgPool,
        site: &Site,
        notifier: &Notifier,
        stopping: &CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            pool: pool.clone(),
            clocks: site.clocks,
            notifier: notifier.clone(),
            stopping: stopping.clone(),
            limits: site.live,
            joined: Notify::new(),
            looks: AtomicU64::default(),
            followed: Mutex::default(),
        }))
    }

    /// Cancelled when the portal stops, which ends all streams.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// The changes from now on, of all processes on the database.
    pub(crate) fn changes(&self) -> Changes {
        self.0.notifier.changes()
    }

    /// The limits of live streams.
    #[must_use]
    pub fn limits(&self) -> &StreamLimits {
        &self.0.limits
    }

    /// How many streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.lock().all
    }

    /// How often the task has queried; each time one query, or two.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.0.looks.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.0
            .followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All followed requests; `None`: there are none, and the task ends.
    fn all_followed(&self) -> Option<Vec<RequestId>> {
        let mut followed = self.lock();
        followed.looking = !followed.topics.is_empty();
        followed
            .looking
            .then(|| followed.topics.keys().copied().collect())
    }

    /// The timeline that is known already, if it ends with the entry that the summary names.
    fn known(&self, request: RequestId, summary: &Summary) -> Option<Arc<[Event]>> {
        let followed = self.lock();
        let news = followed.topics.get(&request)?.borrow().clone()?;
        (news.summary.seq == summary.seq).then(|| Arc::clone(&news.timeline))
    }

    /// Sends `news` to those who follow `request`, if it differs from what they have.
    fn tell(&self, request: RequestId, news: News) {
        if let Some(topic) = self.lock().topics.get(&request) {
            topic.send_if_modified(|told| {
                let is_new = told.as_ref().is_none_or(|t| t.version != news.version);
                if is_new {
                    *told = Some(Arc::new(news));
                }
                is_new
            });
        }
    }

    /// Ends the streams of a request that no longer exists.
    fn forget(&self, request: RequestId) {
        self.lock().topics.remove(&request);
    }
}

/// Subscribes to `request`, with the permit `seat`.
pub(super) fn follow(seat: Seat, request: RequestId) -> Follower {
    let hub = &seat.hub;
    let mut followed = hub.lock();
    let mut news = followed.topics.entry(request).or_default().subscribe();
    // What is known already is new to this subscriber.
    news.mark_changed();
    if !std::mem::replace(&mut followed.looking, true) {
        tokio::spawn(look(hub.clone()));
    }
    drop(followed);
    hub.0.joined.notify_one();
    Follower {
        seat,
        request,
        news: Some(news),
    }
}

impl Follower {
    /// The summary of the request: first as soon as it is known, then whenever it has changed.
    /// `None`: the request no longer exists.
    pub(super) async fn news(&mut self) -> Option<Arc<News>> {
        let news = self.news.as_mut()?;
        loop {
            news.changed().await.ok()?;
            let told = news.borrow_and_update().clone();
            if told.is_some() {
                return told;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.news.take());
        let mut followed = self.seat.hub.lock();
        if let Some(topic) = followed.topics.get(&self.request)
            && topic.receiver_count() == 0
        {
            followed.topics.remove(&self.request);
        }
    }
}

/// Queries all followed requests until there are none or the portal stops.
async fn look(hub: Hub) {
    // Subscribed before the first query, so that no change in between is missed.
    let mut changes = hub.changes();
    while let Some(requests) = hub.all_followed() {
        let next = Instant::now() + hub.0.limits.gap;
        let failed = read(&hub, &requests).await.is_err_and(|error| {
            // The streams stay open.
            tracing::debug!(%error, "live streams are waiting for the database");
            true
        });
        let look_again = async {
            sleep_until(next).await;
            tokio::select! {
                _ = changes.next() => {}
                () = hub.0.joined.notified() => {}
                () = sleep(FAILURE_WAIT), if failed => {}
            }
        };
        if hub
            .stopping()
            .run_until_cancelled(look_again)
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Queries all `requests` once.
async fn read(hub: &Hub, requests: &[RequestId]) -> Result<(), db::Error> {
    let (pool, clocks) = (&hub.0.pool, &hub.0.clocks);
    hub.0.looks.fetch_add(1, Relaxed);
    let summaries: HashMap<_, _> = store::summaries(pool, requests)
        .await?
        .into_iter()
        .collect();
    let grown: Vec<_> = summaries
        .iter()
        .filter(|(request, summary)| hub.known(**request, summary).is_none())
        .map(|(request, _)| *request)
        .collect();
    let mut timelines = if grown.is_empty() {
        HashMap::new()
    } else {
        store::timelines(pool, &grown).await?
    };
    for &request in requests {
        let Some(&summary) = summaries.get(&request) else {
            hub.forget(request);
            continue;
        };
        let timeline = timelines.remove(&request).map(|mut timeline| {
            // It may have grown since the summary was read.
            timeline.retain(|event| event.seq <= summary.seq);
            timeline.into()
        });
        let news = News {
            summary,
            standing: Standing::of(&summary.facts, clocks, summary.now),
            timeline: timeline
                .or_else(|| hub.known(request, &summary))
                .unwrap_or_default(),
            version: version(&summary, clocks),
        };
        hub.tell(request, news);
    }
    Ok(())
}
