//! The structs of the page of a request.

use askama::Template;

use super::Desk;
use crate::{
    request::pages::findings::Group,
    web::{
        parts::{Choice, EdgeText, Field, Problem, Tone, When},
        shell::Shell,
    },
};

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

/// A mark of a request.
#[derive(Clone, Debug)]
pub struct MarkLine {
    /// The mark, as in the form.
    pub value: &'static str,
    /// The mark in words.
    pub words: &'static str,
    /// The account that set it.
    pub by: String,
    /// When it did.
    pub when: When,
}

/// Where a request leads to in the list that it was opened from.
#[derive(Clone, Debug)]
pub struct InList {
    /// The query of the list, to append to addresses of requests.
    pub query: String,
    /// The address of the list.
    pub list: String,
    /// The address of the request before it.
    pub previous: Option<String>,
    /// The address of the request after it.
    pub next: Option<String>,
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
    /// The list that it was opened from, if any.
    pub list: Option<InList>,
    /// The address of this page, as it updates itself.
    pub address: String,
    /// What became of *Check again*, or empty.
    pub note: &'static str,
    /// What staff have noted.
    pub marks: Vec<MarkLine>,
    /// What the account may note: the mark, and the words of its button.
    pub to_mark: Vec<(&'static str, &'static str)>,
    /// Whether the account may act.
    pub is_agent: bool,
    /// The first domain and how many more there are.
    pub about: String,
    /// What the programme calls its number.
    pub number_label: &'static str,
    /// The agreement number.
    pub number: String,
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
    /// The promise in words, if it has been held for longer, so that it is the desk's too; or empty.
    pub held_long: String,
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
    /// The query of the list, or empty.
    fn query(&self) -> &str {
        self.list.as_ref().map_or("", |list| &list.query)
    }

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
