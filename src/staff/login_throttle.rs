//! Slows down guesses at a password, without locking out its owner.
//!
//! Two limits, both in memory. By network: `PIC_TRY_LIMIT` failed attempts a minute (`web::limit`).
//! By account: of all attempts at a name, from any network, ten are let through at once and then
//! one every six seconds, whether the name exists or not; for the others nothing is hashed, and the
//! response says when to try again. Both are counted before the password is compared and given back
//! when it was right.
//!
//! An attacker who floods a name from many networks thus slows down its owner too. Hence a browser
//! in which the owner has signed in before keeps a [`mark`] for 90 days: a HMAC over the account's
//! name and its password, under the database's secret. A browser with the mark is counted
//! separately: by a throttle of its own for the account, as strict as the other, and not by its
//! network, and it has its own queue for the hasher. So whatever others try, and wherever they are,
//! the owner can sign in where they work every day. A mark becomes invalid with the password and is
//! throttled too, so it does not help a thief to guess. In a new browser the owner has to wait, and
//! `pic-portal staff reset` always helps.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    Name,
    password::{Hashed, Hasher},
};
use crate::{base32, clock::Clock, error::TooMany, secret::Secret};

/// Attempts at an account that are let through at once.
const BURST: u64 = 10;
/// After them, one attempt in this time.
const EVERY: Duration = Duration::from_secs(6);
/// Names that are remembered; when there are more, those without a wait are dropped.
const MOST_NAMES: usize = 16_384;

/// Throttles sign-ins of the staff. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LoginThrottle {
    /// Hashes passwords, a few at a time.
    pub hasher: Hasher,
    /// The throttle by account.
    pub brake: Arc<AccountThrottle>,
    /// The throttle by account for known browsers: those with a mark, and those that are signed in.
    pub known: Arc<AccountThrottle>,
}

impl LoginThrottle {
    /// A gate that counts by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            hasher: Hasher::default(),
            brake: Arc::new(AccountThrottle::new(clock.clone())),
            known: Arc::new(AccountThrottle::new(clock)),
        }
    }
}

/// Throttles attempts by name. Of a name only a hash is kept.
#[derive(Debug)]
pub struct AccountThrottle {
    clock: Clock,
    /// For each name the millisecond at which all its attempts have been waited for.
    free_at: Mutex<HashMap<[u8; 16], u64>>,
}

/// An attempt at an account that was counted. It stays counted, even when this is dropped, unless
/// it is given back.
#[derive(Debug)]
pub struct Paid<'a> {
    brake: &'a AccountThrottle,
    key: [u8; 16],
}

impl Paid<'_> {
    /// Takes the attempt off the count: the password was right, or nothing was compared.
    pub fn give_back(self) {
        let mut free_at = self.brake.free_at();
        if let Some(free) = free_at.get_mut(&self.key) {
            *free = free.saturating_sub(millis(EVERY));
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl AccountThrottle {
    fn new(clock: Clock) -> Self {
        Self {
            clock,
            free_at: Mutex::default(),
        }
    }

    fn free_at(&self) -> MutexGuard<'_, HashMap<[u8; 16], u64>> {
        self.free_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one attempt at the account of this name, whether it exists or not.
    ///
    /// # Errors
    ///
    /// [`TooMany`]: then nothing is counted, so that waiting helps.
    pub fn take(&self, name: &str) -> Result<Paid<'_>, TooMany> {
        let (now, every) = (millis(self.clock.elapsed()), millis(EVERY));
        let key = key(name);
        let mut free_at = self.free_at();
        if free_at.len() >= MOST_NAMES && !free_at.contains_key(&key) {
            free_at.retain(|_, free| *free > now);
            if free_at.len() >= MOST_NAMES {
                // An attacker is making up names faster than their time passes: begin anew.
                free_at.clear();
            }
        }
        let free = free_at.entry(key).or_insert(now);
        let paid = (*free).max(now) + every;
        let wait = paid.saturating_sub(now + BURST * every);
        if wait > 0 {
            let retry_after = Duration::from_millis(wait);
            return Err(TooMany { retry_after });
        }
        *free = paid;
        Ok(Paid { brake: self, key })
    }
}

/// The hash that is kept of a name.
fn key(name: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(name)[..16]);
    key
}

/// The mark that a browser keeps after the owner of an account has signed in there. One half can be
/// checked with the secret and the name alone, so that made-up marks cause no query; the other half
/// depends on the password.
#[must_use]
pub fn mark(secret: &Secret, name: &Name, password: &Hashed) -> String {
    // A NUL separates them: no name has one.
    let account = format!("{}\0{}", name.as_str(), password.0);
    let mac = secret.mac(b"pic-portal staff browser\0", account.as_bytes());
    named_by(secret, name) + &base32::encode(&mac[..20])
}

/// The first half of a [`mark`].
fn named_by(secret: &Secret, name: &Name) -> String {
    let mac = secret.mac(
        b"pic-portal staff browser's name\0",
        name.as_str().as_bytes(),
    );
    base32::encode(&mac[..20])
}

/// Whether `shown` is or was a [`mark`] of the account of this name, with any password.
#[must_use]
pub fn was_marked(shown: &str, secret: &Secret, name: &Name) -> bool {
    let half = named_by(secret, name);
    let shown = shown.as_bytes().get(..half.len()).unwrap_or_default();
    half.as_bytes().ct_eq(shown).into()
}

/// Whether `shown` is the present [`mark`] of this account, in constant time.
#[must_use]
pub fn is_marked(shown: &str, secret: &Secret, name: &Name, password: &Hashed) -> bool {
    mark(secret, name, password)
        .as_bytes()
        .ct_eq(shown.as_bytes())
        .into()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn brake() -> (Arc<AccountThrottle>, Clock) {
        let clock = Clock::mock(DateTime::UNIX_EPOCH);
        (LoginThrottle::new(clock.clone()).brake, clock)
    }

    #[test]
    fn ten_at_once_and_then_one_every_six_seconds() {
        let (brake, clock) = brake();
        for _ in 0..10 {
            brake.take("anna").unwrap();
        }
        let refused = brake.take("anna").unwrap_err();
        assert_eq!(refused.retry_after, EVERY);
        brake.take("bert").unwrap();
        clock.advance(Duration::from_millis(5_999));
        assert_eq!(
            brake.take("anna").unwrap_err().retry_after,
            Duration::from_millis(1)
        );
        clock.advance(Duration::from_millis(1));
        let right = brake.take("anna").unwrap();
        brake.take("anna").unwrap_err();
        right.give_back();
        brake.take("anna").unwrap();
        brake.take("anna").unwrap_err();
        clock.advance(Duration::from_hours(1));
        for _ in 0..10 {
            brake.take("anna").unwrap();
        }
        brake.take("anna").unwrap_err();
    }

    #[test]
    fn memory_is_bounded_however_many_names_are_made_up() {
        let (brake, clock) = brake();
        for number in 0..50_000_u32 {
            brake.take(&number.to_string()).unwrap();
            clock.advance(Duration::from_millis(u64::from(number % 2)));
            assert!(brake.free_at.lock().unwrap().len() <= MOST_NAMES);
        }
    }

    #[test]
    fn a_mark_dies_with_the_password_and_is_for_one_account() {
        let secret = Secret::from_bytes(&[1; 32]).unwrap();
        let (one, two) = (Hashed("one".into()), Hashed("two".into()));
        let (anna, bert) = (Name::parse("anna").unwrap(), Name::parse("bert").unwrap());
        let shown = mark(&secret, &anna, &one);
        assert!(is_marked(&shown, &secret, &anna, &one));
        for (name, password) in [(&anna, &two), (&bert, &one)] {
            assert!(!is_marked(&shown, &secret, name, password));
        }
        let other = Secret::from_bytes(&[2; 32]).unwrap();
        assert!(!is_marked(&shown, &other, &anna, &one));
        assert!(!is_marked("", &secret, &anna, &one));
        // Its first half depends on the name only, so it stays valid when the password changes.
        assert!(was_marked(&shown, &secret, &anna));
        assert!(was_marked(&mark(&secret, &anna, &two), &secret, &anna));
        assert!(!was_marked(&shown, &secret, &bert) && !was_marked(&shown, &other, &anna));
        for made_up in ["", &shown[32..], &"0".repeat(64)] {
            assert!(!was_marked(made_up, &secret, &anna));
        }
        assert!(!is_marked(&shown[..32], &secret, &anna, &one));
    }
}
