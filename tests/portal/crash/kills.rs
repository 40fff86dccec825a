//! Checks that everything acknowledged is there, once and complete, after processes were killed.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use pic_portal::{
    db::{
        MIGRATOR, PgPool,
        private::{Options, PORTAL_DATABASE, PrivatePostgres, ensure_database},
    },
    request::reference::{Reference, SubmissionId},
    secret::{ManagementKey, Secret},
};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::task::spawn_blocking;

use super::{
    Dice,
    load::{Addresses, Log, Routes, Told, clients},
    setting,
};
use crate::support::{
    app::advance,
    consistency::{assert_consistent, unfinished},
    db::TestDb,
    eventually,
    process::{Portal, scratch},
    sql,
};

/// How many clients submit at the same time.
const CLIENTS: usize = 8;

/// Two portals on one database, which check and sweep often.
struct Portals {
    settings: Vec<(&'static str, String)>,
    log: PathBuf,
    running: [Portal; 2],
    addresses: Arc<Addresses>,
}

impl Portals {
    async fn start(url: String, unsafe_too: bool, scratch: &Path) -> Self {
        let mut settings = vec![
            ("DATABASE_URL", url),
            ("PIC_RECHECK_FIRST", "50ms".into()),
            ("PIC_RECHECK_MAX", "400ms".into()),
            ("PIC_SWEEP", "200ms".into()),
        ];
        if unsafe_too {
            settings.push(("PIC_ALLOW_UNSAFE_DATABASE", "true".into()));
        }
        let log = scratch.join("portal.log");
        let running = tokio::join!(one(&settings, &log), one(&settings, &log)).into();
        let of = |portals: &[Portal; 2]| portals.iter().map(|p| p.address).collect();
        Self {
            settings,
            log,
            addresses: Addresses::new(of(&running)),
            running,
        }
    }

    /// Kills one of them at any moment, and starts it again.
    async fn crash(&mut self, place: usize) {
        self.kill(place);
        self.restart(place).await;
    }

    fn kill(&self, place: usize) {
        self.running[place].signal(Signal::SIGKILL);
    }

    async fn restart(&mut self, place: usize) {
        self.running[place].ended().await;
        self.running[place] = one(&self.settings, &self.log).await;
        self.addresses.set(place, self.running[place].address);
    }

    async fn stop(self) {
        for portal in self.running {
            portal.stop().await;
        }
    }
}

async fn one(settings: &[(&'static str, String)], log: &Path) -> Portal {
    let settings: Vec<_> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
    Portal::start(&settings, log).await
}

/// A request as it is stored: reference, kind, state, hash of the key, routes.
type Row = (String, String, String, Vec<u8>, Vec<String>);

/// When no client runs any more: waits until everything is settled that can be, and compares the
/// rows with the clients' log.
async fn assert_kept(pool: &PgPool, log: &Log, after: &str) {
    // What the killed ones had claimed is free once their leases have expired.
    advance(pool, Duration::from_mins(2)).await;
    eventually("all that was due is done", async || {
        let wake = "SELECT pg_notify('pic_work', '')";
        sql::run(pool, wake).await;
        (unfinished(pool).await == 0).then_some(())
    })
    .await;
    assert_consistent(pool, after).await;

    let stored: Vec<Row> = sql::rows(
        pool,
        "SELECT r.reference, r.kind, r.state, s.key_hash,
                ARRAY(SELECT d.sip_domain || ' ' || e.access_edge FROM request_route d
                      JOIN request_edge e ON e.request_id = d.request_id AND e.ordinal = d.edge
                      WHERE d.request_id = r.id ORDER BY d.sip_domain)
         FROM request r JOIN service s ON s.id = r.service_id",
    )
    .await;
    let secret: Vec<u8> = sql::one(pool, "SELECT value FROM secret").await;
    let secret = Secret::from_bytes(&secret).unwrap();
    let by_name: HashMap<_, _> = stored.iter().map(|row| (row.0.as_str(), row)).collect();
    let mut told = HashSet::new();
    let mut keys = HashMap::new();
    for ack in log.all() {
        let (Told::Stored { reference, .. }
        | Told::Withdrawn { reference }
        | Told::Key { reference, .. }) = &ack;
        let Some((_, _, state, key_hash, routes)) = by_name.get(reference.as_str()) else {
            panic!("after {after}: lost: {ack:?}");
        };
        match &ack {
            Told::Stored {
                submission,
                routes: asked,
                ..
            } => {
                assert!(told.insert(reference.clone()), "two are told apart");
                let id = SubmissionId::parse(submission).unwrap();
                assert_eq!(
                    *reference,
                    Reference::derive(&secret, &id).to_string(),
                    "after {after}: {ack:?}"
                );
                let asked: Vec<_> = as_lines(asked);
                assert_eq!(*routes, asked, "after {after}: {ack:?}");
            }
            Told::Withdrawn { .. } => assert_eq!(state, "withdrawn", "after {after}: {ack:?}"),
            Told::Key { key, .. } => {
                let key = ManagementKey::parse(key).unwrap();
                keys.insert(reference.clone(), (key.hash(), key_hash));
            }
        }
    }
    for (reference, (last, kept)) in keys {
        assert_eq!(last[..], kept[..], "after {after}: the key of {reference}");
    }
    // Every client went on until it had an answer: a request without one is one too many.
    let untold: Vec<_> = stored.iter().filter(|row| !told.contains(&row.0)).collect();
    assert!(untold.is_empty(), "{untold:?}");
}

fn as_lines(routes: &Routes) -> Vec<String> {
    let lines = routes.iter();
    lines
        .map(|(domain, edge)| format!("{domain} {edge}"))
        .collect()
}

fn pool(options: PgConnectOptions) -> PgPool {
    PgPool::new(options, 4).within(Duration::from_mins(1))
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_that_is_killed_loses_doubles_and_halves_nothing() {
    let kills = setting("PIC_KILLS", 6);
    let mut dice = Dice::cast();
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let mut portals = Portals::start(db.url(), true, scratch.path()).await;
    let (log, stop) = (Log::new(), Arc::new(AtomicBool::new(false)));
    let load = clients(CLIENTS, &mut dice, &portals.addresses, &log, &stop);
    for _ in 0..kills {
        log.more(1 + dice.below(60)).await;
        portals.crash(dice.below(2)).await;
        assert_consistent(db.pool(), "a portal was killed").await;
    }
    log.more(20).await;
    stop.store(true, Ordering::Relaxed);
    load.join_all().await;
    let after = format!("{kills} kills of portals");
    assert_kept(db.pool(), &log, &after).await;
    println!("{after}: {} acknowledgements kept", log.len());
    portals.stop().await;
    let said = fs::read_to_string(scratch.path().join("portal.log")).unwrap();
    assert!(!said.contains("panicked"), "{said}");
}

/// A durable server of the test's own, which is killed and started again.
struct Durable {
    options: Options,
    server: PrivatePostgres,
}

impl Durable {
    async fn start(dir: &Path) -> Self {
        let options = Options::durable(dir);
        let server = start(options.clone()).await;
        ensure_database(&server.connect_options(PORTAL_DATABASE))
            .await
            .unwrap();
        Self { options, server }
    }

    fn options(&self) -> PgConnectOptions {
        self.server.connect_options(PORTAL_DATABASE)
    }

    /// Kills its postmaster as the kernel does when memory runs out.
    fn kill(&self) {
        let file = fs::read_to_string(self.options.dir.join("pgdata/postmaster.pid")).unwrap();
        let id = file.lines().next().unwrap().parse().unwrap();
        kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
    }

    /// The supervisor gives up on a server that is killed again and again, so each start here has a
    /// new one.
    async fn restart(mut self) -> Self {
        let options = self.options.clone();
        spawn_blocking(move || self.server.stop()).await.unwrap();
        let server = start(options.clone()).await;
        Self { options, server }
    }
}

async fn start(options: Options) -> PrivatePostgres {
    let started = spawn_blocking(move || PrivatePostgres::start(&options));
    started.await.unwrap().unwrap()
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_loses_doubles_and_halves_nothing() {
    let kills = setting("PIC_DATABASE_KILLS", 2);
    let mut dice = Dice::cast();
    let scratch = scratch();
    let mut server = Durable::start(&scratch.path().join("data")).await;
    let pool = pool(server.options());
    let url = server.options().to_url_lossy().into();
    let mut portals = Portals::start(url, false, scratch.path()).await;
    let fsync: String = sql::one(&pool, "SELECT current_setting('fsync')").await;
    assert_eq!(fsync, "on");
    let (log, stop) = (Log::new(), Arc::new(AtomicBool::new(false)));
    let load = clients(CLIENTS, &mut dice, &portals.addresses, &log, &stop);
    for _ in 0..kills {
        log.more(1 + dice.below(80)).await;
        server.kill();
        // Now and then a portal is killed with it.
        let other = dice.chance(50).then(|| dice.below(2));
        if let Some(place) = other {
            portals.kill(place);
        }
        server = server.restart().await;
        if let Some(place) = other {
            portals.restart(place).await;
        }
        assert_consistent(&pool, "the database was killed").await;
    }
    log.more(20).await;
    stop.store(true, Ordering::Relaxed);
    load.join_all().await;
    let after = format!("{kills} kills of the database");
    assert_kept(&pool, &log, &after).await;
    println!("{after}: {} acknowledgements kept", log.len());
    portals.stop().await;
    pool.close().await;
    let said = fs::read_to_string(scratch.path().join("portal.log")).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    spawn_blocking(move || server.server.stop()).await.unwrap();
}
