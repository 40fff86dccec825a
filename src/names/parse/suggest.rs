//! Finds the name that a refused text was probably meant to be.

use super::{
    super::{
        problem::{NameProblem, Role},
        typed,
    },
    canonical, checked, for_people, has_known_ending, registrable,
};

/// The name that a refused text was probably meant to be. It is valid in that role. Of several whole
/// names none is suggested, so that no other is lost; the line of a DNS record has one that is meant.
pub(super) fn suggested(role: Option<Role>, text: &str, problem: NameProblem) -> Option<String> {
    let valid = |host: &str| {
        checked(role, host)
            .or_else(|_| checked(role, &retyped(host)))
            .ok()
    };
    let is_record = || tokens(text).filter(|it| it.starts_with('_')).count() == 1;
    let name = if matches!(
        problem,
        NameProblem::Empty | NameProblem::TooLong | NameProblem::IpAddress
    ) {
        None
    } else if problem == NameProblem::NotAServer {
        valid(&format!("sip.{text}"))
    } else if is_several(text) && !is_record() || may_be_half(text) {
        None
    } else if let Some(inside) = link_inside(text) {
        valid(&host_in(&inside)).filter(|host| !leads_elsewhere(&inside, host))
    } else {
        let first = || tokens(text).find_map(|token| valid(&host_in(token)));
        // `sip. contoso.com` is one mistyped name, and `1. sip.contoso.com` may be two things.
        let whole = valid(&host_in(&without_space_at_dots(text)));
        let found = match (whole, first()) {
            (Some(whole), Some(first)) if whole != first && role == Some(Role::AccessEdge) => None,
            (whole, first) => whole.or(first),
        };
        found.filter(|host| !leads_elsewhere(text, host))
    };
    name.as_deref().map(for_people)
}

/// The whole names in a text, in any role.
pub(super) fn whole_names(text: &str) -> impl Iterator<Item = String> {
    tokens(text).filter_map(|token| {
        let host = host_in(token);
        checked(None, &host)
            .or_else(|_| checked(None, &retyped(&host)))
            .ok()
    })
}

/// Whether a part of a text may be a part of a name alone: the text is cut off (`contoso.co...`), has an
/// apostrophe inside a word (`o'reilly.com`), or a hyphen at the edge of one of several words.
fn may_be_half(text: &str) -> bool {
    let is_apostrophe = |c| matches!(c, '\'' | '`' | '\u{2018}' | '\u{2019}' | '\u{ff07}');
    let inside = text.char_indices().any(|(at, c)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + c.len_utf8()..].chars().next();
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        is_apostrophe(c) && is_letter(before) && is_letter(behind)
    });
    let mut words = text.split_whitespace();
    let several = text.split_whitespace().nth(1).is_some();
    let hyphen = several
        && words.any(|word| word.len() > 1 && (word.starts_with('-') || word.ends_with('-')));
    // One dot at the end is taken off before.
    text.ends_with("..") || text.contains("...") || text.contains('\u{2026}') || inside || hyphen
}

/// Whether a text has two names that differ.
fn is_several(text: &str) -> bool {
    let mut names = whole_names(text);
    names
        .next()
        .is_some_and(|first| names.any(|name| name != first))
}

/// Whether what stands behind the host of a web address names another organisation's domain: gateways
/// that rewrite the links in mail have the real one there, and so have the pages of an administrator's
/// portal.
fn leads_elsewhere(address: &str, host: &str) -> bool {
    let Some((_authority, behind)) = address
        .split_once("://")
        .map_or(address, |(_scheme, rest)| rest)
        .split_once(['/', '?', '#'])
    else {
        return false;
    };
    behind
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '.'))
        .filter_map(|piece| canonical(piece).ok())
        .any(|name| {
            let other = registrable(&name);
            has_known_ending(&name) && other.is_some() && other != registrable(host)
        })
}

/// The link in a link, as mail programs and gateways rewrite them: `.../?url=https%3A%2F%2Fcontoso.com`,
/// and `.../url?u=https-3A__contoso.com_`.
fn link_inside(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        let coded = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        plain.push(coded.unwrap_or(byte));
        at += if coded.is_some() { 3 } else { 1 };
    }
    let plain = String::from_utf8(plain).ok()?;
    if let Some((_, inside)) = plain.rsplit_once("-3A__") {
        return Some(with_coded_by_hyphens(&inside.replace('_', "/")));
    }
    plain
        .rsplit_once("://")
        .map(|(_, inside)| inside.to_owned())
}

/// The text with each `-2D` as the character that it stands for.
fn with_coded_by_hyphens(text: &str) -> String {
    let mut parts = text.split('-');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        if let Some(code) = code.filter(u8::is_ascii_graphic) {
            plain.push(code.into());
            plain.push_str(&part[2..]);
        } else {
            plain.push('-');
            plain.push_str(part);
        }
    }
    plain
}

/// The text with hyphens for dashes, and without invisible characters.
fn retyped(text: &str) -> String {
    text.chars()
        .filter(|&c| !typed::is_invisible(c))
        .map(|c| if typed::is_dash(c) { '-' } else { c })
        .collect()
}

/// The parts of a text that may each be a name, with port and path.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| {
        typed::is_separator(c) || typed::is_quote(c) || matches!(c, '(' | ')' | '[' | ']')
    })
    .flat_map(|part| {
        // In a web address they belong to it.
        let is_address = part.contains(['/', '?', '#', '@']);
        part.split(move |c| matches!(c, '=' | ':') && !is_address)
    })
    .filter(|token| !token.is_empty())
}

fn without_space_at_dots(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let at_dot = joined.ends_with(typed::is_dot) || word.starts_with(typed::is_dot);
        if !joined.is_empty() && !at_dot {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined
}

/// The host name in an address, a URL, a DNS record's name or a wildcard.
fn host_in(token: &str) -> String {
    let url = token
        .split_once("://")
        .map_or(token, |(_scheme, rest)| rest)
        .trim_start_matches('/');
    let authority = url.split(['/', '?', '#']).next().unwrap_or(url);
    // What stands in front of the sign is a person, even where nothing stands behind it.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = host
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .strip_suffix(':')
        .unwrap_or(host);
    let host = host.rsplit(':').next().unwrap_or(host);

    let mut labels: Vec<&str> = host
        .split(typed::is_dot)
        .filter(|l| !matches!(*l, "" | "*"))
        .collect();
    // `_sipfederationtls._tcp`, and as vendor pages misprinted it: `_sipfederationtls.tcp`.
    let record = labels
        .iter()
        .take_while(|label| label.starts_with('_'))
        .count();
    labels.drain(..record);
    let is_protocol =
        |label: &&str| matches!(label.to_ascii_lowercase().as_str(), "tcp" | "tls" | "udp");
    if record > 0 && labels.first().is_some_and(is_protocol) {
        labels.remove(0);
    }
    labels.join(".").trim_matches('-').to_owned()
}
