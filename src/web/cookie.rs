//! The cookies of the portal: not readable by scripts, and not sent with requests from other sites.
//!
//! Over https the prefix of a cookie's name makes browsers accept it over https only: `__Host-`,
//! for this host only and for all of it, or `__Secure-` where it is for one path (RFC 6265bis,
//! 4.1.3).

use std::borrow::Cow;

use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use super::site::Site;

/// A cookie that the portal sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Its name, without the prefix.
    pub(crate) name: &'static str,
    /// Whether it is for the whole portal; otherwise each cookie is for one path.
    pub(crate) everywhere: bool,
    /// How long a browser keeps it; `None`: until the browser is closed.
    pub(crate) lasts: Option<time::Duration>,
}

impl Kind {
    fn full_name(self, site: &Site) -> Cow<'static, str> {
        if !site.public_url.is_https() {
            return self.name.into();
        }
        let prefix = if self.everywhere {
            "__Host-"
        } else {
            "__Secure-"
        };
        format!("{prefix}{}", self.name).into()
    }

    fn build(
        self,
        site: &Site,
        path: Option<String>,
        value: String,
        lasts: Option<time::Duration>,
    ) -> Cookie<'static> {
        let cookie = Cookie::build((self.full_name(site), value))
            .path(path.unwrap_or_else(|| "/".into()))
            .http_only(true)
            .secure(site.public_url.is_https())
            .same_site(SameSite::Lax);
        match lasts {
            Some(lasts) => cookie.max_age(lasts).build(),
            None => cookie.build(),
        }
    }

    /// The cookie with this value, for `path` if it is not for the whole portal.
    pub(crate) fn set(self, site: &Site, path: Option<String>, value: String) -> Cookie<'static> {
        self.build(site, path, value, self.lasts)
    }

    /// The cookie that removes it.
    pub(crate) fn remove(self, site: &Site, path: Option<String>) -> Cookie<'static> {
        self.build(site, path, String::new(), Some(time::Duration::ZERO))
    }

    /// The value that a browser sends.
    pub(crate) fn value(self, site: &Site, jar: &CookieJar) -> Option<String> {
        Some(jar.get(&self.full_name(site))?.value().to_owned())
    }
}
