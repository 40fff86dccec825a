//! Who follows which request, and how do all of them learn of a change by one question?
//!
//! Streams subscribe by request. One task a process looks at everything that is followed: when
//! somebody says that something has changed, when somebody new follows, and now and then all the
//! same. It costs one query a look, two when a timeline has grown, however many streams there are.
//! The task begins with the first follower and ends with the last.

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
        follow::{Glance, RequestId, store},
        store::Event,
    },
    server::network::Network,
    web::site::{Site, StreamLimits},
};

/// Wait after a failure of the database.
const FAILURE_WAIT: Duration = Duration::from_secs(1);

/// How a request stands, for all who follow it.
#[derive(Debug)]
pub(super) struct News {
    pub(super) glance: Glance,
    pub(super) standing: Standing,
    /// Its last entries, up to the place that the glance says.
    pub(super) timeline: Arc<[Event]>,
    pub(super) version: String,
}

/// What followers of one request listen to. Nothing in it: nobody has looked yet.
type Topic = watch::Sender<Option<Arc<News>>>;

/// The followers of requests in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    clocks: Clocks,
    notifier: Notifier,
    stopping: CancellationToken,
    limits: StreamLimits,
    /// Somebody new follows.
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

/// For whom a stream is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A client's network: who it is nobody knows.
    Network(Network),
    /// An account of the staff, by its number: a whole desk may sit in one network.
    Staff(i64),
}

/// Why nobody more may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The network or the account has its share.
    Share(Who),
    /// There are too many in all.
    All,
}

/// Room for one stream, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Hub,
    who: Who,
}

impl Seat {
    /// Takes room for a stream for `who`, if there is some.
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

/// Follows one request; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    seat: Seat,
    request: RequestId,
    /// Taken out at the end alone.
    news: Option<watch::Receiver<Option<Arc<News>>>>,
}

impl Hub {
    /// Nobody follows anything yet.
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

    /// Ends when the portal stops, and every stream with it.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// The changes from now on, of every process on the database.
    pub(crate) fn changes(&self) -> Changes {
        self.0.notifier.changes()
    }

    /// How long and how many streams may be.
    #[must_use]
    pub fn limits(&self) -> &StreamLimits {
        &self.0.limits
    }

    /// Streams that are open now.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.lock().all
    }

    /// How often the task has looked; each time one query, or two.
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

    /// Everything that is followed; `None`: nobody follows, and whoever asks looks no more.
    fn all_followed(&self) -> Option<Vec<RequestId>> {
        let mut followed = self.lock();
        followed.looking = !followed.topics.is_empty();
        followed
            .looking
            .then(|| followed.topics.keys().copied().collect())
    }

    /// The timeline that is known already, if it ends where the glance says.
    fn known(&self, request: RequestId, glance: &Glance) -> Option<Arc<[Event]>> {
        let followed = self.lock();
        let news = followed.topics.get(&request)?.borrow().clone()?;
        (news.glance.seq == glance.seq).then(|| Arc::clone(&news.timeline))
    }

    /// Tells those who follow `request`, if it stands otherwise than they were told last.
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

    /// The request is not there any more: its streams end.
    fn forget(&self, request: RequestId) {
        self.lock().topics.remove(&request);
    }
}

/// Follows `request` from now on, in this seat.
pub(super) fn follow(seat: Seat, request: RequestId) -> Follower {
    let hub = &seat.hub;
    let mut followed = hub.lock();
    let mut news = followed.topics.entry(request).or_default().subscribe();
    // What is known already is news to this one.
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
    /// How the request stands, at first as soon as that is known, then when it is something else
    /// than last time. `None`: it is not there any more.
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

/// Looks at what is followed until nobody follows or the portal stops.
async fn look(hub: Hub) {
    // From before the first look: nothing that changes meanwhile is missed.
    let mut changes = hub.changes();
    while let Some(requests) = hub.all_followed() {
        let next = Instant::now() + hub.0.limits.gap;
        let failed = read(&hub, &requests).await.is_err_and(|error| {
            // The streams live on.
            tracing::debug!(%error, "the live streams wait for the database");
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

/// One look at all `requests`.
async fn read(hub: &Hub, requests: &[RequestId]) -> Result<(), db::Error> {
    let (pool, clocks) = (&hub.0.pool, &hub.0.clocks);
    hub.0.looks.fetch_add(1, Relaxed);
    let glances: HashMap<_, _> = store::glances(pool, requests).await?.into_iter().collect();
    let grown: Vec<_> = glances
        .iter()
        .filter(|(request, glance)| hub.known(**request, glance).is_none())
        .map(|(request, _)| *request)
        .collect();
    let mut timelines = if grown.is_empty() {
        HashMap::new()
    } else {
        store::timelines(pool, &grown).await?
    };
    for &request in requests {
        let Some(&glance) = glances.get(&request) else {
            hub.forget(request);
            continue;
        };
        let timeline = timelines.remove(&request).map(|mut timeline| {
            // It may have grown since the glance.
            timeline.retain(|event| event.seq <= glance.seq);
            timeline.into()
        });
        let news = News {
            glance,
            standing: Standing::of(&glance.facts, clocks, glance.now),
            timeline: timeline
                .or_else(|| hub.known(request, &glance))
                .unwrap_or_default(),
            version: version(&glance, clocks),
        };
        hub.tell(request, news);
    }
    Ok(())
}
