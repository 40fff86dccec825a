//! The actions of the support desk, with a failure at each write.

use pic_portal::staff::Role;

use super::{Operation, Struck, administrators::sent};
use crate::{
    staff::{account, sign_in},
    support::app::TestApp,
};

const AGENT: &str = "anna";

/// An action of an agent on a request.
trait Deed {
    const PLACES: i64;

    /// The address below `/staff`, with `REFERENCE` for the request or `SERVICE` for the service.
    const PATH: &str;

    /// The fields of its form.
    const FIELDS: &[(&str, &str)];
}

struct Done<D> {
    path: String,
    cookie: String,
    deed: std::marker::PhantomData<D>,
}

impl<D: Deed> Operation for Done<D> {
    const PLACES: i64 = D::PLACES;

    async fn prepare(portal: &TestApp) -> Self {
        portal.submit(&[("sip.a.example", "a.example")]).await;
        portal.work().await;
        let service = portal.number("SELECT max(id) FROM service").await;
        let (held, _) = portal.submit(&[("sip.b.example", "a.example")]).await;
        portal.work().await;
        Self {
            path: format!("/staff/{}", D::PATH)
                .replace("REFERENCE", &held)
                .replace("SERVICE", &service.to_string()),
            cookie: sign_in(portal, AGENT).await,
            deed: std::marker::PhantomData,
        }
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        sent(portal, &self.path, D::FIELDS, &self.cookie).await
    }
}

async fn fail_everywhere<D: Deed>() {
    let struck = Struck::new().await;
    account(&struck.portal, AGENT, Role::Agent).await;
    struck.everywhere::<Done<D>>().await;
}

struct Refuse;

impl Deed for Refuse {
    const PLACES: i64 = 10;
    const PATH: &str = "requests/REFERENCE/refuse";
    const FIELDS: &[(&str, &str)] = &[("reason", "policy"), ("confirm", "on")];
}

#[tokio::test]
async fn a_request_is_refused_and_recorded_or_neither() {
    fail_everywhere::<Refuse>().await;
}

struct Withdraw;

impl Deed for Withdraw {
    const PLACES: i64 = 11;
    const PATH: &str = "requests/REFERENCE/withdraw";
    const FIELDS: &[(&str, &str)] = &[("confirm", "on")];
}

#[tokio::test]
async fn a_request_is_taken_back_for_somebody_and_recorded_or_neither() {
    fail_everywhere::<Withdraw>().await;
}

struct CheckAgain;

impl Deed for CheckAgain {
    const PLACES: i64 = 8;
    const PATH: &str = "requests/REFERENCE/check-again";
    const FIELDS: &[(&str, &str)] = &[];
}

#[tokio::test]
async fn another_look_is_asked_for_and_recorded_or_neither() {
    fail_everywhere::<CheckAgain>().await;
}

struct Cancel;

impl Deed for Cancel {
    const PLACES: i64 = 10;
    const PATH: &str = "services/SERVICE/cancel";
    const FIELDS: &[(&str, &str)] = &[("reason", "owner-asked"), ("confirm", "on")];
}

#[tokio::test]
async fn a_service_is_cancelled_for_somebody_and_recorded_or_neither() {
    fail_everywhere::<Cancel>().await;
}

struct Mark;

impl Deed for Mark {
    const PLACES: i64 = 5;
    const PATH: &str = "requests/REFERENCE/mark";
    const FIELDS: &[(&str, &str)] = &[("set", "taken")];
}

#[tokio::test]
async fn a_mark_is_set_and_recorded_or_neither() {
    fail_everywhere::<Mark>().await;
}
