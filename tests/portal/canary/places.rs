//! Puts marks into every place of a running portal that accepts data.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::http::{Method, StatusCode};

use crate::support::{
    app::{Answer, Fields, request, submission_id},
    process::{Connection, exchange},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// All places of a running portal.
pub(super) struct Places<'a> {
    pub(super) address: SocketAddr,
    /// A request in force.
    pub(super) reference: &'a str,
    /// A pending request.
    pub(super) pending: &'a str,
    /// The session cookie of an administrator.
    pub(super) session: &'a str,
    /// How often a mark was put somewhere.
    pub(super) planted: &'a AtomicUsize,
}

/// `text` in an address, all of it percent-encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(encoded, "%{byte:02X}");
    }
    encoded
}

impl Places<'_> {
    /// Puts `typed` into all places.
    pub(super) async fn fill(&self, typed: &str) {
        self.fields(typed).await;
        self.other_forms(typed).await;
        self.bodies(typed).await;
        self.addresses(typed).await;
        self.headers(typed).await;
        self.nonsense(typed).await;
    }

    fn count(&self, times: usize) {
        self.planted.fetch_add(times, Relaxed);
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.count(1);
        let answer = exchange(self.address, method, path, headers, body)
            .await
            .unwrap();
        assert!(
            !answer.status.is_server_error(),
            "{method} {path}: {}",
            answer.body
        );
        answer
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_html_form::to_string(fields).unwrap();
        self.ask("POST", path, &[FORM, ("cookie", self.session)], &body)
            .await
    }

    /// Into every field of the request's form, for every button.
    async fn fields(&self, typed: &str) {
        for action in ["submit", "review", "use-these", "add-edge", typed] {
            let id = submission_id();
            let right = request(&id, &[("sip.contoso.com", "contoso.com")]);
            for at in 0..right.len() {
                let mut fields = right.clone();
                fields.last_mut().unwrap().1 = action;
                fields[at].1 = typed;
                // The two declarations in place of the one of programs.
                if at.is_multiple_of(2) {
                    fields.retain(|(name, _)| *name != "terms");
                    fields.splice(0..0, [("licences", typed), ("may_act", typed)]);
                }
                let sent = self.post("/requests/new", &fields).await;
                assert!(
                    sent.status.is_client_error() || sent.status == StatusCode::OK,
                    "{}",
                    sent.status
                );
            }
            for extra in [
                ("contact_email", typed),
                ("phone", typed),
                (typed, "on"),
                (typed, typed),
            ] {
                let mut fields = right.clone();
                fields.last_mut().unwrap().1 = action;
                fields.push(extra);
                self.refused("/requests/new", &fields).await;
            }
        }
    }

    /// A form with an unknown field must be refused as a whole, with the rule, and not echoed.
    async fn refused(&self, path: &str, fields: &[(&str, &str)]) {
        let sent = self.post(path, fields).await;
        assert_eq!(sent.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(
            sent.body
                .contains("so that no contact information can reach it"),
            "{path}: {}",
            sent.body
        );
        let body = sent.body.to_lowercase();
        assert!(
            !body.contains("aviary") && !body.contains("xanthippe"),
            "no echo"
        );
    }

    /// Into the fields of every other form.
    async fn other_forms(&self, typed: &str) {
        let id = submission_id();
        let withdraw = format!("/requests/{}/withdraw", self.pending);
        let edit: Fields<'_> = vec![
            ("edge", "sip.contoso.com"),
            ("domains", "more.contoso.com"),
            ("deployment", "on_premises"),
            ("submission_id", &id),
            ("confirm_edge_change", "on"),
            ("corrects", ""),
            ("corrected_number", "1234567"),
            ("number", "1234567"),
            ("management_key", ""),
            ("action", "submit"),
        ];
        let mut offered = edit.clone();
        offered.last_mut().unwrap().1 = "use-these";
        let forms: [(&str, Fields<'_>); 11] = [
            (&withdraw, vec![("management_key", "")]),
            (
                "/service",
                vec![("number", "1234567"), ("management_key", "")],
            ),
            ("/service/edit", edit),
            ("/service/edit", offered),
            (
                "/service/cancel",
                vec![("confirm", "on"), ("submission_id", &id)],
            ),
            ("/service/key", vec![("confirm", "")]),
            ("/service/watch", vec![("action", "")]),
            ("/help/address", vec![("address", "")]),
            (
                "/check",
                vec![
                    ("domains", "contoso.com"),
                    ("edge", "sip.contoso.com"),
                    ("action", "use-these"),
                ],
            ),
            (
                "/check",
                vec![
                    ("domains", "contoso.com"),
                    ("edge", ""),
                    ("action", "zone-file"),
                ],
            ),
            ("/staff/sign-in", vec![("name", "anna"), ("password", "")]),
        ];
        for (path, right) in forms {
            for at in 0..right.len() {
                let mut fields = right.clone();
                fields[at].1 = typed;
                let sent = self.post(path, &fields).await;
                let through = sent.status.is_redirection() && path != "/service/key";
                assert!(!through, "{path} {}", fields[at].0);
            }
            for extra in [("contact_email", typed), (typed, typed)] {
                let mut fields = right.clone();
                fields.push(extra);
                self.refused(path, &fields).await;
            }
        }
    }

    /// Into bodies that are no forms, or are too large.
    async fn bodies(&self, typed: &str) {
        let json = serde_json::json!({ "number": "1234567", "contact": { "email": typed, typed: [typed] } });
        let part = format!(
            "--b\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n\r\n{typed}\r\n--b--",
            typed.replace(['"', '\0'], ""),
            typed.replace(['"', '\0'], ""),
        );
        let long = format!("domains={}", encoded(typed).repeat(100));
        let malformed = format!("{typed}&&=%zz&{typed}");
        for route in pic_portal::routes::table() {
            if !route.methods().contains(&Method::POST) {
                continue;
            }
            let path = route.path().replace("{reference}", self.pending);
            if path.contains('{') {
                continue;
            }
            for (kind, body) in [
                ("application/json", json.to_string().as_str()),
                ("application/problem+json", &json.to_string()),
                ("multipart/form-data; boundary=b", &part),
                ("text/plain", typed),
                ("application/x-www-form-urlencoded", &malformed),
                ("application/x-www-form-urlencoded", &long),
            ] {
                let headers = [
                    ("content-type", kind),
                    ("accept", "application/json"),
                    ("cookie", self.session),
                ];
                let sent = self.ask("POST", &path, &headers, body).await;
                // Without checks `/check` shows its form again; the support desk redirects to its
                // sign-in.
                let shown = path == "/check" && kind == "application/x-www-form-urlencoded";
                let locked = sent.header("location").starts_with("/staff/");
                assert!(
                    sent.status.is_client_error() || shown || locked,
                    "{path} {kind}: {}",
                    sent.status
                );
            }
        }
        let number = format!("number={}", encoded(typed).repeat(20_000));
        let number = &number[..number.len().min(600_000)];
        // The portal may close the connection before all of it is sent.
        self.count(1);
        let _ = exchange(self.address, "POST", "/requests/new", &[FORM], number).await;
    }

    /// Into addresses: path and query, of all routes.
    async fn addresses(&self, typed: &str) {
        let (reference, typed) = (self.reference, encoded(typed));
        for path in [
            format!("/{typed}"),
            format!("/?{typed}"),
            format!("/static/{typed}"),
            format!("/help/{typed}"),
            format!("/help/reasons/{typed}"),
            format!("/help/findings/{typed}"),
            format!("/privacy?{typed}"),
            format!("/service?mail={typed}"),
            format!("/service/{typed}"),
            format!("/requests/{typed}"),
            format!("/requests/{typed}/receipt"),
            format!("/requests/{typed}/receipt.txt"),
            format!("/requests/{reference}/{typed}"),
            format!("/watch/{typed}/feed.atom"),
            format!("/watch/{typed}/calendar.ics"),
            format!("/requests/{reference}?mail={typed}"),
            format!("/requests/{reference}/receipt?{typed}={typed}"),
            format!("/requests/new?contact_email={typed}"),
            format!("/status?q={typed}"),
            format!("/status?q=contoso.com&mail={typed}"),
            format!("/status?{typed}=contoso.com"),
            format!("/status?q=%ff{typed}"),
            format!("/livez?{typed}"),
            format!("/readyz?{typed}"),
        ] {
            for method in ["GET", "POST"] {
                self.ask(method, &path, &[FORM], &typed).await;
            }
        }
    }

    /// Into headers, of requests that succeed and that fail.
    async fn headers(&self, typed: &str) {
        // A header cannot contain such a byte.
        let typed = typed.replace('\0', "");
        let id = submission_id();
        let wrong = serde_html_form::to_string(request(&id, &[("x", "y")])).unwrap();
        let status = format!("/requests/{}", self.reference);
        for name in [
            "user-agent",
            "referer",
            "cookie",
            "x-forwarded-for",
            "forwarded",
            "from",
            "origin",
            "accept",
            "accept-language",
            "authorization",
            "content-type",
            "if-none-match",
            "last-event-id",
            "sec-fetch-site",
            "x-request-id",
            "traceparent",
            "x-http-method-override",
        ] {
            let cookies = format!("pic_receipt={typed}; pic_session={typed}; {typed}=1");
            let values = [Some(&typed), (name == "cookie").then_some(&cookies)];
            for value in values.into_iter().flatten() {
                let headers = [(name, value.as_str())];
                for path in [
                    status.as_str(),
                    "/status?q=contoso.com",
                    "/service",
                    "/nowhere",
                ] {
                    self.ask("GET", path, &headers, "").await;
                }
                self.ask(
                    "POST",
                    "/requests/new",
                    &[FORM, (name, value.as_str())],
                    &wrong,
                )
                .await;
            }
        }
    }

    /// Into text that is no valid request.
    async fn nonsense(&self, typed: &str) {
        let raw = typed.replace([' ', '\0'], "");
        for nonsense in [
            format!("{raw}\r\n\r\n"),
            format!("GET {raw} HTTP/1.1\r\nhost: {raw}\r\n\r\n"),
            format!("{raw} / HTTP/1.1\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{raw}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nhost: x\r\ncontent-length: {raw}\r\n\r\n"),
            format!("POST /requests/new HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n{raw}"),
            format!(
                "GET / HTTP/1.1\r\nhost: x\r\nx-{}: y\r\n\r\n",
                raw.replace('@', "-at-")
            ),
        ] {
            self.count(1);
            // Any response will do: the client may be disconnected at once.
            let mut connection = Connection::to(self.address).await.unwrap();
            let _ = connection.send(&nonsense).await;
            drop(connection);
        }
    }

    /// The pages that the public, and signed-in clients, see afterwards.
    pub(super) async fn pages(&self) -> Vec<String> {
        let mut pages = Vec::new();
        for route in pic_portal::routes::table() {
            let path = route.path().replace("{reference}", self.reference);
            if !route.methods().contains(&Method::GET) || path.contains('{') {
                continue;
            }
            for session in ["", self.session] {
                let answer = self.ask("GET", &path, &[("cookie", session)], "").await;
                pages.push(format!("{:?}{}", answer.headers, answer.body));
            }
        }
        assert!(pages.len() > 20, "there is something to see");
        pages
    }
}
