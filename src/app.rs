//! What do the handlers share, and which handler answers which address?

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    config::Origin,
    db::Database,
    error::Error,
    help::pages as help,
    names::SipDomain,
    provisioning::worker::Waker,
    request::{Clocks, pages},
    web::{
        self, assets,
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
    /// Domains whose addresses the address tool leaves as they are.
    pub plain_domains: Vec<SipDomain>,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    site: Site,
    waker: Waker,
    stopping: AtomicBool,
}

impl App {
    /// An application on `db`, whose submits wake the background task through `waker`.
    #[must_use]
    pub fn new(db: Database, site: Site, waker: Waker) -> Self {
        Self(Arc::new(Inner {
            db,
            site,
            waker,
            stopping: AtomicBool::new(false),
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

    /// Tells the background task that there is something to do.
    pub fn wake(&self) {
        self.0.waker.wake();
    }

    /// From now on `/readyz` says no, so that no new requests are sent here.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// What stands around a page of `section`.
    #[must_use]
    pub fn shell(&self, section: Section) -> Shell<'_> {
        Shell {
            provider: &self.site().provider,
            notice: self.site().notice.as_deref(),
            checks_notice: Some(
                "Readiness checks are off: a request is provisioned without looking at DNS or certificates.",
            ),
            section,
            error: false,
        }
    }

    /// The route table, with everything around it.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .route("/", get(pages::start))
            .route("/requests/new", get(pages::form).post(pages::send_form))
            .route("/requests/{reference}", get(pages::status))
            .route("/requests/{reference}/receipt", get(pages::receipt))
            .route(
                "/requests/{reference}/receipt.txt",
                get(pages::receipt_text),
            )
            .route("/requests/{reference}/withdraw", post(pages::withdraw))
            .route("/status", get(pages::find))
            .route("/help", get(help::contents))
            .route("/help/{topic}", get(help::topic))
            .route(
                "/help/address",
                get(help::address).post(help::write_address),
            )
            .route("/help/reasons/{reason}", get(help::reason))
            .route("/help/findings/{code}", get(help::finding))
            .route("/static/{file}", get(assets::asset))
            .fallback(|| async { Error::NoPage });
        let probes = Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(ready));
        web::layers(routes, probes, self)
    }
}

/// Whether requests can be answered: the database is there, and nobody asked us to stop.
async fn ready(State(app): State<App>) -> Response {
    const PATIENCE: Duration = Duration::from_secs(1);
    if app.0.stopping.load(Ordering::Relaxed) || !app.db().answers(PATIENCE).await {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response();
    }
    "ready\n".into_response()
}
