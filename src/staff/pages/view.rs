//! What is on the pages of the support desk? Plain fields only.

use askama::Template;

use crate::{
    request::pages::view::{Field, Problem},
    web::shell::Shell,
};

/// The part of the desk that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// The queue, requests and services.
    Requests,
    /// The audit.
    Audit,
    /// The own account.
    Account,
}

/// What stands above every page: who is signed in, and the ways on.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Name of the account.
    pub name: String,
    /// It may act, and read the audit.
    pub is_agent: bool,
    /// Where in the desk the page stands.
    pub tab: Tab,
}

impl Desk {
    /// Each way on: tab, words, address.
    fn ways(&self) -> Vec<(Tab, &'static str, &'static str)> {
        let mut ways = vec![(Tab::Requests, "Requests", "/staff/requests")];
        if self.is_agent {
            ways.push((Tab::Audit, "Audit", "/staff/audit"));
        }
        ways.push((Tab::Account, "Your account", "/staff/account"));
        ways
    }
}

/// `GET /staff/sign-in`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/sign_in.html")]
pub struct SignInPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// `name`.
    pub name: Field,
    /// `password`; never filled in again.
    pub password: Field,
    /// `next`: where to go then, or empty.
    pub next: String,
}

impl SignInPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        self.name.problems()
    }
}

/// `GET /staff/set-up`: the first account.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/set_up.html")]
pub struct SetUpPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// The token of the link.
    pub token: String,
    /// `name`.
    pub name: Field,
    /// `password`; never filled in again.
    pub password: Field,
}

impl SetUpPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.name.problems();
        problems.extend(self.password.problems());
        problems
    }
}

/// `GET /staff/account`: the own password and sessions.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/account.html")]
pub struct AccountPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// What stands above it.
    pub desk: Desk,
    /// `old`; never filled in again.
    pub old: Field,
    /// `new`; never filled in again.
    pub new: Field,
    /// Browsers that are signed in.
    pub sessions: usize,
    /// The password was changed just now.
    pub changed: bool,
}

impl AccountPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.old.problems();
        problems.extend(self.new.problems());
        problems
    }
}
