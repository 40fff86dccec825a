//! How are guesses at a password slowed down, without locking its owner out?
//!
//! Two brakes, both in memory. By network: `POST /staff/sign-in` is guarded, so that a network
//! fails `PIC_TRY_LIMIT` times a minute and not more. By account: of all who try a name from
//! wherever, ten are let through at once and then one every six seconds, whether the name exists
//! or not; the others are told when to try again, and nothing is hashed for them.
//!
//! Somebody who floods a name from many networks thus slows down its owner too. Hence a browser
//! in which the owner has signed in before keeps a [`mark`] for 90 days: a HMAC over the account's
//! name and its password, under the database's secret. With it the second brake does not hold, so
//! that nobody can be locked out by others where they work every day; and since it dies with the
//! password it is of no use to a thief for longer than a session. Elsewhere patience helps, and
//! `pic-portal staff reset` always does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::password::{Hashed, Hasher};
use crate::{clock::Clock, code, service::Secret, web::limit::TooMany};

/// Tries at an account that are let through at once.
const BURST: u64 = 10;
/// After them, one try in this time.
const EVERY: Duration = Duration::from_secs(6);
/// Names that are remembered; when there are more, those that may try at once anyway are dropped.
const MOST_NAMES: usize = 16_384;

/// What guards the passwords of the staff. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Hashes, a few at a time.
    pub hasher: Hasher,
    /// The brake by account.
    pub brake: Arc<Brake>,
}

impl Gate {
    /// A gate that counts by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            hasher: Hasher::default(),
            brake: Arc::new(Brake {
                clock,
                free_at: Mutex::default(),
            }),
        }
    }
}

/// Lets few through for each name. Of a name only a hash is kept.
#[derive(Debug)]
pub struct Brake {
    clock: Clock,
    /// For each name the millisecond at which all its tries will have been paid for.
    free_at: Mutex<HashMap<[u8; 16], u64>>,
}

impl Brake {
    /// Gives back the try of somebody who was right: that was no guess.
    pub fn give_back(&self, name: &str) {
        let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = free_at.get_mut(&key(name)) {
            *free = free.saturating_sub(every);
        }
    }

    /// Takes one try at the account of this name, whether there is one or not.
    ///
    /// # Errors
    ///
    /// [`TooMany`]: then nothing is taken, and waiting helps.
    pub fn take(&self, name: &str) -> Result<(), TooMany> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (now, every) = (millis(self.clock.elapsed()), millis(EVERY));
        let key = key(name);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        if free_at.len() >= MOST_NAMES && !free_at.contains_key(&key) {
            free_at.retain(|_, free| *free > now);
            if free_at.len() >= MOST_NAMES {
                // Somebody makes names up faster than they are paid for: begin anew.
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
        Ok(())
    }
}

/// What is remembered of a name.
fn key(name: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(name)[..16]);
    key
}

/// What a browser keeps in which the owner of an account has signed in.
#[must_use]
pub fn mark(secret: &Secret, name: &str, password: &Hashed) -> String {
    // No name has a NUL.
    let account = format!("{name}\0{}", password.0);
    let mac = secret.stand_in(b"pic-portal staff browser\0", account.as_bytes());
    code::encode(&mac[..20])
}

/// Whether `shown` is the [`mark`] of this account; takes the same time whatever differs.
#[must_use]
pub fn is_marked(shown: &str, secret: &Secret, name: &str, password: &Hashed) -> bool {
    mark(secret, name, password)
        .as_bytes()
        .ct_eq(shown.as_bytes())
        .into()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn brake() -> (Arc<Brake>, Clock) {
        let clock = Clock::mock(DateTime::UNIX_EPOCH);
        (Gate::new(clock.clone()).brake, clock)
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
        brake.take("anna").unwrap();
        brake.take("anna").unwrap_err();
        brake.give_back("anna");
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
        let shown = mark(&secret, "anna", &one);
        assert!(is_marked(&shown, &secret, "anna", &one));
        for (name, password) in [("anna", &two), ("bert", &one)] {
            assert!(!is_marked(&shown, &secret, name, password));
        }
        let other = Secret::from_bytes(&[2; 32]).unwrap();
        assert!(!is_marked(&shown, &other, "anna", &one));
        assert!(!is_marked("", &secret, "anna", &one));
    }
}
