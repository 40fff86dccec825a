//! Recognises characters that a keyboard or a clipboard added and the person did not mean.

use std::net::Ipv4Addr;

/// Whether this character leaves no mark on the screen, so that people cannot find and delete it:
/// zero-width characters, direction marks (the certificate dialog of Windows copies one), the soft
/// hyphen and control characters. White space is not among them.
pub(crate) fn is_invisible(c: char) -> bool {
    let formats = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}');
    formats || (c.is_control() && !c.is_whitespace())
}

/// Whether this is a dash or a minus sign that word processors put in place of a hyphen.
pub(crate) fn is_dash(c: char) -> bool {
    matches!(
        c,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}'
    )
}

/// Whether this is a sign that begins an item of a list.
pub(crate) fn is_bullet(c: char) -> bool {
    matches!(
        c,
        '•' | '·'
            | '‣'
            | '◦'
            | '▪'
            | '▫'
            | '■'
            | '□'
            | '●'
            | '○'
            | '◆'
            | '►'
            | '▶'
            | '→'
            | '✓'
            | '✔'
            | '☐'
            | '☑'
    )
}

/// A full stop, or a character that UTS #46 treats as one.
pub(crate) fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// A line, and the comment at its end: from `#` at its beginning or after a space, or from `//` at its
/// beginning.
pub(crate) fn without_comment(line: &str) -> (&str, &str) {
    let begins = |at: usize| {
        line[..at]
            .chars()
            .next_back()
            .is_none_or(char::is_whitespace)
    };
    let signs = line.match_indices('#').map(|(at, _)| at);
    let at = if line.trim_start().starts_with("//") {
        Some(0)
    } else {
        signs.into_iter().find(|at| begins(*at))
    };
    line.split_at(at.unwrap_or(line.len()))
}

/// The text without the stars or underscores on both sides that make it bold or slanted in Markdown.
pub(crate) fn without_emphasis(text: &str) -> &str {
    ["**", "__", "*", "_"]
        .iter()
        .find_map(|sign| text.strip_prefix(sign)?.strip_suffix(sign))
        .unwrap_or(text)
}

/// Whether this is a parameter of a SIP URI, like `transport=tls`.
pub(crate) fn is_parameter(text: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split_once('=').is_some_and(|(name, value)| {
        [name, value]
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(is_token))
    })
}

/// What was typed, short enough to be shown beside a message; none where it looks like a person's
/// address or a telephone number. An IPv4 address is a server's.
pub(crate) fn shown(text: &str) -> Option<String> {
    const MOST: usize = 60;
    if with_at_sign(text).contains('@')
        || (has_telephone(text) && text.parse::<Ipv4Addr>().is_err())
    {
        return None;
    }
    let mut shown: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .take(MOST)
        .collect();
    if is_longer_than(text, MOST) {
        shown.push('…');
    }
    Some(shown)
}

/// Whether a text has seven digits or more with nothing but the signs of telephone numbers between them.
fn has_telephone(text: &str) -> bool {
    let between =
        |c: char| c.is_whitespace() || is_dash(c) || matches!(c, '+' | '(' | ')' | '-' | '/' | '.');
    text.split(|c: char| !c.is_numeric() && !between(c))
        .any(|run| run.chars().filter(|c| c.is_numeric()).count() >= 7)
}

/// Whether this character separates the names of a list.
pub(crate) fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '、' | '，' | '；')
}

/// How people write the sign of an address where they do not want it to be one, in lower case.
const AT_SIGNS: &[&str] = &[
    "@", "\u{ff20}", "\u{fe6b}", "(at)", "[at]", "{at}", "(a)", "[a]", "(@)", "[@]",
];

/// The length of the sign of an address with which a text begins.
pub(crate) fn at_sign_at_start(text: &str) -> Option<usize> {
    let is_it = |sign: &&&str| {
        let start = text.get(..sign.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(sign))
    };
    AT_SIGNS.iter().find(is_it).map(|sign| sign.len())
}

/// Whether a text ends in the sign of an address.
pub(crate) fn ends_in_at_sign(text: &str) -> bool {
    let is_it = |sign: &&str| {
        let start = text.len().checked_sub(sign.len());
        start.is_some_and(|start| {
            text.get(start..)
                .is_some_and(|it| it.eq_ignore_ascii_case(sign))
        })
    };
    AT_SIGNS.iter().any(is_it)
}

/// The text with `@` for the sign of an address, however it is written, and no space around it.
pub(crate) fn with_at_sign(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = at_sign_at_start(rest) {
            plain.truncate(plain.trim_end().len());
            plain.push('@');
            rest = rest[length..].trim_start();
        } else {
            plain.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    plain
}

/// Whether this is a quotation mark or an angle bracket.
pub(crate) fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '<' | '>' | '«' | '»' | '‹' | '›' | '\u{2018}'
            ..='\u{201f}' | '＂' | '＇'
    )
}

/// The ASCII character for its full-width form, which East Asian keyboards type; any other as it
/// is.
pub(crate) fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    }
}

/// The text without white space and invisible characters at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Whether the text has more than `limit` characters; reads no more than that many.
pub(crate) fn is_longer_than(text: &str, limit: usize) -> bool {
    text.chars().nth(limit).is_some()
}
