//! Takes a pasted list apart: what may be a name, and what only stands around names.
//!
//! People paste tables, lists with bullets or numbers, and lines with comments. What is certainly no
//! name is left out, so that it can be told: comments, the words in front of a colon, the heading of a
//! table and the words in its other columns, and numbers beside a name. Any other word without a dot
//! may be a name that is not complete, so it stays, and is refused with its line.

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use super::typed;

/// Words at the top of a column, in lower case.
const HEADINGS: &[&str] = &[
    "authentication",
    "default",
    "domain",
    "domains",
    "fqdn",
    "host",
    "hostname",
    "identity",
    "isdefault",
    "name",
    "names",
    "sip",
    "sipdomain",
    "sipdomains",
    "status",
    "type",
    "zone",
];

/// Words between names or beside them, in lower case.
const FILLERS: &[&str] = &[
    "and", "or", "und", "oder", "et", "ou", "true", "false", "yes", "no", "ja", "nein", "oui",
    "non",
];

/// A piece of a pasted list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The line it stands in, from 1.
    pub line: usize,
    /// The text, as typed.
    pub text: &'a str,
    /// Whether it has a column of its own, so that it is no half of a name with a space in it.
    pub alone: bool,
}

impl Piece<'_> {
    /// Whether it is a word: neither a name with a dot nor an address.
    #[must_use]
    pub fn is_word(&self) -> bool {
        !self
            .text
            .contains(|c| typed::is_dot(c) || matches!(c, '@' | '＠'))
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.contains(&&*self.text.to_lowercase())
    }

    /// Whether it is a number, like `120`, `1.200` or `12.5%`. An IP address is none.
    fn is_number(&self) -> bool {
        let part_of_one = |c: char| c.is_ascii_digit() || matches!(c, '.' | '\'' | '’' | '%');
        self.text.contains(|c: char| c.is_ascii_digit())
            && self.text.chars().all(part_of_one)
            && self.text.parse::<Ipv4Addr>().is_err()
    }
}

/// A word of a line, and what stands between it and the next.
#[derive(Clone, Copy)]
struct Word<'a> {
    piece: Piece<'a>,
    after: Gap,
}

impl Word<'_> {
    fn is_name(&self) -> bool {
        !self.piece.is_word() && !self.piece.is_number()
    }
}

/// A pasted list, taken apart. No `Debug`: a person pasted it.
#[derive(Default)]
pub struct List<'a> {
    /// What may be names, in order.
    pub names: Vec<Piece<'a>>,
    /// What was left out.
    pub left_out: Vec<Piece<'a>>,
}

/// What stands between two words of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// An end of the line, or the edge of a column.
    Column,
    /// A comma or semicolon.
    Comma,
    /// One space.
    Space,
}

impl Gap {
    fn of(between: &str) -> Self {
        let is_comma = |c: char| typed::is_separator(c) && !c.is_whitespace();
        if between.contains(is_comma) {
            Self::Comma
        } else if between.contains(['\t', '|']) || between.chars().nth(1).is_some() {
            Self::Column
        } else {
            Self::Space
        }
    }
}

impl<'a> List<'a> {
    /// Takes a pasted list apart.
    #[must_use]
    pub fn read(pasted: &'a str) -> Self {
        let mut list = Self::default();
        let mut table = false;
        let mut first = true;
        let mut lines = pasted.lines().enumerate().peekable();
        while let Some((place, whole)) = lines.next() {
            let line = place + 1;
            let text = list.without_comment(line, whole);
            let words = words(line, list.without_label(line, text));
            if words.is_empty() {
                // A blank line ends a table, a ruled one does not.
                table &= !text.trim().is_empty();
                continue;
            }
            let ruled = lines.peek().is_some_and(|(_, next)| is_rule(next));
            let heads = || {
                let below = lines.clone().map(|(_, next)| next);
                words.iter().all(|it| it.piece.is_one_of(HEADINGS)) || is_heading(&words, below)
            };
            if words.iter().all(|it| it.piece.is_word()) && (ruled || (first && heads())) {
                table = true;
                list.leave_out(line, text);
            } else {
                list.add(&words, table);
            }
            first = false;
        }
        list
    }

    fn leave_out(&mut self, line: usize, text: &'a str) {
        let text = typed::trim(text);
        if text.contains(char::is_alphanumeric) {
            self.left_out.push(Piece {
                line,
                text,
                alone: true,
            });
        }
    }

    fn without_comment(&mut self, line: usize, text: &'a str) -> &'a str {
        let (text, comment) = typed::without_comment(text);
        self.leave_out(line, comment);
        text
    }

    /// The line without the words and the colon in front, as in `Domain: contoso.com`.
    fn without_label(&mut self, line: usize, text: &'a str) -> &'a str {
        let Some((label, value)) = text.split_once(':') else {
            return text;
        };
        let is_label = label.chars().any(char::is_alphabetic)
            && label
                .chars()
                .all(|c| c.is_alphabetic() || c == ' ' || c == '-');
        if !is_label || !(value.is_empty() || value.starts_with(char::is_whitespace)) {
            return text;
        }
        if !label.trim().eq_ignore_ascii_case("sip") {
            self.leave_out(line, label);
        }
        value
    }

    /// Adds the words of a line. Beside a name those that are no names are left out: of a table all, of
    /// any other line words that only join names, and numbers.
    fn add(&mut self, words: &[Word<'a>], table: bool) {
        let named = words.iter().any(Word::is_name);
        for (place, word) in words.iter().enumerate() {
            let piece = word.piece;
            let filler = piece.is_one_of(FILLERS);
            // `Default: True` is a line of a listing, and its label is left out already.
            let labelled = self.left_out.last().is_some_and(|it| it.line == piece.line);
            // `3 m.example` may be a name with a space in it, and `3,m.example` one with a comma.
            let halves =
                words.get(place + 1).is_some_and(Word::is_name) && word.after != Gap::Column;
            let number = piece.is_number() && !halves;
            let beside = named && (number || (piece.is_word() && (table || filler)));
            if beside || (filler && labelled) {
                self.left_out.push(piece);
            } else {
                self.names.push(piece);
            }
        }
    }
}

/// Whether these words, none of them a name, are the heading of the table that begins below: they stand
/// in columns, and below them are names with something beside them. Between commas one column has
/// to say what it is, since `lucerne,de` may be a name.
fn is_heading<'a>(words: &[Word<'_>], below: impl Iterator<Item = &'a str>) -> bool {
    let inner = &words[..words.len() - 1];
    let columns = inner.iter().any(|it| it.after == Gap::Column);
    let commas = inner.iter().any(|it| it.after == Gap::Comma);
    let mut cells = words.split_inclusive(|it| it.after != Gap::Space);
    let known = cells.any(|cell| cell.iter().all(|it| it.piece.is_one_of(HEADINGS)));
    let tabular = columns && !commas;
    if !(tabular || (known && (columns || commas))) {
        return false;
    }
    let mut rows = below
        .map(|row| self::words(0, row))
        .take_while(|row| !row.is_empty())
        .peekable();
    rows.peek().is_some_and(|row| row.iter().any(Word::is_name))
        && rows.any(|row| row.iter().any(Word::is_name) && !row.iter().all(Word::is_name))
}

/// The words of a line, without what encloses them, bullets and a number in front.
fn words(line: usize, text: &str) -> Vec<Word<'_>> {
    let is_separator = |c: char| typed::is_separator(c) || c == '|';
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut rest = text.trim_start_matches(is_separator);
    let mut before = Gap::Column;
    while !rest.is_empty() {
        let (raw, after) = rest.split_at(rest.find(is_separator).unwrap_or(rest.len()));
        let next = after.trim_start_matches(is_separator);
        let between = &after[..after.len() - next.len()];
        let gap = if next.is_empty() {
            Gap::Column
        } else {
            Gap::of(between)
        };
        let word = bare(raw);
        let counts = words.is_empty() && !next.is_empty() && is_number_of_line(raw);
        if word.contains(char::is_alphanumeric) && !counts {
            let alone = before == Gap::Column && gap == Gap::Column;
            let piece = Piece {
                line,
                text: word,
                alone,
            };
            words.push(Word { piece, after: gap });
            before = gap;
        } else if !words.is_empty() {
            before = gap;
        }
        rest = next;
    }
    words
}

/// The word without quotation marks, brackets, bullets and invisible characters around it.
fn bare(word: &str) -> &str {
    let encloses = |c: char| {
        typed::is_quote(c)
            || typed::is_invisible(c)
            || matches!(c, '(' | ')' | '[' | ']' | '{' | '}')
    };
    // An IPv6 address has brackets of its own.
    if word.contains("::") {
        return word.trim_matches(|c| typed::is_quote(c) || typed::is_invisible(c));
    }
    let word = word.strip_prefix("@(").unwrap_or(word);
    word.trim_matches(encloses)
        .trim_start_matches(|c| encloses(c) || typed::is_bullet(c))
}

/// Whether this numbers a line: `1.`, `2)`, `(3)`, `a)`.
fn is_number_of_line(word: &str) -> bool {
    let inner = word.strip_prefix('(').unwrap_or(word);
    let Some(number) = inner.strip_suffix(['.', ')', ':']) else {
        return false;
    };
    let digits = (1..=4).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let letter = number.len() == 1
        && inner.ends_with(')')
        && number.bytes().all(|b| b.is_ascii_alphabetic());
    digits || letter
}

/// Whether a line only draws a line below a heading.
fn is_rule(text: &str) -> bool {
    let drawn = |c: char| typed::is_dash(c) || matches!(c, '-' | '=' | '_' | '─' | '━');
    text.matches(drawn).count() >= 3 && !text.contains(char::is_alphanumeric)
}
