//! Checks that a portal whose own clock is years off, or jumps, does no harm.
//!
//! The clock of the real process is moved by libfaketime, which intercepts the system's clock;
//! elapsed time (the monotonic clock) goes on, as it does when a machine's clock is set.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use axum::http::StatusCode;
use chrono::{DateTime, Datelike as _};
use pic_portal::db::PgPool;
use pic_portal::{clock::Clock, db::MIGRATOR};
use rcgen::date_time_ymd;

use crate::{
    process::checks::Eyes,
    support::{
        app::{Answer, request, submission_id},
        consistency::{assert_consistent, unfinished},
        db::TestDb,
        edge::server,
        eventually,
        process::{Connection, Portal, command, exchange, program, scratch},
        sql,
        world::World,
    },
};

/// The directories in which the package `faketime` puts its library.
const DIRS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
];

/// The library; `None`, with a message, where it is not installed, which is allowed on a person's
/// own machine only.
#[expect(
    clippy::print_stderr,
    reason = "what is not tested is said, not skipped in silence"
)]
fn library() -> Option<PathBuf> {
    let found = DIRS
        .iter()
        .map(|dir| Path::new(dir).join("libfaketimeMT.so.1"))
        .find(|path| path.exists());
    let needed = env::var_os("CI").is_some();
    assert!(
        found.is_some() || !needed,
        "make tools-test installs faketime"
    );
    if found.is_none() {
        eprintln!("NOT TESTED: libfaketime is missing; `make tools-test` installs it");
    }
    found
}

/// The clock of one process.
struct Watch {
    library: PathBuf,
    file: PathBuf,
}

impl Watch {
    /// A clock that is right; `None` without the library.
    fn right(scratch: &Path) -> Option<Self> {
        let watch = Self {
            library: library()?,
            file: scratch.join("offset"),
        };
        watch.set("+0");
        Some(watch)
    }

    /// Moves it by so many years or days: `+10y`.
    fn set(&self, offset: &str) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{offset}\n")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn settings(&self) -> [(&str, &str); 6] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            // Their names depend on the version.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ]
    }
}

/// The year that a portal believes it is, from the date of a refusal, which is made for each. The
/// date of other responses is cached by the HTTP library, and does not go back.
async fn year(portal: &Portal) -> i32 {
    let mut connection = Connection::to(portal.address).await.unwrap();
    connection.send("NONSENSE\r\n\r\n").await.unwrap();
    let answer = connection.answer().await.unwrap();
    let date = DateTime::parse_from_rfc2822(answer.header("date")).unwrap();
    date.year()
}

/// Moves the clock, and waits until the process uses the new time.
async fn jump(portal: &Portal, watch: &Watch, years: i32) {
    watch.set(&format!("{years:+}y"));
    let now = Clock::system().now().year();
    eventually("the process believes it", async || {
        // A year of libfaketime has 365 days.
        ((year(portal).await - now - years).abs() <= 1).then_some(())
    })
    .await;
}

/// Submits a request; returns its reference and the cookie of its receipt.
async fn submit(portal: &Portal, domain: &str) -> Answer {
    let (id, edge) = (submission_id(), format!("sip.{domain}"));
    let fields = request(&id, &[(&edge, domain)]);
    let sent = portal.post("/requests/new", &fields).await.unwrap();
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    sent
}

async fn get(portal: &Portal, path: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = exchange(portal.address, "GET", path, headers, "");
    answer.await.unwrap()
}

/// Checks that all times in the database are within the last hour or the next month.
async fn assert_sane(pool: &PgPool) {
    let odd = "SELECT count(*) FROM (
        SELECT submitted_at AS at FROM request UNION ALL SELECT ended_at FROM request
        UNION ALL SELECT at FROM event UNION ALL SELECT since FROM route UNION ALL SELECT due_at FROM work
        UNION ALL SELECT lease_until FROM work UNION ALL SELECT seen_at FROM session UNION ALL SELECT began_at FROM session
        UNION ALL SELECT seen_at FROM instance UNION ALL SELECT worked_at FROM instance
        UNION ALL SELECT began_at FROM retention_run UNION ALL SELECT lease_until FROM retention_run
        UNION ALL SELECT due_at FROM watch UNION ALL SELECT until FROM staff_set_up) t
        WHERE at NOT BETWEEN pic_now() - interval '1 hour' AND pic_now() + interval '25 hours'";
    let odd: i64 = sql::one(pool, odd).await;
    assert_eq!(odd, 0, "times that are off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_by_years_changes_nothing_that_counts() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let Some(watch) = Watch::right(scratch.path()) else {
        return;
    };
    let url = db.url();
    let mut settings = vec![
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ("PIC_RECHECK_FIRST", "50ms"),
        ("PIC_RECHECK_MAX", "100ms"),
        ("PIC_SWEEP", "100ms"),
        ("PIC_TRY_LIMIT", "4"),
        ("PIC_PUBLIC_URL", "http://portal.test"),
    ];
    let well = Portal::start(&settings, &scratch.path().join("well")).await;
    settings.extend(watch.settings());
    let odd = Portal::start(&settings, &scratch.path().join("odd")).await;

    // The portal whose clock will jump has a session, and a withdrawn request.
    let first = submit(&odd, "first.example").await;
    let reference = first.reference();
    let receipt = format!("/requests/{reference}/receipt");
    let cookie = first.cookie();
    let page = get(&odd, &receipt, &[("cookie", &cookie)]).await;
    let key = page.attribute("data-management-key").unwrap().to_owned();
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let session = odd.post("/service", &fields).await.unwrap().cookie();
    let held = submit(&odd, "gone.example").await;
    let gone = held.reference();
    let page = get(
        &odd,
        &format!("/requests/{gone}/receipt"),
        &[("cookie", &held.cookie())],
    )
    .await;
    let key = page.attribute("data-management-key").unwrap().to_owned();
    let back = format!("/requests/{gone}/withdraw");
    // The background task may have been faster.
    odd.post(&back, &[("management_key", &key)]).await.unwrap();

    // Its limit of attempts is used up.
    let wrong = [
        ("number", "1234567"),
        ("management_key", "0000-0000-0000-0000-0000-0000-00"),
    ];
    let mut tries = 0;
    let refused = loop {
        let answer = odd.post("/service", &wrong).await.unwrap();
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        tries += 1;
        assert!(tries < 20, "there is a limit");
    };
    let wait = |answer: &Answer| answer.header("retry-after").parse::<u64>().unwrap();
    assert!(wait(&refused) <= 60);

    for (round, years) in [10, -10, 10, 0].into_iter().enumerate() {
        jump(&odd, &watch, years).await;
        let by_odd = submit(&odd, &format!("odd{round}.example")).await;
        let by_well = submit(&well, &format!("well{round}.example")).await;
        eventually("both are provisioned", async || {
            (unfinished(db.pool()).await == 0).then_some(())
        })
        .await;
        for (sent, at) in [(&by_odd, &well), (&by_well, &odd)] {
            let path = format!("/requests/{}", sent.reference());
            // Programs and people get the same answers from every portal.
            let json = [("accept", "application/json")];
            let (one, other) = (get(at, &path, &json).await, get(&well, &path, &json).await);
            one.shows("\"state\":\"provisioned\"");
            assert_eq!(one.body, other.body);
            let html = get(&odd, &path, &[]).await;
            for year in [years - 1, years, years + 1].map(|y| Clock::system().now().year() + y) {
                let told = html.body.contains(&year.to_string());
                assert!(!told || years.abs() < 2, "{year}: {}", html.body);
            }
        }
        // Sessions are still live, and the limit of attempts has neither gained nor lost a decade.
        let hub = get(&odd, "/service", &[("cookie", &session)]).await;
        hub.shows("first.example");
        let again = odd.post("/service", &wrong).await.unwrap();
        if again.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(wait(&again) <= 60, "{}", wait(&again));
        } else {
            // One attempt comes back every quarter of a minute.
            assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let page = get(&odd, &receipt, &[("cookie", &cookie)]).await;
        assert!(page.attribute("data-management-key").is_some());
        for set in first.set_cookies() {
            assert!(!set.to_lowercase().contains("expires"), "{set}");
        }
        // The sweeps of the portal with the wrong clock have deleted nothing.
        for reference in [&reference, &gone] {
            let page = get(&well, &format!("/requests/{reference}"), &[]).await;
            assert_eq!(page.status, StatusCode::OK);
        }
        assert_sane(db.pool()).await;
        assert_consistent(db.pool(), &format!("{years} years")).await;
    }
    let once = "SELECT count(*) FROM timeline WHERE code = 'provisioned'";
    let once: i64 = sql::one(db.pool(), once).await;
    assert!((9..=10).contains(&once), "{once}");
    odd.stop().await;
    well.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_has_not_expired_because_a_portal_believes_so() {
    let scratch = scratch();
    let Some(watch) = Watch::right(scratch.path()) else {
        return;
    };
    let world = World::start().await;
    let this_year = Clock::system().now().year();
    let mut edges = Vec::new();
    for (name, from, until) in [
        ("good.example", this_year - 1, this_year + 2),
        ("old.example", this_year - 3, this_year - 1),
    ] {
        let edge = format!("sip.{name}");
        world.zone(name);
        world.route(name, &edge);
        let mut params = server(&[&edge]);
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        edges.push(world.edge_with(&edge, &params).await);
    }
    let eyes = Eyes::on(&world);
    for years in [10, -10, -2] {
        let db = TestDb::fresh(&MIGRATOR).await;
        watch.set(&format!("{years:+}y"));
        let url = db.url();
        let mut settings = vec![
            ("DATABASE_URL", url.as_str()),
            ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
            ("PIC_CHECKS", "enforce"),
        ];
        settings.extend(eyes.settings());
        settings.extend(watch.settings());
        let portal = Portal::start(&settings, &scratch.path().join("log")).await;
        assert!((year(&portal).await - this_year - years).abs() <= 1);
        submit(&portal, "good.example").await;
        submit(&portal, "old.example").await;
        let found = eventually("both were looked at", async || {
            let found: Vec<String> = sql::all(db.pool(), "SELECT concat_ws(' ', r.state, f.code) FROM finding f JOIN request r ON r.id = f.request_id
                 WHERE f.code LIKE 'certificate%' ORDER BY 1").await;
            (found.len() >= 2).then_some(found)
        })
        .await;
        assert_eq!(
            found,
            ["pending certificate-expired", "provisioned certificate"],
            "{years}"
        );
        assert_sane(db.pool()).await;
        portal.stop().await;
    }
}

#[tokio::test]
async fn the_doctor_tells_that_this_machines_clock_is_wrong() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let Some(watch) = Watch::right(scratch.path()) else {
        return;
    };
    let url = db.url();
    let settings = [
        &watch.settings()[..],
        &[
            ("DATABASE_URL", &url),
            ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ],
    ]
    .concat();
    for (offset, words) in [
        ("+0", "ok       clock "),
        ("+10y", "this machine's differ by 3,650 days"),
        ("-1d", "warning  clock "),
    ] {
        watch.set(offset);
        let doctor = command(&program(), &settings).arg("doctor").output().await;
        let said = String::from_utf8(doctor.unwrap().stdout).unwrap();
        assert!(said.contains(words), "{offset}: {said}");
    }
}
