//! What is on each page of a service, in words ready to be shown?

use askama::Template;

use crate::{
    request::pages::{
        findings::Findings,
        view::{EdgeFields, Hidden, deployments},
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
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// `number`.
    pub number: Field,
    /// `management_key`; what was typed is never sent back.
    pub key: Field,
    /// What is wrong, without saying which of the two.
    pub problem: Option<&'static str>,
}

impl SignInPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        let problem = |text: &&str| Problem {
            id: "number".into(),
            text: (*text).into(),
        };
        self.problem.iter().map(problem).collect()
    }
}

/// A request in a service's list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its public name.
    pub reference: String,
    /// What was asked, in a word or two.
    pub kind: &'static str,
    /// The stored state, for programs.
    pub state: &'static str,
    /// How it stands, in a word or two.
    pub tag: &'static str,
    /// Its tone.
    pub tone: Tone,
    /// When it was submitted.
    pub submitted: When,
}

/// `GET /service`, signed in: what is in force, what is under way, what can be done.
#[derive(Clone, Debug, Template)]
#[template(path = "service/hub.html")]
pub struct HubPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// The programme's name.
    pub programme: String,
    /// What the programme calls its number.
    pub number_label: String,
    /// The number.
    pub number: String,
    /// The routes in force by edge.
    pub routes: Vec<EdgeText>,
    /// How many domains are in force.
    pub activated: usize,
    /// The request that is pending.
    pub pending: Option<Line>,
    /// Its new domains have to be proven.
    pub asks_proof: bool,
    /// What the last checks found wrong with what is in force.
    pub risks: Findings,
    /// Some of it keeps calls and messages from arriving, or could not be looked at.
    pub at_risk: bool,
    /// The request whose page has more of it, by its reference; or empty.
    pub risks_of: String,
    /// All requests, newest first.
    pub requests: Vec<Line>,
}

/// `GET /service/edit`, and again whenever the form has to be shown with what was typed.
#[derive(Clone, Debug, Template)]
#[template(path = "service/edit.html")]
pub struct EditPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// The number of the agreement.
    pub number: String,
    /// Hidden, made once for a form.
    pub submission_id: String,
    /// One to ten groups, in order.
    pub edges: Vec<EdgeFields>,
    /// `deployment`.
    pub deployment: Field,
    /// Problems that belong to no field.
    pub general: Vec<Problem>,
    /// The request that is pending and stands in the way, by its reference.
    pub pending: Option<String>,
}

impl EditPage<'_> {
    /// Where the buttons of the edges lead.
    const ACTION: &'static str = "/service/edit";
    /// Access Edge FQDNs in a request (`docs/field.md#edges-and-domains`).
    const MOST_EDGES: usize = crate::request::MAX_EDGES;

    fn problems(&self) -> Vec<Problem> {
        let of_edges = self.edges.iter().flat_map(EdgeFields::problems);
        self.general
            .iter()
            .cloned()
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
    /// `Added`, `Removed` or `Moves`.
    pub tag: &'static str,
    /// Its tone.
    pub tone: Tone,
    /// The domain.
    pub domain: String,
    /// What happens to it.
    pub text: String,
}

/// `action=review` of an edit: now, after, and each change in words.
#[derive(Clone, Debug, Template)]
#[template(path = "service/review.html")]
pub struct ReviewPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// Each change.
    pub changes: Vec<ChangeLine>,
    /// What is in force.
    pub now: Vec<EdgeText>,
    /// What will be in force.
    pub after: Vec<EdgeText>,
    /// What looks odd and may be right all the same.
    pub warnings: Vec<String>,
    /// Some users of the domains are online.
    pub split: bool,
    /// How many domains are added and have to be proven, such as `2 new SIP domains`; or empty.
    pub to_prove: String,
    /// What the checks say now; `None`: they are off.
    pub outlook: Option<Findings>,
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

/// `GET /service/cancel`: what stops.
#[derive(Clone, Debug, Template)]
#[template(path = "service/cancel.html")]
pub struct CancelPage<'a> {
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// What a retry is known by.
    pub submission_id: String,
    /// The number of the agreement.
    pub number: String,
    /// What is in force, and will not be.
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
    /// What stands around the page.
    pub shell: Shell<'a>,
    /// The new key; `None` before it is made and when its time is over.
    pub key: Option<String>,
    /// The number of the agreement.
    pub number: String,
    /// Why no new key was made just now.
    pub problems: Vec<Problem>,
}
