//! Tells Prometheus how the portal is doing.
//!
//! The rooms count for themselves, in memory (their `meter`s), all of it from the start. The database
//! is asked once a scrape, with a time limit, and a scrape while it is away says so. Labels are ours:
//! patterns of routes, names of states. Nothing that anybody typed is in any, nor a name, an address
//! or a reference.

pub mod endpoint;
mod process;

use std::{sync::Arc, time::Duration};

use prometheus::Opts;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    app::App,
    db,
    gateway::{self, store::Gateway},
    meter::{self, Collectors, reading, reading_of},
    provisioning,
    readiness::engine::Checker,
    retention,
    server::HttpServer,
    staff::overview::store::gauges::{Gauges, MOST, gauges},
};

/// The most time that a scrape waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything that can be watched. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    app: App,
    worker: provisioning::meter::Meter,
    sweep: retention::meter::Meter,
    door: HttpServer,
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
        door: HttpServer,
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
        let mut all = self.of_this_process();
        let asked = timeout(PATIENCE + PATIENCE / 2, self.gauges()).await;
        let (gauges, gateways) = asked.ok().flatten().unzip();
        all.extend(database(gauges));
        all.extend(gateway::meter::collectors(&gateways.unwrap_or_default()));
        meter::text(all)
    }

    /// `None`: the database is away.
    async fn gauges(&self) -> Option<(Gauges, Vec<Gateway>)> {
        let _turn = self.turn.lock().await;
        let promise = self.app.site().clocks.promise;
        let pool = &self.app.db().pool;
        let asked = async {
            let gauges = gauges(pool, promise, PATIENCE).await?;
            Ok::<_, db::Error>((gauges, gateway::store::list(pool).await?))
        };
        match asked.await {
            Ok(all) => Some(all),
            Err(error) => {
                tracing::debug!(%error, "metrics without the database");
                None
            }
        }
    }

    fn of_this_process(&self) -> Collectors {
        let (app, pool) = (&self.app, &self.app.db().pool);
        let checks = app.site().checks.checker().map(Checker::meter).cloned();
        let mut all = vec![
            reading_of(
                Opts::new(
                    "pic_build_info",
                    "Always 1; the label is the portal's version.",
                )
                .const_label("version", env!("CARGO_PKG_VERSION")),
                1_u64,
            ),
            reading(
                "pic_connections",
                "Connections that are open at the front door.",
                self.door.connections() as u64,
            ),
            reading(
                "pic_live_streams",
                "Live streams of requests that are open.",
                app.live().streams() as u64,
            ),
            reading(
                "pic_submits_waiting",
                "Submits that wait to be stored.",
                app.queue().waiting() as u64,
            ),
            reading(
                "pic_database_connections",
                "Connections to the database.",
                u64::from(pool.size()),
            ),
            reading(
                "pic_database_connections_idle",
                "Of those, idle ones.",
                pool.num_idle() as u64,
            ),
            reading(
                "pic_database_connections_max",
                "The most that there may be (PIC_DB_POOL).",
                u64::from(pool.most()),
            ),
        ];
        all.extend(process::collectors());
        all.extend(app.meter().collectors());
        all.extend(app.queue().meter().collectors());
        all.extend(app.gate().hasher.turns().collectors());
        all.extend(self.worker.collectors());
        all.extend(checks.unwrap_or_default().collectors());
        all.extend(self.sweep.collectors());
        all
    }
}

/// What the database said, if it said anything.
fn database(gauges: Option<Gauges>) -> Collectors {
    let up = reading(
        "pic_database_up",
        "Whether the database answered this scrape in time; if not, the gauges below are left out.",
        u64::from(gauges.is_some()),
    );
    let Some(it) = gauges else { return vec![up] };
    let most = MOST - 1;
    let so_far = format!("counted up to {MOST}, which means more than {most}");
    let sessions = |of, count| {
        let help = format!("Sessions that the sweep has not removed yet; {so_far}.");
        reading_of(Opts::new("pic_sessions", help).const_label("of", of), count)
    };
    vec![
        up,
        reading(
            "pic_requests_pending",
            &format!("Pending requests; {so_far}."),
            it.pending,
        ),
        reading(
            "pic_requests_overdue",
            &format!("Pending requests past the promise; {so_far}."),
            it.overdue,
        ),
        reading(
            "pic_oldest_pending_seconds",
            "Age of the oldest pending request; 0: none is pending.",
            it.oldest,
        ),
        reading(
            "pic_work_lag_seconds",
            "For how long the next look at a pending request has been due; 0: none is.",
            it.lag,
        ),
        reading(
            "pic_services_at_risk",
            &format!(
                "Services in force for which something blocking is found; looked for among the first {MOST} such requests."
            ),
            it.at_risk,
        ),
        sessions("administrators", it.sessions),
        sessions("staff", it.staff_sessions),
        reading(
            "pic_instances",
            "Processes that have told of themselves within three minutes.",
            it.instances,
        ),
        reading(
            "pic_services",
            "Services; the estimate of PostgreSQL's planner.",
            it.services,
        ),
        reading(
            "pic_routes",
            "Routes in force; the estimate of PostgreSQL's planner.",
            it.routes,
        ),
    ]
}
