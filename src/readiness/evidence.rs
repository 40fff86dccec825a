//! What was found somewhere out there, fit to be stored and shown.

use std::fmt;

/// The longest line, in bytes.
const LONGEST: usize = 300;
/// The most lines of one finding.
const MOST: usize = 40;
/// Stands where something was left out.
const LEFT_OUT: &str = "[left out]";

/// A line of evidence: printable ASCII, 300 bytes at most, and nothing that looks like an address
/// of a person, whoever put it into a zone or a certificate. SQL holds it to the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence(String);

impl Evidence {
    /// `text` without what may not be kept.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let printable = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
        let mut kept = String::with_capacity(text.len().min(LONGEST));
        for (place, word) in text.split(' ').enumerate() {
            let word: String = word.chars().map(printable).collect();
            let personal = word.contains('@') || word.to_ascii_lowercase().contains("%40");
            let word = if personal { LEFT_OUT } else { &word };
            if kept.len() + word.len() + 5 > LONGEST {
                kept.push_str(" ...");
                break;
            }
            if place > 0 {
                kept.push(' ');
            }
            kept.push_str(word);
        }
        Self(kept)
    }

    /// Several lines; when there are too many, the last says how many more there are.
    #[must_use]
    pub fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Self> {
        let mut lines = lines.into_iter();
        let mut kept: Vec<_> = lines
            .by_ref()
            .take(MOST - 1)
            .map(|line| Self::new(line.as_ref()))
            .collect();
        match (lines.next(), lines.count()) {
            (None, _) => {}
            (Some(last), 0) => kept.push(Self::new(last.as_ref())),
            (Some(_), more) => kept.push(Self::new(&format!("and {} more", more + 1))),
        }
        kept
    }

    /// The line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_left_out() {
        for (text, kept) in [
            ("5061 sip.contoso.com", "5061 sip.contoso.com"),
            ("v=1 mailto:ann@contoso.com x", "v=1 [left out] x"),
            ("ann%40contoso.com", "[left out]"),
            ("tab\there", "tab?here"),
            ("b\u{fc}cher", "b?cher"),
        ] {
            assert_eq!(Evidence::new(text).as_str(), kept);
        }
    }

    #[test]
    fn two_hundred_records_are_forty_lines() {
        let lines = Evidence::lines((0..200).map(|n| n.to_string()));
        assert_eq!(lines.len(), MOST);
        assert_eq!(lines.last().map(Evidence::as_str), Some("and 161 more"));
        assert_eq!(Evidence::lines((0..40).map(|n| n.to_string())).len(), 40);
    }

    proptest! {
        #[test]
        fn whatever_is_found_can_be_stored(text in any::<String>()) {
            let kept = Evidence::new(&text);
            prop_assert!(kept.as_str().len() <= LONGEST);
            prop_assert!(kept.as_str().bytes().all(|b| matches!(b, b' '..=b'~') && b != b'@'));
        }
    }
}
