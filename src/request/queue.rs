//! How are requests that come in at the same time stored together?
//!
//! A commit costs a flush of the disk, whether it stores one request or a hundred. So whoever
//! submits joins a line, and a writer takes all that waits ([`Limits::batch`] at most) and stores
//! it by one statement, one round trip, one commit. Nobody waits for others to come: the first in an
//! empty line starts a writer, which takes what there is at once, and goes when the line is empty.
//! There are two writers at most: while one waits for the disk, the other has PostgreSQL work. The
//! second comes when a crowd waits, or somebody waits for longer than a batch should take: two with
//! little to do each flush twice as often, and answer no sooner.
//!
//! Who submits hears of it after the commit, and of nothing else. What was refused is looked for by
//! halves, so that one that cannot be stored harms no other. A writer is a task of its own: a
//! client that goes away takes nothing with it but its own place in the line.
//!
//! Under a flood the tasks of the connections stand in each other's way, a turn of all of them takes
//! a tenth of a second, and a writer among them would wait that long for each of its turns. So the
//! portal gives the writers a runtime of their own, and what can be stored is stored: 0.8 of the most
//! instead of 0.3 when ten times as much is asked (`benches/speed`, P9).
//!
//! What waits is bounded, in number, in rows and in time. Who finds the line full, or so slow that
//! it would wait in vain, is told so at once ([`NotStored::Full`]); who waits is told within
//! [`Limits::patience`]. Then it may be stored or not: the submission id makes sending it again
//! harmless, which is also what makes a lost answer to a COMMIT harmless
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
/// Between two lines of the log that the line is full.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How much is stored at once, and how much may wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Submissions that one statement stores. Default: 128, measured.
    pub batch: usize,
    /// Rows of edges and routes that one statement stores, unless a single submission has more.
    /// Default: 2,000.
    pub rows: usize,
    /// Submissions that wait before a second writer comes. Default: 32, measured.
    pub crowd: usize,
    /// How long one waits before a second writer comes, however few wait. Default: 20 ms.
    pub hurry: Duration,
    /// Submissions that wait. Default: 1,024.
    pub waiting: usize,
    /// Rows of edges and routes that wait: what bounds the memory. Default: 50,000.
    pub waiting_rows: usize,
    /// How long somebody may have waited before no more are let in: who came now would wait as
    /// long and longer. Default: 2 s.
    pub late: Duration,
    /// The most time that a writer takes for what it took at once. Default: 3 s, as for any statement
    /// of a page.
    pub store: Duration,
    /// The most time from joining the line to an answer. Default: 3.5 s, so that there is one
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

/// Why a submission has no answer from the database.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// More come in than can be stored; this one was not let in.
    #[error("too many submissions wait")]
    Full,
    /// It was not stored in time; it may be yet.
    #[error("a submission was not stored in time")]
    Late,
    /// The database did not answer, which the log tells of; it may be stored or not.
    #[error("the database did not say whether a submission is stored")]
    Away,
    /// The database refused this one. It is not stored, and would be refused again.
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

/// What a writer tells of one submission.
type Answer = Result<Submitted, NotStored>;

/// The line of those who submit. Cheap to clone; clones are the same line.
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

/// Without what waits.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty line whose writers use `pool`, and wake the background task through `notifier` after
    /// each commit that stored something. They run on `runtime`; `None`: on that of whoever submits.
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
    /// returns [`Submitted::Stored`]. Who drops the future gives up its place in the line; what a
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
            // Its writer panicked, which that one has told.
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

    /// Asks whether whoever came now would be let in, rows apart. To be told so before anything is
    /// made of a form leaves more for those who were let in.
    ///
    /// # Errors
    ///
    /// [`NotStored::Full`], which counts like that of a submission.
    pub fn admit(&self) -> Result<(), NotStored> {
        let now = Instant::now();
        let mut line = self.line();
        if !line.is_full(now, &self.0.limits) {
            return Ok(());
        }
        let tell = line.tells(now);
        Err(self.refuse(line, tell))
    }

    /// Somebody has waited for long: starts a second writer, if there is none.
    fn hasten(&self) {
        if self.line().hasten() {
            self.start_writer();
        }
    }

    /// Starts a writer that was counted in.
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
                "more is submitted than can be stored: answering 503"
            );
        }
        NotStored::Full
    }

    /// How many wait, not counting those that a writer has taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line().waiting()
    }

    /// What was stored at once, and what was put off.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Nothing under this lock can panic half-way.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
