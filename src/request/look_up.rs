//! How do those who want to see a request at the same time find it?
//!
//! Who has seen its page already only has to know whether it is still the same: that is a
//! [`Glance`], a fraction of the work of reading the whole of it.

pub mod store;

use super::{follow::Glance, reference::Reference, store::Request};
use crate::{
    db::{self, PgPool, together::Together},
    secret::SessionToken,
};

/// What somebody wants to see.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The name of the request.
    pub reference: Reference,
    /// The session of whoever looks, if they bring one: it may have ended.
    pub session: Option<SessionToken>,
}

/// What whoever looks has to do with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// They are signed in to its service.
    pub is_own: bool,
    /// Their session is live, and was not noted as used for a minute or longer.
    pub is_due: bool,
}

/// All of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(Look);

/// How it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtGlance(Look);

/// Looks requests up, together with whoever does so at the same time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readers {
    whole: Together<Whole>,
    glances: Together<AtGlance>,
}

impl Readers {
    /// Readers on the connections of `pool`.
    #[must_use]
    pub fn new(pool: &PgPool) -> Self {
        Self {
            whole: Together::new(pool.clone()),
            glances: Together::new(pool.clone()),
        }
    }

    /// All of a request; `None` when there is none of that name.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is away or a row is impossible; within 4 s.
    pub async fn whole(&self, look: Look) -> Result<Option<(Request, Visitor)>, db::Error> {
        self.whole.ask(Whole(look)).await
    }

    /// How a request stands; `None` when there is none of that name.
    ///
    /// # Errors
    ///
    /// As of [`Readers::whole`].
    pub async fn glance(&self, look: Look) -> Result<Option<(Glance, Visitor)>, db::Error> {
        self.glances.ask(AtGlance(look)).await
    }
}
