//! Evidence: what was found in zones and certificates, made fit to be stored and shown.
//!
//! The owner of a zone or of a certificate decides how much is found there. So it is bounded: each
//! line, the lines of a finding, and the lines of all findings of a request together.

use std::fmt;

use serde::Deserialize;

use super::{Finding, Severity};

/// The longest line, in bytes.
const LONGEST: usize = 256;
/// The most lines of one finding; then one that says how many more there are.
const MOST: usize = 8;
/// The most that all lines of a request's findings may take together, in bytes.
pub const MOST_IN_ALL: usize = 64 * 1024;
/// Replaces what was left out.
const LEFT_OUT: &str = "[left out]";
/// Replaces the lines of a finding for which there was no room.
const NO_ROOM: &str = "not kept: too much";

/// A line of evidence: printable ASCII, 256 bytes at most, and nothing that looks like a person's
/// address. SQL enforces the same rules, with a limit of 300 bytes, because earlier versions stored
/// that many.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(from = "String")]
pub struct Evidence(String);

impl From<String> for Evidence {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl Evidence {
    /// `text` without what must not be stored.
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

    /// Several lines; when there are more than eight, a ninth says how many. Their order does not
    /// depend on that in an answer, so that the same answer makes the same evidence.
    #[must_use]
    pub fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Self> {
        let mut lines = lines.into_iter();
        let mut kept: Vec<_> = lines
            .by_ref()
            .take(MOST)
            .map(|line| Self::new(line.as_ref()))
            .collect();
        let more = lines.count();
        if more > 0 {
            kept.push(Self::new(&format!("and {more} more")));
        }
        kept
    }

    /// The text of the line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sorts the findings of a request, the most severe first, and leaves evidence out for which there
/// is no room in [`MOST_IN_ALL`]; a line says so. A line that is no longer than that one is kept.
pub fn bound(findings: &mut [Finding]) {
    findings
        .sort_by(|a, b| (b.severity, &a.subject, a.code).cmp(&(a.severity, &b.subject, b.code)));
    let mut room = MOST_IN_ALL;
    for finding in findings {
        let length: usize = finding.found.iter().map(|line| line.0.len()).sum();
        // The cause of a skipped finding is no evidence.
        if finding.severity == Severity::Skipped || length <= NO_ROOM.len() {
            continue;
        }
        match room.checked_sub(length) {
            Some(left) => room = left,
            None => finding.found = vec![Evidence::new(NO_ROOM)],
        }
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
    use crate::{names::Fqdn, readiness::Code};

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
    fn two_hundred_records_are_eight_lines_and_how_many_more() {
        let lines = |many: u32| Evidence::lines((0..many).map(|n| n.to_string()));
        let last = |many| lines(many).last().unwrap().to_string();
        assert_eq!((lines(200).len(), last(200)), (9, "and 192 more".into()));
        assert_eq!((lines(9).len(), last(9)), (9, "and 1 more".into()));
        assert_eq!((lines(8).len(), last(8)), (8, "7".into()));
    }

    #[test]
    fn evidence_in_all_is_bounded_and_what_is_left_out_is_told() {
        let of = |code, n: usize, line: &str| {
            let name = Fqdn::parse(&format!("d{n:04}.example")).unwrap();
            Finding::new(code, &name, "", [line; 20])
        };
        let long = "x".repeat(250);
        let mut findings: Vec<_> = (0..1_000).map(|n| of(Code::SrvTarget, n, &long)).collect();
        findings.reverse();
        // More severe and short: it is kept whatever else there is.
        findings.insert(
            500,
            Finding::new(Code::DomainHeld, &findings[0].subject.clone(), "", ["none"]),
        );
        bound(&mut findings);
        let length =
            |finding: &Finding| finding.found.iter().map(|line| line.0.len()).sum::<usize>();
        assert!(findings.iter().map(length).sum::<usize>() <= MOST_IN_ALL + 1_000 * NO_ROOM.len());
        assert_eq!(findings[0].subject.as_str(), "d0000.example");
        assert_eq!(findings[0].found.len(), 9);
        let held = findings
            .iter()
            .find(|it| it.code == Code::DomainHeld)
            .unwrap();
        assert_eq!(held.found[0].as_str(), "none");
        assert_eq!(findings[998].found, [Evidence::new(NO_ROOM)]);
        // Bounding it again changes nothing.
        let once = findings.clone();
        bound(&mut findings);
        assert_eq!(findings, once);
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
