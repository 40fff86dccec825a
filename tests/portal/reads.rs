//! Checks that an unchanged page costs almost nothing, and that a changed one is always sent.

mod constant;
mod statements;
mod tags;

use axum::{
    body::Body,
    http::{Method, Request},
};

use crate::support::app::{Answer, TestApp};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const JSON: (&str, &str) = ("accept", "application/json");

async fn ask(portal: &TestApp, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    portal.send(request.body(Body::empty()).unwrap()).await
}

async fn get(portal: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(portal, Method::GET, path, headers).await
}

/// A response's headers, except for those that are unique to it.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let passing = ["x-request-id", "date"];
    let pairs = answer
        .headers
        .iter()
        .filter(|(name, _)| !passing.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    pairs.collect()
}
