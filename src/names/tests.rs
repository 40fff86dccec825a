//! Every rule is checked, with the suggestion it promises, for all kinds of input.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{
    AccessEdge, Fqdn, NameError, NameProblem as P, NotNormal,
    Role::{self, AccessEdge as Edge, SipDomain as Sip},
    SipDomain, split_names,
};

fn parse(role: Role, typed: &str) -> Result<String, NameError> {
    match role {
        Edge => AccessEdge::parse(typed).map(|name| name.to_string()),
        Sip => SipDomain::parse(typed).map(|name| name.to_string()),
    }
}

fn sip(name: &str) -> SipDomain {
    SipDomain::parse(name).expect("a SIP domain")
}

fn edge(name: &str) -> AccessEdge {
    AccessEdge::parse(name).expect("an Access Edge FQDN")
}

/// Checks a table of texts that both roles refuse with the same error, and perhaps different
/// suggestions.
fn refused(rows: &[(&str, P, Option<&str>, Option<&str>)]) {
    for &(typed, problem, for_edge, for_sip) in rows {
        for (role, suggestion) in [(Edge, for_edge), (Sip, for_sip)] {
            let error = parse(role, typed).expect_err(typed);
            assert_eq!(error.problem(), problem, "{role:?} {typed:?}");
            assert_eq!(error.suggestion(), suggestion, "{role:?} {typed:?}");
        }
    }
}

fn label(length: usize) -> String {
    "a".repeat(length)
}

#[test]
fn harmless_differences_are_normalised_silently() {
    let rows = [
        ("sip.contoso.com", "sip.contoso.com"),
        ("  sip.contoso.com\r\n", "sip.contoso.com"),
        ("\u{a0}\u{3000}sip.contoso.com\u{a0}", "sip.contoso.com"),
        ("SIP.Contoso.COM", "sip.contoso.com"),
        ("sip.contoso.com.", "sip.contoso.com"),
        ("sip:sip.contoso.com", "sip.contoso.com"),
        ("SIPS:sip.contoso.com", "sip.contoso.com"),
        ("sip: sip.contoso.com", "sip.contoso.com"),
        ("https://sip.contoso.com", "sip.contoso.com"),
        ("HTTPS://sip.contoso.com/", "sip.contoso.com"),
        ("http://sip.contoso.com./", "sip.contoso.com"),
        ("\u{feff}sip.contoso.com\u{200b}", "sip.contoso.com"),
        ("\u{200e}sip.contoso.com \u{200e}", "sip.contoso.com"),
        ("sip.con\u{ad}toso.com", "sip.contoso.com"),
        ("sip。contoso．com｡", "sip.contoso.com"),
        ("ｓｉｐ．ｃｏｎｔｏｓｏ．ｃｏｍ", "sip.contoso.com"),
        ("\"sip.contoso.com\"", "sip.contoso.com"),
        ("“sip.contoso.com”", "sip.contoso.com"),
        ("<sip.contoso.com>", "sip.contoso.com"),
        ("sip.contoso.com,", "sip.contoso.com"),
        ("sip.contoso.com # ours", "sip.contoso.com"),
        ("@sip.contoso.com", "sip.contoso.com"),
        ("sip:@sip.contoso.com", "sip.contoso.com"),
        ("sip.contoso.com:5061", "sip.contoso.com"),
        ("sip.contoso.com：５０６１", "sip.contoso.com"),
        ("https://sip.contoso.com:5061/", "sip.contoso.com"),
        ("sip.München.de", "sip.xn--mnchen-3ya.de"),
        ("sip.XN--mnchen-3ya.de", "sip.xn--mnchen-3ya.de"),
        ("sip.faß.de", "sip.xn--fa-hia.de"),
        ("sip.3com.com", "sip.3com.com"),
        ("sip.l·l.cat", "sip.xn--ll-0ea.cat"),
        ("sip.नमस्ते.com", "sip.xn--h2bhs4b8d8a.com"),
        ("a.b.c.d.e.contoso.co.uk", "a.b.c.d.e.contoso.co.uk"),
    ];
    for (typed, expected) in rows {
        for role in [Edge, Sip] {
            assert_eq!(
                parse(role, typed).as_deref(),
                Ok(expected),
                "{role:?} {typed:?}"
            );
        }
        assert_eq!(Fqdn::parse(typed).expect(typed).as_str(), expected);
    }
}

/// RFC 6761, 6.2 and 6.5: software must not treat them as special.
#[test]
fn names_for_tests_serve_as_edge_and_as_domain() {
    for name in ["edge.test", "edge.example"] {
        for role in [Edge, Sip] {
            assert_eq!(parse(role, name).as_deref(), Ok(name), "{role:?}");
        }
    }
}

#[test]
fn an_address_is_refused_for_the_domain_in_it() {
    refused(&[
        ("user@contoso.com", P::Address, None, Some("contoso.com")),
        (
            "sip:user@contoso.com",
            P::Address,
            None,
            Some("contoso.com"),
        ),
        (
            "sip:user@it.contoso.com:5061",
            P::Address,
            Some("it.contoso.com"),
            Some("it.contoso.com"),
        ),
        (
            "mailto:User@Contoso.com",
            P::Address,
            None,
            Some("contoso.com"),
        ),
        (
            "A User <user@contoso.com>",
            P::Address,
            None,
            Some("contoso.com"),
        ),
        ("user＠contoso.com", P::Address, None, Some("contoso.com")),
        ("user@münchen.de", P::Address, None, Some("münchen.de")),
        (
            "user@tcp.contoso.com",
            P::Address,
            Some("tcp.contoso.com"),
            Some("tcp.contoso.com"),
        ),
        ("user@contoso", P::Address, None, None),
        ("user@192.0.2.1", P::Address, None, None),
        ("@@contoso.com", P::AtSign, None, Some("contoso.com")),
        ("@", P::Empty, None, None),
    ]);
}

#[test]
fn what_surrounds_a_name_is_refused_for_the_name() {
    let name = Some("sip.contoso.com");
    refused(&[
        ("sip.contoso.com:443", P::Port, name, name),
        ("https://sip.contoso.com:443/", P::Port, name, name),
        ("sip.contoso.com:5061;transport=tls", P::Port, name, name),
        ("https://sip.contoso.com/meet/", P::WebAddress, name, name),
        ("sip.contoso.com/", P::WebAddress, name, name),
        ("sip.contoso.com?x=1", P::WebAddress, name, name),
        ("sip.contoso.com#x", P::WebAddress, name, name),
        ("ldap://sip.contoso.com", P::WebAddress, name, name),
        ("sip://sip.contoso.com", P::WebAddress, name, name),
        (
            "https://sip.contoso.com:8443/meet?x",
            P::WebAddress,
            name,
            name,
        ),
        ("FQDN: sip.contoso.com", P::Label, name, name),
        ("FQDN:sip.contoso.com", P::Label, name, name),
        ("Server = sip.contoso.com", P::Label, name, name),
        ("(sip.contoso.com)", P::ForbiddenCharacter, name, name),
        (
            "https://contoso.com/meet",
            P::WebAddress,
            None,
            Some("contoso.com"),
        ),
        // Rewritten by a mail program: the link inside, or nothing.
        (
            "https://eur01.safelinks.protection.outlook.com/?url=http%3A%2F%2Fcontoso.com%2F",
            P::WebAddress,
            None,
            Some("contoso.com"),
        ),
        (
            "https://urldefense.com/v3/__https://contoso.com/__",
            P::WebAddress,
            None,
            Some("contoso.com"),
        ),
        (
            "https://eur01.safelinks.protection.outlook.com/?x=1",
            P::WebAddress,
            None,
            None,
        ),
    ]);
}

#[test]
fn ip_addresses_are_refused_in_every_dress() {
    for typed in [
        "192.0.2.1",
        "192.0.2.1:5061",
        "sip:192.0.2.1",
        "https://192.0.2.1/x",
        "192.0.2.0/24",
        "127.1",
        "contoso.1",
        "１９２.0.2.1",
        "192.0.2.¹",
        "127.0.0.0x7f",
        "2001:db8::1",
        "[2001:db8::1]",
        "[2001:db8::1]:5061",
        "https://[2001:db8::1]:5061/",
        "fe80::1%eth0",
        "::ffff:192.0.2.1",
    ] {
        refused(&[(typed, P::IpAddress, None, None)]);
        assert_eq!(Fqdn::parse(typed).expect_err(typed).problem(), P::IpAddress);
    }
}

#[test]
fn names_of_dns_records_are_refused_for_the_domain_below() {
    let domain = Some("contoso.com");
    refused(&[
        (
            "_sipfederationtls._tcp.contoso.com",
            P::RecordName,
            None,
            domain,
        ),
        (
            "_SipFederationTls._TCP.Contoso.com.",
            P::RecordName,
            None,
            domain,
        ),
        (
            "_sipfederationtls_tcp.contoso.com",
            P::RecordName,
            None,
            domain,
        ),
        (
            "_sipfederationtls.tcp.contoso.com",
            P::RecordName,
            None,
            domain,
        ),
        ("_sip._tls.contoso.com", P::RecordName, None, domain),
        (
            "_pic-portal.it.contoso.com",
            P::RecordName,
            Some("it.contoso.com"),
            Some("it.contoso.com"),
        ),
        (
            "_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.",
            P::RecordName,
            Some("sip.contoso.com"),
            domain,
        ),
        ("my_server.contoso.com", P::Underscore, None, None),
    ]);
}

#[test]
fn several_names_and_spaces_are_told_apart() {
    let name = Some("sip.contoso.com");
    refused(&[
        ("sip.contoso.com sip.fabrikam.com", P::Several, name, name),
        ("sip.contoso.com,sip.fabrikam.com", P::Several, name, name),
        (
            "sip.contoso.com;sip.fabrikam.com:5061",
            P::Several,
            name,
            name,
        ),
        ("sip.contoso.com\nsip.fabrikam.com", P::Several, name, name),
        ("sip.contoso.com. sip.fabrikam.com.", P::Several, name, name),
        (
            "contoso.com fabrikam.com",
            P::Several,
            None,
            Some("contoso.com"),
        ),
        (
            "contoso.com sip.contoso.com",
            P::Several,
            name,
            Some("contoso.com"),
        ),
        ("sip. contoso.com", P::Space, name, name),
        ("sip .contoso . com", P::Space, name, name),
        ("server sip.contoso.com", P::Space, name, name),
        ("A Person", P::Space, None, None),
    ]);
}

#[test]
fn wildcards_dots_hyphens_and_dashes() {
    let name = Some("sip.contoso.com");
    refused(&[
        ("*.contoso.com", P::Wildcard, None, Some("contoso.com")),
        (
            "*.it.contoso.com",
            P::Wildcard,
            Some("it.contoso.com"),
            Some("it.contoso.com"),
        ),
        ("s*p.contoso.com", P::Wildcard, None, None),
        ("sip..contoso.com", P::EmptyLabel, name, name),
        (".sip.contoso.com", P::EmptyLabel, name, name),
        ("sip.contoso.com..", P::EmptyLabel, name, name),
        ("..", P::EmptyLabel, None, None),
        ("-sip.contoso.com", P::Hyphen, name, name),
        ("sip.contoso.com-", P::Hyphen, name, name),
        ("sip.-contoso.com", P::Hyphen, None, None),
        ("sip.contoso-.com", P::Hyphen, None, None),
        ("si--p.contoso.com", P::ReservedHyphens, None, None),
        (
            "sip–edge.contoso.com",
            P::Dash,
            Some("sip-edge.contoso.com"),
            Some("sip-edge.contoso.com"),
        ),
        (
            "sip\u{2011}1.contoso.com",
            P::Dash,
            Some("sip-1.contoso.com"),
            Some("sip-1.contoso.com"),
        ),
    ]);
}

#[test]
fn characters_that_no_name_has() {
    let name = Some("sip.contoso.com");
    refused(&[
        ("sip\0.contoso.com", P::Invisible, name, name),
        ("sip.con\u{7}toso.com", P::Invisible, name, name),
        ("sip.con\u{202e}toso.com", P::Invisible, name, name),
        ("sip.contoso.com!", P::ForbiddenCharacter, None, None),
        ("sip.con$toso.com", P::ForbiddenCharacter, None, None),
        ("contoso\\user", P::ForbiddenCharacter, None, None),
        ("sip.❤.com", P::ForbiddenCharacter, None, None),
        ("sip.xn--qei.com", P::ForbiddenCharacter, None, None),
        ("sip.℀.com", P::ForbiddenCharacter, None, None),
        ("sip.xn--a.com", P::InvalidIdn, None, None),
        ("sip.xn--.com", P::InvalidIdn, None, None),
        ("sip.a\u{5d0}.com", P::InvalidIdn, None, None),
        ("sip.\u{301}a.com", P::InvalidIdn, None, None),
        ("sip.\u{fffd}.com", P::InvalidIdn, None, None),
    ]);
}

#[test]
fn lengths_are_bounded_at_label_name_and_text() {
    let at_most = format!("{}.contoso.com", label(63));
    assert_eq!(parse(Edge, &at_most).as_deref(), Ok(at_most.as_str()));
    refused(&[(
        &format!("{}.contoso.com", label(64)),
        P::LabelTooLong,
        None,
        None,
    )]);
    // 62 letters, one of them beyond ASCII, take more than 63 octets as an A-label.
    refused(&[(
        &format!("{}ü.contoso.com", label(61)),
        P::LabelTooLong,
        None,
        None,
    )]);

    let three = [label(63), label(63), label(63)].join(".");
    let longest = format!("{three}.{}.com", label(57));
    assert_eq!(longest.len(), 253);
    assert_eq!(
        parse(Sip, &format!("{longest}.")).as_deref(),
        Ok(longest.as_str())
    );
    refused(&[(
        &format!("{three}.{}.com", label(58)),
        P::TooLong,
        None,
        None,
    )]);

    let spaces = " ".repeat(1_000 - "a.contoso.com".len());
    assert!(parse(Sip, &format!("a.contoso.com{spaces}")).is_ok());
    refused(&[(&format!("a.contoso.com{spaces} "), P::TooLong, None, None)]);
}

#[test]
fn a_name_needs_a_dot() {
    refused(&[
        ("", P::Empty, None, None),
        (" \t\u{200b}\n", P::Empty, None, None),
        (".", P::Empty, None, None),
        ("https://", P::Empty, None, None),
        ("contoso", P::NoDot, None, None),
        ("Contoso.", P::NoDot, None, None),
        ("münchen", P::NoDot, None, None),
        ("com", P::NoDot, None, None),
        ("COM", P::NoDot, None, None),
        ("香港", P::NoDot, None, None),
        ("1234567", P::NoDot, None, None),
    ]);
}

#[test]
fn bare_public_suffixes_are_refused_but_not_those_of_companies() {
    for typed in [
        "co.uk",
        "com.au",
        "CO.UK.",
        "公司.cn",
        "xn--55qx5d.cn",
        "anything.ck",
    ] {
        refused(&[(typed, P::PublicSuffix, None, None)]);
        assert!(Fqdn::parse(typed).is_ok(), "a name all the same: {typed}");
    }
    for company in ["github.io", "azurewebsites.net", "s3.amazonaws.com"] {
        assert_eq!(parse(Sip, company).as_deref(), Ok(company));
    }
}

#[test]
fn names_that_nobody_can_have_federated_are_refused_in_both_roles() {
    let rows = [
        ("sipfed.online.lync.com", P::OnlineService),
        ("SIPFED2.Online.Lync.com.", P::OnlineService),
        ("sipdir.online.lync.com", P::OnlineService),
        ("sipfed.online.gov.skypeforbusiness.us", P::OnlineService),
        ("sipfed.online.dod.skypeforbusiness.us", P::OnlineService),
        ("sipfed.online.partner.lync.cn", P::OnlineService),
        ("federation.messenger.msn.com", P::OnlineService),
        ("contoso.onmicrosoft.com", P::OnlineTenant),
        ("contoso.mail.onmicrosoft.com", P::OnlineTenant),
        ("contoso.partner.onmschina.cn", P::OnlineTenant),
        ("outlook.com", P::PersonalAccounts),
        ("sip.hotmail.co.uk", P::PersonalAccounts),
        ("msn.com", P::PersonalAccounts),
        ("gmail.com", P::PersonalAccounts),
        ("edge01.contoso.local", P::InsideOnly("local")),
        ("contoso.local", P::InsideOnly("local")),
        ("contoso.internal", P::InsideOnly("internal")),
        ("contoso.lan", P::InsideOnly("lan")),
        ("contoso.corp", P::InsideOnly("corp")),
        ("contoso.home.arpa", P::InsideOnly("home.arpa")),
        ("contoso.invalid", P::NeverPublic("invalid")),
        ("1.2.0.192.in-addr.arpa", P::NeverPublic("arpa")),
    ];
    for (typed, problem) in rows {
        refused(&[(typed, problem, None, None)]);
        assert!(Fqdn::parse(typed).is_ok(), "a name all the same: {typed}");
        assert!(
            SipDomain::parse_any(typed).is_ok(),
            "to be searched for: {typed}"
        );
    }
    for near in [
        "sipfed.online.contoso.com",
        "notoutlook.com",
        "local.contoso.com",
    ] {
        assert!(SipDomain::parse(near).is_ok(), "{near}");
    }
    assert_eq!(
        SipDomain::parse_any("co.uk")
            .expect_err("many have it")
            .problem(),
        P::PublicSuffix
    );
}

#[test]
fn a_registered_name_is_a_sip_domain_and_no_server() {
    let rows = [
        ("contoso.com", "sip.contoso.com"),
        ("https://Contoso.com/", "sip.contoso.com"),
        ("contoso.co.uk", "sip.contoso.co.uk"),
        ("github.io", "sip.github.io"),
        ("www.ck", "sip.www.ck"),
        ("münchen.de", "sip.münchen.de"),
    ];
    for (typed, server) in rows {
        let error = AccessEdge::parse(typed).expect_err(typed);
        assert_eq!(error.problem(), P::NotAServer);
        assert_eq!(error.suggestion(), Some(server));
        assert!(SipDomain::parse(typed).is_ok());
        assert!(Fqdn::parse(typed).is_ok());
    }
}

#[test]
fn joiners_that_a_script_needs_stay_in_suggestions() {
    let persian = "نامه\u{200c}ای.com";
    let error = parse(Sip, &format!("user@{persian}")).expect_err("an address");
    assert_eq!(error.suggestion(), Some(persian));
    assert_eq!(
        parse(Edge, persian).expect_err("a domain").problem(),
        P::NotAServer
    );
}

#[test]
fn messages_say_what_to_type() {
    let rows = [
        (
            Sip,
            "user@contoso.com",
            "That is a person's address. Enter only the SIP domain: contoso.com",
        ),
        (
            Edge,
            "user@contoso.com",
            "That is a person's address. Enter only the server's name, like sip.contoso.com",
        ),
        (
            Edge,
            "fabrikam.com",
            "fabrikam.com is a SIP domain. Enter the server's name, like sip.fabrikam.com",
        ),
        (Edge, "", "Enter the server's name, like sip.contoso.com"),
        (Sip, " ", "Enter the SIP domain, like contoso.com"),
        (
            Edge,
            "sip.fabrikam.com:443",
            "The port is not part of the name. Enter only the server's name: sip.fabrikam.com",
        ),
        (
            Sip,
            "fabrikam",
            "The name is not complete: it needs a dot. Enter the SIP domain, like contoso.com",
        ),
        (
            Sip,
            "co.uk",
            "Many organisations share that ending. \
             Enter the SIP domain of your own organisation, like contoso.co.uk",
        ),
        (
            Sip,
            "_sipfederationtls._tcp.fabrikam.com",
            "That is the name of a DNS record. Enter only the SIP domain: fabrikam.com",
        ),
        (
            Edge,
            "192.0.2.1",
            "That looks like an IP address. Enter the server's name, like sip.contoso.com",
        ),
        (
            Sip,
            "*.fabrikam.com",
            "A name cannot contain a wildcard (*). Enter the SIP domain: fabrikam.com",
        ),
        (
            Edge,
            "sipfed.online.lync.com",
            "That is a server of the online service. Enter the external name of your own Access Edge, \
             which partners look up, like sip.contoso.com",
        ),
        (
            Sip,
            "fabrikam.local",
            "Names in .local work inside a network only: public DNS never has them. Enter a domain that \
             your organisation has registered and its users have after the @, like contoso.com",
        ),
    ];
    for (role, typed, message) in rows {
        assert_eq!(parse(role, typed).expect_err(typed).message(role), message);
    }
}

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
        "That is the server's own name, not a SIP domain. \
         Enter what stands after the @ in people's SIP addresses, like contoso.com"
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
    assert_eq!(error.to_string(), "That is a person's address");
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
