//! The actions of administrators, with a failure at each write.

use std::marker::PhantomData;

use axum::http::StatusCode;
use pic_portal::request::{
    Asked,
    loader::store::look_up,
    reference::SubmissionId,
    store::{Submission, Submitted, submit},
};

use super::{Operation, fail_everywhere};
use crate::{
    service::{edit, sign_in},
    support::app::{TestApp, request, submission_id},
};

const A: &[(&str, &str)] = &[
    ("sip.a.example", "a.example b.example"),
    ("edge.a.example", "c.example"),
];

/// A batch of submissions: new ones, an update, a cancel, and a repeated one.
struct Slice(Vec<Submission>);

impl Operation for Slice {
    const PLACES: i64 = 12;

    async fn prepare(portal: &TestApp) -> Self {
        let known = SubmissionId::random();
        let again = || portal.submission(known, A);
        let other = [("sip.o.example", "o.example")];
        let first = [again(), portal.submission(SubmissionId::random(), &other)];
        let stored = submit(portal.pool(), &first).await.unwrap();
        portal.work().await;
        let mut services = Vec::new();
        for stored in stored {
            let Submitted::Stored { reference, .. } = stored else {
                panic!("it is new");
            };
            let request = look_up(portal.pool(), reference).await.unwrap();
            services.push(request.expect("it is there").service);
        }
        let new = |edges| portal.submission(SubmissionId::random(), edges);
        let update = new(&[("sip.a.example", "a.example new.example")]);
        let Asked::Initiate(wanted) = update.asked else {
            panic!("the form asks for a new service");
        };
        let update = Submission {
            asked: Asked::Update {
                service: services[0],
                deployment: wanted.deployment,
                routes: wanted.routes,
            },
            ..update
        };
        let cancel = Submission {
            asked: Asked::Cancel {
                service: services[1],
            },
            ..new(&other)
        };
        Self(vec![
            new(&[("sip.x.example", "x.example")]),
            update,
            again(),
            new(&[
                ("sip.y.example", "y.example z.example"),
                ("sip.z.example", "zz.example"),
            ]),
            cancel,
        ])
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let answers = submit(portal.pool(), &self.0).await;
        let answers = answers.map_err(|error| error.to_string())?;
        let stored = |answer: &&Submitted| matches!(answer, Submitted::Stored { .. });
        assert_eq!(answers.iter().filter(stored).count(), 5, "{answers:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_slice_of_submissions_is_stored_whole_or_not_at_all() {
    fail_everywhere::<Slice>().await;
}

/// A service in force, and two browsers that are signed in to it.
struct Owner {
    /// The last request of the service.
    reference: String,
    key: String,
    cookie: String,
    submission: String,
}

/// The address, and the fields.
type Sending<'a> = (String, Vec<(&'a str, &'a str)>);

/// A form that administrators send.
trait Form {
    const PLACES: i64;

    /// Whether the service has a pending request.
    const PENDING: bool = false;

    /// Whether the browser is signed in.
    const SIGNED_IN: bool = true;

    fn of(owner: &Owner) -> Sending<'_>;
}

/// A form sent to a portal whose database fails.
struct Sent<F> {
    owner: Owner,
    form: PhantomData<F>,
}

impl<F: Form> Operation for Sent<F> {
    const PLACES: i64 = F::PLACES;

    async fn prepare(portal: &TestApp) -> Self {
        let (mut reference, key) = portal.submit(A).await;
        portal.work().await;
        sign_in(portal, &key).await;
        let cookie = sign_in(portal, &key).await;
        if F::PENDING {
            let id = submission_id();
            let (path, fields) = edited(&id);
            let sent = portal.post_with(&path, &fields, &cookie).await;
            reference = sent.reference();
        }
        let owner = Owner {
            reference,
            key,
            cookie,
            submission: submission_id(),
        };
        Self {
            owner,
            form: PhantomData,
        }
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let (path, fields) = F::of(&self.owner);
        let cookie = if F::SIGNED_IN {
            self.owner.cookie.as_str()
        } else {
            ""
        };
        sent(portal, &path, &fields, cookie).await
    }
}

/// Sends a form; returns why it was refused, if it was.
pub(super) async fn sent(
    portal: &TestApp,
    path: &str,
    fields: &[(&str, &str)],
    cookie: &str,
) -> Result<(), String> {
    let answer = portal.post_with(path, fields, cookie).await;
    match answer.status {
        StatusCode::SEE_OTHER => Ok(()),
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::SERVICE_UNAVAILABLE => {
            answer.hides("fault");
            Err(answer.status.to_string())
        }
        status => panic!("{path}: {status} {}", answer.body),
    }
}

struct New;

impl Form for New {
    const PLACES: i64 = 12;

    fn of(owner: &Owner) -> Sending<'_> {
        let fields = request(&owner.submission, &[("sip.n.example", "n.example")]);
        ("/requests/new".into(), fields)
    }
}

#[tokio::test]
async fn a_request_is_sent_once_or_not_at_all() {
    fail_everywhere::<Sent<New>>().await;
}

struct Edit;

fn edited(id: &str) -> Sending<'_> {
    let after = &[("sip.a.example", "a.example d.example")];
    let more = &[("confirm_edge_change", "on"), ("action", "submit")];
    ("/service/edit".into(), edit(id, after, more))
}

impl Form for Edit {
    const PLACES: i64 = 12;

    fn of(owner: &Owner) -> Sending<'_> {
        edited(&owner.submission)
    }
}

#[tokio::test]
async fn an_update_is_sent_once_or_not_at_all() {
    fail_everywhere::<Sent<Edit>>().await;
}

struct Cancel;

impl Form for Cancel {
    const PLACES: i64 = 12;

    fn of(owner: &Owner) -> Sending<'_> {
        let fields = vec![("confirm", "on"), ("submission_id", &*owner.submission)];
        ("/service/cancel".into(), fields)
    }
}

#[tokio::test]
async fn a_cancel_is_sent_once_or_not_at_all() {
    fail_everywhere::<Sent<Cancel>>().await;
}

struct NewKey;

impl Form for NewKey {
    const PLACES: i64 = 8;

    fn of(_: &Owner) -> Sending<'_> {
        ("/service/key".into(), Vec::new())
    }
}

#[tokio::test]
async fn a_key_is_replaced_with_all_that_hangs_on_it_or_not_at_all() {
    fail_everywhere::<Sent<NewKey>>().await;
}

struct Withdraw;

impl Form for Withdraw {
    const PENDING: bool = true;
    const PLACES: i64 = 10;

    fn of(owner: &Owner) -> Sending<'_> {
        let path = format!("/requests/{}/withdraw", owner.reference);
        (path, vec![("management_key", &owner.key)])
    }
}

#[tokio::test]
async fn a_request_is_taken_back_whole_or_not_at_all() {
    fail_everywhere::<Sent<Withdraw>>().await;
}

struct CheckAgain;

impl Form for CheckAgain {
    const PENDING: bool = true;
    const PLACES: i64 = 3;

    fn of(owner: &Owner) -> Sending<'_> {
        (
            format!("/requests/{}/check-again", owner.reference),
            Vec::new(),
        )
    }
}

#[tokio::test]
async fn another_look_is_asked_for_or_not() {
    fail_everywhere::<Sent<CheckAgain>>().await;
}

struct SignIn;

impl Form for SignIn {
    const SIGNED_IN: bool = false;
    const PLACES: i64 = 4;

    fn of(owner: &Owner) -> Sending<'_> {
        let fields = vec![
            ("number", "1234567"),
            ("management_key", owner.key.as_str()),
        ];
        ("/service".into(), fields)
    }
}

#[tokio::test]
async fn somebody_is_signed_in_or_not() {
    fail_everywhere::<Sent<SignIn>>().await;
}

struct SignOut;

impl Form for SignOut {
    const PLACES: i64 = 4;

    fn of(_: &Owner) -> Sending<'_> {
        ("/service/sign-out".into(), Vec::new())
    }
}

#[tokio::test]
async fn somebody_is_signed_out_or_not() {
    fail_everywhere::<Sent<SignOut>>().await;
}
