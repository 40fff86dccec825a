//! Warns of agreement numbers that are unusual for their programme.

use super::{AgreementNumber, Programme};

/// Letters in a row at the start that look like a word rather than a part of a number.
const WORD: usize = 4;

/// What is unusual about a number. The person may well know better, so none of these is an error.
///
/// `Debug` hides the numbers inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberWarning {
    /// The number begins with a word, as when its label was copied too. This is the number without
    /// it.
    BeginsWithWord(AgreementNumber),
    /// All digits except for the letters O, I or L. This is the number with digits in their place.
    LettersForDigits(AgreementNumber),
    /// Eight digits: an Open *license* number, where the authorization number is asked for.
    OpenLicense,
    /// As many digits as a telephone number has.
    Telephone,
    /// None of the shapes that are known for this programme.
    UnusualShape(Programme),
}

/// What is unusual about `number` as a number of `programme`; mostly nothing.
///
/// The shapes come from `docs/field.md#agreement-numbers`: seven digits for Select, Enterprise and
/// SPLA enrollments and for partner IDs, 15 letters and digits for an Open authorization, eight
/// digits for an Open license. For High Volume Services none is known, so none is unusual.
#[must_use]
pub fn warnings(programme: Programme, number: &AgreementNumber) -> Vec<NumberWarning> {
    if let Some(without) = without_word(number) {
        return vec![NumberWarning::BeginsWithWord(without)];
    }
    let corrected = with_digits(number);
    // One mistyped letter is worth one warning only: the shape is that of the number as it was
    // meant.
    let shape = shape_warning(programme, corrected.as_ref().unwrap_or(number));
    corrected
        .map(NumberWarning::LettersForDigits)
        .into_iter()
        .chain(shape)
        .collect()
}

fn without_word(number: &AgreementNumber) -> Option<AgreementNumber> {
    let text = number.as_str();
    let rest = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let is_word = text.len() - rest.len() >= WORD;
    is_word
        .then(|| AgreementNumber::from_normal(rest).ok())
        .flatten()
}

fn with_digits(number: &AgreementNumber) -> Option<AgreementNumber> {
    let text = number.as_str();
    let digits = text.replace('O', "0").replace(['I', 'L'], "1");
    let has_both = digits != text && text.contains(|c: char| c.is_ascii_digit());
    (has_both && is_digits(&digits)).then_some(AgreementNumber(digits))
}

fn shape_warning(programme: Programme, number: &AgreementNumber) -> Option<NumberWarning> {
    if number.could_be_telephone() {
        return Some(NumberWarning::Telephone);
    }
    let text = number.as_str();
    let seven_digits = text.len() == 7 && is_digits(text);
    let is_usual = match programme {
        Programme::VolumeLicensing if text.len() == 8 && is_digits(text) => {
            return Some(NumberWarning::OpenLicense);
        }
        Programme::VolumeLicensing => seven_digits || text.len() == 15,
        Programme::PartnerNetwork | Programme::ServiceProvider => seven_digits,
        Programme::HighVolume => true,
    };
    (!is_usual).then_some(NumberWarning::UnusualShape(programme))
}

fn is_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

impl NumberWarning {
    /// The number that was perhaps meant.
    #[must_use]
    pub const fn suggestion(&self) -> Option<&AgreementNumber> {
        match self {
            Self::BeginsWithWord(number) | Self::LettersForDigits(number) => Some(number),
            Self::OpenLicense | Self::Telephone | Self::UnusualShape(_) => None,
        }
    }

    /// The message for the person, who may go on all the same. It may contain the number, so it
    /// must appear on the page only.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::BeginsWithWord(number) => {
                format!(
                    "The number begins with a word. A name must not be entered here. Perhaps only \
                     this was meant: {number}"
                )
            }
            Self::LettersForDigits(number) => format!(
                "There is a letter O, I or L among the digits. Check whether 0 or 1 is meant: \
                 {number}"
            ),
            Self::OpenLicense => "This looks like an Open license number (8 digits). For Open, we \
                 ask for the authorization number (15 letters and digits)"
                .to_owned(),
            Self::Telephone => format!(
                "This has as many digits as a telephone number. Check that it is the agreement \
                 number. {NO_CONTACT}"
            ),
            Self::UnusualShape(programme) => format!("{}. {NO_CONTACT}", unusual(*programme)),
        }
    }
}

/// What must never be entered, whatever the number looks like.
const NO_CONTACT: &str = "A telephone number or a name must not be entered here";

const fn unusual(programme: Programme) -> &'static str {
    match programme {
        Programme::VolumeLicensing => {
            "An agreement number usually has 7 digits, or 15 letters and digits for Open. Check \
             that this is the right number"
        }
        Programme::PartnerNetwork => {
            "A headquarters (HQ) partner ID usually has 7 digits. Check that this is the right \
             number, and not the ID of a location"
        }
        Programme::ServiceProvider => {
            "An initial enrollment number usually has 7 digits. Check that this is the right \
             number, and not that of a later enrollment"
        }
        Programme::HighVolume => "Check that this is the right number",
    }
}
