//! How are questions that come in at the same time asked together?
//!
//! A round trip to the database costs more than most answers: messages, wake-ups, the start and the
//! end of a plan. So whoever asks joins a line, and a reader takes all that waits and asks it by
//! one statement. Nobody waits for others to come: the first in an empty line starts a reader,
//! which asks at once and goes when the line is empty. What is answered was read after it was
//! asked, so whoever has written something sees it.
//!
//! A reader is a task of its own: a client that goes away takes nothing with it but its own place.

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

/// Readers of one line at most: while one has its answers given out, the other has PostgreSQL work.
const READERS: usize = 2;
/// Questions that one statement asks.
const BATCH: usize = 64;
/// Questions that wait: more than the front door lets in, so that only a fault gets there.
const WAITING: usize = 8_192;
/// The most time from the question to an answer; less where a page has less left of its own. The
/// pool limits the time of a statement.
const PATIENCE: Duration = Duration::from_secs(4);

/// Something that the database is asked, by one statement for one or many.
pub trait Question: Send + Sync + Sized + 'static {
    /// What it answers.
    type Answer: Send + 'static;

    /// Asks all of them. The answers are in the order of the questions.
    ///
    /// # Errors
    ///
    /// [`Error`] when the database is away, or an answer cannot be read.
    fn ask(
        pool: &PgPool,
        questions: &[Self],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Error>> + Send;
}

type Asker<Q> = oneshot::Sender<Result<<Q as Question>::Answer, Error>>;

/// The line of those who ask the same kind of question. Cheap to clone; clones are the same line.
pub struct Together<Q: Question>(Arc<Inner<Q>>);

struct Inner<Q: Question> {
    pool: PgPool,
    line: Mutex<Line<Q>>,
}

struct Line<Q: Question> {
    waiting: VecDeque<(Q, Asker<Q>)>,
    readers: usize,
}

impl<Q: Question> Clone for Together<Q> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Without what waits.
impl<Q: Question> fmt::Debug for Together<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

impl<Q: Question> Together<Q> {
    /// An empty line, whose readers use `pool`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let line = Mutex::new(Line {
            waiting: VecDeque::new(),
            readers: 0,
        });
        Self(Arc::new(Inner { pool, line }))
    }

    /// Asks `question`, with those that come in at the same time.
    ///
    /// # Errors
    ///
    /// [`Error`], within 4 s.
    pub async fn ask(&self, question: Q) -> Result<Q::Answer, Error> {
        let began = Instant::now();
        let patience = budget::left().map_or(PATIENCE, |left| left.min(PATIENCE));
        let answered = timeout(patience, self.join(question)?).await;
        budget::spend(began.elapsed());
        match answered {
            Ok(Ok(answer)) => answer,
            // Its reader panicked, which that one has told.
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

    /// Asks what waits, batch by batch, until nothing does. A panic costs its batch the answers,
    /// and nobody else anything.
    async fn read(self) {
        while let Some(batch) = self.take() {
            let asked = AssertUnwindSafe(self.answer(batch)).catch_unwind().await;
            if asked.is_err() {
                tracing::error!("a reader of look-ups panicked");
            }
        }
    }

    /// The next batch; at the end of the line the reader that asks is one no longer.
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
        // Who has gone away in the meantime is not asked for.
        let there = batch.into_iter().filter(|(_, asker)| !asker.is_closed());
        let (questions, askers): (Vec<Q>, Vec<Asker<Q>>) = there.unzip();
        if questions.is_empty() {
            return;
        }
        match Q::ask(&self.0.pool, &questions).await {
            // An asker who has gone away does not take it.
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

    /// Nothing under this lock can panic half-way.
    fn line(&self) -> MutexGuard<'_, Line<Q>> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
