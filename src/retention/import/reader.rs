//! What do the two kinds of file have in common for whoever reads them?

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    rc::Rc,
};

use super::{
    csv,
    fields::{Dropped, Field},
    json,
    row::{Problem, Values},
};

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of headers, then a row a line.
    Csv,
    /// An array of objects, or an object after the other.
    Json,
}

impl Format {
    /// By the file's name: JSON if it ends in json, jsonl or ndjson, else CSV.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let kind = path.extension().and_then(|kind| kind.to_str());
        match kind.map(str::to_ascii_lowercase).as_deref() {
            Some("json" | "jsonl" | "ndjson") => Self::Json,
            Some(_) | None => Self::Csv,
        }
    }
}

/// Why a line, or the file from here on, was not read.
pub(super) enum Fault {
    /// This line is wrong; the next may be right.
    Line(Problem),
    /// Nothing after this can be understood.
    Broken(Problem),
    /// A field that every request needs has no column.
    Missing(Field),
    /// The file cannot be read.
    Io(io::Error),
}

/// Holds the header to the fields that every request needs.
pub(super) fn missing(has: impl Fn(Field) -> bool) -> Result<(), Fault> {
    let needed = [Field::Programme, Field::Number, Field::Edge, Field::Domains];
    let missing = needed.into_iter().find(|&field| !has(field));
    missing.map_or(Ok(()), |field| Err(Fault::Missing(field)))
}

/// How many values were dropped, by what they were called. Holds no value.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<(usize, Dropped), (String, u64)>);

impl Tally {
    /// Counts a value of the column at `place`, which `name` names the first time.
    pub(super) fn add(&mut self, place: usize, kind: &Dropped, name: impl FnOnce() -> String) {
        let entry = self.0.entry((place, kind.clone()));
        entry.or_insert_with(|| (name(), 0)).1 += 1;
    }

    pub(super) fn into_counts(self) -> Vec<(String, u64)> {
        self.0.into_values().collect()
    }
}

/// A file and how far it was read, in bytes.
pub(super) struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// An open export.
pub(super) struct Export {
    lines: Lines,
    read: Rc<Cell<u64>>,
    pub(super) bytes: u64,
    pub(super) dropped: Tally,
}

enum Lines {
    Csv(Box<csv::Lines<BufReader<Counted>>>),
    Json(json::Objects<BufReader<Counted>>),
}

impl Export {
    pub(super) fn open(path: &Path, format: Format) -> Result<Self, Fault> {
        let file = File::open(path).map_err(Fault::Io)?;
        let bytes = file.metadata().map_err(Fault::Io)?.len();
        let read = Rc::new(Cell::new(0));
        let counted = Counted {
            file,
            read: Rc::clone(&read),
        };
        let reader = BufReader::with_capacity(1 << 16, counted);
        let lines = match format {
            Format::Csv => Lines::Csv(Box::new(csv::Lines::open(reader)?)),
            Format::Json => Lines::Json(json::Objects::new(reader)),
        };
        Ok(Self {
            lines,
            read,
            bytes,
            dropped: Tally::default(),
        })
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.read.get()
    }

    /// Reads the next line into `values`; its number, or `None` at the end.
    pub(super) fn next(&mut self, values: &mut Values) -> Result<Option<u64>, Fault> {
        values.clear();
        match &mut self.lines {
            Lines::Csv(lines) => lines.next(values, &mut self.dropped),
            Lines::Json(objects) => objects.next(values, &mut self.dropped),
        }
    }
}
