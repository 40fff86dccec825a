//! Judges the settings: mode, public address, operator, proxies. Without I/O.

use std::ffi::OsString;

use super::line::Line;
use crate::{
    config::{Config, Source},
    readiness::{Mode, ProofMode},
    web::origin::Origin,
};

/// The lines about the settings; `unknown` are the variables that look like settings and are none.
pub(super) fn lines(config: &Config, unknown: &[OsString]) -> Vec<Line> {
    let mut lines: Vec<_> = unknown
        .iter()
        .map(|name| {
            Line::warning(
                "settings",
                format!("{} is no setting, and is ignored", name.display()),
                "correct its name: `pic-portal --help` lists all settings",
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::ok("settings", "every PIC_ variable is a setting"));
    }
    lines.extend([
        mode(config),
        public_address(config),
        proxies(config),
        operator(config),
        support(config),
        provider(config),
    ]);
    lines
}

/// Whether strangers come: the portal listens on more than loopback, or has a public address.
fn is_public(config: &Config) -> bool {
    !config.listen.ip().is_loopback() || config.public_url.is_some()
}

fn mode(config: &Config) -> Line {
    let says = format!(
        "readiness checks: {}; proof of ownership: {}",
        config.checks.as_str(),
        config.proof.as_str()
    );
    match (config.checks, config.proof) {
        (Mode::Off, _) => Line::warning(
            "mode",
            says,
            "requests are provisioned without any check: set PIC_CHECKS=enforce, unless this is for trying out",
        ),
        (Mode::Advise, _) if is_public(config) => Line::warning(
            "mode",
            says,
            "requests are provisioned whatever the checks find: set PIC_CHECKS=enforce",
        ),
        (_, ProofMode::Held) if is_public(config) => Line::warning(
            "mode",
            says,
            "where strangers can reach it, set PIC_PROOF=always: else the first who asks for a domain has it",
        ),
        _ => Line::ok("mode", says),
    }
}

fn public_address(config: &Config) -> Line {
    const SUBJECT: &str = "public address";
    match &config.public_url {
        Some(url) if url.is_https() => Line::ok(SUBJECT, url.as_str()),
        Some(url) => Line::warning(
            SUBJECT,
            format!(
                "{} is not https: cookies are not Secure, and there is no HSTS",
                url.as_str()
            ),
            "put a proxy that speaks TLS in front, and set PIC_PUBLIC_URL to its https address",
        ),
        None if config.listen.ip().is_loopback() => Line::ok(
            SUBJECT,
            format!("this machine alone: http://{}", config.listen),
        ),
        None => Line::warning(
            SUBJECT,
            format!(
                "PIC_PUBLIC_URL is not set: links and receipts say http://{}, and other names get 421",
                config.listen
            ),
            "set PIC_PUBLIC_URL to the address that people type",
        ),
    }
}

fn proxies(config: &Config) -> Line {
    let networks = config.trusted_proxies.networks();
    let is_https = config.public_url.as_ref().is_some_and(Origin::is_https);
    if networks.is_empty() && is_https {
        return Line::warning(
            "proxies",
            "the public address is https, so a proxy is in front, and PIC_TRUSTED_PROXIES does not name it: all clients count as one",
            "set PIC_TRUSTED_PROXIES to the network that the proxy connects from",
        );
    }
    let named: Vec<_> = networks.iter().map(ToString::to_string).collect();
    Line::ok(
        "proxies",
        if named.is_empty() {
            "none is trusted".to_owned()
        } else {
            format!("trusted: {}", named.join(", "))
        },
    )
}

fn operator(config: &Config) -> Line {
    match config.about.run_by() {
        Some((name, _)) => Line::ok("operator", name),
        None => Line::warning(
            "operator",
            "PIC_OPERATOR is not set: no page says who runs the portal",
            "set PIC_OPERATOR to your name, and PIC_OPERATOR_URL to your imprint",
        ),
    }
}

fn support(config: &Config) -> Line {
    match &config.support {
        Some(support) => Line::ok("support", support),
        None => Line::warning(
            "support",
            "PIC_SUPPORT is not set: people whose request is overdue are not told where to turn",
            "set PIC_SUPPORT to a text or a URL",
        ),
    }
}

fn provider(config: &Config) -> Line {
    match &config.about.proxy {
        Some(proxy) => Line::ok("provider", format!("{}, {proxy}", config.provider)),
        None if config.checks == Mode::Enforce => Line::warning(
            "provider",
            "PIC_PROXY_FQDN is not set: the pages tell administrators to ask for the server that they have to add",
            "set PIC_PROXY_FQDN to the network's server",
        ),
        None => Line::ok("provider", &config.provider),
    }
}

/// How the database is reached, without a password.
pub(super) fn source(config: &Config) -> String {
    match &config.source {
        Source::Private(dir) => format!("the private PostgreSQL in {}", dir.display()),
        Source::Url(options) => options.to_string(),
    }
}
