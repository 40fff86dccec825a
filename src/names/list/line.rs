//! Takes one line of a pasted list apart into its words.

use super::{Gap, Piece, Word};
use crate::names::{parse, typed};

/// The elements of web pages whose tags only separate names, in lower case.
const TAGS: &[&str] = &[
    "a", "b", "br", "code", "div", "em", "i", "li", "ol", "p", "pre", "span", "strong", "table",
    "tbody", "td", "th", "thead", "tr", "u", "ul",
];

/// The types of records in zone files.
const RECORDS: &[&str] = &[
    "A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT",
];

/// How far the end of a tag or of a note in brackets is looked for, in characters.
const REACH: usize = 200;

/// The words of a line, without what encloses them, bullets and a number in front.
pub(super) fn words(line: usize, text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut rest = &text[end_of_gap(text)..];
    let mut before = Gap::Column;
    let mut named = false;
    while !rest.is_empty() {
        let note = Some(rest).filter(|_| named).and_then(note_in_brackets);
        let (raw, after) = rest.split_at(note.unwrap_or_else(|| end_of_word(rest)));
        // A word ends at a slash only where a name follows.
        let after = after.strip_prefix('/').unwrap_or(after);
        let next = &after[end_of_gap(after)..];
        let between = &after[..after.len() - next.len()];
        let gap = if next.is_empty() {
            Gap::Column
        } else {
            Gap::of(between)
        };
        let word = if note.is_some() { raw } else { bare(raw) };
        let counts = words.is_empty() && !next.is_empty() && is_number_of_line(raw);
        if word.contains(char::is_alphanumeric) && !counts {
            let piece = Piece {
                line,
                text: word,
                alone: before == Gap::Column && gap == Gap::Column,
            };
            let quoted = raw.trim_end_matches(':').ends_with(typed::is_quote);
            let is_label = quoted && raw.ends_with(':') && piece.is_word();
            let behind_semicolon = text[..text.len() - rest.len()].ends_with(';');
            words.push(Word {
                piece,
                after: gap,
                beside: note.is_some()
                    || is_label
                    || (behind_semicolon && typed::is_parameter(word)),
            });
            named |= words.last().is_some_and(Word::is_name);
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
    word.trim_start_matches(|c| encloses(c) || typed::is_bullet(c))
        .trim_end_matches(|c| encloses(c) || c == ':')
}

fn is_separator(c: char) -> bool {
    typed::is_separator(c) || c == '|'
}

/// Where the word ends with which a text begins.
fn end_of_word(text: &str) -> usize {
    let ends = |&(at, c): &(usize, char)| {
        let splits = is_separator(c) && !groups_digits(text, at) && !is_inside_address(text, at);
        splits || length_of_tag(&text[at..]) > 0
    };
    let end = text
        .char_indices()
        .find(ends)
        .map_or(text.len(), |(at, _)| at);
    // A slash between whole names is one between names; any other belongs to an address.
    let word = &text[..end];
    let is_whole = |part| parse::is_name(bare(part)) && parse::has_known_ending(bare(part));
    match word.find('/') {
        Some(slash) if slash > 0 && word.split('/').all(is_whole) => slash,
        _ => end,
    }
}

/// Whether the space at a place stands beside the sign of an address, as in `ann @contoso.com` and `ann (at)
/// contoso.com`: then what is in front of it is a person and no name.
fn is_inside_address(text: &str, at: usize) -> bool {
    const SPACES: [char; 2] = [' ', '\u{a0}'];
    let (before, behind) = text.split_at(at);
    let (before, next) = (
        before.trim_end_matches(SPACES),
        behind.trim_start_matches(SPACES),
    );
    let is_first = typed::at_sign_at_start(before).is_none();
    // A bullet or a number of the line is no person.
    let is_person = before.contains(char::is_alphabetic) && before.ends_with(char::is_alphanumeric);
    let begins = typed::at_sign_at_start(next).is_some() && is_person;
    behind.starts_with(SPACES) && is_first && (begins || typed::ends_in_at_sign(before))
}

/// Where the separators and tags end with which a text begins.
fn end_of_gap(text: &str) -> usize {
    let mut rest = text;
    loop {
        let next = rest.trim_start_matches(is_separator);
        let next = &next[length_of_tag(next)..];
        if next.len() == rest.len() {
            return text.len() - rest.len();
        }
        rest = next;
    }
}

/// Whether the comma at a place groups the digits of a number, as in `1,200`.
fn groups_digits(text: &str, at: usize) -> bool {
    let (before, behind) = text.split_at(at);
    let Some(behind) = behind.strip_prefix(',') else {
        return false;
    };
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    let ends = behind[digits..]
        .chars()
        .next()
        .is_none_or(|c| is_separator(c) || typed::is_quote(c));
    let counts = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (1..=3).contains(&before.len()) && counts(before) && digits == 3 && ends
}

/// The length of the tag with which a text begins, or 0. One that may have a name in it is none, unless it
/// is that of a link, and the text of the link is the same name.
fn length_of_tag(text: &str) -> usize {
    let Some(inner) = text.strip_prefix('<') else {
        return 0;
    };
    let element = inner
        .trim_start_matches('/')
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    if !TAGS.contains(&&*element.to_ascii_lowercase()) {
        return 0;
    }
    let Some((end, _)) = inner.char_indices().take(REACH).find(|(_, c)| *c == '>') else {
        return 0;
    };
    let (attributes, behind) = inner.split_at(end);
    let of_link = || {
        let shown = behind[1..].split('<').next().unwrap_or_default();
        let shown = typed::trim(shown).to_lowercase();
        let leads_there = || {
            let to = attributes.to_lowercase();
            let at = to.find(&shown)?;
            let (before, behind) = (&to[..at], &to[at + shown.len()..]);
            Some(before.ends_with(['/', '"', '\'', '=']) && !behind.starts_with(['.', '-']))
        };
        element.eq_ignore_ascii_case("a")
            && parse::is_name(&shown)
            && leads_there().unwrap_or(false)
    };
    if attributes.contains(['@', '<']) || attributes.contains('.') && !of_link() {
        0
    } else {
        end + 2
    }
}

/// Whether a text may be a name or half of one, or a person's address: it has a dot inside.
fn may_be_name(text: &str) -> bool {
    let inside = text.trim_matches(|c: char| !c.is_alphanumeric() && c != '@');
    inside.contains(|c| typed::is_dot(c) || matches!(c, '@' | '＠'))
        && inside.contains(char::is_alphabetic)
}

/// The length of the note in brackets with which a text begins: `(the first)`.
fn note_in_brackets(text: &str) -> Option<usize> {
    let close = match text.chars().next()? {
        '(' => ')',
        '[' => ']',
        _ => return None,
    };
    let (end, _) = text.char_indices().take(REACH).find(|(_, c)| *c == close)?;
    let inner = &text[1..end];
    let is_note =
        inner.contains(char::is_alphabetic) && !inner.split(is_separator).any(may_be_name);
    is_note.then_some(end + 1)
}

/// A line, and the note behind its last name: what follows a colon, a dash or two slashes there, and
/// has nothing in it that may be a name.
pub(super) fn without_note(text: &str) -> (&str, &str) {
    let mut named = false;
    let mut note = None;
    let mut at = 0;
    for token in text.split_inclusive(char::is_whitespace) {
        let word = token.trim_end();
        let start = at;
        at += token.len();
        let is_mark = word == "//"
            || (!word.is_empty() && word.chars().all(|c| typed::is_dash(c) || c == '-'));
        if may_be_name(word) {
            named = parse::is_name(bare(word));
            note = word.ends_with(':').then_some(start + word.len());
        } else if note.is_none() && named && is_mark {
            note = Some(start);
        }
    }
    let note = note.filter(|&at| named && text[at..].contains(char::is_alphabetic));
    text.split_at(note.unwrap_or(text.len()))
}

/// The line without `#1` in front of a name, which is no comment.
pub(super) fn without_hash_number(text: &str) -> Option<&str> {
    let numbered = typed::trim(text).strip_prefix('#')?;
    let (number, rest) = numbered.split_once(char::is_whitespace)?;
    let number = number.trim_end_matches(['.', ')', ':']);
    let counts = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let named = || rest.split_whitespace().next().is_some_and(parse::is_name);
    (counts && named()).then_some(rest)
}

/// Of a line of a zone file, how many words to keep and what stands behind them: the owner's name, and
/// `IN MX 10 mail.contoso.com.`; of a line without an owner all is left out.
pub(super) fn record_behind<'a>(words: &[Word<'_>], text: &'a str) -> Option<(usize, &'a str)> {
    let owner = words.first().filter(|it| it.is_name());
    let kept = usize::from(owner.is_some());
    let mut behind = words.iter().skip(kept).map(|it| it.piece.text).peekable();
    let is_ttl = |it: &&str| it.bytes().all(|b| b.is_ascii_digit());
    let timed = behind.next_if(is_ttl).is_some();
    let classed = behind.next_if(|it| it.eq_ignore_ascii_case("IN")).is_some();
    let kind = behind.next()?;
    // `A` alone may be a word, and without an owner any of them.
    let is_record = RECORDS.contains(&&*kind.to_ascii_uppercase())
        && (classed || (kept == 1 && (timed || kind.len() > 1)))
        && behind.next().is_some();
    let start = match owner {
        Some(owner) => text.find(owner.piece.text)? + owner.piece.text.len(),
        None => 0,
    };
    is_record.then(|| (kept, &text[start..]))
}

/// Whether this is a command of the server's shell: `Get-CsSipDomain`.
pub(super) fn is_command(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["get-cs", "new-cs", "set-cs", "remove-cs", "enable-cs"]
        .iter()
        .any(|verb| word.starts_with(verb))
        && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
}

/// The numbers and letters of lines, which count up.
#[derive(Default)]
pub(super) struct Numbers {
    last: u32,
}

impl Numbers {
    /// Marks the first word as a number of the line where a name follows and the number is the first or
    /// the next one: `1`, `A.`; or as the bullet `o` that word processors draw so. Each may be a part
    /// of the name too, so it is told.
    pub(super) fn mark(&mut self, words: &mut [Word<'_>]) {
        let [first, second, ..] = words else {
            return;
        };
        if !second.is_name() {
            return;
        }
        let text = first.piece.text;
        let letter = text.strip_suffix('.').filter(|it| it.len() == 1);
        let number = match letter.and_then(|it| it.chars().next()) {
            Some(c) if c.is_ascii_alphabetic() => Some(u32::from(c.to_ascii_uppercase()) - 64),
            _ => text.parse().ok(),
        };
        let next = number.filter(|&it| it == 1 || it == self.last + 1);
        if let Some(number) = next {
            self.last = number;
        }
        first.beside |= first.after != Gap::Comma && (next.is_some() || text == "o");
    }
}

/// Whether this numbers a line: `1.`, `2)`, `(3)`, `[4]`, `1.1.`, `a)`, `ii)`; or is a box to tick.
fn is_number_of_line(word: &str) -> bool {
    if matches!(word, "[x]" | "[X]") {
        return true;
    }
    let inner = word.strip_prefix(['(', '[']).unwrap_or(word);
    let Some(number) = inner.strip_suffix(['.', ')', ':', ']']) else {
        return false;
    };
    let counts = |it: &str| (1..=4).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit());
    let digits = number.split('.').count() <= 3 && number.split('.').all(counts);
    let roman = number.len() <= 5 && number.bytes().all(|b| b"ivxIVX".contains(&b));
    let letter = number.len() == 1 && number.bytes().all(|b| b.is_ascii_alphabetic());
    digits || (inner.ends_with(')') && !number.is_empty() && (roman || letter))
}
