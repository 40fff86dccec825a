//! The structs of a service's pages, with texts ready to be shown.

use askama::Template;

use crate::{
    request::{
        pages::{
            findings::Findings,
            moved::Moved,
            view::{EdgeFields, Hidden, deployments},
        },
        summary::OnGateways,
    },
    web::{
        parts::{Choice, EdgeText, Field, Problem, Tone, When},
        shell::Shell,
    },
};

/// `GET /service`: sign in.
#[derive(Clone, Debug, Template)]
#[template(path = "service/sign_in.html")]
pub struct SignInPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The address that the form is sent to.
    pub action: &'static str,
    /// What was typed into a form before the session ended, and is sent on.
    pub hidden: Vec<Hidden>,
    /// `number`.
    pub number: Field,
    /// `management_key`; what was typed is never sent back.
    pub key: Field,
}

impl SignInPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        [&self.number, &self.key]
            .into_iter()
            .flat_map(Field::problems)
            .collect()
    }
}

/// A request in a service's list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its public name.
    pub reference: String,
    /// What was asked for, in a word or two.
    pub kind: &'static str,
    /// The stored state, for programs.
    pub state: &'static str,
    /// The standing in a word or two.
    pub tag: &'static str,
    /// The tone of the tag.
    pub tone: Tone,
    /// Whether something holds it back that the administrator can fix.
    pub blocked: bool,
    /// When it was submitted.
    pub submitted: When,
}

/// `GET /service`, signed in: what is in force, what is pending, what can be done.
#[derive(Clone, Debug, Template)]
#[template(path = "service/hub.html")]
pub struct HubPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The programme's name.
    pub programme: String,
    /// What the programme calls its number.
    pub number_label: String,
    /// The agreement number.
    pub number: String,
    /// The routes in force by edge.
    pub routes: Vec<EdgeText>,
    /// The domains that went over to another service, if any did.
    pub moved: Option<Moved>,
    /// How the last provisioned request stands, in a word or two.
    pub tag: Option<&'static str>,
    /// The tone of the tag.
    pub tone: Tone,
    /// How many domains are in force.
    pub activated: usize,
    /// On how many gateways its routes are live; `None`: there are no gateways, or no routes.
    pub gateways: Option<OnGateways>,
    /// The pending request.
    pub pending: Option<Line>,
    /// Whether its new domains have to be proven.
    pub asks_proof: bool,
    /// What the last checks found wrong with the routes in force.
    pub risks: Findings,
    /// Whether some of it keeps calls and messages from arriving.
    pub at_risk: bool,
    /// The reference of the request whose page has the details; or empty.
    pub risks_of: String,
    /// All requests, newest first.
    pub requests: Vec<Line>,
    /// Whether it has a feed and a calendar.
    pub is_watched: bool,
}

/// `GET /service/edit`, and again whenever the form has to be shown with what was typed.
#[derive(Clone, Debug, Template)]
#[template(path = "service/edit.html")]
pub struct EditPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The number of the agreement.
    pub number: String,
    /// The hidden submission id, made once for each form.
    pub submission_id: String,
    /// One to ten groups, in order.
    pub edges: Vec<EdgeFields>,
    /// `deployment`.
    pub deployment: Field,
    /// Names offered in place of refused ones.
    pub offers: Vec<String>,
    /// Problems that belong to no field.
    pub general: Vec<Problem>,
    /// Whether routes are in force, which a change may interrupt.
    pub has_routes: bool,
    /// The reference of the pending request, which blocks the update.
    pub pending: Option<String>,
    /// The reference of the pending request that is corrected; empty for an update.
    pub corrects: String,
    /// `corrected_number`, where the first request is corrected.
    pub corrected_number: Option<Field>,
    /// What the programme calls its number.
    pub number_label: &'static str,
    /// What was typed, as hidden fields.
    pub hidden: Vec<Hidden>,
}

impl EditPage<'_> {
    /// The address that the buttons of the edges send to.
    const ACTION: &'static str = "/service/edit";
    /// Access Edge FQDNs in a request (`docs/field.md#edges-and-domains`).
    const MOST_EDGES: usize = crate::request::MAX_EDGES;

    fn problems(&self) -> Vec<Problem> {
        let of_edges = self.edges.iter().flat_map(EdgeFields::problems);
        self.general
            .iter()
            .cloned()
            .chain(self.corrected_number.iter().flat_map(Field::problems))
            .chain(of_edges)
            .chain(self.deployment.problems())
            .collect()
    }

    fn deployments(&self) -> [Choice; 2] {
        deployments(self.shell.provider)
    }
}

/// One change, in words.
#[derive(Clone, Debug)]
pub struct ChangeLine {
    /// `Added`, `Removed`, `Moves`, or `Changed` of what a request asks for.
    pub tag: &'static str,
    /// The tone of the tag.
    pub tone: Tone,
    /// The domain that changes, or the new agreement number.
    pub domain: String,
    /// What happens to the domain.
    pub text: String,
}

/// `action=review` of an edit: now, after, and each change in words.
#[derive(Clone, Debug, Template)]
#[template(path = "service/review.html")]
pub struct ReviewPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The reference of the pending request that is corrected; empty for an update.
    pub corrects: String,
    /// All changes.
    pub changes: Vec<ChangeLine>,
    /// The routes in force, or those that the pending request asks for so far.
    pub now: Vec<EdgeText>,
    /// What will be in force.
    pub after: Vec<EdgeText>,
    /// What looks odd and may be right all the same.
    pub warnings: Vec<String>,
    /// Whether some users of the domains are online.
    pub split: bool,
    /// How many domains are added and have to be proven, such as `2 new SIP domains`; or empty.
    pub to_prove: String,
    /// The findings of a check now; `None`: checks are off.
    pub preflight: Option<Findings>,
    /// `confirm_edge_change`; `None` where no domain in force changes its Access Edge.
    pub confirm: Option<Field>,
    /// All other fields of the form.
    pub hidden: Vec<Hidden>,
}

impl ReviewPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        self.confirm.iter().flat_map(Field::problems).collect()
    }
}

/// `GET /service/cancel`: what the service will lose.
#[derive(Clone, Debug, Template)]
#[template(path = "service/cancel.html")]
pub struct CancelPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The submission id, by which a retry is recognised.
    pub submission_id: String,
    /// The number of the agreement.
    pub number: String,
    /// The routes in force, which will end.
    pub routes: Vec<EdgeText>,
    /// How many domains that is.
    pub domains: usize,
    /// `confirm`.
    pub confirm: Field,
}

/// `GET /service/key`: a new management key, before and after.
#[derive(Clone, Debug, Template)]
#[template(path = "service/key.html")]
pub struct KeyPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The new key; `None` before it is made and when it is no longer shown.
    pub key: Option<String>,
    /// The number of the agreement.
    pub number: String,
    /// Whether the service has a feed and a calendar.
    pub is_watched: bool,
    /// Why no new key was made.
    pub problems: Vec<Problem>,
}

/// `GET /service/watch`: the feed and the calendar of the service.
#[derive(Clone, Debug, Template)]
#[template(path = "service/watch.html")]
pub struct WatchPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The addresses of feed and calendar; `None` before they are made and when they are no longer
    /// shown.
    pub addresses: Option<(String, String)>,
    /// Whether the service has a feed and a calendar.
    pub is_watched: bool,
}
