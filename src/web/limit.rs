//! Has this network done this too often, and what counts as a try?
//!
//! Limits by network (`docs/design.md#contract`): `PIC_SUBMIT_LIMIT` counts submits,
//! `PIC_TRY_LIMIT` *failed* tries at anything that can be guessed. Others are fixed ([`Throttle`]).
//! All hold for every span of their length, not just for those that begin with a full minute, and
//! live in the memory of the process, which is bounded whoever comes ([`Limiter`]).
//!
//! A try at a key or a password is taken before anything is looked up, compared or hashed, and
//! given back when it was no wrong guess. So of any number of tries that a network sends at once
//! no more than the limit get that far, and a right guess among the others looks like a wrong one;
//! an honest success costs nothing in the end. What is in progress counts: of honest people behind
//! one address as many as the limit may sign in in the same moment, and one more as soon as one of
//! them is in. A client that goes away before its answer has made a try.
//!
//! Most routes are [`guarded`](super::routes::Route::guarded): their tries are taken around the
//! handler, which says by [`FailedTry`](crate::error::FailedTry) in its answer that one has failed. `POST /staff/sign-in`
//! takes its own, because a browser in which the owner has signed in before is not held up by
//! what others do in the same network (`staff::gate`).
//!
//! A reference has 80 random bits, so an existing one may be seen over the limit too: a reader with
//! a stale bookmark must not shut the pages for everybody behind the same address. Hence a
//! reference is looked up first, and one that does not exist is a failed try afterwards. Over the
//! limit the answer to it is 429 and not 404.

pub mod domains;
mod limiter;

use std::{sync::Arc, time::Duration};

use self::domains::Domains;
pub use self::limiter::{Counted, HIGHEST, Limiter, Taken};
use crate::{agreement::ServiceId, clock::Clock, server::network::Proxies};

/// Look-ups a minute and network: each asks other people's servers.
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
    /// The domains of these submits; none where there is no limit of submits.
    pub domains: Arc<Domains>,
    /// `PIC_TRY_LIMIT`.
    pub tries: Arc<Limiter>,
    /// Look-ups that somebody waits for: `/check`, and a look at the answers.
    pub checks: Arc<Limiter>,
    /// Successful sign-ins, to services and to the support desk.
    pub sign_ins: Arc<Limiter>,
    /// New management keys.
    pub keys: Arc<Limiter>,
    /// New management keys of one service.
    pub keys_of_a_service: Arc<Limiter<ServiceId>>,
    /// `PIC_TRUSTED_PROXIES`.
    pub proxies: Arc<Proxies>,
    /// What all limits count by, those by account too (`staff::gate`).
    pub clock: Clock,
}

impl Throttle {
    /// `submits` and failed `tries` a minute and network, 0 for no limit; the others are fixed, and
    /// there are none where that limit is none which they belong to.
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

    /// No limits, no proxies.
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
