//! The rules hold for random texts, and for the longest.

use proptest::prelude::*;

use super::*;

/// Text made of the characters that matter here.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "contoso",
        "com",
        "co.uk",
        "test",
        "sip",
        "xn--",
        "xn--mnchen-3ya",
        "münchen",
        "ß",
        "A",
        "z",
        "0",
        "127",
        ".",
        ".",
        ".",
        "。",
        "-",
        "--",
        "–",
        "_",
        "_tcp",
        "@",
        ":",
        ":5061",
        "/",
        "//",
        "https://",
        "sip:",
        "?",
        "#",
        "%",
        "*",
        "*.",
        "[",
        "]",
        "::1",
        " ",
        "\t",
        "\n",
        "\u{a0}",
        ",",
        ";",
        "<",
        ">",
        "\"",
        "“",
        "=",
        "\0",
        "\u{7f}",
        "\u{ad}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{feff}",
        "\u{301}",
        "א",
        "א",
        "公司",
        "cn",
        "＠",
        "．",
        "ａ",
        "℀",
        "⁴",
        "❤",
        "नमस्ते",
        "·",
        "l",
        "İ",
        "K",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

/// Mostly valid names, some beyond ASCII.
fn likely() -> impl Strategy<Value = String> {
    let label = "[a-zA-Z0-9üßéя公]{1,8}(-[a-z0-9]{1,4})?";
    let suffix = prop::sample::select(vec!["com", "co.uk", "test", "de", "xn--p1ai", "github.io"]);
    (prop::collection::vec(label, 1..5), suffix)
        .prop_map(|(labels, suffix)| format!("{}.{suffix}", labels.join(".")))
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        nasty(),
        likely(),
        (likely(), nasty()).prop_map(|(a, b)| a + &b)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn whatever_is_typed_ends_in_a_normal_form_or_a_suggestion_that_parses(typed in anything()) {
        for role in [Edge, Sip] {
            match parse(role, &typed) {
                Ok(name) => {
                    prop_assert!(name.contains('.') && name.len() <= 253);
                    prop_assert!(name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.')));
                    prop_assert_eq!(parse(role, &name), Ok(name.clone()), "not idempotent");
                    prop_assert!(SipDomain::from_database(name.clone()).is_ok());
                    if let Some(unicode) = sip_like(&name).unicode() {
                        prop_assert_eq!(parse(role, &unicode), Ok(name), "U-label does not lead back");
                    }
                }
                Err(error) => {
                    if let Some(suggestion) = error.suggestion() {
                        prop_assert!(parse(role, suggestion).is_ok(), "{} for {:?}", suggestion, typed);
                        prop_assert!(error.message(role).contains(suggestion));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_displayed_parses_back(typed in likely()) {
        if let Ok(name) = SipDomain::parse(&typed) {
            prop_assert_eq!(name.to_string().parse::<SipDomain>(), Ok(name));
        }
        if let Ok(name) = AccessEdge::parse(&typed) {
            prop_assert_eq!(name.to_string().parse::<AccessEdge>(), Ok(name));
        }
    }

    #[test]
    fn debug_never_shows_what_was_typed(word in "[a-z]{8}", around in nasty()) {
        let canary = format!("zq{word}.test");
        for typed in [canary.clone(), format!("x@{canary}"), format!("{around}{canary}"), format!("{canary}{around}")] {
            let shown = format!("{:?} {:?}", SipDomain::parse(&typed), AccessEdge::parse(&typed));
            prop_assert!(!shown.contains(&word), "{}", shown);
            if let Err(error) = SipDomain::parse(&typed) {
                prop_assert!(!error.to_string().contains(&word));
            }
        }
    }

    #[test]
    fn a_split_list_joins_to_itself(items in prop::collection::vec("[a-z0-9.@:*-]{1,12}", 0..40), separator in "[,;\\s]{1,3}") {
        let joined = items.join(&separator);
        prop_assert_eq!(split_names(&joined).collect::<Vec<_>>(), items);
    }

    #[test]
    fn a_split_item_holds_no_separator(pasted in anything()) {
        for item in split_names(&pasted) {
            prop_assert!(!item.is_empty() && !item.contains(|c: char| c.is_whitespace() || ",;".contains(c)));
        }
    }

    #[test]
    fn a_server_one_label_above_is_discoverable(label in "[a-z][a-z0-9]{0,9}", domain in likely()) {
        if let Ok(domain) = SipDomain::parse(&domain) {
            let server = AccessEdge::parse(&format!("{label}.{domain}")).expect("one label more");
            prop_assert!(server.is_discoverable_for(&domain));
            let further = AccessEdge::parse(&format!("a.{server}")).expect("one label more");
            prop_assert!(!further.is_discoverable_for(&domain));
        }
    }
}

/// The longest possible text is handled quickly, whatever it is made of.
#[test]
fn the_longest_texts_are_answered() {
    for piece in [
        "a@", "a:", "a.b ", "a.b,", "xn--", "_a.", "://", "ü.", "*.", "-", "[", "a/",
    ] {
        for role in [Edge, Sip] {
            let typed: String = piece.chars().cycle().take(1_000).collect();
            assert!(parse(role, &typed).is_err(), "{piece}");
        }
    }
}

fn sip_like(name: &str) -> Fqdn {
    Fqdn::parse(name).expect("a name in its normal form")
}
