//! Collects the errors and notes about the request form, in words for the person who typed it.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use validator::ValidationErrors;

use super::{Field, FieldError, Note, Typed};
use crate::{
    names::{EdgeRoutes, Fqdn, List, Piece, Role, SipDomain, typed},
    request::{MAX_DOMAINS, MAX_EDGES, Routes, RoutesProblem},
};

/// How many wrong names of one box are named one by one.
const TOLD_ONE_BY_ONE: usize = 10;

/// The errors and notes so far, in any order.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<FieldError>,
    pub(super) notes: Vec<Note>,
}

impl Findings {
    pub(super) fn wrong(&mut self, field: Field, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// An error in a line of a list.
    fn wrong_line(&mut self, field: Field, line: Option<usize>, message: impl fmt::Display) {
        let message = match line {
            Some(line) => format!("Line {line}: {message}"),
            None => message.to_string(),
        };
        self.errors.push(FieldError {
            field,
            line,
            message,
        });
    }

    /// Maps the errors of `validator`; these carry the rejected values, so they are not passed on.
    pub(super) fn presence(&mut self, errors: &ValidationErrors) {
        for error in errors.field_errors().values().copied().flatten() {
            match error.code.as_ref() {
                "programme" => self.wrong(Field::Programme, "Select a licensing programme"),
                "deployment" => self.wrong(
                    Field::Deployment,
                    "Select whether some users of these domains are online",
                ),
                // The only other rule, of `edge` and of `domains`.
                _ if self.errors.iter().any(|e| e.field == Field::Form) => {}
                _ => self.wrong(Field::Form, edge_count()),
            }
        }
    }

    pub(super) fn normalised(&mut self, field: Field, typed: &str, used: &str) {
        if typed.trim() != used {
            self.notes.push(Note::Normalised {
                field,
                typed: Typed(typed.trim().to_owned()),
                used: Typed(used.to_owned()),
            });
        }
    }

    /// The domains in the box at index `place`, with the line of each where there are several; `None`
    /// when one of them is wrong or there is none.
    pub(super) fn domains(
        &mut self,
        place: usize,
        typed: &str,
    ) -> Option<(Vec<SipDomain>, Vec<Option<usize>>)> {
        let field = Field::Domains(place);
        let list = List::read(typed);
        // One name alone needs no line.
        let several = list.names.len() > 1;
        let mut domains = Vec::new();
        let mut lines = Vec::new();
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        let mut doubles = 0;
        for piece in &list.names {
            let line = several.then_some(piece.line);
            match SipDomain::parse(piece.text) {
                Ok(domain) if seen.insert(domain.clone()) => {
                    self.normalised(field, piece.text, domain.as_str());
                    self.unknown_ending(domain.as_fqdn());
                    domains.push(domain);
                    lines.push(line);
                }
                Ok(_) => doubles += 1,
                Err(error) => {
                    let mut message = error.message(Role::SipDomain);
                    if let Some(shown) = typed::shown(piece.text).filter(|_| several) {
                        // Writing to a String cannot fail.
                        let _ = write!(message, ". You typed “{shown}”");
                    }
                    faults.push((line, message));
                }
            }
        }
        if doubles > 0 {
            self.notes.push(Note::Merged {
                edge: place,
                doubles,
            });
        }
        if !list.left_out.is_empty() {
            let shown = |text| typed::shown(text).map(Typed);
            let pieces = list.left_out.iter().map(|it| (it.line, shown(it.text)));
            self.notes.push(Note::LeftOut {
                edge: place,
                pieces: pieces.collect(),
            });
        }
        if domains.is_empty() && faults.is_empty() {
            let mut message = "Enter the SIP domains, like contoso.com, one on a line".to_owned();
            if typed.contains('#') && !list.left_out.is_empty() {
                message.push_str(". What stands behind a # is a comment and is not read");
            }
            self.wrong(field, message);
        }
        self.numbered(place, &list);
        let untold = faults.len().saturating_sub(TOLD_ONE_BY_ONE);
        let sound = faults.is_empty();
        for (line, message) in faults.into_iter().take(TOLD_ONE_BY_ONE) {
            self.wrong_line(field, line, message);
        }
        if untold > 0 {
            self.wrong(
                field,
                if untold == 1 {
                    "1 more name in this box is not a SIP domain".to_owned()
                } else {
                    format!("{untold} more names in this box are not SIP domains")
                },
            );
        }
        (sound && !domains.is_empty()).then_some((domains, lines))
    }

    /// Names that begin with the numbers of their lines, from 1.
    fn numbered(&mut self, edge: usize, list: &List<'_>) {
        let numbered = |(piece, number): (&Piece<'_>, u32)| {
            let rest = piece.text.strip_prefix(&format!("{number}."))?;
            Some((
                SipDomain::parse(piece.text).ok()?,
                SipDomain::parse(rest).ok()?,
            ))
        };
        let mut names = list.names.iter().zip(1..).map_while(numbered);
        if let Some(first) = names.next() {
            let count = 1 + names.count();
            if count > 1 {
                self.notes.push(Note::Numbered { edge, first, count });
            }
        }
    }

    pub(super) fn unknown_ending(&mut self, name: &Fqdn) {
        if name.has_unknown_ending() {
            let so_far = self.notes.iter_mut().find_map(|note| match note {
                Note::UnknownEnding { names } => Some(names),
                _ => None,
            });
            match so_far {
                Some(names) => names.push(name.clone()),
                None => self.notes.push(Note::UnknownEnding {
                    names: vec![name.clone()],
                }),
            }
        }
    }

    /// What is wrong with the routes together; `lines` has the line of each domain in `names`.
    pub(super) fn routes(
        &mut self,
        problems: &[RoutesProblem],
        names: &[EdgeRoutes],
        lines: &[Vec<Option<usize>>],
    ) {
        for problem in problems {
            match *problem {
                RoutesProblem::NoEdge | RoutesProblem::TooManyEdges => self.wrong(Field::Form, edge_count()),
                RoutesProblem::TooManyDomains => self.wrong(
                    Field::Domains(0),
                    format!("A request can have {MAX_DOMAINS} SIP domains. Put the others into a second request"),
                ),
                RoutesProblem::NoDomain { edge } => {
                    self.wrong(Field::Domains(edge), "Enter the SIP domains, like contoso.com");
                }
                RoutesProblem::EdgeTwice { edge, earlier } => self.wrong(
                    Field::Edge(edge),
                    format!("{} is Access Edge {} already. Put its SIP domains together there", names[edge].edge, earlier + 1),
                ),
                RoutesProblem::DomainTwice { edge, domain, earlier } => self.wrong_line(
                    Field::Domains(edge),
                    lines[edge][domain],
                    format!(
                        "{} is at Access Edge {} already. A SIP domain has one Access Edge: remove it from one of the two",
                        names[edge].domains[domain],
                        earlier + 1
                    ),
                ),
                RoutesProblem::DomainIsEdge { edge, domain } => {
                    let name = &names[edge].domains[domain];
                    let mut message = format!("{name} is the name of an Access Edge, not a SIP domain. Enter what stands after the @ in your users’ addresses");
                    if let Some(parent) = name.parent() {
                        // Writing to a String cannot fail.
                        let _ = write!(message, ", like {parent}");
                    }
                    self.wrong_line(Field::Domains(edge), lines[edge][domain], message);
                }
            }
        }
    }

    pub(super) fn discoverable(&mut self, routes: &Routes) {
        for EdgeRoutes { edge, domains } in routes.edges() {
            let odd: Vec<_> = domains
                .iter()
                .filter(|d| !edge.is_discoverable_for(d))
                .cloned()
                .collect();
            if !odd.is_empty() {
                self.notes.push(Note::NotDiscoverable {
                    edge: edge.clone(),
                    domains: odd,
                });
            }
        }
    }

    /// The errors of a form with this many Access Edges. Each says of which of several it is: the
    /// summary has them all in one list.
    pub(super) fn in_page_order(mut self, edges: usize) -> Vec<FieldError> {
        let several = self.errors.iter_mut().filter(|_| edges > 1);
        for FieldError { field, message, .. } in several {
            let (Field::Edge(place) | Field::Domains(place)) = *field else {
                continue;
            };
            let number = place + 1;
            *message = match message.strip_prefix("Line ") {
                Some(rest) => format!("Access Edge {number}, line {rest}"),
                None => format!("Access Edge {number}: {message}"),
            };
        }
        self.errors.sort_by_key(|error| match error.field {
            Field::Form => (0, 0, 0),
            Field::SubmissionId => (0, 1, 0),
            Field::Programme => (1, 0, 0),
            Field::Number => (2, 0, 0),
            Field::Edge(place) => (3, place, 0),
            Field::Domains(place) => (3, place, 1),
            Field::Deployment => (4, 0, 0),
            Field::Licences => (5, 0, 0),
            Field::MayAct => (5, 1, 0),
        });
        self.errors
    }
}

fn edge_count() -> String {
    format!("Enter 1 to {MAX_EDGES} Access Edge FQDNs. More than {MAX_EDGES} need a second request")
}
