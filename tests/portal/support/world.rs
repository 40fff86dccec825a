//! How does a test get zones and Access Edges of its own, and a portal that looks at them?

use std::time::Duration;

use pic_portal::{
    clock::Clock,
    readiness::{
        ProofMode,
        dns::{Dns, Limits},
        engine::{Checker, Checks},
        net::Reach,
        tls::{self, Tls},
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
    /// With one authoritative server, and nothing else.
    pub(crate) async fn start() -> Self {
        Self::with_servers(1).await
    }

    /// With so many authoritative servers, and nothing else.
    pub(crate) async fn with_servers(many: usize) -> Self {
        Self {
            internet: Internet::start(many).await,
            root: Authority::root(),
            limits: (Limits::default(), tls::Limits::default()),
        }
    }

    /// For what does not answer.
    pub(crate) fn impatient(self) -> Self {
        self.waiting(Duration::from_millis(500))
    }

    /// For what takes long.
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

    /// The zone of `domain`, without a record for federation.
    pub(crate) fn zone(&self, domain: &str) {
        self.internet.add(domain, 60);
    }

    /// An Access Edge of this name, in a zone that is there, with a certificate that is fine for
    /// these domains.
    pub(crate) async fn edge(&self, name: &str, domains: &[&str]) -> Edge {
        let signed: Vec<_> = domains.iter().map(|d| format!("sip.{d}")).collect();
        let mut names = vec![name];
        names.extend(signed.iter().map(String::as_str).filter(|&n| n != name));
        self.edge_with(name, &server(&names)).await
    }

    /// An Access Edge of this name with another certificate.
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

    /// Takes that back.
    pub(crate) fn unroute(&self, domain: &str) {
        let owner = format!("_sipfederationtls._tcp.{domain}");
        self.internet.set(&owner, &[]);
    }

    /// Everything that `domain` needs at `sip.` and its name.
    pub(crate) async fn ready(&self, domain: &str) -> Edge {
        let edge = format!("sip.{domain}");
        self.zone(domain);
        self.route(domain, &edge);
        self.edge(&edge, &[domain]).await
    }

    /// Gives `domain` to the service with this token.
    pub(crate) fn speak_for(&self, domain: &str, token: &str) {
        let owner = format!("_pic-portal.{domain}");
        self.internet
            .set(&owner, &[&format!("TXT pic-service={token}")]);
    }

    /// The roots that its certificates lead to, for a portal that is a process of its own.
    pub(crate) fn roots(&self) -> NamedTempFile {
        self.root.file()
    }

    /// Asks the zones' own servers, as without `PIC_DNS`.
    pub(crate) fn checker(&self) -> Checker {
        self.asking(Some(self.internet.port()))
    }

    /// Asks the zones' own servers on this port, or with none the resolver alone, as with `PIC_DNS`.
    pub(crate) fn asking(&self, port: Option<u16>) -> Checker {
        let reach = Reach { private: true };
        let (dns, tls) = self.limits;
        let dns = Dns::asking([self.internet.resolver.address], port, reach, dns);
        let roots = self.roots();
        let tls = Tls::new(Some(roots.path()), reach)
            .unwrap()
            .with_limits(tls);
        Checker::new(dns, tls, reach, Clock::system())
    }

    /// Provisions on positive proof alone.
    pub(crate) fn enforce(&self) -> Checks {
        Checks::Enforce(self.checker(), ProofMode::Held)
    }

    /// Shows what it finds, and provisions all the same.
    pub(crate) fn advise(&self) -> Checks {
        Checks::Advise(self.checker(), ProofMode::Held)
    }
}
