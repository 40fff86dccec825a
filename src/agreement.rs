//! Agreement numbers and programmes: what was typed, parsed and checked.
//!
//! The number is printed on invoices: it identifies and never authorises. Little is known of the
//! shapes that such numbers have, so an unusual one earns a [`NumberWarning`], which the person may
//! override, and only what cannot be a number at all is a [`NumberProblem`]: that includes names
//! and telephone numbers, which must not be stored.
//!
//! `Debug` of everything here hides the number, and `Display` of a problem names only the kind of
//! error, so that neither brings into a log what a person typed.
//!
//! Source of the rules: `docs/field.md#agreement-numbers`.

mod contact;
mod warning;

/// The internal id of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceId(pub(crate) i64);

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use crate::{column::text_column, names::typed};

pub use warning::{NumberWarning, warnings};

/// A longer text is not read at all, in characters.
const MAX_TYPED: usize = 200;
/// What a number is called as long as its programme is not known.
const ANY_NUMBER: &str = "agreement number";
/// Longer than any number without its spaces and hyphens.
const MAX_NUMBER: usize = 32;

/// The licensing programmes that the portal accepts, exactly four (`docs/field.md#the-original`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Programme {
    /// Microsoft Volume Licensing: Select, Enterprise and Open agreements.
    VolumeLicensing,
    /// Microsoft Partner Network.
    PartnerNetwork,
    /// Service Provider Licensing Agreement (SPLA).
    ServiceProvider,
    /// High Volume Services.
    HighVolume,
}

/// A text that names none of the four programmes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a licensing programme")]
pub struct UnknownProgramme;

impl Programme {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [
        Self::VolumeLicensing,
        Self::PartnerNetwork,
        Self::ServiceProvider,
        Self::HighVolume,
    ];

    /// The name in forms and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VolumeLicensing => "volume_licensing",
            Self::PartnerNetwork => "partner_network",
            Self::ServiceProvider => "service_provider",
            Self::HighVolume => "high_volume",
        }
    }

    /// The name that people see.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::VolumeLicensing => "Microsoft Volume Licensing",
            Self::PartnerNetwork => "Microsoft Partner Network",
            Self::ServiceProvider => "Service Provider Licensing Agreement (SPLA)",
            Self::HighVolume => "High Volume Services",
        }
    }

    /// What the programme calls its agreement number, spelt as on its papers.
    #[must_use]
    pub const fn number_label(self) -> &'static str {
        match self {
            Self::VolumeLicensing => "Agreement number",
            Self::PartnerNetwork => "Headquarters (HQ) partner ID",
            Self::ServiceProvider => "Initial enrollment number",
            Self::HighVolume => "Product enrollment number",
        }
    }

    /// The same inside a sentence, after "the".
    #[must_use]
    pub const fn number_name(self) -> &'static str {
        match self {
            Self::VolumeLicensing => ANY_NUMBER,
            Self::PartnerNetwork => "headquarters (HQ) partner ID",
            Self::ServiceProvider => "initial enrollment number",
            Self::HighVolume => "product enrollment number",
        }
    }

    /// Which number to look for, and which one is easily mistaken for it.
    #[must_use]
    pub const fn number_hint(self) -> &'static str {
        match self {
            Self::VolumeLicensing => {
                "For Select and Enterprise this is usually 7 digits; for Open, enter the \
                 15-character authorization number, not the 8-digit license number."
            }
            Self::PartnerNetwork => {
                "This is usually 7 digits and belongs to your headquarters, so do not enter the \
                 partner ID of a single location."
            }
            Self::ServiceProvider => {
                "This is usually 7 digits and stands on your first enrollment, so do not enter \
                 the number of a later or current one."
            }
            Self::HighVolume => {
                "Copy it from your enrollment as it is printed there, and take care not to mix up \
                 the letter O with 0, or I with 1."
            }
        }
    }
}

impl fmt::Display for Programme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Parses the name of [`Programme::as_str`], exactly: programs send it, people choose a label.
impl FromStr for Programme {
    type Err = UnknownProgramme;

    fn from_str(word: &str) -> Result<Self, UnknownProgramme> {
        Self::ALL
            .into_iter()
            .find(|programme| programme.as_str() == word)
            .ok_or(UnknownProgramme)
    }
}

text_column!(Programme, |word: &str| word.parse().ok());

/// The number of an agreement in its normal form: 1 to 32 of A-Z and 0-9.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementNumber(String);

/// Why a text was refused as an agreement number.
///
/// `Display` and `Debug` reveal nothing of what was typed; the person sees
/// [`NumberProblem::message`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberProblem {
    /// Nothing was typed, or only spaces and hyphens.
    #[error("the agreement number is missing")]
    Empty,
    /// Over 32 characters without spaces and hyphens, or over 200 as typed.
    #[error("the agreement number is too long")]
    TooLong,
    /// An email address. The portal asks for no contact details.
    #[error("an email address in place of the agreement number")]
    EmailAddress,
    /// A name, other words, or a telephone number. The portal asks for no contact details.
    #[error("words or a telephone number in place of the agreement number")]
    Contact,
    /// A number with a label before it, such as `#1234567`; the number alone is here.
    #[error("the agreement number has a label before it")]
    Label(AgreementNumber),
    /// A character outside A-Z and 0-9.
    #[error("the agreement number has a character other than letters and digits")]
    ForbiddenCharacter,
}

impl AgreementNumber {
    /// Reads what was typed as an agreement number. White space, hyphens and dashes of any kind and
    /// invisible characters are dropped, full-width forms made plain, letters made upper-case.
    ///
    /// # Errors
    /// What is wrong, if nothing remains, too much remains, or something that is neither a letter
    /// of A-Z nor a digit of 0-9 does, or if it looks like contact information: no digit, five
    /// letters in a row, words such as *tel* or *at*, or a telephone number with its signs. An
    /// unusual shape is no error, see [`warnings`].
    pub fn parse(typed: &str) -> Result<Self, NumberProblem> {
        let read = Self::parse_to_find(typed);
        let (Ok(_) | Err(NumberProblem::Label(_) | NumberProblem::ForbiddenCharacter)) = read
        else {
            return read;
        };
        let normal = match &read {
            Ok(number) | Err(NumberProblem::Label(number)) => number.as_str(),
            Err(_) => "",
        };
        if contact::is_typed(typed) || contact::is_typed(normal) {
            return Err(NumberProblem::Contact);
        }
        let meant = |text: &str| {
            let number = Self::from_normal(text).ok().filter(|number| {
                !contact::is_typed(text) && !contact::is_words(text) && !number.could_be_telephone()
            });
            Err(number.map_or(NumberProblem::Contact, NumberProblem::Label))
        };
        match read {
            Ok(number) if contact::is_words(&number.0) => meant(
                number
                    .0
                    .trim_start_matches(|c: char| c.is_ascii_uppercase()),
            ),
            Err(NumberProblem::Label(number)) => meant(&number.0),
            Err(NumberProblem::ForbiddenCharacter) if !typed.contains(char::is_numeric) => {
                Err(NumberProblem::Contact)
            }
            read => read,
        }
    }

    /// Reads what was typed to find a number that is stored already, where what looks like contact
    /// information is no error, because nothing is stored.
    ///
    /// # Errors
    /// As for [`AgreementNumber::parse`], except for contact information.
    pub fn parse_to_find(typed: &str) -> Result<Self, NumberProblem> {
        if typed::is_longer_than(typed, MAX_TYPED) {
            return Err(NumberProblem::TooLong);
        }
        let text: String = typed
            .chars()
            .map(typed::narrow)
            .filter(|&c| !(c.is_whitespace() || c == '-' || is_dropped(c)))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        if text.contains('@') || text.starts_with("MAILTO:") {
            return Err(NumberProblem::EmailAddress);
        }
        let problem = match Self::from_normal(&text) {
            Ok(number) => return Ok(number),
            Err(problem) => problem,
        };
        let labelled = text
            .rsplit_once([':', '#', '='])
            .filter(|(label, _)| !label.contains(|c: char| c.is_ascii_digit()))
            .and_then(|(_, number)| Self::from_normal(number).ok());
        Err(labelled.map_or(problem, NumberProblem::Label))
    }

    /// Accepts a number in its normal form only.
    fn from_normal(text: &str) -> Result<Self, NumberProblem> {
        if text.is_empty() {
            Err(NumberProblem::Empty)
        } else if !text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        {
            Err(NumberProblem::ForbiddenCharacter)
        } else if text.len() > MAX_NUMBER {
            Err(NumberProblem::TooLong)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// Takes a number from the database, where only numbers in their normal form belong.
    ///
    /// # Errors
    /// The [`NumberProblem`] of anything else.
    pub fn from_database(stored: &str) -> Result<Self, NumberProblem> {
        Self::from_normal(stored)
    }

    /// The number in its normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number for people who should recognise it and not learn it: `E1****89`. At most two
    /// characters at either end are shown, and never more than half of it.
    #[must_use]
    pub fn masked(&self) -> String {
        let (length, shown) = (self.0.len(), (self.0.len() / 4).min(2));
        let hidden = "*".repeat(length - 2 * shown);
        [&self.0[..shown], &hidden, &self.0[length - shown..]].concat()
    }
}

text_column!(AgreementNumber, |stored| Self::from_database(stored).ok());

/// What people and word processors put into a number for the eye alone.
fn is_dropped(c: char) -> bool {
    typed::is_dash(c) || typed::is_invisible(c)
}

impl fmt::Display for AgreementNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Redacted: what a person typed must not reach a log.
impl fmt::Debug for AgreementNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementNumber(..)")
    }
}

impl FromStr for AgreementNumber {
    type Err = NumberProblem;

    fn from_str(typed: &str) -> Result<Self, NumberProblem> {
        Self::parse(typed)
    }
}

impl NumberProblem {
    /// The number that was probably meant.
    #[must_use]
    pub const fn suggestion(&self) -> Option<&AgreementNumber> {
        match self {
            Self::Label(number) => Some(number),
            Self::Empty
            | Self::TooLong
            | Self::EmailAddress
            | Self::Contact
            | Self::ForbiddenCharacter => None,
        }
    }

    /// The sentence beside the form field: what is wrong, and what to type (`docs/pages.md#forms`). It
    /// calls the number what the chosen programme calls it. It may contain the number, so it must appear
    /// on the page only.
    #[must_use]
    pub fn message(&self, programme: Option<Programme>) -> String {
        let name = programme.map_or(ANY_NUMBER, Programme::number_name);
        match self {
            Self::Empty => format!("Enter the {name}"),
            Self::TooLong => {
                format!("That is too long. The {name} has at most {MAX_NUMBER} letters and digits")
            }
            Self::EmailAddress => format!(
                "That looks like an email address. We do not ask for contact details. Enter only \
                 the {name}"
            ),
            Self::Contact => format!(
                "That looks like words or a telephone number. We do not ask for names or other \
                 contact details. If it is the {name}, enter its letters and digits alone, like \
                 1234567"
            ),
            Self::Label(number) => {
                format!("Leave out the words or signs before the number. Enter only: {number}")
            }
            Self::ForbiddenCharacter => format!(
                "The {name} has only letters A to Z and digits. Enter it without other signs, like \
                 1234567"
            ),
        }
    }
}
