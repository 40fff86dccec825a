//! Random codes in a form that people can read out and type in.
//!
//! Crockford's base32: no `I`, `L`, `O` or `U`; when reading, `O` counts as `0`, `i` and `l` count
//! as `1`, and spaces, hyphens and case do not matter (`docs/design.md#words`).

use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};

static CROCKFORD: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    spec.translate.from.push_str("OIL");
    spec.translate.to.push_str("011");
    spec.encoding()
        .expect("a constant specification, covered by every test of a code")
});

/// The longest text that is parsed as a code, in bytes; a longer one was pasted by mistake.
const LONGEST: usize = 200;

/// `N` random bytes from the operating system.
///
/// # Panics
///
/// When the operating system has no randomness: the portal cannot go on safely then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// The symbols for `bytes`, without groups.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    CROCKFORD.encode(bytes)
}

/// The symbols for `bytes` in groups of four, with hyphens between.
#[must_use]
pub fn encode_grouped(bytes: &[u8]) -> String {
    let symbols = encode(bytes);
    let mut grouped = String::with_capacity(symbols.len() * 5 / 4);
    for (i, symbol) in symbols.chars().enumerate() {
        if i > 0 && i % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(symbol);
    }
    grouped
}

/// What was typed as symbols alone: no white space, no hyphens or dashes, upper case. `None` when
/// it is too long or has other characters than letters and digits of ASCII.
#[must_use]
pub fn symbols(typed: &str) -> Option<String> {
    if typed.len() > LONGEST {
        return None;
    }
    let ignored = |c: &char| {
        !c.is_whitespace()
            && !matches!(c, '-' | '_' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{200b}'..='\u{200d}' | '\u{2212}' | '\u{feff}')
    };
    typed
        .chars()
        .filter(ignored)
        .map(|c| c.is_ascii_alphanumeric().then(|| c.to_ascii_uppercase()))
        .collect()
}

/// The `N` bytes that `symbols` encode; `None` when they are not such a code.
#[must_use]
pub fn decode<const N: usize>(symbols: &str) -> Option<[u8; N]> {
    CROCKFORD.decode(symbols.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes: [u8; 16]) {
            let written = encode_grouped(&bytes);
            prop_assert_eq!(decode(&symbols(&written).unwrap()), Some(bytes));
            let sloppy = written.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            prop_assert_eq!(decode(&symbols(&sloppy).unwrap()), Some(bytes));
        }

        #[test]
        fn nothing_that_is_typed_panics(typed: String) {
            if let Some(symbols) = symbols(&typed) {
                let _ = decode::<10>(&symbols);
            }
        }
    }

    #[test]
    fn other_characters_are_no_code() {
        for typed in ["käse", "a@b", "\0", "ABCD/EFGH"] {
            assert_eq!(symbols(typed), None, "{typed:?}");
        }
        assert_eq!(symbols(&"A".repeat(LONGEST + 1)), None);
        assert_eq!(decode::<10>("UUUUUUUUUUUUUUUU"), None, "U is no symbol");
    }
}
