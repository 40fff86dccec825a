//! What is suggested in place of what is refused, and of what nothing is.

use super::{refused::refused, *};

/// The host is a gateway's or a portal's, and the name that is meant stands behind it.
#[test]
fn of_an_address_that_leads_elsewhere_the_host_is_not_suggested() {
    for typed in [
        "https://protect-eu.mimecast.com/s/AbCd?domain=contoso.com",
        "https://eu-central-1.protection.sophos.com?d=contoso.com&u=aHR0",
        "https://portal.office.com/adminportal/home#/Domains/Details/contoso.com",
        "admin.microsoft.com/Adminportal/Home?#/Domains/Details/contoso.com",
        "contoso.com/fabrikam.com",
    ] {
        refused(&[(typed, P::WebAddress, "", "")]);
    }
}

#[test]
fn several_names_and_spaces_are_told_apart() {
    let name = "sip.contoso.com";
    refused(&[
        // A part of what was typed is never suggested.
        ("sip.contoso.com sip.fabrikam.com", P::Several, "", ""),
        ("sip.contoso.com,sip.fabrikam.com", P::Several, "", ""),
        ("sip.contoso.com;sip.fabrikam.com:5061", P::Several, "", ""),
        ("sip.contoso.com\nsip.fabrikam.com", P::Several, "", ""),
        ("sip.contoso.com. sip.fabrikam.com.", P::Several, "", ""),
        ("contoso.com<br>fabrikam.com", P::Several, "", ""),
        ("contoso.com sip.contoso.com", P::Several, "", ""),
        (
            "[sip.contoso.com](http://sip.fabrikam.com/)",
            P::Several,
            "",
            "",
        ),
        ("sip.contoso.com SIP.contoso.com", P::Several, name, name),
        ("sip.contoso.com: 12 users", P::Space, name, name),
        ("sip. contoso.com", P::Space, name, name),
        ("sip .contoso . com", P::Space, name, name),
        ("server sip.contoso.com", P::Space, name, name),
        ("A Person", P::Space, "", ""),
    ]);
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

/// Of what may be a part of a name, or of a person's address, nothing is suggested.
#[test]
fn no_part_of_a_name_and_no_person_is_suggested() {
    for text in [
        "ann.smith@",
        "ann.smith@ contoso",
        "contoso.co...",
        "contoso.co\u{2026}",
        "o'reilly.com",
        "O\u{2019}Reilly.com",
        "contoso -group.com",
        "contoso.com:fabrikam.com",
    ] {
        for role in [Edge, Sip] {
            let error = parse(role, text).unwrap_err();
            assert_eq!(error.suggestion(), None, "{role:?} {text}");
        }
    }
    for text in [
        "1. sip.contoso.com",
        "Ann. sip.contoso.com",
        "sip.contoso.com. Smith",
    ] {
        let error = AccessEdge::parse(text).unwrap_err();
        assert_eq!(error.suggestion(), None, "{text}");
    }
    for text in [
        "ann.smith @contoso.com",
        "ann.smith @ contoso.com",
        "ann.smith (at) contoso.com",
        "ann.smith [AT] contoso.com",
    ] {
        let error = SipDomain::parse(text).unwrap_err();
        assert_eq!(error.problem(), P::Address, "{text}");
        assert_eq!(error.suggestion(), Some("contoso.com"), "{text}");
    }
    let link = "https://urldefense.proofpoint.com/v2/url?u=https-3A__contoso-2Dgroup.com_&d=x";
    let error = SipDomain::parse(link).unwrap_err();
    assert_eq!(error.suggestion(), Some("contoso-group.com"));
}
