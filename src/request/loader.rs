//! Loads requests by their references, those wanted at the same time by one query.
//!
//! A client that has seen the page only needs to know whether it has changed: for that the
//! [`Summary`] is read, which costs a fraction of loading the whole request.

pub mod store;

use super::{reference::Reference, store::Request};
use crate::request::summary::Summary;
use crate::{
    db::{self, PgPool, batcher::Batcher},
    secret::SessionToken,
};

/// A lookup of one request, by one client.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    /// The reference of the request.
    pub reference: Reference,
    /// The client's session, if it sent one; the session may have ended.
    pub session: Option<SessionToken>,
}

/// What rights the client has to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Whether it is signed in to the request's service.
    pub is_own: bool,
    /// Whether its session is live, and its last recorded use is a minute ago or longer.
    pub is_due: bool,
}

/// A query for all of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct FullLookup(Lookup);

/// A query for the summary of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct SummaryLookup(Lookup);

/// Loads requests in batches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestLoader {
    whole: Batcher<FullLookup>,
    summaries: Batcher<SummaryLookup>,
}

impl RequestLoader {
    /// A loader on the connections of `pool`.
    #[must_use]
    pub fn new(pool: &PgPool) -> Self {
        Self {
            whole: Batcher::new(pool.clone()),
            summaries: Batcher::new(pool.clone()),
        }
    }

    /// All of a request; `None` when there is none with that reference.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is unreachable or a row is invalid; within 4 s.
    pub async fn whole(&self, look: Lookup) -> Result<Option<(Request, Visitor)>, db::Error> {
        self.whole.load(FullLookup(look)).await
    }

    /// The summary of a request; `None` when there is none with that reference.
    ///
    /// # Errors
    ///
    /// As of [`RequestLoader::whole`].
    pub async fn summary(&self, look: Lookup) -> Result<Option<(Summary, Visitor)>, db::Error> {
        self.summaries.load(SummaryLookup(look)).await
    }
}
