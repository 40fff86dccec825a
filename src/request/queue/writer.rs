//! A writer of the queue: stores batches, and gives each submission its result.

use std::{ops::Range, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use tokio::{sync::oneshot, time::Instant};

use super::{Answer, NotStored, Queue, line::Member};
use crate::{
    db::{self, Held},
    request::store::{self, Submission, Submitted},
};

/// How often a statement is tried that fails with a conflict.
const TRIES: usize = 4;

/// Stores what waits, batch by batch, until the line is empty. A panic fails the submissions of its
/// batch only.
pub(super) async fn run(queue: Queue) {
    let mut writer = Writer {
        queue,
        connection: None,
    };
    while let Some(batch) = writer.take() {
        let stored = AssertUnwindSafe(writer.store(batch)).catch_unwind().await;
        if stored.is_err() {
            tracing::error!("a writer of submissions panicked");
            writer.hang_up();
        }
    }
    if let Some(connection) = writer.connection {
        connection.give_back();
    }
}

/// A running writer.
struct Writer {
    queue: Queue,
    /// Kept from batch to batch: to get one from the pool costs a round trip.
    connection: Option<Held>,
}

/// Why a statement failed.
enum Failed {
    /// This statement was refused: one of its submissions cannot be stored.
    Refused(db::Error),
    /// The database does not answer at present.
    Away,
}

impl Writer {
    fn take(&self) -> Option<Vec<Member>> {
        self.queue.line().take(&self.queue.0.limits)
    }

    /// Stores a batch and gives each submission its result; splits it in halves where it is
    /// refused.
    async fn store(&mut self, batch: Vec<Member>) {
        let deadline = Instant::now() + self.queue.0.limits.store;
        let (submissions, mut answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|member| (member.submission, Some(member.answer)))
            .unzip();
        // Used as a stack: the last part is next.
        let mut parts: Vec<_> = std::iter::once(0..submissions.len()).collect();
        while let Some(part) = parts.pop() {
            match self.store_part(&submissions[part.clone()], deadline).await {
                Ok(told) => {
                    for (place, submitted) in part.zip(told) {
                        tell(&mut answers, place, Ok(submitted));
                    }
                }
                Err(Failed::Refused(_)) if part.len() > 1 => {
                    let (first, second) = halves(part);
                    parts.extend([second, first]);
                }
                Err(Failed::Refused(error)) => {
                    tell(&mut answers, part.start, Err(NotStored::Refused(error)));
                }
                Err(Failed::Away) => break,
            }
        }
        for place in 0..answers.len() {
            tell(&mut answers, place, Err(NotStored::Away));
        }
    }

    /// Stores `part` in one transaction, and wakes the background task if a request is new.
    async fn store_part(
        &mut self,
        part: &[Submission],
        deadline: Instant,
    ) -> Result<Vec<Submitted>, Failed> {
        let (mut tries, mut again) = (1, false);
        let error = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let pool = self.queue.0.pool.clone().within(left);
            match pool.in_time(self.call(part)).await {
                Ok(told) => {
                    self.queue.0.meter.stored(part.len());
                    if told.iter().any(Submitted::is_new) {
                        self.queue.0.notifier.wake();
                    }
                    return Ok(told);
                }
                Err(db::Error::Conflict(_)) if tries < TRIES => tries += 1,
                // It may be stored: the submission id will show. A new connection may reach the
                // server.
                Err(db::Error::Unavailable(fault)) if !again && fault.is_loss() => {
                    again = true;
                    if let Some(connection) = self.connection.take() {
                        connection.condemn();
                    }
                }
                Err(error) => break error,
            }
        };
        match error {
            db::Error::Unavailable(_) | db::Error::Conflict(_) => {
                tracing::warn!(%error, submits = part.len(), "submissions were not stored");
                if error.is_disk_full() {
                    self.queue.0.pool.mark_full();
                }
                self.hang_up();
                Err(Failed::Away)
            }
            db::Error::Refused(_) | db::Error::InvalidRow(_) | db::Error::Unreadable { .. } => {
                Err(Failed::Refused(error))
            }
        }
    }

    async fn call(&mut self, part: &[Submission]) -> Result<Vec<Submitted>, db::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.queue.0.pool.acquire().await?),
        };
        store::submit_on(connection, part).await
    }

    /// Closes the connection: an unread answer may still come on it, or never.
    fn hang_up(&mut self) {
        self.connection = None;
    }
}

/// Sends the result to the submission at index `place`, once; its client may have gone.
fn tell(answers: &mut [Option<oneshot::Sender<Answer>>], place: usize, answer: Answer) {
    if let Some(sender) = answers.get_mut(place).and_then(Option::take) {
        // A client that has gone can send it again, under the same submission id.
        let _ = sender.send(answer);
    }
}

fn halves(part: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = part.start + part.len() / 2;
    (part.start..middle, middle..part.end)
}

#[cfg(test)]
mod tests;
