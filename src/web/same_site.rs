//! Rejects requests that are meant for another host, and forms that come from another site.
//!
//! **Host.** A page of another site can have its own name resolve to this machine, and then read a
//! portal that only this machine or network should reach (DNS rebinding); the browser sends that
//! name as `Host`. Where the portal does not know its own name, or a request comes from its own
//! machine, it answers only to names that no one can own in the public DNS. Declared proxies may
//! send any name, and so may every client where `PIC_PUBLIC_URL` is set and the request comes from
//! elsewhere: what is public anyway is not protected by this, and no page or link is made from
//! `Host`.
//!
//! **Origin.** A form that changes something must come from a page of the portal. Browsers say
//! where it comes from by `Sec-Fetch-Site`, older ones and plain HTTP by `Origin`; programs send
//! neither, and have no person's cookies to misuse.

use super::{misled, origin::Origin, site::Site};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderName, Method, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse as _, Response},
};

use crate::error::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Endings of names that have no owner in the public DNS (RFC 6761, 6762, 8375; `internal` by
/// ICANN, 2024).
const UNOWNED: [&str; 5] = ["localhost", "local", "internal", "test", "home.arpa"];
/// Probes use whatever name an orchestrator has for the machine, and reveal nothing.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// Accepts a request that is meant for this portal and does not come from another site. Otherwise:
/// 400 for an invalid `Host`, 421 for another's, 403 for a form of another site.
#[expect(
    clippy::result_large_err,
    reason = "an answer, which is handed on as it is"
)]
pub(super) fn admit(site: &Site, request: &Request) -> Result<(), Response> {
    let refused = |status| Err(Problem::of(status).into_response());
    let public = &site.public_url;
    let header = request.headers().get(header::HOST);
    let header = match header.map(|host| authority(host.as_bytes())) {
        Some(None) => return refused(StatusCode::BAD_REQUEST),
        Some(Some(host)) => Some(host),
        None => None,
    };
    let target = request.uri().authority();
    let mut names = target.into_iter().chain(&header);
    let is_probe = PROBES.contains(&request.uri().path());
    if is_strict(site, request) && !is_probe && !names.all(|name| is_ours(name.host(), public)) {
        return refused(StatusCode::MISDIRECTED_REQUEST);
    }
    // The request target takes precedence over the header (RFC 9112, 3.2.2).
    let host = target.or(header.as_ref());
    misled::look(site, request, host);
    if is_own_form(request, host, public) {
        Ok(())
    } else {
        misled::tell_of_host();
        refused(StatusCode::FORBIDDEN)
    }
}

/// Parses a host with or without a port; `None` if it is invalid.
fn authority(host: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(host).ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let is_port = |port: &str| {
        port.strip_prefix(':')
            .is_some_and(|digits| digits.is_empty() || digits.parse::<u16>().is_ok())
    };
    let is_sound = !authority.host().is_empty() && (port.is_empty() || is_port(port));
    is_sound.then_some(authority)
}

/// Whether only the portal's own names, and names that no one can own, are accepted.
fn is_strict(site: &Site, request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical());
    peer.is_some_and(|peer: IpAddr| {
        !site.throttle.proxies.trusts(peer) && (site.public_url.is_assumed() || peer.is_loopback())
    })
}

/// Whether `host` is the portal's name, an address, or a name that no one can own in the public
/// DNS: of a single word, or with a reserved ending.
fn is_ours(host: &str, public: &Origin) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_address = host.parse::<Ipv4Addr>().is_ok()
        || host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    let is_unowned = UNOWNED.iter().any(|ending| {
        host.strip_suffix(ending)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    let own = authority(public.authority().as_bytes());
    let is_own = own.is_some_and(|own| own.host() == host);
    is_own || is_address || !host.contains('.') || is_unowned
}

/// Whether a request that may change something comes from a page of the portal, or from no page.
fn is_own_form(request: &Request, host: Option<&Authority>, public: &Origin) -> bool {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return true;
    }
    let said = |name: HeaderName| {
        let value = request.headers().get(name)?.as_bytes();
        (!value.is_empty()).then_some(value)
    };
    match said(SEC_FETCH_SITE) {
        // The browser itself sets this header; no page can.
        Some(b"same-origin" | b"none") => return true,
        Some(_) => return false,
        None => {}
    }
    said(header::ORIGIN).is_none_or(|origin| {
        origin == public.as_str().as_bytes() || is_of_host(origin, host, public)
    })
}

/// Whether `origin` is that of the requested host, with the scheme and the port of the portal. If
/// the portal only knows the address it listens on, any port is accepted, because it may be mapped.
fn is_of_host(origin: &[u8], host: Option<&Authority>, public: &Origin) -> bool {
    let port = |authority: &Authority, https| {
        let usual = if https { 443 } else { 80 };
        authority.port_u16().unwrap_or(usual)
    };
    let Ok(origin) = Uri::try_from(origin) else {
        return false;
    };
    let https = public.is_https();
    let (Some(asked), Some(own)) = (origin.authority(), authority(public.authority().as_bytes()))
    else {
        return false;
    };
    origin.scheme_str() == Some(if https { "https" } else { "http" })
        && Some(asked) == host
        && (public.is_assumed() || port(asked, https) == port(&own, https))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "a",
            "a.example",
            "a.example.",
            "a.example:",
            "a.example:80",
            "[::1]:8080",
            "192.0.2.1",
            "a_b",
        ] {
            assert!(authority(host.as_bytes()).is_some(), "{host}");
        }
        for host in [
            "", "a/b", "a b", "u@a", "a:b", "a:99999", "a:80:80", "[::1", "a?b", "a#b", ":80",
            "http://a", "a\\b", "\u{e4}",
        ] {
            assert!(authority(host.as_bytes()).is_none(), "{host}");
        }
    }

    #[test]
    fn only_names_that_nobody_else_can_own_are_ours() {
        let public = Origin::parse("https://fed.example:8443").unwrap();
        for host in [
            "fed.example",
            "FED.example.",
            "localhost",
            "portal.localhost",
            "portal",
            "portal_backend",
            "printer.local",
            "127.0.0.1",
            "10.1.2.3",
            "[::1]",
        ] {
            assert!(is_ours(host, &public), "{host}");
        }
        for host in [
            "evil.example",
            "fed.example.evil.example",
            "xfed.example",
            "evillocalhost.example",
            "127.0.0.1.evil.example",
            "localhost.example",
            "evil.xlocal",
        ] {
            assert!(!is_ours(host, &public), "{host}");
        }
    }
}
