//! *Check your changes*: what is asked now, what will be, and each change in words.

use axum::{http::StatusCode, response::Response};

use super::{
    super::{
        change::{Change, changes},
        store::Service,
    },
    correct::Basis,
    view::{ChangeLine, ReviewPage},
};
use crate::{
    error::{Error, Problem},
    names::{AccessEdge, EdgeRoutes, SipDomain},
    request::{
        Deployment,
        form::{Checked, Note},
        pages::{fields::warning, findings::Findings, routes_of, view::Hidden},
    },
    web::{
        page, page_with,
        parts::{Field, Tone, count},
        shell::Section,
        site::Site,
    },
};

/// The confirmation that a change of an Access Edge FQDN needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirm {
    /// No domain in force changes its Access Edge.
    NotNeeded,
    /// It is asked for.
    Needed,
    /// The form was sent without it.
    Missing,
}

/// *Check your changes*: now, after, each change in words. 422 when it was sent without the
/// confirmation that a change of an Access Edge FQDN needs.
pub(super) fn review(
    site: &Site,
    service: &Service,
    basis: &Basis,
    checked: &Checked,
    confirm: Confirm,
    preflight: Option<Findings>,
    hidden: Vec<Hidden>,
) -> Result<Response, Error> {
    let message = "Tick the box to confirm that these domains change their Access Edge";
    let unconfirmed = confirm == Confirm::Missing;
    let confirm = (confirm != Confirm::NotNeeded).then(|| Field {
        errors: if unconfirmed {
            vec![message.to_owned()]
        } else {
            Vec::new()
        },
        ..Field::new("confirm_edge_change")
    });
    let mut shell = site.shell(Section::Service);
    shell.error = unconfirmed;
    let told = changes(&basis.routes, checked.wanted.routes.edges());
    let is_new = |change: &&Change| match change {
        Change::Added { domain, .. } => in_force_at(&service.routes, domain).is_none(),
        Change::Removed { .. } | Change::Moves { .. } => false,
    };
    let to_prove = match told.iter().filter(is_new).count() {
        added if added > 0 && shell.asks_proof() => {
            count(added, "new SIP domain", "new SIP domains")
        }
        _ => String::new(),
    };
    let number = &checked.wanted.number;
    let number = basis.number.as_ref().filter(|before| *before != number);
    let number = number.map(|before| ChangeLine {
        tag: "Corrected",
        tone: Tone::Action,
        domain: checked.wanted.number.to_string(),
        text: format!("is the agreement number, in place of {before}"),
    });
    let view = ReviewPage {
        shell,
        corrects: basis.corrects(),
        changes: number
            .clone()
            .into_iter()
            .chain(told.iter().map(|change| match basis.corrects {
                None => in_words(change),
                Some(_) => corrected(change, &service.routes),
            }))
            .collect(),
        now: routes_of(&basis.routes),
        after: routes_of(checked.wanted.routes.edges()),
        warnings: checked
            .notes
            .iter()
            .filter(|note| number.is_some() || !matches!(note, Note::Number(_)))
            .filter_map(warning)
            .collect(),
        split: checked.wanted.deployment == Deployment::Split,
        to_prove,
        preflight,
        confirm,
        hidden,
    };
    if !unconfirmed {
        return page(StatusCode::OK, &view);
    }
    page_with(Problem::field("confirm_edge_change", message), &view)
}

/// The Access Edge at which a domain is in force.
fn in_force_at<'a>(in_force: &'a [EdgeRoutes], domain: &SipDomain) -> Option<&'a AccessEdge> {
    let has = |of: &&EdgeRoutes| of.domains.contains(domain);
    in_force.iter().find(has).map(|of| &of.edge)
}

/// A change of what is in force, in words.
fn in_words(change: &Change) -> ChangeLine {
    let name = |edge: &AccessEdge| edge.to_string();
    let (tag, tone, text) = match change {
        Change::Added { edge, .. } => (
            "Added",
            Tone::Good,
            format!("comes into force at {}", name(edge)),
        ),
        Change::Removed { edge, .. } => (
            "Removed",
            Tone::Bad,
            format!("is in force no more at {}", name(edge)),
        ),
        Change::Moves { from, to, .. } => (
            "Moves",
            Tone::Action,
            format!("moves from {} to {}", name(from), name(to)),
        ),
    };
    ChangeLine {
        tag,
        tone,
        domain: change.domain().to_string(),
        text,
    }
}

/// A change of what a pending request asks for, in words, beside what is in force until then.
fn corrected(change: &Change, in_force: &[EdgeRoutes]) -> ChangeLine {
    let now = in_force_at(in_force, change.domain());
    let there = |edge| {
        if now == Some(edge) {
            ", where it is in force"
        } else {
            ""
        }
    };
    let (tag, tone, text) = match change {
        Change::Added { edge, .. } => (
            "Added",
            Tone::Good,
            format!("is asked for at {edge}{}", there(edge)),
        ),
        Change::Removed { edge, .. } => (
            "Removed",
            Tone::Bad,
            match now {
                None => format!("is no longer asked for at {edge}"),
                Some(_) => format!(
                    "is no longer asked for at {edge}, and goes out of force when this request is provisioned"
                ),
            },
        ),
        Change::Moves { from, to, .. } => (
            "Changed",
            Tone::Action,
            format!("is asked for at {to}{}, instead of {from}", there(to)),
        ),
    };
    ChangeLine {
        tag,
        tone,
        domain: change.domain().to_string(),
        text,
    }
}
