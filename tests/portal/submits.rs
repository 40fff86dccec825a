//! Checks that a submission is stored once, whatever is sent at the same time.

use std::{collections::HashSet, sync::Arc};

use axum::http::StatusCode;
use pic_portal::request::{
    reference::SubmissionId,
    store::{self, Submission, Submitted},
};
use tokio::task::JoinSet;

use crate::support::app::{Answer, TestApp, request, submission_id};

const ONE_EDGE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

/// Posts all these requests at once, each given by its submission id and domains, with one edge.
async fn at_once(portal: &Arc<TestApp>, requests: Vec<(String, String)>) -> Vec<Answer> {
    let mut posts = JoinSet::new();
    for (id, domains) in requests {
        let portal = Arc::clone(portal);
        posts.spawn(async move {
            let fields = request(&id, &[("sip.contoso.com", &domains)]);
            portal.post("/requests/new", &fields).await
        });
    }
    posts.join_all().await
}

/// How many of the pending requests show the finding `domain-held`, and how many are in force.
async fn standings(portal: &TestApp, references: &HashSet<String>) -> (usize, usize) {
    let (mut held, mut in_force) = (0, 0);
    for reference in references {
        let page = portal.get(&format!("/requests/{reference}")).await;
        let finding = page.attribute("data-finding");
        match page.attribute("data-state") {
            Some("pending") => {
                assert_eq!(finding, Some("domain-held"));
                assert_eq!(page.attribute("data-severity"), Some("blocking"));
                held += 1;
            }
            Some("provisioned") => {
                assert_eq!(finding, None);
                in_force += 1;
            }
            state => panic!("neither pending nor provisioned: {state:?}"),
        }
    }
    (held, in_force)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_that_want_one_domain_at_once_exactly_one_gets_it() {
    let portal = Arc::new(TestApp::new().await);
    let workers: JoinSet<_> = (0..2)
        .map(|_| {
            let worker = portal.worker();
            async move { worker.drain().await.unwrap() }
        })
        .collect();
    let requests = (0..200).map(|_| (submission_id(), "contoso.com".into()));
    let answers = at_once(&portal, requests.collect()).await;
    let references: HashSet<String> = answers.iter().map(Answer::reference).collect();
    assert_eq!(references.len(), 200);
    workers.join_all().await;
    portal.work().await;
    assert_eq!(standings(&portal, &references).await, (199, 1));
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1);

    portal
        .run("DELETE FROM domain_in_force; UPDATE work SET due_at = pic_now()")
        .await;
    let settled = portal.work().await;
    assert_eq!((settled.provisioned, settled.held), (1, 198));
    assert_eq!(standings(&portal, &references).await, (198, 2));
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_that_is_sent_again_and_again_is_one_request_with_one_key() {
    let portal = Arc::new(TestApp::new().await);
    let id = submission_id();
    let mut answers = at_once(&portal, vec![(id.clone(), "contoso.com".into()); 20]).await;
    for _ in 0..3 {
        answers.extend(at_once(&portal, vec![(id.clone(), "contoso.com".into())]).await);
    }
    portal.work().await;
    // Settled or not, and in any spelling: it is the same request.
    answers.extend(at_once(&portal, vec![(id.to_uppercase(), " CONTOSO.com.\n".into())]).await);
    let told: HashSet<_> = answers
        .iter()
        .map(|a| (a.reference(), a.cookie()))
        .collect();
    assert_eq!(told.len(), 1, "one reference and one key");
    let counts = "SELECT (SELECT count(*) FROM request) + (SELECT count(*) FROM service)
                  + (SELECT count(*) FROM timeline WHERE code = 'submitted')";
    assert_eq!(portal.number(counts).await, 3);
    assert_eq!(portal.work().await.provisioned, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_other_contents_under_one_submission_id_one_is_stored() {
    let portal = Arc::new(TestApp::new().await);
    let id = submission_id();
    let contents = (0..20).map(|n| (id.clone(), format!("d{n}.example")));
    let answers = at_once(&portal, contents.collect()).await;
    let (stored, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::SEE_OTHER);
    assert_eq!((stored.len(), refused.len()), (1, 19));
    let reference = stored[0].reference();
    for answer in refused {
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(!answer.body.contains(&reference), "nor what it leads to");
        assert!(answer.set_cookies().is_empty(), "no key for other content");
    }
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 1);
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 1);
    assert_eq!(portal.number("SELECT count(*) FROM request_route").await, 1);
}

#[tokio::test]
async fn a_slice_is_answered_in_its_order() {
    let portal = TestApp::new().await;
    let [a, b, known] = [(); 3].map(|()| SubmissionId::random());
    let other = &[("sip.fabrikam.com", "fabrikam.com")];
    let submit = async |members: &[Submission]| store::submit(portal.pool(), members).await;
    let [Submitted::Stored { reference, created }] =
        submit(&[portal.submission(known, ONE_EDGE)]).await.unwrap()[..]
    else {
        panic!("it is stored");
    };
    assert!(created);
    let answers = submit(&[
        portal.submission(a, ONE_EDGE),
        portal.submission(known, other),
        portal.submission(b, other),
        portal.submission(a, ONE_EDGE),
        portal.submission(a, other),
        portal.submission(known, ONE_EDGE),
    ])
    .await
    .unwrap();
    let [
        Submitted::Stored {
            reference: of_a,
            created: true,
        },
        Submitted::AlreadySent { reference: known_1 },
        Submitted::Stored {
            reference: of_b,
            created: true,
        },
        Submitted::Stored {
            reference: again_a,
            created: false,
        },
        Submitted::AlreadySent { reference: other_a },
        Submitted::Stored {
            reference: known_2,
            created: false,
        },
    ] = answers[..]
    else {
        panic!("{answers:?}");
    };
    assert!([again_a, other_a].iter().all(|r| *r == of_a));
    assert!([known_1, known_2].iter().all(|r| *r == reference));
    assert!(of_a != of_b && of_b != reference && of_a != reference);
    let page = portal.get(&format!("/requests/{of_a}")).await;
    page.shows("sip.contoso.com");
    page.hides("sip.fabrikam.com");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 3);
    assert_eq!(submit(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_slice_is_stored_by_one_transaction() {
    let portal = TestApp::new().await;
    portal.store(64).await;
    let transactions = "SELECT count(DISTINCT x) FROM (
        SELECT xmin::text FROM request UNION ALL SELECT xmin::text FROM service
        UNION ALL SELECT xmin::text FROM request_route
        UNION ALL SELECT xmin::text FROM work) AS rows (x)";
    assert_eq!(portal.number(transactions).await, 1);
    assert_eq!(portal.number("SELECT count(*) FROM work").await, 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_with_the_same_members_in_other_orders_agree() {
    let portal = Arc::new(TestApp::new().await);
    for _ in 0..20 {
        let ids = [(); 20].map(|()| SubmissionId::random());
        let slices: JoinSet<_> = (0..4)
            .map(|turn| {
                let portal = Arc::clone(&portal);
                async move {
                    let mut order = ids;
                    order.rotate_left(turn * 5);
                    if turn % 2 == 1 {
                        order.reverse();
                    }
                    let slice = order.map(|id| portal.submission(id, ONE_EDGE));
                    let answers = store::submit(portal.pool(), &slice).await.unwrap();
                    let mut told: Vec<_> = order
                        .iter()
                        .zip(answers)
                        .map(|(id, answer)| match answer {
                            Submitted::Stored { reference, created } => {
                                (id.to_field(), reference.to_string(), created)
                            }
                            Submitted::AlreadySent { .. } | Submitted::Pending { .. } => {
                                panic!("the content is the same, and the service is new")
                            }
                        })
                        .collect();
                    told.sort();
                    told
                }
            })
            .collect();
        let told = slices.join_all().await;
        for (member, _) in ids.iter().enumerate() {
            let of_member: HashSet<_> = told.iter().map(|slice| &slice[member].1).collect();
            assert_eq!(of_member.len(), 1, "all know it by one reference");
            let created = told.iter().filter(|slice| slice[member].2).count();
            assert_eq!(created, 1, "one of them stored it");
        }
    }
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 400);
}
