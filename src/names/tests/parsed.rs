//! What a parsed name knows, and what it never shows.

use std::collections::HashSet;

use super::*;

#[test]
fn a_sip_domain_is_never_the_edges_own_name() {
    let server = edge("sip.contoso.com");
    let same = sip("SIP.contoso.com.");
    assert!(same.is_host(&server));
    assert!(!sip("contoso.com").is_host(&server));
    assert!(!sip("it.sip.contoso.com").is_host(&server));

    assert_eq!(sip("contoso.com").check_not_host(&server), Ok(()));
    let error = same.check_not_host(&server).expect_err("its own name");
    assert_eq!(
        (error.problem(), error.suggestion()),
        (P::OwnHost, Some("contoso.com"))
    );
    assert_eq!(
        error.message(Sip),
        "That is the server’s own name, not a SIP domain. \
         Enter what stands after the @ in people’s SIP addresses, like contoso.com"
    );

    let alone = sip("edge.test")
        .check_not_host(&edge("edge.test"))
        .expect_err("its own name");
    assert_eq!((alone.problem(), alone.suggestion()), (P::OwnHost, None));
}

#[test]
fn parents_and_apexes() {
    let rows = [
        ("contoso.com", None, Some("contoso.com")),
        ("sip.contoso.com", Some("contoso.com"), Some("contoso.com")),
        (
            "a.b.contoso.co.uk",
            Some("b.contoso.co.uk"),
            Some("contoso.co.uk"),
        ),
        ("contoso.co.uk", None, Some("contoso.co.uk")),
        ("a.foo.github.io", Some("foo.github.io"), Some("github.io")),
        ("a.contoso.test", Some("contoso.test"), None),
        ("contoso.test", None, None),
    ];
    for (name, parent, apex) in rows {
        assert_eq!(sip(name).parent(), parent.map(sip), "{name}");
        assert_eq!(sip(name).apex(), apex.map(sip), "{name}");
    }
}

#[test]
fn partner_discovery_wants_one_label_and_the_domain() {
    let domain = sip("contoso.com");
    assert!(edge("sip.contoso.com").is_discoverable_for(&domain));
    assert!(edge("lync-1.contoso.com").is_discoverable_for(&domain));
    for mismatch in [
        "sip.contoso-edge.com",
        "sip.it.contoso.com",
        "sip.notcontoso.com",
        "sip.contoso.com.au",
    ] {
        assert!(!edge(mismatch).is_discoverable_for(&domain), "{mismatch}");
    }
    assert!(!edge("sip.contoso.com").is_discoverable_for(&sip("sip.contoso.com")));
}

#[test]
fn unicode_is_told_only_where_it_differs() {
    assert_eq!(
        sip("xn--mnchen-3ya.de").unicode().as_deref(),
        Some("münchen.de")
    );
    assert_eq!(
        edge("sip.MÜNCHEN.de").unicode().as_deref(),
        Some("sip.münchen.de")
    );
    assert_eq!(sip("contoso.com").unicode(), None);
}

#[test]
fn the_database_holds_normal_forms_only() {
    for good in ["contoso.com", "xn--mnchen-3ya.de", "co.uk"] {
        // A suffix that was listed after the row was written must not make it unreadable.
        assert_eq!(
            SipDomain::from_database(good.into()).expect(good).as_str(),
            good
        );
        assert_eq!(
            AccessEdge::from_database(good.into()).expect(good).as_str(),
            good
        );
    }
    let wrong = [
        "",
        "contoso",
        "Contoso.com",
        "contoso.com.",
        " contoso.com",
        "münchen.de",
        "a@b.com",
        "1.2",
    ];
    for bad in wrong {
        assert_eq!(
            SipDomain::from_database(bad.into()),
            Err(NotNormal),
            "{bad:?}"
        );
    }
}

#[test]
fn a_pasted_list_is_split_in_order() {
    let pasted = "\u{feff}contoso.com, fabrikam.com;it.contoso.com\r\n\n\"d.com\"\t<e.com>\u{a0}f.com、\
                  g.com；,,; \u{2028}‘h.com’ '' \u{200b} b@i.com sip:j.com,contoso.com";
    let names: Vec<&str> = split_names(pasted).collect();
    assert_eq!(
        names,
        [
            "contoso.com",
            "fabrikam.com",
            "it.contoso.com",
            "d.com",
            "e.com",
            "f.com",
            "g.com",
            "h.com",
            "b@i.com",
            "sip:j.com",
            "contoso.com",
        ]
    );
    assert_eq!(split_names(" \n,;\"\" ").count(), 0);
}

#[test]
fn nothing_typed_is_in_debug_or_in_the_display_of_an_error() {
    let typed = "canary.contoso.com";
    assert_eq!(format!("{:?}", sip(typed)), "SipDomain(..)");
    assert_eq!(format!("{:#?}", edge(typed)), "AccessEdge(..)");
    assert_eq!(format!("{:?}", sip(typed).as_fqdn()), "Fqdn(..)");
    let error = parse(Sip, "person@canary.contoso.com").expect_err("an address");
    assert_eq!(error.suggestion(), Some(typed));
    assert_eq!(
        format!("{error:?}"),
        "NameError { problem: Address, suggestion: Some(\"..\") }"
    );
    assert_eq!(error.to_string(), "That is a person’s address");
}

#[test]
fn equal_names_are_equal_however_they_were_typed() {
    let typed = [
        "contoso.com",
        "CONTOSO.com.",
        "sip:contoso.com",
        "https://contoso.com/",
    ];
    let names: HashSet<SipDomain> = typed.into_iter().map(sip).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(format!("[{:>14}]", sip("contoso.com")), "[   contoso.com]");
}
