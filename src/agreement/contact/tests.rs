//! Contact information is refused or asked about, and numbers of every known shape are accepted.

use crate::agreement::{
    AgreementNumber, NumberProblem as P, NumberWarning as W,
    Programme::{self, HighVolume, PartnerNetwork, ServiceProvider, VolumeLicensing},
    warnings,
};

/// Numbers of known shapes, and such as programmes of unknown shapes may have: accepted without a
/// warning.
const TAKEN: &[(Programme, &str)] = &[
    (VolumeLicensing, "1234567"),
    (VolumeLicensing, "0123456"),
    (VolumeLicensing, "123-4567"),
    (VolumeLicensing, "123 45 67"),
    (VolumeLicensing, "012 3456"),
    (VolumeLicensing, "12345678ZZE1234"),
    (VolumeLicensing, "69123456ZZS0912"),
    (VolumeLicensing, "69123456zzs0912"),
    (VolumeLicensing, "69123456 ZZS 0912"),
    (VolumeLicensing, "01234567-ZZE-1234"),
    (VolumeLicensing, "123456789012345"),
    (PartnerNetwork, "4567890"),
    (PartnerNetwork, "4 567 890"),
    (PartnerNetwork, "0000001"),
    (ServiceProvider, "7654321"),
    (ServiceProvider, "765-4321"),
    (HighVolume, "1"),
    (HighVolume, "E1234567"),
    (HighVolume, "V1234567"),
    (HighVolume, "X20-12345"),
    (HighVolume, "01234567"),
    (HighVolume, "AB12CD34"),
    (HighVolume, "HVS12345678901234567890"),
    (HighVolume, "AT 1234567"),
];

/// Accepted with a warning about something else, which says that contact information must not be
/// entered.
const ODD: &[(Programme, &str)] = &[
    (VolumeLicensing, "E1234567"),
    (VolumeLicensing, "X20-12345"),
    (VolumeLicensing, "123456"),
    (VolumeLicensing, "SPLA1234567"),
    (PartnerNetwork, "12345678"),
    (PartnerNetwork, "ABC1"),
    (ServiceProvider, "V1234567"),
    (HighVolume, "ANNA1"),
];

/// As many digits as a telephone number: the form asks, whatever the programme.
const ASKED: &[&str] = &[
    "4255550100",
    "14255550100",
    "0151234567",
    "030123456",
    "015123456789",
    "442079460958",
    "12345678901234",
    "004915123456789",
];

/// Refused as contact information.
const REFUSED: &[&str] = &[
    "Anna Mustermann",
    "ANNA MUSTERMANN",
    "annamustermann",
    "anna",
    "Bo",
    "Anna Müller",
    "A. Mustermann",
    "O'Neill",
    "李 小龙",
    "Dr Anna Schmidt",
    "Mustermann 4255550100",
    "annamustermann at gmail com",
    "anna1 at gmail dot com",
    "anna (at) gmail com",
    "a1 at b2 de",
    "e-mail: a1",
    "mail a1 b2",
    "425-555-0100",
    "425 555 0100",
    "425.555.0100",
    "425\u{2011}555\u{2011}0100",
    "４２５-５５５-０１００",
    "(425) 555-0100",
    "1-425-555-0100",
    "+1 425 555 0100",
    "+14255550100",
    "+49 151 23456789",
    "0151 23456789",
    "\u{200b}0151\u{a0}23456789",
    "0151/23456789",
    "0151-2345678",
    "(030) 1234567",
    "030 123456 78",
    "0044 20 7946 0958",
    "Tel 4255550100",
    "Tel. 0151 23456789",
    "tel:+49-151-23456789",
    "TEL0151234567",
    "t e l 1",
    "Phone: 4255550100",
    "Fax 1234567",
    "mobile 015123456789",
    "Handy 0151",
    "Anna 0151 23456789",
    "T: 0151 2345678",
    "#0151 23456789",
    "Number: 4255550100",
    "1234567 ext 5",
];

#[test]
fn numbers_of_known_shapes_are_taken_without_a_word() {
    for (programme, typed) in TAKEN {
        let number = AgreementNumber::parse(typed).unwrap_or_else(|_| panic!("{typed}"));
        assert_eq!(warnings(*programme, &number), [], "{typed}");
        assert!(!number.could_be_telephone(), "{typed}");
    }
}

#[test]
fn what_is_odd_is_asked_about_and_told_that_no_contact_belongs_here() {
    for (programme, typed) in ODD {
        let number = AgreementNumber::parse(typed).unwrap_or_else(|_| panic!("{typed}"));
        let said: Vec<_> = warnings(*programme, &number)
            .iter()
            .map(W::message)
            .collect();
        assert!(
            said.concat().contains("name must not be entered here"),
            "{typed}: {said:?}"
        );
    }
}

#[test]
fn digits_of_a_telephone_number_are_asked_about() {
    for typed in ASKED {
        let number = AgreementNumber::parse(typed).unwrap_or_else(|_| panic!("{typed}"));
        assert!(number.could_be_telephone(), "{typed}");
        for programme in Programme::ALL {
            assert_eq!(warnings(programme, &number), [W::Telephone], "{typed}");
        }
    }
    let said = W::Telephone.message();
    assert!(said.contains("A telephone number or a name must not be entered here"));
}

#[test]
fn names_and_telephone_numbers_are_refused() {
    for typed in REFUSED {
        assert_eq!(AgreementNumber::parse(typed), Err(P::Contact), "{typed}");
    }
    for typed in ["anna@contoso.com", "mailto:anna"] {
        assert_eq!(
            AgreementNumber::parse(typed),
            Err(P::EmailAddress),
            "{typed}"
        );
    }
    let said = P::Contact.message(None);
    assert!(said.contains("We do not ask for names or other contact details"));
}

#[test]
fn a_number_behind_words_is_suggested() {
    for typed in [
        "Agreement 1234567",
        "ENROLLMENTNUMBER1234567",
        "Enrollment number: 123-4567",
        "Mustermann #1234567",
    ] {
        let problem = AgreementNumber::parse(typed).unwrap_err();
        let meant = problem.suggestion().map(AgreementNumber::as_str);
        assert_eq!(meant, Some("1234567"), "{typed}");
    }
}

/// People may write a number in any way when they sign in or search.
#[test]
fn a_stored_number_is_found_however_it_is_written() {
    for typed in ["425-555-0100", "(425) 555-0100", "425 555 0100"] {
        let found = AgreementNumber::parse_to_find(typed).ok();
        let wanted = AgreementNumber::from_database("4255550100").ok();
        assert_eq!(found == wanted, !typed.starts_with('('), "{typed}");
    }
}
