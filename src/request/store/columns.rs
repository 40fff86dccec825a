//! Submissions as the columns that the statement takes which stores them.

use super::Submission;
use crate::{
    agreement::Programme,
    names::EdgeRoutes,
    request::{
        Asked, Deployment, Kind,
        reference::{Reference, ServiceToken},
    },
};

/// Submissions as the columns that the statement takes, and their routes as five more. Places count
/// from 1.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) kind: Vec<Kind>,
    pub(super) service_id: Vec<Option<i64>>,
    pub(super) programme: Vec<Option<Programme>>,
    pub(super) number: Vec<Option<&'a str>>,
    pub(super) token: Vec<String>,
    pub(super) key_hash: Vec<[u8; 16]>,
    pub(super) reference: Vec<Reference>,
    pub(super) deployment: Vec<Option<Deployment>>,
    pub(super) content_hash: Vec<[u8; 8]>,
    pub(super) staff: Vec<Option<i64>>,
    pub(super) why: Vec<Option<&'static str>>,
    pub(super) member: Vec<i64>,
    pub(super) edge: Vec<i16>,
    pub(super) place: Vec<i16>,
    pub(super) access_edge: Vec<Option<&'a str>>,
    pub(super) sip_domain: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(submissions: impl Iterator<Item = &'a Submission>) -> Self {
        let mut columns = Self::default();
        for (member, submission) in (1..).zip(submissions) {
            let asked = &submission.asked;
            let new = match asked {
                Asked::Initiate(wanted) => Some(wanted),
                Asked::Update { .. } | Asked::Cancel { .. } => None,
            };
            columns.kind.push(asked.kind());
            columns
                .service_id
                .push(asked.service().map(|service| service.0));
            columns.programme.push(new.map(|wanted| wanted.programme));
            columns
                .number
                .push(new.map(|wanted| wanted.number.as_str()));
            columns
                .token
                .push(ServiceToken::random().as_str().to_owned());
            columns.key_hash.push(submission.key.hash());
            columns.reference.push(submission.reference);
            columns.deployment.push(asked.deployment());
            columns.content_hash.push(asked.content_hash());
            let by_staff = submission.by_staff;
            columns.staff.push(by_staff.map(|by| by.account));
            columns.why.push(by_staff.map(|by| by.reason));
            for (ordinal, EdgeRoutes { edge, domains }) in (1..).zip(asked.edges()) {
                for (place, domain) in (1..).zip(domains) {
                    columns.member.push(member);
                    columns.edge.push(ordinal);
                    columns.place.push(place);
                    columns
                        .access_edge
                        .push((place == 1).then_some(edge.as_str()));
                    columns.sip_domain.push(domain.as_str());
                }
            }
        }
        columns
    }
}
