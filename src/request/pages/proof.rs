//! The TXT records that an administrator must publish to prove that the domains' owners agree.

use std::collections::{HashMap, HashSet};

use askama::Template;

use super::{findings::Block, load::Requests};
use crate::{
    db,
    names::SipDomain,
    readiness::{
        Code, Finding, Mode, ProofMode, Severity,
        owner::{record_name, record_value},
        wording::{self, Record},
    },
    request::{
        Kind,
        store::{self, Request},
    },
    web::parts::count,
};

/// A domain whose owner has to name the service, or has done so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) domain: SipDomain,
    /// Whether the last checks found the record; `None`: not yet looked up, or no name server
    /// answered.
    pub(crate) proven: Option<bool>,
}

/// The domains of `request` that are provisioned only with proof: of a pending request, where
/// checks are on.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable: for an update it depends on what is in force.
pub(crate) async fn needed(
    requests: &Requests,
    request: &Request,
) -> Result<Vec<Needed>, db::Error> {
    let checks = &requests.site.checks;
    let is_pending = request.state.pending().is_some();
    if !is_pending || request.kind == Kind::Cancel || checks.mode() == Mode::Off {
        return Ok(Vec::new());
    }
    let told: HashMap<&str, Told> = request
        .findings
        .iter()
        .filter_map(|it| Some((it.subject.as_str(), Told::of(it)?)))
        .collect();
    let all = || request.routes.iter().flat_map(|of| &of.domains);
    let domains: Vec<SipDomain> = match (checks.proof(), request.kind) {
        (ProofMode::Held, _) => {
            let is_held = |domain: &&SipDomain| told.contains_key(domain.as_str());
            all().filter(is_held).cloned().collect()
        }
        // A new service has no routes in force.
        (ProofMode::Always, Kind::Initiate) => all().cloned().collect(),
        (ProofMode::Always, Kind::Update | Kind::Cancel) => {
            store::new_domains(&requests.pool, request).await?
        }
    };
    let needed = domains.into_iter().map(|domain| Needed {
        proven: match told.get(domain.as_str()) {
            Some(Told::Proven) => Some(true),
            Some(Told::Unproven) => Some(false),
            Some(Told::Unknown) | None => None,
        },
        domain,
    });
    Ok(needed.collect())
}

/// What the last checks say about the record of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Proven,
    Unproven,
    /// No name server answered.
    Unknown,
}

impl Told {
    /// What a finding says about the record of its subject; `None`: it is about something else.
    fn of(finding: &Finding) -> Option<Self> {
        match (finding.code, finding.severity) {
            (Code::DomainProven, _) => Some(Self::Proven),
            (Code::DomainUnproven, Severity::Unknown) => Some(Self::Unknown),
            (Code::DomainUnproven | Code::DomainHeld, _) => Some(Self::Unproven),
            _ => None,
        }
    }
}

/// What the page of a request says about the records that prove its domains.
#[derive(Clone, Debug)]
pub enum Section {
    /// Nothing: the findings say it, or there is nothing to prove.
    Silent,
    /// The records are to be published; the checks have not looked them up yet.
    Publish(Records),
    /// The records are no longer needed, and old ones should be removed.
    NotNeeded,
}

/// The records to publish, as a part of a page.
#[derive(Clone, Debug, Template)]
#[template(path = "request/proof.html")]
pub struct Records {
    /// The subject in words: `the SIP domain` or `the 3 SIP domains`.
    pub of: String,
    /// How many domains there are.
    pub count: usize,
    /// The names of the records, a line each.
    pub names: String,
    /// The text of the records, the same for all of them.
    pub value: String,
    /// All of the records as zone lines and commands.
    pub blocks: Vec<Block>,
    /// All of the records.
    pub all: Vec<Record>,
}

impl Records {
    /// The most names that are shown unfolded.
    const OPEN: usize = 10;
    /// The most records that are shown field by field.
    const BY_FIELD: usize = 3;
    /// Lines that are longer than this in total, in bytes, may break anywhere, not only between
    /// words.
    const LONG: usize = 1_200;

    /// The records for these domains of the service with this token; `None` if there are no
    /// domains.
    pub(crate) fn of<'a>(
        domains: impl IntoIterator<Item = &'a SipDomain>,
        token: &str,
    ) -> Option<Self> {
        let domains: Vec<_> = domains.into_iter().map(SipDomain::as_fqdn).collect();
        let names: Vec<_> = domains.iter().map(|domain| record_name(domain)).collect();
        let mut blocks = Vec::new();
        for domain in &domains {
            Block::add(&mut blocks, wording::proof(domain, token));
        }
        let of = match domains.len() {
            0 => return None,
            1 => "the SIP domain".into(),
            many => format!("the {}", count(many, "", "SIP domains")),
        };
        Some(Self {
            of,
            count: domains.len(),
            names: names.join("\n"),
            value: record_value(token),
            blocks,
            all: domains.iter().map(|it| Record::proof(it, token)).collect(),
        })
    }

    /// The records that are shown field by field, if they are few.
    fn by_field(&self) -> &[Record] {
        if self.count > Self::BY_FIELD {
            return &[];
        }
        &self.all
    }

    /// Whether the names are folded.
    const fn folds(&self) -> bool {
        self.count > Self::OPEN
    }

    /// The zone lines alone, for plain text.
    pub(crate) fn zone_lines(&self) -> impl Iterator<Item = &str> {
        self.blocks
            .first()
            .into_iter()
            .flat_map(|block| block.lines.lines())
    }
}

/// The records that `request` needs and that are not known to be published.
pub(crate) fn missing(request: &Request, needed: &[Needed]) -> Option<Records> {
    let missing = needed.iter().filter(|it| it.proven != Some(true));
    Records::of(missing.map(|it| &it.domain), &request.token)
}

/// The records that the checks have not looked up yet; the findings show the others.
pub(crate) fn not_looked_up(request: &Request, needed: &[Needed]) -> Option<Records> {
    let told: HashSet<&str> = request
        .findings
        .iter()
        .filter(|it| Told::of(it).is_some())
        .map(|it| it.subject.as_str())
        .collect();
    let silent = needed
        .iter()
        .filter(|it| !told.contains(it.domain.as_str()));
    Records::of(silent.map(|it| &it.domain), &request.token)
}
