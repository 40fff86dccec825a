//! An administrator returns and changes the service, with and without scripts.

use crate::{
    portal_support::eventually,
    support::{
        page::{Page, WINDOWS},
        portal::Portal,
    },
};

/// Checks that the open page is accessible and fits into the window.
pub(crate) async fn fit(page: &Page, scripts: bool, name: &str) {
    page.assert_fits(&WINDOWS, scripts, name).await;
    if scripts {
        page.assert_snapshots(name).await;
    }
}

async fn sign_in(page: &Page, key: &str) {
    page.fill("#number", "123-45 67").await;
    page.fill("#management_key", key).await;
    // The navigation has the same words.
    page.leave(async || page.click("main form button[type=submit]").await)
        .await;
}

/// Sign in, move one domain and add two, see the swap; a new key; cancel.
async fn the_whole_way(scripts: bool) {
    let portal = Portal::start().await;
    let (reference, key) = portal
        .app
        .submit(&[("sip.contoso.com", "contoso.com it.contoso.com")])
        .await;
    portal.app.work().await;
    let (_browser, page) = portal.browser().await;
    page.scripts(scripts).await;

    page.open("/service").await;
    fit(&page, scripts, "service-sign-in").await;
    sign_in(&page, "0000-0000-0000-0000-0000-0000-00").await;
    assert_eq!(page.status().await, 422);
    fit(&page, scripts, "service-sign-in-error").await;
    sign_in(&page, &key.to_lowercase()).await;
    assert_eq!(page.h1().await, "Your service 1234567");
    fit(&page, scripts, "service-hub").await;

    page.press("Change what is in force").await;
    let typed = page
        .eval_text("return document.querySelector('#domains-1').value")
        .await;
    assert_eq!(typed, "contoso.com\nit.contoso.com");
    fit(&page, scripts, "service-edit").await;
    page.fill("#domains-1", "contoso").await;
    page.press("Continue").await;
    assert_eq!(page.status().await, 422);
    fit(&page, scripts, "service-edit-error").await;
    page.fill("#domains-1", "contoso.com new.contoso.com more.contoso.com")
        .await;
    if scripts {
        page.pressable("Add another Access Edge")
            .await
            .click()
            .await
            .unwrap();
        let cursor = "return document.activeElement.id === 'edge-2'";
        page.until("the new field has the cursor", cursor).await;
    } else {
        page.press("Add another Access Edge").await;
    }
    page.fill("#edge-2", "edge.contoso.com").await;
    page.fill("#domains-2", "it.contoso.com").await;
    fit(&page, scripts, "service-edit-two-edges").await;
    page.press("Continue").await;
    assert_eq!(page.h1().await, "Check your changes");
    let words = page.words().await;
    for told in [
        "3 changes",
        "moves from sip.contoso.com to edge.contoso.com",
        "comes into force at sip.contoso.com",
    ] {
        assert!(words.contains(told), "{told} is not among {words}");
    }
    fit(&page, scripts, "service-review").await;
    page.press("Submit changes").await;
    assert_eq!(page.status().await, 422, "a moving domain is confirmed");
    fit(&page, scripts, "service-review-error").await;
    page.click("label[for=confirm_edge_change]").await;
    page.press("Submit changes").await;
    assert_eq!(page.h1().await, "Update received");

    page.open("/service").await;
    fit(&page, scripts, "service-hub-pending").await;
    page.press("Correct this request").await;
    fit(&page, scripts, "service-correct").await;
    assert_eq!(portal.app.number("SELECT count(*) FROM route").await, 2);
    portal.run_worker();
    eventually("the routes are swapped", async || {
        (portal.app.number("SELECT count(*) FROM route").await == 4).then_some(())
    })
    .await;
    page.open(&format!("/requests/{reference}")).await;
    fit(&page, scripts, "service-request-superseded").await;
    page.open("/service").await;
    let words = page.words().await;
    assert!(
        words.contains("4 SIP domains") && words.contains("edge.contoso.com"),
        "{words}"
    );

    new_key_and_cancel(&portal, &page, scripts, &key).await;
    page.assert_quiet(&[409, 422, 503]).await;
}

/// A new key, the service cancelled, refused at first, and signing in again with the new key only.
async fn new_key_and_cancel(portal: &Portal, page: &Page, scripts: bool, key: &str) {
    page.press("Get a new management key").await;
    fit(page, scripts, "service-key").await;
    page.press("Get a new management key").await;
    let new = page
        .find("[data-management-key]")
        .await
        .text()
        .await
        .unwrap();
    fit(page, scripts, "service-key-shown").await;
    assert_ne!(new, key);

    page.open("/service").await;
    page.press("Feed and calendar of this service").await;
    fit(page, scripts, "service-watch").await;
    page.press("Make the addresses").await;
    fit(page, scripts, "service-watch-shown").await;
    let feed = page.find("#watch-feed").await.text().await.unwrap();
    let path = feed.split_once("/watch/").unwrap().1;
    let feed = portal.app.get(&format!("/watch/{path}")).await;
    assert!(feed.body.contains("Update active"), "{}", feed.body);
    page.press("Withdraw the addresses").await;
    assert!(!page.has("#watch-feed").await);

    page.open("/service").await;
    page.press("Cancel the service").await;
    fit(page, scripts, "service-cancel").await;
    page.press("Cancel the service").await;
    assert_eq!(page.status().await, 422);
    fit(page, scripts, "service-cancel-error").await;
    page.click("label[for=confirm]").await;
    let mut held = portal.app.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE request IN SHARE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    page.press("Cancel the service").await;
    assert_eq!(page.status().await, 503);
    fit(page, scripts, "service-cancel-put-off").await;
    held.rollback().await.unwrap();
    page.press("Cancel the service").await;
    assert_eq!(page.h1().await, "Cancellation received");
    fit(page, scripts, "service-cancel-receipt").await;
    eventually("nothing is in force", async || {
        (portal.app.number("SELECT count(*) FROM route").await == 0).then_some(())
    })
    .await;
    let receipt = page.path().await;
    page.open(receipt.trim_end_matches("/receipt")).await;
    fit(page, scripts, "service-request-cancelled").await;

    page.open("/service").await;
    page.press("Sign out").await;
    assert_eq!(page.h1().await, "Update service");
    sign_in(page, key).await;
    assert_eq!(page.status().await, 422, "the old key is dead");
    sign_in(page, &new).await;
    assert_eq!(page.h1().await, "Your service 1234567");
    fit(page, scripts, "service-hub-empty").await;
}

/// A domain moves away; a session ends in the middle of an edit; a pending request is corrected.
async fn nothing_is_lost(scripts: bool) {
    let portal = Portal::start().await;
    let (reference, key) = portal
        .app
        .submit(&[("sip.contoso.com", "contoso.com")])
        .await;
    portal.app.work().await;
    portal.app.submit(&[("sip.new.com", "contoso.com")]).await;
    let moving = "SELECT pic_provision(ARRAY[2], pic_now(), false, ARRAY[ROW(2, 'contoso.com')::pic_wanted]);
        SELECT pic_end(ARRAY[2], 'provisioned', NULL, 'portal')";
    portal.app.run(moving).await;
    let (_browser, page) = portal.browser().await;
    page.scripts(scripts).await;
    page.open(&format!("/requests/{reference}")).await;
    fit(&page, scripts, "service-request-moved").await;
    page.open("/service").await;
    sign_in(&page, &key).await;
    fit(&page, scripts, "service-hub-moved").await;

    page.press("Add SIP domains").await;
    page.fill("#edge-1", "sip.contos.com").await;
    page.fill("#domains-1", "it.contoso.com").await;
    page.click("label[for=on_premises], label[for=deployment]")
        .await;
    portal.app.run("DELETE FROM session").await;
    page.press("Continue").await;
    assert_eq!(page.status().await, 422);
    fit(&page, scripts, "service-sign-in-again").await;
    sign_in(&page, &key).await;
    assert_eq!(page.h1().await, "Check your changes");
    page.press("Submit changes").await;
    page.press("See the status").await;
    let reference = page.path().await;
    page.press("Correct this request").await;
    page.fill("#edge-1", "sip.contoso.com").await;
    page.press("Continue").await;
    fit(&page, scripts, "service-correct-review").await;
    page.press("Correct the request").await;
    assert_eq!(page.path().await, reference, "the same request");
    let words = page.words().await;
    assert!(
        words.contains("Corrected") && words.contains("sip.contoso.com"),
        "{words}"
    );
    portal.app.work().await;
    let routes = "SELECT count(*) FROM route WHERE access_edge = 'sip.contoso.com'";
    assert_eq!(portal.app.number(routes).await, 1);
    page.assert_quiet(&[422]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_the_way() {
    nothing_is_lost(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_the_way_without_javascript() {
    nothing_is_lost(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_changed_and_cancelled() {
    the_whole_way(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_changed_and_cancelled_without_javascript() {
    the_whole_way(false).await;
}
