//! Back and Forward through the forms: what was typed is there again.

use crate::{
    portal_support::app::TestApp,
    support::{page::Page, portal::Portal},
};

/// A script's words for: the heading of the page is this.
fn headed(words: &str) -> String {
    format!("document.querySelector('h1')?.textContent.includes('{words}')")
}

/// Goes one page back or forward, and waits until `there` is so.
async fn travel(page: &Page, back: bool, there: &str) {
    let client = &page.client;
    let gone = if back {
        client.back().await
    } else {
        client.forward().await
    };
    gone.unwrap();
    page.until(there, &format!("return {there}")).await;
}

async fn assert_typed(page: &Page, fields: &[(&str, &str)]) {
    for (field, typed) in fields {
        let same = format!("return document.querySelector('{field}').value === '{typed}'");
        page.until(field, &same).await;
    }
}

/// Types into the fields of a form, sends it, and goes back and forward.
async fn there_and_back(
    page: &Page,
    fields: &[(&str, &str)],
    button: &str,
    form: &str,
    next: &str,
) {
    for (field, typed) in fields {
        page.fill(field, typed).await;
    }
    page.press(button).await;
    page.until(next, &format!("return {next}")).await;
    for _ in 0..2 {
        travel(page, true, form).await;
        assert_typed(page, fields).await;
        travel(page, false, next).await;
    }
}

async fn signed_in(portal: &TestApp, page: &Page) {
    let (_, key) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    page.open("/service").await;
    page.fill("#number", "1234567").await;
    page.fill("#management_key", &key).await;
    page.leave(async || page.click("main form button[type=submit]").await)
        .await;
}

async fn through_every_form(scripts: bool) {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    page.scripts(scripts).await;

    page.open("/requests/new").await;
    page.click("label[for=programme]").await;
    page.declare().await;
    let typed = [
        ("#number", "7654321"),
        ("#edge-1", "sip.fabrikam.com"),
        ("#domains-1", "fabrikam.com it.fabrikam.com"),
    ];
    let form = headed("Request federation with");
    let answers = headed("Check your answers");
    there_and_back(&page, &typed, "Continue", &form, &answers).await;
    page.press("Submit request").await;
    assert_eq!(page.h1().await, "Request received");
    travel(&page, true, &answers).await;
    travel(&page, true, &form).await;
    assert_typed(&page, &typed).await;
    if scripts {
        // The same form with another domain is no second request.
        page.fill("#domains-1", "fabrikam.com www.fabrikam.com")
            .await;
        page.press("Continue").await;
        page.press("Submit request").await;
        assert_eq!(page.h1().await, "This form was already sent");
    }
    assert_eq!(portal.app.number("SELECT count(*) FROM request").await, 1);

    // Forms that answer on the same page: with mistakes.
    let wrong = "!!document.querySelector('.govuk-error-summary')";
    let blank = "!document.querySelector('.govuk-error-summary')";
    page.open("/status").await;
    there_and_back(&page, &[("#q", "!")], "Check", blank, wrong).await;
    if !scripts {
        page.open("/help/address").await;
        there_and_back(&page, &[("#address", "ted")], "Write it", blank, wrong).await;
    }

    signed_in(&portal.app, &page).await;
    page.press("Change what is in force").await;
    let typed = [("#domains-1", "contoso.com it.contoso.com")];
    let form = headed("Change what is in force");
    let review = headed("Check your changes");
    there_and_back(&page, &typed, "Continue", &form, &review).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_and_forward_restore_every_form() {
    through_every_form(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_and_forward_restore_every_form_without_javascript() {
    through_every_form(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_while_it_is_typed_by_keyboard_too() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    page.open("/service").await;
    page.fill("#management_key", "0000-1111").await;
    let kind = "return document.querySelector('#management_key').type";
    assert_eq!(page.eval_text(kind).await, "password");
    let button = page.find("[data-show]").await;
    button.send_keys(" ").await.unwrap();
    page.until(
        "it is shown",
        "return document.querySelector('#management_key').type === 'text'",
    )
    .await;
    assert_eq!(button.text().await.unwrap().lines().next(), Some("Hide"));
    page.press("Sign in").await;
    assert_eq!(
        page.eval_text(kind).await,
        "password",
        "sent and shown as a password again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_again_answers_and_keeps_the_cursor() {
    let portal = Portal::start().await;
    portal.app.submit(&[("sip.other.com", "contoso.com")]).await;
    portal.app.work().await;
    let (reference, _) = portal
        .app
        .submit(&[("sip.contoso.com", "contoso.com")])
        .await;
    portal.app.work().await;
    portal.app.advance(std::time::Duration::from_mins(2)).await;
    let (_browser, page) = portal.browser().await;
    page.window(390, 1).await;
    page.open(&format!("/requests/{reference}")).await;
    let aligned = "const all = [...document.querySelectorAll('.app-buttons > a, .app-buttons > form > button')];
        const widths = new Set(all.map(it => Math.round(it.getBoundingClientRect().width)));
        return all.length === 2 && widths.size === 1";
    assert_eq!(
        page.eval(aligned).await,
        true,
        "both are as wide as the page"
    );
    page.press("Check again").await;
    // A browser takes the cursor from it when it scrolls to an element that cannot have it, which is
    // after the page was loaded, and before it is drawn.
    page.until(
        "the page is drawn",
        "window.drawn ??= requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn = true }));
         return window.drawn === true",
    )
    .await;
    assert_eq!(
        page.eval_text("return document.activeElement.textContent")
            .await,
        "Check again"
    );
    // Not before: it would have checked already when the button is pressed.
    portal.run_worker();
    page.until(
        "the result is told",
        "return document.querySelector('main [role=status]')?.textContent.includes('Checked just now')",
    )
    .await;
}
