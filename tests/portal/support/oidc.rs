//! Runs the OpenID provider of the tests, and goes there as a browser does.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use axum::http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use pic_portal::web::sign_in::{ClientSecret, Oidc};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// The provider as a process; it ends with this.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    child: Child,
    /// Kept, so that it can write to it.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Provider {
    /// Starts it. `arguments`: `--user-info-only` for claims at `UserInfo` alone.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
        let is_there = folder.join("node_modules/oidc-provider").exists();
        assert!(is_there, "the provider is missing: make node_modules");
        let mut child = Command::new("node")
            .arg("provider.mjs")
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let issuer = lines.next_line().await.unwrap();
        let issuer = issuer.expect("the provider gets ready");
        Self {
            issuer,
            child,
            _lines: lines,
        }
    }

    /// Ends it.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// The settings of a portal that signs staff in there.
    pub(crate) fn settings(&self) -> Oidc {
        settings(&self.issuer)
    }

    /// Says who signs in from now on.
    pub(crate) async fn person(&self, person: Value) {
        let mut browser = Browser::default();
        let address = format!("{}/test/person", self.issuer);
        let answer = browser.send("POST", &address, person.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    /// The logout tokens that it has sent.
    pub(crate) async fn logouts(&self) -> Vec<String> {
        let address = format!("{}/test/logouts", self.issuer);
        let answer = Browser::default().send("GET", &address, "").await;
        serde_json::from_str(&answer.body).unwrap()
    }
}

/// The settings of a portal that signs staff in at the provider with this issuer.
pub(crate) fn settings(issuer: &str) -> Oidc {
    Oidc {
        issuer: issuer.into(),
        client_id: "pic-portal".into(),
        client_secret: ClientSecret("the secret of the portal".into()),
        groups_claim: "groups".into(),
        readers: vec!["desk-readers".into()],
        agents: vec!["desk-agents".into()],
        name_claim: None,
        step_up: None,
        acr: None,
    }
}

/// What the provider answers.
struct Said {
    status: StatusCode,
    location: String,
    body: String,
}

/// A browser at the provider, with its cookies there.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn send(&mut self, method: &str, address: &str, body: impl Into<String>) -> Said {
        let cookies = self.cookies.iter();
        let cookies: Vec<_> = cookies.map(|(name, it)| format!("{name}={it}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(address)
            .header(header::COOKIE, cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body.into())))
            .unwrap();
        let client: Client<HttpConnector, _> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get(header::LOCATION);
        let location = location.map_or("", |it| it.to_str().unwrap()).to_owned();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Said {
            status,
            location,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Goes to `address` at the provider and wherever that leads there; returns the address below
    /// `/staff` to which it is sent back.
    pub(crate) async fn go(&mut self, provider: &Provider, address: &str) -> String {
        let mut address = address.to_owned();
        for _ in 0..10 {
            let answer = self.send("GET", &address, "").await;
            assert!(answer.status.is_redirection(), "{address}: {}", answer.body);
            let path = answer.location.find("/staff/sign-in/oidc/callback");
            if let Some(path) = path {
                return answer.location[path..].to_owned();
            }
            address = if answer.location.starts_with('/') {
                format!("{}{}", provider.issuer, answer.location)
            } else {
                answer.location
            };
        }
        panic!("the provider leads round and round");
    }

    /// Signs out at the provider, which tells the portal.
    pub(crate) async fn sign_out(&mut self, provider: &Provider) {
        let end = format!("{}/session/end", provider.issuer);
        let page = self.send("GET", &end, "").await;
        let (_, xsrf) = page.body.split_once("name=\"xsrf\" value=\"").unwrap();
        let (xsrf, _) = xsrf.split_once('"').unwrap();
        let fields = format!("xsrf={xsrf}&logout=yes");
        let done = self.send("POST", &format!("{end}/confirm"), fields).await;
        assert!(done.status.is_redirection(), "{}", done.body);
    }
}
