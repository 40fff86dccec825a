//! What has happened in the two weeks before the demonstration, told to an empty database.

use std::{io, path::Path};

use super::{MENDED, World, edges::Shows, store};
use crate::{
    clock::Clock,
    config::Config,
    db::{self, Database, notify::Notifier},
    provisioning::worker::Worker,
    readiness::{
        ProofMode,
        dns::Dns,
        engine::{Checker, Checks},
        net::Reach,
        tls::Tls,
    },
    request::{
        Asked, Deployment, Reason, Routes,
        form::RequestForm,
        loader,
        reference::{Reference, SubmissionId},
        store::{self as requests, Request, Submission},
    },
    secret::ManagementKey,
    staff::{
        Name, Role, StaffId,
        case::store as case,
        password::{Hasher, Lane, Password},
        store as accounts,
    },
};

/// Why the past could not be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server could not be started, or a certificate not be made.
    #[error(
        "a server of the demonstration cannot be started: {0}. It needs port 5061 of loopback addresses, as Linux has them; is another demonstration running?"
    )]
    World(#[from] io::Error),
    /// The database was lost.
    #[error("the database: {0}")]
    Database(#[from] db::Error),
    /// Something that should hold does not.
    #[error("the demonstration does not fit this version of the portal")]
    Wrong,
}

const WRONG: Error = Error::Wrong;

/// A request of the demonstration.
#[derive(Debug)]
pub struct Shown {
    /// Its organisation.
    pub domain: &'static str,
    /// How it stands.
    pub how: &'static str,
    /// Its reference.
    pub reference: Reference,
}

/// What is printed at the start.
#[derive(Debug)]
pub struct Past {
    /// The requests worth a look.
    pub shown: Vec<Shown>,
    /// Number and management key of a service in force.
    pub service: (String, String),
    /// Names and passwords of the accounts of the support desk.
    pub accounts: Vec<(&'static str, String)>,
}

struct Teller<'a> {
    db: &'a Database,
    config: &'a Config,
    roots: &'a Path,
    world: World,
    agent: StaffId,
    number: u32,
    minutes: i64,
    shown: Vec<Shown>,
}

/// Fills `db`, and returns the world in which its records are.
///
/// # Errors
///
/// [`Error`].
pub async fn tell(
    db: &Database,
    config: &Config,
    world: World,
    roots: &Path,
) -> Result<(World, Past), Error> {
    store::set_back(&db.pool, days(32)).await?;
    let mut accounts = Vec::new();
    for (name, role) in [("anna.k", Role::Agent), ("robin", Role::Reader)] {
        accounts.push((name, account(db, name, role).await?));
    }
    let agent = accounts::password(&db.pool, Name::parse("anna.k").ok().as_ref()).await?;
    let (agent, _) = agent.ok_or(WRONG)?;
    let mut teller = Teller {
        db,
        config,
        roots,
        world,
        agent,
        number: 1_234_567,
        minutes: 0,
        shown: Vec::new(),
    };
    let service = teller.tell().await?;
    let past = Past {
        shown: teller.shown,
        service,
        accounts,
    };
    Ok((teller.world, past))
}

async fn account(db: &Database, name: &str, role: Role) -> Result<String, Error> {
    let password = ManagementKey::random().reveal();
    let name = Name::parse(name).map_err(|_| WRONG)?;
    let wanted = Password::new(password.clone(), &name);
    let wanted = wanted.map_err(|_| WRONG)?;
    let hashed = Hasher::default().hash(wanted, Lane::Known).await;
    let hashed = hashed.map_err(|_| WRONG)?;
    accounts::add(&db.pool, &name, role, &hashed).await?;
    Ok(password)
}

const fn days(days: i64) -> i64 {
    days * 24 * 60 * 60
}

impl Teller<'_> {
    /// Tells all of it, day by day, and returns number and management key of the first service in force.
    async fn tell(&mut self) -> Result<(String, String), Error> {
        self.on(
            31,
            "fourthcoffee.com",
            Shows::Nothing,
            "rejected: its time was up",
        )
        .await?;
        let number = self.number.to_string();
        let key = self.on(14, "contoso.com", Shows::Right, "in force").await?;
        self.first_week().await?;
        self.second_week().await?;
        self.today().await?;
        Ok((number, key))
    }

    async fn first_week(&mut self) -> Result<(), Error> {
        self.plain(13, "adventure-works.com").await?;
        let at_risk = "in force, and at risk: its certificate has expired";
        self.on(12, "adatum.com", Shows::Expired(2), at_risk)
            .await?;
        self.plain(12, "bellowscollege.com").await?;
        self.on(11, "fabrikam.com", Shows::Right, "superseded by an update")
            .await?;
        self.plain(11, "bestforyouorganics.com").await?;
        self.on(
            10,
            "cohowinery.com",
            Shows::Right,
            "was in force; its service was cancelled",
        )
        .await?;
        self.plain(10, "cpandl.com").await?;
        self.clock(9).await?;
        self.ask("contoso.com", "held back: another service has the domain")
            .await?;
        self.world.add("fabrikam.net", Shows::Right).await?;
        let fabrikam = self.request_of("fabrikam.com").await?;
        let mut routes = fabrikam.routes.clone();
        routes.extend(
            form("fabrikam.net", "1234567")
                .routes()
                .map_err(|_| WRONG)?
                .0
                .edges()
                .iter()
                .cloned(),
        );
        let routes = Routes::new(routes).map_err(|_| WRONG)?;
        let deployment = Deployment::OnPremises;
        let service = fabrikam.service;
        self.change(Asked::Update {
            service,
            deployment,
            routes,
        })
        .await?;
        self.plain(9, "fineartschool.net").await
    }

    async fn second_week(&mut self) -> Result<(), Error> {
        let pool = &self.db.pool;
        self.plain(8, "firstupconsultants.com").await?;
        let service = self.request_of("cohowinery.com").await?.service;
        self.change(Asked::Cancel { service }).await?;
        self.on(
            7,
            "litwareinc.com",
            Shows::Nothing,
            "rejected by the support desk",
        )
        .await?;
        let litware = self.request_of("litwareinc.com").await?.reference;
        case::refuse(pool, self.agent, litware, Reason::NotEligible).await?;
        self.plain(6, "graphicdesigninstitute.com").await?;
        self.on(
            6,
            "tailspintoys.com",
            Shows::Nothing,
            "needs action: its server does not answer",
        )
        .await?;
        self.plain(5, "munsonspicklesandpreservesfarm.com").await?;
        let key = self
            .on(
                4,
                "proseware.com",
                Shows::OwnSignature,
                "withdrawn by its administrator",
            )
            .await?;
        let proseware = self.request_of("proseware.com").await?;
        let key = ManagementKey::parse(&key).and_then(|key| proseware.opened_by_key(&key));
        requests::withdraw(pool, &proseware, key.ok_or(WRONG)?).await?;
        self.plain(3, "relecloud.com").await?;
        self.plain(2, "nodpublishers.com").await?;
        let wrong_name = "needs action: its certificate has the wrong name";
        self.on(1, "wingtiptoys.com", Shows::WrongName, wrong_name)
            .await?;
        self.plain(1, "woodgrovebank.com").await
    }

    async fn today(&mut self) -> Result<(), Error> {
        self.clock(0).await?;
        for (domain, how) in [
            ("northwindtraders.com", "needs action: it has no SRV record"),
            (
                MENDED,
                "needs action, and is put right soon after the start",
            ),
        ] {
            self.world.add(domain, Shows::Right).await?;
            self.world.withdraw(domain);
            self.ask(domain, how).await?;
        }
        Ok(())
    }

    /// An organisation whose request was provisioned so many days ago, and which is not printed.
    async fn plain(&mut self, days_ago: i64, domain: &'static str) -> Result<(), Error> {
        self.on(days_ago, domain, Shows::Right, "").await?;
        self.shown.pop();
        Ok(())
    }

    /// An organisation whose edge shows this, and which asks so many days ago; returns its key.
    async fn on(
        &mut self,
        days_ago: i64,
        domain: &'static str,
        shows: Shows,
        how: &'static str,
    ) -> Result<String, Error> {
        self.clock(days_ago).await?;
        self.world.add(domain, shows).await?;
        self.ask(domain, how).await
    }

    /// Sets the clock to so many days ago, a little later each time, and does what is due by then.
    async fn clock(&mut self, days_ago: i64) -> Result<(), Error> {
        self.minutes += 37;
        let later = if days_ago == 0 { 0 } else { self.minutes * 60 };
        store::set_back(&self.db.pool, days(days_ago) - later).await?;
        self.work().await
    }

    /// Lets the background task do all that is due.
    async fn work(&self) -> Result<(), Error> {
        let clock = Clock::told();
        let reach = Reach { private: true };
        let dns = Dns::new(Some(&self.world.names.address.to_string()), reach).await;
        let dns = dns.map_err(|_| WRONG)?;
        let tls = Tls::new(Some(self.roots), reach).map_err(|_| WRONG)?;
        let checker = Checker::new(dns, tls.with_clock(clock.clone()), reach, clock.clone());
        let worker = Worker::new(self.db.pool.clone(), self.config.waits, Notifier::default())
            .with_checks(Checks::Enforce(checker, ProofMode::Held))
            .with_clock(clock);
        // It sets the clock that the checks use.
        worker.show_once().await?;
        worker.drain().await?;
        worker.hide().await?;
        Ok(())
    }

    /// Asks for `domain`, with its own edge, and waits for the first check; returns the key.
    async fn ask(&mut self, domain: &'static str, how: &'static str) -> Result<String, Error> {
        let number = self.number.to_string();
        self.number += 1_111;
        let checked = form(domain, &number).check().map_err(|_| WRONG)?;
        let asked = Asked::Initiate(checked.wanted);
        let submission = Submission::new(&self.db.secret, &checked.submission, asked);
        let key = submission.key.reveal();
        self.shown.push(Shown {
            domain,
            how,
            reference: submission.reference,
        });
        requests::submit(&self.db.pool, &[submission]).await?;
        self.work().await?;
        Ok(key)
    }

    /// Changes a service, and waits for the first check.
    async fn change(&self, asked: Asked) -> Result<(), Error> {
        let change = Submission::new(&self.db.secret, &SubmissionId::random(), asked);
        requests::submit(&self.db.pool, &[change]).await?;
        self.work().await
    }

    /// The last request that is shown of this organisation.
    async fn request_of(&self, domain: &str) -> Result<Request, Error> {
        let shown = self.shown.iter().rfind(|shown| shown.domain == domain);
        let reference = shown.ok_or(WRONG)?.reference;
        let request = loader::store::look_up(&self.db.pool, reference).await?;
        request.ok_or(WRONG)
    }
}

/// The form of an organisation with one domain and one edge.
fn form(domain: &str, number: &str) -> RequestForm {
    RequestForm {
        programme: "volume_licensing".into(),
        number: number.into(),
        edge: vec![format!("sip.{domain}")],
        domains: vec![domain.into()],
        deployment: "on_premises".into(),
        terms: "on".into(),
        action: "submit".into(),
        ..RequestForm::blank()
    }
}
