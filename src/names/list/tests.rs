//! Lists as people paste them.

use super::List;

/// The names with their lines, and what was left out.
fn read(pasted: &str) -> (Vec<(usize, &str)>, Vec<&str>) {
    let list = List::read(pasted);
    (
        list.names.iter().map(|it| (it.line, it.text)).collect(),
        list.left_out.iter().map(|it| it.text).collect(),
    )
}

/// All names of a list, one after another.
fn names(pasted: &str) -> Vec<&str> {
    read(pasted).0.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn what_stands_around_names_is_taken_off() {
    let two = ["contoso.com", "fabrikam.com"];
    for pasted in [
        "contoso.com\nfabrikam.com",
        "\u{feff}contoso.com, fabrikam.com;",
        "- contoso.com\r\n- fabrikam.com\r\n",
        "* contoso.com\n* fabrikam.com",
        "•contoso.com\n\t• fabrikam.com",
        "1. contoso.com\n2. fabrikam.com",
        "1)  contoso.com\n(2) fabrikam.com\n",
        "\"contoso.com\",\"fabrikam.com\"",
        "[\"contoso.com\", \"fabrikam.com\"]",
        "@(\"contoso.com\",\"fabrikam.com\")",
        "{contoso.com, fabrikam.com}",
        "| contoso.com | fabrikam.com |",
        "# ours\ncontoso.com # the first\n// and\nfabrikam.com",
        "contoso.com and fabrikam.com",
        "Domains:\ncontoso.com\nfabrikam.com",
        "Domain: contoso.com\nDomain: fabrikam.com",
        "Identity  : contoso.com\nIsDefault : True\n\nIdentity  : fabrikam.com\nIsDefault : False",
        "Name          Type    Status\ncontoso.com   Managed Verified\nfabrikam.com  Managed Verified",
        "+--------------+\n| domain |\n+--------------+\n| contoso.com |\n| fabrikam.com |\n+--------------+",
        "| Domäne | Standard |\n|---|---|\n| contoso.com | ja |\n| fabrikam.com | nein |",
        "Domain,Default\ncontoso.com,yes\nfabrikam.com,no",
        "Domain\tUsers\ncontoso.com\t120\tyes\nfabrikam.com\t1.200\tja",
        "SIP domain\tUsers\ncontoso.com\t120\nfabrikam.com\t80",
        "Firma\tDomäne\tBenutzer\nContoso\tcontoso.com\t1,200\nFabrikam\tfabrikam.com\t80",
        "Domain,Contact\ncontoso.com,x\nfabrikam.com,y",
        "contoso.com\t120\tyes\nfabrikam.com 12.5% no",
        "contoso.com, 120\nfabrikam.com, 80",
        "1\tcontoso.com\n2\tfabrikam.com",
        "contoso.com<br>fabrikam.com",
        "<ul><li>contoso.com</li>\n<li class=\"x\">fabrikam.com</li></ul>",
        "<a href=\"http://contoso.com\">contoso.com</a><br><a href='https://Fabrikam.com/'>fabrikam.com</a>",
        "contoso.com/fabrikam.com",
        "contoso.com (main)\nfabrikam.com [the other]",
        "contoso.com -- main\nfabrikam.com // other",
        "contoso.com - main site\nfabrikam.com: 1200 users",
        "#1 contoso.com\n#2 fabrikam.com",
        "1 contoso.com\n2 fabrikam.com",
        "1 - contoso.com\n2 - fabrikam.com",
        "[1] contoso.com\n[2] fabrikam.com",
        "A. contoso.com\nB. fabrikam.com",
        "i) contoso.com\nii) fabrikam.com",
        "1.1. contoso.com\n1.2. fabrikam.com",
        "- [x] contoso.com\n- [ ] fabrikam.com",
        "o contoso.com\no   fabrikam.com",
        "contoso.com IN NS ns1.contoso.com.\nfabrikam.com 3600 IN MX 10 mail.fabrikam.com.",
        "contoso.com IN NS ns1.contoso.com.\n\tIN\tNS\tns2.contoso.com.\n@ IN MX 1 a.example\nfabrikam.com",
        "PS C:\\> Get-CsSipDomain\n\nIdentity     Name\n--------     ----\ncontoso.com  x\nfabrikam.com x",
        "New-CsSipDomain -Identity \"contoso.com\"\nNew-CsSipDomain -Identity fabrikam.com -IsDefault $true",
        "{\"domains\": [\"contoso.com\", \"fabrikam.com\"]}",
        "{\"domains\":[\"contoso.com\",\"fabrikam.com\"]}",
    ] {
        assert_eq!(names(pasted), two, "{pasted}");
    }
}

#[test]
fn a_table_is_left_out_around_its_names_and_told() {
    let pasted = include_str!("../../../tests/cases/form-pasted-table/pasted.txt");
    let (names, left_out) = read(pasted);
    let (a, b) = ("contoso.com", "fabrikam.com");
    assert_eq!(names, [(3, a), (3, a), (4, b), (4, b)]);
    assert_eq!(
        left_out,
        ["Identity        Name            IsDefault", "True", "False"]
    );
}

#[test]
fn a_word_that_may_be_half_a_name_is_kept() {
    assert_eq!(names("con toso.com"), ["con", "toso.com"]);
    assert_eq!(names("lucerne,de"), ["lucerne", "de"]);
    assert_eq!(names("contoso.com\tManaged"), ["contoso.com", "Managed"]);
    assert_eq!(names("contoso\nfabrikam.com"), ["contoso", "fabrikam.com"]);
    let two_lines = "contoso\tfabrikam\nlitware.com\twoodgrove.com";
    assert_eq!(names(two_lines).len(), 4, "those below are names alone");
    assert_eq!(names("lucerne,de\nfabrikam.com,x").len(), 4);
    assert_eq!(names("litware.com, 3 m.example").len(), 3);
    assert_eq!(names("3,m.example").len(), 2);
    assert_eq!(names("contoso.com\t192.0.2.1").len(), 2);
    assert_eq!(names("120"), ["120"]);
    let alone = |pasted| {
        List::read(pasted)
            .names
            .iter()
            .map(|it| it.alone)
            .collect::<Vec<_>>()
    };
    assert_eq!(alone("con toso.com"), [false, false]);
    assert_eq!(alone("contoso.com\tManaged"), [true, true]);
    assert_eq!(alone("contoso.com  Managed  x"), [true, true, true]);
    assert_eq!(alone("contoso.com, x"), [false, false]);
}

/// A person's address is one piece, however its sign is written, so that the person is no name.
#[test]
fn an_address_with_a_sign_apart_is_one_piece() {
    for address in [
        "ann.li @contoso.com",
        "ann.li @ contoso.com",
        "ann.li  @  contoso.com",
        "ann.li@ contoso.com",
        "ann.li (at) contoso.com",
        "ann.li [at] contoso.com",
    ] {
        assert_eq!(names(address), [address]);
        assert_eq!(
            names(&format!("fabrikam.com, {address}")),
            ["fabrikam.com", address]
        );
    }
    assert_eq!(names("@contoso.com @fabrikam.com").len(), 2);
    for one in [
        "(a) @contoso.com",
        "- @contoso.com",
        "1. @contoso.com",
        "a) @contoso.com",
    ] {
        assert_eq!(names(one), ["@contoso.com"], "{one}");
    }
}

/// In a table, too, a word with one space before a name may be half of it.
#[test]
fn a_table_leaves_no_half_of_a_name_out() {
    for table in [
        "Domain\ncon toso.com",
        "Domain\tUsers\nmy firm.com\t12",
        "Domains\nlucerne,de.com",
    ] {
        assert_eq!(names(table).len(), 2, "{table}");
    }
}

/// A link to another name than the one that it shows.
#[test]
fn a_link_that_leads_elsewhere_is_no_tag() {
    for link in [
        "<a href=\"http://fabrikam.com\">contoso.com</a>",
        "<a href=\"http://www.contoso.com\">contoso.com</a>",
        "<a href=\"http://contoso.com.fabrikam.com\">contoso.com</a>",
        "<a href=\"mailto:ann@contoso.com\">contoso.com</a>",
        "<a href=\"http://contoso.com\">here</a>",
    ] {
        assert_ne!(names(link), ["contoso.com"], "{link}");
        assert!(
            names(link).iter().any(|name| name.contains("href")),
            "{link}"
        );
    }
}

#[test]
fn nothing_is_lost_that_may_be_a_name() {
    for (pasted, kept) in [
        ("user@contoso.com", "user@contoso.com"),
        ("sip:user@contoso.com", "sip:user@contoso.com"),
        ("sip: contoso.com", "contoso.com"),
        ("*.contoso.com", "*.contoso.com"),
        ("@contoso.com", "@contoso.com"),
        ("https://contoso.com/#x", "https://contoso.com/#x"),
        ("[2001:db8::1]:5061", "[2001:db8::1]:5061"),
        ("1.contoso.com", "1.contoso.com"),
        ("-contoso.com", "-contoso.com"),
    ] {
        assert_eq!(names(pasted), [kept], "{pasted}");
    }
    for nothing in [
        "",
        " \n\r\n",
        "- \n•\n",
        "--------",
        ",;",
        "# a\n#b",
        "|---|",
    ] {
        assert_eq!(names(nothing), [""; 0], "{nothing}");
    }
}

#[test]
fn what_is_left_out_beside_a_name_is_told() {
    for (pasted, told) in [
        ("contoso.com (main)", "(main)"),
        ("contoso.com -- main", "-- main"),
        ("contoso.com: 1200 users", "1200 users"),
        (
            "contoso.com. IN MX 10 mail.contoso.com.",
            "IN MX 10 mail.contoso.com.",
        ),
        ("1 contoso.com", "1"),
        ("A. contoso.com", "A."),
        ("o contoso.com", "o"),
        ("sip:contoso.com;transport=tls", "transport=tls"),
        ("Get-CsSipDomain\ncontoso.com", "Get-CsSipDomain"),
    ] {
        let (names, left_out) = read(pasted);
        assert_eq!((names.len(), left_out), (1, vec![told]), "{pasted}");
    }
}

#[test]
fn what_may_be_a_name_is_no_note() {
    for (pasted, kept) in [
        ("contoso.com (fabrikam.com)", 2),
        ("contoso.com - fabrikam.com", 2),
        ("contoso.com -- my_firm.com", 2),
        ("contoso.com (user@fabrikam.com)", 2),
        ("con - toso", 2),
        ("3 m.example", 2),
        ("New-CsSipDomain -Identity contoso", 1),
        ("contoso.com/meet", 1),
        ("<contoso.com>", 1),
        ("1,200", 1),
        ("1,163.com", 2),
    ] {
        assert_eq!(names(pasted).len(), kept, "{pasted}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(pasted in "[a-z.@#:|\\-\t\n\r ,;•(){}<>\\[\\]=\"“é/1]{0,60}") {
        let list = List::read(&pasted);
        for piece in list.names.iter().chain(&list.left_out) {
            let line = pasted.lines().nth(piece.line - 1);
            proptest::prop_assert!(line.is_some_and(|line| line.contains(piece.text)));
            proptest::prop_assert!(!piece.text.is_empty());
        }
    }
}
