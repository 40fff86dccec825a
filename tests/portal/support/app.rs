//! A portal under test: used as a browser does, with its background task stepped by hand.

use std::{fmt::Write as _, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use pic_portal::{
    app::App,
    clock::Clocks,
    db::{Database, MIGRATOR, Opening, PgPool, notify::Notifier},
    names::SipDomain,
    provisioning::{
        store::{Settled, Waits},
        worker::Worker,
    },
    readiness::engine::Checks,
    request::{
        Asked,
        form::RequestForm,
        queue,
        reference::SubmissionId,
        store::{self, Submission, Submitted},
    },
    web::{
        about::About,
        limit::Throttle,
        origin::Origin,
        sign_in::StaffSignIn,
        site::{Site, StreamLimits},
    },
};
use sqlx::{
    AssertSqlSafe, FromRow,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgRow},
};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::{
    db::TestDb,
    html::{self, Element},
    proxy::{Proxy, Target},
    sql,
};

/// The settings of a portal under test: the defaults of the contract.
pub(crate) const CLOCKS: Clocks = Clocks {
    promise: Duration::from_hours(48),
    expiry: Duration::from_hours(30 * 24),
};
pub(crate) const WAITS: Waits = Waits {
    expiry: CLOCKS.expiry,
    first: Duration::from_secs(30),
    longest: Duration::from_hours(1),
};

/// A migrator without migrations, for an empty database.
pub(crate) static EMPTY: Migrator = Migrator {
    locking: false,
    ..Migrator::DEFAULT
};

/// A portal on a database of its own, without sockets; its background task is stepped by hand.
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) notifier: Notifier,
    db: TestDb,
}

/// Moves the clock of a database forwards, for every process that works on it.
pub(crate) async fn advance(pool: &PgPool, by: Duration) {
    let ahead: f64 = sql::one(
        pool,
        "SELECT extract(epoch FROM pic_now() - clock_timestamp())::float8",
    )
    .await;
    let ahead = ahead.round() + by.as_secs_f64();
    let sql = format!(
        "CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE \
         RETURN clock_timestamp() + interval '{ahead} seconds'"
    );
    sql::run(pool, &sql).await;
}

/// Every row of every table as text, including what PostgreSQL keeps about columns; to search for
/// what must be in none.
pub(crate) async fn everything(pool: &PgPool) -> String {
    let tables: Vec<String> = sql::all(
        pool,
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'm') AND
             (relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
              OR relname = 'pg_statistic')",
    )
    .await;
    let mut all = String::new();
    for table in tables {
        let rows = format!("SELECT coalesce(string_agg(t::text, E'\n'), '') FROM {table} AS t");
        let rows: String = sql::one(pool, &rows).await;
        let _ = writeln!(all, "{table}:\n{rows}");
    }
    all
}

/// A response.
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

    /// Every cookie that the response sets, unparsed.
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let set = self.headers.get_all(header::SET_COOKIE);
        set.iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Asserts that the body has `text` in it.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        assert!(self.body.contains(text), "no {text:?} in {}", self.body);
    }

    /// Asserts that the body does not have `text` in it.
    #[track_caller]
    pub(crate) fn hides(&self, text: &str) {
        assert!(!self.body.contains(text), "{text:?} in {}", self.body);
    }

    /// Asserts that the body has each of these texts in it.
    #[track_caller]
    pub(crate) fn shows_each<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) {
        texts.into_iter().for_each(|it| self.shows(it.as_ref()));
    }

    /// Asserts that the body has none of these texts in it.
    #[track_caller]
    pub(crate) fn hides_each<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) {
        texts.into_iter().for_each(|it| self.hides(it.as_ref()));
    }

    /// The elements of the page, in order.
    pub(crate) fn elements(&self) -> Vec<Element> {
        html::elements(&self.body)
    }

    /// The hidden fields of the page, in order, as a browser would send them.
    pub(crate) fn hidden(&self) -> Vec<(String, String)> {
        let elements = self.elements().into_iter();
        elements
            .filter(|it| it.name == "input" && it.get("type") == Some("hidden"))
            .map(|field| {
                let name = field.get("name").unwrap();
                (name.to_owned(), field.value().to_owned())
            })
            .collect()
    }

    /// Whether the page begins with a summary of errors that links to the field with this id.
    pub(crate) fn blames(&self, id: &str) -> bool {
        let link = format!("#{id}");
        let elements = self.elements().into_iter();
        let mut headed = elements.skip_while(|it| !it.has_class("govuk-error-summary"));
        headed.any(|it| it.name == "a" && it.get("href") == Some(&link))
    }

    /// The codes and severities of the findings, in the order of the page.
    pub(crate) fn findings(&self) -> Vec<(&str, &str)> {
        let parts = self.body.split("data-finding=\"").skip(1);
        parts
            .map(|rest| {
                let (code, rest) = rest.split_once('"').unwrap();
                let severity = rest.strip_prefix(" data-severity=\"").unwrap();
                (code, severity.split_once('"').unwrap().0)
            })
            .collect()
    }

    /// The value of the first attribute `name` in the page.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    }

    /// The reference in the address that the response redirects to.
    pub(crate) fn reference(&self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.header("location")
            .split('/')
            .nth(2)
            .unwrap()
            .to_owned()
    }

    /// The cookies that the response sets, as a `Cookie` header.
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

/// `text` escaped as the templates do it.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '&' | '\'' | '<' | '>' => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The fields of a form, in order.
pub(crate) type Fields<'a> = Vec<(&'a str, &'a str)>;

/// The first `status` event of a stream, which has no end; empty if the stream has none.
async fn first_status(mut body: Body) -> Bytes {
    while let Some(frame) = body.frame().await {
        let part = frame.unwrap().into_data().unwrap();
        if part.starts_with(b"event: status\n") {
            return part;
        }
    }
    Bytes::new()
}

/// A complete request for these edges with their domains.
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
    /// A portal without limits by network: most tests are one client that does a lot.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A portal with the public address `origin`.
    pub(crate) async fn at(origin: &str) -> Self {
        let origin = Origin::parse(origin).unwrap();
        Self::with(|site| site.public_url = origin).await
    }

    /// A portal with the default settings, changed by `change`.
    pub(crate) async fn with(change: impl FnOnce(&mut Site)) -> Self {
        let db = TestDb::fresh(&MIGRATOR).await;
        let options = db.options();
        // Boxed: many tests await this future next to much else.
        Box::pin(Self::on(db, options, change, queue::Limits::default())).await
    }

    /// A portal that checks like this.
    pub(crate) async fn checking(checks: Checks) -> Self {
        Self::with(|site| site.checks = checks).await
    }

    /// A portal with these limits for its queue.
    pub(crate) async fn with_queue(limits: queue::Limits) -> Self {
        let db = TestDb::fresh(&MIGRATOR).await;
        let options = db.options();
        Box::pin(Self::on(db, options, |_| {}, limits)).await
    }

    /// A portal with a proxy between it and its database.
    pub(crate) async fn behind_a_proxy() -> (Self, Proxy) {
        let db = TestDb::fresh(&MIGRATOR).await;
        let proxy = Proxy::to(Target::of(&db.options())).await;
        let options = proxy.options(&db.options());
        let portal = Self::on(db, options, |_| {}, queue::Limits::default()).await;
        (portal, proxy)
    }

    /// A portal that reaches `db` by these options.
    pub(crate) async fn on(
        db: TestDb,
        options: PgConnectOptions,
        change: impl FnOnce(&mut Site),
        limits: queue::Limits,
    ) -> Self {
        let opening = Opening {
            pool: 10,
            allow_unsafe: true,
        };
        let database = Database::open(options, &opening).await.unwrap();
        let mut site = Site {
            public_url: Origin::parse("http://portal.test").unwrap(),
            provider: "Skype".into(),
            support: None,
            notice: None,
            clocks: CLOCKS,
            throttle: Throttle::none(),
            plain_domains: ["msn.com", "outlook.com", "live.com", "hotmail.com"]
                .map(|name| SipDomain::parse_any(name).unwrap())
                .into(),
            about: About {
                consumer_accounts: true,
                ..About::default()
            },
            sign_in: StaffSignIn::default(),
            sweep: Duration::from_hours(1),
            gateway_silent: Duration::from_mins(5),
            checks: Checks::Off,
            live: StreamLimits::default(),
        };
        change(&mut site);
        let notifier = Notifier::default();
        let app = App::with_queue(database, site, notifier.clone(), limits, None);
        let router = pic_portal::routes::router(&app);
        Self {
            app,
            router,
            notifier,
            db,
        }
    }

    /// The database, for another process.
    pub(crate) fn db(&self) -> &TestDb {
        &self.db
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.app.db().pool
    }

    /// A background task on the database; a test may have several.
    pub(crate) fn worker(&self) -> Worker {
        Worker::new(self.pool().clone(), WAITS, Notifier::default())
            .with_checks(self.app.site().checks.clone())
    }

    /// The portal's own background task, which its submits wake; with connections of its own.
    pub(crate) fn own_worker(&self) -> Worker {
        Worker::new(self.db.pool().clone(), WAITS, self.notifier.clone())
            .with_checks(self.app.site().checks.clone())
    }

    /// Runs the background task until nothing is due.
    pub(crate) async fn work(&self) -> Settled {
        self.worker().drain().await.unwrap()
    }

    /// Moves the database's clock forwards, for all connections at once.
    pub(crate) async fn advance(&self, by: Duration) {
        advance(self.pool(), by).await;
    }

    /// An integer from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        sql::number(self.pool(), sql).await
    }

    /// A value from the database.
    pub(crate) async fn one<T: Send + Unpin>(&self, sql: &str) -> T
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        sql::one(self.pool(), sql).await
    }

    /// A column from the database.
    pub(crate) async fn all<T: Send + Unpin>(&self, sql: &str) -> Vec<T>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        sql::all(self.pool(), sql).await
    }

    /// Rows from the database.
    pub(crate) async fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        sql::rows(self.pool(), sql).await
    }

    /// A column of a query about the request with this reference, which is `$1` in it.
    pub(crate) async fn of_request<T: Send + Unpin>(&self, reference: &str, sql: &str) -> Vec<T>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).bind(reference);
        query.fetch_all(self.pool()).await.unwrap()
    }

    /// The token of the request's service.
    pub(crate) async fn token(&self, reference: &str) -> String {
        let sql = "SELECT token FROM service s JOIN request r ON r.service_id = s.id WHERE reference = $1";
        self.of_request(reference, sql).await.remove(0)
    }

    /// Waits until this many connections to the database wait for a lock.
    pub(crate) async fn blocked(&self, connections: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        super::eventually("somebody waits for a lock", async || {
            (self.number(waiting).await == connections).then_some(())
        })
        .await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let is_stream = parts.headers.get(header::CONTENT_TYPE);
        let body = if is_stream.is_some_and(|kind| kind == "text/event-stream") {
            first_status(body).await
        } else {
            body.collect().await.unwrap().to_bytes()
        };
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

    /// Like `post`, with cookies.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        cookie: &str,
    ) -> Answer {
        let body = serde_html_form::to_string(fields).unwrap();
        let request = Request::post(path)
            .header("host", "portal.test")
            .header("cookie", cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    /// Submits a request; returns its reference and its management key.
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

    /// The submission that the form makes of these edges under this submission id.
    pub(crate) fn submission(&self, id: SubmissionId, edges: &[(&str, &str)]) -> Submission {
        let (edge, domains) = edges
            .iter()
            .map(|&(edge, domains)| (edge.to_owned(), domains.to_owned()))
            .unzip();
        let form = RequestForm {
            programme: "volume_licensing".into(),
            number: "1234567".into(),
            edge,
            domains,
            deployment: "on_premises".into(),
            terms: "on".into(),
            submission_id: id.to_field(),
            action: "submit".into(),
            ..RequestForm::default()
        };
        let checked = form.check().expect("a form that is a request");
        let asked = Asked::Initiate(checked.wanted);
        Submission::new(&self.app.db().secret, &checked.submission, asked)
    }

    /// Stores `count` requests at once, each for a domain of its own, without waking the background
    /// task.
    pub(crate) async fn store(&self, count: usize) {
        let requests: Vec<_> = (0..count)
            .map(|_| {
                let id = SubmissionId::random();
                let domain = format!("d{}.example", &id.to_field()[..13]);
                self.submission(id, &[(&format!("sip.{domain}"), &domain)])
            })
            .collect();
        let stored = store::submit(self.pool(), &requests).await.unwrap();
        let new = |s: &Submitted| matches!(s, Submitted::Stored { created: true, .. });
        assert!(stored.iter().all(new));
    }

    /// Stores one request for these edges; returns its reference.
    pub(crate) async fn store_one(&self, edges: &[(&str, &str)]) -> String {
        let request = self.submission(SubmissionId::random(), edges);
        let stored = store::submit(self.pool(), &[request]).await.unwrap();
        let [Submitted::Stored { reference, .. }] = stored[..] else {
            panic!("it is stored");
        };
        reference.to_string()
    }

    /// Runs SQL statements of a test.
    pub(crate) async fn run(&self, sql: &str) {
        sql::run(self.pool(), sql).await;
    }

    /// The state on the status page.
    pub(crate) async fn state(&self, reference: &str) -> String {
        let page = self.get(&format!("/requests/{reference}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        page.attribute("data-state")
            .expect("a state on the page")
            .to_owned()
    }
}
