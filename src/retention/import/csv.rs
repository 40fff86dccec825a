//! Reads an export in CSV, a line at a time.

use std::io::{self, BufRead, Cursor, Read};

use csv::{ByteRecord, ReaderBuilder};

use super::{
    fields::{Field, Meaning, meaning},
    intake::Intake,
    reader::Fault,
    row::{Problem, Values},
};

/// More bytes than this in one record are a quotation mark that is not closed.
const LONGEST_RECORD: u64 = 1 << 20;
/// So many records are looked at for the headers.
const HEADERS_WITHIN: usize = 20;
/// What may stand between two columns; of those that are equally frequent the last.
const DELIMITERS: &[u8] = b"|\t;,";

/// Reads a file: a line of headers, then the rows.
pub(super) fn read(mut text: impl BufRead, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let start = Start::of(&mut text)?;
    // With a line end after the last line too, lines can be counted.
    let text = Cursor::new(start.line.clone())
        .chain(text)
        .chain(&b"\n"[..]);
    let mut records = Records {
        reader: ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(start.delimiter)
            .from_reader(Quotes::of(text).take(LONGEST_RECORD)),
        passed: start.passed,
        record: ByteRecord::new(),
        is_open: false,
    };
    let columns = headers(&mut records, &start.line)?;
    let header = records.record.clone();
    let mut values = Values::default();
    while let Some(line) = records.next()? {
        // Where one file was put behind another, the headers come again.
        if !is_no_row(&records.record) && records.record != header {
            match row(line, &columns, &records.record, &mut values, intake) {
                Ok(()) => intake.row(line, &values),
                Err(mut problem) => {
                    if records.is_open {
                        problem
                            .fault
                            .to_mut()
                            .push_str(". Is a quotation mark not closed?");
                    }
                    intake.problems.add(problem);
                }
            }
        }
    }
    Ok(())
}

fn is_blank(value: &[u8]) -> bool {
    String::from_utf8_lossy(value).trim().is_empty()
}

/// Whether there are no values: an empty row, a ruled line of a table (`----+----`), or how many rows
/// a database has written (`(2 rows affected)`).
fn is_no_row(record: &ByteRecord) -> bool {
    let is_ruled = |value: &[u8]| is_blank(value) || value.iter().all(|b| b" -+=:".contains(b));
    let first = record.get(0).unwrap_or_default().trim_ascii();
    let is_count = first.starts_with(b"(") && first.get(1).is_some_and(u8::is_ascii_digit);
    record.iter().all(is_ruled) || (record.len() == 1 && is_count)
}

/// Takes the values of a row.
fn row(
    line: u64,
    columns: &[Meaning],
    record: &ByteRecord,
    values: &mut Values,
    intake: &mut Intake<'_>,
) -> Result<(), Problem> {
    const NUL: &str = "has a NUL byte: the file is no text here, or changes its encoding. Export it again, as UTF-8";
    // A spreadsheet may leave out empty values at the end of a line.
    let cut_off = columns.get(record.len()..).unwrap_or_default();
    let is_field = |column: &Meaning| matches!(column, Meaning::Field(_));
    if cut_off.iter().any(is_field) || !record.iter().skip(columns.len()).all(is_blank) {
        if record.as_slice().contains(&0) {
            return Err(Problem::new(line, None, NUL));
        }
        let (fields, headers) = (record.len(), columns.len());
        let word = if fields == 1 { "field" } else { "fields" };
        let fault = format!("has {fields} {word}, and the line of headers {headers}");
        return Err(Problem::new(line, None, fault));
    }
    *values = Values::default();
    for (place, (column, value)) in (1..).zip(columns.iter().zip(record)) {
        match column {
            Meaning::Field(field) => {
                let value = std::str::from_utf8(value).map_err(|_| {
                    Problem::new(line, *field, "is not in UTF-8. Save the file as CSV UTF-8")
                })?;
                if value.contains('\0') {
                    return Err(Problem::new(line, *field, NUL));
                }
                values.set(*field, value);
            }
            Meaning::Dropped(_) if is_blank(value) => {}
            Meaning::Dropped(kind) => intake.drop_value(place, kind),
        }
    }
    Ok(())
}

/// The start of a file.
struct Start {
    /// Lines that were passed over.
    passed: u64,
    /// The line after them.
    line: Vec<u8>,
    delimiter: u8,
}

impl Start {
    /// Passes over what stands above the headers: empty rows and ruled lines, `sep=;` for a spreadsheet
    /// (which counts where it is true), and the `#TYPE` of Windows PowerShell.
    fn of(text: &mut impl BufRead) -> Result<Self, Fault> {
        let (mut passed, mut given) = (0, None);
        loop {
            let mut line = Vec::new();
            let read = text.take(LONGEST_RECORD).read_until(b'\n', &mut line);
            let read = read.map_err(Fault::Io)?;
            let plain = line.trim_ascii_start();
            let plain = plain.strip_prefix(b"\"").unwrap_or(plain);
            let starts_with = |word: &[u8]| {
                let start = plain.get(..word.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(word))
            };
            if starts_with(b"sep=") {
                given = match plain.get(4..) {
                    Some([b'\\', b't', ..]) => Some(b'\t'),
                    Some([b'\n' | b'"', ..] | []) | None => None,
                    Some([given, ..]) => Some(*given),
                };
            } else if read == 0
                || !(starts_with(b"#type ") || plain.iter().all(|b| b" \n\"|\t;,-+=:".contains(b)))
            {
                let count = |delimiter: u8| {
                    let unquoted = line.split(|&b| b == b'"').step_by(2).flatten();
                    unquoted.filter(|&&b| b == delimiter).count()
                };
                let most = DELIMITERS.iter().copied().max_by_key(|&d| count(d));
                let given = given.filter(|&given| count(given) > 0);
                return Ok(Self {
                    passed,
                    delimiter: given.or(most).unwrap_or(b','),
                    line,
                });
            }
            passed += 1;
        }
    }
}

/// Text, with whether so far a quotation mark is open, and whether it has ended.
struct Quotes<R> {
    text: R,
    is_open: bool,
    has_ended: bool,
}

impl<R> Quotes<R> {
    const fn of(text: R) -> Self {
        Self {
            text,
            is_open: false,
            has_ended: false,
        }
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(buffer)?;
        for byte in &buffer[..read] {
            self.is_open ^= *byte == b'"';
        }
        self.has_ended |= read == 0;
        Ok(read)
    }
}

/// The records of a file.
struct Records<R> {
    reader: csv::Reader<io::Take<Quotes<R>>>,
    passed: u64,
    record: ByteRecord,
    /// Whether the record ends with the file: the line end after it is in quotation marks.
    is_open: bool,
}

impl<R: Read> Records<R> {
    /// Reads the next record; the line at which it begins.
    fn next(&mut self) -> Result<Option<u64>, Fault> {
        self.reader.get_mut().set_limit(LONGEST_RECORD);
        let begins = self.passed + self.reader.position().line();
        let read = self.reader.read_byte_record(&mut self.record);
        let is_there = read.map_err(|error| Fault::Io(error.into()))?;
        if self.reader.get_ref().limit() == 0 {
            let fault = "goes on for more than a megabyte: is a quotation mark not closed?";
            return Err(Fault::broken(begins, fault));
        }
        // It has read to the end of the record's last line, past blank ones before the first.
        let inner = self.record.as_slice().iter().filter(|&&b| b == b'\n');
        let text = self.reader.get_ref().get_ref();
        let holds_end = self.record.as_slice().ends_with(b"\n");
        self.is_open = is_there && text.has_ended && text.is_open && holds_end;
        let ends = self.passed + self.reader.position().line() - u64::from(!self.is_open);
        Ok(is_there.then(|| ends - inner.count() as u64))
    }
}

/// Finds the line of headers: the first, which is `text`.
fn headers(records: &mut Records<impl Read>, text: &[u8]) -> Result<Vec<Meaning>, Fault> {
    let mut first: Option<Problem> = None;
    let mut other = other_than_csv(text);
    for _ in 0..HEADERS_WITHIN {
        // An empty file has an empty line of headers.
        let line = records.next()?;
        if line.is_none() && first.is_some() {
            break;
        }
        match (columns(line.unwrap_or(1), &records.record), &first) {
            (Ok(columns), None) => return Ok(columns),
            (Ok(_), Some(problem)) => {
                let fault = "stands above the line of headers. Delete what is above that";
                return Err(Fault::broken(problem.line, fault));
            }
            (Err(problem), None) => first = Some(problem),
            (Err(_), Some(_)) => {}
        }
        if is_ruled_in_columns(&records.record) {
            other = other.or(Some(FIXED_WIDTH));
        }
    }
    Err(match (first, other) {
        (None, _) => Fault::broken(1, "is empty"),
        (Some(problem), Some(what)) => Fault::broken(problem.line, what),
        (Some(problem), None) => Fault::Broken(problem),
    })
}

const FIXED_WIDTH: &str = "has columns of a fixed width, as Format-Table and sqlcmd write them. Export it with commas: Export-Csv in place of Format-Table, or sqlcmd -W -s \",\"";

/// What a file is whose first line is no line of headers, if that is known.
fn other_than_csv(first: &[u8]) -> Option<&'static str> {
    let first = String::from_utf8_lossy(first).trim().to_ascii_lowercase();
    let starts_with = |words: &[&str]| words.iter().any(|word| first.starts_with(word));
    let is_alone = !first.contains([',', ';', '\t', '|']);
    // A property and its value: `Domain : contoso.com`.
    let is_property = first.split_once(" : ").is_some_and(|(name, _)| {
        let name = name.trim();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ')
    });
    if starts_with(&["#< clixml"]) {
        Some(
            "is XML that PowerShell writes for itself (Export-Clixml). Use Export-Csv in its place",
        )
    } else if starts_with(&[
        "insert ", "create ", "copy ", "drop ", "set ", "use ", "begin", "select ", "-- ", "/*",
    ]) || first == "--"
    {
        Some("is a script of a database (SQL). Export the result of a query as CSV")
    } else if is_property {
        Some("is a list of properties, as Format-List writes it. Use Export-Csv in its place")
    } else if first == "---" || is_alone && (first.ends_with(':') || first.starts_with("- ")) {
        Some("looks like YAML. Export the requests as CSV or JSON")
    } else {
        None
    }
}

/// Whether this is the line between headers and rows where columns have a fixed width: `------  ---`.
fn is_ruled_in_columns(record: &ByteRecord) -> bool {
    let line = record.as_slice();
    record.len() == 1 && line.starts_with(b"--") && line.iter().all(|b| b" -".contains(b))
}

/// What the columns are, if these are headers.
fn columns(line: u64, record: &ByteRecord) -> Result<Vec<Meaning>, Problem> {
    let meaning = |header| meaning(&String::from_utf8_lossy(header));
    let columns: Vec<_> = record.iter().map(meaning).collect();
    for &field in Field::ALL {
        let is_it = |column: &&Meaning| **column == Meaning::Field(field);
        let count = columns.iter().filter(is_it).count();
        if count > 1 {
            let fault = "is there twice. Keep one of the two columns, or rename the other";
            return Err(Problem::new(line, field, fault));
        }
        if count == 0 && Field::NEEDED.contains(&field) {
            let (name, known) = (field.as_str(), field.headers());
            let fault = format!(
                "has no column for the {name}, where the headers should be. It is known by these headers: {known}. Give the column one of them"
            );
            return Err(Problem::new(line, None, fault));
        }
    }
    Ok(columns)
}
