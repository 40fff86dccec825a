//! Checks that everything works with the keyboard alone, and that the focus is visible.

use fantoccini::{
    actions::{InputSource as _, KeyAction, KeyActions},
    key::Key,
};

use pic_portal::staff::Role;

use crate::{
    portal_support::desk::{PASSWORD, account},
    support::{page::Page, portal::Portal},
};

/// Uses the keyboard only: Tab, Space, Enter and letters.
pub(crate) struct Hands<'a>(pub(crate) &'a Page);

impl Hands<'_> {
    pub(crate) async fn press(&self, key: Key) {
        let value = char::from(key);
        let keys = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.0.client.perform_actions(keys).await.unwrap();
    }

    pub(crate) async fn write(&self, text: &str) {
        let mut keys = KeyActions::new("keyboard".into());
        for value in text.chars() {
            keys = keys
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
        }
        self.0.client.perform_actions(keys).await.unwrap();
    }

    /// Presses Tab until the focused element matches `css`; at each stop the focus must be visible.
    pub(crate) async fn tab_to(&self, css: &str) {
        for _ in 0..40 {
            self.press(Key::Tab).await;
            self.assert_focus_can_be_seen().await;
            let there = format!("return document.activeElement.matches({css:?})");
            if self.0.eval(&there).await == true {
                return;
            }
        }
        panic!("Tab does not lead to {css}");
    }

    pub(crate) async fn go_on_with(&self, key: Key) {
        self.0.leave(async || self.press(key).await).await;
    }

    /// Outline, shadow or colours differ from the element without focus, and it is in the window.
    pub(crate) async fn assert_focus_can_be_seen(&self) {
        let unseen = self
            .0
            .eval(
                "const it = document.activeElement;
                if (it === document.body) return null;
                // Radios and checkboxes of forms are drawn by their labels.
                const drawn = it.matches('.govuk-radios__input, .govuk-checkboxes__input')
                    ? [it.labels[0], '::before'] : [it, null];
                const look = () => { const s = getComputedStyle(...drawn);
                    return [s.outline, s.boxShadow, s.backgroundColor, s.borderColor].join('|'); };
                const focused = look();
                const box = it.getBoundingClientRect();
                const inside = box.bottom > 0 && box.top < innerHeight && box.width > 1 && box.height > 1;
                it.blur();
                const blurred = look();
                it.focus({ preventScroll: true, focusVisible: true });
                return focused !== blurred && inside ? null : it.outerHTML.slice(0, 200)",
            )
            .await;
        assert!(unseen.is_null(), "the focus cannot be seen on {unseen}");
    }

    async fn focused(&self) -> String {
        self.0.eval_text("return document.activeElement.id").await
    }
}

#[tokio::test]
async fn the_whole_way_with_the_keyboard_alone() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    let hands = Hands(&page);
    page.open("/").await;

    // The skip link is the first stop, and leads past the navigation.
    hands.press(Key::Tab).await;
    hands.assert_focus_can_be_seen().await;
    assert_eq!(
        page.eval("return document.activeElement.className").await,
        "govuk-skip-link"
    );
    hands.press(Key::Enter).await;
    assert_eq!(hands.focused().await, "main-content");
    hands.press(Key::Tab).await;
    assert_eq!(
        page.eval("return document.activeElement.textContent").await,
        "Start a request"
    );
    hands.go_on_with(Key::Enter).await;

    hands.tab_to("#programme").await;
    hands.press(Key::Space).await;
    hands.tab_to("#number").await;
    hands.write("1234567").await;
    hands.tab_to("#edge-1").await;
    hands.write("contoso.com").await;
    hands.tab_to("#domains-1").await;
    hands.write("contoso.com").await;
    hands.tab_to("[value=add-edge]").await;
    hands.press(Key::Space).await;
    page.until(
        "the new field has the cursor",
        "return document.activeElement.id === 'edge-2'",
    )
    .await;
    hands.tab_to("[value=remove-edge-2]").await;
    hands.press(Key::Enter).await;
    page.until(
        "the cursor is in what is left",
        "return document.activeElement.id === 'edge-1'",
    )
    .await;
    assert!(!page.has("#edge-2").await);

    // Enter in a field is Continue, whatever buttons come before it.
    hands.go_on_with(Key::Enter).await;
    assert_eq!(page.status().await, 422);
    page.until(
        "the error summary has the focus",
        "return document.activeElement.classList.contains('govuk-error-summary')",
    )
    .await;
    hands.assert_focus_can_be_seen().await;
    hands.tab_to("a[href='#edge-1']").await;
    hands.press(Key::Enter).await;
    assert_eq!(hands.focused().await, "edge-1");
    // In front of what was typed.
    hands.press(Key::Home).await;
    hands.write("sip.").await;
    hands.tab_to("[name=deployment]").await;
    hands.press(Key::Space).await;
    hands.tab_to("summary").await;
    hands.press(Key::Enter).await;
    assert_eq!(
        page.eval("return document.querySelector('details').open")
            .await,
        true
    );
    hands.tab_to("#licences").await;
    hands.press(Key::Space).await;
    hands.tab_to("#may_act").await;
    hands.press(Key::Space).await;
    hands.tab_to("[value=review]").await;
    hands.go_on_with(Key::Enter).await;

    assert_eq!(page.h1().await, "Check your answers");
    hands.tab_to("[value=submit]").await;
    hands.go_on_with(Key::Space).await;
    let key = page
        .find("[data-management-key]")
        .await
        .text()
        .await
        .unwrap();
    hands.tab_to("[data-copy='#management-key']").await;
    hands.press(Key::Space).await;
    hands.tab_to("a[download]").await;
    hands.tab_to("[data-print]").await;
    hands.tab_to("a.govuk-button").await;
    hands.go_on_with(Key::Enter).await;

    hands.tab_to("#management_key").await;
    hands.write(&key.to_lowercase()).await;
    hands.go_on_with(Key::Enter).await;
    assert_eq!(
        page.find("[data-state]")
            .await
            .attr("data-state")
            .await
            .unwrap()
            .unwrap(),
        "withdrawn"
    );
    page.assert_quiet(&[422]).await;
}

/// The order of the stops is the order on the page, and none of them leads nowhere.
#[tokio::test]
async fn the_stops_of_the_form_are_in_order() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    let hands = Hands(&page);
    page.open("/requests/new").await;
    let mut heights = Vec::new();
    loop {
        hands.press(Key::Tab).await;
        let top = page
            .eval("const it = document.activeElement; return it === document.body ? null : it.getBoundingClientRect().top + scrollY")
            .await;
        let Some(top) = top.as_f64() else { break };
        hands.assert_focus_can_be_seen().await;
        heights.push(top);
        assert!(heights.len() < 60, "Tab goes round and round");
    }
    // Skip link, header and footer are arranged in rows; between them the order only goes down.
    let inner = &heights[4..heights.len() - 3];
    assert!(inner.is_sorted(), "{heights:?}");
    assert!(inner.len() >= 8, "{heights:?}");
}

/// Sign in, search, read, refuse with a reason: all that an agent does while on the telephone.
#[tokio::test]
async fn a_request_is_found_and_refused_with_the_keyboard_alone() {
    let portal = Portal::start().await;
    let app = &portal.app;
    account(app, "anna", Role::Agent).await;
    let (reference, _) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
    let (_browser, page) = portal.browser().await;
    let hands = Hands(&page);
    page.open("/staff/sign-in").await;
    hands.tab_to("#name").await;
    hands.write("anna").await;
    hands.tab_to("#password").await;
    hands.write(PASSWORD).await;
    hands.go_on_with(Key::Enter).await;
    hands.tab_to("#q").await;
    hands.write("contoso.com").await;
    hands.go_on_with(Key::Enter).await;
    hands.tab_to(&format!("[href*='{reference}']")).await;
    hands.go_on_with(Key::Enter).await;
    hands
        .tab_to("details:has([action*='/refuse']) > summary")
        .await;
    hands.press(Key::Space).await;
    hands.tab_to("[name=reason]").await;
    hands.press(Key::Space).await;
    hands.tab_to("#confirm").await;
    hands.press(Key::Space).await;
    hands.tab_to("[action*='/refuse'] button").await;
    hands.go_on_with(Key::Enter).await;
    assert_eq!(app.state(&reference).await, "rejected");
    page.assert_quiet(&[]).await;
}

#[tokio::test]
async fn an_error_in_a_pasted_list_leads_to_its_line() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    page.open("/requests/new").await;
    page.fill("#domains-1", "contoso.com\nmy_firm.com\nfabrikam.com")
        .await;
    page.press("Continue").await;
    let hands = Hands(&page);
    hands.tab_to("a[data-line='2']").await;
    hands.press(Key::Enter).await;
    assert_eq!(hands.focused().await, "domains-1");
    let selected = "const box = document.activeElement;
        return box.value.slice(box.selectionStart, box.selectionEnd)";
    assert_eq!(page.eval_text(selected).await, "my_firm.com");
}
