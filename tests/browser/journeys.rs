//! Whole journeys through the portal, each in browsers with different means.

use fantoccini::actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use serde_json::json;

use crate::{
    portal_support::{app::TestApp, eventually},
    support::{
        page::{Page, Scheme},
        portal::Portal,
    },
};

/// How a person uses the portal: with or without scripts, which window.
struct Means {
    scripts: bool,
    scheme: Scheme,
    width: u32,
    zoom: u32,
}

impl Means {
    async fn give_to(&self, page: &Page) {
        page.scripts(self.scripts).await;
        page.scheme(self.scheme).await;
        page.window(self.width, self.zoom).await;
    }
}

/// From the start page to routes in force, with a mistake on the way.
async fn the_whole_way(means: Means) {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    means.give_to(&page).await;

    page.open("/").await;
    page.press("Start a request").await;
    assert_eq!(page.h1().await, "Request federation with Skype");
    the_chosen_programme_has_its_hint(&page, &means).await;
    page.click("label[for=programme]").await;
    page.fill("#number", "123-4567").await;
    // A SIP domain where a server is required.
    page.fill("#edge-1", "contoso.com").await;
    page.fill("#domains-1", "contoso.com, fabrikam.example")
        .await;
    if means.scripts {
        let add = page.pressable("Add another Access Edge").await;
        add.click().await.unwrap();
        let cursor = "return document.activeElement.id === 'edge-2'";
        page.until("the new field has the cursor", cursor).await;
    } else {
        page.press("Add another Access Edge").await;
        assert_eq!(page.path().await, "/requests/new#edge-2");
    }
    assert_eq!(
        value(&page, "#domains-1").await,
        "contoso.com, fabrikam.example"
    );
    page.fill("#edge-2", "edge.northwind.example").await;
    page.fill("#domains-2", "https://NORTHWIND.example/").await;
    page.declare().await;
    page.press("Continue").await;

    assert_eq!(page.status().await, 422);
    assert!(page.client.title().await.unwrap().starts_with("Error: "));
    if means.scripts {
        page.until(
            "the error summary has the focus",
            "return document.activeElement.classList.contains('govuk-error-summary')",
        )
        .await;
    }
    page.assert_no_sideways_scrolling("the form with an error")
        .await;
    page.click(".govuk-error-summary a[href='#edge-1']").await;
    assert_eq!(focused(&page).await, "edge-1");
    page.fill("#edge-1", "sip.contoso.com").await;
    page.press("Continue").await;

    assert_eq!(page.h1().await, "Check your answers");
    let answers = page.words().await;
    for shown in [
        "1234567",
        "sip.contoso.com",
        "fabrikam.example",
        "northwind.example",
    ] {
        assert!(answers.contains(shown), "{shown} is not among {answers}");
    }
    page.assert_no_sideways_scrolling("the answers").await;
    page.press("Change SIP domains").await;
    assert_eq!(page.path().await, "/requests/new#domains-1");
    page.press("Continue").await;
    page.press("Back").await;
    assert_eq!(value(&page, "#edge-1").await, "sip.contoso.com");
    page.press("Continue").await;
    page.press("Change answers").await;
    assert_eq!(value(&page, "#edge-2").await, "edge.northwind.example");
    page.press("Continue").await;
    page.press("Submit request").await;

    assert_eq!(page.h1().await, "Request received");
    let path = page.path().await;
    let reference = path.split('/').nth(2).unwrap().to_owned();
    let key = page
        .find("[data-management-key]")
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(key.len(), 32, "26 symbols and 6 hyphens");
    page.assert_no_sideways_scrolling("the receipt").await;
    receipt_can_be_taken_away(&page, &means, &reference, &key).await;

    page.press("See the status").await;
    assert_eq!(state(&page).await, "pending");
    portal.run_worker();
    eventually("the status page says provisioned", async || {
        page.press("Refresh").await;
        (state(&page).await == "provisioned").then_some(())
    })
    .await;
    assert!(
        !page.has("form[action$=withdraw]").await,
        "nothing is left to withdraw"
    );
    page.assert_no_sideways_scrolling("the status").await;
    page.assert_quiet(&[422]).await;
    assert_eq!(portal.app.number("SELECT count(*) FROM route").await, 3);
}

/// With scripts the hint of the chosen programme alone is shown, and its name stands above the number.
async fn the_chosen_programme_has_its_hint(page: &Page, means: &Means) {
    let hints = "return [...document.querySelectorAll('.govuk-radios__hint')].filter(it => \
         it.offsetParent && it.id !== 'split-item-hint').length";
    assert_eq!(page.eval(hints).await, if means.scripts { 0 } else { 4 });
    page.click("label[for=partner_network]").await;
    if means.scripts {
        assert_eq!(page.eval(hints).await, 1, "that of the chosen programme");
        let label = page.find("label[for=number]").await.text().await.unwrap();
        assert_eq!(label, "Headquarters (HQ) partner ID");
    }
}

/// Copy button and text file: the ways to keep the key.
async fn receipt_can_be_taken_away(page: &Page, means: &Means, reference: &str, key: &str) {
    let copy = "[data-copy='#management-key']";
    assert_eq!(
        page.find(copy).await.is_displayed().await.unwrap(),
        means.scripts
    );
    let file = page.find("a[download]").await;
    assert_eq!(
        file.attr("download").await.unwrap().unwrap(),
        format!("{reference}.txt")
    );
    if !means.scripts {
        return;
    }
    page.click(copy).await;
    page.until(
        "the button says that it copied",
        "return document.querySelector(\"[data-copy='#management-key']\").textContent.startsWith('Copied')",
    )
    .await;
    let text = page
        .eval("return fetch(document.querySelector('a[download]').href).then(answer => answer.text())")
        .await;
    let text = text.as_str().unwrap();
    assert!(text.contains(key) && text.contains(reference), "{text}");
}

async fn focused(page: &Page) -> String {
    page.eval_text("return document.activeElement.id").await
}

async fn value(page: &Page, css: &str) -> String {
    page.find(css)
        .await
        .prop("value")
        .await
        .unwrap()
        .unwrap_or_default()
}

async fn state(page: &Page) -> String {
    page.find("[data-state]")
        .await
        .attr("data-state")
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn the_whole_way_in_a_usual_window() {
    the_whole_way(Means {
        scripts: true,
        scheme: Scheme::Light,
        width: 1280,
        zoom: 1,
    })
    .await;
}

#[tokio::test]
async fn the_whole_way_without_javascript_in_the_dark() {
    the_whole_way(Means {
        scripts: false,
        scheme: Scheme::Dark,
        width: 1280,
        zoom: 1,
    })
    .await;
}

#[tokio::test]
async fn the_whole_way_on_a_narrow_dark_screen() {
    the_whole_way(Means {
        scripts: true,
        scheme: Scheme::Dark,
        width: 320,
        zoom: 1,
    })
    .await;
}

#[tokio::test]
async fn the_whole_way_on_a_narrow_screen_without_javascript() {
    the_whole_way(Means {
        scripts: false,
        scheme: Scheme::Light,
        width: 320,
        zoom: 1,
    })
    .await;
}

/// A window of 1280 pixels at 200 %.
#[tokio::test]
async fn the_whole_way_at_twice_the_size() {
    the_whole_way(Means {
        scripts: true,
        scheme: Scheme::Light,
        width: 640,
        zoom: 2,
    })
    .await;
}

// ---- Withdrawing ------------------------------------------------------------------------------

#[tokio::test]
async fn the_key_that_was_copied_withdraws_the_request() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    answers(&page).await;
    page.press("Submit request").await;
    page.click("[data-copy='#management-key']").await;
    page.until(
        "the key is copied",
        "return document.querySelector(\"[data-copy='#management-key']\").textContent.startsWith('Copied')",
    )
    .await;
    page.press("See the status").await;

    page.fill("#management_key", "0000-0000").await;
    page.press("Withdraw request").await;
    assert_eq!(page.status().await, 422);
    assert_eq!(state(&page).await, "pending");
    assert_eq!(
        value(&page, "#management_key").await,
        "",
        "a key is never shown again"
    );
    page.click(".govuk-error-summary a").await;
    assert_eq!(focused(&page).await, "management_key");

    // Pastes what the copy button put into the clipboard.
    let paste = format!("{}v", char::from(fantoccini::key::Key::Control));
    page.find("#management_key")
        .await
        .send_keys(&paste)
        .await
        .unwrap();
    page.press("Withdraw request").await;
    assert_eq!(state(&page).await, "withdrawn");
    assert!(!page.has("#management_key").await);
    page.assert_quiet(&[422]).await;
}

// ---- Finding ----------------------------------------------------------------------------------

#[tokio::test]
async fn a_request_is_found_by_its_reference_and_a_domain_by_its_name() {
    let portal = Portal::start().await;
    let (reference, _) = portal
        .app
        .submit(&[("sip.contoso.com", "contoso.com")])
        .await;
    let (_browser, page) = portal.browser().await;

    page.open("/").await;
    page.fill("#q", &reference.to_lowercase().replace('-', " "))
        .await;
    page.press("Check").await;
    assert_eq!(page.path().await, format!("/requests/{reference}"));

    let answer = async |domain: &str| {
        page.open("/status").await;
        page.fill("#q", domain).await;
        page.press("Check").await;
        page.find("[aria-label=Answer]").await.text().await.unwrap()
    };
    assert!(answer("contoso.com").await.starts_with("Not in force"));
    portal.app.work().await;
    assert!(answer("Contoso.com.").await.starts_with("In force"));

    page.fill("#q", "someone@contoso.com").await;
    page.press("Check").await;
    assert_eq!(page.status().await, 422);
    page.assert_quiet(&[422]).await;
}

// ---- Once and only once -----------------------------------------------------------------------

/// Fills in the form and goes on to the answers.
async fn answers(page: &Page) {
    page.open("/requests/new").await;
    page.fill_in("sip.contoso.com", "contoso.com").await;
    page.press("Continue").await;
    assert_eq!(page.h1().await, "Check your answers");
}

async fn requests(app: &TestApp) -> i64 {
    app.number("SELECT count(*) FROM request").await
}

/// Presses a button twice, as fast as a mouse can.
async fn press_twice(page: &Page) {
    let submit = page.pressable("Submit request").await;
    let down = PointerAction::Down {
        button: MOUSE_BUTTON_LEFT,
    };
    let up = PointerAction::Up {
        button: MOUSE_BUTTON_LEFT,
    };
    let twice = MouseActions::new("mouse".into())
        .then(PointerAction::MoveToElement {
            element: submit,
            duration: None,
            x: 0.,
            y: 0.,
        })
        .then(down.clone())
        .then(up.clone())
        .then(down)
        .then(up);
    page.leave(async || page.client.perform_actions(twice).await.unwrap())
        .await;
    page.until(
        "the receipt is shown",
        "return document.querySelector('[data-management-key]') !== null",
    )
    .await;
}

async fn a_double_click_sends_once(scripts: bool) {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    page.scripts(scripts).await;
    answers(&page).await;
    press_twice(&page).await;
    assert_eq!(requests(&portal.app).await, 1);
    page.assert_quiet(&[]).await;
}

#[tokio::test]
async fn a_double_click_sends_one_request() {
    a_double_click_sends_once(true).await;
}

#[tokio::test]
async fn a_double_click_without_javascript_sends_one_request() {
    a_double_click_sends_once(false).await;
}

#[tokio::test]
async fn the_receipt_can_be_loaded_again_and_going_back_sends_nothing_new() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    answers(&page).await;
    page.press("Submit request").await;
    let receipt = page.path().await;
    let shown = async || {
        page.find("[data-management-key]")
            .await
            .text()
            .await
            .unwrap()
    };
    let key = shown().await;
    page.client.refresh().await.unwrap();
    assert_eq!(shown().await, key);

    // Back to the answers. They are not stored, so the browser asks whether to send the form again:
    // the person does, and submits once more. It is the same receipt, with the same key.
    page.client.back().await.unwrap();
    if !page.has("h1").await || page.h1().await != "Check your answers" {
        page.client.refresh().await.unwrap();
    }
    assert_eq!(page.h1().await, "Check your answers");
    page.press("Submit request").await;
    assert_eq!(page.path().await, receipt);
    assert_eq!(shown().await, key);
    assert_eq!(requests(&portal.app).await, 1);
    page.assert_quiet(&[]).await;
}

/// The receipt in another person's browser shows no key.
#[tokio::test]
async fn the_key_stays_in_the_browser_that_sent_the_request() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    answers(&page).await;
    page.press("Submit request").await;
    let receipt = page.path().await;
    let script = page.eval("return document.cookie").await;
    assert_eq!(script, "", "no script can read the cookie");
    page.cdp("Network.clearBrowserCookies", json!({})).await;
    page.open(&receipt).await;
    assert!(!page.has("[data-management-key]").await);
    page.assert_quiet(&[]).await;
}
