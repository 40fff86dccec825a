//! Checks that a proxy that is not set up right is told of, once.

use pic_portal::db::MIGRATOR;

use super::{FORM, body, on};
use crate::support::{
    app::submission_id,
    db::TestDb,
    process::{Portal, exchange, scratch},
};

const FORWARDED: (&str, &str) = ("x-forwarded-for", "198.51.100.77");
const UNKNOWN_PROXY: &str = "PIC_TRUSTED_PROXIES names no proxy";
const OTHER_HOST: &str = "does not pass Host on";

/// Sends a page and a form twice, as a proxy does that changes `Host`; returns the log.
async fn log(more: &[(&str, &str)], headers: &[(&str, &str)]) -> String {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let settings = [&on(&url)[..], more].concat();
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let headers = [headers, &[FORM]].concat();
    for _ in 0..2 {
        let form = body(&submission_id());
        for (method, path, body) in [("GET", "/", ""), ("POST", "/requests/new", &*form)] {
            let answer = exchange(portal.address, method, path, &headers, body).await;
            assert!(answer.unwrap().status.as_u16() < 500);
        }
    }
    let log = portal.log();
    portal.stop().await;
    assert!(!log.contains("198.51.100"), "{log}");
    log
}

#[tokio::test]
async fn a_proxy_that_is_not_named_or_changes_the_host_is_told_of_once() {
    const PUBLIC: &str = "https://federation.contoso.com";
    let public = ("PIC_PUBLIC_URL", PUBLIC);
    let from = ("origin", PUBLIC);
    let told = log(&[public], &[FORWARDED, from]).await;
    for words in [UNKNOWN_PROXY, OTHER_HOST] {
        assert_eq!(told.matches(words).count(), 1, "{words}: {told}");
    }
    // Without PIC_PUBLIC_URL the form is refused.
    let told = log(&[], &[from]).await;
    assert_eq!(told.matches(OTHER_HOST).count(), 1, "{told}");
    let named = ("PIC_TRUSTED_PROXIES", "127.0.0.1");
    let told = log(&[public, named], &[FORWARDED]).await;
    for words in [UNKNOWN_PROXY, OTHER_HOST] {
        assert!(!told.contains(words), "{words}: {told}");
    }
}
