//! Judges the names of certificates: of the edge, of the domains, and what is hardly a name.

use rcgen::{DnType, SanType};

use super::certificates::{FINE, NAMES, of};
use crate::support::edge::server;

#[tokio::test]
async fn another_name() {
    let mut params = server(&["mail.contoso.com", "sip.fabrikam.com", "*.eu.contoso.com"]);
    params
        .distinguished_name
        .push(DnType::CommonName, "edge.contoso.com");
    assert_eq!(
        of(&params).await,
        "blocking certificate-name | sip.contoso.com among the subject alternative names | \
         for mail.contoso.com; for sip.fabrikam.com; for *.eu.contoso.com; \
         the subject is edge.contoso.com"
    );
}

#[tokio::test]
async fn no_name_at_all() {
    assert_eq!(
        of(&server(&[])).await,
        "blocking certificate-name | sip.contoso.com among the subject alternative names | \
         no DNS name among the subject alternative names\n\
         warning certificate-domain-san | sip. and each SIP domain among the subject alternative \
         names | sip.fabrikam.com is missing"
    );
}

/// A dot at the end of a common name is what makes it another name, so it is shown.
#[tokio::test]
async fn a_subject_with_a_dot_at_its_end() {
    let mut params = server(&["sip.fabrikam.com"]);
    let subject = &mut params.distinguished_name;
    subject.push(DnType::CommonName, "SIP.contoso.com.");
    assert_eq!(
        of(&params).await,
        "blocking certificate-name | sip.contoso.com among the subject alternative names | \
         for sip.fabrikam.com; the subject is sip.contoso.com."
    );
}

#[tokio::test]
async fn what_is_personal_is_not_told() {
    let mut params = server(&["mail.contoso.com", "sip.fabrikam.com"]);
    let names = ["ann@contoso.com", "ann.smith@mail.contoso.com"];
    for name in names {
        let email = SanType::Rfc822Name(name.try_into().unwrap());
        let dns = SanType::DnsName(name.try_into().unwrap());
        params.subject_alt_names.extend([email, dns]);
    }
    let numbers = SanType::DnsName("10.1.2.3".try_into().unwrap());
    params.subject_alt_names.push(numbers);
    for kind in [DnType::CommonName, DnType::OrganizationName] {
        params.distinguished_name.push(kind, "Ann Smith");
    }
    let said = of(&params).await;
    assert!(said.contains("mail.contoso.com"));
    assert!(said.contains("; 5 more entries, which are no names of servers"));
    for word in ["ann", "Ann", "mith", "Test", "10.1"] {
        assert!(!said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn what_was_meant_as_a_name_is_told_to_the_letter() {
    let mut params = server(&["sip.fabrikam.com"]);
    let odd = [
        "sip.contoso.com.",
        "sip.contoso.com ",
        "https://sip.contoso.com",
        "sip.contoso.com:5061",
        "a.contoso.com;b.contoso.com",
    ];
    let hidden = [
        "Ann Smith",
        "sip:ann@contoso.com",
        "https://10.1.2.3/",
        "10.1.2.3 sip.contoso.com",
    ];
    for entry in odd.iter().chain(&hidden) {
        let name = SanType::DnsName((*entry).try_into().unwrap());
        params.subject_alt_names.push(name);
    }
    let said = of(&params).await;
    for entry in odd {
        let told = format!("an entry that is no DNS name: \"{entry}\"");
        assert!(said.contains(&told), "{entry} {said}");
    }
    for word in ["Ann", "ann", "10.1"] {
        assert!(!said.contains(word), "{word} {said}");
    }
}

#[tokio::test]
async fn the_name_in_the_subject_alone() {
    let named = |names: &[&str]| {
        let mut params = server(names);
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CommonName, "SIP.contoso.com");
        params
    };
    let alone = "sip.contoso.com among the subject alternative names | \
                 sip.contoso.com stands in the subject alone; ";
    let none = "no DNS name among the subject alternative names";
    let missing = "\nwarning certificate-domain-san | sip. and each SIP domain among the subject \
                   alternative names | sip.fabrikam.com is missing";
    assert_eq!(
        of(&named(&[])).await,
        format!(
            "{}\nwarning certificate-cn-only | {alone}{none}{missing}",
            FINE.replace("for sip.contoso.com; for sip.fabrikam.com", none)
        )
    );
    // Where there are alternative names it does not count, whatever kind they are of.
    let unfit = "the subject does not count where there are subject alternative names; ";
    assert_eq!(
        of(&named(&["sip.fabrikam.com"])).await,
        format!("blocking certificate-name | {alone}{unfit}for sip.fabrikam.com")
    );
    for other in [
        SanType::URI("sip:fabrikam.com".try_into().unwrap()),
        SanType::IpAddress([192, 0, 2, 1].into()),
        SanType::Rfc822Name("zoe@contoso.com".try_into().unwrap()),
        SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 7], "_sips.contoso.com".into())),
    ] {
        let mut params = named(&[]);
        params.subject_alt_names.push(other);
        let said = of(&params).await;
        let other = "; 1 more entry, which is no name of a server";
        let expected = format!("blocking certificate-name | {alone}{unfit}{none}{other}{missing}");
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn wildcards() {
    let told = "\nwarning certificate-wildcard | sip.contoso.com itself, and no wildcard | ";
    assert_eq!(
        of(&server(&["*.contoso.com", "sip.fabrikam.com"])).await,
        FINE.replace("for sip.contoso.com;", "for *.contoso.com;") + told + "for *.contoso.com"
    );
    let mut params = server(&NAMES);
    params
        .distinguished_name
        .push(DnType::CommonName, "*.contoso.com");
    assert_eq!(
        of(&params).await,
        FINE.to_owned() + told + "the subject is *.contoso.com"
    );
    // A wildcard stands for one label, whole and in front.
    for name in [
        "*.com",
        "*.sip.contoso.com",
        "*.*.com",
        "s*.contoso.com",
        "sip.*.com",
    ] {
        let said = of(&server(&[name, "sip.fabrikam.com"])).await;
        let wrong = "blocking certificate-name | sip.contoso.com among the subject alternative \
                     names | for ";
        assert!(said.starts_with(&format!("{wrong}{name};")), "{said}");
    }
}

#[tokio::test]
async fn a_domain_is_missing() {
    assert_eq!(
        of(&server(&["sip.contoso.com"])).await,
        FINE.replace("; for sip.fabrikam.com", "")
            + "\nwarning certificate-domain-san | sip. and each SIP domain among the subject \
               alternative names | sip.fabrikam.com is missing"
    );
    let covered = of(&server(&["sip.contoso.com", "*.fabrikam.com"])).await;
    assert_eq!(covered, FINE.replace("sip.fabrikam.com", "*.fabrikam.com"));
}
