//! How are the other requests of a batch settled, when one of them makes the batch fail?
//!
//! A batch is settled by one statement. A fault in one request undoes all of them, and would do so again
//! at every turn. So after such a fault each request is settled alone. A request that fails alone waits,
//! longer each time, and its internal number is logged with PostgreSQL's code for the fault.

use super::{
    checking::store::store_watched,
    store::{self, Claim, Settled, Verdicts, Waits},
};
use crate::{
    db::{self, PgPool},
    readiness::Finding,
};

/// What is known of the requests of a claim that are to be settled.
pub(super) enum Batch {
    /// They are pending.
    Pending(Verdicts),
    /// They are in force, and this was found of them.
    Watched(Vec<(i64, Vec<Finding>)>),
}

impl Batch {
    /// Settles `claim`; where a part of it may be at fault, each of its requests alone.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away; what was not settled is free when its lease has run
    /// out.
    pub(super) async fn settle(
        &self,
        pool: &PgPool,
        claim: &Claim,
        waits: &Waits,
    ) -> Result<Settled, db::Error> {
        let whole = self.surely(pool, claim, waits).await;
        match &whole {
            Err(fault) if fault.may_be_a_part() => {}
            _ => return whole,
        }
        let mut sum = Settled::default();
        // Of those that want one domain the earlier goes first.
        let mut requests = claim.requests().to_vec();
        requests.sort_unstable();
        for request in requests {
            let alone = claim.of(vec![request]);
            let settled = if claim.len() == 1 {
                whole.clone()
            } else {
                self.only(request).surely(pool, &alone, waits).await
            };
            match settled {
                Ok(settled) => sum += settled,
                Err(fault) if fault.may_be_a_part() => {
                    let sqlstate = fault.sqlstate();
                    tracing::error!(
                        request,
                        sqlstate,
                        "a request cannot be settled; it is retried later"
                    );
                    store::put_off(pool, &alone, waits).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(sum)
    }

    /// Settles, and again after a conflict with another process: that one got on, so this ends.
    async fn surely(
        &self,
        pool: &PgPool,
        claim: &Claim,
        waits: &Waits,
    ) -> Result<Settled, db::Error> {
        loop {
            let settled = match self {
                Self::Pending(verdicts) => store::settle(pool, claim, waits, verdicts).await,
                Self::Watched(checked) => store_watched(pool, claim, checked).await,
            };
            match settled {
                Err(db::Error::Conflict(_)) => {}
                settled => return settled,
            }
        }
    }

    /// What is known of this request.
    fn only(&self, request: i64) -> Self {
        let of = |checked: &[(i64, Vec<Finding>)]| {
            let it = checked.iter().filter(|(id, _)| *id == request);
            it.cloned().collect()
        };
        match self {
            Self::Watched(checked) => Self::Watched(of(checked)),
            Self::Pending(verdicts) => {
                let proofs = verdicts.proofs.iter().filter(|it| it.request == request);
                let blocked = verdicts.blocked.iter().filter(|id| **id == request);
                Self::Pending(Verdicts {
                    proofs: proofs.cloned().collect(),
                    blocked: blocked.copied().collect(),
                    checked: of(&verdicts.checked),
                })
            }
        }
    }
}
