//! The structs of the support desk's pages. Plain fields only.

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

/// A tab with the requests of one state.
#[derive(Clone, Debug)]
pub struct StateTab {
    /// The state in words.
    pub words: &'static str,
    /// How many there are.
    pub count: String,
    /// The address of the tab.
    pub href: String,
    /// Whether it is the present tab.
    pub is_here: bool,
}

/// The filters' lists: for each the chosen value, or empty, and the options.
#[derive(Clone, Debug)]
pub struct Choices {
    /// The options for `programme`.
    pub programme: (String, Vec<Choice>),
    /// The options for `age`.
    pub age: (String, Vec<Choice>),
    /// The options for `finding`.
    pub finding: (String, Vec<Choice>),
}

/// A line of the queue.
#[derive(Clone, Debug)]
pub struct QueueLine {
    /// The request's reference.
    pub reference: String,
    /// The stored state.
    pub state: &'static str,
    /// What was asked for.
    pub kind: &'static str,
    /// The standing in a word or two.
    pub tag: &'static str,
    /// The tone of the tag.
    pub tone: Tone,
    /// Who must act.
    pub turn: &'static str,
    /// How old it is, or how long it took.
    pub age: String,
    /// The age compared with promise and limit.
    pub against: String,
    /// When it was submitted.
    pub submitted: When,
    /// The most severe finding, or empty.
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
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The header of the desk.
    pub desk: Desk,
    /// `q`: the search box.
    pub q: Field,
    /// What the search text was taken for, or empty.
    pub taken_for: String,
    /// A tab for each state.
    pub tabs: Vec<StateTab>,
    /// The options of the filters.
    pub choices: Choices,
    /// The filters that are on or off: `overdue`, `needs`, `risk`.
    pub only: Vec<(&'static str, &'static str, bool)>,
    /// The value of `state`, or empty.
    pub state: String,
    /// The requests.
    pub lines: Vec<QueueLine>,
    /// A message if more requests match than can be shown.
    pub too_many: Option<String>,
    /// A message if there may be more further on.
    pub unfinished: Option<String>,
    /// The address of the next page.
    pub next: Option<String>,
    /// Whether anything is filtered or searched for.
    pub is_filtered: bool,
    /// The address of the first page; `None`: this is it.
    pub first: Option<String>,
    /// The address of this page.
    pub here: String,
    /// The address of the same list as a file.
    pub export: String,
    /// The promise, in words.
    pub promise: String,
    /// The limit, in words.
    pub limit: String,
}

/// A line of the timeline, with the member of the staff who acted.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The time of the event.
    pub when: When,
    /// What happened.
    pub title: &'static str,
    /// By whom, and about what.
    pub text: String,
}

/// A domain that another service holds.
#[derive(Clone, Debug)]
pub struct HolderLine {
    /// The domain.
    pub domain: String,
    /// The service that holds it.
    pub service: i64,
    /// Its agreement number.
    pub number: String,
    /// The time since when it does.
    pub since: When,
}

/// What may be done to a request, by its state and the account's role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// Whether another check may be queued.
    pub check: bool,
    /// Whether it may be refused or withdrawn.
    pub end: bool,
}

/// `GET /staff/requests/{reference}`.
#[derive(Clone, Debug, Template)]
#[template(path = "staff/request.html")]
pub struct RequestPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The header of the desk.
    pub desk: Desk,
    /// The request's reference.
    pub reference: String,
    /// The version of what is shown, for the live stream.
    pub version: String,
    /// The stored state.
    pub state: &'static str,
    /// The standing in a word or two.
    pub tag: &'static str,
    /// The tone of the tag.
    pub tone: Tone,
    /// Who must act.
    pub turn: &'static str,
    /// The age compared with promise and limit.
    pub age: String,
    /// Facts, each with its name.
    pub facts: Vec<(&'static str, String)>,
    /// Facts that are times.
    pub times: Vec<(&'static str, When)>,
    /// The id of its service, for a link.
    pub service: i64,
    /// Findings that matter, the most severe first.
    pub findings: Vec<Group>,
    /// How many more findings are fine or were skipped.
    pub quiet: usize,
    /// Domains that other services hold.
    pub holders: Vec<HolderLine>,
    /// Pending requests that want the same: domain and reference.
    pub rivals: Vec<(String, String)>,
    /// The routes asked for, by edge.
    pub routes: Vec<EdgeText>,
    /// The service's other requests.
    pub others: Vec<String>,
    /// The entries, the newest first.
    pub timeline: Vec<Happened>,
    /// How many events came before those, in words, or empty.
    pub earlier: String,
    /// What may be done to it.
    pub may: May,
    /// `reason` of a refusal.
    pub reason: Field,
    /// The reasons to choose from.
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
    /// Whether a filter is set, so that the filters are shown open.
    fn is_chosen(&self) -> bool {
        let lists = [
            &self.choices.programme,
            &self.choices.age,
            &self.choices.finding,
        ];
        self.only.iter().any(|(_, _, on)| *on) || lists.iter().any(|(chosen, _)| !chosen.is_empty())
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
    /// The reason, or empty.
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
