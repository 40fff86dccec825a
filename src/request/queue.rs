//! The queue of submissions: stores those that come in at the same time by one statement.
//!
//! A commit costs a flush of the disk, whether it stores one request or a hundred. So a submission
//! joins a line, and a writer takes all that waits ([`Limits::batch`] at most) and stores it by one
//! statement, one round trip, one commit. No submission waits for others to come: the first in an
//! empty line starts a writer, which takes what there is at once, and ends when the line is empty.
//! There are two writers at most: while one waits for the disk, PostgreSQL works for the other. The
//! second starts when many submissions wait, or one waits for longer than a batch should take: two
//! writers with little to do each flush twice as often, and answer no sooner.
//!
//! The caller gets its result after the commit, never before. A batch that is refused is split in
//! halves until the submission at fault is found, so that one that cannot be stored does not affect
//! the others. A writer is a task of its own: when a client disconnects, only its own place in the
//! line is dropped.
//!
//! Under overload the tasks of the connections compete for the processor: polling all of them once
//! takes a tenth of a second, and a writer among them would wait that long for each of its steps.
//! So the portal gives the writers a runtime of their own, and the throughput stays at 0.8 of the
//! maximum instead of 0.3 when ten times as much is submitted (`benches/speed`, P9).
//!
//! What waits is bounded, in number, in rows and in time. A client that finds the line full, or so
//! slow that it would wait in vain, gets an error at once ([`NotStored::Full`]); one that waits
//! gets a result within [`Limits::patience`]. After a timeout the request may be stored or not: the
//! submission id makes sending it again harmless, and likewise a lost answer to a COMMIT
//! (`docs/performance.md#traps-met`).

mod line;
pub mod meter;
mod writer;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, timeout},
};

use self::{
    line::{Joined, Line, Member},
    meter::{Meter, Why},
};
use super::store::{Submission, Submitted};
use crate::{
    db::{self, PgPool, notify::Notifier},
    error::Error,
};

/// The most writers, each with a connection of the pool while it works.
const WRITERS: usize = 2;
/// Shortest time between two log messages that the line is full.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How much is stored at once, and how much may wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Submissions that one statement stores. Default: 128, measured.
    pub batch: usize,
    /// Rows of edges and routes that one statement stores, unless a single submission has more.
    /// Default: 2,000.
    pub rows: usize,
    /// Submissions that wait before a second writer starts. Default: 32, measured.
    pub crowd: usize,
    /// How long a submission waits before a second writer starts, however few wait. Default: 20 ms.
    pub hurry: Duration,
    /// The most submissions that wait. Default: 1,024.
    pub waiting: usize,
    /// The most rows of edges and routes that wait, which bounds the memory. Default: 50,000.
    pub waiting_rows: usize,
    /// How long the first submission may have waited before no more are accepted: a new one would
    /// wait as long or longer. Default: 2 s.
    pub late: Duration,
    /// The most time that a writer takes for a batch. Default: 3 s, as for any statement of a page.
    pub store: Duration,
    /// The most time from joining the line to a result. Default: 3.5 s, so that there is a response
    /// within 5 s on a busy machine too.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch: 128,
            rows: 2_000,
            crowd: 32,
            hurry: Duration::from_millis(20),
            waiting: 1_024,
            waiting_rows: 50_000,
            late: Duration::from_secs(2),
            store: Duration::from_secs(3),
            patience: Duration::from_millis(3_500),
        }
    }
}

/// Why a submission has no result from the database.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// More come in than can be stored; this one was not accepted.
    #[error("too many submissions wait")]
    Full,
    /// It was not stored in time; it may still be stored.
    #[error("a submission was not stored in time")]
    Late,
    /// The database did not answer, which is logged; it may be stored or not.
    #[error("the database did not say whether a submission is stored")]
    Away,
    /// The database refused it. It is not stored, and a retry would be refused too.
    #[error(transparent)]
    Refused(db::Error),
}

impl From<NotStored> for Error {
    fn from(why: NotStored) -> Self {
        match why {
            NotStored::Full | NotStored::Late | NotStored::Away => Self::Busy,
            NotStored::Refused(error) => Self::Database(error),
        }
    }
}

/// The result of one submission.
type Answer = Result<Submitted, NotStored>;

/// The queue of submissions. Cheap to clone; clones share the line.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    pool: PgPool,
    notifier: Notifier,
    limits: Limits,
    runtime: Option<Handle>,
    line: Mutex<Line>,
    meter: Meter,
}

/// Prints nothing of what waits.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue whose writers use `pool`, and wake the background task through `notifier`
    /// after each commit that stored something. They run on `runtime`; `None`: on that of the
    /// caller.
    #[must_use]
    pub fn new(pool: PgPool, notifier: Notifier, limits: Limits, runtime: Option<Handle>) -> Self {
        Self(Arc::new(Inner {
            pool,
            notifier,
            limits,
            runtime,
            line: Mutex::default(),
            meter: Meter::default(),
        }))
    }

    /// Stores `submission` with those that come in at the same time. It is durable when this
    /// returns [`Submitted::Stored`]. Dropping the future gives up the place in the line; what a
    /// writer has taken is stored all the same.
    ///
    /// # Errors
    ///
    /// [`NotStored`], within [`Limits::patience`]; [`NotStored::Full`] at once.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, NotStored> {
        let Limits {
            hurry, patience, ..
        } = self.0.limits;
        let mut answer = self.join(submission)?;
        let told = match timeout(hurry, &mut answer).await {
            Err(_) => {
                self.hasten();
                timeout(patience.saturating_sub(hurry), answer).await
            }
            told => told,
        };
        let answer = match told {
            Ok(Ok(answer)) => answer,
            // Its writer panicked, which was reported there.
            Ok(Err(_)) => Err(NotStored::Away),
            Err(_) => Err(NotStored::Late),
        };
        match answer {
            Err(NotStored::Late) => self.0.meter.put_off(Why::Late),
            Err(NotStored::Away) => self.0.meter.put_off(Why::Away),
            Err(NotStored::Full | NotStored::Refused(_)) | Ok(_) => {}
        }
        answer
    }

    /// Joins the line, and starts a writer where there are too few.
    fn join(&self, submission: Submission) -> Result<oneshot::Receiver<Answer>, NotStored> {
        let (sender, answer) = oneshot::channel();
        let now = Instant::now();
        let member = Member::new(submission, now, sender);
        let mut line = self.line();
        match line.join(member, now, &self.0.limits) {
            Joined::Waits => {}
            Joined::StartsWriter => self.start_writer(),
            Joined::Refused { tell } => return Err(self.refuse(line, tell)),
        }
        Ok(answer)
    }

    /// Whether a submission would be accepted now, apart from its rows. Refusing before the form is
    /// checked leaves more for those that were accepted.
    ///
    /// # Errors
    ///
    /// [`NotStored::Full`], which is counted like that of a submission.
    pub fn admit(&self) -> Result<(), NotStored> {
        let now = Instant::now();
        let mut line = self.line();
        if !line.is_full(now, &self.0.limits) {
            return Ok(());
        }
        let tell = line.tells(now);
        Err(self.refuse(line, tell))
    }

    /// Starts a second writer, if there is none, because a submission has waited for long.
    fn hasten(&self) {
        if self.line().hasten() {
            self.start_writer();
        }
    }

    /// Starts a writer that was counted already.
    fn start_writer(&self) {
        let writer = writer::run(self.clone());
        match &self.0.runtime {
            Some(runtime) => runtime.spawn(writer),
            None => tokio::spawn(writer),
        };
    }

    fn refuse(&self, line: MutexGuard<'_, Line>, tell: bool) -> NotStored {
        let waiting = line.waiting();
        drop(line);
        self.0.meter.put_off(Why::Full);
        if tell {
            tracing::warn!(
                waiting,
                "more submissions come in than can be stored: responding 503"
            );
        }
        NotStored::Full
    }

    /// How many submissions wait, without those that a writer has taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line().waiting()
    }

    /// Counts what was stored at once, and what was refused or late.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// No code under this lock can panic half-way, so a poisoned lock is still sound.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
