//! Zones and Access Edges of a test, and the checks of a portal that sees only these.

use std::time::Duration;

use pic_portal::{
    clock::Clock,
    names::Fqdn,
    readiness::{
        ProofMode,
        dns::{Dns, Limits},
        engine::{Checker, Checks},
        net::Reach,
        tls::{self, Identity, Tls},
    },
};
use rcgen::CertificateParams;
use tempfile::NamedTempFile;

use super::{
    dns::Internet,
    edge::{Authority, Edge, server},
};

/// Resolver, authoritative servers, a certificate authority, and edges.
pub(crate) struct World {
    pub(crate) internet: Internet,
    root: Authority,
    limits: (Limits, tls::Limits),
}

impl World {
    /// A world with one authoritative server, and nothing else.
    pub(crate) async fn start() -> Self {
        Self::with_servers(1).await
    }

    /// A world with this many authoritative servers, and nothing else.
    pub(crate) async fn with_servers(many: usize) -> Self {
        Self {
            internet: Internet::start(many).await,
            root: Authority::root(),
            limits: (Limits::default(), tls::Limits::default()),
        }
    }

    /// Shortens the timeouts, for servers that do not answer.
    pub(crate) fn impatient(self) -> Self {
        self.waiting(Duration::from_millis(500))
    }

    /// Lengthens the timeouts, for servers that are slow.
    pub(crate) fn patient(self) -> Self {
        self.waiting(Duration::from_mins(1))
    }

    fn waiting(mut self, query: Duration) -> Self {
        self.limits = (
            Limits {
                query,
                look_up: query * 2,
            },
            tls::Limits {
                connect: query,
                whole: query * 2,
            },
        );
        self
    }

    /// A world in which `domain` is ready, and its edge.
    pub(crate) async fn with(domain: &str) -> (Self, Edge) {
        let world = Self::start().await;
        let edge = world.ready(domain).await;
        (world, edge)
    }

    /// Adds the zone of `domain`, without a record for federation.
    pub(crate) fn zone(&self, domain: &str) {
        self.internet.add(domain, 60);
    }

    /// Starts an Access Edge of this name, in an existing zone, with a valid certificate for these
    /// domains.
    pub(crate) async fn edge(&self, name: &str, domains: &[&str]) -> Edge {
        let signed: Vec<_> = domains.iter().map(|d| format!("sip.{d}")).collect();
        let mut names = vec![name];
        names.extend(signed.iter().map(String::as_str).filter(|&n| n != name));
        self.edge_with(name, &server(&names)).await
    }

    /// Starts an Access Edge of this name with another certificate.
    pub(crate) async fn edge_with(&self, name: &str, params: &CertificateParams) -> Edge {
        let edge = Edge::start(self.root.issue(params)).await;
        self.internet.set(name, &[&format!("A {}", edge.address())]);
        edge
    }

    /// Routes `domain` to `edge`.
    pub(crate) fn route(&self, domain: &str, edge: &str) {
        let owner = format!("_sipfederationtls._tcp.{domain}");
        self.internet
            .set(&owner, &[&format!("SRV 0 0 5061 {edge}")]);
    }

    /// Removes the route of `domain`.
    pub(crate) fn unroute(&self, domain: &str) {
        let owner = format!("_sipfederationtls._tcp.{domain}");
        self.internet.set(&owner, &[]);
    }

    /// Adds everything that `domain` needs, with an edge at `sip.` and its name.
    pub(crate) async fn ready(&self, domain: &str) -> Edge {
        let edge = format!("sip.{domain}");
        self.zone(domain);
        self.route(domain, &edge);
        self.edge(&edge, &[domain]).await
    }

    /// Publishes the TXT record that gives `domain` to the service with this token.
    pub(crate) fn speak_for(&self, domain: &str, token: &str) {
        let owner = format!("_pic-portal.{domain}");
        self.internet
            .set(&owner, &[&format!("TXT pic-service={token}")]);
    }

    /// The roots of its certificates, for a portal that is a process of its own.
    pub(crate) fn roots(&self) -> NamedTempFile {
        self.root.file()
    }

    /// A checker that queries the zones' own servers, as without `PIC_DNS`.
    pub(crate) fn checker(&self) -> Checker {
        self.asking(Some(self.internet.port()))
    }

    /// The same, which also asks edges by SIP, in the name of a gateway that they can trust.
    pub(crate) fn asking_by_sip(&self) -> Checker {
        let [chain, key] = self.root.issue(&server(&["gw.example"])).files();
        let name = Fqdn::parse("gw.example").unwrap();
        let gateway = Identity::read(&name, chain.path(), key.path()).unwrap();
        self.made(Some(self.internet.port()), |tls| {
            tls.with_identity(gateway).unwrap()
        })
    }

    /// A checker that queries the zones' own servers on this port, or without one only the
    /// resolver, as with `PIC_DNS`.
    pub(crate) fn asking(&self, port: Option<u16>) -> Checker {
        self.made(port, |tls| tls)
    }

    fn made(&self, port: Option<u16>, change: impl FnOnce(Tls) -> Tls) -> Checker {
        let reach = Reach { private: true };
        let (dns, tls) = self.limits;
        let dns = Dns::asking([self.internet.resolver.address], port, reach, dns);
        let roots = self.roots();
        let tls = Tls::new(Some(roots.path()), reach)
            .unwrap()
            .with_limits(tls);
        Checker::new(dns, change(tls), reach, Clock::system())
    }

    /// Checks that provision on positive proof only.
    pub(crate) fn enforce(&self) -> Checks {
        Checks::Enforce(self.checker(), ProofMode::Held)
    }

    /// Checks that show what they find, and provision all the same.
    pub(crate) fn advise(&self) -> Checks {
        Checks::Advise(self.checker(), ProofMode::Held)
    }
}
