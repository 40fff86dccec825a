//! The HTTP client that asks the OpenID provider.
//!
//! TLS by rustls with the roots of the system, so that a company's own authority counts
//! (`SSL_CERT_FILE` names others). It follows no redirects, reads no more than `LONGEST`, and
//! gives up after `PATIENCE`.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pooled, connect::HttpConnector},
    rt::TokioExecutor,
};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use tokio::time::timeout;

/// How long the provider may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// The provider gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the OpenID provider gives no answer")]
pub struct Away;

/// Sends requests to the provider. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(Pooled<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Client {
    /// A client; `plain`: the provider is on this machine, and may be asked without TLS.
    ///
    /// # Errors
    ///
    /// The system has no roots.
    pub fn new(plain: bool) -> std::io::Result<Self> {
        let roots = HttpsConnectorBuilder::new().with_native_roots()?;
        let schemes = if plain {
            roots.https_or_http()
        } else {
            roots.https_only()
        };
        let connector = schemes.enable_http1().build();
        let mut client = Pooled::builder(TokioExecutor::new());
        // A connection that was kept may be closed just when the next code is sent over it.
        client.pool_max_idle_per_host(0);
        Ok(Self(client.build(connector)))
    }

    /// Sends `request` and reads the whole answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Away> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let asked = async {
            let (head, body) = self.0.request(request).await.ok()?.into_parts();
            let body = Limited::new(body, LONGEST).collect().await.ok()?;
            Some(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
        };
        timeout(PATIENCE, asked).await.ok().flatten().ok_or(Away)
    }
}

impl<'c> AsyncHttpClient<'c> for Client {
    type Error = Away;
    type Future = BoxFuture<'c, Result<HttpResponse, Away>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
