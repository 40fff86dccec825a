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
