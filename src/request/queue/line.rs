//! Who waits to be stored, in which order, and who takes them out?
//!
//! No I/O and no waiting here: one lock is held around each call. That a writer is counted in by
//! the same call that lets somebody wait, and counted out by the same call that finds nobody
//! waiting, is what loses nobody between the two.

use std::collections::VecDeque;

use tokio::{sync::oneshot, time::Instant};

use super::{Answer, Limits, TOLD_EVERY, WRITERS};
use crate::request::store::Submission;

/// One who waits.
pub(super) struct Member {
    pub(super) submission: Submission,
    /// Whoever has gone does not hear it any more.
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

    /// Whether nobody listens any more: the client has gone, or was told that it takes too long.
    fn has_gone(&self) -> bool {
        self.answer.is_closed()
    }
}

/// What became of one who came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It waits for a writer that is at work.
    Waits,
    /// It waits, and a writer is counted in, whom the caller has to start.
    StartsWriter,
    /// It was not let in.
    Refused {
        /// Whether it is time to tell the log.
        tell: bool,
    },
}

/// Those who wait, the first first.
#[derive(Default)]
pub(super) struct Line {
    members: VecDeque<Member>,
    /// Of all of them.
    rows: usize,
    writers: usize,
    /// When the log was told that nobody is let in.
    told: Option<Instant>,
}

impl Line {
    /// Lets `member` in, if there is room and it would be stored in time.
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

    /// Counts a writer in, whom the caller has to start, if somebody waits and there may be another.
    pub(super) fn hasten(&mut self) -> bool {
        let starts = !self.members.is_empty() && self.writers < WRITERS;
        self.writers += usize::from(starts);
        starts
    }

    /// Whether nobody is let in, however few rows it has: too many wait, or for too long.
    pub(super) fn is_full(&self, now: Instant, limits: &Limits) -> bool {
        let oldest = self.members.front().map(|oldest| now - oldest.since);
        self.members.len() >= limits.waiting || oldest.is_some_and(|age| age > limits.late)
    }

    /// Whether it is time to tell the log that somebody is not let in.
    pub(super) fn tells(&mut self, now: Instant) -> bool {
        let tell = self.told.is_none_or(|told| now - told >= TOLD_EVERY);
        if tell {
            self.told = Some(now);
        }
        tell
    }

    /// What a writer stores at once. `None`: nobody waits, and the writer is counted out.
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

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.members.len()
    }

    /// How many writers are at work.
    #[cfg(test)]
    pub(super) fn writers(&self) -> usize {
        self.writers
    }
}

#[cfg(test)]
pub(super) mod tests;
