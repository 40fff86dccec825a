//! Which lines are one request, and is it one that the portal would take?

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    error::{Error, Step},
    fields::Field,
    row::{Problem, Problems},
    stage::{self, NewRequest, Requests, StagedRow},
};
use crate::{
    agreement::{AgreementNumber, Programme},
    names::{AccessEdge, EdgeRoutes, SipDomain},
    request::{
        Asked, Deployment, MAX_DOMAINS, MAX_EDGES, Routes, RoutesProblem, Wanted,
        reference::{Reference, SubmissionId},
    },
    secret::Secret,
};

/// What a submission id is derived under.
const SUBMISSION: &[u8] = b"pic-portal imported submission\0";

/// The submission that stands for a group of lines: the same one each time the file is read.
fn submission(secret: &Secret, group: &[u8]) -> SubmissionId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&secret.mac(SUBMISSION, group)[..16]);
    SubmissionId::of(bytes)
}

/// Puts lines together.
pub(super) struct Grouping<'a> {
    secret: &'a Secret,
    open: Option<Group>,
    requests: Requests,
}

/// An edge with the line that it came from, and its domains with theirs.
type Edge = (AccessEdge, u64, Vec<(SipDomain, u64)>);

/// The lines of one request, as far as they have come.
struct Group {
    place: i64,
    key: Vec<u8>,
    line: u64,
    programme: Programme,
    number: AgreementNumber,
    deployment: Deployment,
    provisioned: bool,
    submitted_at: Option<DateTime<Utc>>,
    /// In the order of their first lines.
    edges: Vec<Edge>,
    places: BTreeMap<AccessEdge, usize>,
    domains: usize,
    /// It has problems, or too much of something: nothing more is taken.
    spoilt: bool,
}

impl<'a> Grouping<'a> {
    pub(super) fn new(secret: &'a Secret) -> Self {
        Self {
            secret,
            open: None,
            requests: Requests::default(),
        }
    }

    /// Looks at everything staged, and stages the requests; how many there are.
    pub(super) async fn look(
        mut self,
        connection: &mut PgConnection,
        problems: &mut Problems,
        tell: &mut impl FnMut(Step),
    ) -> Result<i64, Error> {
        let groups = stage::order(connection).await?;
        loop {
            let rows = stage::fetch(connection).await?;
            if rows.len() == 0 {
                break;
            }
            for row in rows {
                self.take(row?, problems);
            }
            self.requests.flush(connection).await?;
            if let Some(open) = &self.open {
                tell(Step::Looking(open.place, groups));
            }
        }
        self.close(problems);
        self.requests.flush(connection).await?;
        Ok(groups)
    }

    fn take(&mut self, row: StagedRow, problems: &mut Problems) {
        if let Some(open) = &mut self.open
            && open.place == row.place
        {
            open.add(row, problems);
            return;
        }
        self.close(problems);
        self.open = Some(Group::of(row));
    }

    /// Makes a request of the open group.
    fn close(&mut self, problems: &mut Problems) {
        let Some(group) = self.open.take() else {
            return;
        };
        let (place, line) = (group.place, group.line);
        let (provisioned, submitted_at) = (group.provisioned, group.submitted_at);
        let key = group.key.clone();
        let Some(wanted) = group.into_wanted(problems) else {
            return;
        };
        let id = submission(self.secret, &key);
        self.requests.add(&NewRequest {
            place,
            group: key,
            line,
            provisioned,
            submitted_at,
            reference: Reference::derive(self.secret, &id),
            asked: Asked::Initiate(wanted),
        });
    }
}

impl Group {
    fn of(row: StagedRow) -> Self {
        Self {
            place: row.place,
            key: row.group,
            line: row.line,
            programme: row.programme,
            number: row.number,
            deployment: row.deployment,
            provisioned: row.provisioned,
            submitted_at: row.submitted_at,
            places: BTreeMap::from([(row.edge.clone(), 0)]),
            edges: vec![(row.edge, row.line, vec![(row.domain, row.line)])],
            domains: 1,
            spoilt: false,
        }
    }

    fn add(&mut self, row: StagedRow, problems: &mut Problems) {
        let line = row.line;
        for (field, same) in [
            (Field::Programme, self.programme == row.programme),
            (Field::Number, self.number == row.number),
            (Field::Deployment, self.deployment == row.deployment),
            (Field::State, self.provisioned == row.provisioned),
        ] {
            // Once a line, although a line can be several rows.
            if !same && !self.spoilt {
                let fault = format!(
                    "is not what line {} says, and both are of one request",
                    self.line
                );
                problems.add(Problem::new(line, field, fault));
                self.spoilt = true;
            }
        }
        if self.spoilt {
            return;
        }
        self.submitted_at = match (self.submitted_at, row.submitted_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let place = *self.places.entry(row.edge.clone()).or_insert_with(|| {
            self.edges.push((row.edge, line, Vec::new()));
            self.edges.len() - 1
        });
        self.edges[place].2.push((row.domain, line));
        self.domains += 1;
        // Memory does not grow with a file that repeats itself.
        let too_much = if self.edges.len() > MAX_EDGES {
            let fault = format!(
                "is the request's eleventh. A request can have {MAX_EDGES}: give the others a request id of their own"
            );
            Some((Field::Edge, fault))
        } else if self.domains > 10 * MAX_DOMAINS {
            let fault = format!(
                "is far too much for one request, which can have {MAX_DOMAINS}: give the others a request id of their own"
            );
            Some((Field::Domains, fault))
        } else {
            None
        };
        if let Some((field, fault)) = too_much {
            problems.add(Problem::new(line, field, fault));
            self.spoilt = true;
        }
    }

    /// What the lines ask for together, if the portal's rules allow it.
    fn into_wanted(self, problems: &mut Problems) -> Option<Wanted> {
        if self.spoilt {
            return None;
        }
        let plain = |(edge, _, domains): &Edge| EdgeRoutes {
            edge: edge.clone(),
            domains: domains.iter().map(|(d, _)| d.clone()).collect(),
        };
        match Routes::new(self.edges.iter().map(plain).collect()) {
            Ok(routes) => Some(Wanted {
                programme: self.programme,
                number: self.number,
                deployment: self.deployment,
                routes,
            }),
            Err(faults) => {
                for fault in faults {
                    problems.add(self.told(fault));
                }
                None
            }
        }
    }

    /// A problem of the routes by its line.
    fn told(&self, fault: RoutesProblem) -> Problem {
        let domain = |edge: usize, domain: usize| self.edges[edge].2[domain].1;
        match fault {
            RoutesProblem::NoEdge | RoutesProblem::TooManyEdges => Problem::new(
                self.line,
                Field::Edge,
                format!("a request has 1 to {MAX_EDGES} Access Edge FQDNs"),
            ),
            RoutesProblem::TooManyDomains => Problem::new(
                self.line,
                Field::Domains,
                format!(
                    "the request that begins here has more than {MAX_DOMAINS}: give the others a request id of their own"
                ),
            ),
            RoutesProblem::NoDomain { edge } => {
                Problem::new(self.edges[edge].1, Field::Domains, "is empty")
            }
            RoutesProblem::EdgeTwice { edge, earlier } => Problem::new(
                self.edges[edge].1,
                Field::Edge,
                format!("stands at line {} already", self.edges[earlier].1),
            ),
            RoutesProblem::DomainTwice {
                edge, domain: at, ..
            } => Problem::new(
                domain(edge, at),
                Field::Domains,
                "stands at another Access Edge of the same request already. A SIP domain has one",
            ),
            RoutesProblem::DomainIsEdge { edge, domain: at } => Problem::new(
                domain(edge, at),
                Field::Domains,
                "is the name of an Access Edge of the same request, not a SIP domain",
            ),
        }
    }
}
