//! The state of the application, of which each handler takes the parts it needs.
//!
//! A handler's signature says what it touches: each part is a state of its own
//! ([`axum::extract::FromRef`]), such as `State<PgPool>` or `State<Queue>`. No module below imports
//! this one.

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    db::{Database, PgPool, notify::Notifier},
    gateway::publish::Publication,
    request::{
        live::Hub,
        loader::RequestLoader,
        pages::{BlankForm, Edition},
        queue::{self, Queue},
    },
    secret::Secret,
    staff::{login_throttle::LoginThrottle, oidc::provider::Provider},
    web::{Around, metrics::Meter, site::Site},
};

/// The state that all handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    site: Arc<Site>,
    notifier: Notifier,
    loader: RequestLoader,
    blank_form: BlankForm,
    edition: Edition,
    queue: Queue,
    hub: Hub,
    publication: Publication,
    gate: Arc<LoginThrottle>,
    provider: Option<Arc<Provider>>,
    around: Around,
    draining: CancellationToken,
    stopping: CancellationToken,
}

impl App {
    /// An application on `db`, whose submits wake the background task through `notifier`.
    #[must_use]
    pub fn new(db: Database, site: Site, notifier: Notifier) -> Self {
        Self::with_queue(db, site, notifier, queue::Limits::default(), None)
    }

    /// Like [`App::new`], with limits for how much is stored at once and how much may wait for it,
    /// and with a runtime for the queue's writers: see [`Queue::new`].
    #[must_use]
    pub fn with_queue(
        db: Database,
        site: Site,
        notifier: Notifier,
        limits: queue::Limits,
        runtime: Option<Handle>,
    ) -> Self {
        let site = Arc::new(site);
        let stopping = CancellationToken::new();
        Self(Arc::new(Inner {
            hub: Hub::new(&db.pool, &site, &notifier, &stopping),
            publication: Publication::new(
                db.pool.clone(),
                notifier.clone(),
                site.gateway_silent,
                stopping.clone(),
            ),
            loader: RequestLoader::new(&db.pool),
            blank_form: BlankForm::default(),
            edition: Edition::of(&site),
            queue: Queue::new(db.pool.clone(), notifier.clone(), limits, runtime),
            gate: Arc::new(LoginThrottle::new(site.throttle.clock.clone())),
            provider: provider(&site),
            around: Around::new(&site),
            db,
            site,
            notifier,
            draining: CancellationToken::new(),
            stopping,
        }))
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Database {
        &self.0.db
    }

    /// The settings that pages show or depend on.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.0.site
    }

    /// Loads requests.
    #[must_use]
    pub fn loader(&self) -> &RequestLoader {
        &self.0.loader
    }

    /// The state of the middleware around every handler.
    #[must_use]
    pub fn around(&self) -> &Around {
        &self.0.around
    }

    /// Counts responses.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        self.0.around.meter()
    }

    /// Limits sign-in attempts of the staff.
    #[must_use]
    pub fn gate(&self) -> &LoginThrottle {
        &self.0.gate
    }

    /// The queue of submissions that wait to be stored.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// Wakes the background task and live pages, in this process and in others.
    #[must_use]
    pub fn notifier(&self) -> &Notifier {
        &self.0.notifier
    }

    /// The live streams.
    #[must_use]
    pub fn live(&self) -> &Hub {
        &self.0.hub
    }

    /// What is published to gateways.
    #[must_use]
    pub fn publication(&self) -> &Publication {
        &self.0.publication
    }

    /// Makes `/readyz` answer 503 from now on, so that no new requests are sent here.
    pub fn drain(&self) {
        self.0.draining.cancel();
    }

    /// Ends the live streams, as part of stopping; like [`App::drain`] otherwise.
    pub fn stop(&self) {
        self.drain();
        self.0.stopping.cancel();
    }

    /// Whether requests can be answered: the database answers within `patience`, and the portal is
    /// not stopping.
    pub async fn is_ready(&self, patience: Duration) -> bool {
        !self.0.draining.is_cancelled() && self.0.db.answers(patience).await
    }
}

/// The OpenID provider of the settings, if there is one.
fn provider(site: &Site) -> Option<Arc<Provider>> {
    let oidc = site.sign_in.oidc.as_ref()?;
    Provider::new(oidc, &site.public_url).map(Arc::new)
}

/// Makes each part of the state available to handlers by its type.
macro_rules! parts {
    ($($part:ty: $app:ident => $value:expr;)*) => {$(
        impl FromRef<App> for $part {
            fn from_ref($app: &App) -> Self {
                $value
            }
        }
    )*};
}

parts! {
    PgPool: app => app.0.db.pool.clone();
    Secret: app => app.0.db.secret.clone();
    Arc<Site>: app => Arc::clone(&app.0.site);
    Notifier: app => app.0.notifier.clone();
    RequestLoader: app => app.0.loader.clone();
    BlankForm: app => app.0.blank_form.clone();
    Edition: app => app.0.edition.clone();
    Queue: app => app.0.queue.clone();
    Hub: app => app.0.hub.clone();
    Publication: app => app.0.publication.clone();
    Arc<LoginThrottle>: app => Arc::clone(&app.0.gate);
    Option<Arc<Provider>>: app => app.0.provider.clone();
}
