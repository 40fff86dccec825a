//! Recognises names and telephone numbers typed in place of an agreement number.
//!
//! No shape of a real number is refused (`docs/field.md#agreement-numbers`): all known ones have
//! seven, eight or fifteen characters, digits among them, and at most three letters in a row.
//! Digits alone that could be a telephone number lead to a question, not a refusal: see
//! [`super::warnings`].

#[cfg(test)]
mod tests;

use super::AgreementNumber;
use crate::names::typed;

/// The most letters in a row in an agreement number. SQL holds the same (`service_number_no_name`).
const MOST_LETTERS: usize = 4;

/// Words found next to a telephone number.
const TELEPHONE: &[&str] = &[
    "CELL",
    "EXT",
    "FAX",
    "HANDY",
    "MOBIL",
    "MOBILE",
    "PHONE",
    "TEL",
    "TELEFAX",
    "TELEFON",
    "TELEPHONE",
];
/// Words found next to an e-mail address.
const MAIL: &[&str] = &["EMAIL", "MAIL"];
/// Words between the parts of an e-mail address that is spelt out.
const SPELT: &[&str] = &["AT", "DOT"];

/// Whether the text contains words of contact information, or is written like a telephone number.
/// White space and signs count: `425-555-0100` is, `4255550100` is not.
pub(super) fn is_typed(typed: &str) -> bool {
    let plain: String = typed
        .chars()
        .map(typed::narrow)
        .filter(|&c| !typed::is_invisible(c))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    has_words(&plain) || is_telephone(&plain)
}

fn has_words(plain: &str) -> bool {
    let words = plain.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.iter().enumerate().any(|(place, word)| {
        let between = place > 0 && place + 1 < words.len();
        let letters = word.trim_matches(|c: char| c.is_ascii_digit());
        TELEPHONE.contains(&letters) || MAIL.contains(&letters) || (between && SPELT.contains(word))
    })
}

/// Whether the text after the last letter is a telephone number with its signs: a plus sign or an
/// area code in brackets before it, groups of 3, 3 and 4 digits, or 9 digits and more in groups
/// that begin with 0. It has 15 digits at most (ITU-T E.164, 6).
fn is_telephone(plain: &str) -> bool {
    let rest = plain.rsplit(char::is_alphabetic).next().unwrap_or_default();
    let rest = rest.trim_matches(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '('));
    let sign = |c: char| {
        c.is_whitespace() || typed::is_dash(c) || matches!(c, '+' | '(' | ')' | '-' | '/' | '.')
    };
    if !rest.chars().all(|c| c.is_ascii_digit() || sign(c)) {
        return false;
    }
    let groups = rest.split(|c: char| !c.is_ascii_digit());
    let groups: Vec<_> = groups.map(str::len).filter(|&digits| digits > 0).collect();
    let digits: usize = groups.iter().sum();
    let several = groups.len() > 1;
    (7..=15).contains(&digits)
        && (rest.contains('+')
            || (several && rest.contains('('))
            || matches!(groups[..], [3, 3, 4] | [1, 3, 3, 4])
            || (several && digits >= 9 && rest.starts_with('0')))
}

/// Whether a number in its normal form is words and no number: no digit, or more letters in a row
/// than any number has.
pub(super) fn is_words(normal: &str) -> bool {
    let letters = normal.split(|c: char| c.is_ascii_digit());
    !normal.contains(|c: char| c.is_ascii_digit())
        || letters.map(str::len).any(|letters| letters > MOST_LETTERS)
}

impl AgreementNumber {
    /// Whether it could be a telephone number typed without its signs: 10 to 14 digits, or 9 to 15
    /// that begin with 0. It could also be an agreement number, so the form asks, and an import
    /// refuses it unless its numbers were checked.
    #[must_use]
    pub fn could_be_telephone(&self) -> bool {
        let text = self.as_str();
        text.chars().all(|c| c.is_ascii_digit())
            && ((10..=14).contains(&text.len())
                || (text.starts_with('0') && (9..=15).contains(&text.len())))
    }
}
