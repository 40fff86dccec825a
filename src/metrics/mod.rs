//! What does Prometheus get to read?
//!
//! The rooms count for themselves, in memory (their `meter`s); here the counts are written down, all
//! of them from the start. The database is asked once a scrape, with a time limit, and a scrape while
//! it is away says so. Labels are ours: patterns of routes, names of states. Nothing that anybody
//! typed is in any, nor a name, an address or a reference.

pub mod endpoint;
mod text;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::timeout};

use self::text::{Kind, Text};
use crate::{
    app::App,
    provisioning,
    readiness::{Severity, engine::Checker, meter::Look},
    request::queue::meter::{self as queue, Why},
    retention,
    server::Door,
    staff::overview::store::gauges::{Gauges, MOST, gauges},
    web::metrics::BUCKETS,
};

/// The most time that a scrape waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything that can be watched. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    app: App,
    worker: provisioning::meter::Meter,
    sweep: retention::meter::Meter,
    door: Door,
    /// Whoever scrapes often gets one connection of the pool, not all of them.
    turn: Arc<Mutex<()>>,
}

impl Metrics {
    /// The counters of `app`, its background task, its sweep and its front door.
    #[must_use]
    pub fn new(
        app: App,
        worker: provisioning::meter::Meter,
        sweep: retention::meter::Meter,
        door: Door,
    ) -> Self {
        Self {
            app,
            worker,
            sweep,
            door,
            turn: Arc::default(),
        }
    }

    /// All of it, in Prometheus' text format 0.0.4.
    pub async fn text(&self) -> String {
        let mut text = Text::default();
        text.family(
            "pic_build_info",
            Kind::Gauge,
            "Always 1; the label is the portal's version.",
        );
        text.sample(
            "pic_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1,
        );
        self.http(&mut text);
        self.submits(&mut text);
        self.passwords(&mut text);
        self.work(&mut text);
        self.checks(&mut text);
        self.sweeps(&mut text);
        self.pool(&mut text);
        let asked = timeout(PATIENCE + PATIENCE / 2, self.gauges()).await;
        database(&mut text, asked.ok().flatten());
        text.finish()
    }

    /// `None`: the database is away.
    async fn gauges(&self) -> Option<Gauges> {
        let _turn = self.turn.lock().await;
        let promise = self.app.site().clocks.promise;
        match gauges(&self.app.db().pool, promise, PATIENCE).await {
            Ok(gauges) => Some(gauges),
            Err(error) => {
                tracing::debug!(%error, "a scrape without the database");
                None
            }
        }
    }

    fn http(&self, text: &mut Text) {
        const ANSWERS: &str = "pic_http_requests_total";
        const SECONDS: &str = "pic_http_request_duration_seconds";
        text.family(
            ANSWERS,
            Kind::Counter,
            "Answers by method, pattern of the route and class of the status.",
        );
        for line in self.app.meter().answers() {
            let labels = [
                ("method", line.method),
                ("path", line.path),
                ("status", line.class),
            ];
            text.sample(ANSWERS, &labels, line.count);
        }
        text.family(
            SECONDS,
            Kind::Histogram,
            "Time to the head of an answer, by pattern of the route; what is streamed after it is left out.",
        );
        for line in self.app.meter().durations() {
            let ends = BUCKETS.map(|end| end.to_string());
            let ends = ends.iter().map(String::as_str).chain(["+Inf"]);
            let mut all = 0;
            for (end, count) in ends.zip(line.counts) {
                let labels = [("path", line.path), ("le", end)];
                text.sample(&format!("{SECONDS}_bucket"), &labels, count);
                all = count;
            }
            let labels = [("path", line.path)];
            let seconds = line.sum.as_secs_f64();
            text.sample(&format!("{SECONDS}_sum"), &labels, seconds);
            text.sample(&format!("{SECONDS}_count"), &labels, all);
        }
        text.gauge(
            "pic_connections",
            "Connections that are open at the front door.",
            self.door.connections(),
        );
        text.gauge(
            "pic_live_streams",
            "Live streams of requests that are open.",
            self.app.live().streams(),
        );
    }

    fn submits(&self, text: &mut Text) {
        const BATCHES: &str = "pic_submit_batch_size";
        const PUT_OFF: &str = "pic_submits_put_off_total";
        let meter = self.app.queue().meter();
        text.family(
            BATCHES,
            Kind::Histogram,
            "Submits that were stored by one statement.",
        );
        let ends = queue::BUCKETS.map(|end| end.to_string());
        let ends = ends.iter().map(String::as_str).chain(["+Inf"]);
        let counts = meter.batches();
        for (end, count) in ends.zip(counts) {
            text.sample(&format!("{BATCHES}_bucket"), &[("le", end)], count);
        }
        text.sample(&format!("{BATCHES}_sum"), &[], meter.submissions());
        text.sample(&format!("{BATCHES}_count"), &[], counts[counts.len() - 1]);
        text.family(
            PUT_OFF,
            Kind::Counter,
            "Submits that were answered 503. full: at once, because more came than were stored; late: after a wait; away: the database did not answer.",
        );
        for &why in Why::ALL {
            text.sample(PUT_OFF, &[("why", why.as_str())], meter.put_offs(why));
        }
        text.gauge(
            "pic_submits_waiting",
            "Submits that wait to be stored.",
            self.app.queue().waiting(),
        );
    }

    fn passwords(&self, text: &mut Text) {
        const HASHES: &str = "pic_password_hashes_total";
        const REFUSED: &str = "pic_password_hashes_refused_total";
        let turns = self.app.gate().hasher.turns();
        text.family(
            HASHES,
            Kind::Counter,
            "Passwords of the staff that were hashed or compared.",
        );
        text.sample(HASHES, &[], turns.had());
        text.family(
            REFUSED,
            Kind::Counter,
            "Passwords that were not, because too many waited: answered 503.",
        );
        text.sample(REFUSED, &[], turns.refused());
        text.gauge(
            "pic_password_hashes_waiting",
            "Passwords that wait to be hashed or compared.",
            turns.waiting(),
        );
    }

    fn work(&self, text: &mut Text) {
        const SETTLED: &str = "pic_settled_total";
        text.family(
            SETTLED,
            Kind::Counter,
            "Requests that the background task looked at, by what became of them; held and waiting ones are looked at again.",
        );
        for (outcome, count) in self.worker.counts() {
            text.sample(SETTLED, &[("outcome", outcome)], count);
        }
        text.gauge(
            "pic_worker_heartbeat_seconds",
            "Seconds since the background task last got through a turn; some ten when it is idle.",
            self.worker.since_turn().as_secs_f64(),
        );
    }

    fn checks(&self, text: &mut Text) {
        const LOOKS: &str = "pic_looks_total";
        text.family(
            LOOKS,
            Kind::Counter,
            "Readiness checks by what was looked at and the gravest that was found.",
        );
        let meter = self.app.site().checks.checker().map(Checker::meter);
        for &look in Look::ALL {
            for &found in Severity::ALL {
                let labels = [("kind", look.as_str()), ("found", found.as_str())];
                let count = meter.map_or(0, |meter| meter.looks(look, found));
                text.sample(LOOKS, &labels, count);
            }
        }
    }

    fn sweeps(&self, text: &mut Text) {
        const SWEEPS: &str = "pic_sweeps_total";
        const FAULTS: &str = "pic_sweep_faults_total";
        const REMOVED: &str = "pic_swept_rows_total";
        text.family(
            SWEEPS,
            Kind::Counter,
            "Retention sweeps of this process by how they ended.",
        );
        for &outcome in retention::Outcome::ALL {
            let count = self.sweep.sweeps(outcome);
            text.sample(SWEEPS, &[("outcome", outcome.as_str())], count);
        }
        text.family(FAULTS, Kind::Counter, "Sweeps that failed, by why.");
        for &fault in retention::Fault::ALL {
            let count = self.sweep.failures(fault);
            text.sample(FAULTS, &[("fault", fault.as_str())], count);
        }
        text.family(
            REMOVED,
            Kind::Counter,
            "Rows that this process's sweeps removed, by kind.",
        );
        for &kind in retention::Kind::ALL {
            let count = self.sweep.rows_removed(kind);
            text.sample(REMOVED, &[("kind", kind.as_str())], count);
        }
        text.gauge(
            "pic_sweeps_failing",
            "Sweeps of this process that failed in a row; 0: the last one did not.",
            self.sweep.failing(),
        );
        text.gauge(
            "pic_contacts_remaining",
            "Contact-like values that remained when this process last looked to the end.",
            self.sweep.remaining(),
        );
        text.gauge(
            "pic_sweep_duration_seconds",
            "Time that the last sweep of this process took.",
            Duration::from_millis(self.sweep.duration_ms()).as_secs_f64(),
        );
    }

    fn pool(&self, text: &mut Text) {
        let pool = &self.app.db().pool;
        text.gauge(
            "pic_database_connections",
            "Connections to the database.",
            pool.size(),
        );
        text.gauge(
            "pic_database_connections_idle",
            "Of those, idle ones.",
            pool.num_idle(),
        );
        text.gauge(
            "pic_database_connections_max",
            "The most that there may be (PIC_DB_POOL).",
            pool.most(),
        );
    }
}

/// What the database said, if it said anything.
fn database(text: &mut Text, gauges: Option<Gauges>) {
    const SESSIONS: &str = "pic_sessions";
    text.gauge(
        "pic_database_up",
        "Whether the database answered this scrape in time; if not, the gauges below are left out.",
        u8::from(gauges.is_some()),
    );
    let Some(it) = gauges else { return };
    let most = MOST - 1;
    let so_far = format!("counted up to {MOST}, which means more than {most}");
    text.gauge(
        "pic_requests_pending",
        &format!("Pending requests; {so_far}."),
        it.pending,
    );
    text.gauge(
        "pic_requests_overdue",
        &format!("Pending requests past the promise; {so_far}."),
        it.overdue,
    );
    text.gauge(
        "pic_oldest_pending_seconds",
        "Age of the oldest pending request; 0: none is pending.",
        it.oldest,
    );
    text.gauge(
        "pic_work_lag_seconds",
        "For how long the next look at a pending request has been due; 0: none is.",
        it.lag,
    );
    text.gauge(
        "pic_services_at_risk",
        &format!(
            "Services in force for which something blocking is found; looked for among the first {MOST} such requests."
        ),
        it.at_risk,
    );
    text.family(
        SESSIONS,
        Kind::Gauge,
        &format!("Sessions that the sweep has not removed yet; {so_far}."),
    );
    text.sample(SESSIONS, &[("of", "administrators")], it.sessions);
    text.sample(SESSIONS, &[("of", "staff")], it.staff_sessions);
    text.gauge(
        "pic_instances",
        "Processes that have told of themselves within three minutes.",
        it.instances,
    );
    text.gauge(
        "pic_services",
        "Services; the estimate of PostgreSQL's planner.",
        it.services,
    );
    text.gauge(
        "pic_routes",
        "Routes in force; the estimate of PostgreSQL's planner.",
        it.routes,
    );
}
