//! Reads single values of settings: times, numbers, addresses, the URL of the database.

use std::{net::SocketAddr, str::FromStr as _, time::Duration};

use sqlx::postgres::PgConnectOptions;

use crate::web::limit;

/// A wrong setting, in one line that says what to do. Contains no value: some are secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {fault}. Example: {variable}={example}")]
pub struct Wrong {
    /// The environment variable.
    pub variable: &'static str,
    /// What is wrong with its value.
    pub fault: String,
    /// An example of a valid value.
    pub example: &'static str,
}

pub(super) fn wrong(
    variable: &'static str,
    fault: impl Into<String>,
    example: &'static str,
) -> Wrong {
    Wrong {
        variable,
        fault: fault.into(),
        example,
    }
}

/// The value of a setting; an empty one counts as unset.
pub(super) fn set(value: Option<&String>) -> Option<&str> {
    value.map(|v| v.trim()).filter(|v| !v.is_empty())
}

pub(super) fn duration(
    variable: &'static str,
    value: Option<&String>,
    default: &'static str,
) -> Result<Duration, Wrong> {
    let text = set(value).unwrap_or(default);
    match humantime::parse_duration(text) {
        // Longer times exceed the range of the database's dates.
        Ok(d) if d > Duration::from_hours(10 * 366 * 24) => {
            Err(wrong(variable, "is longer than ten years", default))
        }
        Ok(d) if d.is_zero() => Err(wrong(variable, "is zero", default)),
        Ok(d) => Ok(d),
        Err(_) => Err(wrong(
            variable,
            "is not a time with a unit (s, m, h, d)",
            default,
        )),
    }
}

pub(super) fn address(
    variable: &'static str,
    text: &str,
    example: &'static str,
) -> Result<SocketAddr, Wrong> {
    text.parse()
        .map_err(|_| wrong(variable, "is not an IP address with a port", example))
}

/// Whether a setting that is off by default is on.
pub(super) fn yes(variable: &'static str, value: Option<&String>) -> Result<bool, Wrong> {
    match set(value) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong(variable, "is neither true nor false", "true")),
    }
}

pub(super) fn per_minute(
    variable: &'static str,
    value: Option<&String>,
    default: &'static str,
) -> Result<u32, Wrong> {
    let number = set(value).unwrap_or(default).parse().ok();
    number.filter(|n| *n <= limit::HIGHEST).ok_or_else(|| {
        let fault = format!("is not a number from 0 (no limit) to {}", limit::HIGHEST);
        wrong(variable, fault, default)
    })
}

/// A time that may be left out, or be zero.
pub(super) fn duration_or_none(
    variable: &'static str,
    value: Option<&String>,
    example: &'static str,
) -> Result<Duration, Wrong> {
    match set(value) {
        None | Some("0" | "0s") => Ok(Duration::ZERO),
        Some(_) => duration(variable, value, example),
    }
}

/// `DATABASE_URL`. The driver passes an IPv6 address on with its brackets, and refuses a user
/// without a host, as in `postgres://pic@/pic?host=/run/postgresql`; libpq takes both.
pub(super) fn database(url: &str) -> Result<PgConnectOptions, Wrong> {
    let refused = |fault: &str| wrong("DATABASE_URL", fault, "postgres://pic@db.contoso.com/pic");
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .ok_or_else(|| refused("does not begin with postgres://"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = if authority.ends_with('@') {
        "localhost"
    } else {
        ""
    };
    let options = PgConnectOptions::from_str(&format!("postgres://{authority}{host}{path}"))
        .map_err(|_| refused("is not a URL of a PostgreSQL database"))?;
    let address = options.get_host().strip_prefix('[');
    Ok(match address.and_then(|host| host.strip_suffix(']')) {
        Some(address) => options.clone().host(address),
        None => options,
    })
}

/// `PIC_DNS`.
pub(super) fn resolver(value: Option<&String>) -> Result<Option<String>, Wrong> {
    let Some(server) = set(value) else {
        return Ok(None);
    };
    let named = server.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if named {
        return Ok(Some(server.to_owned()));
    }
    Err(wrong(
        "PIC_DNS",
        "is not a host or address with a port",
        "192.0.2.53:53",
    ))
}
