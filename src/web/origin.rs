//! The portal's public address (`PIC_PUBLIC_URL`).

use std::{net::SocketAddr, str::FromStr as _};

/// An origin: scheme, host and port, as in `https://federation.contoso.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    text: String,
    is_assumed: bool,
}

impl Origin {
    /// The origin of plain HTTP on `address`, assumed where none is set: clients may use another.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        Self {
            text: format!("http://{address}"),
            is_assumed: true,
        }
    }

    /// Parses an origin; a single slash at the end is removed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let uri = axum::http::Uri::from_str(text).ok()?;
        let authority = uri.authority()?;
        let scheme = uri
            .scheme_str()
            .filter(|s| matches!(*s, "http" | "https"))?;
        let bare = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
        (bare && !authority.host().is_empty()).then(|| Self {
            text: format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()),
            is_assumed: false,
        })
    }

    /// The origin as text, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// Host and port, as in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text
            .split_once("://")
            .map_or("", |(_, authority)| authority)
    }

    /// Whether it was made from the address the portal listens on, because none is set.
    #[must_use]
    pub fn is_assumed(&self) -> bool {
        self.is_assumed
    }
}
