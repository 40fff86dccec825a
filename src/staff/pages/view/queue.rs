//! The structs of the queue's page.

use askama::Template;

use super::Desk;
use crate::web::{
    parts::{Choice, Domain, Field, Tone, When},
    shell::Shell,
};

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
    /// The options for `mark`.
    pub mark: (String, Vec<Choice>),
}

/// A line of the queue.
#[derive(Clone, Debug)]
pub struct QueueLine {
    /// The request's reference.
    pub reference: String,
    /// Its address, which leads on in the list.
    pub href: String,
    /// What staff have noted.
    pub marks: Vec<String>,
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
    /// Whether it is the desk's too, because it has been held for longer than the promise.
    pub held_long: bool,
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
    /// Whom it is about.
    pub about: About,
}

/// The names by which staff know whom a request is about.
#[derive(Clone, Debug)]
pub struct About {
    /// The first SIP domain; `None`: nothing is known any more.
    pub domain: Option<Domain>,
    /// How many more there are, as `+2`, or empty.
    pub more_domains: String,
    /// The first Access Edge, or empty.
    pub edge: String,
    /// How many more there are, as `+2`, or empty.
    pub more_edges: String,
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
    /// Whether the filters are shown open.
    pub filters_open: bool,
    /// The options of the filters.
    pub choices: Choices,
    /// The filters that are on or off: `ours`, `overdue`, `needs`, `risk`.
    pub only: Vec<(&'static str, &'static str, bool)>,
    /// The value of `state`, or empty.
    pub state: String,
    /// The requests.
    pub lines: Vec<QueueLine>,
    /// What an agent may do to several: the value of `action`, and the words of its button.
    pub deeds: Vec<(&'static str, &'static str)>,
    /// A message if more requests match than can be shown.
    pub too_many: Option<String>,
    /// A message if there may be more further on.
    pub unfinished: Option<String>,
    /// The address of the next page.
    pub next: Option<String>,
    /// Whether nothing is filtered or searched for: what is the desk's to act on.
    pub is_first: bool,
    /// The address of the same search in all requests; `None`: nothing else is filtered.
    pub everywhere: Option<String>,
    /// The gateways that have not loaded the newest routes, where that is shown.
    pub behind: Vec<String>,
    /// The address of the page before; `None`: there is none.
    pub previous: Option<String>,
    /// The address of the first page; `None`: this is it, or the one before is.
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

impl QueuePage<'_> {
    /// The query of this page, so that whoever has to sign in first comes back to it.
    fn query(&self) -> &str {
        self.here.find('?').map_or("", |at| &self.here[at..])
    }
}
