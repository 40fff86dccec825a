//! Does an address that people type anywhere leave any trace?
//!
//! Everywhere a person or a program can put something, an address that exists nowhere else is put,
//! in several forms, into the real process at its most talkative. Afterwards it is looked for in
//! every table, in both logs and in every byte of the server's directory.

use std::{fs, path::Path, process::Command};

use axum::http::StatusCode;
use pic_portal::db::private::{PORTAL_DATABASE, test_server::running_server};
use sqlx::postgres::PgPoolOptions;

use crate::support::{
    app::{everything, request, submission_id},
    eventually,
    process::{Connection, Portal, exchange, scratch},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// What is stored by right, so that looking is known to find things.
const KNOWN: &str = "well-known.example";

/// The address, and what it is searched by.
struct Canary {
    /// What all forms have in common, whatever their case.
    mark: String,
    forms: Vec<String>,
}

impl Canary {
    fn new() -> Self {
        let mark = format!("canary{}", &submission_id()[..8]);
        let plain = format!("{mark}@aviary.example");
        let forms = vec![
            plain.to_uppercase(),
            plain.replace('@', "%40"),
            format!("sip:{plain}"),
            format!("mailto:{plain}?subject={mark}"),
            format!("{KNOWN}, <{plain}>"),
            format!("\"{mark}\" <{plain}>"),
            format!("'; {plain} --"),
            format!("{plain}\u{0}"),
            plain,
        ];
        Self { mark, forms }
    }

    /// Whether it is in `text`, as it is or as the digits of its bytes.
    fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        text.contains(&self.mark)
            || text.contains(&data_encoding::HEXLOWER.encode(self.mark.as_bytes()))
    }
}

/// The files below `dir` that hold `mark`, in any case.
pub(crate) fn files(dir: &Path, mark: &str) -> Vec<String> {
    let found = Command::new("grep")
        .args(["-r", "-l", "-a", "-i", "-F", "-e", mark])
        .arg(dir)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    // 1: nothing is found; 2: something could not be read.
    assert!(found.status.code() < Some(2), "{found:?}");
    let names = String::from_utf8(found.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

/// `text` in an address: all of it percent-encoded.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(encoded, "%{byte:02X}");
    }
    encoded
}

/// Types it into every field of every form, for every button.
async fn into_fields(portal: &Portal, reference: &str, typed: &str) {
    for action in [
        "submit",
        "review",
        "add-edge",
        "remove-edge-1",
        "change",
        typed,
    ] {
        let id = submission_id();
        let right = request(&id, &[("sip.contoso.com", "contoso.com")]);
        for at in 0..right.len() {
            let mut fields = right.clone();
            fields.last_mut().unwrap().1 = action;
            fields[at].1 = typed;
            let sent = portal.post("/requests/new", &fields).await.unwrap();
            assert!(sent.status.is_client_error() || sent.status == StatusCode::OK);
        }
        for extra in [("contact_email", typed), (typed, "on"), (typed, typed)] {
            let mut fields = right.clone();
            fields.last_mut().unwrap().1 = action;
            fields.push(extra);
            let sent = portal.post("/requests/new", &fields).await.unwrap();
            assert_eq!(sent.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(!sent.body.to_lowercase().contains("aviary"), "no echo");
        }
    }
    let withdraw = format!("/requests/{reference}/withdraw");
    for fields in [
        &[("management_key", typed)][..],
        &[("contact_email", typed)],
        &[(typed, typed)],
    ] {
        let sent = portal.post(&withdraw, fields).await.unwrap();
        assert_eq!(sent.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

/// Puts it into addresses: path and query, of all routes.
async fn into_addresses(portal: &Portal, reference: &str, typed: &str) {
    let typed = encoded(typed);
    for path in [
        format!("/{typed}"),
        format!("/?{typed}"),
        format!("/static/{typed}"),
        format!("/requests/{typed}"),
        format!("/requests/{typed}/receipt"),
        format!("/requests/{typed}/receipt.txt"),
        format!("/requests/{reference}/{typed}"),
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
        for method in ["GET", "POST", "DELETE"] {
            let asked = exchange(portal.address, method, &path, &[FORM], &typed).await;
            assert!(!asked.unwrap().status.is_server_error(), "{method} {path}");
        }
    }
}

/// Puts it into headers, of requests that succeed, that fail, and that are no requests at all.
async fn into_headers(portal: &Portal, reference: &str, typed: &str) {
    // A header holds no such byte.
    let typed = typed.replace('\0', "");
    let id = submission_id();
    let wrong = serde_html_form::to_string(request(&id, &[("x", "y")])).unwrap();
    let status = format!("/requests/{reference}");
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
        "sec-fetch-site",
        "x-request-id",
        "traceparent",
        "x-http-method-override",
    ] {
        for value in [typed.clone(), format!("pic_receipt={typed}; {typed}=1")] {
            let headers = [(name, value.as_str())];
            for path in [
                status.as_str(),
                "/status?q=contoso.com",
                "/requests/new",
                "/nowhere",
            ] {
                exchange(portal.address, "GET", path, &headers, "")
                    .await
                    .unwrap();
            }
            let headers = [FORM, (name, value.as_str())];
            exchange(portal.address, "POST", "/requests/new", &headers, &wrong)
                .await
                .unwrap();
        }
    }
    let raw = typed.replace(' ', "");
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
        // Whatever comes back: the client may be cut off at once.
        let mut connection = Connection::to(portal.address).await.unwrap();
        let _ = connection.send(&nonsense).await;
        drop(connection);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_typed_anywhere_is_nowhere_afterwards() {
    let (canary, scratch) = (Canary::new(), scratch());
    let (dir, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let settings = [
        ("PIC_DATA_DIR", dir.to_str().unwrap()),
        ("PIC_LOG", "trace"),
    ];
    let portal = Portal::start(&settings, &log).await;
    let server = running_server(&dir).unwrap().database(PORTAL_DATABASE);
    let pool = PgPoolOptions::new().connect_lazy_with(server);
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", KNOWN)]);
    let sent = portal.post("/requests/new", &fields).await.unwrap();
    let reference = sent.reference();
    // One that stays pending, so that it can be withdrawn.
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", KNOWN)]);
    let pending = portal
        .post("/requests/new", &fields)
        .await
        .unwrap()
        .reference();
    eventually("one is in force, one is held", async || {
        let held = "SELECT count(*) FROM finding";
        let held: i64 = sqlx::query_scalar(held).fetch_one(&pool).await.unwrap();
        (held == 1).then_some(())
    })
    .await;

    for typed in &canary.forms {
        into_fields(&portal, &pending, typed).await;
        into_addresses(&portal, &reference, typed).await;
        into_headers(&portal, &reference, typed).await;
    }
    // And where the database refuses in the middle of it.
    sqlx::raw_sql("ALTER TABLE route RENAME TO gone")
        .execute(&pool)
        .await
        .unwrap();
    let plain = canary.forms.last().unwrap().as_str();
    let headers = [("user-agent", plain), ("referer", plain)];
    let asked = exchange(portal.address, "GET", "/status?q=contoso.com", &headers, "").await;
    assert_eq!(asked.unwrap().status, StatusCode::INTERNAL_SERVER_ERROR);
    sqlx::raw_sql("ALTER TABLE gone RENAME TO route; ANALYZE")
        .execute(&pool)
        .await
        .unwrap();

    let kept = everything(&pool).await;
    assert!(
        kept.contains(KNOWN) && kept.contains("pg_statistic"),
        "the eye is sharp"
    );
    assert!(!canary.is_in(&kept), "a table holds it");
    let requests: i64 = sqlx::query_scalar("SELECT count(*) FROM request")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(requests, 2);
    pool.close().await;
    portal.stop().await;

    let said = fs::read_to_string(&log).unwrap();
    assert!(
        said.contains("internal error") && said.contains("settled"),
        "{said}"
    );
    assert!(!canary.is_in(&said), "the portal's log holds it: {said}");
    let said = fs::read_to_string(dir.join("postgres.log")).unwrap();
    assert!(said.contains("ready to accept connections"), "{said}");
    assert!(!canary.is_in(&said), "the server's log holds it: {said}");
    assert!(!files(&dir, KNOWN).is_empty(), "the eye is sharp");
    let hex = data_encoding::HEXLOWER.encode(canary.mark.as_bytes());
    for mark in [canary.mark.as_str(), &hex] {
        let files = files(scratch.path(), mark);
        assert!(files.is_empty(), "{files:?}");
    }
}
