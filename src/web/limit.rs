//! Has this network done this too often within a minute?
//!
//! Two limits (`design.md`, Contract): `PIC_SUBMIT_LIMIT` counts submits, `PIC_TRY_LIMIT` *failed*
//! tries at anything that can be guessed. A third, fixed, counts look-ups of names that nobody has
//! asked for yet. All hold for every span of 60 seconds, not just for
//! those that begin with a full minute, and live in memory that is bounded whoever comes.
//!
//! A handler whose try has failed says so by [`FailedTry`] in its answer. Where a guess could hit
//! (a key, a password) the route is [`guarded`](super::routes::Route::guarded): over the limit
//! nothing is tried any more, so a right guess looks like a wrong one. A reference has 80 random
//! bits, so an existing one may be seen over the limit too: a reader with a stale bookmark must not
//! shut the pages for everybody behind the same address.

use std::{
    collections::{HashMap, VecDeque},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

pub mod domains;

use self::domains::Domains;
use super::client::{Client, Network, Proxies};
use crate::{app::App, clock::Clock, error::Error};

/// The span that limits are for.
const WINDOW: Duration = Duration::from_mins(1);
/// The highest limit: what is remembered of a network is bounded by it.
pub const HIGHEST: u32 = 10_000;
/// Look-ups a minute and network: each asks other people's servers.
const CHECKS: u32 = 10;
/// Networks that are remembered, in each of two generations.
const MOST_NETWORKS: usize = 8_192;
/// Times that are remembered, likewise.
const MOST_STAMPS: usize = 262_144;

/// Not now, but after this long, provided that nothing else comes in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// At most 60 seconds.
    pub retry_after: Duration,
}

impl TooMany {
    /// Full seconds, at least one: after them it is true.
    #[must_use]
    pub fn seconds(&self) -> u16 {
        u16::try_from(self.retry_after.as_millis().div_ceil(1_000).max(1)).unwrap_or(u16::MAX)
    }
}

/// Counts what networks do within a minute.
pub struct Limiter {
    /// 0: no limit.
    most: u32,
    most_networks: usize,
    clock: Clock,
    seen: Mutex<Seen>,
}

/// Without what was counted.
impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// Milliseconds of the clock, the oldest first.
type Stamps = VecDeque<u64>;

/// Two generations: who is seen moves to the young one. When that has lasted a minute, nothing in
/// the old one matters any more; when it is full, those who were not seen for longest are forgotten.
#[derive(Default)]
struct Seen {
    young: HashMap<Network, Stamps>,
    old: HashMap<Network, Stamps>,
    since: u64,
    stamps: usize,
}

impl Limiter {
    /// At most `most` in every minute, by `clock`; 0: no limit.
    #[must_use]
    pub fn new(most: u32, clock: Clock) -> Self {
        Self {
            most: most.min(HIGHEST),
            most_networks: MOST_NETWORKS,
            clock,
            seen: Mutex::default(),
        }
    }

    /// Whether `network` may do it now; counts nothing.
    ///
    /// # Errors
    ///
    /// [`TooMany`] with the time after which it may.
    pub fn check(&self, network: Network) -> Result<(), TooMany> {
        self.with(network, |_| ())
    }

    /// Counts one for `network` if it may do it now.
    ///
    /// # Errors
    ///
    /// [`TooMany`]; then nothing is counted, so that waiting helps.
    pub fn take(&self, network: Network) -> Result<(), TooMany> {
        self.with(network, |seen| {
            let now = self.now();
            seen.add(network, now);
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn with(&self, network: Network, then: impl FnOnce(&mut Seen)) -> Result<(), TooMany> {
        if self.most == 0 {
            return Ok(());
        }
        let now = self.now();
        let mut seen: MutexGuard<'_, Seen> =
            self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.turn(now, self.most_networks);
        let window = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        if let Some(stamps) = seen.stamps_of(network) {
            while stamps.front().is_some_and(|&stamp| stamp + window <= now) {
                stamps.pop_front();
            }
            if stamps.len() >= self.most as usize
                && let Some(&oldest) = stamps.front()
            {
                let retry_after = Duration::from_millis(oldest + window - now);
                return Err(TooMany { retry_after });
            }
        }
        then(&mut seen);
        Ok(())
    }
}

impl Seen {
    /// Begins a new generation when it is time, or when the young one is full.
    fn turn(&mut self, now: u64, most_networks: usize) {
        let window = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        let full = self.young.len() >= most_networks || self.stamps >= MOST_STAMPS;
        if full || now - self.since >= window {
            self.old = mem::take(&mut self.young);
            self.since = now;
            self.stamps = 0;
        }
    }

    /// What is remembered of a network, in the young generation from now on.
    fn stamps_of(&mut self, network: Network) -> Option<&mut Stamps> {
        if let Some(stamps) = self.old.remove(&network) {
            self.stamps += stamps.len();
            self.young.insert(network, stamps);
        }
        self.young.get_mut(&network)
    }

    fn add(&mut self, network: Network, now: u64) {
        self.young.entry(network).or_default().push_back(now);
        self.stamps += 1;
    }
}

/// The limits of a portal, and how clients are told apart. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// `PIC_SUBMIT_LIMIT`.
    pub submits: Arc<Limiter>,
    /// The domains of these submits; none where there is no limit of submits.
    pub domains: Arc<Domains>,
    /// `PIC_TRY_LIMIT`.
    pub tries: Arc<Limiter>,
    /// Look-ups that somebody waits for: `/check`, and a look at the answers.
    pub checks: Arc<Limiter>,
    /// `PIC_TRUSTED_PROXIES`.
    pub proxies: Arc<Proxies>,
}

impl Throttle {
    /// `submits` and failed `tries` a minute and network, 0 for no limit; ten look-ups.
    #[must_use]
    pub fn new(submits: u32, tries: u32, proxies: Proxies, clock: &Clock) -> Self {
        Self {
            checks: Arc::new(Limiter::new(CHECKS, clock.clone())),
            submits: Arc::new(Limiter::new(submits, clock.clone())),
            domains: Arc::new(Domains::new(if submits == 0 {
                0
            } else {
                domains::AN_HOUR
            })),
            tries: Arc::new(Limiter::new(tries, clock.clone())),
            proxies: Arc::new(proxies),
        }
    }

    /// No limits, no proxies.
    #[must_use]
    pub fn none() -> Self {
        let clock = Clock::system();
        Self {
            checks: Arc::new(Limiter::new(0, clock.clone())),
            ..Self::new(0, 0, Proxies::default(), &clock)
        }
    }
}

/// In the extensions of an answer: somebody tried something that can be guessed, and failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedTry;

/// Counts a failed try of `network`; over the limit the answer is 429, whatever it would have been.
pub(super) fn count_try(app: &App, network: Network, mut answered: Response) -> Response {
    if answered.extensions_mut().remove::<FailedTry>().is_some()
        && let Err(too_many) = app.site().throttle.tries.take(network)
    {
        return Error::TooMany(too_many).into_response();
    }
    answered
}

/// Tries nothing for a network that has failed too often. For `POST` only: that is where keys and
/// passwords come in.
pub(super) async fn guard_tries(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let Client(network) = Client::of(&app, request.extensions(), request.headers());
    match app.site().throttle.tries.check(network) {
        Ok(()) => next.run(request).await,
        Err(too_many) => Error::TooMany(too_many).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn limiter(most: u32) -> (Limiter, Clock) {
        let clock = Clock::mock(DateTime::UNIX_EPOCH);
        (Limiter::new(most, clock.clone()), clock)
    }

    fn network(number: u32) -> Network {
        Network::V4(number.to_be_bytes())
    }

    #[test]
    fn after_the_time_that_is_said_it_may_and_not_before() {
        let (limiter, clock) = limiter(2);
        let one = network(1);
        limiter.take(one).unwrap();
        clock.advance(Duration::from_millis(10_500));
        limiter.take(one).unwrap();
        let refused = limiter.take(one).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(49_500));
        assert_eq!(refused.seconds(), 50);
        assert_eq!(limiter.check(one), Err(refused));
        limiter.take(network(2)).unwrap();
        clock.advance(Duration::from_millis(49_499));
        assert_eq!(limiter.check(one).unwrap_err().seconds(), 1);
        clock.advance(Duration::from_millis(1));
        limiter.take(one).unwrap();
        assert_eq!(limiter.check(one).unwrap_err().seconds(), 11);
    }

    #[test]
    fn without_a_limit_nothing_is_remembered() {
        let (limiter, _) = limiter(0);
        for _ in 0..1_000 {
            limiter.take(network(1)).unwrap();
        }
        assert!(limiter.seen.lock().unwrap().young.is_empty());
    }

    #[test]
    fn memory_is_bounded_however_many_networks_come() {
        let (limiter, clock) = limiter(30);
        for number in 0..100_000 {
            limiter.take(network(number)).unwrap();
            clock.advance(Duration::from_millis(u64::from(number % 2)));
        }
        let seen = limiter.seen.lock().unwrap();
        assert!(seen.young.len() <= MOST_NETWORKS && seen.old.len() <= MOST_NETWORKS);
        drop(seen);
        for _ in 0..29 {
            limiter.take(network(99_999)).unwrap();
        }
        limiter.take(network(99_999)).unwrap_err();
    }

    proptest! {
        /// Against the plainest limiter there is: a list of everything.
        #[test]
        fn never_more_than_the_limit_in_any_minute(
            steps in prop::collection::vec((0_u32..5, 0_u64..25_000), 1..200),
            most in 1_u32..5,
        ) {
            let (limiter, clock) = limiter(most);
            let mut taken: Vec<(u32, u64)> = Vec::new();
            let mut now = 0;
            for (who, wait) in steps {
                clock.advance(Duration::from_millis(wait));
                now += wait;
                let recent = taken.iter().filter(|(w, at)| *w == who && at + 60_000 > now).count();
                let may = recent < most as usize;
                prop_assert_eq!(limiter.take(network(who)).is_ok(), may);
                if may {
                    taken.push((who, now));
                }
            }
        }

        #[test]
        fn bounded_by_the_settings_whatever_comes(
            steps in prop::collection::vec((0_u32..1_000, 0_u64..5_000), 1..2_000),
        ) {
            let (mut limiter, clock) = limiter(3);
            limiter.most_networks = 50;
            for (who, wait) in steps {
                clock.advance(Duration::from_millis(wait));
                let _ = limiter.take(network(who));
                let seen = limiter.seen.lock().unwrap();
                prop_assert!(seen.young.len() <= 51 && seen.old.len() <= 51);
                prop_assert!(seen.young.values().chain(seen.old.values()).all(|s| s.len() <= 3));
            }
        }
    }
}
