//! How are many requests looked at side by side, and each settled as soon as it is done?
//!
//! What is due is claimed while there is room; each request is looked at by a task of its own,
//! outside any transaction, while its lease is renewed. Whatever is done by the time that the
//! database is free is settled together. A request of a thousand domains keeps its task busy for
//! long and nobody else: the [`Checker`] serves them in turn.

pub mod store;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::task::{self, JoinSet};

use self::store::Job;
use super::{
    apart::Batch,
    store::{self as settling, Claim, Proof, Settled, Verdicts, Waits},
};
use crate::{
    db::{self, PgPool},
    readiness::{
        Code, Finding, Mode, ProofMode, bound,
        engine::{Checker, Checks},
        owner,
    },
};

/// The most requests that one process looks at at a time.
const MOST: usize = 512;
/// The most of these that are in force already: they can wait.
const MOST_WATCHED: usize = 64;
/// How long a claim lasts unless it is renewed.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Look-ups have limits of their own; this is for the sum of them. A request of 1,000 domains whose
/// servers are all silent stays within it.
const BUDGET: Duration = Duration::from_mins(10);
/// Where checks only advise nobody waits for them longer than this.
const ADVICE_BUDGET: Duration = Duration::from_secs(15);

/// The requests that are being looked at.
#[derive(Debug)]
pub(super) struct Desk {
    pool: PgPool,
    waits: Waits,
    checker: Checker,
    enforce: bool,
    proof: ProofMode,
    looking: JoinSet<Looked>,
    at_hand: HashMap<task::Id, (Purpose, Claim)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// It is pending, and may be provisioned.
    Pending,
    /// It is in force, and nothing is taken away.
    Watched,
}

/// What the look at one request came to.
#[derive(Debug, Default)]
struct Looked {
    request: i64,
    findings: Option<Vec<Finding>>,
    proofs: Vec<Proof>,
    blocked: bool,
}

/// A look that is done.
pub(super) struct Done(Result<(task::Id, Looked), task::JoinError>);

impl Desk {
    /// An empty one; `None` where nothing is looked up.
    pub(super) fn new(pool: &PgPool, waits: Waits, checks: &Checks) -> Option<Self> {
        Some(Self {
            pool: pool.clone(),
            waits,
            checker: checks.checker()?.clone(),
            enforce: checks.mode() == Mode::Enforce,
            proof: checks.proof(),
            looking: JoinSet::new(),
            at_hand: HashMap::new(),
        })
    }

    /// Whether nothing is being looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.looking.is_empty()
    }

    /// Claims what is due while there is room, and begins to look at it. Whether there was room for
    /// all of it.
    pub(super) async fn fill(&mut self) -> Result<bool, db::Error> {
        loop {
            let room = MOST.saturating_sub(self.looking.len());
            if room == 0 {
                return Ok(false);
            }
            let most = u32::try_from(room).unwrap_or(u32::MAX);
            let claim = settling::claim(&self.pool, most, LEASE).await?;
            if claim.is_empty() {
                break;
            }
            let jobs = store::wanted(&self.pool, &claim, self.waits.expiry).await?;
            self.begin(Purpose::Pending, &claim, jobs);
        }
        let watched = self
            .at_hand
            .values()
            .filter(|(purpose, _)| *purpose == Purpose::Watched)
            .count();
        let room = MOST_WATCHED
            .saturating_sub(watched)
            .min(MOST.saturating_sub(self.looking.len()));
        if room == 0 {
            return Ok(false);
        }
        let most = u32::try_from(room).unwrap_or(u32::MAX);
        let claim = store::claim_watched(&self.pool, most, LEASE).await?;
        if !claim.is_empty() {
            let jobs = store::in_force(&self.pool, &claim).await?;
            self.begin(Purpose::Watched, &claim, jobs);
        }
        Ok(claim.len() < room)
    }

    fn begin(&mut self, purpose: Purpose, claim: &Claim, jobs: Vec<Job>) {
        for job in jobs {
            let part = claim.of(vec![job.request]);
            let (checker, enforce, proof) = (self.checker.clone(), self.enforce, self.proof);
            let task = self.looking.spawn(look(checker, enforce, proof, job));
            self.at_hand.insert(task.id(), (purpose, part));
        }
    }

    /// Waits until a look is done; for ever while there is none. Nothing is lost when it is dropped
    /// before.
    pub(super) async fn next(&mut self) -> Done {
        match self.looking.join_next_with_id().await {
            Some(done) => Done(done),
            None => std::future::pending().await,
        }
    }

    /// Settles what is done, and all else that is done by now.
    pub(super) async fn settle(&mut self, Done(first): Done) -> Result<Settled, db::Error> {
        let mut done = BTreeMap::<_, (Claim, Vec<Looked>)>::new();
        let mut next = Some(first);
        while let Some(ended) = next {
            match ended {
                Ok((id, looked)) => {
                    if let Some((purpose, claim)) = self.at_hand.remove(&id) {
                        done.entry((purpose == Purpose::Watched, claim.token))
                            .and_modify(|(all, _)| all.requests.extend(&claim.requests))
                            .or_insert_with(|| (claim, Vec::new()))
                            .1
                            .push(looked);
                    }
                }
                Err(error) => {
                    // Its lease runs out, and it is looked at again.
                    tracing::error!("a readiness check panicked");
                    self.at_hand.remove(&error.id());
                }
            }
            next = self.looking.try_join_next_with_id();
        }
        let mut sum = Settled::default();
        for ((watched, _), (claim, looked)) in done {
            let batch = if watched {
                Batch::Watched(looked.into_iter().filter_map(findings).collect())
            } else {
                Batch::Pending(verdicts(looked))
            };
            sum += batch.settle(&self.pool, &claim, &self.waits).await?;
        }
        Ok(sum)
    }

    /// Keeps what is being looked at.
    pub(super) async fn renew(&self) -> Result<(), db::Error> {
        settling_claims(&self.at_hand, async |claims| {
            store::renew(&self.pool, &claims, LEASE).await
        })
        .await
    }

    /// Stops looking, and leaves to others what was not done.
    pub(super) async fn abandon(&mut self) -> Result<(), db::Error> {
        self.looking.abort_all();
        settling_claims(&self.at_hand, async |claims| {
            store::release(&self.pool, &claims).await
        })
        .await?;
        self.at_hand.clear();
        self.looking = JoinSet::new();
        Ok(())
    }
}

/// Calls `with` for all claims at hand, if there are any.
async fn settling_claims(
    at_hand: &HashMap<task::Id, (Purpose, Claim)>,
    with: impl AsyncFnOnce(Vec<Claim>) -> Result<(), db::Error>,
) -> Result<(), db::Error> {
    if at_hand.is_empty() {
        return Ok(());
    }
    let all = |(_, claim): &(Purpose, Claim)| claim.of(claim.requests.clone());
    with(at_hand.values().map(all).collect()).await
}

fn findings(looked: Looked) -> Option<(i64, Vec<Finding>)> {
    looked.findings.map(|findings| (looked.request, findings))
}

fn verdicts(looked: Vec<Looked>) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for one in looked {
        if one.blocked {
            verdicts.blocked.push(one.request);
        }
        verdicts.proofs.extend(one.proofs);
        if let Some(findings) = one.findings {
            verdicts.checked.push((one.request, findings));
        }
    }
    verdicts
}

/// Looks at one request. What has expired is not looked at: its last findings stay.
async fn look(checker: Checker, enforce: bool, proof: ProofMode, job: Job) -> Looked {
    let mut looked = Looked {
        request: job.request,
        ..Looked::default()
    };
    if job.expired {
        return looked;
    }
    let budget = if enforce { BUDGET } else { ADVICE_BUDGET };
    let mut to_prove: Vec<_> = job.held.into_iter().map(|domain| (domain, true)).collect();
    if proof == ProofMode::Always {
        to_prove.extend(job.free.into_iter().map(|domain| (domain, false)));
    }
    let owners = stream::iter(to_prove)
        .map(|(domain, is_held)| {
            let (checker, token) = (&checker, &job.token);
            async move {
                let said = checker.owner_says(&domain, token).await;
                let told = owner::judge(&domain, token, &said, is_held);
                (domain, told)
            }
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>();
    let (report, owners) = tokio::join!(checker.check(&job.routes, budget), owners);
    looked.blocked = enforce && !report.proves(&job.routes);
    let mut findings = report.findings;
    for (domain, told) in owners {
        if told.code == Code::DomainProven {
            looked.proofs.push(Proof {
                request: job.request,
                domain,
            });
            if proof == ProofMode::Held {
                continue;
            }
        } else {
            // A domain that is held holds the request back when it is settled, unless it is free by
            // then; that is not enough where every domain has to be proven.
            looked.blocked |= proof == ProofMode::Always;
        }
        findings.push(told);
    }
    bound(&mut findings);
    looked.findings = Some(findings);
    looked
}
