//! How does an organisation that is ready for federation look from outside, without an internet?

use pic_portal::{
    clock::Clock,
    readiness::{
        dns::{Dns, Limits},
        engine::Checker,
        net::Reach,
        tls::Tls,
    },
};

use super::{
    dns::Internet,
    edge::{Authority, Edge, server},
};

/// The servers of these tests are on loopback addresses.
const ANYWHERE: Reach = Reach { private: true };

/// `contoso.com` in the DNS, and its Access Edge `sip.contoso.com`; nothing else exists. Gone when
/// it is dropped.
pub(crate) struct Contoso {
    pub(crate) internet: Internet,
    pub(crate) edge: Edge,
    root: Authority,
}

impl Contoso {
    /// Everything about `contoso.com` is as it should be; its sub-domains have no record.
    pub(crate) async fn start() -> Self {
        let root = Authority::root();
        let edge = Edge::start(root.issue(&server(&["sip.contoso.com"]))).await;
        let internet = Internet::start(1).await;
        internet.add("contoso.com", 3600);
        let record = "SRV 0 0 5061 sip.contoso.com";
        internet.set("_sipfederationtls._tcp.contoso.com", &[record]);
        internet.set("sip.contoso.com", &[&format!("A {}", edge.address())]);
        Self {
            internet,
            edge,
            root,
        }
    }

    /// Checks that see this and nothing else.
    pub(crate) fn checker(&self) -> Checker {
        let resolver = [self.internet.resolver.address];
        let port = Some(self.internet.port());
        let dns = Dns::asking(resolver, port, ANYWHERE, Limits::default());
        let roots = self.root.file();
        let tls = Tls::new(Some(roots.path()), ANYWHERE).unwrap();
        Checker::new(dns, tls, ANYWHERE, Clock::system())
    }
}
