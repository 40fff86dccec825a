//! Support staff at work on 240 requests of every state, in a real browser.

use fantoccini::key::Key;
use pic_portal::staff::Role;

use crate::{
    keyboard::Hands,
    portal_support::{
        desk::{PASSWORD, account},
        eventually,
    },
    support::{
        browser::Browser,
        page::{Page, Scheme},
        portal::Portal,
    },
};

/// Of 240 requests 40 are refused, 40 withdrawn, 60 provisioned, 4 of these at risk; of the others 40
/// wait for their administrators, 20 could not be checked, 10 have been held for long, 30 wait.
const EVERY_STATE: &str = "
    SELECT pic_end(ARRAY(SELECT generate_series(1, 40)::bigint), 'rejected', 'policy', 'portal');
    SELECT pic_end(ARRAY(SELECT generate_series(41, 80)::bigint), 'withdrawn', NULL, 'administrator');
    UPDATE work SET due_at = pic_now() + interval '9 hours' WHERE request_id > 140;
";
const FINDINGS: &str = "
    INSERT INTO finding (request_id, code, subject, severity, at)
    SELECT d.request_id, f.code, d.sip_domain, f.severity, pic_now() - f.since::interval
    FROM (VALUES (101, 104, 'srv-missing', 'blocking', '1 day'), (141, 180, 'srv-missing', 'blocking', '6 days'),
                 (181, 200, 'resolver-unreachable', 'unknown', '1 hour'), (201, 210, 'domain-held', 'blocking', '3 days'))
         AS f (first, last, code, severity, since)
    JOIN request_route d ON d.request_id BETWEEN f.first AND f.last;
";

/// A portal with those requests and an account, and its browser at the sign-in page.
async fn desk(scripts: bool) -> (Portal, Browser, Page) {
    let portal = Portal::start().await;
    let app = &portal.app;
    app.store(140).await;
    let forty: Vec<String> = (0..40).map(|n| format!("m{n}.alpineski.example")).collect();
    let forty = forty.join(" ");
    app.store_one(&[("sip.alpineski.example", &forty)]).await;
    app.store(99).await;
    app.run(EVERY_STATE).await;
    app.work().await;
    app.run(FINDINGS).await;
    account(app, "anna", Role::Agent).await;
    let (browser, page) = portal.browser().await;
    page.scripts(scripts).await;
    page.cdp(
        "Emulation.setTimezoneOverride",
        serde_json::json!({ "timezoneId": "Europe/Zurich" }),
    )
    .await;
    page.open("/staff/sign-in").await;
    (portal, browser, page)
}

/// The desk takes the whole width of a large screen.
const WIDE_TOO: [(u32, Scheme); 4] = [
    (320, Scheme::Dark),
    (1280, Scheme::Light),
    (1920, Scheme::Dark),
    (1920, Scheme::Light),
];

async fn focused(page: &Page, what: &str, css: &str) {
    let there = format!("return document.activeElement.matches({css:?})");
    page.until(what, &there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_with_the_keyboard_alone() {
    let (portal, _browser, page) = desk(true).await;
    let hands = Hands(&page);
    hands.tab_to("#name").await;
    hands.write("anna").await;
    hands.tab_to("#password").await;
    hands.write(PASSWORD).await;
    hands.go_on_with(Key::Enter).await;
    assert_eq!(page.h1().await, "Requests");
    let tab = page.find(".app-tabs [aria-current]").await;
    assert_eq!(tab.text().await.unwrap(), "Ours to act on 60");
    page.assert_fits(&WIDE_TOO, true, "desk-ours").await;

    // The help lists the keys, and has the box that turns them off.
    hands.write("?").await;
    page.until(
        "the keys are listed",
        "return document.querySelector('dialog').open",
    )
    .await;
    assert_eq!(page.axe().await, Vec::<String>::new());
    page.picture("desk-keys").await;
    hands.press(Key::Escape).await;
    assert!(!page.has("dialog[open]").await);

    // Two lines down, one up, and into it; from there on in the list.
    hands.write("jjk").await;
    focused(
        &page,
        "the first line has the focus",
        "tbody tr:nth-child(1) th a",
    )
    .await;
    hands.assert_focus_can_be_seen().await;
    hands.write("j").await;
    hands.go_on_with(Key::Enter).await;
    assert!(page.words().await.contains("The portal has to act"));
    let second = page.path().await;
    page.leave(async || hands.write("n").await).await;
    assert_ne!(page.path().await, second);
    assert!(page.has("a[rel=prev]").await, "{}", page.path().await);
    page.leave(async || hands.write("c").await).await;
    assert!(page.words().await.contains("Another check was asked for"));
    assert!(page.has("a[rel=next]").await, "still in the list");
    let here = page.words().await;
    assert!(here.contains(" here)"), "the local time is there: {here}");

    hands.write("r").await;
    focused(&page, "a reason has the focus", "[name=reason]").await;
    hands.press(Key::Space).await;
    hands.tab_to("#confirm").await;
    hands.press(Key::Space).await;
    hands.go_on_with(Key::Enter).await;
    assert!(page.words().await.contains("Nobody has to act"));

    // From any page to the search, by a piece of a name with forty domains.
    page.leave(async || hands.write("/").await).await;
    focused(&page, "the search has the cursor", "#q").await;
    hands.write("alpine").await;
    hands.go_on_with(Key::Enter).await;
    let found = page.words().await;
    assert!(found.contains("m0.alpineski.example +39"), "{found}");
    hands.write("j").await;
    hands.go_on_with(Key::Enter).await;
    page.assert_fits(&WIDE_TOO, true, "desk-forty-domains")
        .await;

    // Turned off in this browser they are letters and nothing else.
    hands.write("?").await;
    hands.tab_to("#keys-on").await;
    hands.press(Key::Space).await;
    hands.press(Key::Escape).await;
    page.open("/staff/requests").await;
    hands.write("j?").await;
    assert!(!page.has("dialog[open]").await);
    assert_eq!(
        page.eval("return document.activeElement === document.body")
            .await,
        true
    );
    page.assert_quiet(&[]).await;
    let refused = "SELECT count(*) FROM staff_audit WHERE action = 'refused'";
    assert_eq!(portal.app.number(refused).await, 1);
}

/// Takes and marks a request, refuses three duplicates in one go.
async fn many_at_once(scripts: bool) {
    let (portal, _browser, page) = desk(scripts).await;
    let app = &portal.app;
    page.fill("#name", "anna").await;
    page.fill("#password", PASSWORD).await;
    page.press("Sign in").await;
    page.leave(async || page.click("tbody tr:nth-child(3) th a").await)
        .await;
    page.press("Take it").await;
    page.press("Waits for licensing").await;
    let told = page.words().await;
    assert!(
        told.contains("Taken by anna") && told.contains("Waits for licensing by anna"),
        "{told}"
    );
    page.assert_fits(&WIDE_TOO, scripts, "desk-marked").await;
    page.press("The list").await;
    page.press("Mine 1").await;
    assert!(page.words().await.contains("Taken by anna"));
    page.assert_fits(&WIDE_TOO, scripts, "desk-mine").await;
    page.open("/staff/requests?state=pending").await;
    for line in 1..=3 {
        page.click(&format!("tbody tr:nth-child({line}) .app-tick input"))
            .await;
    }
    page.press("Refuse…").await;
    assert_eq!(page.h1().await, "Refuse 3 requests");
    page.assert_fits(&WIDE_TOO, scripts, "desk-bulk").await;
    page.press("Refuse 3 requests").await;
    assert_eq!(page.status().await, 422);
    page.assert_fits(&WIDE_TOO, scripts, "desk-bulk-error")
        .await;
    page.click("label[for=duplicate]").await;
    page.click("label[for=confirm]").await;
    page.press("Refuse 3 requests").await;
    assert_eq!(page.h1().await, "Refused: 3 requests");
    page.assert_fits(&WIDE_TOO, scripts, "desk-bulk-done").await;
    page.press("Back to the list").await;
    assert_eq!(page.eval("return location.search").await, "?state=pending");
    let refused =
        "SELECT count(*) FROM staff_audit WHERE action = 'refused' AND reason = 'duplicate'";
    assert_eq!(app.number(refused).await, 3);
    page.assert_quiet(&[422]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_dealt_with_at_once() {
    many_at_once(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_dealt_with_at_once_without_javascript() {
    many_at_once(false).await;
}

/// The list moves up while lines are ticked and one has the focus: both stay with their requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ticked_stays_so_while_the_list_moves() {
    let (portal, _browser, page) = desk(true).await;
    let app = &portal.app;
    page.fill("#name", "anna").await;
    page.fill("#password", PASSWORD).await;
    page.press("Sign in").await;
    page.open("/staff/requests?state=pending").await;
    eventually("the list is followed", async || {
        (app.app.live().streams() == 1).then_some(())
    })
    .await;
    for line in [2, 4] {
        page.click(&format!("tbody tr:nth-child({line}) .app-tick input"))
            .await;
    }
    page.eval("document.querySelector('tbody tr:nth-child(3) th a').focus()")
        .await;
    let meant = "return [[...document.querySelectorAll('tbody tr')]
            .filter(line => line.querySelector('.app-tick input').checked)
            .map(line => [line.querySelector('.app-tick input').value, line.querySelector('th').innerText]),
        document.activeElement.closest('tr')?.querySelector('.app-table__reference').textContent]";
    let before = page.eval(meant).await;
    let first = "return document.querySelector('tbody .app-table__reference').textContent";
    let first = page.eval_text(first).await;

    let fields = [("name", "anna"), ("password", PASSWORD)];
    let elsewhere = app.post("/staff/sign-in", &fields).await.cookie();
    let fields = [("reason", "policy"), ("confirm", "on")];
    let refuse = format!("/staff/requests/{first}/refuse");
    let done = app.post_with(&refuse, &fields, &elsewhere).await;
    assert_eq!(done.status, 303, "{}", done.body);
    let gone = format!("return !document.querySelector('tbody').textContent.includes('{first}')");
    page.until("the first line has left the list", &gone).await;
    assert_eq!(page.eval(meant).await, before);

    page.press("Refuse…").await;
    let listed = "return [...document.querySelectorAll('#chosen ~ tbody .app-table__reference')].map(it => it.textContent)";
    let ticked = before[0].as_array().unwrap().iter().map(|it| &it[0]);
    let ticked: serde_json::Value = ticked.cloned().collect();
    assert_eq!(page.eval(listed).await, ticked);
    page.assert_quiet(&[]).await;
}
