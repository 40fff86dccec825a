//! Tries what the portal needs of the network: name servers, port 5061 of other machines, the OpenID
//! provider.

use futures_util::future::join_all;

use super::line::Line;
use crate::{
    clock::Clock,
    config::Config,
    names::{AccessEdge, Fqdn},
    readiness::{
        Mode,
        dns::{Addresses, Dns},
        net::Reach,
        tls::{Outcome, PORT, Tls, TlsFacts},
    },
    staff::oidc::provider::{self, Trouble},
};

/// Asks the OpenID provider, where there is one.
pub(super) async fn single_sign_on(config: &Config) -> Option<Line> {
    const SUBJECT: &str = "single sign-on";
    let oidc = config.sign_in.oidc.as_ref()?;
    let issuer = &oidc.issuer;
    let Err(trouble) = provider::look(oidc).await else {
        return Some(Line::ok(SUBJECT, format!("{issuer} answers")));
    };
    let to_do = match trouble {
        Trouble::NoRoots => "install the package ca-certificates, or set SSL_CERT_FILE",
        Trouble::NoAnswer => {
            "see that it runs, and that this machine may connect to it and trusts its certificate (SSL_CERT_FILE)"
        }
        Trouble::NoKeys => "give the provider a key to sign with",
        Trouble::Status(_) | Trouble::Unreadable | Trouble::OtherIssuer => {
            "set PIC_OIDC_ISSUER to the issuer of its discovery document, letter by letter: that document is at this address and /.well-known/openid-configuration"
        }
    };
    let says = format!("nobody can sign in at {issuer}: {trouble}");
    Some(Line::wrong(SUBJECT, says, to_do))
}

/// Tries name servers and the port, where checks are on; `edges` are in force, and so answer on port 5061.
pub(super) async fn lines(config: &Config, edges: Vec<AccessEdge>) -> Vec<Line> {
    if config.checks == Mode::Off {
        return Vec::new();
    }
    let reach = Reach {
        private: config.checking.private,
    };
    let dns = match Dns::new(config.checking.dns.as_deref(), reach).await {
        Ok(dns) => dns,
        Err(error) => {
            return vec![Line::wrong(
                "name servers",
                error.to_string(),
                "correct PIC_DNS, or /etc/resolv.conf without it",
            )];
        }
    };
    let names = name_servers(&dns).await;
    vec![names, outward(config, &dns, reach, edges).await]
}

async fn name_servers(dns: &Dns) -> Line {
    const SUBJECT: &str = "name servers";
    let answers = dns.answers().await;
    match (answers.resolver, answers.authorities) {
        (Err(trouble), _) => Line::wrong(
            SUBJECT,
            format!("the resolver is of no use: {trouble}"),
            "see PIC_DNS or /etc/resolv.conf, and the firewall (port 53 outward, UDP and TCP)",
        ),
        (Ok(()), Some(false)) => Line::warning(
            SUBJECT,
            "the resolver answers, and no server of a zone does: each answer may be as old as the resolver's memory, and nobody can prove a domain",
            "open port 53 outward, UDP and TCP, or set PIC_DNS to a resolver that you trust",
        ),
        (Ok(()), Some(true)) => Line::ok(SUBJECT, "the resolver and servers of zones answer"),
        (Ok(()), None) => Line::ok(SUBJECT, "the resolver of PIC_DNS answers"),
    }
}

async fn outward(config: &Config, dns: &Dns, reach: Reach, edges: Vec<AccessEdge>) -> Line {
    const SUBJECT: &str = "port 5061";
    let tls = match Tls::new(config.checking.ca.as_deref(), reach) {
        Ok(tls) => tls.with_clock(Clock::system()),
        Err(error) => return Line::wrong(SUBJECT, error.to_string(), "correct PIC_CHECK_CA"),
    };
    let own = config.about.proxy.as_ref().map(Fqdn::as_str);
    let own = own.and_then(|name| AccessEdge::parse(name).ok());
    let tried: Vec<_> = own.into_iter().chain(edges).collect();
    if tried.is_empty() {
        return Line::ok(
            SUBJECT,
            "not tried, because no edge is known yet: `pic-portal check DOMAIN` tries one",
        );
    }
    let attempts = tried.iter().map(|edge| async {
        match dns.addresses(edge.as_fqdn()).await.outcome {
            Addresses::Found(addresses) => is_met(&tls.probe(edge, &addresses).await),
            _ => false,
        }
    });
    let met = join_all(attempts).await.into_iter().filter(|it| *it);
    let (met, all) = (met.count(), tried.len());
    let says = format!("of {all} servers that should answer there, {met} did");
    if met == 0 {
        return Line::warning(
            SUBJECT,
            says,
            format!("open port {PORT} outward (TCP): without it every edge is found unreachable"),
        );
    }
    Line::ok(SUBJECT, says)
}

/// Whether anybody was met at the port.
fn is_met(facts: &TlsFacts) -> bool {
    let nobody = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::NotFromHere
                | Outcome::Refused
                | Outcome::NoRoute
                | Outcome::NoAnswer
                | Outcome::NoConnection
        )
    };
    !facts.shown.is_empty() || facts.failures.iter().any(|it| !nobody(&it.outcome))
}
