//! How fast is the main job, against what this disk and this PostgreSQL can do?
//!
//! On a durable private PostgreSQL of its own, each figure beside its yardstick, taken in turn in
//! the same run, as the median of several pairs: machines are shared and noisy, so only the ratios
//! count.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use pic_portal::db::PgPool;
use pic_portal::{
    db::{
        Database, Opening,
        private::{Options, PORTAL_DATABASE, PrivatePostgres, ensure_database},
    },
    provisioning::{store::Waits, waker::Waker, worker::Worker},
    request::{
        Asked,
        form::RequestForm,
        reference::SubmissionId,
        store::{Submission, Submitted, look_up, submit},
    },
    service::ManagementKey,
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

const PAIRS: usize = 5;
const CLIENTS: usize = 32;
const SUBMITS: usize = 2_000;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A request of one edge and two domains that nobody else asks for.
fn submission(db: &Database) -> Submission {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let form = RequestForm {
        programme: "volume_licensing".into(),
        number: format!("{:07}", n % 10_000_000),
        edge: vec![format!("sip.d{n}.example")],
        domains: vec![format!("d{n}.example it.d{n}.example")],
        deployment: "on_premises".into(),
        terms: "on".into(),
        ..RequestForm::blank()
    };
    let wanted = form.check().expect("a whole form").wanted;
    let id = SubmissionId::random();
    let key = ManagementKey::derive(&db.secret, &id);
    Submission {
        id,
        asked: Asked::Initiate(wanted),
        key,
    }
}

/// Runs `job` `times` times on `CLIENTS` tasks; how often it was done in a second.
async fn rate<F, Fut>(times: usize, job: F) -> f64
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let job = job.clone();
        clients.spawn(async move {
            for _ in 0..times / CLIENTS {
                job().await;
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.expect("no client panics");
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let times = times as f64;
    times / began.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn submits(db: &Database) {
    sqlx::query("CREATE TABLE yardstick (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
        .execute(&db.pool)
        .await
        .expect("a table");
    let (mut ours, mut rows, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..PAIRS {
        let pool = db.pool.clone();
        let row = rate(SUBMITS, move || {
            let pool = pool.clone();
            async move {
                let insert = sqlx::query("INSERT INTO yardstick (text) VALUES ('one row')");
                insert.execute(&pool).await.expect("a row");
            }
        })
        .await;
        let whole = db.clone();
        let submit = rate(SUBMITS, move || {
            let db = whole.clone();
            async move {
                let answers = submit(&db.pool, &[submission(&db)]).await.expect("stored");
                assert!(matches!(
                    answers[..],
                    [Submitted::Stored { created: true, .. }]
                ));
            }
        })
        .await;
        rows.push(row);
        ours.push(submit);
        ratios.push(submit / row);
    }
    println!(
        "durable submits, {CLIENTS} clients: {:.0}/s; one-row commits: {:.0}/s; ratio {:.2}",
        median(ours),
        median(rows),
        median(ratios)
    );
}

async fn transitions(db: &Database, worker: &Worker) {
    let pending: i64 = sqlx::query_scalar("SELECT count(*) FROM work")
        .fetch_one(&db.pool)
        .await
        .expect("a count");
    let began = Instant::now();
    let settled = worker.drain().await.expect("the database is there");
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let rate = settled.provisioned as f64 / began.elapsed().as_secs_f64();
    println!("pending to provisioned: {pending} requests, {rate:.0}/s");
}

/// From the answer to a submit to routes in force, on an idle portal.
async fn latency(db: &Database, waits: Waits) {
    let waker = Waker::default();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(db.pool.clone(), waits, waker.clone()).run(stop.clone()));
    let mut times = Vec::new();
    for _ in 0..200 {
        let submission = submission(db);
        let began = Instant::now();
        let answers = submit(&db.pool, &[submission]).await.expect("stored");
        waker.wake();
        let [Submitted::Stored { reference, .. }] = answers[..] else {
            unreachable!("a new submission is stored")
        };
        while provisioned(&db.pool, reference).await.is_none() {
            sleep(Duration::from_micros(200)).await;
        }
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    stop.cancel();
    worker.await.expect("the worker ends");
    times.sort_by(f64::total_cmp);
    println!(
        "submit to provisioned, idle portal: p50 {:.1} ms, p99 {:.1} ms",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

async fn provisioned(
    pool: &PgPool,
    reference: pic_portal::request::reference::Reference,
) -> Option<()> {
    let request = look_up(pool, reference)
        .await
        .expect("the database is there")?;
    request.state.pending().is_none().then_some(())
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    // The server's user has to reach it.
    let path = dir.path().to_owned();
    let mut server =
        tokio::task::spawn_blocking(move || PrivatePostgres::start(&Options::durable(path)))
            .await
            .expect("no panic")
            .unwrap_or_else(|error| panic!("{error}"));
    let options = server.connect_options(PORTAL_DATABASE);
    ensure_database(&options).await.expect("a database");
    let opening = Opening {
        pool: u32::try_from(CLIENTS).expect("few clients"),
        allow_unsafe: false,
    };
    let db = Database::open(options, &opening)
        .await
        .expect("a database that is fit");
    let waits = Waits {
        expiry: Duration::from_hours(720),
        first: Duration::from_secs(30),
        longest: Duration::from_hours(1),
    };
    submits(&db).await;
    transitions(&db, &Worker::new(db.pool.clone(), waits, Waker::default())).await;
    latency(&db, waits).await;
    db.pool.close().await;
    tokio::task::spawn_blocking(move || server.stop())
        .await
        .expect("no panic");
}
