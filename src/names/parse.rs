//! Parses a typed text into a name in its normal form, or an error that helps.
//!
//! A valid name takes the short way: [`tidied`], then [`checked`]. Only a refused text is examined
//! again, to [diagnose](diagnosed) what the person meant and to [suggest](suggested) a name.

mod suggest;

use std::net::{IpAddr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use self::suggest::{suggested, whole_names};
use super::{
    problem::{NameError, NameProblem, Role},
    special, typed,
};

/// A longer text is not read at all, in characters.
const MAX_TYPED: usize = 1_000;
/// The longest name in characters (RFC 1035, 2.3.4, without the length octets of the wire format).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// What may stand behind a name, because it is the port that every Access Edge has.
const FEDERATION_PORT: &str = ":5061";

/// The normal form of a typed name. Without a role only the rules of DNS are checked.
pub(super) fn parse(role: Option<Role>, text: &str) -> Result<String, NameError> {
    if typed::is_longer_than(text, MAX_TYPED) {
        return Err(NameError::new(NameProblem::TooLong, None));
    }
    let text = tidied(text);
    checked(role, &text).map_err(|fault| {
        let text = typed::with_at_sign(&text);
        // A valid domain name that a later rule refused needs no diagnosis.
        let seen = if canonical(&text).is_ok() {
            None
        } else {
            diagnosed(&text)
        };
        let problem = seen.unwrap_or(fault);
        NameError::new(problem, suggested(role, &text, problem))
    })
}

/// Whether a text is a whole name, as it may be typed.
pub(super) fn is_name(text: &str) -> bool {
    !typed::is_longer_than(text, MAX_TYPED) && checked(None, &tidied(text)).is_ok()
}

/// Whether the name has an ending that a list of public endings has. New endings are missing there.
pub(super) fn has_known_ending(name: &str) -> bool {
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// Whether a name is as [`parse`] would return it.
pub(super) fn is_normal(name: &str) -> bool {
    !typed::is_longer_than(name, MAX_NAME) && checked(None, name).is_ok_and(|normal| normal == name)
}

/// The Unicode form, where it differs.
pub(super) fn unicode(name: &str) -> Option<String> {
    let (unicode, result) = Uts46::new().to_unicode(name.as_bytes(), DENY, Hyphens::Allow);
    (result.is_ok() && unicode != name).then(|| unicode.into_owned())
}

/// The form in which a name is shown to people, and accepted when they type it again.
pub(super) fn for_people(name: &str) -> String {
    unicode(name)
        .filter(|unicode| checked(None, unicode).is_ok_and(|again| again == name))
        .unwrap_or_else(|| name.to_owned())
}

/// The registrable domain at or above a name, where a public suffix is known.
pub(super) fn registrable(name: &str) -> Option<&str> {
    let above = name.strip_suffix(public_suffix(name)?)?.strip_suffix('.')?;
    let start = above.rfind('.').map_or(0, |dot| dot + 1);
    Some(&name[start..])
}

/// Whether many organisations share the name as an ending.
pub(super) fn is_public_suffix(name: &str) -> bool {
    public_suffix(name) == Some(name)
}

/// The public suffix of a name, of those that registries run. Suffixes that companies list for
/// their customers (`github.io`) are treated as ordinary names. An ending that is not on the list is
/// one, by the list's own rule for that; endings for tests are none
/// (`docs/field.md#edges-and-domains`).
fn public_suffix(name: &str) -> Option<&str> {
    let mut rest = name;
    loop {
        let suffix = psl::suffix(rest.as_bytes())?;
        let text = &rest[rest.len() - suffix.as_bytes().len()..];
        match suffix.typ() {
            Some(psl::Type::Icann) => return Some(text),
            Some(psl::Type::Private) => rest = text.split_once('.')?.1,
            None => return Some(text).filter(|_| !special::is_for_tests(name)),
        }
    }
}

/// The text without harmless variations: invisible characters, white space and quotation marks
/// around it, stars or underscores on both sides, a comment or a comma after it, one scheme, the slash
/// after it, the parameters of a SIP URI, an `@` in front, the port of federation, one trailing colon or
/// dot, full-width forms.
fn tidied(text: &str) -> String {
    let narrow: String = typed::trim(text).chars().map(typed::narrow).collect();
    let bare = typed::without_comment(&narrow).0;
    let bare = typed::trim(bare).trim_end_matches(typed::is_separator);
    let bare = typed::trim(bare.trim_matches(typed::is_quote));
    let bare = typed::without_emphasis(bare);
    let bare = ["https://", "http://", "sips:", "sip:"]
        .iter()
        .find_map(|scheme| {
            let rest = strip_ignoring_case(bare, scheme)?;
            let is_web = scheme.ends_with('/');
            Some(rest.strip_suffix('/').filter(|_| is_web).unwrap_or(rest))
        })
        .unwrap_or(bare);
    let bare = typed::trim(bare);
    let bare = bare.strip_prefix('@').unwrap_or(bare);
    let bare = without_parameters(bare);
    // In an IPv6 address it may be no port.
    let bare = [FEDERATION_PORT, ":"]
        .iter()
        .find_map(|end| bare.strip_suffix(end))
        .filter(|host| !host.contains(':'))
        .unwrap_or(bare);
    bare.strip_suffix(typed::is_dot).unwrap_or(bare).to_owned()
}

/// A SIP URI without the parameters behind the name: `;transport=tls`.
fn without_parameters(text: &str) -> &str {
    text.split_once(';')
        .filter(|(_, behind)| behind.split(';').all(typed::is_parameter))
        .map_or(text, |(uri, _)| uri)
}

fn strip_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Checks all rules, for a text that should be a name and nothing else.
fn checked(role: Option<Role>, text: &str) -> Result<String, NameProblem> {
    let name = canonical(text)?;
    if !name.contains('.') {
        return Err(NameProblem::NoDot);
    }
    if ends_like_an_ip_address(&name) {
        return Err(NameProblem::IpAddress);
    }
    let Some(role) = role else { return Ok(name) };
    if is_public_suffix(&name) {
        return Err(NameProblem::PublicSuffix);
    }
    if let Some(problem) = special::refused(&name) {
        return Err(problem);
    }
    match role {
        Role::AccessEdge if registrable(&name) == Some(&name) => Err(NameProblem::NotAServer),
        Role::AccessEdge | Role::SipDomain => Ok(name),
    }
}

/// `idna` checks no rule of DNS itself, so that each error can be told apart.
const DENY: AsciiDenyList = AsciiDenyList::EMPTY;

/// The A-labels of a name (UTS #46 with STD3 rules, hyphens checked, DNS lengths verified).
fn canonical(text: &str) -> Result<String, NameProblem> {
    use NameProblem::{
        Empty, EmptyLabel, ForbiddenCharacter, Hyphen, InvalidIdn, LabelTooLong, ReservedHyphens,
        TooLong,
    };

    if text.is_empty() {
        return Err(Empty);
    }
    let idna =
        |deny, hyphens, length| Uts46::new().to_ascii(text.as_bytes(), deny, hyphens, length);

    let name = idna(DENY, Hyphens::Allow, DnsLength::Ignore).map_err(|_| InvalidIdn)?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let readable = unicode(&name).unwrap_or_default();
    if !name.chars().all(is_plain) || readable.contains(is_symbol) {
        return Err(ForbiddenCharacter);
    }
    if readable.contains(is_unassigned) {
        return Err(InvalidIdn);
    }
    if name.split('.').any(str::is_empty) {
        return Err(EmptyLabel);
    }
    if name.split('.').any(|label| label.len() > MAX_LABEL) {
        return Err(LabelTooLong);
    }
    if name.len() > MAX_NAME {
        return Err(TooLong);
    }
    idna(DENY, Hyphens::CheckFirstLast, DnsLength::Ignore).map_err(|_| Hyphen)?;
    idna(DENY, Hyphens::Check, DnsLength::Ignore).map_err(|_| ReservedHyphens)?;
    idna(AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| InvalidIdn)
}

/// Punctuation and symbols, emoji too. UTS #46 accepts them, IDNA 2008 (RFC 5892) does not, and a
/// word processor's quotation marks and dashes would otherwise end up inside a name unnoticed.
fn is_symbol(c: char) -> bool {
    let block = matches!(c,
        '\u{80}'..='\u{b6}' | '\u{b8}'..='\u{bf}' | '\u{d7}' | '\u{f7}' | '\u{2000}'..='\u{200b}'
        | '\u{200e}'..='\u{206f}' | '\u{20a0}'..='\u{20cf}' | '\u{2100}'..='\u{2bff}'
        | '\u{2e00}'..='\u{2e7f}' | '\u{3001}'..='\u{3004}' | '\u{3008}'..='\u{3020}'
        | '\u{fe00}'..='\u{fe6f}' | '\u{1f000}'..='\u{1faff}');
    block && !c.is_alphabetic()
}

/// Whether Unicode 17 has nothing there, beyond its last ideographs; `idna` accepts some of it.
fn is_unassigned(c: char) -> bool {
    matches!(c, '\u{33480}'..='\u{dffff}')
}

/// Whether software would read this as an IPv4 address: the last label is a number.
fn ends_like_an_ip_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_hex = |digits: &str| digits.chars().all(|c| c.is_ascii_hexdigit());
    last.chars().all(|c| c.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex)
}

/// What a refused text is, as far as that is clear without any rule of DNS.
fn diagnosed(text: &str) -> Option<NameProblem> {
    let before_sign = || text.split([':', '=']).next().unwrap_or(text);
    if text.is_empty() {
        Some(NameProblem::Empty)
    } else if let Some((person, host)) = text.rsplit_once('@') {
        let nobody_at = host.is_empty() && checked(None, person).is_ok();
        let is_person = person.contains(char::is_alphanumeric) && !nobody_at;
        Some(if is_person {
            NameProblem::Address
        } else {
            NameProblem::AtSign
        })
    } else if is_ip_literal(text) {
        Some(NameProblem::IpAddress)
    } else if text.starts_with('_') {
        Some(NameProblem::RecordName)
    } else if whole_names(text).nth(1).is_some() {
        Some(NameProblem::Several)
    } else if text.contains(['/', '?', '#']) {
        Some(NameProblem::WebAddress)
    } else if has_port(text) {
        Some(NameProblem::Port)
    } else if text.contains([':', '='])
        && whole_names(before_sign()).next().is_none()
        && whole_names(text).next().is_some()
    {
        Some(NameProblem::Label)
    } else if text.contains(char::is_whitespace) {
        Some(NameProblem::Space)
    } else if text.contains('*') {
        Some(NameProblem::Wildcard)
    } else if text.contains(typed::is_dash) {
        Some(NameProblem::Dash)
    } else if text.contains('_') {
        Some(NameProblem::Underscore)
    } else if text.contains(typed::is_invisible) {
        Some(NameProblem::Invisible)
    } else {
        None
    }
}

/// Whether the text is an IP address: alone, in a URL, with a port, a prefix length or a zone.
fn is_ip_literal(text: &str) -> bool {
    let text = text.split_once("://").map_or(text, |(_scheme, rest)| rest);
    let host = text.split(['/', '?', '#', '%']).next().unwrap_or(text);
    if let Some((inner, _port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inner.parse::<IpAddr>().is_ok();
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return true;
    }
    let host = host.split_once(':').map_or(host, |(host, _port)| host);
    canonical(host).is_ok_and(|name| name.contains('.') && ends_like_an_ip_address(&name))
}

fn has_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_host, tail)| {
        let port = tail.split(typed::is_separator).next().unwrap_or(tail);
        !port.is_empty() && port.chars().all(|c| c.is_ascii_digit())
    })
}
