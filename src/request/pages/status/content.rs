//! What the page of a request shows.

use crate::{
    readiness::{Code, Finding, Mode, ProofMode, wording::Teller},
    request::{
        Deployment, EventCode, Kind, Standing, State as Stored, live,
        pages::{
            again::{again, asked},
            findings::Findings,
            moved::{Moved, has_moved},
            proof::{self, Needed},
            routes_of,
            tasks::Tasks,
            timeline::{earlier_events, timeline_entry},
            view::{Overdue, StatusPage, Steps},
        },
        store::{self, Request},
        wording::{self, Words},
    },
    web::{
        shell::Section,
        site::Site,
        when::{between, span, when},
    },
};

/// The text for what happens next, while a record has to be published that the checks have not
/// looked up.
const PUBLISH: &str = "Publish the TXT record below, if you have not yet. As soon as it is there and the checks pass, the routes come into force.";

/// The page of `request`, which has `needed` domains to prove.
pub(super) fn view<'a>(
    site: &'a Site,
    request: &Request,
    needed: &[Needed],
    is_own: bool,
) -> StatusPage<'a> {
    let now = request.now;
    let standing = Standing::of(&request.facts(), &site.clocks, now);
    let (tag, tone) = wording::tag(standing, request.kind);
    let mut words = Words::of(
        standing,
        request.deployment == Some(Deployment::Split),
        &site.provider,
    );
    let proof = proof_section(site, request, standing, needed);
    if let (proof::Section::Publish(_), Standing::Checking { .. }) = (&proof, standing) {
        words.lead = PUBLISH.into();
    }
    let can_check = can_check(site, request, standing);
    let ended = match request.state {
        Stored::Pending(_) => None,
        Stored::Provisioned { at } | Stored::Rejected { at, .. } | Stored::Withdrawn { at } => {
            Some(at)
        }
    };
    let pending = ended.is_none();
    let promised_by = request.facts().promised_by(&site.clocks);
    let promised_by = promised_by.filter(|_| pending);
    let waits = standing == Standing::NeedsAction;
    StatusPage {
        shell: site.shell(Section::Status),
        reference: request.reference.to_string(),
        state: request.state.as_str().into(),
        tag: tag.into(),
        tone,
        headline: words.headline,
        lead: words.lead,
        ways: wording::ways(standing),
        moved: Moved::of(&request.lost, now).filter(|_| !request.superseded),
        gateways: live::live_on(standing, request.gateways),
        submitted: when(request.submitted_at, now),
        elapsed: span(between(request.submitted_at, ended.unwrap_or(now))),
        promised: promised_by.map(|by| when(by, now)),
        waiting: waits.then(|| span(between(request.turn_at, now))),
        limit: pending.then(|| when(site.clocks.expires_at(request.submitted_at), now)),
        ended: ended.map(|at| (wording::ended(standing, request.kind), when(at, now))),
        overdue: promised_by
            .filter(|_| standing.is_overdue())
            .map(|by| Overdue {
                text: format!(
                    "This request is {} past its promise.",
                    span(between(by, now))
                ),
                support: site.support.clone().unwrap_or_default(),
            }),
        tasks: Tasks::of(request, standing, &site.checks, needed.len()),
        checked: request.checked_at.map(|at| when(at, now)),
        next: request
            .due_at
            .filter(|at| *at > now && can_check)
            .map(|at| when(at, now)),
        can_check,
        findings: told_of(site, request, standing),
        proof,
        steps: steps(site, request, standing),
        asked: asked(request, is_own),
        routes: routes_of(&request.routes),
        cancels: Vec::new(),
        timeline: request
            .events
            .iter()
            .rev()
            .map(|event| timeline_entry(event, request.kind, &site.provider, now))
            .collect(),
        earlier: earlier_events(&request.events),
        version: live::version(&request.summary(), &site.clocks),
        warning: if pending && request.deployment == Some(Deployment::Split) {
            "Leave external communications off online until this request is provisioned."
        } else {
            ""
        },
        note: "",
        address: format!("/requests/{}", request.reference),
        correct: match request.kind {
            Kind::Initiate | Kind::Update if pending && is_own => "/service/edit",
            Kind::Initiate | Kind::Update if pending => "/service?then=edit",
            Kind::Initiate | Kind::Update | Kind::Cancel => "",
        },
        again: again(request),
        can_withdraw: pending,
        is_own,
        withdraw_errors: Vec::new(),
    }
}

/// What the page says about the records that prove its domains, in addition to the findings.
fn proof_section(
    site: &Site,
    request: &Request,
    standing: Standing,
    needed: &[Needed],
) -> proof::Section {
    let is_always = site.checks.proof() == ProofMode::Always;
    let gained = |event: &store::Event| event.code == EventCode::DomainGained;
    if standing.is_in_force() && (is_always || request.events.iter().any(gained)) {
        return proof::Section::NotNeeded;
    }
    // Where only held domains have to be proven, the finding shows the record.
    let records = is_always.then(|| proof::not_looked_up(request, needed));
    records
        .flatten()
        .map_or(proof::Section::Silent, proof::Section::Publish)
}

/// The findings of a request in words: those that matter still. The record that proves a domain is
/// shown as long as it helps this request.
fn told_of(site: &Site, request: &Request, standing: Standing) -> Findings {
    let teller = Teller::new(&site.provider, site.checks.mode(), &request.routes);
    let teller = match request.state.pending() {
        Some(_) => teller.with_token(&request.token),
        None => teller,
    };
    let is_over = match standing {
        Standing::Checking { .. }
        | Standing::NeedsAction
        | Standing::InForce { .. }
        | Standing::MovedAway { all: false }
        | Standing::Rejected(_) => false,
        Standing::MovedAway { all: true }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Withdrawn => true,
    };
    let matters = |it: &&Finding| !is_over && !has_moved(&request.lost, it);
    Findings::tell(&teller, request.findings.iter().filter(matters))
}

/// Whether *Check again* helps: the request waits or is in force, and checks are on.
fn can_check(site: &Site, request: &Request, standing: Standing) -> bool {
    match standing {
        Standing::Checking { .. }
        | Standing::NeedsAction
        | Standing::InForce { .. }
        | Standing::MovedAway { all: false } => {
            let held = |it: &Finding| it.code == Code::DomainHeld;
            site.checks.mode() != Mode::Off || request.findings.iter().any(held)
        }
        Standing::MovedAway { all: true }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Rejected(_)
        | Standing::Withdrawn => false,
    }
}

/// What is left to do on the administrator's own servers once the routes are in force.
fn steps(site: &Site, request: &Request, standing: Standing) -> Option<Steps> {
    standing.is_in_force().then(|| Steps {
        identity: format!("'{}'", site.provider.replace('\'', "''")),
        edges: request
            .routes
            .iter()
            .map(|of| of.edge.to_string())
            .collect(),
        split: request.deployment == Some(Deployment::Split),
    })
}
