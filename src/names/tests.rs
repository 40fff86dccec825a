//! Every rule is checked, with the suggestion it promises, for all kinds of input.

mod parsed;
mod random;
mod refused;
mod suggested;

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
        ("sip.contoso.com:", "sip.contoso.com"),
        ("sip.contoso.com;transport=tls", "sip.contoso.com"),
        (
            "sip:sip.contoso.com:5061;transport=tls;a=1",
            "sip.contoso.com",
        ),
        ("**sip.contoso.com**", "sip.contoso.com"),
        ("_sip.contoso.com_", "sip.contoso.com"),
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
