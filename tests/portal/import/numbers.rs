//! Checks that names and telephone numbers are refused in the column of agreement numbers.

use super::{Place, refused, succeeded};
use crate::support::assert_says;

const HEADERS: &str = "programme,number,edge,domain,state\n";

#[tokio::test]
async fn names_and_telephone_numbers_are_refused_by_their_line() {
    let place = Place::new().await;
    let lines = "\
        VL,1234567,sip.a.example,a.example,Activated\n\
        VL,Anna MARK,sip.b.example,b.example,Activated\n\
        HVS,425-555-0100,sip.c.example,c.example,Activated\n\
        HVS,MARK at gmail com,sip.d.example,d.example,Activated\n\
        HVS,015123456789,sip.e.example,e.example,Activated\n";
    let file = place.file("old.csv", &format!("{HEADERS}{lines}"));
    for (more, told) in [(&[][..], 4), (&["--numbers-checked"], 3)] {
        let fault = refused(&place.import(&file, more).await);
        for line in 3..3 + told {
            let said = format!("line {line}, column number: ");
            assert!(fault.contains(&said), "{said}: {fault}");
        }
        assert_eq!(fault.matches(", column number: ").count(), told, "{fault}");
        for value in ["Anna", "555", "gmail", "0151"] {
            assert!(!fault.contains(value), "{fault}");
        }
        assert!(!place.keys("old.csv").exists());
    }
    assert_eq!(place.portal.number("SELECT count(*) FROM service").await, 0);
}

#[tokio::test]
async fn digits_come_over_once_they_were_checked() {
    let place = Place::new().await;
    let line = "HVS,4255550100,sip.a.example,a.example,Activated\n";
    let file = place.file("old.csv", &format!("{HEADERS}{line}"));
    let fault = refused(&place.import(&file, &[]).await);
    assert_says(&fault, "add --numbers-checked");
    succeeded(&place.import(&file, &["--numbers-checked"]).await);
    let stored = "SELECT count(*) FROM service WHERE number = '4255550100'";
    assert_eq!(place.portal.number(stored).await, 1);
}
