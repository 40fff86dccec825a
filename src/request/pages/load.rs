//! Loads the request that an address names.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts, Path},
    http::{Uri, request::Parts},
};

use crate::{
    db::PgPool,
    error::Error,
    request::{
        loader::{Lookup, RequestLoader, Visitor},
        reference::Reference,
        store::Request,
    },
    secret::SessionToken,
    web::site::Site,
};

/// Parses the reference in an address. A reference in another form than the canonical one is an
/// error with the canonical address, including the rest of the path and the query.
pub(crate) fn parse_reference(reference: &str, uri: &Uri) -> Result<Reference, Error> {
    let parsed = Reference::parse(reference).ok_or(Error::NoRequest)?;
    let shown = parsed.to_string();
    if shown != reference {
        let rest = uri
            .path()
            .splitn(4, '/')
            .nth(3)
            .map(|rest| format!("/{rest}"))
            .unwrap_or_default();
        return Err(Error::Moved(format!("/requests/{shown}{rest}")));
    }
    Ok(parsed)
}

/// Loads requests, for pages that show them.
pub(crate) struct Requests {
    pub(crate) site: Arc<Site>,
    pub(crate) pool: PgPool,
    pub(crate) loader: RequestLoader,
}

impl Requests {
    /// Loads the request that an address names.
    pub(crate) async fn named(&self, reference: &str, uri: &Uri) -> Result<Request, Error> {
        let (request, _) = self.seen(reference, uri, None).await?;
        Ok(request)
    }

    /// Loads the request that an address names, with the rights of the client that sent this
    /// session.
    pub(crate) async fn seen(
        &self,
        reference: &str,
        uri: &Uri,
        session: Option<SessionToken>,
    ) -> Result<(Request, Visitor), Error> {
        let reference = parse_reference(reference, uri)?;
        let found = self.loader.whole(Lookup { reference, session }).await?;
        found.ok_or(Error::NoRequest)
    }
}

impl<S> FromRequestParts<S> for Requests
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    RequestLoader: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self {
            site: Arc::from_ref(state),
            pool: PgPool::from_ref(state),
            loader: RequestLoader::from_ref(state),
        })
    }
}

/// A reference in the path of an address.
pub(crate) type ReferencePath = Path<String>;
