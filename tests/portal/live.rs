//! Checks that all who wait for a request learn of its changes at once, in whatever process they
//! happen.

pub(crate) mod files;
mod many;
mod stream;

use std::time::Duration;

use axum::{
    Router,
    body::{Body, BodyDataStream},
    http::{HeaderMap, Request, StatusCode},
};
use futures_util::StreamExt as _;
use pic_portal::{
    app::App,
    db::{Database, Opening, notify::Notifier},
    provisioning::worker::Worker,
};
use serde_json::Value;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use crate::support::app::{TestApp, WAITS};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
/// Long enough for anything that happens at all, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event of a stream; a comment or a retry has no name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    name: String,
    id: String,
    data: String,
    retry: String,
    is_comment: bool,
}

impl Event {
    fn read(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(found, _)| *found == name);
            found.map_or(String::new(), |(_, value)| value.trim_start().into())
        };
        Self {
            name: field("event"),
            id: field("id"),
            data: field("data"),
            retry: field("retry"),
            is_comment: text.starts_with(':'),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }

    /// The name and the content in short: a standing, or what happened.
    fn brief(&self) -> String {
        let json = self.json();
        let told = json.get("standing").unwrap_or(&json["code"]);
        format!("{} {} {}", self.id, self.name, told.as_str().unwrap())
    }
}

/// An open stream.
struct Stream {
    headers: HeaderMap,
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(router: &Router, reference: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(format!("/requests/{reference}/stream"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            headers: response.headers().clone(),
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next block, whatever it is; `None` at the end.
    async fn block(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(Event::read(&block));
            }
            let next = timeout(PATIENCE, self.body.next()).await;
            let part = next.expect("something is said, if only that we live")?;
            self.text += std::str::from_utf8(&part.unwrap()).unwrap();
        }
    }

    /// The next event that has a name.
    async fn event(&mut self) -> Event {
        let named = async {
            loop {
                let event = self.block().await.expect("the stream goes on");
                if !event.name.is_empty() {
                    return event;
                }
            }
        };
        timeout(PATIENCE * 2, named)
            .await
            .expect("more than signs of life")
    }

    /// Events up to the next `status`, in brief.
    async fn until_status(&mut self) -> Vec<String> {
        let mut briefs = Vec::new();
        loop {
            let event = self.event().await;
            briefs.push(event.brief());
            if event.name == "status" {
                return briefs;
            }
        }
    }
}

/// Another process on the database of a test, with a background task of its own.
struct Instance {
    app: App,
    router: Router,
    notifier: Notifier,
    _stopped: DropGuard,
    _running: JoinHandle<()>,
}

impl Instance {
    async fn beside(portal: &TestApp) -> Self {
        let opening = Opening {
            pool: 10,
            allow_unsafe: true,
        };
        let db = Database::open(portal.db().options(), &opening)
            .await
            .unwrap();
        let (notifier, stop) = (Notifier::default(), CancellationToken::new());
        let worker = Worker::new(db.pool.clone(), WAITS, notifier.clone())
            .with_checks(portal.app.site().checks.clone());
        let app = App::new(db, portal.app.site().clone(), notifier.clone());
        Self {
            router: pic_portal::routes::router(&app),
            app,
            notifier,
            _running: tokio::spawn(worker.run(stop.clone())),
            _stopped: stop.drop_guard(),
        }
    }
}
