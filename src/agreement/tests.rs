//! Every text that could be a number is accepted, and only unusual ones get a warning.

use proptest::prelude::*;

use super::{
    AgreementNumber, NumberProblem as P, NumberWarning as W,
    Programme::{self, HighVolume, PartnerNetwork, ServiceProvider, VolumeLicensing},
    UnknownProgramme, warnings,
};

fn number(text: &str) -> AgreementNumber {
    AgreementNumber::parse(text).expect("an agreement number")
}

#[test]
fn programmes_have_their_words() {
    let words = [
        "volume_licensing",
        "partner_network",
        "service_provider",
        "high_volume",
    ];
    assert_eq!(Programme::ALL.map(Programme::as_str), words);
    for programme in Programme::ALL {
        assert_eq!(programme.to_string().parse(), Ok(programme));
        assert!(programme.number_hint().ends_with('.') && !programme.label().is_empty());
    }
    for wrong in ["", "Volume_Licensing", " high_volume", "skype"] {
        assert_eq!(
            wrong.parse::<Programme>(),
            Err(UnknownProgramme),
            "{wrong:?}"
        );
    }
}

#[test]
fn programmes_name_their_numbers() {
    assert_eq!(
        Programme::ALL.map(Programme::number_label),
        [
            "Agreement number",
            "Headquarters (HQ) partner ID",
            "Initial enrollment number",
            "Product enrollment number",
        ]
    );
}

#[test]
fn numbers_are_normalised() {
    let rows = [
        ("1234567", "1234567"),
        ("  1234567\n", "1234567"),
        ("123 45\u{a0}67", "1234567"),
        ("123-45-67", "1234567"),
        ("123\u{2011}45–67—8−9", "123456789"),
        ("\u{feff}1234567\u{200b}", "1234567"),
        ("１２３４５６７", "1234567"),
        ("123\u{0}4567", "1234567"),
        ("69974548zzs1210", "69974548ZZS1210"),
        ("e 1 2 3", "E123"),
        (&"9".repeat(32), &"9".repeat(32)),
    ];
    for (typed, expected) in rows {
        assert_eq!(number(typed).as_str(), expected, "{typed:?}");
        assert_eq!(number(typed).to_string(), expected, "{typed:?}");
    }
}

#[test]
fn what_cannot_be_a_number_is_refused() {
    let rows = [
        ("", P::Empty),
        (" - \u{200b}\u{2013}", P::Empty),
        (&"9".repeat(33), P::TooLong),
        (&format!("1{}", " ".repeat(200)), P::TooLong),
        ("user@contoso.com", P::EmailAddress),
        ("Number: 1234567, user＠contoso.com", P::EmailAddress),
        ("mailto:user", P::EmailAddress),
        ("Agreement number: 123-4567", P::Label(number("1234567"))),
        ("#1234567", P::Label(number("1234567"))),
        ("No：１２３４５６７", P::Label(number("1234567"))),
        ("Enrollment no. # = 1234567", P::Label(number("1234567"))),
        // A label without a colon, as tables are copied.
        ("Enrollment number\t1234567", P::Label(number("1234567"))),
        ("OIL", P::Contact),
        ("agreement number:", P::Contact),
        ("12345:67", P::ForbiddenCharacter),
        ("1234567#", P::ForbiddenCharacter),
        ("12345/67", P::ForbiddenCharacter),
        ("+44 20 7946 0958", P::Contact),
        ("1234567é", P::ForbiddenCharacter),
        ("١٢٣٤٥٦٧", P::ForbiddenCharacter),
        ("ß", P::Contact),
        ("1ß", P::ForbiddenCharacter),
    ];
    for (typed, problem) in rows {
        assert_eq!(AgreementNumber::parse(typed), Err(problem), "{typed:?}");
    }
}

#[test]
fn problems_say_what_to_type() {
    let message = |typed| {
        AgreementNumber::parse(typed)
            .expect_err("no number")
            .message(None)
    };
    assert_eq!(message(""), "Enter the agreement number");
    let of_partner = AgreementNumber::parse("").expect_err("no number");
    assert_eq!(
        of_partner.message(Some(PartnerNetwork)),
        "Enter the headquarters (HQ) partner ID",
        "as its label"
    );
    for programme in Programme::ALL {
        let label = programme.number_label().to_lowercase();
        assert_eq!(label, programme.number_name().to_lowercase());
    }
    assert_eq!(
        message("user@contoso.com"),
        "That looks like an email address. We do not ask for contact details. \
         Enter only the agreement number"
    );
    // Spaces can be typed: the hint says so.
    assert_eq!(
        message("+41 44 123 45 67"),
        "That looks like words or a telephone number. We do not ask for names or other contact details. \
         If it is the agreement number, enter its letters and digits alone, like 1234567"
    );
    assert_eq!(
        message("#1234567"),
        "Leave out the words or signs before the number. Enter only: 1234567"
    );
    let labelled = AgreementNumber::parse("#1234567").expect_err("labelled");
    assert_eq!(labelled.suggestion(), Some(&number("1234567")));
}

#[test]
fn only_odd_numbers_are_remarked_on() {
    let digits = |text: &str| vec![W::LettersForDigits(number(text))];
    let rows = [
        (VolumeLicensing, "1234567", vec![]),
        (VolumeLicensing, "69974548ZZS1210", vec![]),
        (VolumeLicensing, "123456789012345", vec![]),
        (VolumeLicensing, "12345678", vec![W::OpenLicense]),
        (
            VolumeLicensing,
            "1234567A",
            vec![W::UnusualShape(VolumeLicensing)],
        ),
        (
            VolumeLicensing,
            "123456",
            vec![W::UnusualShape(VolumeLicensing)],
        ),
        (PartnerNetwork, "1234567", vec![]),
        (
            PartnerNetwork,
            "12345678",
            vec![W::UnusualShape(PartnerNetwork)],
        ),
        (
            PartnerNetwork,
            "123456A",
            vec![W::UnusualShape(PartnerNetwork)],
        ),
        (ServiceProvider, "1234567", vec![]),
        (
            ServiceProvider,
            "123456789012345",
            vec![W::UnusualShape(ServiceProvider)],
        ),
        (HighVolume, "1", vec![]),
        (HighVolume, "HVS12345678901234567890", vec![]),
        // One mistyped letter: the shape is that of the number as it was meant.
        (VolumeLicensing, "12345O7", digits("1234507")),
        (PartnerNetwork, "I234567", digits("1234567")),
        (ServiceProvider, "l23456o", digits("1234560")),
        (HighVolume, "99O", digits("990")),
        (
            VolumeLicensing,
            "1234567O",
            vec![W::LettersForDigits(number("12345670")), W::OpenLicense],
        ),
        (VolumeLicensing, "69974548ZZO1210", vec![]),
        (
            VolumeLicensing,
            "SPLA1234567",
            vec![W::BeginsWithWord(number("1234567"))],
        ),
    ];
    for (programme, typed, expected) in rows {
        assert_eq!(
            warnings(programme, &number(typed)),
            expected,
            "{programme} {typed}"
        );
    }
}

#[test]
fn warnings_show_the_number_as_it_may_be_meant() {
    let slip = warnings(VolumeLicensing, &number("12345O7"));
    assert_eq!(slip.len(), 1);
    assert!(slip[0].message().ends_with(": 1234507"));
    assert_eq!(slip[0].suggestion(), Some(&number("1234507")));

    let license = W::OpenLicense.message();
    assert!(license.contains("Open license") && license.contains("authorization number"));

    let of_each = Programme::ALL.map(|programme| W::UnusualShape(programme).message());
    assert!(of_each[1].contains("HQ") && of_each[2].contains("initial"));
}

#[test]
fn the_database_holds_normal_forms_only() {
    assert_eq!(AgreementNumber::from_database("123A"), Ok(number("123a")));
    for wrong in ["", "123a", "12 3", "12-3", "#123", "１"] {
        assert!(AgreementNumber::from_database(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn nothing_typed_is_in_debug_or_in_the_display_of_a_problem() {
    assert_eq!(format!("{:?}", number("7654321")), "AgreementNumber(..)");
    let problem = AgreementNumber::parse("#7654321").expect_err("labelled");
    assert_eq!(format!("{problem:?}"), "Label(AgreementNumber(..))");
    assert_eq!(
        problem.to_string(),
        "the agreement number has a label before it"
    );
    assert!(!format!("{:?}", warnings(HighVolume, &number("765432O"))).contains("765432"));
}

fn typed() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1", "7", "0", "O", "i", "L", "a", "Z", "é", "ß", "ı", " ", "\t", "\u{a0}", "-", "–",
        "\u{2011}", "１", "Ａ", "#", ":", "=", "@", ".", "/", "\0", "\u{200b}", "mailto:",
        "Number",
    ]);
    let pieces = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    prop_oneof![any::<String>(), pieces, "[A-Za-z0-9 -]{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn a_number_is_in_its_normal_form_and_parses_back(typed in typed()) {
        match AgreementNumber::parse(&typed) {
            Ok(number) => {
                let text = number.to_string();
                prop_assert!((1..=32).contains(&text.len()));
                prop_assert!(text.chars().all(|c| matches!(c, 'A'..='Z' | '0'..='9')));
                prop_assert_eq!(AgreementNumber::from_database(&text), Ok(number.clone()));
                prop_assert_eq!(text.parse(), Ok(number));
            }
            Err(problem) => {
                if let Some(number) = problem.suggestion() {
                    prop_assert_eq!(&AgreementNumber::parse(number.as_str()), &Ok(number.clone()));
                }
            }
        }
    }

    #[test]
    fn what_a_warning_suggests_is_another_number(typed in "[0-9OILA-Z]{1,16}") {
        let Ok(number) = AgreementNumber::parse(&typed) else {
            return Ok(());
        };
        for programme in Programme::ALL {
            for warning in warnings(programme, &number) {
                prop_assert!(warning.suggestion().is_none_or(|other| *other != number));
                prop_assert!(!warning.message().contains('!'));
            }
        }
    }

    #[test]
    fn debug_never_shows_what_was_typed(digits in "[0-9]{7}", sign in "[#:@O]?") {
        let text = format!("{sign}{digits}");
        let shown = format!("{:?}", AgreementNumber::parse(&text).map(|n| warnings(VolumeLicensing, &n)));
        prop_assert!(!shown.contains(&digits), "{}", shown);
    }
}

#[test]
fn a_masked_number_shows_half_of_it_at_most() {
    for (number, masked) in [
        ("E1234589", "E1****89"),
        ("1234567", "1*****7"),
        ("123456789012345", "12***********45"),
        ("1234", "1**4"),
        ("123", "***"),
        ("1", "*"),
    ] {
        let number = AgreementNumber::parse(number).unwrap();
        assert_eq!(number.masked(), masked);
    }
}
