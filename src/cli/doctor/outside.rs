//! Tries what the readiness checks need of the network: name servers, and port 5061 of other machines.

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
};

/// Tries both, where checks are on; `edges` are in force, and so answer on port 5061.
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
