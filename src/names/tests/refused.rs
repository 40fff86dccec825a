//! What is refused, and the message and the suggestion for it.

use super::*;

/// Checks a table of texts that both roles refuse with the same error, and perhaps different
/// suggestions; empty: none.
pub(super) fn refused(rows: &[(&str, P, &str, &str)]) {
    for &(typed, problem, for_edge, for_sip) in rows {
        for (role, suggestion) in [(Edge, for_edge), (Sip, for_sip)] {
            let error = parse(role, typed).expect_err(typed);
            assert_eq!(error.problem(), problem, "{role:?} {typed:?}");
            let suggested = error.suggestion().unwrap_or_default();
            assert_eq!(suggested, suggestion, "{role:?} {typed:?}");
        }
    }
}

fn label(length: usize) -> String {
    "a".repeat(length)
}

#[test]
fn an_address_is_refused_for_the_domain_in_it() {
    refused(&[
        ("user@contoso.com", P::Address, "", "contoso.com"),
        ("sip:user@contoso.com", P::Address, "", "contoso.com"),
        (
            "sip:user@it.contoso.com:5061",
            P::Address,
            "it.contoso.com",
            "it.contoso.com",
        ),
        ("mailto:User@Contoso.com", P::Address, "", "contoso.com"),
        ("A User <user@contoso.com>", P::Address, "", "contoso.com"),
        ("user＠contoso.com", P::Address, "", "contoso.com"),
        ("user@münchen.de", P::Address, "", "münchen.de"),
        (
            "user@tcp.contoso.com",
            P::Address,
            "tcp.contoso.com",
            "tcp.contoso.com",
        ),
        ("user@contoso", P::Address, "", ""),
        ("user@192.0.2.1", P::Address, "", ""),
        ("@@contoso.com", P::AtSign, "", "contoso.com"),
        ("contoso.com@", P::AtSign, "", ""),
        ("@", P::Empty, "", ""),
    ]);
}

#[test]
fn what_surrounds_a_name_is_refused_for_the_name() {
    let name = "sip.contoso.com";
    refused(&[
        ("sip.contoso.com:443", P::Port, name, name),
        ("https://sip.contoso.com:443/", P::Port, name, name),
        ("sip.contoso.com:443;transport=tls", P::Port, name, name),
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
        ("https://contoso.com/meet", P::WebAddress, "", "contoso.com"),
        // Rewritten by a mail program: the link inside, or nothing.
        (
            "https://eur01.safelinks.protection.outlook.com/?url=http%3A%2F%2Fcontoso.com%2F",
            P::WebAddress,
            "",
            "contoso.com",
        ),
        (
            "https://urldefense.com/v3/__https://contoso.com/__",
            P::WebAddress,
            "",
            "contoso.com",
        ),
        (
            "https://eur01.safelinks.protection.outlook.com/?x=1",
            P::WebAddress,
            "",
            "",
        ),
        (
            "https://urldefense.proofpoint.com/v2/url?u=http-3A__contoso.com_&d=x",
            P::WebAddress,
            "",
            "contoso.com",
        ),
        (
            "https://contoso.com/meet?back=https://www.contoso.com/x",
            P::WebAddress,
            "www.contoso.com",
            "www.contoso.com",
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
        refused(&[(typed, P::IpAddress, "", "")]);
        assert_eq!(Fqdn::parse(typed).expect_err(typed).problem(), P::IpAddress);
    }
}

#[test]
fn names_of_dns_records_are_refused_for_the_domain_below() {
    let domain = "contoso.com";
    refused(&[
        (
            "_sipfederationtls._tcp.contoso.com",
            P::RecordName,
            "",
            domain,
        ),
        (
            "_SipFederationTls._TCP.Contoso.com.",
            P::RecordName,
            "",
            domain,
        ),
        (
            "_sipfederationtls_tcp.contoso.com",
            P::RecordName,
            "",
            domain,
        ),
        (
            "_sipfederationtls.tcp.contoso.com",
            P::RecordName,
            "",
            domain,
        ),
        ("_sip._tls.contoso.com", P::RecordName, "", domain),
        (
            "_pic-portal.it.contoso.com",
            P::RecordName,
            "it.contoso.com",
            "it.contoso.com",
        ),
        (
            "_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.",
            P::RecordName,
            "sip.contoso.com",
            domain,
        ),
        ("my_server.contoso.com", P::Underscore, "", ""),
    ]);
}

#[test]
fn wildcards_dots_hyphens_and_dashes() {
    let name = "sip.contoso.com";
    refused(&[
        ("*.contoso.com", P::Wildcard, "", "contoso.com"),
        (
            "*.it.contoso.com",
            P::Wildcard,
            "it.contoso.com",
            "it.contoso.com",
        ),
        ("s*p.contoso.com", P::Wildcard, "", ""),
        ("sip..contoso.com", P::EmptyLabel, name, name),
        (".sip.contoso.com", P::EmptyLabel, name, name),
        ("sip.contoso.com..", P::EmptyLabel, name, name),
        ("..", P::EmptyLabel, "", ""),
        ("-sip.contoso.com", P::Hyphen, name, name),
        ("sip.contoso.com-", P::Hyphen, name, name),
        ("sip.-contoso.com", P::Hyphen, "", ""),
        ("sip.contoso-.com", P::Hyphen, "", ""),
        ("si--p.contoso.com", P::ReservedHyphens, "", ""),
        (
            "sip–edge.contoso.com",
            P::Dash,
            "sip-edge.contoso.com",
            "sip-edge.contoso.com",
        ),
        (
            "sip\u{2011}1.contoso.com",
            P::Dash,
            "sip-1.contoso.com",
            "sip-1.contoso.com",
        ),
    ]);
}

#[test]
fn characters_that_no_name_has() {
    let name = "sip.contoso.com";
    refused(&[
        ("sip\0.contoso.com", P::Invisible, name, name),
        ("sip.con\u{7}toso.com", P::Invisible, name, name),
        ("sip.con\u{202e}toso.com", P::Invisible, name, name),
        ("sip.contoso.com!", P::ForbiddenCharacter, "", ""),
        ("sip.con$toso.com", P::ForbiddenCharacter, "", ""),
        ("contoso\\user", P::ForbiddenCharacter, "", ""),
        ("sip.❤.com", P::ForbiddenCharacter, "", ""),
        ("sip.xn--qei.com", P::ForbiddenCharacter, "", ""),
        ("sip.℀.com", P::ForbiddenCharacter, "", ""),
        ("sip.xn--a.com", P::InvalidIdn, "", ""),
        ("sip.xn--.com", P::InvalidIdn, "", ""),
        ("sip.a\u{5d0}.com", P::InvalidIdn, "", ""),
        ("sip.\u{301}a.com", P::InvalidIdn, "", ""),
        ("sip.\u{fffd}.com", P::InvalidIdn, "", ""),
    ]);
}

#[test]
fn lengths_are_bounded_at_label_name_and_text() {
    let at_most = format!("{}.contoso.com", label(63));
    assert_eq!(parse(Edge, &at_most).as_deref(), Ok(at_most.as_str()));
    refused(&[(
        &format!("{}.contoso.com", label(64)),
        P::LabelTooLong,
        "",
        "",
    )]);
    // 62 letters, one of them beyond ASCII, take more than 63 octets as an A-label.
    refused(&[(
        &format!("{}ü.contoso.com", label(61)),
        P::LabelTooLong,
        "",
        "",
    )]);

    let three = [label(63), label(63), label(63)].join(".");
    let longest = format!("{three}.{}.com", label(57));
    assert_eq!(longest.len(), 253);
    assert_eq!(
        parse(Sip, &format!("{longest}.")).as_deref(),
        Ok(longest.as_str())
    );
    refused(&[(&format!("{three}.{}.com", label(58)), P::TooLong, "", "")]);

    let spaces = " ".repeat(1_000 - "a.contoso.com".len());
    assert!(parse(Sip, &format!("a.contoso.com{spaces}")).is_ok());
    refused(&[(&format!("a.contoso.com{spaces} "), P::TooLong, "", "")]);
}

#[test]
fn a_name_needs_a_dot() {
    refused(&[
        ("", P::Empty, "", ""),
        (" \t\u{200b}\n", P::Empty, "", ""),
        (".", P::Empty, "", ""),
        ("https://", P::Empty, "", ""),
        ("contoso", P::NoDot, "", ""),
        ("Contoso.", P::NoDot, "", ""),
        ("münchen", P::NoDot, "", ""),
        ("com", P::NoDot, "", ""),
        ("COM", P::NoDot, "", ""),
        ("香港", P::NoDot, "", ""),
        ("1234567", P::NoDot, "", ""),
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
        refused(&[(typed, P::PublicSuffix, "", "")]);
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
        ("contoso.mail.protection.outlook.com", P::OnlineService),
        ("contoso.onmicrosoft.com", P::OnlineTenant),
        ("contoso.mail.onmicrosoft.com", P::OnlineTenant),
        ("contoso.partner.onmschina.cn", P::OnlineTenant),
        ("outlook.com", P::PersonalAccounts),
        ("sip.hotmail.co.uk", P::PersonalAccounts),
        ("msn.com", P::PersonalAccounts),
        ("hotmail.co.th", P::PersonalAccounts),
        ("yahoo.com.au", P::PersonalAccounts),
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
        refused(&[(typed, problem, "", "")]);
        assert!(Fqdn::parse(typed).is_ok(), "a name all the same: {typed}");
        assert!(
            SipDomain::parse_any(typed).is_ok(),
            "to be searched for: {typed}"
        );
    }
    for near in [
        "sipfed.online.contoso.com",
        "notoutlook.com",
        "zoho.com",
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
fn messages_say_what_to_type() {
    let rows = [
        (
            Sip,
            "user@contoso.com",
            "That is a person’s address. Enter only the SIP domain: contoso.com",
        ),
        (
            Edge,
            "user@contoso.com",
            "That is a person’s address. Enter only the server’s name, like sip.contoso.com",
        ),
        (
            Edge,
            "fabrikam.com",
            "fabrikam.com is a SIP domain. Enter the server’s name, like sip.fabrikam.com",
        ),
        (Edge, "", "Enter the server’s name, like sip.contoso.com"),
        (Sip, " ", "Enter the SIP domain, like contoso.com"),
        (
            Edge,
            "sip.fabrikam.com:443",
            "The port is not part of the name. Enter only the server’s name: sip.fabrikam.com",
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
            "That looks like an IP address. Enter the server’s name, like sip.contoso.com",
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
        (
            Sip,
            "edge.in-addr.arpa",
            "Names in .arpa are for other uses: public DNS has no servers and no SIP domains there. Enter \
             a domain that your organisation has registered and its users have after the @, like contoso.com",
        ),
        (
            Edge,
            "sip.contoso.com sip.fabrikam.com",
            "There is more than one name here. Enter only the server’s name, like sip.contoso.com",
        ),
    ];
    for (role, typed, message) in rows {
        assert_eq!(parse(role, typed).expect_err(typed).message(role), message);
    }
}
