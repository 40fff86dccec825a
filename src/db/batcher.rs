//! Batches queries: those that come in at the same time are sent as one statement.
//!
//! A round trip to the database costs more than most queries: messages, wake-ups, the start and the
//! end of a plan. So a query joins a line, and a reader takes all that waits and sends it as one
//! statement. No query waits for others to come: the first in an empty line starts a reader, which
//! runs at once and ends when the line is empty. Each answer was read after its query had come in,
//! so a client sees its own writes.
//!
//! A reader is a task of its own: when a client goes away, only its own query is dropped.

use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{Error, Fault, PgPool, budget};

/// Readers of one line at most: while one distributes its answers, PostgreSQL works for the other.
const READERS: usize = 2;
/// Queries in one statement at most.
const BATCH: usize = 64;
/// Queries that may wait: more than the connection limit of the server allows, so only an error can
/// reach it.
const WAITING: usize = 8_192;
/// The most time from the query to its answer; less where the budget of the page has less left. The
/// pool limits the time of the statement.
const PATIENCE: Duration = Duration::from_secs(4);

/// A kind of query that can be sent for one or many at once.
pub trait BatchLoad: Send + Sync + Sized + 'static {
    /// The result of one query.
    type Answer: Send + 'static;

    /// Runs all of them as one statement. The answers are in the order of the queries.
    ///
    /// # Errors
    ///
    /// [`Error`] when the statement failed, or an answer cannot be read.
    fn load(
        pool: &PgPool,
        questions: &[Self],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Error>> + Send;
}

type Asker<Q> = oneshot::Sender<Result<<Q as BatchLoad>::Answer, Error>>;

/// The line of queries of one kind. Cheap to clone; clones share the line.
pub struct Batcher<Q: BatchLoad>(Arc<Inner<Q>>);

struct Inner<Q: BatchLoad> {
    pool: PgPool,
    line: Mutex<Line<Q>>,
}

struct Line<Q: BatchLoad> {
    waiting: VecDeque<(Q, Asker<Q>)>,
    readers: usize,
}

impl<Q: BatchLoad> Clone for Batcher<Q> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Prints nothing of the queries that wait.
impl<Q: BatchLoad> fmt::Debug for Batcher<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

impl<Q: BatchLoad> Batcher<Q> {
    /// An empty line, whose readers use `pool`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let line = Mutex::new(Line {
            waiting: VecDeque::new(),
            readers: 0,
        });
        Self(Arc::new(Inner { pool, line }))
    }

    /// Sends `question` together with those that come in at the same time.
    ///
    /// # Errors
    ///
    /// [`Error`], within 4 s.
    pub async fn load(&self, question: Q) -> Result<Q::Answer, Error> {
        let began = Instant::now();
        let patience = budget::left().map_or(PATIENCE, |left| left.min(PATIENCE));
        let answered = timeout(patience, self.join(question)?).await;
        budget::spend(began.elapsed());
        match answered {
            Ok(Ok(answer)) => answer,
            // The reader panicked, which was reported there.
            Ok(Err(_)) => Err(Error::Unavailable(Fault::Client("a look-up was given up"))),
            Err(_) => Err(Error::Unavailable(Fault::Busy)),
        }
    }

    /// Joins the line, and starts a reader where there are too few.
    fn join(&self, question: Q) -> Result<oneshot::Receiver<Result<Q::Answer, Error>>, Error> {
        let (asker, answer) = oneshot::channel();
        let mut line = self.line();
        if line.waiting.len() >= WAITING {
            return Err(Error::Unavailable(Fault::Busy));
        }
        line.waiting.push_back((question, asker));
        if line.readers < READERS {
            line.readers += 1;
            drop(line);
            tokio::spawn(self.clone().read());
        }
        Ok(answer)
    }

    /// Sends what waits, batch by batch, until the line is empty. A panic fails the queries of its
    /// batch only.
    async fn read(self) {
        while let Some(batch) = self.take() {
            let asked = AssertUnwindSafe(self.answer(batch)).catch_unwind().await;
            if asked.is_err() {
                tracing::error!("a batch of queries panicked");
            }
        }
    }

    /// The next batch; if the line is empty, the reader is no longer counted.
    fn take(&self) -> Option<Vec<(Q, Asker<Q>)>> {
        let mut line = self.line();
        if line.waiting.is_empty() {
            line.readers -= 1;
            return None;
        }
        let most = line.waiting.len().min(BATCH);
        Some(line.waiting.drain(..most).collect())
    }

    async fn answer(&self, batch: Vec<(Q, Asker<Q>)>) {
        // Queries whose client has gone away are left out.
        let there = batch.into_iter().filter(|(_, asker)| !asker.is_closed());
        let (questions, askers): (Vec<Q>, Vec<Asker<Q>>) = there.unzip();
        if questions.is_empty() {
            return;
        }
        match Q::load(&self.0.pool, &questions).await {
            // Sending fails if the client has gone away, which does not matter.
            Ok(answers) => {
                for (asker, answer) in askers.into_iter().zip(answers) {
                    let _ = asker.send(Ok(answer));
                }
            }
            // An answer that cannot be read harms no other.
            Err(Error::Unreadable { .. }) if questions.len() > 1 => {
                for alone in questions.into_iter().zip(askers) {
                    Box::pin(self.answer(vec![alone])).await;
                }
            }
            Err(error) => {
                for asker in askers {
                    let _ = asker.send(Err(error.clone()));
                }
            }
        }
    }

    /// No code under this lock can panic half-way, so a poisoned lock is still sound.
    fn line(&self) -> MutexGuard<'_, Line<Q>> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
