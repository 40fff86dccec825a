//! The support desk in a real browser.

use pic_portal::staff::store;

use crate::{
    portal_support::eventually,
    support::{
        page::{Page, WINDOWS},
        portal::Portal,
    },
};

async fn assert_says(page: &Page, expected: &[&str]) {
    let told = page.words().await;
    for expected in expected {
        assert!(told.contains(expected), "{expected} is not among {told}");
    }
}

/// The set-up link, find by domain, read the finding, check again, refuse; the administrator sees
/// it.
async fn the_whole_way(scripts: bool) {
    const PASSWORD: &str = "four words nobody says";
    let portal = Portal::start().await;
    let app = &portal.app;
    app.submit(&[("sip.contoso.com", "contoso.com it.contoso.com")])
        .await;
    app.work().await;
    let (held, _) = app
        .submit(&[("edge.fabrikam.com", "contoso.com fabrikam.com")])
        .await;
    app.work().await;
    app.store(70).await;
    let link = store::new_set_up(app.pool()).await.unwrap().unwrap();
    let (_browser, page) = portal.browser().await;
    page.scripts(scripts).await;

    page.open(&format!("/staff/set-up?token={}", link.reveal()))
        .await;
    page.assert_fits(&WINDOWS, scripts, "staff-set-up").await;
    page.fill("#name", "anna@contoso.com").await;
    page.fill("#password", PASSWORD).await;
    page.press("Make the account").await;
    assert_eq!(page.status().await, 422);
    page.assert_fits(&WINDOWS, scripts, "staff-set-up-error")
        .await;
    page.fill("#name", "anna").await;
    page.fill("#password", PASSWORD).await;
    page.press("Make the account").await;
    assert_eq!(page.h1().await, "Requests");
    page.assert_fits(&WINDOWS, scripts, "staff-queue").await;
    page.press("Sign out").await;
    assert_eq!(page.h1().await, "Support desk");
    page.assert_fits(&WINDOWS, scripts, "staff-sign-in").await;
    page.fill("#name", "anna").await;
    page.fill("#password", "wrong").await;
    page.press("Sign in").await;
    assert_eq!(page.status().await, 422);
    page.assert_fits(&WINDOWS, scripts, "staff-sign-in-error")
        .await;
    page.fill("#password", PASSWORD).await;
    page.press("Sign in").await;

    page.fill("#q", "fabrikam.com").await;
    page.press("Search").await;
    assert_says(&page, &["Taken for the domain or Access Edge fabrikam.com"]).await;
    page.assert_fits(&WINDOWS, scripts, "staff-search").await;
    page.leave(async || page.click("tbody th a").await).await;
    let expected = [
        "The administrator has to act",
        "service 1",
        "Checks last ran",
    ];
    assert_says(&page, &expected).await;
    page.assert_fits(&WINDOWS, scripts, "staff-request").await;
    page.press("Check again").await;
    let expected = ["Another check was asked for", "A check was asked for."];
    assert_says(&page, &expected).await;
    if scripts {
        let focus = "return document.activeElement.textContent === 'Check again'";
        page.until("the button has the focus", focus).await;
    }
    page.press("The service").await;
    page.open("/staff/services/1").await;
    page.assert_fits(&WINDOWS, scripts, "staff-service").await;

    page.open(&format!("/staff/requests/{held}")).await;
    page.click("details:has([action$=refuse]) summary").await;
    page.click("label[for=duplicate]").await;
    page.press("Refuse request").await;
    assert_eq!(page.status().await, 422);
    page.assert_fits(&WINDOWS, scripts, "staff-refuse-error")
        .await;
    page.click("label[for=confirm]").await;
    page.press("Refuse request").await;
    assert!(page.words().await.contains("Nobody has to act"));
    page.assert_fits(&WINDOWS, scripts, "staff-refused").await;
    app.worker().show_once().await.unwrap();
    page.open("/staff").await;
    assert!(page.words().await.contains("At work"));
    assert!(
        page.words()
            .await
            .contains("1 provisioned in 14 days; 1 on the busiest.")
    );
    page.click("details:has(time) summary").await;
    page.assert_fits(&WINDOWS, scripts, "staff-overview").await;
    page.open("/staff/audit").await;
    assert!(page.words().await.contains("Refused"));
    page.assert_fits(&WINDOWS, scripts, "staff-audit").await;
    page.open("/staff/account").await;
    page.assert_fits(&WINDOWS, scripts, "staff-account").await;
    page.open("/staff/requests?state=withdrawn").await;
    page.assert_fits(&WINDOWS, scripts, "staff-queue-empty")
        .await;
    page.open(&format!("/requests/{held}")).await;
    assert!(
        page.words()
            .await
            .contains("The same routes were asked for by another request")
    );
    page.assert_quiet(&[422]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_at_the_desk() {
    the_whole_way(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_at_the_desk_without_javascript() {
    the_whole_way(false).await;
}

/// The queue and a request at the desk show changes, and leave what is typed alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_follows_what_changes() {
    const PASSWORD: &str = "four words nobody says";
    let portal = Portal::start().await;
    let app = &portal.app;
    let link = store::new_set_up(app.pool()).await.unwrap().unwrap();
    let (reference, key) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
    let (_browser, page) = portal.browser().await;
    page.open(&format!("/staff/set-up?token={}", link.reveal()))
        .await;
    page.fill("#name", "anna").await;
    page.fill("#password", PASSWORD).await;
    page.press("Make the account").await;
    page.until(
        "the request is in the queue",
        "return document.querySelectorAll('[data-state=pending]').length === 1",
    )
    .await;
    eventually("the queue is followed", async || {
        (app.app.live().streams() == 1).then_some(())
    })
    .await;
    page.fill("#q", "half a wor").await;
    page.eval("window.kept = document.querySelector('#q')")
        .await;
    let withdraw = format!("/requests/{reference}/withdraw");
    let fields = [("management_key", key.as_str())];
    app.post(&withdraw, &fields).await;
    page.until(
        "it has left the queue",
        "return document.querySelectorAll('[data-state=pending]').length === 0",
    )
    .await;
    assert_eq!(
        page.eval("return [kept === document.querySelector('#q'), kept.value, document.activeElement === kept]")
            .await,
        serde_json::json!([true, "half a wor", true])
    );
    let (reference, key) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
    page.open(&format!("/staff/requests/{reference}")).await;
    app.post(
        &format!("/requests/{reference}/withdraw"),
        &[("management_key", key.as_str())],
    )
    .await;
    page.until(
        "it is withdrawn",
        "return document.querySelector('[data-state]').dataset.state === 'withdrawn'",
    )
    .await;
    assert_eq!(page.axe().await, Vec::<String>::new());
    page.assert_quiet(&[]).await;
}
