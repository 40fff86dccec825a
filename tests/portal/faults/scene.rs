//! A portal under traffic, and the checks during a fault and after it.

use std::{
    collections::HashSet,
    env,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::http::StatusCode;
use pic_portal::db::{MIGRATOR, PgPool};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::support::{
    app::{Answer, advance, request, submission_id},
    db::TestDb,
    eventually,
    process::{Portal, exchange, on, post, scratch},
    proxy::{Proxy, Target},
    sql,
};

/// Every response comes within this time, whatever the database does.
const LIMIT: Duration = Duration::from_secs(5);
/// Part of every domain of the traffic: it must not get into the log.
const MARK: &str = "typed-by-somebody";
const CLIENTS: usize = 3;

/// How often a fault is repeated.
pub(super) fn rounds() -> usize {
    let rounds = env::var("PIC_TEST_ROUNDS").ok();
    rounds.map_or(1, |rounds| rounds.parse().expect("a number"))
}

/// A portal, its network, its traffic and its database.
pub(super) struct Scene {
    pub(super) proxy: Proxy,
    pub(super) portal: Portal,
    /// The database, without the proxy.
    pub(super) database: PgConnectOptions,
    /// A request that was stored before anything happened.
    known: String,
    traffic: Traffic,
    _scratch: TempDir,
    /// Must outlive the portal.
    _db: Option<TestDb>,
}

impl Scene {
    /// A portal on a database of its own on the server of the tests.
    pub(super) async fn new() -> Self {
        let db = TestDb::fresh(&MIGRATOR).await;
        Self::on(db.options(), Some(db)).await
    }

    /// A portal on this database.
    pub(super) async fn on(database: PgConnectOptions, db: Option<TestDb>) -> Self {
        let proxy = Proxy::to(Target::of(&database)).await;
        Self::at(&proxy.url(&database), proxy, database, db).await
    }

    /// A portal that is told this URL, which leads to a database in the end.
    pub(super) async fn at(
        url: &str,
        proxy: Proxy,
        database: PgConnectOptions,
        db: Option<TestDb>,
    ) -> Self {
        let scratch = scratch();
        let portal = Portal::start(&on(url), &scratch.path().join("log")).await;
        let sent = submit(portal.address, &submission_id(), "known")
            .await
            .reference();
        Self {
            traffic: Traffic::begin(portal.address),
            proxy,
            portal,
            database,
            known: format!("/requests/{sent}"),
            _scratch: scratch,
            _db: db,
        }
    }

    /// Connections to the database without the proxy.
    pub(super) fn direct(&self) -> PgPool {
        PgPool::new(self.database.clone(), 5)
    }

    /// Returns when the traffic has had `more` good responses.
    pub(super) async fn flows(&self, more: usize) {
        let until = self.traffic.stored.load(Relaxed) + more;
        eventually("the traffic flows", async || {
            (self.traffic.stored.load(Relaxed) >= until).then_some(())
        })
        .await;
    }

    async fn get(&self, path: &str) -> Answer {
        self.portal.get(path).await.unwrap()
    }

    /// The portal answers with its own error page, in time, and pages that need no database work.
    pub(super) async fn is_away(&self) {
        let id = submission_id();
        let json = [("accept", "application/json")];
        let (page, json, sent, ready) = tokio::join!(
            self.get(&self.known),
            exchange(self.portal.address, "GET", &self.known, &json, ""),
            submit(self.portal.address, &id, &id[..13]),
            self.get("/readyz"),
        );
        let json = json.unwrap();
        for answer in [&page, &json, &sent, &ready] {
            assert_eq!(
                answer.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{}",
                answer.body
            );
            let wait: u32 = answer.header("retry-after").parse().unwrap();
            assert!(wait > 0);
        }
        page.shows("The portal cannot answer just now");
        // The form as it was filled in, to be sent again.
        sent.shows(&id);
        assert_eq!(json.header("content-type"), "application/problem+json");
        assert_eq!(ready.body, "not ready\n");
        self.stands().await;
    }

    /// The portal shows what it has, and accepts no submission.
    pub(super) async fn takes_nothing(&self) {
        eventually("the page is read", async || {
            (self.get(&self.known).await.status == StatusCode::OK).then_some(())
        })
        .await;
        self.is_refused().await;
        let ready = self.get("/readyz").await;
        assert_eq!(
            ready.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{}",
            ready.body
        );
        self.stands().await;
    }

    /// A form is refused, whoever sends it.
    pub(super) async fn is_refused(&self) {
        eventually("a form is refused", async || {
            let sent = {
                let id = submission_id();
                submit(self.portal.address, &id, &format!("refused-{}", &id[..13])).await
            };
            (sent.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
    }

    /// None of `many` submissions is refused.
    pub(super) async fn refuses_nobody(&self, many: usize) {
        let mut all = JoinSet::new();
        for _ in 0..many {
            all.spawn(is_good(self.portal.address, self.known.clone()));
            let address = self.portal.address;
            all.spawn(async move {
                let id = submission_id();
                let sent = submit(address, &id, &format!("one-of-many-{id}")).await;
                sent.status == StatusCode::SEE_OTHER
            });
        }
        let good = all.join_all().await;
        assert!(good.iter().all(|good| *good), "{good:?}");
    }

    /// Leads the network to another server.
    pub(super) fn with_database(self, database: PgConnectOptions) -> Self {
        Self { database, ..self }
    }

    /// Pages that need no database work as usual.
    pub(super) async fn stands(&self) {
        for path in ["/livez", "/", "/help", "/requests/new", "/status"] {
            let answer = self.get(path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        }
    }

    /// The database is back from now on: measures how long it takes until a page, a submit and
    /// `/readyz` succeed.
    pub(super) async fn is_back(&self, after: &str) {
        let began = Instant::now();
        let address = self.portal.address;
        first_good(|| is_good(address, self.known.clone())).await;
        let page = began.elapsed();
        let id = submission_id();
        first_good(|| {
            let id = id.clone();
            let domain = format!("back-{}", &id[..13]);
            async move { submit(address, &id, &domain).await.status == StatusCode::SEE_OTHER }
        })
        .await;
        first_good(|| is_good(address, "/readyz".into())).await;
        tell(&format!(
            "after {after}: the first page after {page:?}, submitting and ready after {:?}",
            began.elapsed()
        ));
    }

    /// Ends the traffic. Everything acknowledged is stored once and provisioned once, and is not in
    /// the log; the portal has not panicked, and every response came in time.
    pub(super) async fn ends_whole(self) {
        let told = self.traffic.end().await;
        tell(&format!(
            "{} requests, the longest answer took {:?}",
            told.sent.len(),
            told.longest
        ));
        assert!(told.longest < LIMIT, "{:?}", told.longest);
        let direct = PgPool::new(self.database.clone(), 5);
        let count = async |sql: &'static str| {
            let count: i64 = sql::one(&direct, sql).await;
            count
        };
        let stored: Vec<String> = sql::all(&direct, "SELECT reference FROM request").await;
        let stored: HashSet<_> = stored.into_iter().collect();
        for sent in &told.sent {
            assert!(stored.contains(&sent.reference), "{}", sent.reference);
        }
        // What was sent twice, because the first result was unknown, is stored once.
        for sent in told.sent.iter().filter(|sent| sent.tries > 1) {
            let again = submit(self.portal.address, &sent.id, &sent.domain).await;
            assert_eq!(again.reference(), sent.reference);
        }
        let domains = "SELECT count(*) - count(DISTINCT sip_domain) FROM request_route";
        assert_eq!(count(domains).await, 0, "a domain was stored twice");
        // What was claimed by a statement whose answer was lost is free when its lease has expired.
        advance(&direct, Duration::from_mins(1)).await;
        eventually("everything is provisioned", async || {
            count("SELECT count(*) FROM (SELECT pg_notify('pic_work', '')) AS wake").await;
            let open = count("SELECT count(*) FROM request WHERE state <> 'provisioned'").await;
            (open == 0).then_some(())
        })
        .await;
        let doubled = "SELECT count(*) FROM
             (SELECT FROM event GROUP BY request_id, code HAVING count(*) > 1) AS twice";
        assert_eq!(count(doubled).await, 0, "something happened twice");
        assert_eq!(
            count("SELECT count(*) FROM route").await,
            count("SELECT count(*) FROM request").await
        );
        let log = self.portal.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains(MARK), "{log}");
        let began = Instant::now();
        self.portal.stop().await;
        tell(&format!("stopped after {:?}", began.elapsed()));
    }
}

/// Prints a measured figure, shown with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "figures are for people, and no test depends on them"
)]
pub(super) fn tell(line: &str) {
    println!("{line}");
}

/// Sends a form for a domain of its own.
async fn submit(address: SocketAddr, id: &str, domain: &str) -> Answer {
    let domain = format!("{domain}.{MARK}.example");
    let edge = format!("sip.{domain}");
    let began = Instant::now();
    let answer = post(address, "/requests/new", &request(id, &[(&edge, &domain)]))
        .await
        .unwrap();
    let took = began.elapsed();
    assert!(took < LIMIT, "a submit took {took:?}");
    answer
}

async fn is_good(address: SocketAddr, path: String) -> bool {
    let answer = exchange(address, "GET", &path, &[], "").await;
    answer.unwrap().status == StatusCode::OK
}

/// Repeats a request, without waiting for those that hang, until the response is good.
async fn first_good<F>(mut ask: impl FnMut() -> F)
where
    F: Future<Output = bool> + Send + 'static,
{
    let began = Instant::now();
    let mut tries = JoinSet::new();
    loop {
        tries.spawn(ask());
        let next = timeout(Duration::from_millis(50), tries.join_next());
        if let Ok(Some(Ok(true))) = next.await {
            return;
        }
        assert!(began.elapsed() < LIMIT, "no good answer yet");
    }
}

/// A request that was acknowledged.
struct Sent {
    id: String,
    domain: String,
    reference: String,
    tries: u32,
}

/// What the clients report at the end.
#[derive(Default)]
struct Told {
    sent: Vec<Sent>,
    longest: Duration,
}

/// Clients that send forms, each the same one until it is acknowledged.
struct Traffic {
    stop: Arc<AtomicBool>,
    stored: Arc<AtomicUsize>,
    clients: JoinSet<Told>,
}

impl Traffic {
    fn begin(address: SocketAddr) -> Self {
        let (stop, stored) = (Arc::default(), Arc::default());
        let clients = (0..CLIENTS)
            .map(|client| send(address, client, Arc::clone(&stop), Arc::clone(&stored)))
            .collect();
        Self {
            stop,
            stored,
            clients,
        }
    }

    async fn end(self) -> Told {
        self.stop.store(true, Relaxed);
        let mut all = Told::default();
        for told in self.clients.join_all().await {
            all.sent.extend(told.sent);
            all.longest = all.longest.max(told.longest);
        }
        all
    }
}

async fn send(
    address: SocketAddr,
    client: usize,
    stop: Arc<AtomicBool>,
    stored: Arc<AtomicUsize>,
) -> Told {
    let mut told = Told::default();
    while !stop.load(Relaxed) {
        let id = submission_id();
        let domain = format!("c{client}-{}", told.sent.len());
        let mut tries = 0;
        let reference = loop {
            tries += 1;
            let began = Instant::now();
            let answer = submit(address, &id, &domain).await;
            told.longest = told.longest.max(began.elapsed());
            match answer.status {
                StatusCode::SEE_OTHER => break answer.reference(),
                StatusCode::SERVICE_UNAVAILABLE => sleep(Duration::from_millis(50)).await,
                status => panic!("{status}: {}", answer.body),
            }
        };
        stored.fetch_add(1, Relaxed);
        told.sent.push(Sent {
            id,
            domain,
            reference,
            tries,
        });
    }
    told
}
