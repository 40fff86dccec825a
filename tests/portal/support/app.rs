//! How does a test use the portal as a browser does, and step what happens behind it?

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use pic_portal::{
    app::{App, Site},
    config::Origin,
    db::{Database, MIGRATOR, Opening},
    provisioning::{
        store::{Settled, Waits},
        worker::{Waker, Worker},
    },
    request::Clocks,
    web::limit::Throttle,
};
use sqlx::{AssertSqlSafe, PgPool};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::db::TestDb;

/// The settings of a portal under test: the defaults of the contract.
pub(crate) const CLOCKS: Clocks = Clocks {
    promise: Duration::from_secs(48 * 3600),
    expiry: Duration::from_secs(30 * 24 * 3600),
};
pub(crate) const WAITS: Waits = Waits {
    expiry: CLOCKS.expiry,
    first: Duration::from_secs(30),
    longest: Duration::from_secs(3600),
};

/// A portal on a database of its own, without sockets; its background task is stepped by hand.
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) router: Router,
    db: TestDb,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The value of the first attribute `name` in the page.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    }

    /// The reference in the address that the answer leads to.
    pub(crate) fn reference(&self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.header("location")
            .split('/')
            .nth(2)
            .unwrap()
            .to_owned()
    }

    /// The cookies that the answer sets, as a `Cookie` header.
    pub(crate) fn cookie(&self) -> String {
        let set = self
            .headers
            .get(header::SET_COOKIE)
            .unwrap()
            .to_str()
            .unwrap();
        set.split(';').next().unwrap().to_owned()
    }
}

/// The fields of a form, in order.
pub(crate) type Fields<'a> = Vec<(&'a str, &'a str)>;

/// A whole request for these edges with their domains.
pub(crate) fn request<'a>(submission: &'a str, edges: &[(&'a str, &'a str)]) -> Fields<'a> {
    let mut fields = vec![("programme", "volume_licensing"), ("number", "1234567")];
    for (edge, domains) in edges {
        fields.extend([("edge", *edge), ("domains", *domains)]);
    }
    fields.extend([
        ("deployment", "on_premises"),
        ("terms", "on"),
        ("submission_id", submission),
        ("action", "submit"),
    ]);
    fields
}

/// A new submission id.
pub(crate) fn submission_id() -> String {
    Uuid::new_v4().to_string()
}

impl TestApp {
    /// Without limits by network: most tests are one client that does a lot.
    pub(crate) async fn new() -> Self {
        Self::with(Throttle::none()).await
    }

    pub(crate) async fn with(throttle: Throttle) -> Self {
        let db = TestDb::fresh(&MIGRATOR).await;
        let opening = Opening {
            pool: 10,
            allow_unsafe: true,
        };
        let database = Database::open(db.options(), &opening).await.unwrap();
        let site = Site {
            public_url: Origin::parse("http://portal.test").unwrap(),
            provider: "Skype".into(),
            support: None,
            notice: None,
            clocks: CLOCKS,
            throttle,
        };
        let app = App::new(database, site, Waker::default());
        let router = app.router();
        Self { app, router, db }
    }

    /// The database, for another process.
    pub(crate) fn db(&self) -> &TestDb {
        &self.db
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.app.db().pool
    }

    /// One background task on the database; a test may have several.
    pub(crate) fn worker(&self) -> Worker {
        Worker::new(self.pool().clone(), WAITS, Waker::default())
    }

    /// Lets the background task do all that is due.
    pub(crate) async fn work(&self) -> Settled {
        self.worker().drain().await.unwrap()
    }

    /// Moves the database's clock on, for every connection at once.
    pub(crate) async fn advance(&self, by: Duration) {
        let ahead: f64 =
            sqlx::query_scalar("SELECT extract(epoch FROM pic_now() - clock_timestamp())::float8")
                .fetch_one(self.pool())
                .await
                .unwrap();
        let ahead = ahead.round() + by.as_secs_f64();
        let sql = format!(
            "CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE \
             RETURN clock_timestamp() + interval '{ahead} seconds'"
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(self.pool())
            .await
            .unwrap();
    }

    /// A whole number from the database.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// Like `get`, with cookies.
    pub(crate) async fn get_with(&self, path: &str, cookie: &str) -> Answer {
        self.send(
            Request::get(path)
                .header("cookie", cookie)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_html_form::to_string(fields).unwrap();
        let request = Request::post(path)
            .header("host", "portal.test")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    /// Submits a request; its reference and its management key.
    pub(crate) async fn submit(&self, edges: &[(&str, &str)]) -> (String, String) {
        let id = submission_id();
        let sent = self.post("/requests/new", &request(&id, edges)).await;
        let reference = sent.reference();
        let receipt = self
            .get_with(&format!("/requests/{reference}/receipt"), &sent.cookie())
            .await;
        let key = receipt
            .attribute("data-management-key")
            .expect("the key is on the receipt");
        (reference, key.to_owned())
    }

    /// What the status page says the state is.
    pub(crate) async fn state(&self, reference: &str) -> String {
        let page = self.get(&format!("/requests/{reference}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        page.attribute("data-state")
            .expect("a state on the page")
            .to_owned()
    }
}
