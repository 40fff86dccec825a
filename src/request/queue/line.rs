//! The line of submissions that wait to be stored, and the count of writers.
//!
//! No I/O and no waiting here: one lock is held around each call. A writer is counted by the same
//! call that adds a submission, and discounted by the same call that finds the line empty, so that
//! no submission is lost between the two.

use std::collections::VecDeque;

use tokio::{sync::oneshot, time::Instant};

use super::{Answer, Limits, TOLD_EVERY, WRITERS};
use crate::request::store::Submission;

/// A submission that waits.
pub(super) struct Member {
    pub(super) submission: Submission,
    /// Closed if the client has disconnected.
    pub(super) answer: oneshot::Sender<Answer>,
    rows: usize,
    since: Instant,
}

impl Member {
    pub(super) fn new(
        submission: Submission,
        since: Instant,
        answer: oneshot::Sender<Answer>,
    ) -> Self {
        let edges = submission.asked.edges();
        Self {
            rows: edges.iter().map(|of| 1 + of.domains.len()).sum(),
            submission,
            answer,
            since,
        }
    }

    /// Whether the result is no longer wanted: the client has disconnected, or its time is up.
    fn has_gone(&self) -> bool {
        self.answer.is_closed()
    }
}

/// What became of a submission that joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It waits for a writer that is running.
    Waits,
    /// It waits, and the caller has to start a writer, which is already counted.
    StartsWriter,
    /// It was not accepted.
    Refused {
        /// Whether it is time to log that.
        tell: bool,
    },
}

/// The submissions that wait, the oldest first.
#[derive(Default)]
pub(super) struct Line {
    members: VecDeque<Member>,
    /// Rows of all of them.
    rows: usize,
    writers: usize,
    /// When a refusal was last logged.
    told: Option<Instant>,
}

impl Line {
    /// Adds `member`, if there is room and it would be stored in time.
    pub(super) fn join(&mut self, member: Member, now: Instant, limits: &Limits) -> Joined {
        let has_room = self.members.is_empty() || self.rows + member.rows <= limits.waiting_rows;
        if !has_room || self.is_full(now, limits) {
            return Joined::Refused {
                tell: self.tells(now),
            };
        }
        self.rows += member.rows;
        self.members.push_back(member);
        let has_enough = self.writers > 0 && self.members.len() < limits.crowd;
        if !has_enough && self.hasten() {
            Joined::StartsWriter
        } else {
            Joined::Waits
        }
    }

    /// Counts another writer, which the caller has to start, if submissions wait and there may be
    /// another.
    pub(super) fn hasten(&mut self) -> bool {
        let starts = !self.members.is_empty() && self.writers < WRITERS;
        self.writers += usize::from(starts);
        starts
    }

    /// Whether no submission is accepted, however few rows it has: too many wait, or for too long.
    pub(super) fn is_full(&self, now: Instant, limits: &Limits) -> bool {
        let oldest = self.members.front().map(|oldest| now - oldest.since);
        self.members.len() >= limits.waiting || oldest.is_some_and(|age| age > limits.late)
    }

    /// Whether it is time to log a refusal.
    pub(super) fn tells(&mut self, now: Instant) -> bool {
        let tell = self.told.is_none_or(|told| now - told >= TOLD_EVERY);
        if tell {
            self.told = Some(now);
        }
        tell
    }

    /// The next batch for a writer. `None`: the line is empty, and the writer is no longer counted.
    pub(super) fn take(&mut self, limits: &Limits) -> Option<Vec<Member>> {
        let (mut batch, mut rows) = (Vec::new(), 0);
        while let Some(next) = self.members.front() {
            let full = batch.len() >= limits.batch || rows + next.rows > limits.rows;
            if full && !batch.is_empty() && !next.has_gone() {
                break;
            }
            let Some(next) = self.members.pop_front() else {
                break;
            };
            self.rows -= next.rows;
            if !next.has_gone() {
                rows += next.rows;
                batch.push(next);
            }
        }
        if batch.is_empty() {
            self.writers -= 1;
            return None;
        }
        Some(batch)
    }

    /// How many submissions wait.
    pub(super) fn waiting(&self) -> usize {
        self.members.len()
    }

    /// How many writers are running.
    #[cfg(test)]
    pub(super) fn writers(&self) -> usize {
        self.writers
    }
}

#[cfg(test)]
pub(super) mod tests;
