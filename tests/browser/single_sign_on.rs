//! Signing in at an OpenID provider in a real browser.

use std::time::Duration;

use serde_json::json;

use crate::{
    portal_support::oidc::{self, Provider},
    support::{
        page::{Page, WINDOWS},
        portal::Portal,
    },
};

async fn arrives(page: &Page, path: &str) {
    let there =
        format!("return location.pathname === '{path}' && document.readyState === 'complete'");
    page.until(path, &there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_is_asked_at_the_door_after_an_hour_and_before_a_refusal() {
    let provider = Provider::start(&[]).await;
    let person = json!({"sub": "1", "groups": ["desk-agents"]});
    provider.person(person).await;
    let mut settings = oidc::settings(&provider.issuer);
    settings.step_up = Some(Duration::from_mins(15));
    let portal = Portal::with(|site| {
        site.sign_in.oidc = Some(settings);
        site.sign_in.passwords = false;
    })
    .await;
    let app = &portal.app;
    let (reference, _) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
    let wanted = format!("/staff/requests/{reference}");
    let (_browser, page) = portal.browser().await;

    page.open(&wanted).await;
    assert_eq!(page.h1().await, "Support desk");
    assert!(!page.has("#password").await);
    page.assert_fits(&WINDOWS, true, "staff-sign-in-provider-alone")
        .await;
    page.assert_well_formed("staff-sign-in-provider-alone")
        .await;
    page.press("Sign in with your organisation’s account").await;
    arrives(&page, &wanted).await;

    page.open("/staff/account").await;
    page.assert_fits(&WINDOWS, true, "staff-account-provider")
        .await;
    page.assert_well_formed("staff-account-provider").await;

    // What cannot be undone: the provider is asked, and the page is there again.
    page.open(&wanted).await;
    page.click("details:has([action$=refuse]) summary").await;
    page.click("label[for=duplicate]").await;
    page.click("label[for=confirm]").await;
    page.press("Refuse request").await;
    assert_eq!(page.h1().await, "Sign in once more to do this");
    page.assert_fits(&WINDOWS, true, "staff-step-up").await;
    page.assert_well_formed("staff-step-up").await;
    page.press("Sign in once more").await;
    arrives(&page, &wanted).await;

    // After an hour the browser goes there by itself, after a form too.
    let over = "UPDATE staff_session SET confirmed_until = pic_now()";
    app.run(over).await;
    page.open("/staff/audit").await;
    arrives(&page, "/staff/audit").await;
    page.open(&wanted).await;
    app.run(over).await;
    page.press("Check again").await;
    arrives(&page, &wanted).await;
    let sessions = "SELECT count(*) FROM staff_session WHERE confirmed_until > pic_now()";
    assert_eq!(app.number(sessions).await, 1);

    page.click("details:has([action$=refuse]) summary").await;
    page.click("label[for=duplicate]").await;
    page.click("label[for=confirm]").await;
    page.press("Refuse request").await;
    arrives(&page, &wanted).await;
    let refused = "SELECT count(*) FROM request WHERE state = 'rejected'";
    assert_eq!(app.number(refused).await, 1);
    // The stream of a page whose hour is over is refused, if it is opened before the page is left.
    page.assert_quiet(&[401, 403]).await;
}
