//! Names of hosts and domains: what was typed, parsed and checked.
//!
//! Two kinds of name are typed into the portal: the FQDN of an [`AccessEdge`] and a [`SipDomain`].
//! A value of either type is valid, in the one form in which names are compared, stored and sent to
//! DNS: lower-case A-labels without a trailing dot. A text that is no such name becomes a
//! [`NameError`], which says what to type instead.
//!
//! Nothing that was typed reaches a log: `Debug` of everything here hides the name, `Display` of an
//! error names only the kind of error, and nothing is `Serialize`. Valid names are public DNS
//! names, so their own `Display` shows them.
//!
//! Source of the rules: `docs/field.md#edges-and-domains`.

mod list;
mod parse;
mod problem;
mod special;
pub(crate) mod typed;

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

pub use list::{List, Piece};
pub use problem::{NameError, NameProblem, Role};

use crate::column::text_column;

/// A fully qualified domain name: at least two labels, each of letters, digits and hyphens.
///
/// The common base of both roles, without rules about public suffixes. Use it for names from DNS,
/// such as the target of an SRV record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqdn(String);

/// The FQDN of a server that runs the Access Edge service (`docs/field.md#edges-and-domains`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessEdge(Fqdn);

/// The part after the `@` of a SIP URI: `user1@contoso.com` has `contoso.com`
/// (`docs/field.md#edges-and-domains`). Sub-domains are allowed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SipDomain(Fqdn);

/// An Access Edge and the SIP domains routed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeRoutes {
    /// The edge.
    pub edge: AccessEdge,
    /// Its domains.
    pub domains: Vec<SipDomain>,
}

impl EdgeRoutes {
    /// How many domains all of `routes` have together.
    #[must_use]
    pub fn domain_count(routes: &[Self]) -> usize {
        routes.iter().map(|of| of.domains.len()).sum()
    }
}

/// A stored name that is no name, or not in its normal form. Tells nothing of its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored name is not a domain name in its normal form")]
pub struct NotNormal;

impl Fqdn {
    /// Reads a name and puts it into its normal form.
    ///
    /// # Errors
    /// What is wrong with the text, if it is not a domain name of two labels or more.
    pub fn parse(typed: &str) -> Result<Self, NameError> {
        parse::parse(None, typed).map(Self)
    }

    /// The name as DNS knows it: lower-case A-labels, no trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether public DNS never has this name, because of its ending: `edge01.contoso.local`
    /// (`docs/field.md#names-that-are-refused`).
    #[must_use]
    pub fn is_never_public(&self) -> bool {
        special::is_never_public(&self.0)
    }

    /// Whether the ending is on no list of public endings and not for tests: `contoso.con`,
    /// `contoso.intra`, or an ending newer than the list
    /// (`docs/field.md#names-by-the-standards`).
    #[must_use]
    pub fn has_unknown_ending(&self) -> bool {
        !parse::has_known_ending(&self.0) && !special::is_for_tests(&self.0)
    }

    /// The name in Unicode, where that differs: `münchen.de` for `xn--mnchen-3ya.de`.
    #[must_use]
    pub fn unicode(&self) -> Option<String> {
        parse::unicode(&self.0)
    }

    /// Takes a name from the database, where only names in their normal form belong.
    ///
    /// # Errors
    /// [`NotNormal`] if it is something else.
    pub fn from_database(stored: String) -> Result<Self, NotNormal> {
        if parse::is_normal(&stored) {
            Ok(Self(stored))
        } else {
            Err(NotNormal)
        }
    }
}

impl AccessEdge {
    /// Reads what was typed as the name of an Access Edge, and accepts harmless variations: case,
    /// white space and quotation marks around it, one trailing dot, `sip:`, `https://` or `@` in
    /// front, port 5061, a comment, letters beyond ASCII.
    ///
    /// # Errors
    /// What is wrong, with a suggestion where there is one. Besides all that is no domain name, a
    /// name that organisations register (`contoso.com`) is refused: it is the SIP domain, typed
    /// into the wrong field. So are names that nobody can have federated
    /// (`docs/field.md#names-that-are-refused`).
    pub fn parse(typed: &str) -> Result<Self, NameError> {
        parse::parse(Some(Role::AccessEdge), typed).map(|name| Self(Fqdn(name)))
    }

    /// Whether partner discovery by the rules of 2019 accepts this server for `domain`: its name is
    /// one label, a dot and the SIP domain. `sip.contoso.com` is for `contoso.com`,
    /// `sip.it.contoso.com` is not. A mismatch deserves a warning, never a refusal
    /// (`docs/field.md#dns-certificate-transport`).
    #[must_use]
    pub fn is_discoverable_for(&self, domain: &SipDomain) -> bool {
        self.as_str()
            .split_once('.')
            .is_some_and(|(_label, parent)| parent == domain.as_str())
    }
}

impl SipDomain {
    /// Reads what was typed as a SIP domain, with the same variations as [`AccessEdge::parse`].
    ///
    /// # Errors
    /// What is wrong, with a suggestion where there is one. Besides all that is no domain name, a
    /// bare public suffix (`co.uk`) is refused, and names that nobody can have federated
    /// (`docs/field.md#names-that-are-refused`).
    pub fn parse(typed: &str) -> Result<Self, NameError> {
        parse::parse(Some(Role::SipDomain), typed).map(|name| Self(Fqdn(name)))
    }

    /// Reads a domain that nobody asks to have federated: one that is searched for, or the domain of
    /// a personal account. What [`SipDomain::parse`] refuses as such a name is accepted.
    ///
    /// # Errors
    /// What is wrong with anything else.
    pub fn parse_any(typed: &str) -> Result<Self, NameError> {
        match Fqdn::parse(typed) {
            Ok(name) if !parse::is_public_suffix(name.as_str()) => Ok(Self(name)),
            Ok(_) | Err(_) => Self::parse(typed),
        }
    }

    /// Whether this is the Access Edge's own name, which is never a SIP domain
    /// (`docs/field.md#edges-and-domains`).
    #[must_use]
    pub fn is_host(&self, edge: &AccessEdge) -> bool {
        self.0 == edge.0
    }

    /// Checks that the SIP domain is not the Access Edge's own name.
    ///
    /// # Errors
    /// [`NameProblem::OwnHost`], which suggests the [parent](Self::parent), if it is that name.
    pub fn check_not_host(&self, edge: &AccessEdge) -> Result<(), NameError> {
        if !self.is_host(edge) {
            return Ok(());
        }
        let parent = self
            .parent()
            .map(|parent| parse::for_people(parent.as_str()));
        Err(NameError::new(NameProblem::OwnHost, parent))
    }

    /// The SIP domain one label up: `contoso.com` for `sip.contoso.com`, none for `contoso.com`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_label, parent) = self.as_str().split_once('.')?;
        Self::parse(parent).ok()
    }

    /// The domain that was registered, at or above this one: `contoso.co.uk` for
    /// `it.contoso.co.uk`. None where no public suffix is known, as below `.test`.
    #[must_use]
    pub fn apex(&self) -> Option<Self> {
        parse::registrable(self.as_str()).map(|apex| Self(Fqdn(apex.to_owned())))
    }
}

/// Whether a name, in its normal form, is the first domain of a customer of the online service, or lies
/// below one (`docs/field.md#names-that-are-refused`).
#[must_use]
pub fn is_online_tenant(name: &str) -> bool {
    special::is_online_tenant(name)
}

/// Whether a name, in its normal form, is a server of the online service
/// (`docs/field.md#names-that-are-refused`).
#[must_use]
pub fn is_online_service(name: &str) -> bool {
    special::is_online_service(name)
}

/// The names in a list on one line, as of a setting, in their order. [`List`] reads what people paste.
///
/// Commas, semicolons (of wide scripts too) and any white space separate them; quotation marks,
/// angle brackets and invisible characters are removed from each name, and empty names are dropped.
///
/// ```
/// let pasted = "contoso.com, <fabrikam.com>;\n\"it.contoso.com\"";
/// let names: Vec<_> = pic_portal::names::split_names(pasted).collect();
/// assert_eq!(names, ["contoso.com", "fabrikam.com", "it.contoso.com"]);
/// ```
pub fn split_names(pasted: &str) -> impl Iterator<Item = &str> {
    pasted
        .split(typed::is_separator)
        .map(|item| item.trim_matches(|c| typed::is_quote(c) || typed::is_invisible(c)))
        .filter(|item| !item.is_empty())
}

/// The traits that all three types have in common.
macro_rules! text_form {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        /// Redacted: what a person typed must not reach a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(typed: &str) -> Result<Self, NameError> {
                Self::parse(typed)
            }
        }

        text_column!($name, |stored: &str| Self::from_database(stored.to_owned()).ok());
    )*};
}

/// The methods that both roles take over from the name inside.
macro_rules! role_form {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name as DNS knows it: lower-case A-labels, no trailing dot.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The name without its role.
            #[must_use]
            pub fn as_fqdn(&self) -> &Fqdn {
                &self.0
            }

            /// The name as people write it, where that differs from [`as_str`](Self::as_str).
            #[must_use]
            pub fn unicode(&self) -> Option<String> {
                self.0.unicode()
            }

            /// Takes a name from the database. Checks it by the rules of DNS only: the list of
            /// public suffixes grows with each release, and no row may become unreadable by that.
            ///
            /// # Errors
            /// [`NotNormal`] if it is not a domain name in its normal form.
            pub fn from_database(stored: String) -> Result<Self, NotNormal> {
                Fqdn::from_database(stored).map(Self)
            }
        }
    )*};
}

text_form!(Fqdn, AccessEdge, SipDomain);
role_form!(AccessEdge, SipDomain);
