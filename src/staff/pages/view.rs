//! The structs of the support desk's pages. Plain fields only.

mod queue;
mod request;

pub use self::{
    queue::{About, Choices, QueueLine, QueuePage, StateTab},
    request::{Happened, HolderLine, InList, MarkLine, May, RequestPage},
};

use askama::Template;

use crate::{
    request::pages::findings::Group,
    web::{
        parts::{Choice, EdgeText, Field, Problem, Tone, When},
        shell::Shell,
    },
};

/// The part of the desk that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// The overview.
    Overview,
    /// The queue, requests and services.
    Requests,
    /// The audit.
    Audit,
    /// The account page.
    Account,
}

/// The header of every page: who is signed in, and the tabs.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Name of the account.
    pub name: String,
    /// Whether it may act, and read the audit.
    pub is_agent: bool,
    /// The tab of the page.
    pub tab: Tab,
}

impl Desk {
    /// All tabs: which, its text, its address.
    pub(super) fn ways(&self) -> Vec<(Tab, &'static str, &'static str)> {
        let mut ways = vec![
            (Tab::Requests, "Requests", "/staff/requests"),
            (Tab::Overview, "Overview", "/staff"),
        ];
        if self.is_agent {
            ways.push((Tab::Audit, "Audit", "/staff/audit"));
        }
        ways.push((Tab::Account, "Your account", "/staff/account"));
        ways
    }

    /// The keys of the desk, and what each does (`static/source/js/keys.js`).
    #[expect(clippy::unused_self, reason = "the template calls it")]
    pub(super) const fn keys(&self) -> [(&'static str, &'static str); 8] {
        [
            ("/", "Search"),
            ("j", "Next line of the list"),
            ("k", "Line of the list before"),
            ("Enter", "Open the line"),
            ("n", "Next request of the list"),
            ("c", "Check this request again"),
            ("r", "Refuse this request"),
            ("?", "Show these keys"),
        ]
    }
}

/// `GET /staff/sign-in`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/sign_in.html")]
pub struct SignInPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// `name`.
    pub name: Field,
    /// `password`; never filled in again.
    pub password: Field,
    /// `next`: the page to go to afterwards, or empty.
    pub next: String,
    /// Whether accounts with passwords may sign in.
    pub passwords: bool,
    /// The address that leads to the OpenID provider, if there is one.
    pub provider: Option<String>,
    /// Whether the browser goes there by itself, to have its session confirmed.
    pub goes_on: bool,
}

/// The page of an agent who has to prove who they are first.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/step_up.html")]
pub struct StepUpPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The header of the desk.
    pub desk: Desk,
    /// The address that leads to the OpenID provider.
    pub way: String,
}

impl StepUpPage<'_> {
    /// What is wrong.
    pub const TITLE: &'static str = "Sign in once more to do this";
    /// What to do.
    pub const DETAIL: &'static str = "It cannot be undone, so your organisation’s sign-in has to ask you again first. Nothing was done.";
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
    /// The frame of the page.
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
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The header of the desk.
    pub desk: Desk,
    /// `old`; never filled in again.
    pub old: Field,
    /// `new`; never filled in again.
    pub new: Field,
    /// How many browsers are signed in.
    pub sessions: usize,
    /// Whether it signs in by password, and not at the OpenID provider.
    pub has_password: bool,
    /// Whether the password was just changed.
    pub changed: bool,
}

impl AccountPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.old.problems();
        problems.extend(self.new.problems());
        problems
    }
}

/// The period for which a service held a domain.
#[derive(Clone, Debug)]
pub struct HoldingLine {
    /// The domain.
    pub domain: String,
    /// The service that held it.
    pub service: i64,
    /// Its agreement number.
    pub number: String,
    /// Whether it is the service of the page.
    pub is_own: bool,
    /// The time from which it held the domain.
    pub since: When,
    /// The time until which it held it; `None`: it still does.
    pub until: Option<When>,
}

/// A request in the list of a service.
#[derive(Clone, Debug)]
pub struct ServiceLine {
    /// The request's reference.
    pub reference: String,
    /// What was asked for.
    pub kind: &'static str,
    /// The stored state, for programs.
    pub state: &'static str,
    /// The standing in a word or two.
    pub tag: &'static str,
    /// The tone of the tag.
    pub tone: Tone,
    /// When it was submitted.
    pub submitted: When,
}

/// `GET /staff/services/{service}`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/service.html")]
pub struct ServicePage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The header of the desk.
    pub desk: Desk,
    /// The id of the service.
    pub id: i64,
    /// The first domain in force and how many more there are; `None`: nothing is in force.
    pub about: Option<String>,
    /// The programme's name.
    pub programme: &'static str,
    /// What the programme calls its number.
    pub number_label: &'static str,
    /// The agreement number.
    pub number: String,
    /// Public token, for the TXT record that gives it a domain.
    pub token: String,
    /// When its first request was submitted.
    pub created: When,
    /// The routes in force, by edge.
    pub routes: Vec<EdgeText>,
    /// How many domains that is.
    pub domains: usize,
    /// What its checks have found since.
    pub findings: Vec<Group>,
    /// The services that held its domains.
    pub holdings: Vec<HoldingLine>,
    /// Its requests, newest first.
    pub requests: Vec<ServiceLine>,
    /// Whether the account may cancel it, and there is something to cancel.
    pub may_cancel: bool,
    /// `reason` of a cancellation.
    pub reason: Field,
    /// The reasons to choose from.
    pub reasons: Vec<Choice>,
    /// `confirm` of a cancellation.
    pub confirm: Field,
}

impl ServicePage<'_> {
    fn problems(&self) -> Vec<Problem> {
        [&self.reason, &self.confirm]
            .into_iter()
            .flat_map(Field::problems)
            .collect()
    }
}

/// A line of the audit.
#[derive(Clone, Debug)]
pub struct AuditLine {
    /// The time of the action.
    pub when: When,
    /// The account's name.
    pub name: String,
    /// What was done.
    pub action: &'static str,
    /// The request it was about, or empty.
    pub request: String,
    /// The service it was about.
    pub service: Option<i64>,
    /// The reason or the mark, or empty.
    pub reason: &'static str,
}

/// `GET /staff/audit`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/audit.html")]
pub struct AuditPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The header of the desk.
    pub desk: Desk,
    /// The lines, newest first.
    pub lines: Vec<AuditLine>,
    /// The address of the next page.
    pub next: Option<String>,
}
