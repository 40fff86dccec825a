//! What is on the pages of the support desk? Plain fields only.

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

/// A way to the requests of one state.
#[derive(Clone, Debug)]
pub struct StateTab {
    /// The state.
    pub words: &'static str,
    /// How many there are.
    pub count: String,
    /// Where they are.
    pub href: String,
    /// They are what is shown.
    pub is_here: bool,
}

/// The filters' lists: for each what is chosen, or empty, and what can be.
#[derive(Clone, Debug)]
pub struct Choices {
    /// `programme`.
    pub programme: (String, Vec<Choice>),
    /// `age`.
    pub age: (String, Vec<Choice>),
    /// `finding`.
    pub finding: (String, Vec<Choice>),
}

/// A line of the queue.
#[derive(Clone, Debug)]
pub struct QueueLine {
    /// The request's name.
    pub reference: String,
    /// The stored state.
    pub state: &'static str,
    /// What was asked.
    pub kind: &'static str,
    /// How it stands.
    pub tag: &'static str,
    /// The tone of that.
    pub tone: Tone,
    /// Who must act.
    pub turn: &'static str,
    /// How old it is, or how long it took.
    pub age: String,
    /// That against promise and limit.
    pub against: String,
    /// When it was submitted.
    pub submitted: When,
    /// The gravest finding, or empty.
    pub worst: &'static str,
    /// Its code, or empty.
    pub worst_code: &'static str,
    /// The programme.
    pub programme: &'static str,
    /// The agreement number.
    pub number: String,
    /// How many SIP domains it wants.
    pub domains: i64,
}

/// `GET /staff/requests`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/queue.html")]
pub struct QueuePage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// What stands above it.
    pub desk: Desk,
    /// `q`: the one box.
    pub q: Field,
    /// What it was taken for, or empty.
    pub taken_for: String,
    /// A way to each state.
    pub tabs: Vec<StateTab>,
    /// The lists of the filters.
    pub choices: Choices,
    /// Each of the filters that are on or off: `overdue`, `needs`, `risk`.
    pub only: Vec<(&'static str, &'static str, bool)>,
    /// `state`, or empty.
    pub state: String,
    /// The requests.
    pub lines: Vec<QueueLine>,
    /// More match than are looked at.
    pub too_many: Option<String>,
    /// There may be more further on.
    pub unfinished: Option<String>,
    /// Where it goes on.
    pub next: Option<String>,
    /// Something is filtered or searched for.
    pub is_filtered: bool,
    /// Where the first page is; `None`: here.
    pub first: Option<String>,
    /// Where this page is.
    pub here: String,
    /// Where the same is as a file.
    pub export: String,
    /// The promise, in words.
    pub promise: String,
    /// The limit, in words.
    pub limit: String,
}

/// A line of the timeline, with who of the staff it was.
#[derive(Clone, Debug)]
pub struct Happened {
    /// When.
    pub when: When,
    /// What.
    pub title: &'static str,
    /// By whom, and about what.
    pub text: String,
}

/// A domain that another service has.
#[derive(Clone, Debug)]
pub struct HolderLine {
    /// The domain.
    pub domain: String,
    /// The service.
    pub service: i64,
    /// Its agreement number.
    pub number: String,
    /// Since when.
    pub since: When,
}

/// What may be done to a request, by the state machine and the account's role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// Check it again.
    pub check: bool,
    /// Refuse it, or take it back.
    pub end: bool,
}

/// `GET /staff/requests/{reference}`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/request.html")]
pub struct RequestPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// What stands above it.
    pub desk: Desk,
    /// The request's name.
    pub reference: String,
    /// What is shown, in short, for the live stream.
    pub version: String,
    /// The stored state.
    pub state: &'static str,
    /// How it stands.
    pub tag: &'static str,
    /// The tone of that.
    pub tone: Tone,
    /// Who must act.
    pub turn: &'static str,
    /// How old it is, against promise and limit.
    pub age: String,
    /// Facts, each under its name.
    pub facts: Vec<(&'static str, String)>,
    /// Facts that are moments.
    pub times: Vec<(&'static str, When)>,
    /// The service, for its own page.
    pub service: i64,
    /// Findings that matter, the gravest first.
    pub findings: Vec<Group>,
    /// How many more are fine or were skipped.
    pub quiet: usize,
    /// Domains that other services have.
    pub holders: Vec<HolderLine>,
    /// Pending requests that want the same: domain and reference.
    pub rivals: Vec<(String, String)>,
    /// The routes asked for, by edge.
    pub routes: Vec<EdgeText>,
    /// The service's other requests.
    pub others: Vec<String>,
    /// The newest first.
    pub timeline: Vec<Happened>,
    /// How many events there were before those, or empty.
    pub earlier: String,
    /// What may be done.
    pub may: May,
    /// `reason` of a refusal.
    pub reason: Field,
    /// The reasons there are.
    pub reasons: Vec<Choice>,
    /// `confirm` of a refusal.
    pub confirm: Field,
    /// `confirm` of a withdrawal.
    pub confirm_withdraw: Field,
}

impl RequestPage<'_> {
    fn is_nobodys_turn(&self) -> bool {
        self.turn == "Nobody"
    }

    fn problems(&self) -> Vec<Problem> {
        [&self.reason, &self.confirm, &self.confirm_withdraw]
            .into_iter()
            .flat_map(Field::problems)
            .collect()
    }
}

impl QueuePage<'_> {
    /// Something is chosen in the filters, so they stand open.
    fn is_chosen(&self) -> bool {
        let lists = [
            &self.choices.programme,
            &self.choices.age,
            &self.choices.finding,
        ];
        self.only.iter().any(|(_, _, on)| *on) || lists.iter().any(|(chosen, _)| !chosen.is_empty())
    }
}

/// For how long a service held a domain.
#[derive(Clone, Debug)]
pub struct SpellLine {
    /// The domain.
    pub domain: String,
    /// The service.
    pub service: i64,
    /// Its agreement number.
    pub number: String,
    /// It is the service of the page.
    pub is_own: bool,
    /// From when.
    pub since: When,
    /// Until when; `None`: it still does.
    pub until: Option<When>,
}

/// A request in the list of a service.
#[derive(Clone, Debug)]
pub struct ServiceLine {
    /// Its name.
    pub reference: String,
    /// What was asked.
    pub kind: &'static str,
    /// The stored state.
    pub state: &'static str,
    /// When it was submitted.
    pub submitted: When,
}

/// `GET /staff/services/{service}`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/service.html")]
pub struct ServicePage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// What stands above it.
    pub desk: Desk,
    /// Internal number.
    pub id: i64,
    /// The programme's name.
    pub programme: &'static str,
    /// What it calls its number.
    pub number_label: &'static str,
    /// The number.
    pub number: String,
    /// Public token, for the TXT record that gives it a domain.
    pub token: String,
    /// When its first request was submitted.
    pub created: When,
    /// What is in force, by edge.
    pub routes: Vec<EdgeText>,
    /// How many domains that is.
    pub domains: usize,
    /// What the checks of it have found since.
    pub findings: Vec<Group>,
    /// Who held its domains when.
    pub spells: Vec<SpellLine>,
    /// Its requests, newest first.
    pub requests: Vec<ServiceLine>,
    /// The account may cancel it, and there is something to cancel.
    pub may_cancel: bool,
    /// `reason` of a cancellation.
    pub reason: Field,
    /// The reasons there are.
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
    /// When.
    pub when: When,
    /// Who.
    pub name: String,
    /// What.
    pub action: &'static str,
    /// The request, or empty.
    pub request: String,
    /// The service.
    pub service: Option<i64>,
    /// Why, or empty.
    pub reason: &'static str,
}

/// `GET /staff/audit`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/audit.html")]
pub struct AuditPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// What stands above it.
    pub desk: Desk,
    /// Newest first.
    pub lines: Vec<AuditLine>,
    /// Where it goes on.
    pub next: Option<String>,
}
