//! Checks that an open page of a request shows changes without disturbing its reader.

use std::fmt::Write as _;

use serde_json::json;

use crate::{
    portal_support::{app::submission_id, eventually},
    support::portal::Portal,
};

/// Domains that another service holds: more than are shown at once.
const HELD: usize = 15;

fn domains(count: usize) -> String {
    let mut names = String::new();
    for number in 10..10 + count {
        // Writing to a String cannot fail.
        let _ = writeln!(names, "d{number}.example");
    }
    names
}

/// A request that another service blocks, and the key of each.
struct Held {
    portal: Portal,
    reference: String,
    key: String,
    holder: String,
}

impl Held {
    async fn new() -> Self {
        let portal = Portal::start().await;
        let (_, holder) = portal
            .app
            .submit(&[("sip.contoso.com", &domains(HELD))])
            .await;
        portal.app.work().await;
        let (reference, key) = portal
            .app
            .submit(&[("sip.fabrikam.com", &domains(HELD))])
            .await;
        portal.app.work().await;
        portal.run_worker();
        Self {
            portal,
            reference,
            key,
            holder,
        }
    }

    fn path(&self) -> String {
        format!("/requests/{}", self.reference)
    }

    /// The holder releases the last domain.
    async fn release_one(&self) {
        let app = &self.portal.app;
        let fields = [("number", "1234567"), ("management_key", &self.holder)];
        let cookie = app.post("/service", &fields).await.cookie();
        let (id, left) = (submission_id(), domains(HELD - 1));
        let fields = [
            ("edge", "sip.contoso.com"),
            ("domains", &left),
            ("deployment", "on_premises"),
            ("submission_id", &id),
            ("action", "submit"),
        ];
        app.post_with("/service/edit", &fields, &cookie)
            .await
            .reference();
    }

    async fn withdraw(&self) {
        let path = format!("{}/withdraw", self.path());
        let fields = [("management_key", self.key.as_str())];
        let answer = self.portal.app.post(&path, &fields).await;
        assert_eq!(answer.header("location"), self.path());
    }

    async fn streams(&self, count: usize) {
        let live = self.portal.app.app.live();
        eventually("the streams are as many", async || {
            (live.streams() == count).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_happens_elsewhere_appears_and_disturbs_nobody() {
    let held = Held::new().await;
    let (_browser, page) = held.portal.browser().await;
    page.window(600, 1).await;
    page.open(&held.path()).await;
    held.streams(1).await;
    // What a reader has done, and what a script remembers of the elements.
    page.click("details > summary").await;
    page.fill("#management_key", "0123-4567-89AB").await;
    page.eval(
        "window.kept = ['#management_key', 'details', 'h1', '[data-finding]']
            .map(css => [css, document.querySelector(css)]);
        document.querySelector('#management_key').setSelectionRange(2, 7);
        window.before = scrollY;
        window.said = [];
        new MutationObserver(() => {
            const text = document.querySelector('[role=status]')?.textContent;
            if (text && text !== said.at(-1)) said.push(text);
        }).observe(document.body, { childList: true, subtree: true, characterData: true })",
    )
    .await;
    assert_ne!(page.eval("return before").await, json!(0), "it is scrolled");

    held.release_one().await;
    page.until(
        "a finding less is shown",
        "return document.querySelectorAll('[data-finding]').length === 14",
    )
    .await;
    let undisturbed = page
        .eval(
            "const field = document.querySelector('#management_key');
            return [
                kept.filter(([css, element]) => document.querySelector(css) !== element).map(([css]) => css),
                document.activeElement === field, field.value, field.selectionStart, field.selectionEnd,
                document.querySelector('details').open,
                document.querySelectorAll('[data-copy]:not([hidden])').length > 0,
                document.querySelectorAll('[data-copy][hidden]').length,
                said]",
        )
        .await;
    assert_eq!(
        undisturbed,
        json!([[], true, "0123-4567-89AB", 2, 7, true, true, 0, []])
    );
    // The browser keeps what is in view in its place, although the page above has become shorter.
    let moved = page
        .eval("return document.querySelector('#management_key').getBoundingClientRect().top")
        .await;
    assert!(
        (0.0..900.0).contains(&moved.as_f64().unwrap()),
        "the field is out of sight: {moved}"
    );
    assert_eq!(page.axe().await, Vec::<String>::new());

    held.withdraw().await;
    page.until(
        "it is withdrawn",
        "return document.querySelector('[data-state]').dataset.state === 'withdrawn'",
    )
    .await;
    page.until("it is said", "return said.length > 0").await;
    assert_eq!(
        page.eval("return [said, document.title, performance.getEntriesByType('navigation').length, 'kept' in window]")
            .await,
        json!([
            ["Withdrawn: This request was withdrawn"],
            format!("Withdrawn: request {} – Federation portal", held.reference),
            1,
            true
        ])
    );
    assert!(!page.has("#management_key").await);
    page.assert_quiet(&[]).await;
}

#[tokio::test]
async fn a_page_that_nobody_sees_keeps_no_stream() {
    let held = Held::new().await;
    let (_browser, page) = held.portal.browser().await;
    page.open(&held.path()).await;
    held.streams(1).await;
    page.eval("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        .await;
    held.streams(0).await;
    held.withdraw().await;
    assert!(page.has("[data-state=pending]").await);
    page.eval("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        .await;
    page.until(
        "it has heard what it missed",
        "return document.querySelector('[data-state]').dataset.state === 'withdrawn'",
    )
    .await;
    held.streams(1).await;
    page.open("/help").await;
    held.streams(0).await;
    page.assert_quiet(&[]).await;
}

#[tokio::test]
async fn without_scripts_the_link_gives_the_same() {
    let held = Held::new().await;
    let (_browser, page) = held.portal.browser().await;
    page.scripts(false).await;
    page.open(&held.path()).await;
    assert!(page.has("[data-state=pending]").await);
    held.withdraw().await;
    page.press("Refresh").await;
    assert!(page.has("[data-state=withdrawn]").await);
    page.assert_quiet(&[]).await;
    page.press("support bundle").await;
    let bundle = page.find("body").await.text().await.unwrap();
    assert!(bundle.contains(&held.reference) && bundle.contains("Agreement number"));
}

#[tokio::test]
async fn the_support_bundle_can_be_copied() {
    let held = Held::new().await;
    let (_browser, page) = held.portal.browser().await;
    page.open(&held.path()).await;
    for name in ["clipboard-read", "clipboard-write"] {
        let permission = json!({ "permission": { "name": name }, "setting": "granted" });
        page.cdp("Browser.setPermission", permission).await;
    }
    page.click("[data-copy-from]").await;
    page.until(
        "it says so",
        "return document.querySelector('[data-copy-from]').textContent.startsWith('Copied')",
    )
    .await;
    let copied = page.eval("return navigator.clipboard.readText()").await;
    let bundle = held
        .portal
        .app
        .get(&format!("{}/support.txt", held.path()))
        .await
        .body;
    // Only the time at which it was written differs.
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("Written"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(lines(copied.as_str().unwrap()), lines(&bundle));
    page.assert_quiet(&[]).await;
}
