//! Takes the rows of an export, and counts what is dropped.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    fields::Dropped,
    group::Groups,
    row::{self, Problem, Problems, Read, Values},
};

/// What was read so far.
pub(super) struct Intake<'a> {
    /// The database's time.
    pub(super) now: DateTime<Utc>,
    /// Whether agreement numbers may have as many digits as telephone numbers.
    pub(super) numbers_checked: bool,
    /// Is told after some rows.
    pub(super) progress: &'a mut dyn FnMut(),
    pub(super) problems: &'a mut Problems,
    pub(super) groups: Groups<'a>,
    pub(super) lines: u64,
    /// Lines of requests that are over.
    pub(super) over: u64,
    /// How many values were dropped, by column and kind. Holds no value.
    pub(super) dropped: BTreeMap<(usize, Dropped), u64>,
}

impl Intake<'_> {
    /// Takes a row that begins at `line`.
    pub(super) fn row(&mut self, line: u64, values: &Values) {
        self.lines += 1;
        if self.lines.is_multiple_of(1_000) {
            (self.progress)();
        }
        match row::read(line, values, self.now, self.numbers_checked, self.problems) {
            Read::Row(row) => self.groups.add(*row, self.problems),
            Read::Over => self.over += 1,
            Read::Wrong => {}
        }
    }

    /// Takes what is wrong with a row.
    pub(super) fn wrong(&mut self, problem: Problem) {
        self.problems.add(problem);
    }

    /// Counts a value of the column at `place`; 0: of a member.
    pub(super) fn drop_value(&mut self, place: usize, kind: &Dropped) {
        *self.dropped.entry((place, kind.clone())).or_insert(0) += 1;
    }
}
