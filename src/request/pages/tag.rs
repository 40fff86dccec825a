//! The entity tags of a request's page and JSON.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    clock::Clocks,
    request::{live, loader::Visitor, reference::Reference, summary::Summary},
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
    /// The edition of `site`.
    pub(crate) fn of(site: &Site) -> Self {
        Self(site.edition().into())
    }
}

/// In which form the address of a request shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// The page: with times relative to now, and with fewer fields for clients that are signed in.
    Page,
    /// JSON: the same for every client, at any time.
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

    /// Headers of every response, also of a `304`.
    pub(super) fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        let by = match self {
            Self::Page => HeaderValue::from_static("accept, cookie"),
            Self::Json => HeaderValue::from_static("accept"),
        };
        [(header::VARY, by), (header::CACHE_CONTROL, ASK_AGAIN)]
    }

    /// The tag of a request with this summary. All that does not depend on the request is in the
    /// [`Edition`]. A weak tag: within a minute the page's words for times may differ, and still
    /// mean the same (`docs/performance.md#goals`).
    pub(super) fn tag(
        self,
        edition: &Edition,
        clocks: &Clocks,
        reference: Reference,
        summary: &Summary,
        visitor: Visitor,
    ) -> Tag {
        let edition = &edition.0;
        let version = live::version(summary, clocks);
        let shown = match self {
            Self::Page => {
                let minute = summary.now.timestamp().div_euclid(60);
                // The time of the next check is shown until it is due.
                let waits = summary.due_at.is_some_and(|due| due > summary.now);
                let is_own = visitor.is_own;
                format!("page {edition} {reference} {version} {minute} {waits} {is_own}")
            }
            Self::Json => format!("json {edition} {reference} {version}"),
        };
        Tag::weak(shown.as_bytes())
    }
}
