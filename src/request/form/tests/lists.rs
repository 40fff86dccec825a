//! Pasted lists of domains.

use super::*;

/// From the field: one of two hundred names is wrong.
#[test]
fn the_one_wrong_name_of_a_pasted_list_is_told_with_its_line() {
    let pasted = include_str!("../../../../tests/cases/form-which-of-many/domains.txt");
    let errors = form(|f| f.domains[0] = pasted.into()).check().unwrap_err();
    let [error] = errors.as_slice() else {
        panic!("one error")
    };
    assert_eq!((error.field, error.line), (Field::Domains(0), Some(121)));
    assert_eq!(
        error.message,
        "Line 121: A name cannot contain an underscore (_). Enter the SIP domain, like contoso.com. \
         You typed “my_firm.com”"
    );
}

/// From the field: the output of `Get-CsSipDomain`, a sentence, a link that a mail program rewrote.
#[test]
fn a_pasted_table_or_sentence_has_its_names_taken_and_no_name_is_made_up() {
    let table = include_str!("../../../../tests/cases/form-pasted-table/pasted.txt");
    for pasted in [table, "contoso.com and fabrikam.com"] {
        let checked = form(|f| f.domains[0] = pasted.into()).check().unwrap();
        let domains = &checked.wanted.routes.edges()[0].domains;
        let domains: Vec<_> = domains.iter().map(SipDomain::as_str).collect();
        assert_eq!(domains, ["contoso.com", "fabrikam.com"]);
        let told = |note: &Note| matches!(note, Note::LeftOut { edge: 0, .. });
        assert!(checked.notes.iter().any(told));
    }
    let link = "https://eur01.safelinks.protection.outlook.com/?url=http%3A%2F%2Fcontoso.com%2F";
    let linked = form(|f| f.domains[0] = link.into());
    assert_eq!(linked.offers(), ["contoso.com"]);
    for made_up in [
        "con toso.com",
        "lucerne,de",
        "contoso",
        "contoso.com, fabrikam",
    ] {
        let refused = form(|f| f.domains[0] = made_up.into());
        assert!(refused.check().is_err(), "{made_up}");
        assert_eq!(refused.offers(), [""; 0], "{made_up}");
    }
}

#[test]
fn all_offers_are_taken_at_once() {
    let mut form = form(|f| {
        f.edge[0] = "https://sip.contoso.com/meet".into();
        f.domains[0] = "user@contoso.com\nfabrikam.com\tManaged\nsip:b@münchen.de".into();
    });
    assert_eq!(form.check().unwrap_err().len(), 4);
    assert_eq!(
        form.offers(),
        ["sip.contoso.com", "contoso.com", "münchen.de"]
    );
    form.take_offers();
    assert_eq!(form.edge, ["sip.contoso.com"]);
    assert_eq!(form.domains, ["contoso.com\nfabrikam.com\nmünchen.de"]);
    assert!(form.check().is_ok());
    let (edge, domains) = (form.edge.clone(), form.domains.clone());
    form.take_offers();
    assert_eq!(
        (form.edge, form.domains),
        (edge, domains),
        "nothing is left to offer"
    );
}

/// From the field: a spreadsheet's columns, with headings that are no known words.
#[test]
fn of_a_table_with_an_address_in_a_column_the_names_alone_are_left_after_an_offer() {
    let mut form = form(|f| {
        f.domains[0] = "SIP domain\tUsers\tContact\ncontoso.com\t120\tuser@contoso.com".into();
    });
    assert_eq!(form.check().unwrap_err().len(), 1, "the address");
    form.take_offers();
    let checked = form.check().unwrap();
    assert_eq!(checked.wanted.routes.domain_count(), 1);
}

#[test]
fn a_message_has_no_address_and_no_telephone_number_of_a_list() {
    let faults = faults(|f| {
        f.domains[0] = format!("ted@contoso\n+1-425-555-0100\n{}", "x_".repeat(200));
    });
    assert_eq!(faults.len(), 3);
    for (_, message) in &faults {
        assert!(message.starts_with("Line "), "{message}");
        assert!(
            !message.contains("ted@") && !message.contains("555"),
            "{message}"
        );
        assert!(message.chars().count() < 300, "{message}");
    }
}

/// From the field: lines with notes, and two lists in which a name would have been lost.
#[test]
fn no_name_of_a_list_is_lost() {
    for pasted in [
        "contoso.com<br>fabrikam.com",
        "contoso.com/fabrikam.com",
        "contoso.com (main)\nfabrikam.com",
    ] {
        let checked = form(|f| f.domains[0] = pasted.into()).check().unwrap();
        assert_eq!(checked.wanted.routes.domain_count(), 2, "{pasted}");
    }
    let mut noted = form(|f| f.domains[0] = "contoso.com (main)\nbob@fabrikam.com".into());
    assert_eq!(noted.offers(), ["fabrikam.com"]);
    noted.take_offers();
    assert_eq!(noted.domains, ["contoso.com\nfabrikam.com"]);
    let two = form(|f| f.domains[0] = "bob@contoso.com, alice@contoso.com".into());
    assert_eq!(two.offers(), ["contoso.com"], "offered once");
    let link = "https://protect-eu.mimecast.com/s/AbCd?domain=contoso.com";
    assert_eq!(form(|f| f.domains[0] = link.into()).offers(), [""; 0]);
}

#[test]
fn a_list_of_comments_is_told_to_be_one() {
    let told = |typed: &str| faults(|f| f.domains[0] = typed.into()).remove(0).1;
    assert!(told("# contoso.com").ends_with("What stands behind a # is a comment and is not read"));
    assert!(!told(" ").contains("comment"));
}

#[test]
fn names_that_begin_with_the_numbers_of_their_lines_are_told() {
    for (typed, count) in [
        ("1.contoso.com\n2.fabrikam.com\n3.northwind.com", Some(3)),
        ("1.contoso.com\nfabrikam.com", None),
        ("1.contoso.com", None),
        ("2.contoso.com\n3.fabrikam.com", None),
    ] {
        let notes = form(|f| f.domains[0] = typed.into()).check().unwrap().notes;
        let told = notes.iter().find_map(|note| match note {
            Note::Numbered { count, .. } => Some(*count),
            _ => None,
        });
        assert_eq!(told, count, "{typed}");
    }
}

#[test]
fn an_ending_that_no_list_has_is_told_and_not_refused() {
    let checked = form(|f| {
        f.edge[0] = "sip.contoso.dmz".into();
        f.domains[0] = "contoso.con contoso.workgroup contoso.com contoso.co.uk a.example \
             münchen.de contoso.uk.com"
            .into();
    })
    .check()
    .unwrap();
    let told = checked.notes.iter().find_map(|note| match note {
        Note::UnknownEnding { names } => {
            Some(names.iter().map(crate::names::Fqdn::as_str).collect())
        }
        _ => None,
    });
    let unknown = vec!["sip.contoso.dmz", "contoso.con", "contoso.workgroup"];
    assert_eq!(told, Some(unknown));
}

#[test]
fn an_ip_address_is_shown_as_typed_and_a_telephone_number_is_not() {
    use crate::names::typed::shown;
    for (text, is_shown) in [
        ("192.0.2.101", true),
        ("my_firm.com", true),
        ("425-555-0100", false),
        ("main (Anna Mustermann, +1 425 555 0100)", false),
        ("user@contoso.com", false),
    ] {
        assert_eq!(shown(text).is_some(), is_shown, "{text}");
    }
}
