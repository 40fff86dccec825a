//! Reads single values of settings: times, numbers, addresses, the URL of the database.

use std::{net::SocketAddr, str::FromStr as _, time::Duration};

use sqlx::postgres::PgConnectOptions;

use crate::{db::Servers, web::limit};

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

/// What `DATABASE_URL` may have after its question mark: what the driver knows.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// `DATABASE_URL`. The driver knows one host; passes an IPv6 address on with its brackets; refuses a
/// user without a host, as in `postgres://pic@/pic?host=/run/postgresql`; and overlooks what it does
/// not know after the question mark. libpq takes all of it but the last.
pub(super) fn database(url: &str) -> Result<Servers, Wrong> {
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .ok_or_else(|| bad_url("does not begin with postgres://"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = parameters(path)?;
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let one = |host: &str| {
        // The driver wants one after a user.
        let host = if host.is_empty() && !login.is_empty() {
            "localhost"
        } else {
            host
        };
        let options = PgConnectOptions::from_str(&format!("postgres://{login}{host}{path}"))
            .map_err(|_| bad_url("is not a URL of a PostgreSQL database"))?;
        let address = options.get_host().strip_prefix('[');
        Ok(match address.and_then(|host| host.strip_suffix(']')) {
            Some(address) => options.clone().host(address),
            None => options,
        })
    };
    let each: Result<Vec<_>, _> = hosts.split(',').map(one).collect();
    each.map(Servers::from)
}

fn bad_url(fault: impl Into<String>) -> Wrong {
    wrong("DATABASE_URL", fault, "postgres://pic@db.contoso.com/pic")
}

/// The path of a URL, without the parameters that the portal handles itself.
fn parameters(path: &str) -> Result<String, Wrong> {
    let Some((path, query)) = path.split_once('?') else {
        return Ok(path.to_owned());
    };
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "target_session_attrs" if !["read-write", "primary", "any"].contains(&value) => {
                return Err(bad_url(
                    "has a target_session_attrs other than read-write: the portal stores requests",
                ));
            }
            // Each server has a time limit of the portal's own.
            "target_session_attrs" | "connect_timeout" => {}
            _ if PARAMETERS.contains(&name) || name.starts_with("options[") => kept.push(pair),
            _ => {
                return Err(bad_url(
                    "has a parameter after its question mark that the portal does not know; it knows sslmode, sslrootcert, sslcert, sslkey, host, port, dbname, user, password, application_name, options and target_session_attrs",
                ));
            }
        }
    }
    Ok(format!("{path}?{}", kept.join("&")))
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
