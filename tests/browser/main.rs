//! Tests the portal in a real browser.
//!
//! Needs Chromium, chromedriver and the npm packages of `static/source` and `tests/oidc` (`make test`
//! installs these packages). Each test has a portal on a database of its own and a browser with a profile of its
//! own. Pictures and print-outs go to `$BROWSER_OUT`, by default to cargo's scratch folder.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod desk;
mod gallery;
mod hypertext;
mod injection;
mod journeys;
mod kept;
mod keyboard;
mod live;
mod matrix;
mod paper;
mod readiness;
mod service;
mod single_sign_on;
mod staff;
mod support;

/// Database and in-process requests, shared with the tests of the portal.
#[expect(dead_code, reason = "those tests use more of it")]
#[path = "../portal/support/mod.rs"]
mod portal_support;
