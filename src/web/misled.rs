//! Warns once of a proxy in front that is not set up as the portal needs it. What gave it away, an
//! address or a name, is not in the line.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderName, header, uri::Authority},
};

use super::site::Site;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Looks at a request that asks for `host`.
pub(super) fn look(site: &Site, request: &Request, host: Option<&Authority>) {
    static FORWARDED: AtomicBool = AtomicBool::new(false);
    let headers = request.headers();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical());
    let is_stranger = peer.is_some_and(|peer| !site.throttle.proxies.trusts(peer));
    if is_stranger && headers.contains_key(FORWARDED_FOR) && is_first(&FORWARDED) {
        tracing::warn!(
            "a request came with X-Forwarded-For from where PIC_TRUSTED_PROXIES names no proxy, so the header is not believed: if that was your proxy, name its network there, or all clients count as one"
        );
    }
    let public = &site.public_url;
    let is_from_here = headers
        .get(header::ORIGIN)
        .is_some_and(|origin| origin == public.as_str());
    let is_asked = host.is_some_and(|host| host.as_str().eq_ignore_ascii_case(public.authority()));
    if is_from_here && !public.is_assumed() && !is_asked {
        tell_of_host();
    }
}

/// Warns that the host that is asked for is not the one that a browser has in its address bar.
pub(super) fn tell_of_host() {
    static HOST: AtomicBool = AtomicBool::new(false);
    if is_first(&HOST) {
        tracing::warn!(
            "a form came from an origin that is not the host that was asked for: if it is one of the portal's own, a proxy in front does not pass Host on (nginx: proxy_set_header Host $host), or PIC_PUBLIC_URL is not what people type"
        );
    }
}

fn is_first(told: &AtomicBool) -> bool {
    !told.swap(true, Relaxed)
}
