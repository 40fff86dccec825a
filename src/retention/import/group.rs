//! Puts the lines of one request together, and holds it to the rules of the portal's form.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{
    fields::Field,
    row::{Problem, Problems, Row},
};
use crate::{
    agreement::{AgreementNumber, Programme},
    names::{AccessEdge, EdgeRoutes, SipDomain},
    request::{
        Asked, Deployment, MAX_DOMAINS, MAX_EDGES, Routes, RoutesProblem, Wanted,
        reference::{Reference, SubmissionId},
        store::Submission,
    },
    secret::{ManagementKey, Secret},
};

/// What a submission id is derived under.
const SUBMISSION: &[u8] = b"pic-portal imported submission\0";
/// How groups of lines are told apart, by an old number or by an agreement's.
const BY_ID: &[u8] = b"pic-portal import by id\0";
const BY_AGREEMENT: &[u8] = b"pic-portal import by agreement\0";
/// The most SIP domains of a file: they are held in memory.
const MOST_DOMAINS: usize = 2_000_000;

/// The requests of a file, in the order in which it begins them.
pub(super) struct Groups<'a> {
    secret: &'a Secret,
    places: HashMap<[u8; 16], usize>,
    all: Vec<Group>,
    domains: usize,
}

/// An edge with its first line, and its domains with their lines.
type Edge = (AccessEdge, u64, Vec<(SipDomain, u64)>);

/// The lines of one request.
pub(super) struct Group {
    /// The same one each time the file is read.
    reference: Reference,
    pub(super) line: u64,
    pub(super) programme: Programme,
    pub(super) number: AgreementNumber,
    deployment: Deployment,
    /// Whether its routes are in force; else it is in progress.
    pub(super) provisioned: bool,
    submitted_at: Option<DateTime<Utc>>,
    /// In the order of their first lines.
    edges: Vec<Edge>,
    /// Its lines contradict each other, which the problems tell: nothing more is taken.
    spoilt: bool,
    /// It has too many edges, which the routes will tell: nothing more is taken.
    full: bool,
}

impl<'a> Groups<'a> {
    pub(super) fn new(secret: &'a Secret) -> Self {
        Self {
            secret,
            places: HashMap::new(),
            all: Vec::new(),
            domains: 0,
        }
    }

    /// Adds a line to its request.
    pub(super) fn add(&mut self, row: Row, problems: &mut Problems) {
        let full = self.domains > MOST_DOMAINS;
        self.domains += row.domains.len();
        if self.domains > MOST_DOMAINS {
            if !full {
                let fault = format!("is beyond {MOST_DOMAINS}: make several files of this one");
                problems.add(Problem::new(row.line, Field::Domains, fault));
            }
            return;
        }
        let agreement = || format!("{}\0{}", row.programme.as_str(), row.number.as_str());
        let group = match &row.id {
            Some(id) => self.secret.mac(BY_ID, id.as_bytes()),
            None => self.secret.mac(BY_AGREEMENT, agreement().as_bytes()),
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.secret.mac(SUBMISSION, &group)[..16]);
        let place = *self.places.entry(bytes).or_insert(self.all.len());
        if place == self.all.len() {
            let reference = Reference::derive(self.secret, &SubmissionId::of(bytes));
            self.all.push(Group::of(reference, &row));
        }
        self.all[place].add(row, problems);
    }

    /// All requests; `problems` learns what is wrong with them.
    pub(super) fn finish(self, problems: &mut Problems) -> Vec<Group> {
        for group in self.all.iter().filter(|group| !group.spoilt) {
            for fault in group.routes().err().into_iter().flatten() {
                problems.add(group.told(fault));
            }
        }
        let each = self.all.iter().enumerate();
        let mut domains: Vec<_> = each
            .flat_map(|(place, group)| group.domains().map(move |(d, line)| (d, line, place)))
            .collect();
        domains.sort_unstable();
        for same in domains.chunk_by(|one, other| one.0 == other.0) {
            let (_, first, place) = same[0];
            for &(_, line, _) in same.iter().filter(|domain| domain.2 != place) {
                let fault = format!(
                    "stands at line {first} too, under another request. A SIP domain belongs to one: leave the other out"
                );
                problems.add(Problem::new(line, Field::Domains, fault));
            }
        }
        self.all
    }
}

impl Group {
    fn of(reference: Reference, row: &Row) -> Self {
        Self {
            reference,
            line: row.line,
            programme: row.programme,
            number: row.number.clone(),
            deployment: row.deployment,
            provisioned: row.provisioned,
            submitted_at: row.submitted_at,
            edges: Vec::new(),
            spoilt: false,
            full: false,
        }
    }

    fn add(&mut self, row: Row, problems: &mut Problems) {
        if self.spoilt || self.full {
            return;
        }
        let line = row.line;
        let differs = [
            (Field::Programme, self.programme != row.programme),
            (Field::Number, self.number != row.number),
            (Field::Deployment, self.deployment != row.deployment),
            (Field::State, self.provisioned != row.provisioned),
        ];
        if let Some((field, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            let first = self.line;
            let fault = format!("is not what line {first} says, and both are of one request");
            problems.add(Problem::new(line, field, fault));
            self.spoilt = true;
            return;
        }
        self.submitted_at = self.submitted_at.into_iter().chain(row.submitted_at).min();
        let place = self.edges.iter().position(|(edge, ..)| *edge == row.edge);
        let place = place.unwrap_or_else(|| {
            self.edges.push((row.edge, line, Vec::new()));
            self.edges.len() - 1
        });
        let domains = row.domains.into_iter().map(|domain| (domain, line));
        self.edges[place].2.extend(domains);
        // More is not held: this is wrong already.
        self.full = self.edges.len() > MAX_EDGES;
    }

    /// Its domains, each with its line.
    pub(super) fn domains(&self) -> impl Iterator<Item = (&str, u64)> {
        let domains = self.edges.iter().flat_map(|(_, _, domains)| domains);
        domains.map(|(domain, line)| (domain.as_str(), *line))
    }

    /// When it was submitted to the old portal. What is pending begins anew.
    pub(super) fn submitted_at(&self) -> Option<DateTime<Utc>> {
        self.submitted_at.filter(|_| self.provisioned)
    }

    fn routes(&self) -> Result<Routes, Vec<RoutesProblem>> {
        let edges = self.edges.iter().map(|(edge, _, domains)| EdgeRoutes {
            edge: edge.clone(),
            domains: domains.iter().map(|(domain, _)| domain.clone()).collect(),
        });
        Routes::new(edges.collect())
    }

    /// The request, whose service has a random key; `None`: the lines are wrong.
    pub(super) fn submission(&self) -> Option<Submission> {
        let routes = self.routes().ok().filter(|_| !self.spoilt)?;
        Some(Submission {
            reference: self.reference,
            asked: Asked::Initiate(Wanted {
                programme: self.programme,
                number: self.number.clone(),
                deployment: self.deployment,
                routes,
            }),
            key: ManagementKey::random(),
            by_staff: None,
        })
    }

    /// A problem of the routes by its line.
    fn told(&self, fault: RoutesProblem) -> Problem {
        let line_of = |edge: usize, domain: usize| self.edges[edge].2[domain].1;
        match fault {
            RoutesProblem::TooManyEdges => {
                let fault = format!(
                    "is the request's eleventh. A request can have {MAX_EDGES}: give the others a request id of their own"
                );
                Problem::new(self.edges[MAX_EDGES].1, Field::Edge, fault)
            }
            RoutesProblem::TooManyDomains => {
                let fault = format!(
                    "the request that begins here has more than {MAX_DOMAINS}: give the others a request id of their own"
                );
                Problem::new(self.line, Field::Domains, fault)
            }
            RoutesProblem::DomainTwice { edge, domain, .. } => Problem::new(
                line_of(edge, domain),
                Field::Domains,
                "stands at another Access Edge of the same request already. A SIP domain has one",
            ),
            RoutesProblem::DomainIsEdge { edge, domain } => Problem::new(
                line_of(edge, domain),
                Field::Domains,
                "is the name of an Access Edge of the same request, not a SIP domain",
            ),
            // An edge comes with its domains, once.
            RoutesProblem::NoEdge
            | RoutesProblem::NoDomain { .. }
            | RoutesProblem::EdgeTwice { .. } => Problem::new(
                self.line,
                Field::Edge,
                "has no domain, or stands there twice",
            ),
        }
    }
}
