//! Accounts of the support desk.

use pic_portal::staff::{
    Name, Role,
    password::{Hasher, Lane, Password},
    store,
};

use super::app::TestApp;

/// The password of every account of these tests.
pub(crate) const PASSWORD: &str = "four words nobody says";

/// Makes an account.
pub(crate) async fn account(portal: &TestApp, name: &str, role: Role) {
    let name = Name::parse(name).unwrap();
    let hashed = Hasher::default()
        .hash(Password::typed(PASSWORD), Lane::Known)
        .await;
    let made = store::add(portal.pool(), &name, role, &hashed.unwrap()).await;
    assert!(made.unwrap(), "it is new");
}

/// Signs in to an account; returns the session's cookie.
pub(crate) async fn sign_in(portal: &TestApp, name: &str) -> String {
    let fields = [("name", name), ("password", PASSWORD)];
    let answer = portal.post("/staff/sign-in", &fields).await;
    assert_eq!(
        answer.header("location"),
        "/staff/requests",
        "{}",
        answer.body
    );
    answer.cookie()
}

/// Makes an account and signs in to it; returns the session's cookie.
pub(crate) async fn signed_in(portal: &TestApp, name: &str, role: Role) -> String {
    account(portal, name, role).await;
    sign_in(portal, name).await
}
