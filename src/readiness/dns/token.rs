//! Reads the token in the text of a TXT record, as people and panels write it.
//!
//! The proof is that a zone names this service and no other. So what can only mean one token is that
//! token, however it is written; and what means none names nobody.

use crate::{
    base32,
    names::typed::{is_dash, is_invisible, is_quote, narrow},
};

/// The first label of the name that has the owner's TXT record (`docs/design.md#whose-domain`).
pub const TOKEN_PREFIX: &str = "_pic-portal";
/// The text of the TXT record before the token.
pub const TOKEN_KEY: &str = "pic-service=";

/// What the text of a record says to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is the token of the service.
    Own,
    /// It is nearly that token, with a letter missing, wrong or too many.
    Nearly {
        /// Whether it could be the token of another service all the same.
        is_token: bool,
    },
    /// It is the token of another service.
    Other,
    /// It is no token.
    Nothing,
}

impl Said {
    /// What `text` says to the service with `token`.
    pub(super) fn of(text: &[u8], token: &str) -> Self {
        let text: String = String::from_utf8_lossy(text)
            .chars()
            .filter(|c| !is_invisible(*c))
            .map(narrow)
            .map(|c| if is_dash(c) { '-' } else { c })
            .collect();
        let code = token_in(&text).and_then(read);
        if code.is_some() && code == base32::decode(token) {
            Self::Own
        } else if is_near(&text, token) {
            Self::Nearly {
                is_token: code.is_some(),
            }
        } else if code.is_some() {
            Self::Other
        } else {
            Self::Nothing
        }
    }
}

/// The bytes of a token.
fn read(token: &str) -> Option<[u8; 10]> {
    base32::decode(&base32::symbols(token)?)
}

/// Whether a character beside the key or the token is none of them.
fn is_around(c: char) -> bool {
    c.is_whitespace() || is_quote(c) || matches!(c, '\\' | '.' | ';' | ',')
}

/// The part of a text that may be a token: behind the last key, where in front of it is nothing but
/// the rest of a zone's line, or the key again; or all of it, where it is one word.
fn token_in(text: &str) -> Option<&str> {
    let key = TOKEN_KEY.trim_end_matches('=');
    let lower = text.to_ascii_lowercase();
    let Some(at) = lower.rfind(key) else {
        let word = text.trim_matches(is_around);
        return word.chars().all(char::is_alphanumeric).then_some(word);
    };
    let mut before = lower[..at]
        .split(|c| is_around(c) && c != '.' || c == '=')
        .filter(|word| !word.is_empty());
    let of_line = |word: &str| {
        word == key
            || matches!(word, "in" | "txt")
            || word.starts_with(TOKEN_PREFIX)
            || word.chars().all(|c| c.is_ascii_digit())
    };
    let behind = text[at + key.len()..]
        .trim_start_matches(|c| is_around(c) || matches!(c, '=' | ':'))
        .trim_end_matches(is_around);
    before.all(of_line).then_some(behind)
}

/// Whether a text has the token somewhere, or all of it but for two letters beside each other.
fn is_near(text: &str, token: &str) -> bool {
    if token.is_empty() {
        return false;
    }
    let letters = |text: &str| -> Vec<u8> {
        text.bytes()
            .filter(u8::is_ascii_alphanumeric)
            .map(|letter| match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                letter => letter,
            })
            .collect()
    };
    let whole = letters(text);
    if whole.windows(token.len()).any(|it| it == token.as_bytes()) {
        return true;
    }
    let behind = text.rsplit(['=', ':']).next().unwrap_or(text);
    let (said, token) = (letters(behind), token.as_bytes());
    let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
    let front = said.iter().zip(token).take_while(same).count();
    let back = said.iter().rev().zip(token.iter().rev());
    let back = back.take_while(same).count();
    said.len().abs_diff(token.len()) <= 2 && front + back + 2 >= token.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "7K3M9QTX4HWD2Z01";

    #[test]
    fn a_token_is_read_however_it_is_written() {
        for text in [
            "pic-service=7K3M9QTX4HWD2Z01",
            "pic-service=7k3m9qtx4hwd2z01",
            "pic-service=7K3M9QTX4HWD2ZOL",
            "pic-service=7K3M9QTX4HWD2ZoI",
            "pic-service=7K3M9QTX4HWD2Z01.",
            "pic-service=7K3M9QTX4HWD2Z01;",
            "pic-service=7K3M 9QTX 4HWD 2Z01",
            "pic-service=7K3M-9QTX-4HWD-2Z01",
            "pic-service=7K3M9QTX\u{2013}4HWD2Z01",
            "PIC-SERVICE=7K3M9QTX4HWD2Z01",
            "pic-service = 7K3M9QTX4HWD2Z01",
            "pic-service: 7K3M9QTX4HWD2Z01",
            "pic-service=pic-service=7K3M9QTX4HWD2Z01",
            "pic-service=\"pic-service=7K3M9QTX4HWD2Z01\"",
            "7K3M9QTX4HWD2Z01",
            "\"7K3M9QTX4HWD2Z01\"",
            "TXT pic-service=7K3M9QTX4HWD2Z01",
            "TXT \"pic-service=7K3M9QTX4HWD2Z01\"",
            "_pic-portal.contoso.com. 300 IN TXT \"pic-service=7K3M9QTX4HWD2Z01\"",
            "\\\"pic-service=7K3M9QTX4HWD2Z01\\\"",
            "pic-service=<7K3M9QTX4HWD2Z01>",
        ] {
            assert_eq!(Said::of(text.as_bytes(), TOKEN), Said::Own, "{text}");
            // Another service's is read in the same way.
            let other = "0123456789ABCDEF";
            assert_eq!(Said::of(text.as_bytes(), other), Said::Other, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_names_nobody() {
        for text in [
            "",
            "pic-service",
            "pic-service=",
            "pic-service=other",
            "pic-service=UUUUUUUUUUUUUUUU",
            "pic-service=0123456789ABCDEF0",
            "v=spf1 include:spf.example -all",
            "do not remove these",
            "ann@contoso.com",
            "not pic-service=0123456789ABCDEF",
        ] {
            let said = Said::of(text.as_bytes(), TOKEN);
            assert_eq!(said, Said::Nothing, "{text}");
        }
        // Nor where the own token cannot be read.
        assert_eq!(Said::of(b"pic-service=", ""), Said::Nothing);
        assert_eq!(Said::of(b"\xff\xfe", TOKEN), Said::Nothing);
    }

    #[test]
    fn what_is_nearly_the_token_is_told_as_that() {
        for (text, is_token) in [
            ("pic-service=7K3M9QTX4HWD2Z0", false),
            ("pic-service=K3M9QTX4HWD2Z01", false),
            ("pic-service=7K3M9QTTX4HWD2Z01", false),
            ("pic-service=7K3M9QUX4HWD2Z01", false),
            ("pic-service=7K3M9QTX4HWD2Z017K3M9QTX4HWD2Z01", false),
            ("picservice=7K3M9QTX4HWD2Z01", false),
            ("pic_service=7K3M9QTX4HWD2Z0", false),
            ("pic-service=7K3M9QTX4HWD2Z02", true),
            ("pic-service=7K39MQTX4HWD2Z01", true),
        ] {
            let said = Said::of(text.as_bytes(), TOKEN);
            assert_eq!(said, Said::Nearly { is_token }, "{text}");
        }
    }
}
