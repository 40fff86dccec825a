//! The client network of a request, for handlers that count by it.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{Extensions, HeaderMap, request::Parts},
};

use super::site::Site;
use crate::server::network::Network;

/// The network that a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub Network);

impl Client {
    /// The client network of the request with these `extensions` and `headers`.
    #[must_use]
    pub fn of(site: &Site, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(peer)| peer.ip());
        Self(site.throttle.proxies.client(peer, headers))
    }
}

impl<S> FromRequestParts<S> for Client
where
    Arc<Site>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let site = Arc::<Site>::from_ref(state);
        Ok(Self::of(&site, &parts.extensions, &parts.headers))
    }
}
