//! A demonstration: a made-up world in this process, and two weeks of requests in it.
//!
//! Name server ([`names`]) and Access Edges ([`edges`]) listen on loopback addresses alone; nothing is
//! looked up outside. [`past`] fills an empty database as administrators and staff would have done,
//! with the clock of the database set back, by the same checks and the same background task as ever.

pub mod edges;
pub mod names;
pub mod past;
mod store;

use std::io;

use self::{
    edges::{Authority, Shows},
    names::Names,
};

/// The organisation whose record is put right while people look.
pub const MENDED: &str = "wideworldimporters.com";

/// What a visitor may type, and what is wrong with each.
pub const TO_TYPE: [(&str, &str); 5] = [
    (
        "alpineskihouse.com",
        "all is right: provisioned within seconds",
    ),
    ("blueyonderairlines.com", "has no SRV record"),
    (
        "consolidatedmessenger.com",
        "its certificate has the wrong name",
    ),
    (
        "lucernepublishing.com",
        "its certificate is signed by nobody",
    ),
    ("margiestravel.com", "its server does not answer"),
];

/// The name server, the edges and what they show.
#[derive(Debug)]
pub struct World {
    /// The name server.
    pub names: Names,
    authority: Authority,
    edges: u8,
}

impl World {
    /// A name server that knows no name, and an authority.
    ///
    /// # Errors
    ///
    /// Those of listening and of making certificates.
    pub async fn start() -> io::Result<Self> {
        Ok(Self {
            names: Names::start().await?,
            authority: Authority::new()?,
            edges: 0,
        })
    }

    /// The authority's certificate, as PEM.
    ///
    /// # Errors
    ///
    /// Those of OpenSSL.
    pub fn roots(&self) -> io::Result<Vec<u8>> {
        self.authority.pem()
    }

    /// The organisations that visitors may ask for.
    ///
    /// # Errors
    ///
    /// As of [`World::add`].
    pub async fn add_those_to_type(&mut self) -> io::Result<()> {
        let shows = [
            Shows::Right,
            Shows::Right,
            Shows::WrongName,
            Shows::OwnSignature,
            Shows::Nothing,
        ];
        for ((domain, _), shows) in TO_TYPE.iter().zip(shows) {
            self.add(domain, shows).await?;
        }
        self.withdraw(TO_TYPE[1].0);
        Ok(())
    }

    /// Adds the zone of `domain`, and its Access Edge `sip.` and `domain`, which shows this.
    ///
    /// # Errors
    ///
    /// Those of listening on port 5061 of a loopback address and of making certificates.
    pub async fn add(&mut self, domain: &str, shows: Shows) -> io::Result<()> {
        self.edges += 1;
        let address = edges::start(self.edges, domain, shows, &self.authority).await?;
        self.names.add_zone(domain);
        self.names
            .set(&format!("sip.{domain}"), &format!("A {address}"));
        self.publish(domain);
        Ok(())
    }

    /// Publishes the SRV record of `domain`.
    pub fn publish(&self, domain: &str) {
        self.names
            .set(&srv(domain), &format!("SRV 0 0 5061 sip.{domain}"));
    }

    /// Takes the SRV record of `domain` away.
    pub fn withdraw(&self, domain: &str) {
        self.names.clear(&srv(domain));
    }
}

fn srv(domain: &str) -> String {
    format!("_sipfederationtls._tcp.{domain}")
}
