//! Takes the rows of an export, and counts what is dropped.

use std::{collections::BTreeMap, fs::File, io::Seek as _};

use chrono::{DateTime, Utc};

use super::{
    error::Step,
    fields::Dropped,
    group::Groups,
    row::{Problems, Values},
};

/// What was read so far.
pub(super) struct Intake<'a> {
    /// The database's time.
    pub(super) now: DateTime<Utc>,
    /// Whether agreement numbers may have as many digits as telephone numbers.
    pub(super) numbers_checked: bool,
    /// Tells how far the file is read.
    pub(super) file: Option<File>,
    pub(super) tell: &'a mut dyn FnMut(Step),
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
        if let Some(mut file) = self
            .file
            .as_ref()
            .filter(|_| self.lines.is_multiple_of(1_000))
        {
            let long = file.metadata().map_or(0, |metadata| metadata.len());
            (self.tell)(Step::Reading(file.stream_position().unwrap_or(long), long));
        }
        if values.is_over() {
            self.over += 1;
        } else if let Some(row) = values.read(line, self.now, self.numbers_checked, self.problems) {
            self.groups.add(row, self.problems);
        }
    }

    /// Counts a value of the column at `place`; 0: of a member.
    pub(super) fn drop_value(&mut self, place: usize, kind: &Dropped) {
        *self.dropped.entry((place, kind.clone())).or_insert(0) += 1;
    }
}
