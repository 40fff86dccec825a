//! Attempts at the passwords of the staff.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use pic_portal::{
    secret::SetUpToken,
    staff::{Role, store},
};

use super::{ELSEWHERE, HERE, all, at_rest, hold, portal, post, sent, settled, turns};
use crate::{
    staff::{PASSWORD, account, signed_in},
    support::app::{Answer, TestApp},
};

const SIGN_IN: &str = "/staff/sign-in";
const OK: StatusCode = StatusCode::SEE_OTHER;
const WRONG: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// How many are sent at once, and the limit: `PIC_TRIES=1000` is the long form.
fn at_once() -> (usize, u32) {
    let many = std::env::var("PIC_TRIES");
    (many.map_or(200, |number| number.parse().unwrap()), 10)
}

fn count(answers: &[Answer], status: StatusCode) -> usize {
    answers.iter().filter(|it| it.status == status).count()
}

/// The cookie of a browser in which the owner of the account has signed in before.
async fn mark(portal: &TestApp, name: &str) -> String {
    let fields = [("name", name), ("password", PASSWORD)];
    let known = post(portal, ELSEWHERE, SIGN_IN, &fields, "").await;
    let mark = known.set_cookies()[1].split(';').next().unwrap().to_owned();
    assert!(mark.starts_with("pic_staff_known="), "{mark}");
    mark
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_no_more_than_the_limit_are_hashed() {
    let (many, limit) = at_once();
    let (portal, clock) = portal(limit).await;
    account(&portal, "anna", Role::Agent).await;
    account(&portal, "bert", Role::Agent).await;
    let most = limit as usize;
    let held = hold(&portal).await;
    let one_more = |n: usize| {
        let fields = [("name", &*format!("name-{n}")), ("password", "wrong")];
        sent(&portal, HERE, SIGN_IN, &fields, "")
    };
    let mut tries: Vec<_> = (0..many).map(one_more).collect();
    assert!(at_rest(&portal, &tries).await <= most);
    // On a machine that is too busy to query the database in time some got a 503.
    while at_rest(&portal, &tries).await < most {
        tries.push(one_more(tries.len()));
    }
    // The right password among those that are not compared looks like any other.
    let right = [("name", "anna"), ("password", PASSWORD)];
    let refused = post(&portal, HERE, SIGN_IN, &right, "").await;
    assert_eq!((refused.status, refused.set_cookies().len()), (TOO_MANY, 0));
    assert_eq!(refused.header("retry-after"), "60");
    // Another network has its turn too.
    let fields = [("name", "bert"), ("password", PASSWORD)];
    tries.push(sent(&portal, ELSEWHERE, SIGN_IN, &fields, ""));
    assert_eq!(at_rest(&portal, &tries).await, most + 1);
    let honest = tries.pop().unwrap();
    let began = Instant::now();
    drop(held);
    assert_eq!(honest.await.unwrap().status, OK);
    let took = began.elapsed();
    let answers = all(tries).await;
    assert_eq!(count(&answers, WRONG), most);
    assert_eq!(count(&answers, OK), 0);
    assert_eq!(turns(&portal).had(), 2 + u64::from(limit) + 1);
    assert_eq!(
        portal.number("SELECT count(*) FROM staff_session").await,
        1,
        "the honest one's"
    );
    println!("{many} at once, limit {limit}: an honest one waited {took:?} beside {most}");
    // They have failed; after a minute another attempt is allowed.
    assert_eq!(
        post(&portal, HERE, SIGN_IN, &right, "").await.status,
        TOO_MANY
    );
    clock.advance(Duration::from_mins(1));
    assert_eq!(post(&portal, HERE, SIGN_IN, &right, "").await.status, OK);
}

/// As above, without the hasher being held.
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_one_gets_in_while_many_are_sent_at_once() {
    let (many, limit) = at_once();
    let (portal, _) = portal(limit).await;
    account(&portal, "anna", Role::Agent).await;
    let mut tries = Vec::new();
    for n in 0..many {
        let fields = [("name", &*format!("name-{n}")), ("password", "wrong")];
        tries.push(sent(&portal, HERE, SIGN_IN, &fields, ""));
    }
    let began = Instant::now();
    let right = [("name", "anna"), ("password", PASSWORD)];
    let mut busy = 0;
    loop {
        let honest = post(&portal, ELSEWHERE, SIGN_IN, &right, "").await;
        if honest.status == OK {
            break;
        }
        // The machine is too busy to query the database in time.
        assert_eq!(honest.status, StatusCode::SERVICE_UNAVAILABLE);
        busy += 1;
    }
    let took = began.elapsed();
    let answers = all(tries).await;
    assert!(count(&answers, WRONG) <= limit as usize);
    assert_eq!(count(&answers, OK), 0);
    assert!(turns(&portal).had() <= u64::from(limit) + 1);
    println!(
        "{many} at once, limit {limit}: an honest one of another network was in after {took:?}, {busy} answers 503 before"
    );
}

/// Without a limit of attempts the queue for the hasher is bounded all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_too_many_before_the_hasher_is_told_when_to_come_back() {
    let (portal, _) = portal(0).await;
    account(&portal, "anna", Role::Agent).await;
    let mark = mark(&portal, "anna").await;
    let before = turns(&portal).had();
    let held = hold(&portal).await;
    let mut tries = Vec::new();
    for n in 0..20 {
        let fields = [("name", &*format!("name-{n}")), ("password", "wrong")];
        tries.push(sent(&portal, HERE, SIGN_IN, &fields, ""));
    }
    settled(&portal, 16, &tries, 4).await;
    let right = [("name", "anna"), ("password", PASSWORD)];
    let full = post(&portal, HERE, SIGN_IN, &right, "").await;
    assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(full.header("retry-after"), "2");
    full.shows("Too many are signing in");
    // A known browser has its own queue, in the same network too.
    let known = sent(&portal, HERE, SIGN_IN, &right, &mark);
    settled(&portal, 17, &tries, 4).await;
    drop(held);
    assert_eq!(known.await.unwrap().status, OK);
    let answers = all(tries).await;
    assert_eq!(count(&answers, StatusCode::SERVICE_UNAVAILABLE), 4);
    assert_eq!(count(&answers, WRONG), 16);
    assert_eq!(turns(&portal).had(), before + 2 + 17);
    assert_eq!(turns(&portal).refused(), 5);
    // Nothing was compared, so nothing was counted: anna has ten attempts left.
    for _ in 0..10 {
        let fields = [("name", "anna"), ("password", "wrong")];
        let answer = post(&portal, HERE, SIGN_IN, &fields, "").await;
        assert_eq!(answer.status, WRONG);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_people_behind_one_address_do_not_hold_each_other_up() {
    let (portal, _) = portal(5).await;
    let names = ["anna", "bert", "cleo", "dora", "emil"];
    for name in names {
        account(&portal, name, Role::Reader).await;
    }
    for _ in 0..2 {
        let tries = names.map(|name| {
            let fields = [("name", name), ("password", PASSWORD)];
            sent(&portal, HERE, SIGN_IN, &fields, "")
        });
        assert_eq!(count(&all(tries.into()).await, OK), 5);
    }
    // All of it was given back.
    for _ in 0..5 {
        let fields = [("name", "anna"), ("password", "wrong")];
        let answer = post(&portal, HERE, SIGN_IN, &fields, "").await;
        assert_eq!(answer.status, WRONG);
    }
    let right = [("name", "anna"), ("password", PASSWORD)];
    let refused = post(&portal, HERE, SIGN_IN, &right, "").await;
    assert_eq!(refused.status, TOO_MANY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_forty_networks_guess_at_an_account_its_known_browser_gets_in() {
    let (portal, clock) = portal(1).await;
    account(&portal, "anna", Role::Agent).await;
    let mark = mark(&portal, "anna").await;
    let wrong = [("name", "anna"), ("password", "wrong")];
    let right = [("name", "anna"), ("password", PASSWORD)];
    let before = turns(&portal).had();
    let held = hold(&portal).await;
    let peers: Vec<_> = (0..40).map(|n| format!("203.0.113.{n}:1")).collect();
    let tries: Vec<_> = peers
        .iter()
        .map(|peer| sent(&portal, peer, SIGN_IN, &wrong, ""))
        .collect();
    settled(&portal, 10, &tries, 30).await;
    // In a new browser the owner has to wait, with the right password or not.
    let new = post(&portal, ELSEWHERE, SIGN_IN, &right, "").await;
    assert_eq!((new.status, new.header("retry-after")), (TOO_MANY, "6"));
    // In a known one not, even in a network whose attempts are used up.
    let guesser = peers
        .iter()
        .zip(&tries)
        .find_map(|(peer, it)| (!it.is_finished()).then_some(peer))
        .unwrap();
    let known = sent(&portal, guesser, SIGN_IN, &right, &mark);
    settled(&portal, 11, &tries, 30).await;
    drop(held);
    assert_eq!(known.await.unwrap().status, OK);
    let answers = all(tries).await;
    assert_eq!(
        (count(&answers, WRONG), count(&answers, TOO_MANY)),
        (10, 30)
    );
    assert_eq!(turns(&portal).had(), before + 2 + 11);
    // A thief of the mark is throttled as well, but only for this account.
    let held = hold(&portal).await;
    let tries: Vec<_> = (0..20)
        .map(|_| sent(&portal, HERE, SIGN_IN, &wrong, &mark))
        .collect();
    settled(&portal, 10, &tries, 10).await;
    let stolen = post(&portal, HERE, SIGN_IN, &right, &mark).await;
    assert_eq!(stolen.status, TOO_MANY);
    stolen.shows("Too many tries at this account");
    drop(held);
    all(tries).await;
    clock.advance(Duration::from_mins(1));
    for cookie in [&mark, ""] {
        let in_again = post(&portal, HERE, SIGN_IN, &right, cookie).await;
        assert_eq!(in_again.status, OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_other_doors_no_more_than_the_limit_are_hashed_either() {
    let (portal, _) = portal(5).await;
    let token = store::new_set_up(portal.pool()).await.unwrap().unwrap();
    let link = |token: &SetUpToken| format!("/staff/set-up?token={}", token.reveal());
    let guessed = SetUpToken::random();
    let fields = [("name", "anna"), ("password", PASSWORD)];
    let tries: Vec<_> = (0..60)
        .map(|_| sent(&portal, HERE, &link(&guessed), &fields, ""))
        .collect();
    let answers = all(tries).await;
    assert_eq!(count(&answers, StatusCode::NOT_FOUND), 5);
    assert_eq!(count(&answers, TOO_MANY), 55);
    let late = post(&portal, HERE, &link(&token), &fields, "").await;
    assert_eq!(late.status, TOO_MANY, "the right link");
    assert_eq!(turns(&portal).had(), 0);

    let held = hold(&portal).await;
    let tries: Vec<_> = (0..60)
        .map(|_| sent(&portal, ELSEWHERE, &link(&token), &fields, ""))
        .collect();
    settled(&portal, 5, &tries, 55).await;
    drop(held);
    assert_eq!(count(&all(tries).await, OK), 1);
    assert_eq!(turns(&portal).had(), 2 + 5);

    let cookie = signed_in(&portal, "bert", Role::Reader).await;
    let fields = [("old", "wrong"), ("new", "another four words here")];
    let before = turns(&portal).had();
    let tries: Vec<_> = (0..60)
        .map(|_| sent(&portal, "192.0.2.9:1", "/staff/account", &fields, &cookie))
        .collect();
    let answers = all(tries).await;
    assert_eq!((count(&answers, WRONG), count(&answers, TOO_MANY)), (5, 55));
    assert_eq!(turns(&portal).had(), before + 5);
}
