//! Takes a pasted list apart: what may be a name, and what only stands around names.
//!
//! People paste tables, lists with bullets or numbers, lines of zone files, and lines with comments.
//! What is certainly no name is left out, so that it can be told: comments, notes behind a name, the
//! words in front of a colon, the heading of a table and the words in its other columns, numbers beside
//! a name, the data of DNS records, and commands. Any other word without a dot may be a name that is
//! not complete, so it stays, and is refused with its line.

mod line;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use self::line::{Numbers, is_command, record_behind, without_note, words};
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
    #[must_use]
    pub fn is_number(&self) -> bool {
        let part_of_one = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '’' | '%');
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
    /// Whether it certainly stands only beside a name: a note, a number of the line, a label.
    beside: bool,
}

impl Word<'_> {
    fn is_name(&self) -> bool {
        !self.beside && !self.piece.is_word() && !self.piece.is_number()
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
        let mut numbers = Numbers::default();
        let mut lines = pasted.lines().enumerate().peekable();
        while let Some((place, whole)) = lines.next() {
            let line = place + 1;
            let text = list.without_prompt(line, whole);
            let text = list.without_comment(line, text);
            let text = list.without_label(line, text);
            let (text, note) = without_note(text);
            list.leave_out(line, note);
            let mut words = words(line, text);
            numbers.mark(&mut words);
            if let Some((kept, record)) = record_behind(&words, text) {
                words.truncate(kept);
                list.leave_out(line, record);
            }
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

    /// The line without the prompt of a shell: `PS C:\>`.
    fn without_prompt(&mut self, line: usize, text: &'a str) -> &'a str {
        let is_prompt = ["PS ", "[PS] "].iter().any(|it| text.starts_with(it));
        match text.split_once('>') {
            Some((prompt, command)) if is_prompt => {
                self.leave_out(line, prompt);
                command
            }
            _ => text,
        }
    }

    fn without_comment(&mut self, line: usize, text: &'a str) -> &'a str {
        if let Some(numbered) = line::without_hash_number(text) {
            return self.without_comment(line, numbered);
        }
        let (text, comment) = typed::without_comment(text);
        self.leave_out(line, comment);
        text
    }

    /// The line without the words and the colon in front, as in `Domain: contoso.com` or
    /// `{"domains": ["contoso.com"]}`.
    fn without_label(&mut self, line: usize, text: &'a str) -> &'a str {
        let Some((label, value)) = text.split_once(':') else {
            return text;
        };
        let around = |c: char| typed::is_quote(c) || matches!(c, ' ' | '-' | '{' | '[');
        let is_label = label.chars().any(char::is_alphabetic)
            && label.chars().all(|c| c.is_alphabetic() || around(c));
        let quoted = label.ends_with(typed::is_quote);
        let apart = value.is_empty() || value.starts_with(char::is_whitespace);
        if !is_label || !(apart || quoted) {
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
        let command = words.iter().any(|it| is_command(it.piece.text));
        let is_option = |it: &Word<'_>| it.piece.text.starts_with(['-', '$']);
        // `New-CsSipDomain -Identity contoso` has half a name in it.
        let all_of_it = command && (named || !words.iter().any(is_option));
        for (place, word) in words.iter().enumerate() {
            let piece = word.piece;
            let filler = piece.is_one_of(FILLERS);
            // `Default: True` is a line of a listing, and its label is left out already.
            let labelled = self.left_out.last().is_some_and(|it| it.line == piece.line);
            // `3 m.example` may be a name with a space in it, and `3,m.example` one with a comma.
            let halves =
                words.get(place + 1).is_some_and(Word::is_name) && word.after != Gap::Column;
            let number = piece.is_number() && !halves;
            let word_beside = piece.is_word() && ((table && !halves) || filler);
            let beside = named && (number || word_beside);
            let of_command = command
                && piece.is_word()
                && (all_of_it || is_option(word) || is_command(piece.text));
            if beside || word.beside || of_command || (filler && labelled) {
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
fn is_heading<'a>(heads: &[Word<'_>], below: impl Iterator<Item = &'a str>) -> bool {
    let inner = &heads[..heads.len() - 1];
    let columns = inner.iter().any(|it| it.after == Gap::Column);
    let commas = inner.iter().any(|it| it.after == Gap::Comma);
    let mut cells = heads.split_inclusive(|it| it.after != Gap::Space);
    let known = cells.any(|cell| cell.iter().all(|it| it.piece.is_one_of(HEADINGS)));
    let tabular = columns && !commas;
    if !(tabular || (known && (columns || commas))) {
        return false;
    }
    let mut rows = below
        .map(|row| words(0, row))
        .take_while(|row| !row.is_empty())
        .peekable();
    rows.peek().is_some_and(|row| row.iter().any(Word::is_name))
        && rows.any(|row| row.iter().any(Word::is_name) && !row.iter().all(Word::is_name))
}

/// Whether a line only draws a line below a heading.
fn is_rule(text: &str) -> bool {
    let drawn = |c: char| typed::is_dash(c) || matches!(c, '-' | '=' | '_' | '─' | '━');
    text.matches(drawn).count() >= 3 && !text.contains(char::is_alphanumeric)
}
