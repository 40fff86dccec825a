//! What do the handlers share, and which handler answers which address?

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    code,
    config::Origin,
    db::Database,
    help::pages as help,
    names::SipDomain,
    provisioning::waker::{Changes, Waker},
    readiness::{Mode, ProofMode, engine::Checks, pages as check},
    request::{
        Clocks, live,
        look_up::Readers,
        pages,
        queue::{self, NotStored, Queue},
        store::{Submission, Submitted},
    },
    retention::pages as retention,
    service::pages as service,
    staff::{gate::Gate, pages as staff},
    web::{
        self, ErrorPages, Plain, assets,
        limit::Throttle,
        metrics,
        routes::{Kind, Route},
        shell::{Section, Shell},
    },
};

/// What is the same on every page.
#[derive(Clone, Debug)]
pub struct Site {
    /// Origin that people see.
    pub public_url: Origin,
    /// Name of the network that people are provisioned for.
    pub provider: String,
    /// Where to turn past the promise.
    pub support: Option<String>,
    /// A notice on every page.
    pub notice: Option<String>,
    /// Promise and limit.
    pub clocks: Clocks,
    /// Limits by network, and who may speak for others.
    pub throttle: Throttle,
    /// Domains whose addresses the address tool leaves as they are.
    pub plain_domains: Vec<SipDomain>,
    /// How often the retention sweep runs.
    pub sweep: Duration,
    /// How strict the readiness checks are, and what makes them.
    pub checks: Checks,
    /// How long and how many live streams may be.
    pub live: live::Limits,
}

impl Site {
    /// See [`App::edition`].
    fn edition(&self) -> String {
        let Self {
            public_url,
            provider,
            support,
            notice,
            clocks,
            checks,
            ..
        } = self;
        let (mode, proof) = (checks.mode(), checks.proof());
        let build = env!("PIC_BUILD");
        let shown = format!(
            "{build} {public_url:?} {provider:?} {support:?} {notice:?} {clocks:?} {mode:?} {proof:?}"
        );
        code::encode(&Sha256::digest(shown)[..10])
    }
}

/// What the handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    site: Site,
    waker: Waker,
    readers: Readers,
    blank_form: OnceLock<pages::BlankForm>,
    error_pages: ErrorPages,
    edition: String,
    queue: Queue,
    live: live::Hub,
    stopping: CancellationToken,
    gate: Gate,
    meter: metrics::Meter,
}

impl App {
    /// An application on `db`, whose submits wake the background task through `waker`.
    #[must_use]
    pub fn new(db: Database, site: Site, waker: Waker) -> Self {
        Self::with_queue(db, site, waker, queue::Limits::default(), None)
    }

    /// Like [`App::new`], with limits of what is stored at once and what may wait for it, and with a
    /// runtime for those who store it: see [`Queue::new`].
    #[must_use]
    pub fn with_queue(
        db: Database,
        site: Site,
        waker: Waker,
        limits: queue::Limits,
        runtime: Option<Handle>,
    ) -> Self {
        Self(Arc::new(Inner {
            live: live::Hub::new(site.live),
            readers: Readers::new(&db.pool),
            blank_form: OnceLock::new(),
            error_pages: ErrorPages::default(),
            edition: site.edition(),
            queue: Queue::new(db.pool.clone(), waker.clone(), limits, runtime),
            gate: Gate::new(site.throttle.clock.clone()),
            db,
            site,
            waker,
            stopping: CancellationToken::new(),
            meter: metrics::Meter::new(&Self::routes()),
        }))
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Database {
        &self.0.db
    }

    /// What is the same on every page.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.0.site
    }

    /// Looks requests up.
    #[must_use]
    pub fn readers(&self) -> &Readers {
        &self.0.readers
    }

    /// The empty form, once it has been made.
    pub(crate) fn blank_form(&self) -> &OnceLock<pages::BlankForm> {
        &self.0.blank_form
    }

    /// Pages of errors that were shown before.
    pub(crate) fn error_pages(&self) -> &ErrorPages {
        &self.0.error_pages
    }

    /// Names all that pages show without the database: another build or other settings have
    /// another.
    #[must_use]
    pub fn edition(&self) -> &str {
        &self.0.edition
    }

    /// What was answered so far.
    #[must_use]
    pub fn meter(&self) -> &metrics::Meter {
        &self.0.meter
    }

    /// What guards the passwords of the staff.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Stores a submission with those that come in at the same time, and wakes the background task.
    ///
    /// # Errors
    ///
    /// [`NotStored`], within a few seconds.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, NotStored> {
        self.0.queue.submit(submission).await
    }

    /// Those who wait to be stored.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// Tells the background task that there is something to do.
    pub fn wake(&self) {
        self.0.waker.wake();
    }

    /// Tells those who follow a request that some request has changed; after the commit.
    pub fn changed(&self) {
        self.0.waker.changed();
    }

    /// How many domains were pending when the background task last counted them.
    #[must_use]
    pub fn pending_domains(&self) -> u64 {
        self.0.waker.pending_domains()
    }

    /// The changes from now on, of every process on the database.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.0.waker.changes()
    }

    /// Who follows which request.
    #[must_use]
    pub fn live(&self) -> &live::Hub {
        &self.0.live
    }

    /// From now on `/readyz` says no, so that no new requests are sent here.
    pub fn stop(&self) {
        self.0.stopping.cancel();
    }

    /// Ends when the portal stops: what lasts, such as a live stream, ends with it.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// What stands around a page of `section`.
    #[must_use]
    pub fn shell(&self, section: Section) -> Shell<'_> {
        let checks = &self.site().checks;
        Shell {
            provider: &self.site().provider,
            notice: self.site().notice.as_deref(),
            checks_notice: match (checks.mode(), checks.proof()) {
                (Mode::Enforce, _) => None,
                (Mode::Advise, ProofMode::Held) => Some(
                    "Readiness checks advise here: what they find is shown, and a request is provisioned all the same.",
                ),
                (Mode::Advise, ProofMode::Always) => Some(
                    "Readiness checks advise here: what they find is shown, and a request is provisioned all the same, once ownership of its domains is proven.",
                ),
                (Mode::Off, _) => Some(
                    "Readiness checks are off: a request is provisioned without looking at DNS or certificates.",
                ),
            },
            checks: checks.mode(),
            proof: checks.proof(),
            section,
            error: false,
        }
    }

    /// The route table: which handler answers which address.
    #[must_use]
    pub fn routes() -> Vec<Route> {
        use Kind::{File, Open, Page, Probe};
        vec![
            Route::new(Open, "/").get(pages::start),
            Route::new(Page, "/requests/new")
                .get(pages::form)
                .post(pages::send_form),
            Route::new(Page, "/requests/{reference}").get(pages::status),
            Route::new(Page, "/requests/{reference}/receipt").get(pages::receipt),
            Route::new(Page, "/requests/{reference}/receipt.txt").get(pages::receipt_text),
            Route::new(Page, "/requests/{reference}/stream").get(live::stream),
            Route::new(Page, "/requests/{reference}/feed.atom").get(live::feed),
            Route::new(Page, "/requests/{reference}/calendar.ics").get(live::calendar),
            Route::new(Page, "/requests/{reference}/support.txt").get(live::support),
            Route::new(Page, "/requests/{reference}/check-again").post(pages::check_again),
            Route::new(Page, "/requests/{reference}/withdraw")
                .post(pages::withdraw)
                .guarded(),
            Route::new(Page, "/status").get(pages::find),
            Route::new(Page, "/check")
                .get(check::form)
                .post(check::check),
            Route::new(Open, "/help").get(help::contents),
            Route::new(Open, "/help/{topic}").get(help::topic),
            Route::new(Page, "/help/address")
                .get(help::address)
                .post(help::write_address),
            Route::new(Open, "/help/reasons/{reason}").get(help::reason),
            Route::new(Open, "/help/findings/{code}").get(help::finding),
            Route::new(Page, "/service")
                .get(service::service)
                .post(service::sign_in)
                .guarded(),
            Route::new(Page, "/service/sign-out").post(service::sign_out),
            Route::new(Page, "/service/routes.csv").get(service::routes_csv),
            Route::new(Page, "/service/edit")
                .get(service::edit)
                .post(service::send_edit),
            Route::new(Page, "/service/cancel")
                .get(service::cancel)
                .post(service::send_cancel),
            Route::new(Page, "/service/key")
                .get(service::key)
                .post(service::send_key),
            Route::new(Page, "/staff").get(staff::overview),
            Route::new(Page, "/staff/set-up")
                .get(staff::set_up)
                .post(staff::send_set_up)
                .guarded(),
            // Takes its tries itself (`web::limit`).
            Route::new(Page, "/staff/sign-in")
                .get(staff::sign_in)
                .post(staff::send_sign_in),
            Route::new(Page, "/staff/sign-out").post(staff::sign_out),
            Route::new(Page, "/staff/account")
                .get(staff::account)
                .post(staff::send_password)
                .guarded(),
            Route::new(Page, "/staff/account/sign-out").post(staff::sign_out_everywhere),
            Route::new(Page, "/staff/requests").get(staff::queue),
            Route::new(Page, "/staff/requests/stream").get(staff::queue_stream),
            Route::new(Page, "/staff/requests/{reference}/stream").get(staff::request_stream),
            Route::new(Page, "/staff/requests.csv").get(staff::export),
            Route::new(Page, "/staff/requests/{reference}").get(staff::request),
            Route::new(Page, "/staff/requests/{reference}/check-again").post(staff::check_again),
            Route::new(Page, "/staff/requests/{reference}/refuse").post(staff::refuse),
            Route::new(Page, "/staff/requests/{reference}/withdraw").post(staff::withdraw),
            Route::new(Page, "/staff/services/{service}").get(staff::service),
            Route::new(Page, "/staff/services/{service}/cancel").post(staff::cancel),
            Route::new(Page, "/staff/audit").get(staff::audit),
            Route::new(Page, "/privacy").get(retention::privacy),
            Route::new(File, "/static/{name}").get(assets::asset),
            Route::new(Probe, "/livez").get(async || "alive\n"),
            Route::new(Probe, "/readyz").get(ready),
        ]
    }

    /// The route table, with everything around it.
    pub fn router(&self) -> Router {
        web::router(Self::routes(), self)
    }
}

/// Whether requests can be answered: the database is there, and nobody asked us to stop.
async fn ready(State(app): State<App>) -> Response {
    const PATIENCE: Duration = Duration::from_secs(1);
    if app.0.stopping.is_cancelled() || !app.db().answers(PATIENCE).await {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::RETRY_AFTER, "10")],
            Extension(Plain),
            "not ready\n",
        )
            .into_response();
    }
    "ready\n".into_response()
}
