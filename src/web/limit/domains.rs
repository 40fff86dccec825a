//! Limits how many domains a network may ask for within an hour.
//!
//! Where readiness is checked, each domain that is asked for costs lookups for as long as it is
//! pending. The allowance refills continuously, so a wait is seldom long.

use std::{
    fmt,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};

use crate::{error::TooMany, server::network::Network};

/// Domains an hour and network.
pub const AN_HOUR: u32 = 20_000;
/// What a domain counts for its network; in the widest network around it, it counts 1.
const WEIGHT: u32 = 16;

/// Counts the domains that networks ask for.
pub struct Domains {
    /// `None`: no limit.
    limiter: Option<DefaultKeyedRateLimiter<Network>>,
    /// Counts requests, so that networks with a full allowance are forgotten now and then.
    requests: AtomicU32,
}

/// Prints nothing of what was counted.
impl fmt::Debug for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domains").finish_non_exhaustive()
    }
}

impl Domains {
    /// At most `most` at once, and as many an hour; 0: no limit.
    #[must_use]
    pub fn new(most: u32) -> Self {
        let limiter = NonZeroU32::new(most.saturating_mul(WEIGHT)).and_then(|most| {
            let quota = Quota::with_period(Duration::from_hours(1) / most.get())?;
            Some(DefaultKeyedRateLimiter::keyed(quota.allow_burst(most)))
        });
        Self {
            limiter,
            requests: AtomicU32::new(0),
        }
    }

    /// Counts `domains` for `network` if it may ask for them now. A request has 1,000 at most, so
    /// that any fits into the limit. In the wider networks around it they count less, by their
    /// multiple of the limit.
    ///
    /// # Errors
    ///
    /// [`TooMany`], with the time to wait.
    pub fn take(&self, network: Network, domains: usize) -> Result<(), TooMany> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let domains = u32::try_from(domains).unwrap_or(u32::MAX);
        if self.requests.fetch_add(1, Relaxed) % 1_024 == 1_023 {
            limiter.retain_recent();
        }
        for (network, multiple) in network.enclosing() {
            let weight = domains.saturating_mul(WEIGHT / multiple);
            let Some(weight) = NonZeroU32::new(weight) else {
                return Ok(());
            };
            match limiter.check_key_n(&network, weight) {
                Ok(Ok(())) => {}
                Ok(Err(not_yet)) => {
                    return Err(TooMany {
                        retry_after: not_yet.wait_time_from(limiter.clock().now()),
                    });
                }
                Err(_more_than_an_hours) => {
                    return Err(TooMany {
                        retry_after: Duration::from_hours(1),
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Network = Network::V4([192, 0, 2, 1]);
    const OTHER: Network = Network::V4([192, 0, 2, 2]);

    #[test]
    fn domains_count_and_not_requests() {
        let domains = Domains::new(10);
        domains.take(ONE, 4).unwrap();
        domains.take(ONE, 6).unwrap();
        let refused = domains.take(ONE, 1).unwrap_err();
        // A tenth of an hour.
        assert!((300..=360).contains(&refused.seconds()), "{refused:?}");
        domains.take(ONE, 0).unwrap();
        domains.take(OTHER, 10).unwrap();
    }

    #[test]
    fn an_ipv6_site_has_four_times_what_one_of_its_networks_has() {
        let domains = Domains::new(10);
        let network = |subnet: u16| Network::V6([0x2001, 0xdb8, 1, subnet]);
        for subnet in 0..4 {
            domains.take(network(subnet), 10).unwrap();
            domains.take(network(subnet), 1).unwrap_err();
        }
        domains.take(network(5), 10).unwrap_err();
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let domains = Domains::new(0);
        for _ in 0..1_000 {
            domains.take(ONE, 1_000).unwrap();
        }
    }

    #[test]
    fn whose_share_is_whole_is_forgotten() {
        let domains = Domains::new(100_000_000);
        for number in 0..10_000_u32 {
            domains.take(Network::V4(number.to_be_bytes()), 1).unwrap();
        }
        let limiter = domains.limiter.as_ref().unwrap();
        assert!(limiter.len() <= 2_048, "{}", limiter.len());
    }
}
