//! An administrator sees what is wrong, fixes it, and sees that it is fixed.

use std::time::Duration;

use pic_portal::readiness::{ProofMode, engine::Checks};
use serde_json::json;

use crate::{
    portal_support::{app::WAITS, edge::Edge, eventually, world::World},
    service::fit,
    support::{browser::Browser, page::Page, portal::Portal},
};

const DOMAINS: &str = "contoso.com it.contoso.com";
/// Longer than the time after a check before another can be requested.
const AFTER_A_LOOK: Duration = Duration::from_secs(10);

/// An organisation whose zone a test can change, a portal that checks it, and an open page.
struct Story {
    world: World,
    _edge: Edge,
    portal: Portal,
    _browser: Browser,
    page: Page,
}

impl Story {
    /// `contoso.com` and `it.contoso.com` are ready at one Access Edge.
    async fn begin(how: impl FnOnce(&World) -> Checks) -> Self {
        let world = World::start().await;
        let domains: Vec<_> = DOMAINS.split(' ').collect();
        world.zone("contoso.com");
        let edge = world.edge("sip.contoso.com", &domains).await;
        for domain in domains {
            world.route(domain, "sip.contoso.com");
        }
        let checks = how(&world);
        let portal = Portal::with(|site| site.checks = checks).await;
        portal.run_worker();
        let (browser, page) = portal.browser().await;
        Self {
            world,
            _edge: edge,
            portal,
            _browser: browser,
            page,
        }
    }

    /// Moves the clock forwards, and runs the background task.
    async fn later(&self, by: Duration) {
        self.portal.app.advance(by).await;
        self.portal.app.app.notifier().wake();
    }

    /// Submits `domains` without the browser; returns the path of the request, and its key.
    async fn submit(&self, domains: &str) -> (String, String) {
        let edges = [("sip.contoso.com", domains)];
        let (reference, key) = self.portal.app.submit(&edges).await;
        (format!("/requests/{reference}"), key)
    }

    async fn provisioned(&self, path: &str) {
        let reference = path.rsplit('/').next().unwrap();
        eventually("it is provisioned", async || {
            (self.portal.app.state(reference).await == "provisioned").then_some(())
        })
        .await;
    }

    /// Waits until the open page shows this state and these blocking findings, without navigation.
    async fn shows(&self, state: &str, findings: &[&str]) {
        let script = format!(
            "const found = [...document.querySelectorAll('[data-severity=blocking]')];
            return document.querySelector('[data-state]')?.dataset.state === '{state}'
                && found.map(it => it.dataset.finding).join() === '{}'",
            findings.join(",")
        );
        self.page
            .until(&format!("{state} {findings:?}"), &script)
            .await;
    }

    /// Presses *Refresh* until the page matches `css`.
    async fn refresh_until(&self, css: &str) {
        eventually(css, async || {
            self.page.press("Refresh").await;
            self.page.has(css).await.then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mended_turns_the_open_page() {
    let story = Story::begin(World::enforce).await;
    let (world, page) = (&story.world, &story.page);
    world.unroute("contoso.com");
    world.unroute("it.contoso.com");

    page.open("/requests/new").await;
    page.fill_in("sip.contoso.com", DOMAINS).await;
    page.press("Continue").await;
    // Advice, before anything is sent.
    assert!(page.has("[data-finding=srv-missing]").await);
    fit(page, true, "journey-answers").await;
    page.press("Submit request").await;
    page.press("See the status").await;
    story
        .shows("pending", &["srv-missing", "srv-missing"])
        .await;
    let line = "_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.";
    assert!(page.words().await.contains(line), "{}", page.words().await);
    fit(page, true, "journey-missing").await;

    // One of the two is fixed, and the button pressed.
    world.route("it.contoso.com", "sip.contoso.com");
    story.later(AFTER_A_LOOK).await;
    page.press("Check again").await;
    story.shows("pending", &["srv-missing"]).await;

    // The other is fixed, and nothing is pressed. What the reader has opened stays open.
    page.eval("const it = [...document.querySelectorAll('main .govuk-details > summary')].at(-1); it.focus(); it.click()")
        .await;
    page.eval(
        "window.kept = ['h1', 'details[open]', 'details[open] > summary', '[data-state]']
            .map(css => [css, document.querySelector(css)])",
    )
    .await;
    world.route("contoso.com", "sip.contoso.com");
    story.later(WAITS.longest).await;
    story.shows("provisioned", &[]).await;
    let undisturbed = page
        .eval(
            "return [
                kept.filter(([css, element]) => !element || document.querySelector(css) !== element).map(([css]) => css),
                document.activeElement === kept[2][1],
                performance.getEntriesByType('navigation').length,
                document.title.startsWith('Provisioned')]",
        )
        .await;
    assert_eq!(undisturbed, json!([[], true, 1, true]));
    fit(page, true, "journey-provisioned").await;
    page.assert_quiet(&[]).await;
    let routes = "SELECT count(*) FROM route";
    assert_eq!(story.portal.app.number(routes).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_two_buttons_do_the_same() {
    let story = Story::begin(World::enforce).await;
    let page = &story.page;
    story.world.unroute("contoso.com");
    let (path, _) = story.submit("contoso.com").await;
    page.scripts(false).await;
    page.open(&path).await;
    story.refresh_until("[data-finding=srv-missing]").await;
    fit(page, false, "journey-plain-missing").await;
    story.world.route("contoso.com", "sip.contoso.com");
    // Nothing has woken the background task.
    page.press("Refresh").await;
    assert!(page.has("[data-state=pending]").await);
    story.portal.app.advance(AFTER_A_LOOK).await;
    page.press("Check again").await;
    assert_eq!(page.path().await, format!("{path}#checks"));
    story.refresh_until("[data-state=provisioned]").await;
    assert!(!page.has("[data-finding=srv-missing]").await);
    fit(page, false, "journey-plain-provisioned").await;
    page.assert_quiet(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_checked_mended_and_requested() {
    let story = Story::begin(World::enforce).await;
    let page = &story.page;
    story.world.unroute("it.contoso.com");
    page.open("/").await;
    page.open("/check").await;
    page.fill("#domains-1", DOMAINS).await;
    page.fill("#edge-1", "sip.contoso.com").await;
    page.press("Check now").await;
    assert!(page.has("[data-finding=srv-missing]").await);
    fit(page, true, "journey-check-missing").await;
    story.world.route("it.contoso.com", "sip.contoso.com");
    page.press("Check now").await;
    assert!(!page.has("[data-severity=blocking]").await);
    fit(page, true, "journey-check-ready").await;
    page.press("Request federation for these names").await;
    assert_eq!(page.path().await, "/requests/new");
    let typed = page
        .eval("return ['#edge-1', '#domains-1'].map(css => document.querySelector(css).value)")
        .await;
    assert_eq!(
        typed,
        json!(["sip.contoso.com", "contoso.com\nit.contoso.com"])
    );
    page.assert_quiet(&[]).await;
    let stored = "SELECT (SELECT count(*) FROM request) + (SELECT count(*) FROM finding)";
    assert_eq!(story.portal.app.number(stored).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_alone_is_checked_from_the_start_page_and_requested() {
    let story = Story::begin(World::enforce).await;
    let page = &story.page;
    story.world.unroute("it.contoso.com");
    page.open("/").await;
    page.fill("#domains", "contoso.com").await;
    page.press("Check the domain").await;
    assert!(
        page.words()
            .await
            .contains("1 SIP domain at sip.contoso.com")
    );
    assert!(!page.has("[data-severity=blocking]").await);
    fit(page, true, "journey-check-alone").await;
    page.press("Request federation for these names").await;
    let typed = "return ['#edge-1', '#domains-1'].map(css => document.querySelector(css).value)";
    assert_eq!(
        page.eval(typed).await,
        json!(["sip.contoso.com", "contoso.com"])
    );
    // Its record by field, each with a button that copies it.
    page.open("/check").await;
    page.fill("#domains-1", "it.contoso.com").await;
    page.fill("#edge-1", "sip.contoso.com").await;
    page.press("Check now").await;
    page.click(".app-record [data-copy-text='_sipfederationtls._tcp.it']")
        .await;
    let copied =
        "return document.querySelector('.app-record button').textContent.startsWith('Copied')";
    page.until("the name was copied", copied).await;
    fit(page, true, "journey-check-record").await;
    page.assert_quiet(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_domain_moves_by_its_zone_while_people_look() {
    let story = Story::begin(World::enforce).await;
    let page = &story.page;
    let (holder, _) = story.submit(DOMAINS).await;
    story.provisioned(&holder).await;
    let (heir, _) = story.submit("contoso.com").await;
    page.open(&heir).await;
    story.shows("pending", &["domain-held"]).await;
    fit(page, true, "journey-held").await;
    // The line on the page can be copied into the zone.
    let words = page.words().await;
    let (_, rest) = words
        .split_once("pic-service=")
        .expect("the record is shown");
    let token: String = rest
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    story.world.speak_for("contoso.com", &token);
    page.eval("window.kept = true").await;
    story.later(WAITS.longest).await;
    story.shows("provisioned", &[]).await;
    assert_eq!(page.eval("return window.kept").await, json!(true));
    fit(page, true, "journey-gained").await;
    page.open(&holder).await;
    let words = page.words().await;
    assert!(
        words.contains("This SIP domain moved away\ncontoso.com, "),
        "{words}"
    );
    assert!(words.contains("Domain moved away"), "{words}");
    fit(page, true, "journey-lost").await;
    page.assert_quiet(&[]).await;
    let left = "SELECT count(*) FROM route x JOIN request r ON r.id = x.request_id
                WHERE (x.sip_domain, r.id) IN
                    (('contoso.com', (SELECT max(id) FROM request)), ('it.contoso.com', (SELECT min(id) FROM request)))";
    assert_eq!(story.portal.app.number(left).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_is_proven_by_the_record_of_the_receipt() {
    let story = Story::begin(|world| Checks::Enforce(world.checker(), ProofMode::Always)).await;
    let page = &story.page;
    page.open("/requests/new").await;
    let words = page.words().await;
    assert!(words.contains("You will publish a TXT record"), "{words}");
    page.fill_in("sip.contoso.com", DOMAINS).await;
    fit(page, true, "journey-proof-form").await;
    page.press("Continue").await;
    fit(page, true, "journey-proof-answers").await;
    page.press("Submit request").await;
    let text = page
        .eval_text("return document.querySelector('[data-proof]').dataset.proof")
        .await;
    // Each record as it is entered, field by field, with a button to copy each.
    let fields = page
        .eval_text(
            "return [...document.querySelectorAll('[data-proof] .app-record')].map(record =>
                [...record.querySelectorAll('[data-copy-text]')].map(it => it.dataset.copyText).join(' ')).join('\\n')",
        )
        .await;
    assert_eq!(
        fields,
        format!("_pic-portal TXT {text} 300\n_pic-portal.it TXT {text} 300")
    );
    let names = "_pic-portal.contoso.com\n_pic-portal.it.contoso.com";
    fit(page, true, "journey-proof-receipt").await;
    page.press("See the status").await;
    story
        .shows("pending", &["domain-unproven", "domain-unproven"])
        .await;
    fit(page, true, "journey-proof-status").await;
    // Each name gets the record that the receipt showed.
    for name in names.lines() {
        story.world.internet.set(name, &[&format!("TXT {text}")]);
    }
    story.later(AFTER_A_LOOK).await;
    page.press("Check again").await;
    story.shows("provisioned", &[]).await;
    let words = page.words().await;
    assert!(words.contains("you can remove it"), "{words}");
    fit(page, true, "journey-proof-provisioned").await;
    page.assert_quiet(&[]).await;
    let routes = "SELECT count(*) FROM route";
    assert_eq!(story.portal.app.number(routes).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_with_what_is_in_force_is_told_and_nothing_is_taken_away() {
    let story = Story::begin(World::enforce).await;
    let page = &story.page;
    let (path, key) = story.submit(DOMAINS).await;
    story.provisioned(&path).await;
    page.open(&path).await;
    story.shows("provisioned", &[]).await;
    page.eval("window.kept = true").await;
    story.world.unroute("it.contoso.com");
    story.later(Duration::from_hours(24)).await;
    story.shows("provisioned", &["srv-missing"]).await;
    assert_eq!(page.eval("return window.kept").await, json!(true));
    assert!(
        page.words().await.contains("At risk"),
        "{}",
        page.words().await
    );
    fit(page, true, "journey-at-risk").await;

    page.open("/service").await;
    page.fill("#number", "1234567").await;
    page.fill("#management_key", &key).await;
    page.leave(async || page.click("main form button[type=submit]").await)
        .await;
    let words = page.words().await;
    assert!(words.contains("At risk"), "{words}");
    assert!(page.has("[data-finding=srv-missing]").await);
    fit(page, true, "journey-hub-at-risk").await;
    assert_eq!(
        story.portal.app.number("SELECT count(*) FROM route").await,
        2
    );

    story.world.route("it.contoso.com", "sip.contoso.com");
    story.later(Duration::from_hours(24)).await;
    page.open(&path).await;
    story.shows("provisioned", &[]).await;
    assert!(!page.words().await.contains("At risk:"));
    page.assert_quiet(&[]).await;
}
