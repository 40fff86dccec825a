//! Compares the names that SQL takes with those that the rule of RFC 1123 for hosts allows.

use pic_portal::db::MIGRATOR;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::support::{db::TestDb, sql};

/// RFC 1123, section 2.1, in lower case, with two labels at least: labels of 1 to 63 letters, digits and
/// hyphens, none of them first or last.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

/// Names, nearly names and others: a few characters, some of them many times in a row.
fn typed() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        6 => "[a-z0-9]",
        2 => Just("-".to_owned()),
        4 => Just(".".to_owned()),
        1 => Just("a.b-c".to_owned()),
        1 => "[A-Z_@ \n\u{e9}*]",
    ];
    let times = prop_oneof![8 => Just(1), 1 => 58_usize..66];
    prop::collection::vec((one, times), 1..9)
        .prop_map(|parts| parts.iter().map(|(text, n)| text.repeat(*n)).collect())
}

#[tokio::test]
async fn sql_takes_the_names_of_hosts_and_no_others() {
    let db = TestDb::fresh(&MIGRATOR).await;
    sql::run(
        db.pool(),
        "CREATE FUNCTION takes(typed text) RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM typed::dns_name;
             RETURN true;
         EXCEPTION WHEN check_violation THEN
             RETURN false;
         END $$",
    )
    .await;
    let mut runner = TestRunner::deterministic();
    let mut names: Vec<String> = (0..20_000)
        .map(|_| typed().new_tree(&mut runner).unwrap().current())
        .collect();
    // Both ends of each length.
    for (label, rest) in [(63, 1), (64, 1), (63, 61), (63, 62), (64, 62)] {
        names.push(format!("{}.{}", "a".repeat(label), "b".repeat(rest)));
        names.push(format!("{}.{}", "b".repeat(rest), "a".repeat(label)));
    }
    names.push(format!("{}ab", "a.".repeat(125)));
    names.push(format!("{}a", "a.".repeat(126)));
    names.push(format!("{}ab", "a.".repeat(126)));
    let taken: Vec<bool> = sqlx::query_scalar(
        "SELECT takes(n) FROM unnest($1::text[]) WITH ORDINALITY AS n (n, place) ORDER BY place",
    )
    .bind(&names)
    .fetch_all(db.pool())
    .await
    .unwrap();
    let good = taken.iter().filter(|taken| **taken).count();
    assert!((1000..19_000).contains(&good), "{good} of {}", names.len());
    for (name, taken) in names.iter().zip(taken) {
        assert_eq!(taken, is_name(name), "{name:?}");
    }
}
