//! The address tool: writes an address so that it reaches a Microsoft account.
//!
//! A Microsoft account at a domain that Microsoft does not run is written `local(domain)@msn.com`;
//! at a few domains it stays plain (`docs/field.md#address-format`). What is typed here is a
//! person's address: nothing in this module is `Display`, `Debug` hides it, and no error contains
//! it.

use std::fmt;

use crate::names::{NameProblem, SipDomain, typed};

/// The domain through which addresses at other domains are routed.
pub const ROUTING_DOMAIN: &str = "msn.com";

/// A longer text is not read at all, in characters.
const MAX_TYPED: usize = 500;
/// The most characters before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
const EXAMPLE: &str = "ted@contoso.com";

/// An address: the part before the `@`, and a domain in its normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    local: String,
    domain: SipDomain,
}

/// Redacted: a person's address.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

/// Why a text is no address. Contains nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressProblem {
    /// Nothing was typed.
    Empty,
    /// The text is longer than any address.
    TooLong,
    /// The text has no `@`.
    NoAt,
    /// More than one address, or more than one `@`.
    Several,
    /// Nothing before the `@`.
    NoLocal,
    /// More than 64 characters before the `@`.
    LocalTooLong,
    /// A dot at either end of the part before the `@`, or two together.
    Dots,
    /// Any other character that is not allowed before the `@`.
    Character,
    /// The part after the `@` is no domain.
    Domain(NameProblem),
}

impl AddressProblem {
    /// What is wrong and what to type, for the person who typed it.
    #[must_use]
    pub fn message(self) -> String {
        let fault = match self {
            Self::Empty => return format!("Enter an address, like {EXAMPLE}"),
            Self::TooLong => "That is longer than any address".to_owned(),
            Self::NoAt => "An address has an @ in it".to_owned(),
            Self::Several => "Only one address can be written at a time".to_owned(),
            Self::NoLocal => "There is nothing before the @".to_owned(),
            Self::LocalTooLong => {
                format!("There are more than {MAX_LOCAL} characters before the @")
            }
            Self::Dots => "There is a dot too many before the @".to_owned(),
            Self::Character => {
                "Before the @ there is a character that no such address has".to_owned()
            }
            Self::Domain(NameProblem::Empty) => "There is nothing after the @".to_owned(),
            Self::Domain(problem) => format!("After the @ there is no domain name. {problem}"),
        };
        format!("{fault}. Enter an address like {EXAMPLE}")
    }
}

impl Address {
    /// Reads an address in either form: `ted@contoso.com` or `ted(contoso.com)@msn.com`.
    ///
    /// Accepts harmless variations: white space and quotation marks around it, `sip:` or `mailto:`
    /// in front, the case of the domain.
    ///
    /// # Errors
    ///
    /// What is wrong, if it is no address.
    pub fn parse(text: &str) -> Result<Self, AddressProblem> {
        if typed::is_longer_than(text, MAX_TYPED) {
            return Err(AddressProblem::TooLong);
        }
        let narrow: String = text.chars().map(typed::narrow).collect();
        let text = bare(&narrow);
        if text.is_empty() {
            return Err(AddressProblem::Empty);
        }
        let (local, domain) = text.split_once('@').ok_or(AddressProblem::NoAt)?;
        if domain.contains('@') || text.contains(typed::is_separator) {
            return Err(AddressProblem::Several);
        }
        if let Some((local, inner)) = inside(local, domain) {
            return Self::of(local, inner);
        }
        Self::of(local, domain)
    }

    fn of(local: &str, domain: &str) -> Result<Self, AddressProblem> {
        // The printable characters of a dot-atom (RFC 5322, 3.2.3): no brackets among them, so
        // that the long form can be read back.
        let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        if local.is_empty() {
            return Err(AddressProblem::NoLocal);
        }
        if local.len() > MAX_LOCAL {
            return Err(AddressProblem::LocalTooLong);
        }
        if !local.chars().all(is_atom) {
            return Err(AddressProblem::Character);
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(AddressProblem::Dots);
        }
        let domain = SipDomain::parse_any(domain)
            .map_err(|error| AddressProblem::Domain(error.problem()))?;
        Ok(Self {
            local: local.to_owned(),
            domain,
        })
    }

    /// Whether it stays as it is, because its domain is one of `plain`.
    #[must_use]
    pub fn is_plain(&self, plain: &[SipDomain]) -> bool {
        plain.contains(&self.domain)
    }

    /// The address as a client needs it, where `plain` are the domains that stay as they are.
    #[must_use]
    pub fn written(&self, plain: &[SipDomain]) -> String {
        let Self { local, domain } = self;
        if self.is_plain(plain) {
            format!("{local}@{domain}")
        } else {
            format!("{local}({domain})@{ROUTING_DOMAIN}")
        }
    }
}

/// The text without what was copied along.
fn bare(text: &str) -> &str {
    let trim = |text| {
        typed::trim(text)
            .trim_matches(|c| typed::is_quote(c) && c != '`' && c != '\'')
            .trim_end_matches(['.', ',', ';'])
    };
    let text = trim(text);
    ["sips:", "sip:", "mailto:"]
        .iter()
        .find_map(|scheme| {
            let (head, rest) = text.split_at_checked(scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then(|| trim(rest))
        })
        .unwrap_or(text)
}

/// Local part and domain inside the long form.
fn inside<'a>(local: &'a str, domain: &str) -> Option<(&'a str, &'a str)> {
    domain
        .eq_ignore_ascii_case(ROUTING_DOMAIN)
        .then(|| local.strip_suffix(')')?.split_once('('))
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain() -> Vec<SipDomain> {
        ["msn.com", "outlook.com", "live.com", "hotmail.com"]
            .map(|name| SipDomain::parse_any(name).unwrap())
            .into()
    }

    #[test]
    fn addresses_are_written_as_the_network_takes_them() {
        for (typed, written) in [
            ("ted@contoso.com", "ted(contoso.com)@msn.com"),
            ("ted@it.contoso.com", "ted(it.contoso.com)@msn.com"),
            ("  <sip:Ted@CONTOSO.com.> ", "Ted(contoso.com)@msn.com"),
            (
                "mailto:ted.o'neill+x@contoso.com",
                "ted.o'neill+x(contoso.com)@msn.com",
            ),
            ("ted@münchen.de", "ted(xn--mnchen-3ya.de)@msn.com"),
            ("ted@outlook.com", "ted@outlook.com"),
            ("ted@HOTMAIL.com", "ted@hotmail.com"),
            ("ted@mail.outlook.com", "ted(mail.outlook.com)@msn.com"),
            ("ted(contoso.com)@msn.com", "ted(contoso.com)@msn.com"),
            ("ted(outlook.com)@msn.com", "ted@outlook.com"),
        ] {
            let address = Address::parse(typed).expect(typed);
            assert_eq!(address.written(&plain()), written, "{typed}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_to_type() {
        use AddressProblem as P;
        let long = format!("{}@contoso.com", "x".repeat(65));
        let huge = "x".repeat(501);
        for (typed, problem) in [
            ("", P::Empty),
            (" \u{200b}", P::Empty),
            (huge.as_str(), P::TooLong),
            ("ted", P::NoAt),
            ("contoso.com", P::NoAt),
            ("ted@contoso.com, ann@contoso.com", P::Several),
            ("ted@x@contoso.com", P::Several),
            ("@contoso.com", P::NoLocal),
            (long.as_str(), P::LocalTooLong),
            ("ted.@contoso.com", P::Dots),
            ("t..d@contoso.com", P::Dots),
            ("té@contoso.com", P::Character),
            ("ted(contoso.com)@fabrikam.com", P::Character),
            ("ted@", P::Domain(NameProblem::Empty)),
            ("ted@contoso", P::Domain(NameProblem::NoDot)),
            ("ted@co.uk", P::Domain(NameProblem::PublicSuffix)),
            ("ted@192.0.2.1", P::Domain(NameProblem::IpAddress)),
        ] {
            assert_eq!(Address::parse(typed).unwrap_err(), problem, "{typed}");
            assert!(problem.message().contains("ted@contoso.com"), "{typed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_an_address_or_a_fault(text in any::<String>()) {
            match Address::parse(&text) {
                Ok(address) => prop_assert!(address.written(&plain()).is_ascii()),
                Err(problem) => prop_assert!(!problem.message().is_empty()),
            }
        }

        #[test]
        fn texts_that_look_like_addresses_are_never_a_panic(text in "[ -~]{0,12}[(@.][ -~éü]{0,12}[)@.]{0,2}[ -~]{0,9}") {
            if let Ok(address) = Address::parse(&text) {
                let written = address.written(&plain());
                prop_assert_eq!(Address::parse(&written), Ok(address));
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            local in "[A-Za-z0-9!#$%&'*+/=?^_{|}~-]{1,20}(\\.[A-Za-z0-9_-]{1,20}){0,2}",
            domain in "([a-z0-9]{1,12}\\.){1,3}(com|net|example)",
        ) {
            let Ok(address) = Address::parse(&format!("{local}@{domain}")) else {
                // A public suffix, or text before the @ that parses as the end of a scheme.
                return Ok(());
            };
            let written = address.written(&plain());
            prop_assert_eq!(&written.matches('@').count(), &1);
            prop_assert_eq!(Address::parse(&written).unwrap().written(&plain()), written);
            prop_assert_eq!(Address::parse(&address.written(&[])), Ok(address));
        }

        #[test]
        fn exempt_addresses_stay_as_they_are(
            local in "[A-Za-z0-9_-]{1,20}(\\.[A-Za-z0-9_-]{1,20}){0,2}",
            domain in proptest::sample::select(vec!["msn.com", "outlook.com", "live.com", "hotmail.com"]),
        ) {
            let typed = format!("{local}@{domain}");
            prop_assert_eq!(Address::parse(&typed).unwrap().written(&plain()), typed);
        }
    }
}
