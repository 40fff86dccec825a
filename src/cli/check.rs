//! The command `check`: runs the readiness checks for one domain and prints the findings.

use std::{fmt::Write as _, time::Duration};

use super::{Failure, say};
use crate::{
    clock::Clock,
    config::{Config, Wrong},
    names::{AccessEdge, EdgeRoutes, SipDomain},
    readiness::{
        Finding, Mode, ProofMode, Severity,
        dns::Dns,
        engine::{Checker, Checks},
        net::Reach,
        tls::{Identity, Part, Tls},
        wording::{Teller, called},
    },
};

/// The most time that a person at a terminal should wait.
const BUDGET: Duration = Duration::from_secs(30);

/// The note about proof, which is not checked here: there is no service yet, and so no token.
const PROOF: &str = "A request also waits for the TXT record that proves the domain (PIC_PROOF=always).\nThe administrator gets it with the receipt.\n";

/// The checks that the settings ask for, by `clock`.
///
/// # Errors
///
/// [`Failure::Setting`] when the resolver or the roots that they name cannot be read.
pub(super) async fn checks(config: &Config, clock: &Clock) -> Result<Checks, Failure> {
    Ok(match config.checks {
        Mode::Off => Checks::Off,
        Mode::Advise => Checks::Advise(checker(config, clock).await?, config.proof),
        Mode::Enforce => Checks::Enforce(checker(config, clock).await?, config.proof),
    })
}

async fn checker(config: &Config, clock: &Clock) -> Result<Checker, Failure> {
    let reach = Reach {
        private: config.checking.private,
    };
    let dns = Dns::new(config.checking.dns.as_deref(), reach)
        .await
        .map_err(|error| Wrong {
            variable: "PIC_DNS",
            fault: error.to_string(),
            example: "192.0.2.53:53",
        })?;
    let tls = Tls::new(config.checking.ca.as_deref(), reach).map_err(|error| Wrong {
        variable: "PIC_CHECK_CA",
        fault: error.to_string(),
        example: "/etc/pic-portal/roots.pem",
    })?;
    let tls = match identity(config, clock)? {
        None => tls,
        // The files were read: what is wrong now is not in them.
        Some(identity) => tls.with_identity(identity).map_err(|error| Wrong {
            variable: "PIC_PROBE_CERTIFICATE",
            fault: error.to_string(),
            example: "/etc/pic-portal/gateway.pem",
        })?,
    };
    let tls = tls.with_clock(clock.clone());
    Ok(Checker::new(dns, tls, reach, clock.clone()))
}

/// The gateway that asks Access Edges by SIP, if the settings name one.
fn identity(config: &Config, clock: &Clock) -> Result<Option<Identity>, Wrong> {
    let Some(probe) = &config.checking.probe else {
        return Ok(None);
    };
    let read = Identity::read(&probe.name, &probe.certificate, &probe.key);
    let identity = read.map_err(|(part, fault)| Wrong {
        variable: match part {
            Part::Certificate => "PIC_PROBE_CERTIFICATE",
            Part::Key => "PIC_PROBE_KEY",
        },
        fault,
        example: "/etc/pic-portal/gateway.pem",
    })?;
    if !identity.is_valid(clock.now()) {
        tracing::warn!(
            "the certificate of PIC_PROBE_CERTIFICATE is not valid now: no SIP is spoken"
        );
    }
    Ok(Some(identity))
}

/// `pic-portal check DOMAIN [EDGE]`: checks as the portal would, whatever `PIC_CHECKS` says, and
/// needs no database. Without an edge it checks the one that the SRV record names.
pub(super) async fn check(
    config: &Config,
    domain: &str,
    edge: Option<&str>,
) -> Result<(), Failure> {
    let refused = |error: crate::names::NameError| Failure::Refused(error.to_string());
    let domain = SipDomain::parse(domain).map_err(refused)?;
    let edge = edge.map(AccessEdge::parse).transpose().map_err(refused)?;
    let checker = checker(config, &Clock::system()).await?;
    let (routes, report) = match edge {
        None => checker.check_alone(&[domain], BUDGET).await,
        Some(edge) => {
            let routes = vec![EdgeRoutes {
                edge,
                domains: vec![domain],
            }];
            let report = checker.check(&routes, BUDGET).await;
            (routes, report)
        }
    };
    let teller = Teller::new(&config.provider, Mode::Enforce, &routes).without_request();
    for finding in &report.findings {
        say(&told(&teller, finding));
    }
    if config.proof == ProofMode::Always {
        say(PROOF);
    }
    if report.proves(&routes) {
        return Ok(());
    }
    Err(Failure::Refused(if report.unfinished > 0 {
        "not all checks finished in time".into()
    } else {
        "not ready: see above what to fix".into()
    }))
}

/// The text of one finding, with a blank line after it.
fn told(teller: &Teller<'_>, finding: &Finding) -> String {
    let words = teller.tell(finding);
    let verdict = called(finding.severity);
    let mut text = format!(
        "{}: {} [{verdict}: {}]\n",
        finding.subject,
        words.title,
        finding.code.as_str()
    );
    // Writing to a String cannot fail.
    if finding.severity != Severity::Ok && !words.text.is_empty() {
        let _ = writeln!(text, "  {}", words.text);
    }
    if !words.expected.is_empty() {
        let _ = writeln!(text, "  expected  {}", words.expected);
    }
    for found in &words.found {
        let _ = writeln!(text, "  found     {found}");
    }
    for line in &words.lines {
        let _ = writeln!(text, "  {}:\n    {}", line.label, line.line);
    }
    text
}
