//! Counts how often the same network, or the same service, has done something within a span of
//! time.
//!
//! An action is counted first and given back when it turns out not to count. So of actions sent at
//! the same time no more are let through than of actions sent one after the other. The price: of
//! many people behind one address no more than the limit are served at the same moment; the next
//! may try as soon as one of them is done.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::Hash,
    iter, mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{agreement::ServiceId, clock::Clock, error::TooMany, server::network::Network};

/// The highest limit, which bounds what is remembered of a network.
pub const HIGHEST: u32 = 10_000;
/// Networks or services that are remembered, in each of two generations.
const MOST_KEYS: usize = 8_192;
/// Times that are remembered, in each generation.
const MOST_STAMPS: usize = 262_144;

/// A key that a [`Limiter`] can count by.
pub trait Counted: Copy + Eq + Hash {
    /// All keys that it is counted under, beginning with itself, each with the multiple of the
    /// limit that holds there.
    fn counted(self) -> impl Iterator<Item = (Self, u32)>;
}

impl Counted for Network {
    fn counted(self) -> impl Iterator<Item = (Self, u32)> {
        self.enclosing()
    }
}

impl Counted for ServiceId {
    fn counted(self) -> impl Iterator<Item = (Self, u32)> {
        iter::once((self, 1))
    }
}

/// Counts what is done within a span of time.
pub struct Limiter<K = Network> {
    /// 0 stands for no limit.
    most: u32,
    /// The span in milliseconds.
    span: u64,
    most_keys: usize,
    clock: Clock,
    seen: Mutex<Seen<K>>,
}

/// Prints nothing of what was counted.
impl<K> fmt::Debug for Limiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// One action that was counted. It stays counted, even when this is dropped, unless it is given
/// back.
#[derive(Debug)]
pub struct Taken<'a, K: Counted = Network> {
    limiter: &'a Limiter<K>,
    key: K,
    at: u64,
}

impl<K: Counted> Taken<'_, K> {
    /// Takes the action off the count: a right password was no guess, or nothing was done after
    /// all.
    pub fn give_back(self) {
        let mut seen = self.limiter.seen();
        for (key, _) in self.key.counted() {
            seen.remove(key, self.at);
        }
    }
}

/// Milliseconds of the clock, the oldest first.
type Stamps = VecDeque<u64>;

/// Two generations: a key that is used moves to the young one. When that is as old as the span, the
/// old one no longer matters; when it is full, the keys that were not used for longest are
/// forgotten.
struct Seen<K> {
    young: HashMap<K, Stamps>,
    old: HashMap<K, Stamps>,
    since: u64,
    stamps: usize,
}

impl<K: Counted> Limiter<K> {
    /// At most `most` in every minute, by `clock`; 0: no limit.
    #[must_use]
    pub fn new(most: u32, clock: Clock) -> Self {
        Self::within(Duration::from_mins(1), most, clock)
    }

    /// At most `most` in every `span`, by `clock`; 0: no limit.
    #[must_use]
    pub fn within(span: Duration, most: u32, clock: Clock) -> Self {
        Self {
            most: most.min(HIGHEST),
            span: millis(span),
            most_keys: MOST_KEYS,
            clock,
            seen: Mutex::new(Seen {
                young: HashMap::new(),
                old: HashMap::new(),
                since: 0,
                stamps: 0,
            }),
        }
    }

    /// Counts one action for `key`, and for the networks around it, if the limit allows it.
    ///
    /// # Errors
    ///
    /// [`TooMany`] with the time to wait; then nothing is counted, so that waiting helps.
    pub fn take(&self, key: K) -> Result<Taken<'_, K>, TooMany> {
        let now = millis(self.clock.elapsed());
        let taken = Taken {
            limiter: self,
            key,
            at: now,
        };
        if self.most == 0 {
            return Ok(taken);
        }
        let mut seen = self.seen();
        seen.turn(now, self.span, self.most_keys);
        let mut wait = 0;
        for (key, times) in key.counted() {
            wait = wait.max(seen.wait(key, now, self.span, self.most * times));
        }
        if wait > 0 {
            let retry_after = Duration::from_millis(wait);
            return Err(TooMany { retry_after });
        }
        for (key, _) in key.counted() {
            seen.add(key, now);
        }
        Ok(taken)
    }

    fn seen(&self) -> MutexGuard<'_, Seen<K>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl<K: Counted> Seen<K> {
    /// Begins a new generation when it is time, or when the young one is full.
    fn turn(&mut self, now: u64, span: u64, most_keys: usize) {
        let full = self.young.len() >= most_keys || self.stamps >= MOST_STAMPS;
        if full || now - self.since >= span {
            self.old = mem::take(&mut self.young);
            self.since = now;
            self.stamps = 0;
        }
    }

    /// How long `key` has to wait under this limit, 0 for not at all. Moves it to the young
    /// generation.
    fn wait(&mut self, key: K, now: u64, span: u64, most: u32) -> u64 {
        if let Some(stamps) = self.old.remove(&key) {
            self.stamps += stamps.len();
            self.young.insert(key, stamps);
        }
        let Some(stamps) = self.young.get_mut(&key) else {
            return 0;
        };
        while stamps.front().is_some_and(|&stamp| stamp + span <= now) {
            stamps.pop_front();
        }
        match stamps.front() {
            Some(&oldest) if stamps.len() >= most as usize => oldest + span - now,
            _ => 0,
        }
    }

    fn add(&mut self, key: K, now: u64) {
        self.young.entry(key).or_default().push_back(now);
        self.stamps += 1;
    }

    /// Removes one of these times, if it is still remembered.
    fn remove(&mut self, key: K, at: u64) {
        let generations = [&mut self.young, &mut self.old];
        for generation in generations {
            let Some(stamps) = generation.get_mut(&key) else {
                continue;
            };
            if let Ok(place) = stamps.binary_search(&at) {
                stamps.remove(place);
            }
            if stamps.is_empty() {
                generation.remove(&key);
            }
            return;
        }
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
        assert_eq!(limiter.take(one).unwrap_err(), refused);
        limiter.take(network(2)).unwrap();
        clock.advance(Duration::from_millis(49_499));
        assert_eq!(limiter.take(one).unwrap_err().seconds(), 1);
        clock.advance(Duration::from_millis(1));
        limiter.take(one).unwrap();
        assert_eq!(limiter.take(one).unwrap_err().seconds(), 11);
    }

    #[test]
    fn what_is_in_progress_counts_until_it_is_given_back() {
        let (limiter, clock) = limiter(2);
        let one = network(1);
        let first = limiter.take(one).unwrap();
        clock.advance(Duration::from_secs(1));
        let second = limiter.take(one).unwrap();
        limiter.take(one).unwrap_err();
        first.give_back();
        // The second is the oldest now: the one that was given back no longer counts.
        limiter.take(one).unwrap();
        assert_eq!(limiter.take(one).unwrap_err().seconds(), 60);
        second.give_back();
        limiter.take(one).unwrap().give_back();
        limiter.take(one).unwrap().give_back();
        // Giving back one that was forgotten meanwhile does no harm.
        let late = limiter.take(one).unwrap();
        clock.advance(Duration::from_mins(3));
        limiter.take(one).unwrap();
        late.give_back();
        limiter.take(one).unwrap();
        limiter.take(one).unwrap_err();
    }

    #[test]
    fn honest_successes_leave_nothing_behind() {
        let (limiter, _) = limiter(3);
        for number in 0..1_000 {
            limiter.take(network(number)).unwrap().give_back();
        }
        let seen = limiter.seen();
        assert!(seen.young.is_empty() && seen.old.is_empty());
    }

    #[test]
    fn who_has_many_ipv6_networks_has_more_and_not_without_end() {
        let (limiter, clock) = limiter(2);
        let take = |subnet: u16| limiter.take(Network::V6([0x2001, 0xdb8, 7, subnet]));
        let within = |subnets: std::ops::Range<u16>| subnets.filter(|&n| take(n).is_ok()).count();
        assert_eq!((0..3).filter(|_| take(0).is_ok()).count(), 2, "a /64");
        assert_eq!(within(0..256), 6, "its /56: four times the limit in all");
        assert_eq!(within(256..4_096), 24, "its /48: sixteen times");
        limiter
            .take(Network::V6([0x2001, 0xdb8, 8, 0]))
            .expect("another /48");
        clock.advance(Duration::from_mins(1));
        let taken = take(0).unwrap();
        taken.give_back();
        assert_eq!(within(0..65_535), 32);
    }

    #[test]
    fn a_limit_may_be_by_service_and_for_an_hour() {
        let clock = Clock::mock(DateTime::UNIX_EPOCH);
        let limiter = Limiter::within(Duration::from_hours(1), 2, clock.clone());
        let service = ServiceId(7);
        limiter.take(service).unwrap();
        clock.advance(Duration::from_mins(40));
        limiter.take(service).unwrap();
        assert_eq!(limiter.take(service).unwrap_err().seconds(), 20 * 60);
        limiter.take(ServiceId(8)).unwrap();
        clock.advance(Duration::from_mins(20));
        limiter.take(service).unwrap();
    }

    #[test]
    fn without_a_limit_nothing_is_remembered() {
        let (limiter, _) = limiter(0);
        for _ in 0..1_000 {
            limiter.take(network(1)).unwrap();
        }
        limiter.take(network(1)).unwrap().give_back();
        assert!(limiter.seen().young.is_empty());
    }

    #[test]
    fn memory_is_bounded_however_many_networks_come() {
        let (limiter, clock) = limiter(30);
        for number in 0..100_000 {
            limiter.take(network(number)).unwrap();
            clock.advance(Duration::from_millis(u64::from(number % 2)));
        }
        let seen = limiter.seen();
        assert!(seen.young.len() <= MOST_KEYS && seen.old.len() <= MOST_KEYS);
        drop(seen);
        for _ in 0..29 {
            limiter.take(network(99_999)).unwrap();
        }
        limiter.take(network(99_999)).unwrap_err();
    }

    proptest! {
        /// Compared with the simplest limiter there is: a list of everything.
        #[test]
        fn never_more_than_the_limit_in_any_minute(
            steps in prop::collection::vec((0_u32..5, 0_u64..25_000, any::<bool>()), 1..200),
            most in 1_u32..5,
        ) {
            let (limiter, clock) = limiter(most);
            let mut counted: Vec<(u32, u64)> = Vec::new();
            let mut now = 0;
            for (who, wait, is_right) in steps {
                clock.advance(Duration::from_millis(wait));
                now += wait;
                let recent = counted.iter().filter(|(w, at)| *w == who && at + 60_000 > now).count();
                let taken = limiter.take(network(who));
                prop_assert_eq!(taken.is_ok(), recent < most as usize);
                match taken {
                    Ok(taken) if is_right => taken.give_back(),
                    Ok(_) => counted.push((who, now)),
                    Err(_) => {}
                }
            }
        }

        #[test]
        fn bounded_by_the_settings_whatever_comes(
            steps in prop::collection::vec((0_u16..1_000, 0_u64..5_000), 1..2_000),
        ) {
            let (mut limiter, clock) = limiter(3);
            limiter.most_keys = 50;
            for (who, wait) in steps {
                clock.advance(Duration::from_millis(wait));
                let network = if who % 2 == 0 { network(u32::from(who)) } else { Network::V6([1, 2, who / 512, who]) };
                let _ = limiter.take(network);
                let seen = limiter.seen();
                // Each is counted under three keys at most.
                prop_assert!(seen.young.len() <= 52 && seen.old.len() <= 52);
                prop_assert!(seen.young.values().chain(seen.old.values()).all(|s| s.len() <= 3 * 16));
            }
        }
    }
}
