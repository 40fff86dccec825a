//! Is what somebody has of a request still what its address shows?

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    clock::Clocks,
    request::{follow::Glance, live, look_up::Visitor, reference::Reference},
    web::{
        accept,
        conditional::{ASK_AGAIN, Tag},
        site::Site,
    },
};

/// [`Site::edition`] of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Edition(Arc<str>);

impl Edition {
    /// That of `site`.
    pub(crate) fn of(site: &Site) -> Self {
        Self(site.edition().into())
    }
}

/// What the address of a request shows, to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// The page: with times as seen from now, and with less to fill in for whoever is signed in.
    Page,
    /// JSON: the same for everybody, at any time.
    Json,
}

impl Face {
    pub(super) fn preferred(asked: &HeaderMap) -> Self {
        if accept::prefers_json(asked) {
            Self::Json
        } else {
            Self::Page
        }
    }

    /// Headers of every answer, whole or not.
    pub(super) fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        let by = match self {
            Self::Page => HeaderValue::from_static("accept, cookie"),
            Self::Json => HeaderValue::from_static("accept"),
        };
        [(header::VARY, by), (header::CACHE_CONTROL, ASK_AGAIN)]
    }

    /// The tag of what is shown of a request that stands like this. Everything that is not of the
    /// request is in the [`Edition`]. A weak one: within a minute the page's words for
    /// times may differ, and still mean the same (`docs/performance.md#goals`).
    pub(super) fn tag(
        self,
        edition: &Edition,
        clocks: &Clocks,
        reference: Reference,
        glance: &Glance,
        visitor: Visitor,
    ) -> Tag {
        let edition = &edition.0;
        let version = live::version(glance, clocks);
        let shown = match self {
            Self::Page => {
                let minute = glance.now.timestamp().div_euclid(60);
                // The next look is told until it is due.
                let waits = glance.due_at.is_some_and(|due| due > glance.now);
                let is_own = visitor.is_own;
                format!("page {edition} {reference} {version} {minute} {waits} {is_own}")
            }
            Self::Json => format!("json {edition} {reference} {version}"),
        };
        Tag::weak(shown.as_bytes())
    }
}
