//! How are many requests looked at side by side, and each settled as soon as it is done?
//!
//! What is due is claimed while there is room; each request is looked at by a task of its own,
//! outside any transaction, while its lease is renewed. Whatever is done by the time that the
//! database is free is settled together.
//!
//! A check goes in turns: some of a request's names, for some seconds. A request that is not done
//! then goes to the end of the queue, and what was found is kept ([`store::progress`]). What was slow
//! has few places of its own, so that it keeps nothing from anybody else, however much of it waits.

mod look;
mod places;
pub mod store;

use std::{collections::BTreeMap, time::Duration};

use tokio::task::{self, JoinSet};

pub use self::places::Places;
use self::{
    look::{Looked, look},
    places::AtHand,
    store::{jobs, progress},
};
use super::{
    apart::Batch,
    store::{self as settling, Claim, Place, Proof, Settled, Verdicts, Waits},
};
use crate::{
    db::{self, PgPool},
    readiness::{
        Mode, ProofMode, bound,
        engine::{Checker, Checks},
    },
};

/// How long a claim lasts unless it is renewed.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Where checks only advise, a request that has waited so long waits for no more turns.
const ADVICE_BUDGET: Duration = Duration::from_secs(15);
/// The most requests of one claim.
const MOST_CLAIMED: usize = 256;
/// The most names of requests that are settled by one statement, and are in memory for it.
const MOST_SETTLED: usize = 4_000;

/// The requests that are being looked at.
#[derive(Debug)]
pub(super) struct Desk {
    pool: PgPool,
    waits: Waits,
    checker: Checker,
    enforce: bool,
    proof: ProofMode,
    places: Places,
    looking: JoinSet<Looked>,
    at_hand: AtHand,
}

/// A look that is done.
pub(super) struct Done(Result<(task::Id, Looked), task::JoinError>);

impl Desk {
    /// An empty one; `None` where nothing is looked up.
    pub(super) fn new(
        pool: &PgPool,
        waits: Waits,
        checks: &Checks,
        places: Places,
    ) -> Option<Self> {
        Some(Self {
            pool: pool.clone(),
            waits,
            checker: checks.checker()?.clone(),
            enforce: checks.mode() == Mode::Enforce,
            proof: checks.proof(),
            places,
            looking: JoinSet::new(),
            at_hand: AtHand::default(),
        })
    }

    /// Whether nothing is being looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.looking.is_empty()
    }

    /// Claims what is due while there is room, and begins to look at it. Whether there was room for
    /// all of it.
    pub(super) async fn fill(&mut self) -> Result<bool, db::Error> {
        let mut all = true;
        for place in places::ALL {
            if place == Place::Fresh && all {
                // There was room for everything among the others.
                continue;
            }
            loop {
                let room = self
                    .places
                    .most(place)
                    .saturating_sub(self.at_hand.count(place));
                if room == 0 {
                    all = false;
                    break;
                }
                let most = room.min(MOST_CLAIMED);
                let count = u32::try_from(most).unwrap_or(u32::MAX);
                let claim = settling::claim(&self.pool, place, count, LEASE).await?;
                if claim.is_empty() {
                    break;
                }
                self.begin(place, &claim).await?;
                if claim.len() < most {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn begin(&mut self, place: Place, claim: &Claim) -> Result<(), db::Error> {
        let after = (self.waits.expiry, ADVICE_BUDGET);
        let is_in_force = place.is_in_force();
        for job in jobs::load(&self.pool, claim, is_in_force, after, self.places.turn).await? {
            let part = claim.of(vec![job.request]);
            let (checker, pool) = (self.checker.clone(), self.pool.clone());
            let task = self
                .looking
                .spawn(look(checker, pool, place, self.proof, job));
            self.at_hand.insert(task.id(), place, part);
        }
        Ok(())
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
                    if let Some((place, claim)) = self.at_hand.remove(id) {
                        let key = (place.is_in_force(), claim.token);
                        let (_, all) = done.entry(key).or_insert_with(|| (claim, Vec::new()));
                        all.push(looked);
                    }
                }
                Err(error) => {
                    // Its lease runs out, and it is looked at again.
                    tracing::error!("a readiness check panicked");
                    self.at_hand.remove(error.id());
                }
            }
            next = self.looking.try_join_next_with_id();
        }
        let mut sum = Settled::default();
        for ((is_in_force, _), (claim, looked)) in done {
            let is_waited_for = self.enforce || self.proof == ProofMode::Always || is_in_force;
            let goes_on = |looked: &Looked| looked.goes_on(is_waited_for);
            let (going_on, ended): (Vec<_>, Vec<_>) = looked.into_iter().partition(goes_on);
            self.put_back(&claim, going_on).await?;
            for part in portions(ended) {
                let requests = part.iter().map(|looked| looked.job.request).collect();
                sum += self.end(&claim.of(requests), is_in_force, part).await?;
            }
        }
        Ok(sum)
    }

    /// Puts requests whose checks go on at the end of the queue.
    async fn put_back(&self, claim: &Claim, looked: Vec<Looked>) -> Result<(), db::Error> {
        if looked.is_empty() {
            return Ok(());
        }
        let claim = claim.of(looked.iter().map(|looked| looked.job.request).collect());
        let turns: Vec<_> = looked.into_iter().map(Looked::turn).collect();
        progress::put_back(&self.pool, &claim, &turns).await
    }

    /// Settles requests whose checks have come to their end.
    async fn end(
        &self,
        claim: &Claim,
        is_in_force: bool,
        looked: Vec<Looked>,
    ) -> Result<Settled, db::Error> {
        let mut so_far = progress::take(&self.pool, claim).await?;
        let mut verdicts = Verdicts::default();
        for mut one in looked {
            let request = one.job.request;
            if one.job.is_expired {
                continue;
            }
            if let Some(before) = so_far.remove(&request)
                && one.job.names_done > 0
            {
                one.goes_on_from(before);
            }
            bound(&mut one.findings);
            let is_unproven = self.proof == ProofMode::Always && one.lacks_proof();
            if is_unproven || (self.enforce && !one.proves()) {
                verdicts.blocked.push(request);
            }
            let proof = |domain| Proof { request, domain };
            verdicts.proofs.extend(one.proven.into_iter().map(proof));
            verdicts.checked.push((request, one.findings));
        }
        let batch = if is_in_force {
            Batch::Watched(verdicts.checked)
        } else {
            Batch::Pending(verdicts)
        };
        batch.settle(&self.pool, claim, &self.waits).await
    }

    /// Keeps what is being looked at.
    pub(super) async fn renew(&self) -> Result<(), db::Error> {
        let claims = self.at_hand.claims();
        if claims.is_empty() {
            return Ok(());
        }
        store::renew(&self.pool, &claims, LEASE).await
    }

    /// Stops looking, and leaves to others what was not done.
    pub(super) async fn abandon(&mut self) -> Result<(), db::Error> {
        self.looking.abort_all();
        let claims = self.at_hand.claims();
        if !claims.is_empty() {
            store::release(&self.pool, &claims).await?;
        }
        self.at_hand = AtHand::default();
        self.looking = JoinSet::new();
        Ok(())
    }
}

/// Parts of `looked` that have not too many names together, but one request at least.
fn portions(looked: Vec<Looked>) -> Vec<Vec<Looked>> {
    let (mut portions, mut names) = (Vec::<Vec<_>>::new(), usize::MAX);
    for one in looked {
        let more = one.job.name_count();
        names = names.saturating_add(more);
        match portions.last_mut() {
            Some(last) if names <= MOST_SETTLED => last.push(one),
            _ => {
                portions.push(vec![one]);
                names = more;
            }
        }
    }
    portions
}
