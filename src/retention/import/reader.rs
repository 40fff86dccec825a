//! Opens an export, whatever its encoding and line ends, and names what is no export.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::row::Problem;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of headers, then a row a line.
    Csv,
    /// An array of objects, alone or inside another object, or an object after the other.
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

/// Why nothing after this can be read.
pub(super) enum Fault {
    /// Nothing after this can be understood.
    Broken(Problem),
    /// The file cannot be read.
    Io(io::Error),
}

impl Fault {
    pub(super) fn broken(line: u64, fault: &'static str) -> Self {
        Self::Broken(Problem::new(line, None, fault))
    }
}

/// First bytes of files that are no text, and what they are.
const NO_TEXT: &[(&[u8], &str)] = &[
    (
        b"PK\x03\x04",
        "is a workbook (.xlsx, .ods) or another zip archive, whatever the file is called. Open it, and save the sheet with the requests as CSV UTF-8",
    ),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "is an old workbook (.xls), whatever the file is called. Open it, and save the sheet with the requests as CSV UTF-8",
    ),
    (b"PK\x05\x06", "is a zip archive without files"),
    (b"\x1f\x8b", "is compressed (gzip). Unpack it first"),
    (b"BZh", "is compressed (bzip2). Unpack it first"),
    (b"\xfd7zXZ\0", "is compressed (xz). Unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed (zstd). Unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is an archive (7z). Unpack it first"),
    (b"Rar!\x1a\x07", "is an archive (RAR). Unpack it first"),
    (
        b"SQLite format 3\0",
        "is a database (SQLite). Export the requests as CSV or JSON",
    ),
    (
        b"\0\x01\0\0Standard ",
        "is a database (Access). Export the requests as CSV or JSON",
    ),
    (
        b"\x09\x08",
        "is an old workbook (.xls), whatever the file is called. Open it, and save the sheet with the requests as CSV UTF-8",
    ),
    (b"%PDF", "is a PDF. Export the requests as CSV or JSON"),
    (b"\xff\xfe\0\0", "is in UTF-32. Save it as UTF-8"),
    (b"\0\0\xfe\xff", "is in UTF-32. Save it as UTF-8"),
];

/// An export as text in UTF-8 whose lines end in line feeds, with a copy of the file's handle, which
/// tells how far it is read.
pub(super) fn open(path: &Path, format: Format) -> Result<(impl BufRead + use<>, File), Fault> {
    let file = File::open(path).map_err(Fault::Io)?;
    let handle = file.try_clone().map_err(Fault::Io)?;
    let mut bytes = BufReader::with_capacity(1 << 16, file);
    let start = bytes.fill_buf().map_err(Fault::Io)?;
    if let [_, 0, 0, 0, _, 0, 0, 0, ..] | [0, 0, 0, _, 0, 0, 0, _, ..] = start {
        return Err(Fault::broken(1, "is in UTF-32. Save it as UTF-8"));
    }
    if let Some((_, what)) = NO_TEXT.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(Fault::broken(1, what));
    }
    // What is in UTF-8 stays as it is: columns that are dropped may be in any other encoding.
    let decoded = DecodeReaderBytesBuilder::new()
        .encoding(utf_16_without_mark(start))
        .utf8_passthru(true)
        .strip_bom(true)
        .build(bytes);
    let mut text = BufReader::new(LineEnds {
        inner: decoded,
        returned: false,
    });
    let mut start = Vec::new();
    let read = text.by_ref().take(1_000).read_to_end(&mut start);
    read.map_err(Fault::Io)?;
    if start.len() < 1_000 && start.trim_ascii().is_empty() {
        return Err(Fault::broken(1, "is empty"));
    }
    let mut signs = start.iter().filter(|b| !b.is_ascii_whitespace());
    match (signs.next(), signs.next()) {
        (Some(b'<'), _) => Err(Fault::broken(
            1,
            "is a web page or XML, whatever the file is called. Open it in a spreadsheet, and save the sheet with the requests as CSV UTF-8",
        )),
        (Some(b'{'), Some(b'\\')) => Err(Fault::broken(
            1,
            "is a document of a word processor (RTF). Export the requests as CSV or JSON",
        )),
        _ if start.starts_with(b"MIME-Version:") => Err(Fault::broken(
            1,
            "is a web page in one file (MHT). Open it, and save the sheet with the requests as CSV UTF-8",
        )),
        (Some(first), _) if format == Format::Json && first.is_ascii_alphabetic() => {
            Err(Fault::broken(
                1,
                "is no JSON. If it is CSV, run this again with --format csv",
            ))
        }
        (Some(b'['), Some(b'{')) | (Some(b'{'), Some(b'"')) if format == Format::Csv => Err(
            Fault::broken(1, "is JSON. Run this again with --format json"),
        ),
        _ => Ok((Cursor::new(start).chain(text), handle)),
    }
}

/// The encoding of a file whose every other byte is NUL at the start.
fn utf_16_without_mark(start: &[u8]) -> Option<&'static Encoding> {
    let is_text = |b: u8| b.is_ascii_graphic() || b.is_ascii_whitespace();
    match *start {
        [a, 0, b, 0, ..] if is_text(a) && is_text(b) => Some(UTF_16LE),
        [0, a, 0, b, ..] if is_text(a) && is_text(b) => Some(UTF_16BE),
        _ => None,
    }
}

/// Makes a line feed of every line end: of a carriage return, and of one with a line feed after it.
struct LineEnds<R> {
    inner: R,
    returned: bool,
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            let mut written = 0;
            for at in 0..read {
                let byte = buffer[at];
                if byte != b'\n' || !self.returned {
                    buffer[written] = if byte == b'\r' { b'\n' } else { byte };
                    written += 1;
                }
                self.returned = byte == b'\r';
            }
            if written > 0 || read == 0 {
                return Ok(written);
            }
        }
    }
}
