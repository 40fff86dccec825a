//! Checks that gateways get exactly the routes in force, and that it is known which has loaded what.

mod agent;
mod away;
mod beside;
mod cost;
mod http;
mod live;
mod together;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use pic_portal::gateway::{GatewayName, GatewayToken, store};
use serde_json::Value;

use crate::support::app::{Answer, TestApp};

/// A gateway of a test.
pub(crate) struct Gateway {
    token: String,
}

impl Gateway {
    /// Registers it.
    pub(crate) async fn add(portal: &TestApp, name: &str) -> Self {
        let (name, token) = (GatewayName::parse(name).unwrap(), GatewayToken::random());
        let added = store::add(portal.pool(), &name, &token).await;
        assert!(added.unwrap(), "it is new");
        Self {
            token: token.reveal(),
        }
    }

    /// Asks with these headers.
    async fn ask(&self, portal: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request =
            Request::get(path).header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        portal.send(request.body(Body::empty()).unwrap()).await
    }

    /// The whole set; the gateway has loaded nothing.
    async fn whole(&self, portal: &TestApp) -> Value {
        let answer = self.ask(portal, "/gateway/routes", &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// What has changed since `version`, which it has loaded.
    async fn changes(&self, portal: &TestApp, version: &str) -> Value {
        let path = format!("/gateway/changes?since={version}");
        let answer = self.ask(portal, &path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Notes that it has loaded the newest publication.
    pub(crate) async fn load(&self, portal: &TestApp) {
        let version = version(&self.whole(portal).await);
        self.changes(portal, &version).await;
    }
}

/// The version of an answer.
fn version(answer: &Value) -> String {
    answer["version"].as_str().unwrap().to_owned()
}

/// Provisions a request for these edges, and publishes; returns its reference.
async fn provision(portal: &TestApp, edges: &[(&str, &str)]) -> String {
    let reference = portal.store_one(edges).await;
    assert_eq!(portal.work().await.provisioned, 1);
    publish(portal).await;
    reference
}

/// A turn of the publisher.
pub(crate) async fn publish(portal: &TestApp) -> store::Turn {
    portal.app.publication().step().await.unwrap()
}
