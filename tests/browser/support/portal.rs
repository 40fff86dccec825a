//! Serves a portal for the browser of a test.

use std::net::SocketAddr;

use axum::{Router, response::Html};
use pic_portal::{
    server::{HttpServer, Limits},
    web::{origin::Origin, site::Site},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{browser::Browser, page::Page};
use crate::portal_support::app::TestApp;

/// The real router behind the real accept loop, on a database of its own. Ends with the test.
pub(crate) struct Portal {
    pub(crate) app: TestApp,
    pub(crate) origin: String,
    stop: CancellationToken,
    _stopped: DropGuard,
}

impl Portal {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Site)) -> Self {
        let listener = listen("127.0.0.1").await;
        let address = listener.local_addr().unwrap();
        let app = TestApp::with(|site| {
            site.public_url = Origin::of(address);
            change(site);
        })
        .await;
        let stop = CancellationToken::new();
        tokio::spawn(HttpServer::new(Limits::default()).serve(
            listener,
            app.router.clone(),
            stop.clone(),
        ));
        Self {
            app,
            origin: origin(address),
            _stopped: stop.clone().drop_guard(),
            stop,
        }
    }

    /// A browser of its own, and its page at this portal.
    pub(crate) async fn browser(&self) -> (Browser, Page) {
        let browser = Browser::start().await;
        let page = Page::new(&browser, &self.origin);
        (browser, page)
    }

    /// Runs the background task with the portal's checks, woken by submits, until the test ends.
    pub(crate) fn run_worker(&self) {
        tokio::spawn(self.app.own_worker().run(self.stop.clone()));
    }
}

/// Serves another router on another origin; returns its address.
pub(crate) async fn serve(host: &str, router: Router) -> String {
    let listener = listen(host).await;
    let address = listener.local_addr().unwrap();
    // It ends with the test's own runtime.
    tokio::spawn(HttpServer::new(Limits::default()).serve(
        listener,
        router,
        CancellationToken::new(),
    ));
    origin(address)
}

/// A foreign site with an empty page.
pub(crate) async fn foreign(host: &str) -> String {
    const EMPTY: &str = "<!DOCTYPE html><html lang=en><link rel=icon href=data:,><title>Elsewhere</title><h1>Elsewhere</h1>";
    serve(host, Router::new().fallback(async || Html(EMPTY))).await
}

async fn listen(host: &str) -> TcpListener {
    TcpListener::bind((host, 0)).await.unwrap()
}

fn origin(address: SocketAddr) -> String {
    format!("http://{address}")
}
