//! Limits the packets to name servers, which never asked to be queried.
//!
//! The name servers in a zone are whatever its owner writes: the addresses may belong to a victim
//! who has nothing to do with it. So packets are counted for each address, over all clients and
//! zones: few for an address that has not yet proven to be a name server, more for one that has
//! just answered as one; and an address that did not answer several times in a row is not queried
//! for a while.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota};
use moka::future::Cache;
use tokio::time::{Instant, sleep};

use super::facts::Trouble;
use crate::readiness::silence::Silence;

/// Packets a second to an address that has not answered as a name server yet, and how many at once:
/// 40 in the ten seconds that `/check` takes at most.
const STRANGER: (u32, u32) = (3, 10);
/// The same for an address that has, within [`PROVEN_FOR`].
const PROVEN: (u32, u32) = (50, 50);
/// How long a query to such an address waits for its turn although a resolver could answer: the
/// zone's own server knows of a change that the resolver does not know yet.
const PROVEN_WAIT: Duration = Duration::from_secs(3);
/// How long an authoritative answer proves an address to be a name server.
const PROVEN_FOR: Duration = Duration::from_mins(1);
/// The most addresses that are remembered as proven.
const MOST_PROVEN: u64 = 50_000;
/// An address that did not answer this often in a row is not queried again for a minute.
const TOO_SILENT: u32 = 3;

/// A kind of exchange, by the packets it may send to a server. It counts in packets, except for a
/// connection to a proven server, which counts as one query more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exchange {
    /// The query, and once more when there is no answer.
    Udp,
    /// A connection, the query, and the end.
    Tcp,
}

/// How urgent a query is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Urgency {
    /// A resolver's answer is good enough: a server that is over its limit, or whose turn does not
    /// come soon if it is proven, is left out.
    Now,
    /// Only the zone's own servers can answer: waits for its turn until then, and queries one that
    /// did not answer before too.
    Until(Instant),
}

/// Counts packets to the addresses of name servers. Cheap to clone; clones count together.
#[derive(Clone)]
pub(super) struct Spare(Arc<Inner>);

struct Inner {
    strangers: DefaultKeyedRateLimiter<IpAddr>,
    known: DefaultKeyedRateLimiter<IpAddr>,
    proven: Cache<IpAddr, ()>,
    silence: Silence<IpAddr>,
    /// Counts exchanges, so that addresses no longer queried are forgotten now and then.
    exchanges: AtomicU32,
}

fn quota((per_second, burst): (u32, u32)) -> Quota {
    let some = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(some(per_second)).allow_burst(some(burst))
}

impl Spare {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            strangers: DefaultKeyedRateLimiter::keyed(quota(STRANGER)),
            known: DefaultKeyedRateLimiter::keyed(quota(PROVEN)),
            proven: Cache::builder()
                .max_capacity(MOST_PROVEN)
                .time_to_live(PROVEN_FOR)
                .build(),
            silence: Silence::new(TOO_SILENT),
            exchanges: AtomicU32::new(0),
        }))
    }

    /// Waits until an exchange with `address` is allowed.
    ///
    /// # Errors
    ///
    /// [`Trouble::Silent`]: it did not answer too often. [`Trouble::Busy`]: its turn would not come
    /// in time.
    pub(super) async fn turn(
        &self,
        address: IpAddr,
        exchange: Exchange,
        urgency: Urgency,
    ) -> Result<(), Trouble> {
        let it = &self.0;
        if it.exchanges.fetch_add(1, Ordering::Relaxed) % 4_096 == 4_095 {
            it.strangers.retain_recent();
            it.known.retain_recent();
        }
        let soon = Instant::now() + PROVEN_WAIT;
        loop {
            let is_proven = it.proven.contains_key(&address);
            let (limiter, packets) = match (is_proven, exchange) {
                (true, Exchange::Udp | Exchange::Tcp) => (&it.known, 1),
                (false, Exchange::Udp) => (&it.strangers, 2),
                (false, Exchange::Tcp) => (&it.strangers, 4),
            };
            let packets = NonZeroU32::new(packets).unwrap_or(NonZeroU32::MIN);
            if matches!(urgency, Urgency::Now) && it.silence.is_silent(&address) {
                return Err(Trouble::Silent);
            }
            let wait = match limiter.check_key_n(&address, packets) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(not_yet)) => {
                    not_yet.wait_time_from(governor::clock::Clock::now(limiter.clock()))
                }
                Err(_more_than_ever) => return Err(Trouble::Busy),
            };
            let end = match urgency {
                Urgency::Until(end) => end,
                Urgency::Now if is_proven => soon,
                Urgency::Now => return Err(Trouble::Busy),
            };
            if Instant::now() + wait >= end {
                return Err(Trouble::Busy);
            }
            sleep(wait).await;
        }
    }

    /// Records the result of an exchange.
    pub(super) async fn learn(&self, address: IpAddr, answer: Result<bool, Trouble>) {
        match answer {
            Ok(is_authoritative) => {
                self.0.silence.answered(&address).await;
                if is_authoritative && !self.0.proven.contains_key(&address) {
                    self.0.proven.insert(address, ()).await;
                }
            }
            Err(Trouble::Silent | Trouble::Closed) => self.0.silence.silent(&address).await,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    /// How many queries may be sent at once.
    fn at_once(spare: &Spare, address: IpAddr) -> u32 {
        let mut count = 0;
        while let Some(Ok(())) = spare
            .turn(address, Exchange::Udp, Urgency::Now)
            .now_or_never()
        {
            count += 1;
            assert!(count <= 100, "there is no limit");
        }
        count
    }

    #[tokio::test]
    async fn a_stranger_is_asked_less_than_a_name_server() {
        let spare = Spare::new();
        // Each is two packets; on a slow machine one more may be allowed.
        let strangers = at_once(&spare, ONE);
        assert!((5..=8).contains(&strangers), "{strangers}");
        spare.learn(OTHER, Ok(true)).await;
        let known = at_once(&spare, OTHER);
        assert!((50..=90).contains(&known), "{known}");
        spare.learn(ONE, Ok(false)).await;
        assert!(at_once(&spare, ONE) <= 2, "an answer is no proof");
    }

    #[tokio::test]
    async fn a_silent_address_is_left_alone_but_for_what_it_alone_can_say() {
        let spare = Spare::new();
        for _ in 0..TOO_SILENT {
            assert!(spare.turn(ONE, Exchange::Udp, Urgency::Now).await.is_ok());
            spare.learn(ONE, Err(Trouble::Silent)).await;
        }
        let turn = spare.turn(ONE, Exchange::Udp, Urgency::Now).await;
        assert_eq!(turn, Err(Trouble::Silent));
        let soon = Urgency::Until(Instant::now() + Duration::from_mins(1));
        assert_eq!(spare.turn(ONE, Exchange::Udp, soon).await, Ok(()));
        assert_eq!(spare.turn(OTHER, Exchange::Udp, Urgency::Now).await, Ok(()));
    }
}
