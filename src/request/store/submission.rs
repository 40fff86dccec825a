//! Stores what was submitted, each once.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::columns::Columns;
use crate::{
    db::{self, Fault, PgPool},
    request::{
        Asked,
        reference::{Reference, SubmissionId},
    },
    secret::{ManagementKey, Secret},
};

/// One filled-in form, ready to be stored.
#[derive(Debug)]
pub struct Submission {
    /// The reference of the request. It tells a retry from a new submission.
    pub reference: Reference,
    /// What is asked.
    pub asked: Asked,
    /// The management key, if the request makes a new service.
    pub key: ManagementKey,
    /// Who of the staff cancels for the administrator.
    pub by_staff: Option<ByStaff>,
}

/// The account that cancels a service for its administrator, and why, for the audit.
#[derive(Clone, Copy, Debug)]
pub struct ByStaff {
    /// The internal number of the account.
    pub account: i64,
    /// The reason.
    pub reason: &'static str,
}

impl Submission {
    /// What an administrator asks by the form with this `id`.
    #[must_use]
    pub fn new(secret: &Secret, id: &SubmissionId, asked: Asked) -> Self {
        Self {
            reference: Reference::derive(secret, id),
            asked,
            key: ManagementKey::derive(secret, id.as_bytes()),
            by_staff: None,
        }
    }
}

/// The result of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is stored, by this call or by an earlier one with the same content.
    Stored {
        /// The reference of the request.
        reference: Reference,
        /// Whether this call stored it.
        created: bool,
    },
    /// Other content was stored under this submission id before.
    AlreadySent {
        /// The reference of the earlier request.
        reference: Reference,
    },
    /// The service has a pending request, and can have only one.
    Pending {
        /// The reference of the pending request.
        reference: Reference,
    },
}

impl Submitted {
    /// Whether there is new work for the background task.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self, Self::Stored { created: true, .. })
    }
}

/// Stores `submissions` as pending requests: one statement, one round trip if all of them are new.
/// They are durable when this returns. The results are in the order of the slice.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses. All of them may be sent again: each
/// is stored once.
pub async fn submit(
    pool: &PgPool,
    submissions: &[Submission],
) -> Result<Vec<Submitted>, db::Error> {
    pool.in_time(async {
        let mut held = pool.acquire().await?;
        let answers = submit_on(&mut held, submissions).await?;
        held.give_back();
        Ok(answers)
    })
    .await
}

/// The most rounds of [`submit_on`].
const ROUNDS: usize = 20;

/// [`submit`] on a connection of the caller's, which has no transaction open. A submission that
/// makes no new request costs a second round trip, which finds the reason.
///
/// # Errors
///
/// As of [`submit`].
pub async fn submit_on(
    connection: &mut PgConnection,
    submissions: &[Submission],
) -> Result<Vec<Submitted>, db::Error> {
    let mut answers = vec![None; submissions.len()];
    let mut open: Vec<usize> = (0..submissions.len()).collect();
    // A row that another transaction stored at the same moment may block a submission and not be
    // visible yet; the next round sees it. So each round but the first follows a commit of another
    // transaction.
    for _ in 0..ROUNDS {
        if open.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let turn = first_of_each_service(submissions, &open);
        let members = turn.iter().map(|&member| &submissions[member]);
        let new = store_new(connection, members, None).await?;
        for (&member, id) in turn.iter().zip(new) {
            let reference = submissions[member].reference;
            answers[member] = (id > 0).then_some(Submitted::Stored {
                reference,
                created: true,
            });
        }
        open.retain(|&member| answers[member].is_none());
        if !open.is_empty() {
            let members = open.iter().map(|&member| &submissions[member]);
            for (place, answer) in in_the_way(connection, members).await? {
                if let Some(&member) = open.get(place) {
                    answers[member] = Some(answer);
                }
            }
            open.retain(|&member| answers[member].is_none());
        }
    }
    Err(db::Error::Conflict(Fault::Client(
        "others submit to the same services again and again",
    )))
}

/// Those of `open` to be stored now: of several for one service the first is stored, and blocks the
/// others.
fn first_of_each_service(submissions: &[Submission], open: &[usize]) -> Vec<usize> {
    let mut services = HashSet::new();
    let is_first = |&member: &usize| {
        let service = submissions[member].asked.service();
        service.is_none_or(|service| services.insert(service.0))
    };
    open.iter().copied().filter(is_first).collect()
}

/// Stores requests that come from an older portal, in the caller's transaction: pending, submitted by
/// the portal, each at its time in `times` or else now. Returns the internal number of each; 0: one
/// with its reference is stored.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses.
pub async fn submit_moved(
    connection: &mut PgConnection,
    submissions: &[Submission],
    times: &[Option<DateTime<Utc>>],
) -> Result<Vec<i64>, db::Error> {
    store_new(connection, submissions.iter(), Some(times)).await
}

/// Stores those that nothing blocks; returns the internal number of each new request; 0: it made
/// none. `times`: as of [`submit_moved`].
async fn store_new(
    connection: &mut PgConnection,
    submissions: impl Iterator<Item = &Submission>,
    times: Option<&[Option<DateTime<Utc>>]>,
) -> Result<Vec<i64>, db::Error> {
    let batch = Columns::of(submissions);
    let made = sqlx::query_file_scalar!(
        "src/request/submit.sql",
        &batch.kind as _,
        &batch.service_id as _,
        &batch.programme as _,
        &batch.number as _,
        &batch.token,
        &batch.key_hash as _,
        &batch.reference as _,
        &batch.deployment as _,
        &batch.content_hash as _,
        &batch.staff as _,
        &batch.why as _,
        &batch.member,
        &batch.edge,
        &batch.place,
        &batch.access_edge as _,
        &batch.sip_domain as _,
        times as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(made)
}

/// Why submissions make no request, each with its index from 0; those that nothing is in the way of,
/// or nothing that is visible yet, are left out.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn in_the_way(
    connection: &mut PgConnection,
    submissions: impl Iterator<Item = &Submission>,
) -> Result<Vec<(usize, Submitted)>, db::Error> {
    let (mut references, mut contents, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for submission in submissions {
        references.push(submission.reference);
        contents.push(submission.asked.content_hash());
        services.push(submission.asked.service().map(|service| service.0));
    }
    let rows = sqlx::query_file!(
        "src/request/submitted.sql",
        &references as _,
        &contents as _,
        &services as _
    )
    .fetch_all(connection)
    .await?;
    let mut answers = Vec::with_capacity(rows.len());
    for row in rows {
        let reference = row.reference;
        let answer = match (row.same, row.pending) {
            (Some(true), _) => Submitted::Stored {
                reference,
                created: false,
            },
            (Some(false), _) => Submitted::AlreadySent { reference },
            (None, Some(reference)) => Submitted::Pending { reference },
            (None, None) => continue,
        };
        answers.push((usize::try_from(row.place - 1).unwrap_or(usize::MAX), answer));
    }
    Ok(answers)
}
