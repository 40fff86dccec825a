//! How is an export in CSV read, a line at a time?

use std::{cell::Cell, io::Read, rc::Rc};

use csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::{
    fields::{Dropped, Field, Meaning, meaning},
    reader::{Fault, Tally, missing},
    row::{Problem, Values},
};

/// More bytes than this in one record are a quotation mark that is not closed.
const LONGEST_RECORD: u64 = 1 << 20;

/// A file in CSV: a line of headers, then the rows. The delimiter is a comma, a semicolon or a tab,
/// whichever the headers have most of.
pub(super) struct Lines<R: Read> {
    reader: csv::Reader<Budget<R>>,
    since_record: Rc<Cell<u64>>,
    columns: Vec<Meaning>,
    record: ByteRecord,
}

/// Hands bytes on until there are too many for one record; every line ends in a line feed alone,
/// the last one too, so that lines can be counted.
struct Budget<R> {
    inner: R,
    taken: Rc<Cell<u64>>,
    /// A carriage return was read and waits for what follows it.
    held: bool,
    last: u8,
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.taken.get() > LONGEST_RECORD {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        loop {
            // Room for the one that is held.
            let Some(room) = buffer.get_mut(1..).filter(|room| !room.is_empty()) else {
                return Err(std::io::ErrorKind::InvalidInput.into());
            };
            let read = self.inner.read(room)?;
            self.taken.set(self.taken.get() + read as u64);
            if read == 0 {
                let ends = matches!(self.last, b'\n' | 0) && !self.held;
                (self.held, self.last) = (false, b'\n');
                buffer[0] = b'\n';
                return Ok(usize::from(!ends));
            }
            let mut written = 0;
            for at in 1..=read {
                let byte = buffer[at];
                if self.held && byte != b'\n' {
                    buffer[written] = b'\r';
                    written += 1;
                }
                self.held = byte == b'\r';
                if !self.held {
                    buffer[written] = byte;
                    written += 1;
                }
                self.last = byte;
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

impl<R: std::io::BufRead> Lines<R> {
    /// Reads the headers.
    pub(super) fn open(mut inner: R) -> Result<Self, Fault> {
        let start = inner.fill_buf().map_err(Fault::Io)?;
        let headers = start.split(|&b| b == b'\n').next().unwrap_or_default();
        let count = |delimiter: u8| headers.split(|&b| b == delimiter).count();
        // The first of those that are equally frequent.
        let delimiter = b"\t;,"
            .iter()
            .copied()
            .max_by_key(|&d| count(d))
            .unwrap_or(b',');
        let since_record = Rc::new(Cell::new(0));
        let budget = Budget {
            inner,
            taken: Rc::clone(&since_record),
            held: false,
            last: 0,
        };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(budget);
        let mut record = ByteRecord::new();
        reader
            .read_byte_record(&mut record)
            .map_err(|e| broken(1, &e))?;
        let columns: Vec<_> = record
            .iter()
            .map(|header| meaning(&String::from_utf8_lossy(header)))
            .collect();
        let fields = columns.iter().filter_map(|column| match column {
            Meaning::Field(field) => Some(*field),
            Meaning::Dropped(_) => None,
        });
        let fields: Vec<_> = fields.collect();
        if let Some(&twice) = Field::ALL
            .iter()
            .find(|field| fields.iter().filter(|f| f == field).count() > 1)
        {
            return Err(Fault::Broken(Problem::new(
                1,
                twice,
                "is there twice. Keep one of the two columns, or rename the other",
            )));
        }
        missing(|field| fields.contains(&field))?;
        Ok(Self {
            reader,
            since_record,
            columns,
            record,
        })
    }

    /// Reads the next row into `values`; the line at which it begins.
    pub(super) fn next(
        &mut self,
        values: &mut Values,
        dropped: &mut Tally,
    ) -> Result<Option<u64>, Fault> {
        let line = self.reader.position().line();
        self.since_record.set(0);
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|e| broken(line, &e))? {
            return Ok(None);
        }
        // Where it begins: it has read to the end of its last line, past blank ones before the first.
        let inner = self.record.as_slice().iter().filter(|&&b| b == b'\n');
        let line = self.reader.position().line() - 1 - inner.count() as u64;
        if self.record.len() != self.columns.len() {
            let fault = format!(
                "has {} fields, and the line of headers {}",
                self.record.len(),
                self.columns.len()
            );
            return Err(Fault::Line(Problem::new(line, None, fault)));
        }
        for (place, (column, value)) in (1..).zip(self.columns.iter().zip(&self.record)) {
            match column {
                Meaning::Field(field) => match std::str::from_utf8(value) {
                    Ok(value) => {
                        values.set(*field, value);
                    }
                    Err(_) => {
                        return Err(Fault::Line(Problem::new(line, *field, "is not in UTF-8")));
                    }
                },
                Meaning::Dropped(kind) if value.iter().any(|b| !b.is_ascii_whitespace()) => {
                    dropped.add(place, kind, || match kind {
                        Dropped::Contact(header) => header.clone(),
                        Dropped::LikeContact => {
                            format!("column {place}, a contact's by its header")
                        }
                        Dropped::Unknown => format!("column {place}, of an unknown header"),
                    });
                }
                Meaning::Dropped(_) => {}
            }
        }
        Ok(Some(line))
    }
}

/// What ends the reading; the reader's own words could repeat a value.
fn broken(line: u64, error: &csv::Error) -> Fault {
    match error.kind() {
        ErrorKind::Io(io) if io.kind() != std::io::ErrorKind::FileTooLarge => {
            Fault::Io(io.kind().into())
        }
        _ => Fault::Broken(Problem::new(
            line,
            None,
            "goes on for more than a megabyte: is a quotation mark not closed?",
        )),
    }
}
