//! Converts names between text and the DNS wire format.

use std::fmt::Write as _;

use hickory_resolver::proto::rr::Name;

/// A fully qualified name, from text without a trailing dot; `None` if it is too long.
pub(super) fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    // The library does not check the length of a name that is put together until it is sent.
    (name.len() <= 255).then_some(name)
}

/// A name in the one form in which names are compared and shown: lower case, no trailing dot, and as it
/// was typed where it can be printed: `https://sip`, and `@`, so that what looks like a person's address
/// is recognised (`Evidence`). A dot inside a label, a backslash and bytes that cannot be printed are
/// `\ddd` (RFC 1035, 5.1), so that two names are never the same text.
pub(super) fn text(name: &Name) -> String {
    let mut text = String::new();
    for (place, label) in name.iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        for &byte in label {
            if byte.is_ascii_graphic() && !matches!(byte, b'.' | b'\\') {
                text.push(char::from(byte.to_ascii_lowercase()));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\{byte:03}");
            }
        }
    }
    if text.is_empty() {
        ".".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_in_one_form() {
        let of = |labels: &[&[u8]]| text(&Name::from_labels(labels.iter().copied()).unwrap());
        assert_eq!(of(&[b"SIP", b"Contoso", b"com"]), "sip.contoso.com");
        assert_eq!(of(&[b"_sip", b"a.b", b"c\\"]), "_sip.a\\046b.c\\092");
        assert_eq!(of(&[b"\0\xff ", b"com"]), "\\000\\255\\032.com");
        assert_eq!(of(&[b"ann@contoso", b"com"]), "ann@contoso.com");
        assert_eq!(of(&[b"https://sip", b"com"]), "https://sip.com");
        assert_eq!(of(&[b"2001:db8::1"]), "2001:db8::1");
        assert_eq!(text(&Name::root()), ".");
    }

    #[test]
    fn what_is_too_long_is_no_name() {
        let label = "a".repeat(63);
        let long = [label.as_str(); 4].join(".");
        assert!(name(&long[..253]).is_some());
        assert!(name(&format!("{}.bb", &long[..252])).is_none());
        assert!(name("_sipfederationtls._tcp.contoso.com").is_some());
    }
}
