//! The structs of a request's pages, with texts ready to be shown.
//!
//! Plain fields only: the code that fills a page has done the counting, the comparing and the
//! wording, and a template only arranges. Templates escape all texts. An empty string means "none"
//! wherever a field's documentation says "or empty".

use askama::Template;

use super::{findings::Findings, moved::Moved, proof, tasks::Tasks};
use crate::{
    request::summary::OnGateways,
    web::{
        parts::{Choice, Domain, EdgeText, Field, Problem, Tone, Way, When},
        shell::Shell,
    },
};

/// `GET /`: what the portal is, what to have at hand, three ways on.
#[derive(Clone, Debug, Template)]
#[template(path = "start.html")]
pub struct StartPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The promise in words, such as `48 hours`.
    pub promise: String,
    /// The limit in words, such as `30 days`.
    pub limit: String,
}

/// The fields of one Access Edge in the form.
#[derive(Clone, Debug, Default)]
pub struct EdgeFields {
    /// `edge`, the FQDN.
    pub edge: Field,
    /// `domains`, one a line.
    pub domains: Field,
}

impl EdgeFields {
    /// The empty fields of the edge with this number (from 1), named `edge-1` and `domains-1`.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self {
            edge: Field::new(format!("edge-{number}")),
            domains: Field::new(format!("domains-{number}")),
        }
    }

    /// The lines of the error summary about these fields.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        [&self.edge, &self.domains]
            .into_iter()
            .flat_map(Field::problems)
            .collect()
    }
}

/// `GET /requests/new`, and again whenever the form has to be shown with what was typed.
#[derive(Clone, Debug, Template)]
#[template(path = "request/form.html")]
pub struct FormPage<'a> {
    /// The frame of the page; its `error` is set when [`FormPage::problems`] has any.
    pub shell: Shell<'a>,
    /// The hidden submission id, made once for each form.
    pub submission_id: String,
    /// The four programmes; a hint names the number that the programme asks for.
    pub programmes: Vec<Choice>,
    /// `programme`: the chosen value.
    pub programme: Field,
    /// `number`.
    pub number: Field,
    /// One to [`FormPage::MOST_EDGES`] groups, in order.
    pub edges: Vec<EdgeFields>,
    /// `deployment`: `on_premises` or `split`.
    pub deployment: Field,
    /// What the chosen programme calls its number.
    pub number_label: &'static str,
    /// `licences`: `on` or empty.
    pub licences: Field,
    /// `may_act`: `on` or empty.
    pub may_act: Field,
    /// Names offered in place of refused ones.
    pub offers: Vec<String>,
    /// Problems that belong to no field.
    pub general: Vec<Problem>,
}

impl FormPage<'_> {
    /// Access Edge FQDNs in a request (`docs/field.md#edges-and-domains`).
    pub const MOST_EDGES: usize = 10;
    /// The address that the buttons of the edges send to.
    const ACTION: &'static str = "/requests/new";

    /// All problems in the order of the page.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let edges = self
            .edges
            .iter()
            .flat_map(|edge| [&edge.edge, &edge.domains]);
        let fields = [&self.programme, &self.number]
            .into_iter()
            .chain(edges)
            .chain([&self.deployment, &self.licences, &self.may_act]);
        let of_fields = fields.flat_map(Field::problems);
        self.general.iter().cloned().chain(of_fields).collect()
    }

    fn deployments(&self) -> [Choice; 2] {
        deployments(self.shell.provider)
    }
}

/// The choices for where the users are homed.
pub(crate) fn deployments(provider: &str) -> [Choice; 2] {
    [
        Choice {
            value: "on_premises".into(),
            label: "No, all of them are on our own servers".into(),
            hint: String::new(),
        },
        Choice {
            value: "split".into(),
            label: "Yes, some are on our own servers and some are online".into(),
            hint: format!("A split domain. The order of the steps with {provider} matters."),
        },
    ]
}

/// An Access Edge on *Check your answers*.
#[derive(Clone, Debug, Default)]
pub struct AnswerEdge {
    /// Its FQDN and domains as they will be stored.
    pub routes: EdgeText,
    /// What was typed for the FQDN, where it differs; else empty.
    pub typed: String,
}

/// An input that was normalised.
#[derive(Clone, Debug, Default)]
pub struct Normalised {
    /// The input as typed.
    pub typed: String,
    /// The value as it will be stored.
    pub used: String,
}

/// A value in a hidden field.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    /// The field's name.
    pub name: &'static str,
    /// The field's value.
    pub value: String,
}

impl Hidden {
    /// The field of that name with that value.
    #[must_use]
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        Self { name, value }
    }
}

/// `action=review`: check your answers.
#[derive(Clone, Debug, Template)]
#[template(path = "request/answers.html")]
pub struct AnswersPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The programme's name.
    pub programme: String,
    /// What the programme calls its number, such as "Agreement number".
    pub number_label: String,
    /// The number as it will be stored.
    pub number: String,
    /// The number as typed, where it differs; else empty.
    pub number_typed: String,
    /// The edges in order.
    pub edges: Vec<AnswerEdge>,
    /// Whether some users of the domains are online.
    pub split: bool,
    /// Domains that were normalised; merged duplicates and the like are in `warnings`.
    pub normalised: Vec<Normalised>,
    /// What looks unusual and may be right all the same.
    pub warnings: Vec<String>,
    /// The findings of a check now; `None`: checks are off.
    pub preflight: Option<Findings>,
    /// All fields of the form in their order, with `submission_id` and without `action`.
    pub hidden: Vec<Hidden>,
}

/// `429` or `503`: the form cannot be accepted now, and the page keeps it to be sent again as it
/// is. Short, and without visible fields: most clients get this page when too many submit at once.
#[derive(Clone, Debug, Template)]
#[template(path = "request/later.html")]
pub struct LaterPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The address that the form is sent to.
    pub action: &'static str,
    /// Why it was not accepted, and when to send it again.
    pub message: String,
    /// All fields of the form in their order, without `action`.
    pub hidden: Vec<Hidden>,
    /// Whether it cancels a service: then there are no answers to change.
    pub cancels: bool,
}

/// `409`: this form was sent before, with other contents.
#[derive(Clone, Debug, Template)]
#[template(path = "request/already_sent.html")]
pub struct AlreadySentPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// Whether the client is signed in to a service.
    pub of_service: bool,
}

/// A time limit that has passed.
#[derive(Clone, Debug, Default)]
pub struct Overdue {
    /// How late it is, in words: "This request is 5 hours past its promise."
    pub text: String,
    /// Where to turn (`PIC_SUPPORT`): a text, a URL, or empty.
    pub support: String,
}

impl Overdue {
    fn support_is_link(&self) -> bool {
        ["https://", "http://", "mailto:", "tel:"]
            .iter()
            .any(|scheme| self.support.starts_with(scheme))
    }
}

/// An entry of the timeline.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// The time of the event.
    pub when: When,
    /// What happened, as a heading.
    pub title: String,
    /// Details, or empty.
    pub text: String,
}

/// `GET /requests/{reference}`.
#[derive(Clone, Debug, Template)]
#[template(path = "request/status.html")]
pub struct StatusPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The request's public name.
    pub reference: String,
    /// The stored state: `pending`, `provisioned`, `rejected` or `withdrawn`.
    pub state: String,
    /// The standing in a word or two, such as "Needs your action".
    pub tag: String,
    /// The tone of the tag.
    pub tone: Tone,
    /// The standing in a sentence.
    pub headline: String,
    /// What happens next and who must act.
    pub lead: String,
    /// Where it leads on to.
    pub ways: Vec<Way>,
    /// The domains that went over to another service, if any did.
    pub moved: Option<Moved>,
    /// On how many gateways its routes are live; `None`: there are no gateways, or no routes.
    pub gateways: Option<OnGateways>,
    /// When it was submitted.
    pub submitted: When,
    /// How long it has taken, such as `3 hours`; once ended, how long it took.
    pub elapsed: String,
    /// The time by which it should be done; `None` while it waits for the administrator, and once it
    /// has ended.
    pub promised: Option<When>,
    /// How long it has waited for the administrator, such as `6 days`.
    pub waiting: Option<String>,
    /// When it expires; `None` once it has ended.
    pub limit: Option<When>,
    /// When it ended, with what that time is called, such as `In force since`.
    pub ended: Option<(&'static str, When)>,
    /// Set when the promise has passed.
    pub overdue: Option<Overdue>,
    /// The tasks of both sides.
    pub tasks: Option<Tasks>,
    /// When the checks last ran.
    pub checked: Option<When>,
    /// When they run next.
    pub next: Option<When>,
    /// Whether the checks can be run now.
    pub can_check: bool,
    /// What the checks found.
    pub findings: Findings,
    /// What the page says about the records that prove who owns its domains.
    pub proof: proof::Section,
    /// Once the routes are in force, the commands for the administrator's own servers.
    pub steps: Option<Steps>,
    /// Programme, number and users, each with its name. The number is masked for whoever is not
    /// signed in to the service.
    pub asked: Vec<(&'static str, String)>,
    /// The routes asked for, by edge.
    pub routes: Vec<EdgeText>,
    /// Of a cancel the routes that it ends, by edge.
    pub cancels: Vec<EdgeText>,
    /// The newest first.
    pub timeline: Vec<Event>,
    /// How many events came before those, in words, or empty.
    pub earlier: String,
    /// The version of what is shown: a `status` event with the same version has nothing new.
    pub version: String,
    /// What must not be done online before it is provisioned; or empty.
    pub warning: &'static str,
    /// What became of *Check again*, once it was pressed; or empty.
    pub note: &'static str,
    /// The address of the page with that note.
    pub address: String,
    /// Where what is asked for can be corrected now; or empty.
    pub correct: &'static str,
    /// The names of a request that ended without its routes, to start again with.
    pub again: Option<Again>,
    /// Whether the request may be withdrawn now.
    pub can_withdraw: bool,
    /// Whether the client is signed in to the request's service, and needs no key.
    pub is_own: bool,
    /// What was wrong with the `management_key` of a withdrawal; the key itself is never shown.
    pub withdraw_errors: Vec<String>,
}

impl StatusPage<'_> {
    fn key(&self) -> Field {
        Field {
            errors: self.withdraw_errors.clone(),
            ..Field::new("management_key")
        }
    }
}

/// A form that is filled in with the names of another request.
#[derive(Clone, Debug)]
pub struct Again {
    /// The address of the form.
    pub action: &'static str,
    /// Its fields.
    pub hidden: Vec<Hidden>,
}

/// What is left to do on the administrator's own servers.
#[derive(Clone, Debug)]
pub struct Steps {
    /// The network's name as a PowerShell string.
    pub identity: String,
    /// The Access Edges, for testing them from outside.
    pub edges: Vec<String>,
    /// Whether some users of the domains are online.
    pub split: bool,
}

/// What is public about a SIP domain.
#[derive(Clone, Debug, Default)]
pub struct DomainAnswer {
    /// The domain asked for.
    pub domain: Domain,
    /// Whether a route for it is in force.
    pub in_force: bool,
}

/// `GET /status?q=`.
#[derive(Clone, Debug, Template)]
#[template(path = "status_find.html")]
pub struct FindPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// `q`: a reference or a SIP domain.
    pub q: Field,
    /// The answer, when a domain was asked for.
    pub answer: Option<DomainAnswer>,
}
