//! What can be wrong with a name, and the message that says what to type instead.

use std::fmt;

/// What a name is typed for. The same text can be right in one role and wrong in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The FQDN of a server that runs the Access Edge service.
    AccessEdge,
    /// The suffix of people's SIP URIs.
    SipDomain,
}

impl Role {
    const fn noun(self) -> &'static str {
        match self {
            Self::AccessEdge => "the server’s name",
            Self::SipDomain => "the SIP domain",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::AccessEdge => "sip.contoso.com",
            Self::SipDomain => "contoso.com",
        }
    }
}

/// The kinds of error a name can have. None contains anything of what was typed.
///
/// `Display` names only the kind of error, fit for a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameProblem {
    /// Nothing was typed.
    #[error("The name is missing")]
    Empty,
    /// Over 253 characters (RFC 1035), or far more text than any name has.
    #[error("A name has at most 253 characters")]
    TooLong,
    /// An address: `user@contoso.com`
    #[error("That is a person’s address")]
    Address,
    /// An `@` without a name before it: `@contoso.com`.
    #[error("The @ is not part of the name")]
    AtSign,
    /// Something with a path, query, fragment or foreign scheme: `contoso.com/meet`.
    #[error("That looks like a web address")]
    WebAddress,
    /// An IP address, or a last label that software reads as one: `192.0.2.1`, `127.1`.
    #[error("That looks like an IP address")]
    IpAddress,
    /// A name with a port: `sip.contoso.com:5061`
    #[error("The port is not part of the name")]
    Port,
    /// A name with a label: `FQDN: sip.contoso.com`
    #[error("The words before the name are not part of it")]
    Label,
    /// A label that begins with an underscore: `_sipfederationtls._tcp.contoso.com`.
    #[error("That is the name of a DNS record")]
    RecordName,
    /// Any other underscore.
    #[error("A name cannot contain an underscore (_)")]
    Underscore,
    /// Several names where one is asked for.
    #[error("There is more than one name here")]
    Several,
    /// White space inside the name.
    #[error("A name has no spaces in it")]
    Space,
    /// A wildcard: `*.contoso.com`
    #[error("A name cannot contain a wildcard (*)")]
    Wildcard,
    /// Nothing between two dots, or before the first.
    #[error("There is a dot too many in the name")]
    EmptyLabel,
    /// Over 63 octets between two dots, counted in A-labels (RFC 1035).
    #[error("Each part of a name between dots has at most 63 characters")]
    LabelTooLong,
    /// A label that begins or ends with a hyphen.
    #[error("Each part of a name must begin and end with a letter or digit")]
    Hyphen,
    /// Hyphens in third and fourth place, reserved by RFC 5891, 4.2.3.1.
    #[error("No part of a name can have hyphens as both its third and fourth characters")]
    ReservedHyphens,
    /// A dash from a word processor where a hyphen is meant.
    #[error("The name has a dash where a hyphen (-) is needed")]
    Dash,
    /// An invisible character, such as a control character.
    #[error("There is a character in the name that cannot be seen")]
    Invisible,
    /// Any other character that is not allowed in a name.
    #[error("A name has only letters, digits, hyphens and dots")]
    ForbiddenCharacter,
    /// Not a valid internationalised name (UTS #46).
    #[error("The name has letters that cannot stand together in a domain name")]
    InvalidIdn,
    /// One label only: `contoso`.
    #[error("The name is not complete: it needs a dot")]
    NoDot,
    /// A public suffix and nothing before it: `co.uk`.
    #[error("Many organisations share that ending")]
    PublicSuffix,
    /// A registrable domain where a server is asked for: `contoso.com`.
    #[error("That is a SIP domain, not a server")]
    NotAServer,
    /// The Access Edge's own name where a SIP domain is asked for.
    #[error("That is the server’s own name, not a SIP domain")]
    OwnHost,
    /// A server of Microsoft's online service: `sipfed.online.lync.com`.
    #[error("That is a server of the online service")]
    OnlineService,
    /// The domain that a tenant gets from the online service: `contoso.onmicrosoft.com`.
    #[error("That domain belongs to the online service, which gives one to each of its customers")]
    OnlineTenant,
    /// A domain of personal accounts: `outlook.com`.
    #[error("That is a domain of personal accounts, which no organisation here can speak for")]
    PersonalAccounts,
    /// A name with an ending for use inside a network: `contoso.local`.
    #[error("Names in .{0} work inside a network only: public DNS never has them")]
    InsideOnly(&'static str),
    /// A name with another ending that public DNS has no hosts under: `contoso.invalid`.
    #[error("Names in .{0} are for other uses: public DNS has no servers and no SIP domains there")]
    NeverPublic(&'static str),
}

/// How a message goes on after it has said what is wrong.
enum Advice {
    /// Nothing was typed: ask for the name.
    Ask,
    /// The name is probably there, with something else around it: ask for the name only.
    Only,
    /// Ask for the name.
    Name,
    /// Ask for the organisation's own domain.
    OwnDomain,
    /// Ask for a server of the domain that was typed.
    Server,
    /// Say what a SIP domain is.
    Suffix,
    /// Ask for a name that the organisation has in public DNS.
    OwnPublic,
}

impl NameProblem {
    const fn advice(self) -> Advice {
        match self {
            Self::Empty => Advice::Ask,
            Self::Address
            | Self::AtSign
            | Self::WebAddress
            | Self::Port
            | Self::Label
            | Self::RecordName
            | Self::Several => Advice::Only,
            Self::TooLong
            | Self::IpAddress
            | Self::Underscore
            | Self::Space
            | Self::Wildcard
            | Self::EmptyLabel
            | Self::LabelTooLong
            | Self::Hyphen
            | Self::ReservedHyphens
            | Self::Dash
            | Self::Invisible
            | Self::ForbiddenCharacter
            | Self::InvalidIdn
            | Self::NoDot => Advice::Name,
            Self::PublicSuffix => Advice::OwnDomain,
            Self::NotAServer => Advice::Server,
            Self::OwnHost => Advice::Suffix,
            Self::OnlineService
            | Self::OnlineTenant
            | Self::PersonalAccounts
            | Self::InsideOnly(_)
            | Self::NeverPublic(_) => Advice::OwnPublic,
        }
    }
}

/// Why a text was refused as a name, and the name that was probably meant.
///
/// `Display` names only the kind of error, and `Debug` hides the suggestion, so that both may be
/// logged. What the person sees is [`NameError::message`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct NameError {
    problem: NameProblem,
    suggestion: Option<String>,
}

impl NameError {
    pub(super) const fn new(problem: NameProblem, suggestion: Option<String>) -> Self {
        Self {
            problem,
            suggestion,
        }
    }

    /// The kind of error.
    #[must_use]
    pub const fn problem(&self) -> NameProblem {
        self.problem
    }

    /// The name that was probably meant, as people write it. It always parses in the role for which
    /// the refused text was parsed.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// The name to take in place of the refused text, if that text has all of it. A server's name made
    /// of a domain is only an example.
    #[must_use]
    pub fn offer(&self) -> Option<&str> {
        let example = matches!(self.problem, NameProblem::NotAServer | NameProblem::OwnHost);
        self.suggestion().filter(|_| !example)
    }

    /// The sentence beside the form field: what is wrong, and what to type (`docs/pages.md#forms`).
    /// It contains the suggestion, so it must appear on the page only.
    #[must_use]
    pub fn message(&self, role: Role) -> String {
        let Self {
            problem,
            suggestion,
        } = self;
        let noun = role.noun();
        let like = suggestion.as_deref().unwrap_or(role.example());
        let name = match suggestion {
            Some(name) => format!(": {name}"),
            None => format!(", like {like}"),
        };
        match problem.advice() {
            Advice::Ask => format!("Enter {noun}, like {like}"),
            Advice::Only => format!("{problem}. Enter only {noun}{name}"),
            Advice::Name => format!("{problem}. Enter {noun}{name}"),
            Advice::OwnDomain => {
                let own = match role {
                    Role::AccessEdge => "sip.contoso.co.uk",
                    Role::SipDomain => "contoso.co.uk",
                };
                format!("{problem}. Enter {noun} of your own organisation, like {own}")
            }
            Advice::Server => match like.split_once('.') {
                Some(("sip", domain)) if suggestion.is_some() => {
                    format!("{domain} is a SIP domain. Enter {noun}, like {like}")
                }
                Some(_) | None => format!("{problem}. Enter {noun}, like {like}"),
            },
            Advice::Suffix => format!(
                "{problem}. Enter what stands after the @ in people’s SIP addresses, like {like}"
            ),
            Advice::OwnPublic => match role {
                Role::AccessEdge => format!(
                    "{problem}. Enter the external name of your own Access Edge, which partners look up, like {like}"
                ),
                Role::SipDomain => format!(
                    "{problem}. Enter a domain that your organisation has registered and its users have after the @, like {like}"
                ),
            },
        }
    }
}

/// Redacted: the suggestion is made of what a person typed.
impl fmt::Debug for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameError")
            .field("problem", &self.problem)
            .field("suggestion", &self.suggestion.as_ref().map(|_| ".."))
            .finish()
    }
}
