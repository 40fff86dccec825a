//! The retention rule: what is kept, for how long, and how contact information is kept out.
//!
//! # The rule
//!
//! Since April 2019 contact information is neither collected nor retained, and what was entered
//! before is purged (`docs/field.md#the-original`). Here that means:
//!
//! 1. **Nothing comes in.** No page, field, header, query or JSON member takes a person's name,
//!    e-mail address or telephone number, and there is no free text. A form with other fields is
//!    refused as a whole; an address typed into any other field is an error of that field.
//! 2. **Nothing is logged.** No log of the portal or of the database contains, at any level, what a
//!    person typed.
//! 3. **What arrives is purged.** Rows of an older system go into `legacy_contact`, which is in no
//!    write-ahead log, replica or base backup, and the [`sweep`] empties it so that the bytes are
//!    gone.
//! 4. **What is no longer needed is deleted**: see [`Kind::kept_for`].
//!
//! An agreement number is the one text that only its owner can tell from a name or a telephone
//! number. So text that looks like a name or a telephone number is refused ([`crate::agreement`]),
//! what may be either leads to a question, and the sweep replaces by `0` what an earlier version
//! stored.
//!
//! Constraints enforce the rule too: nearly every column that could hold text has a CHECK that
//! excludes `@` ([`proof`]). The sweep proves that for each column by its definition, and scans the
//! others.
//!
//! | file | what it does |
//! |---|---|
//! | `sweep` | runs the sweep: when, in which order, and what if a step fails |
//! | `store` | takes the turn to sweep, deletes in batches, records what was done |
//! | `look` | scans the schema for contact information |
//! | `proof` | proves that a constraint excludes addresses |
//! | `purge` | empties tables of an old portal to the last byte |
//! | `import` | imports an old portal's export without its contacts |
//! | `health` | reads the health of the database |
//! | `meter` | counts for Prometheus |
//! | `words` | has the words for people and programs |
//! | `pages` | has the page `/privacy` |

pub mod health;
pub mod import;
pub mod meter;
pub mod pages;
pub mod proof;
pub mod purge;
pub mod scan;
pub mod store;
pub mod sweep;
pub mod wording;

use std::time::Duration;

use crate::{
    secret::{SERVICE_SESSIONS, STAFF_SESSIONS},
    text_enum::text_enum,
};

/// How long withdrawn and rejected requests are kept after they ended.
pub const ENDED_REQUESTS: Duration = Duration::from_hours(90 * 24);
/// How long the audit of the support desk is kept.
pub const STAFF_AUDIT: Duration = Duration::from_hours(365 * 24);
/// How long records of sweeps are kept.
pub const RUNS: Duration = Duration::from_hours(90 * 24);
/// How long it is kept what was published to gateways: what has changed since is told to them.
pub const PUBLICATIONS: Duration = Duration::from_hours(30 * 24);

/// The rule in one sentence, for pages, programs and the command line.
pub const RULE: &str = "This portal never asks for names, email addresses or phone numbers, never \
    writes them down, and removes what an older system left behind.";

text_enum! {
    /// What the sweep removes.
    Kind {
        /// Contact rows of an older system.
        Contacts = "contacts",
        /// Agreement numbers that are words and no numbers, such as a name; the service keeps `0`
        /// instead.
        Numbers = "numbers",
        /// Sessions of services that have ended.
        Sessions = "sessions",
        /// Sessions of the support desk that have ended.
        StaffSessions = "staff-sessions",
        /// Old entries of the support desk's audit.
        StaffAudit = "staff-audit",
        /// Withdrawn and rejected requests, with their edges, domains, findings and timeline.
        Requests = "requests",
        /// Services that have neither requests nor routes left.
        Services = "services",
        /// Records of sweeps.
        Runs = "runs",
        /// Old publications.
        Publications = "publications",
    }
}

impl Kind {
    /// How long it is kept after it has ended, or since it was written; `None`: deleted with the
    /// next sweep, or with what it belongs to.
    #[must_use]
    pub const fn kept_for(self) -> Option<Duration> {
        match self {
            Self::Contacts
            | Self::Numbers
            | Self::Sessions
            | Self::StaffSessions
            | Self::Services => None,
            Self::StaffAudit => Some(STAFF_AUDIT),
            Self::Requests => Some(ENDED_REQUESTS),
            Self::Runs => Some(RUNS),
            Self::Publications => Some(PUBLICATIONS),
        }
    }
}

text_enum! {
    /// Why a sweep ran.
    Cause {
        /// A portal was started.
        Start = "start",
        /// The interval was over (`PIC_SWEEP`).
        Schedule = "schedule",
        /// The sweep before failed.
        Retry = "retry",
        /// An operator ran `pic-portal sweep`.
        Hand = "hand",
    }
}

text_enum! {
    /// How a sweep ended.
    Outcome {
        /// No contact-like values remain.
        Clean = "clean",
        /// Contact-like values were found.
        Remains = "remains",
        /// It was stopped, or had no time to scan everything.
        Unfinished = "unfinished",
        /// A necessary step failed; it is retried soon.
        Failed = "failed",
        /// Its process died.
        Abandoned = "abandoned",
    }
}

text_enum! {
    /// Why a sweep failed.
    Fault {
        /// Another session reads `legacy_contact`, such as `pg_dump`: it cannot be emptied
        /// meanwhile.
        Locked = "locked",
        /// The database is unreachable, or refused.
        Database = "database",
    }
}

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It is not kept at all.
    Never,
    /// Until the next sweep removes it.
    NextSweep(Kind),
    /// As long as the condition holds.
    While(&'static str),
    /// As long as a request is pending: the expiry (`PIC_EXPIRY`) at most.
    Limit,
    /// This long after it ended or was written; then the sweep deletes it.
    For(Kind, Duration),
    /// Until it was not used for this long, or this long after it began; then the sweep deletes it.
    Unused(Kind, Duration, Duration),
    /// In memory only, this long at most.
    Memory(Duration),
}

/// Something that is stored, and how long it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// What it is, in words.
    pub what: &'static str,
    /// How long it is kept.
    pub until: Until,
}

const fn kept(what: &'static str, until: Until) -> Kept {
    Kept { what, until }
}

/// Everything that is kept. The sweep goes through it in this order: sessions before the services
/// that they would go with, so that they are counted.
pub const KEPT: &[Kept] = &[
    kept(
        "Names, email addresses, phone numbers, free text",
        Until::Never,
    ),
    kept(
        "What was typed, in any log; addresses of clients, in any log",
        Until::Never,
    ),
    kept(
        "Contact rows that an older system leaves behind",
        Until::NextSweep(Kind::Contacts),
    ),
    kept(
        "A name or other words that an earlier version stored as an agreement number",
        Until::NextSweep(Kind::Numbers),
    ),
    kept(
        "Being signed in to a service: a fingerprint of the cookie, and when it was used",
        Until::Unused(
            Kind::Sessions,
            SERVICE_SESSIONS.idle,
            SERVICE_SESSIONS.absolute,
        ),
    ),
    kept(
        "Being signed in to the support desk",
        Until::Unused(
            Kind::StaffSessions,
            STAFF_SESSIONS.idle,
            STAFF_SESSIONS.absolute,
        ),
    ),
    kept(
        "A service: licensing programme, agreement number, fingerprints of the management key and of the address of its feed",
        Until::While("as long as one of its requests is kept"),
    ),
    kept(
        "The routes in force: SIP domains and Access Edge FQDNs",
        Until::While("as long as they are in force"),
    ),
    kept(
        "A pending request, with what its checks found",
        Until::Limit,
    ),
    kept(
        "A provisioned request, with its timeline",
        Until::While("as long as the service"),
    ),
    kept(
        "A withdrawn or rejected request, with its domains, findings and timeline",
        Until::For(Kind::Requests, ENDED_REQUESTS),
    ),
    kept(
        "What the support desk notes of a request: marks from a list, by which account, and when",
        Until::While("as long as the request, or until the mark is removed"),
    ),
    kept(
        "What the support desk looked at and did",
        Until::For(Kind::StaffAudit, STAFF_AUDIT),
    ),
    kept(
        "How often a client network has sent or tried something",
        Until::Memory(Duration::from_hours(1)),
    ),
    kept(
        "That a process of the portal runs: a random number, its version, when it was seen",
        Until::While("until it stops, or an hour after it was last seen"),
    ),
    kept(
        "Records of the sweeps: times and counts",
        Until::For(Kind::Runs, RUNS),
    ),
    kept(
        "Publications of routes to gateways: when, and which domains changed",
        Until::For(Kind::Publications, PUBLICATIONS),
    ),
    kept(
        "A gateway: the name of a server, a fingerprint of its token, what it has loaded and when it asked",
        Until::While("as long as it is registered"),
    ),
];

/// Parts of column names that suggest contact information.
const NAMES: &[&str] = &[
    "mail",
    "phone",
    "mobile",
    "fax",
    "contact",
    "surname",
    "firstname",
    "first_name",
    "lastname",
    "last_name",
    "fullname",
    "full_name",
    "forename",
    "given_name",
    "family_name",
    "birth",
];

/// Whether a column's name suggests contact information.
#[must_use]
pub fn is_contact_like(column: &str) -> bool {
    let column = column.to_lowercase();
    NAMES.iter().any(|name| column.contains(name))
}

/// What a sweep found and did, as recorded.
#[derive(Clone, Debug)]
pub struct Run {
    /// Why it ran.
    pub cause: Cause,
    /// When it began.
    pub began_at: chrono::DateTime<chrono::Utc>,
    /// When it ended; `None`: it is running.
    pub ended_at: Option<chrono::DateTime<chrono::Utc>>,
    /// How it ended; `None`: it is running.
    pub outcome: Option<Outcome>,
    /// Why it failed, if it did.
    pub fault: Option<Fault>,
    /// How many it removed of each kind, without zeros.
    pub removed: Vec<(Kind, u64)>,
    /// What was scanned.
    pub looked: scan::Looked,
    /// Contact-like values that remain; `None`: the scan was not finished.
    pub remaining: Option<u64>,
}

impl Run {
    /// How many of a kind it removed.
    #[must_use]
    pub fn removed(&self, kind: Kind) -> u64 {
        let mut of_kind = self.removed.iter().filter(|(removed, _)| *removed == kind);
        of_kind.next().map_or(0, |(_, count)| *count)
    }

    /// Whether it did everything, and nothing remains.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.outcome == Some(Outcome::Clean)
    }
}
