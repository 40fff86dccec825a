//! The support desk: staff accounts, their roles, and what staff may do.
//!
//! Staff look requests up, see whose turn it is and act for an administrator who telephones
//! (`docs/design.md#words`). There is nothing here by which a customer could be written to: no
//! contact information, no free text, and never a management key.
//!
//! | module | what it does |
//! |---|---|
//! | [`password`] | checks new passwords, hashes and compares them |
//! | [`turns`] | decides whose password is hashed next |
//! | [`login_throttle`] | slows down guesses at a password |
//! | [`store`] | stores accounts and sessions |
//! | [`queue`] | lists and searches requests |
//! | [`case`] | shows one request or service, and acts on it |
//! | [`overview`] | shows the state of the portal as a whole |
//! | [`oidc`] | signs people in at an OpenID provider |
//! | [`pages`] | has the pages and forms |
//!
//! What staff open and do is kept in the audit for a year (`migrations/0004_staff.sql`).

pub mod case;
pub mod login_throttle;
pub mod oidc;
pub mod overview;
pub mod pages;
pub mod password;
pub mod queue;
pub mod store;
pub mod turns;

use std::fmt;

use crate::{
    column::{row_column, text_column},
    request::Reason,
    text_enum::text_enum,
};

text_enum! {
    /// What an account may do.
    Role {
        /// It may see everything except the audit.
        Reader = "reader",
        /// It may also act, and read the audit.
        Agent = "agent",
    }
}

text_enum! {
    /// What the audit records.
    Action {
        /// The account signed in.
        SignedIn = "signed-in",
        /// All sessions of the account were ended.
        SignedOutEverywhere = "signed-out-everywhere",
        /// The account got another password from its owner.
        PasswordChanged = "password-changed",
        /// A request or a service was opened.
        Looked = "looked",
        /// A list of requests was downloaded.
        Exported = "exported",
        /// A request was queued for another check.
        CheckedAgain = "checked-again",
        /// A request was refused.
        Refused = "refused",
        /// A request was withdrawn for its administrator.
        Withdrew = "withdrew",
        /// A service was cancelled for its owner.
        Cancelled = "cancelled",
        /// A mark was set.
        Marked = "marked",
        /// A mark was removed.
        Unmarked = "unmarked",
    }
}

text_enum! {
    /// What may be done to several requests at once.
    Deed {
        /// Checks them again.
        CheckAgain = "check-again",
        /// Takes them.
        Take = "take",
        /// Gives them back.
        GiveBack = "give-back",
        /// Refuses them.
        Refuse = "refuse",
        /// Withdraws them for their administrators.
        Withdraw = "withdraw",
        /// Cancels their services for their owners.
        Cancel = "cancel",
    }
}

text_enum! {
    /// What staff note of a request: one of these and no free text, so that no contact information
    /// is noted.
    Mark {
        /// An account deals with it.
        Taken = "taken",
        /// Its administrator has called.
        Called = "called",
        /// It waits for the licensing department.
        WaitsForLicensing = "waits-for-licensing",
        /// It was escalated.
        Escalated = "escalated",
        /// It is a test, and nobody waits for it.
        Test = "test",
    }
}

text_enum! {
    /// Why staff cancel a service.
    CancelReason {
        /// Its owner asked for it.
        OwnerAsked = "owner-asked",
        /// The organisation or its servers are not eligible any more.
        NotEligible = "not-eligible",
        /// Another service has taken its place.
        Duplicate = "duplicate",
        /// Some information given for it is wrong.
        WrongInformation = "wrong-information",
        /// The provider's policy forbids it.
        Policy = "policy",
    }
}

/// The reasons for which staff may refuse a request; only the portal rejects one as expired.
pub const REFUSALS: [Reason; 4] = [
    Reason::NotEligible,
    Reason::Duplicate,
    Reason::WrongInformation,
    Reason::Policy,
];

/// The internal number of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StaffId(pub i64);

/// The name of an account: 2 to 32 of `a-z`, `0-9`, `.`, `_` and `-`, the first a letter or digit.
/// Never an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

/// Why a text is no account's name. Each says what to type instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// The text is an e-mail address.
    #[error(
        "That is an email address, and the portal keeps none. Enter a name for signing in, like anna.k or desk-2"
    )]
    Address,
    /// The text has other characters, too few or too many.
    #[error(
        "Enter a name of 2 to 32 small letters, digits, dots, hyphens and underscores that begins with a letter or digit, like anna.k or desk-2"
    )]
    Form,
}

impl Name {
    /// Reads a name as typed: white space around it is dropped, capitals become small letters.
    ///
    /// # Errors
    ///
    /// [`NameProblem`], which says what to type.
    pub fn parse(typed: &str) -> Result<Self, NameProblem> {
        if typed.contains(['@', '＠']) {
            return Err(NameProblem::Address);
        }
        let name = typed.trim().to_ascii_lowercase();
        let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name = (2..=32).contains(&name.len())
            && name.bytes().all(|c| letter(c) || b"._-".contains(&c))
            && name.bytes().next().is_some_and(letter);
        is_name.then_some(Self(name)).ok_or(NameProblem::Form)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_column!(Name, |stored| Self::parse(stored).ok());

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The account that a browser is signed in to.
#[derive(Clone, Debug)]
pub struct Account {
    /// Internal number.
    pub id: StaffId,
    /// The name it signs in with.
    pub name: Name,
    /// What the account may do.
    pub role: Role,
}

row_column!(Account: (i64, Name, Role), |(id, name, role)| Some(Account {
    id: StaffId(id),
    name,
    role,
}));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_addresses_refused() {
        assert_eq!(Name::parse(" Anna.K ").unwrap().as_str(), "anna.k");
        for name in ["a1", "desk-2", "0_0", &"a".repeat(32)] {
            assert_eq!(Name::parse(name).unwrap().as_str(), name);
        }
        for typed in ["anna@contoso.com", "@", "anna＠contoso.com", " @anna"] {
            assert_eq!(Name::parse(typed), Err(NameProblem::Address), "{typed}");
        }
        for typed in [
            "",
            "a",
            "-a",
            ".a",
            "_a",
            "a b",
            "änna",
            "a\0b",
            "anna\n1",
            &"a".repeat(33),
        ] {
            assert_eq!(Name::parse(typed), Err(NameProblem::Form), "{typed:?}");
        }
    }
}
