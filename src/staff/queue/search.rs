//! Finds out what was typed into the search box: a number, a reference, or a name.
//!
//! The beginning of an agreement number (any spacing) or of a reference (`O` for `0`, `I` and `L` for
//! `1`), a name (a SIP domain, one above it, or an Access Edge FQDN), or the beginning of a label of
//! one, as when a caller says only what the company is called; names in either form of a script
//! beyond ASCII. `1234567` may be a number and the beginning of a reference: then both are searched
//! for, and the page says so.

use crate::{
    agreement::AgreementNumber,
    base32,
    names::{Fqdn, typed},
    request::reference::Reference,
};

/// The fewest symbols that are taken for the beginning of a reference without `PIC` before them.
const FEWEST_SYMBOLS: usize = 4;
/// The symbols of a reference after `PIC`.
const ALL_SYMBOLS: usize = 16;
/// The fewest characters that are taken for the beginning of a label.
const FEWEST_OF_LABEL: usize = 3;

/// What a text is taken for; if it is nothing, the search finds nothing. `Debug` does not show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The agreement number to search for, or the beginning of one.
    pub number: Option<AgreementNumber>,
    /// The beginning of a reference, as it is shown: `PIC-7K3M-9Q`.
    pub reference: Option<Beginning>,
    /// The SIP domain or Access Edge to search for, with all names below it.
    pub name: Option<Fqdn>,
    /// The beginning of a label to search for, in DNS form.
    pub piece: Option<Piece>,
}

/// The beginning of a label in DNS form: letters, digits and hyphens. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece(String);

impl Piece {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A text of one label; blanks in it are dropped, as in the name of a company.
    fn read(typed: &str) -> Option<Self> {
        const BELOW: &str = ".example";
        let text: String = typed.split_whitespace().collect();
        let text = text.trim_end_matches('-');
        // A whole name is what knows the rules of labels.
        let name = Fqdn::parse(&format!("{text}{BELOW}")).ok()?;
        let label = name.as_str().strip_suffix(BELOW)?;
        (label.len() >= FEWEST_OF_LABEL && !label.contains('.')).then(|| Self(label.to_owned()))
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Piece(..)")
    }
}

/// The beginning of a reference, or all of it. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Beginning(String);

impl Beginning {
    /// The beginning, in the form of a reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(typed: &str) -> Option<Self> {
        let symbols = base32::symbols(typed)?;
        let (body, fewest) = ["PIC", "P1C"]
            .iter()
            .find_map(|start| symbols.strip_prefix(start))
            .map_or((symbols.as_str(), FEWEST_SYMBOLS), |body| (body, 1));
        if !(fewest..=ALL_SYMBOLS).contains(&body.len()) {
            return None;
        }
        let mut shown = String::from("PIC");
        for (place, symbol) in body.chars().enumerate() {
            if place % 4 == 0 {
                shown.push('-');
            }
            shown.push(match symbol {
                'O' => '0',
                'I' | 'L' => '1',
                'U' => return None,
                symbol => symbol,
            });
        }
        Some(Self(shown))
    }
}

impl std::fmt::Debug for Beginning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beginning(..)")
    }
}

impl Search {
    /// Reads what was typed; `None` if that is empty.
    #[must_use]
    pub fn read(typed: &str) -> Option<Self> {
        let text = typed::trim(typed);
        if text.is_empty() {
            return None;
        }
        let number = match AgreementNumber::parse_to_find(text) {
            Ok(number) => Some(number),
            Err(problem) => problem.suggestion().cloned(),
        };
        // A SIP URI has its domain at the end; the user before it is not searched for.
        let host = text.rsplit(['@', '＠']).next().unwrap_or_default();
        Some(Self {
            number,
            reference: Beginning::read(text),
            name: Fqdn::parse(host).ok(),
            piece: Piece::read(text),
        })
    }

    /// The reference, if a whole one was typed.
    #[must_use]
    pub fn whole_reference(&self) -> Option<Reference> {
        Reference::parse(self.reference.as_ref()?.as_str())
    }

    /// Whether it is taken for nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.number.is_none()
            && self.reference.is_none()
            && self.name.is_none()
            && self.piece.is_none()
    }

    /// What it was taken for, in words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(number) = &self.number {
            words.push(format!(
                "the agreement number {number} or the beginning of one"
            ));
        }
        if let Some(Beginning(reference)) = &self.reference {
            let what = match self.whole_reference() {
                Some(_) => "the reference",
                None => "the beginning of a reference",
            };
            words.push(format!("{what} {reference}"));
        }
        if let Some(name) = &self.name {
            let readable = name
                .unicode()
                .map(|name| format!(" ({name})"))
                .unwrap_or_default();
            words.push(format!(
                "the domain or Access Edge {name}{readable}, and what lies below it"
            ));
        }
        if let Some(Piece(piece)) = &self.piece {
            words.push(format!("the beginning of a part of a name: {piece}"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number, reference, name and piece that a text is taken for.
    fn read(typed: &str) -> [String; 4] {
        let search = Search::read(typed).unwrap();
        [
            search.number.map(|n| n.to_string()).unwrap_or_default(),
            search.reference.map(|r| r.0).unwrap_or_default(),
            search.name.map(|n| n.to_string()).unwrap_or_default(),
            search.piece.map(|p| p.0).unwrap_or_default(),
        ]
    }

    #[test]
    fn a_text_is_taken_for_all_that_it_may_be() {
        for (typed, number, reference, name, piece) in [
            ("123-45 67", "1234567", "PIC-1234-567", "", "123-4567"),
            (
                " pic 7k3m-9q ",
                "PIC7K3M9Q",
                "PIC-7K3M-9Q",
                "",
                "pic7k3m-9q",
            ),
            ("oil1", "OIL1", "PIC-0111", "", "oil1"),
            ("123", "123", "", "", "123"),
            ("pic1", "PIC1", "PIC-1", "", "pic1"),
            ("UUUU", "UUUU", "", "", "uuuu"),
            (
                "Alpine Ski",
                "ALPINESKI",
                "PIC-A1P1-NESK-1",
                "",
                "alpineski",
            ),
            ("alp-", "ALP", "", "", "alp"),
            ("al", "AL", "", "", ""),
            ("München", "", "", "", "xn--mnchen-3ya"),
            ("Contoso.com.", "", "", "contoso.com", ""),
            ("https://contoso.com/", "", "", "contoso.com", ""),
            ("sip:ted@it.contoso.com", "", "", "it.contoso.com", ""),
            ("@contoso.com", "", "", "contoso.com", ""),
            ("\"contoso.com\"", "", "", "contoso.com", ""),
            (
                "https://sip.contoso.com:5061/",
                "",
                "",
                "sip.contoso.com",
                "",
            ),
            ("münchen.de", "", "", "xn--mnchen-3ya.de", ""),
            ("XN--MNCHEN-3YA.DE", "", "", "xn--mnchen-3ya.de", ""),
            ("Agreement: 1234567", "1234567", "", "", ""),
            ("?", "", "", "", ""),
        ] {
            assert_eq!(read(typed), [number, reference, name, piece], "{typed}");
        }
        let whole = "PIC-7K3M-9QTX-4HWD-2ZRB";
        for typed in [whole, "7k3m9qtx4hwd2zrb"] {
            let reference = Search::read(typed).unwrap().whole_reference().unwrap();
            assert_eq!(reference.to_string(), whole);
        }
        assert_eq!(Search::read(" \u{200b} "), None);
        assert!(Search::read("?").unwrap().is_nothing());
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_typed_panics(typed: String) {
            let _ = Search::read(&typed).map(|search| search.words());
        }
    }
}
