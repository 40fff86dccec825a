//! Checks that existing and unknown names cannot be told apart.

use axum::http::StatusCode;
use pic_portal::staff::Role;

use super::{HERE, all, hold, portal, post, sent, settled, turns};
use crate::{
    staff::{PASSWORD, account},
    support::app::Answer,
};

const SIGN_IN: &str = "/staff/sign-in";

/// The response without the name and without what is new in each.
fn said(answer: &Answer, name: &str) -> (StatusCode, Vec<String>, String) {
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| *name != "x-request-id");
    let headers = headers.map(|(name, value)| format!("{name}: {value:?}"));
    let body = answer.body.replace(name, "NAME");
    (answer.status, headers.collect(), body)
}

/// A cookie that looks like a mark.
const MARK: &str = "pic_staff_known=7K3M9QTX4HWD2ZRB7K3M9QTX4HWD2ZRB";

/// Whatever an attempt is refused for, the response is the same, and so is the work done for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_tells_a_name_that_exists_from_one_that_does_not() {
    let mut seen = Vec::new();
    // Each has a portal of its own, so that the others leave no trace.
    for name in ["anna", "bert", "cleo", "nora"] {
        let (portal, _) = portal(3).await;
        account(&portal, "anna", Role::Agent).await;
        account(&portal, "bert", Role::Agent).await;
        portal
            .run(
                "UPDATE staff SET disabled_at = pic_now() WHERE name = 'bert';
                  INSERT INTO staff (name, role, subject, created_at)
                  VALUES ('cleo', 'agent', sha256('1'), pic_now())",
            )
            .await;
        let wrong = [("name", name), ("password", "wrong")];
        let mut answers = Vec::new();
        // Wrong passwords, then over the limit of the network.
        for cookie in ["", MARK, "", MARK, ""] {
            answers.push(post(&portal, HERE, SIGN_IN, &wrong, cookie).await);
        }
        // Then over the limit of the account.
        for n in 0..9 {
            let peer = format!("203.0.113.{n}:1");
            let cookie = if n % 2 == 0 { "" } else { MARK };
            answers.push(post(&portal, &peer, SIGN_IN, &wrong, cookie).await);
        }
        let right = [("name", name), ("password", PASSWORD)];
        answers.push(post(&portal, "198.51.100.7:1", SIGN_IN, &right, "").await);
        let said: Vec<_> = answers.iter().map(|it| said(it, name)).collect();
        seen.push((said, turns(&portal).had(), turns(&portal).refused()));
    }
    let statuses: Vec<_> = seen[0].0.iter().map(|it| it.0.as_u16()).collect();
    let mut expected = vec![422, 422, 422, 429, 429];
    expected.extend([422; 7]);
    expected.extend([429; 3]);
    assert_eq!(statuses, expected);
    assert_eq!(seen[1], seen[0], "an account that is shut");
    assert_eq!(seen[2], seen[0], "an account without a password");
    assert_eq!(seen[3], seen[0], "no account");
}

/// The same for those refused before the hasher.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_before_the_hasher_learns_nothing() {
    let (portal, _) = portal(0).await;
    account(&portal, "anna", Role::Agent).await;
    let held = hold(&portal).await;
    let mut tries = Vec::new();
    for n in 0..16 {
        let fields = [("name", &*format!("name-{n}")), ("password", "wrong")];
        tries.push(sent(&portal, HERE, SIGN_IN, &fields, ""));
    }
    settled(&portal, 16, &tries, 0).await;
    let mut seen = Vec::new();
    for name in ["anna", "nora", "no name"] {
        for cookie in ["", MARK] {
            let fields = [("name", name), ("password", PASSWORD)];
            let full = post(&portal, HERE, SIGN_IN, &fields, cookie).await;
            assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
            seen.push(said(&full, name));
        }
    }
    assert!(seen.iter().all(|it| *it == seen[0]), "{seen:?}");
    drop(held);
    all(tries).await;
}
