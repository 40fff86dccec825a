//! Checks that simultaneous submits are stored together, each independently, also when there are
//! too many.

mod faults;
mod process;

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use pic_portal::{
    agreement::ServiceId,
    db::{PgPool, Transaction},
    meter,
    request::{
        Asked,
        loader::store::look_up,
        queue::{Limits, NotStored, meter::Why},
        reference::{Reference, SubmissionId},
        store::{Submission, Submitted},
    },
};
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    service::provisioned,
    support::{
        app::{Answer, TestApp, request, submission_id},
        eventually, sql,
    },
};

/// Time limits that no test reaches by accident.
fn patient() -> Limits {
    Limits {
        late: Duration::from_mins(1),
        store: Duration::from_mins(1),
        patience: Duration::from_mins(1),
        ..Limits::default()
    }
}

/// All statements that store requests wait for this advisory lock; the number is arbitrary.
const HOLD: &str = "7041";

/// No request is stored until this ends. It uses an advisory lock in a trigger, because the
/// portal's own limit for locks is short, and this machine may be busy.
async fn hold(pool: &PgPool) -> Transaction {
    let sql = format!(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
         BEGIN
             PERFORM pg_advisory_xact_lock_shared({HOLD});
             RETURN NULL;
         END $$;
         CREATE TRIGGER hold BEFORE INSERT ON request FOR EACH STATEMENT EXECUTE FUNCTION hold();"
    );
    sql::run(pool, &sql).await;
    let mut holder = pool.begin().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock({HOLD})");
    sql::run(&mut *holder, &lock).await;
    holder
}

/// Waits until this many statements wait for the end of [`hold`].
async fn held(pool: &PgPool, statements: i64) {
    eventually("the writers wait for the lock", async || {
        let waiting: i64 = sql::one(
            pool,
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await;
        (waiting == statements).then_some(())
    })
    .await;
}

/// A portal both of whose writers are busy with one submission each, until it is released.
struct Busy {
    portal: Arc<TestApp>,
    holder: Transaction,
    /// The two submissions.
    first: Vec<JoinHandle<Answer>>,
}

impl Busy {
    async fn with(limits: Limits) -> Self {
        Self::of(TestApp::with_queue(limits).await).await
    }

    async fn of(portal: TestApp) -> Self {
        let portal = Arc::new(portal);
        let holder = hold(portal.db().pool()).await;
        let mut first = Vec::new();
        for writers in 1..=2 {
            first.push(post(&portal, &submission_id(), "contoso.com"));
            held(portal.db().pool(), writers).await;
        }
        Self {
            portal,
            holder,
            first,
        }
    }

    /// Waits until this many submissions are in the line.
    async fn waiting(&self, count: usize) {
        eventually("they wait in the line", async || {
            (self.portal.app.queue().waiting() == count).then_some(())
        })
        .await;
    }

    /// Posts this many requests, which wait in the line in their order.
    async fn lined_up(&self, count: usize) -> Vec<JoinHandle<Answer>> {
        let mut posts = Vec::new();
        for n in 0..count {
            let domain = format!("d{n}.example");
            posts.push(post(&self.portal, &submission_id(), &domain));
            self.waiting(n + 1).await;
        }
        posts
    }

    /// Lets the writers go on; returns the responses to their two submissions.
    async fn release(self) -> (Arc<TestApp>, Vec<Answer>) {
        self.holder.rollback().await.unwrap();
        let mut answers = Vec::new();
        for first in self.first {
            answers.push(first.await.unwrap());
        }
        (self.portal, answers)
    }
}

/// Posts a request with this submission id for this domain.
fn post(portal: &Arc<TestApp>, id: &str, domain: &str) -> JoinHandle<Answer> {
    let (portal, id, domain) = (Arc::clone(portal), id.to_owned(), domain.to_owned());
    tokio::spawn(async move {
        let fields = request(&id, &[("sip.contoso.net", &domain)]);
        portal.post("/requests/new", &fields).await
    })
}

/// Posts a request until it is stored, or found to be; returns the last answer.
async fn stored_in_the_end(portal: &Arc<TestApp>, id: &str) -> Answer {
    eventually("the next try is stored, or finds what was", async || {
        let again = post(portal, id, "d1.example").await.unwrap();
        (again.status == StatusCode::SEE_OTHER).then_some(again)
    })
    .await
}

/// Submits to the queue directly.
fn submit(
    portal: &Arc<TestApp>,
    submission: Submission,
) -> JoinHandle<Result<Submitted, NotStored>> {
    let app = portal.app.clone();
    tokio::spawn(async move { app.queue().submit(submission).await })
}

async fn all<T: 'static>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

/// How many transactions have stored the requests.
const TRANSACTIONS: &str = "SELECT count(DISTINCT xmin::text) FROM request";
const REQUESTS: &str = "SELECT count(*) FROM request";

/// Checks that each request is complete: one edge, one domain, one event, one row of `work`.
async fn assert_whole(portal: &TestApp, requests: i64) {
    let counts = "SELECT count(*) FROM request r WHERE
        (SELECT count(*) FROM request_edge e WHERE e.request_id = r.id) = 1
        AND (SELECT count(*) FROM request_route d WHERE d.request_id = r.id) = 1
        AND (SELECT count(*) FROM timeline e WHERE e.request_id = r.id) = 1
        AND (SELECT count(*) FROM work w WHERE w.request_id = r.id) = 1";
    assert_eq!(portal.number(counts).await, requests);
    assert_eq!(portal.number(REQUESTS).await, requests);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_together_is_stored_together() {
    let busy = Busy::with(patient()).await;
    let posts: Vec<_> = (0..98)
        .map(|n| post(&busy.portal, &submission_id(), &format!("d{n}.example")))
        .collect();
    busy.waiting(98).await;
    let (portal, mut answers) = busy.release().await;
    answers.extend(all(posts).await);
    let references: HashSet<_> = answers.iter().map(Answer::reference).collect();
    assert_eq!(references.len(), 100);
    assert_whole(&portal, 100).await;
    assert_eq!(portal.number(TRANSACTIONS).await, 3, "1 + 1 + 98");
    let told = meter::text(portal.app.queue().meter().collectors());
    for sample in [
        "bucket{le=\"1\"} 2",
        "bucket{le=\"64\"} 2",
        "bucket{le=\"128\"} 3",
        "count 3",
        "sum 100",
    ] {
        let sample = format!("\npic_submit_batch_size_{sample}\n");
        assert!(told.contains(&sample), "{sample}{told}");
    }
    assert_eq!(portal.app.queue().waiting(), 0);
    // Each was sent on its own.
    for answer in &answers {
        let page = portal.get(answer.header("location")).await;
        assert_eq!(page.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_has_its_most_in_number_and_in_rows() {
    let busy = Busy::with(Limits {
        batch: 10,
        rows: 12,
        ..patient()
    })
    .await;
    // One by one, so that their order is known: 2 rows each, then one of 21, then 2 rows each.
    let many: Vec<_> = (0..20).map(|n| format!("m{n}.example")).collect();
    let mut posts = Vec::new();
    for n in 0..19 {
        let domains = match n {
            9 => many.join(" "),
            n => format!("d{n}.example"),
        };
        posts.push(post(&busy.portal, &submission_id(), &domains));
        busy.waiting(n + 1).await;
    }
    let (portal, _) = busy.release().await;
    assert_eq!(all(posts).await.len(), 19);
    let sizes = "SELECT string_agg(n::text, ' ' ORDER BY n) FROM (
        SELECT count(*) AS n FROM request GROUP BY xmin::text) s";
    let sizes: String = portal.one(sizes).await;
    assert_eq!(sizes, "1 1 1 3 3 6 6");
}

/// An update of `service`.
fn update(portal: &TestApp, service: ServiceId, id: SubmissionId) -> Submission {
    let mut submission = portal.submission(id, &[("sip.contoso.org", "contoso.org")]);
    let Asked::Initiate(wanted) = submission.asked else {
        panic!("the form makes a new service");
    };
    submission.asked = Asked::Update {
        service,
        deployment: wanted.deployment,
        routes: wanted.routes,
    };
    submission
}

/// A service whose first request is in force.
async fn service(portal: &TestApp) -> ServiceId {
    let reference = portal
        .store_one(&[("sip.contoso.com", "contoso.com")])
        .await;
    portal.work().await;
    let reference = Reference::parse(&reference).unwrap();
    let request = look_up(portal.pool(), reference).await.unwrap();
    request.unwrap().service
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_harms_no_other() {
    const BAD: [usize; 4] = [0, 17, 18, 39];
    let portal = TestApp::with_queue(patient()).await;
    // It was deleted after they signed in.
    let gone = service(&portal).await;
    portal
        .run("DELETE FROM domain_in_force; DELETE FROM request; DELETE FROM service")
        .await;
    let busy = Busy::of(portal).await;
    let mut tasks = Vec::new();
    for n in 0..40 {
        let (id, domain) = (SubmissionId::random(), format!("d{n}.example"));
        let submission = if BAD.contains(&n) {
            update(&busy.portal, gone, id)
        } else {
            busy.portal.submission(id, &[("sip.contoso.net", &domain)])
        };
        tasks.push(submit(&busy.portal, submission));
        busy.waiting(n + 1).await;
    }
    let (portal, _) = busy.release().await;
    for (n, answer) in all(tasks).await.into_iter().enumerate() {
        match answer {
            Err(NotStored::Refused(error)) if BAD.contains(&n) => {
                assert!(error.breaks("request_service"), "{error}");
            }
            Ok(Submitted::Stored { created: true, .. }) if !BAD.contains(&n) => {}
            answer => panic!("{n}: {answer:?}"),
        }
    }
    assert_whole(&portal, 38).await;
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 38);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_one_batch_may_be_the_same() {
    let portal = TestApp::with_queue(patient()).await;
    let of = service(&portal).await;
    let busy = Busy::of(portal).await;
    let [twice, one, other] = [(); 3].map(|()| SubmissionId::random());
    let new = |id, domain| busy.portal.submission(id, &[("sip.contoso.net", domain)]);
    let submissions = [
        new(twice, "d1.example"),
        update(&busy.portal, of, one),
        new(twice, "d1.example"),
        new(twice, "d2.example"),
        update(&busy.portal, of, other),
        update(&busy.portal, of, one),
    ];
    let mut tasks = Vec::new();
    for (n, submission) in submissions.into_iter().enumerate() {
        tasks.push(submit(&busy.portal, submission));
        busy.waiting(n + 1).await;
    }
    let (portal, _) = busy.release().await;
    let answers: Vec<_> = all(tasks).await.into_iter().map(Result::unwrap).collect();
    let [
        Submitted::Stored {
            reference: new,
            created: true,
        },
        Submitted::Stored {
            reference: updated,
            created: true,
        },
        Submitted::Stored {
            reference: again,
            created: false,
        },
        Submitted::AlreadySent { reference: earlier },
        Submitted::Pending { reference: pending },
        Submitted::Stored {
            reference: updated_again,
            created: false,
        },
    ] = answers[..]
    else {
        panic!("{answers:?}");
    };
    assert!([again, earlier].iter().all(|r| *r == new));
    assert!([pending, updated_again].iter().all(|r| *r == updated));
    // The service's first, the two that the writers were busy with, and these two.
    assert_eq!(portal.number(REQUESTS).await, 5);
}

/// A writer ends when the line is empty, and a submission that comes at that very moment starts
/// another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_forgotten_when_a_writer_goes() {
    let portal = Arc::new(TestApp::with_queue(patient()).await);
    let mut clients = JoinSet::new();
    for client in 0..3 {
        let portal = Arc::clone(&portal);
        clients.spawn(async move {
            for n in 0..100 {
                let (id, domain) = (SubmissionId::random(), format!("d{client}-{n}.example"));
                let submission = portal.submission(id, &[("sip.contoso.net", &domain)]);
                let stored = portal.app.queue().submit(submission).await.unwrap();
                assert!(stored.is_new());
            }
        });
    }
    clients.join_all().await;
    assert_whole(&portal, 300).await;
}

/// Checks the page for a form that was not accepted: the form as it was sent, and when to send it
/// again.
fn assert_put_off(answer: &Answer, id: &str, domain: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "10");
    answer.shows("in 10 seconds");
    answer.shows("not be stored twice");
    answer.shows(domain);
    answer.shows("sip.contoso.net");
    answer.shows("value=\"1234567\"");
    let hidden = answer.hidden();
    assert!(
        hidden.contains(&("submission_id".to_owned(), id.to_owned())),
        "the same submission again: {hidden:?}"
    );
}

/// Presses *Send again* on such a page.
async fn again(portal: &TestApp, page: &Answer) -> Answer {
    let mut fields = page.hidden();
    fields.push(("action".into(), "submit".into()));
    let fields: Vec<_> = fields.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    portal.post("/requests/new", &fields).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_line_is_told_of_before_anything_is_made_of_the_form() {
    let busy = Busy::with(Limits {
        waiting: 1,
        ..patient()
    })
    .await;
    let waits = post(&busy.portal, &submission_id(), "d1.example");
    busy.waiting(1).await;
    let (id, meter) = (submission_id(), busy.portal.app.queue().meter());
    let mut fields = request(&id, &[("sip.contoso.net", "no domain")]);
    let refused = busy.portal.post("/requests/new", &fields).await;
    assert_put_off(&refused, &id, "no domain");
    assert_eq!(meter.put_offs(Why::Full), 1);
    // Other buttons are not limited.
    fields.last_mut().unwrap().1 = "review";
    let reviewed = busy.portal.post("/requests/new", &fields).await;
    assert_eq!(reviewed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(meter.put_offs(Why::Full), 1);
    busy.release().await;
    waits.await.unwrap().reference();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_the_line_full_is_told_at_once_and_loses_nothing() {
    let busy = Busy::with(Limits {
        waiting: 3,
        ..patient()
    })
    .await;
    let posts = busy.lined_up(3).await;
    let id = submission_id();
    let refused = post(&busy.portal, &id, "late.example").await.unwrap();
    assert_put_off(&refused, &id, "late.example");
    let page = refused;
    // A program gets the same answer as problem JSON.
    let body = serde_html_form::to_string(request(&id, &[("sip.contoso.net", "late.example")]));
    let program = Request::post("/requests/new")
        .header("host", "portal.test")
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body.unwrap()));
    let refused = busy.portal.send(program.unwrap()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    refused.shows("\"status\":503");
    let meter = busy.portal.app.queue().meter();
    assert_eq!(meter.put_offs(Why::Full), 2);

    let (portal, _) = busy.release().await;
    all(posts)
        .await
        .iter()
        .for_each(|answer| drop(answer.reference()));
    // The page itself is enough to send it again, any number of times.
    let first = again(&portal, &page).await.reference();
    assert_eq!(again(&portal, &page).await.reference(), first);
    assert_whole(&portal, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_finds_the_line_full_is_sent_again_from_the_page_it_gets() {
    let portal = TestApp::with_queue(Limits {
        waiting: 1,
        ..patient()
    })
    .await;
    let (_, cookie) = provisioned(&portal, &[("sip.c.example", "c.example")]).await;
    let busy = Busy::of(portal).await;
    let waits = post(&busy.portal, &submission_id(), "d1.example");
    busy.waiting(1).await;
    let id = submission_id();
    let fields = [("confirm", "on"), ("submission_id", id.as_str())];
    let refused = busy.portal.post_with("/service/cancel", &fields, &cookie);
    let refused = refused.await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "10");
    refused.hides("Change answers");
    let hidden = refused.hidden();
    let again: Vec<_> = hidden.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    assert_eq!(again, fields);
    let (portal, _) = busy.release().await;
    waits.await.unwrap().reference();
    let sent = portal.post_with("/service/cancel", &again, &cookie).await;
    sent.reference();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_behind_somebody_who_waits_too_long() {
    let busy = Busy::with(Limits {
        late: Duration::ZERO,
        ..patient()
    })
    .await;
    let waits = post(&busy.portal, &submission_id(), "d1.example");
    busy.waiting(1).await;
    let id = submission_id();
    let refused = post(&busy.portal, &id, "late.example").await.unwrap();
    assert_put_off(&refused, &id, "late.example");
    let (portal, _) = busy.release().await;
    waits.await.unwrap().reference();
    post(&portal, &id, "late.example")
        .await
        .unwrap()
        .reference();
    assert_whole(&portal, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_has_its_most_in_rows() {
    let busy = Busy::with(Limits {
        waiting_rows: 4,
        ..patient()
    })
    .await;
    let mut posts = Vec::new();
    // One that is larger than the limit is accepted when none wait.
    let many: Vec<_> = (0..9).map(|n| format!("m{n}.example")).collect();
    posts.push(post(&busy.portal, &submission_id(), &many.join(" ")));
    busy.waiting(1).await;
    let id = submission_id();
    let refused = post(&busy.portal, &id, "late.example").await.unwrap();
    assert_put_off(&refused, &id, "late.example");
    let (_, _) = busy.release().await;
    all(posts).await[0].reference();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_told_in_time_and_finds_the_request_on_the_next_try() {
    let limits = Limits {
        patience: Duration::from_millis(100),
        ..patient()
    };
    let portal = Arc::new(TestApp::with_queue(limits).await);
    let holder = hold(portal.db().pool()).await;
    let id = submission_id();
    // A writer has it, and its result is not known.
    let told = post(&portal, &id, "d1.example").await.unwrap();
    assert_put_off(&told, &id, "d1.example");
    assert_eq!(portal.app.queue().meter().put_offs(Why::Late), 1);
    holder.rollback().await.unwrap();
    eventually("the writer stores it", async || {
        (portal.number(REQUESTS).await == 1).then_some(())
    })
    .await;
    let stored: String = portal.one("SELECT reference FROM request").await;
    // However slow this machine is, it succeeds in the end.
    let again = stored_in_the_end(&portal, &id).await;
    assert_eq!(again.reference(), stored);
    assert_whole(&portal, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_takes_nobody_with_it() {
    let busy = Busy::with(patient()).await;
    let mut posts = busy.lined_up(10).await;
    // What a writer has taken is stored although the client has gone; what waits is not.
    busy.first[1].abort();
    for gone in [0, 4, 5, 9] {
        posts[gone].abort();
    }
    let Busy {
        portal,
        holder,
        first,
    } = busy;
    for (n, gone) in posts.iter_mut().enumerate() {
        if [0, 4, 5, 9].contains(&n) {
            assert!(gone.await.is_err_and(|ended| ended.is_cancelled()));
        }
    }
    holder.rollback().await.unwrap();
    let mut first = first.into_iter();
    first.next().unwrap().await.unwrap().reference();
    let cancelled = first.next().unwrap().await;
    assert!(cancelled.is_err_and(|ended| ended.is_cancelled()));
    for (n, stays) in posts.into_iter().enumerate() {
        if ![0, 4, 5, 9].contains(&n) {
            stays.await.unwrap().reference();
        }
    }
    eventually("both writers are done", async || {
        (portal.number(REQUESTS).await == 8).then_some(())
    })
    .await;
    assert_whole(&portal, 8).await;
    let gone = "SELECT count(*) FROM request_route
                WHERE sip_domain IN ('d0.example', 'd4.example', 'd5.example', 'd9.example')";
    assert_eq!(portal.number(gone).await, 0);
}

/// Ten times as many as there is room for: exactly the requests answered with 303 are stored;
/// clients that retry succeed in the end, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_times_too_many_each_is_stored_or_told_so() {
    let busy = Busy::with(Limits {
        batch: 8,
        waiting: 40,
        ..patient()
    })
    .await;
    let mut posts = JoinSet::new();
    for n in 0..400 {
        let (id, domain) = (submission_id(), format!("d{n}.example"));
        let portal = Arc::clone(&busy.portal);
        posts.spawn(async move {
            let answer = post(&portal, &id, &domain).await.unwrap();
            (id, domain, answer)
        });
    }
    // While nothing at all is stored, clients that find no room get a response.
    let mut put_off = Vec::new();
    while put_off.len() < 360 {
        let (id, domain, answer) = posts.join_next().await.unwrap().unwrap();
        assert_put_off(&answer, &id, &domain);
        put_off.push((id, domain));
    }
    let (portal, _) = busy.release().await;
    let stored = posts.join_all().await;
    assert_eq!(stored.len(), 40);
    let known: HashSet<_> = stored.iter().map(|(_, _, a)| a.reference()).collect();
    assert_eq!(known.len(), 40);
    assert_whole(&portal, 42).await;
    let never = "SELECT count(*) FROM request_route WHERE sip_domain = ANY ($1)";
    let domains: Vec<_> = put_off.iter().map(|(_, domain)| domain.as_str()).collect();
    let never: i64 = sqlx::query_scalar(never)
        .bind(&domains)
        .fetch_one(portal.pool())
        .await
        .unwrap();
    assert_eq!(never, 0, "who was told so is not stored");
    let mut again = JoinSet::new();
    for (id, domain) in put_off {
        let portal = Arc::clone(&portal);
        again.spawn(async move {
            while post(&portal, &id, &domain).await.unwrap().status != StatusCode::SEE_OTHER {}
        });
    }
    again.join_all().await;
    assert_whole(&portal, 402).await;
}
