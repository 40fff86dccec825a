//! Rate limits: how often a client network may do something, and what counts as an attempt.
//!
//! Limits by network (`docs/design.md#contract`): `PIC_SUBMIT_LIMIT` counts submits,
//! `PIC_TRY_LIMIT` *failed* attempts at anything that can be guessed. Others are fixed
//! ([`Throttle`]). All hold for every span of their length, not just for those that begin with a
//! full minute. They live in the memory of the process, which is bounded however many clients there
//! are ([`Limiter`]).
//!
//! An attempt at a key or a password is counted before anything is looked up, compared or hashed,
//! and given back when it was no wrong guess. So of any number of attempts that a network sends at
//! once no more than the limit get that far, and a right guess among the others looks like a wrong
//! one; a success costs nothing in the end. Attempts in progress count: of people behind one
//! address as many as the limit may sign in at the same moment, and one more as soon as one of them
//! is done. A client that disconnects before its response has made an attempt.
//!
//! Most routes are [`guarded`](super::routes::Route::guarded): their attempts are counted around
//! the handler, which reports a failed one by [`FailedTry`](crate::error::FailedTry) in its response.
//! `POST /staff/sign-in` counts its own, because a browser in which the owner has signed in before must not be held up by
//! others in the same network (`staff::login_throttle`).
//!
//! A reference has 80 random bits, so an existing one may be read over the limit too: one client
//! with an outdated bookmark must not block the pages for all others behind the same address. Hence
//! a reference is looked up first, and one that does not exist counts as a failed attempt
//! afterwards. Over the limit its response is 429 and not 404.

pub mod domains;
mod limiter;

use std::{sync::Arc, time::Duration};

use self::domains::Domains;
pub use self::limiter::{Counted, HIGHEST, Limiter, Taken};
use crate::{agreement::ServiceId, clock::Clock, server::network::Proxies};

/// Readiness checks a minute and network: each queries other people's servers.
const CHECKS: u32 = 10;
/// Successful sign-ins a minute and network, to services and to the support desk together: each
/// writes a row.
const SIGN_INS: u32 = 30;
/// New management keys a minute and network: each writes to a timeline.
const KEYS: u32 = 10;
/// New management keys an hour and service, likewise.
const KEYS_OF_A_SERVICE: u32 = 5;

/// The limits of a portal, and how clients are told apart. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// `PIC_SUBMIT_LIMIT`.
    pub submits: Arc<Limiter>,
    /// The domains in these submits; not limited where submits are not.
    pub domains: Arc<Domains>,
    /// `PIC_TRY_LIMIT`.
    pub tries: Arc<Limiter>,
    /// Checks that a client waits for: `/check`, and the check of the answers before a submit.
    pub checks: Arc<Limiter>,
    /// Successful sign-ins, to services and to the support desk.
    pub sign_ins: Arc<Limiter>,
    /// New management keys.
    pub keys: Arc<Limiter>,
    /// New management keys of one service.
    pub keys_of_a_service: Arc<Limiter<ServiceId>>,
    /// `PIC_TRUSTED_PROXIES`.
    pub proxies: Arc<Proxies>,
    /// The clock of all limits, including those by account (`staff::login_throttle`).
    pub clock: Clock,
}

impl Throttle {
    /// `submits` and failed `tries` a minute and network, 0 for no limit. The fixed limits are off
    /// where the one they belong to is off.
    #[must_use]
    pub fn new(submits: u32, tries: u32, proxies: Proxies, clock: &Clock) -> Self {
        let hourly = |most| Limiter::within(Duration::from_hours(1), most, clock.clone());
        let unless_none = |limit, most| if limit == 0 { 0 } else { most };
        let by_minute = |most| Arc::new(Limiter::new(most, clock.clone()));
        Self {
            checks: by_minute(CHECKS),
            sign_ins: by_minute(unless_none(tries, SIGN_INS)),
            keys: by_minute(unless_none(tries, KEYS)),
            keys_of_a_service: Arc::new(hourly(unless_none(tries, KEYS_OF_A_SERVICE))),
            submits: by_minute(submits),
            tries: by_minute(tries),
            domains: Arc::new(Domains::new(unless_none(submits, domains::AN_HOUR))),
            proxies: Arc::new(proxies),
            clock: clock.clone(),
        }
    }

    /// Neither limits nor proxies.
    #[must_use]
    pub fn none() -> Self {
        let clock = Clock::system();
        let none = || Arc::new(Limiter::new(0, clock.clone()));
        Self {
            checks: none(),
            sign_ins: none(),
            keys: none(),
            keys_of_a_service: Arc::new(Limiter::new(0, clock.clone())),
            submits: none(),
            domains: Arc::new(Domains::new(0)),
            tries: none(),
            proxies: Arc::default(),
            clock: clock.clone(),
        }
    }
}
