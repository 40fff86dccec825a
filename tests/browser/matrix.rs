//! Checks every page in light and dark, wide and narrow.

use crate::{
    gallery::{Exhibit, Gallery},
    support::{
        page::{Page, Scheme},
        snapshot::{PAGES, SHELLS},
    },
};

/// Too long to be drawn when unfolded.
const LONG: [&str; 5] = [
    "answers-forty",
    "answers-thousand",
    "status-forty",
    "status-thousand",
    "status-thousand-held",
];

/// The beginnings of the exhibits' names for each part: each part is one browser session.
const FORM: &[&str] = &["start", "form", "answers"];
const REQUESTS: &[&str] = &["receipt", "status"];
const FINDING_AND_ERRORS: &[&str] = &["already-sent", "find", "error", "check"];
const HELP: &[&str] = &["help", "privacy"];
const DESK: &[&str] = &["staff"];
const PARTS: [&[&str]; 5] = [FORM, REQUESTS, FINDING_AND_ERRORS, HELP, DESK];

fn is_in(part: &[&str], name: &str) -> bool {
    part.iter().any(|begin| name.starts_with(begin))
}

/// Checks the exhibits of one part of the gallery in one browser session.
async fn look_at(part: &[&str]) {
    let gallery = Gallery::open().await;
    let (_browser, page) = gallery.sound.browser().await;
    for exhibit in &gallery.exhibits {
        let parts = PARTS
            .iter()
            .filter(|part| is_in(part, &exhibit.name))
            .count();
        assert_eq!(parts, 1, "who looks at {}?", exhibit.name);
    }
    for name in PAGES.iter().chain(&SHELLS).filter(|it| is_in(part, it)) {
        let shown = gallery.exhibits.iter().any(|it| it.name == *name);
        assert!(
            shown,
            "{name} is compared with a snapshot and shown nowhere"
        );
    }
    let mut faults = Vec::new();
    let of_part = gallery.exhibits.iter().filter(|it| is_in(part, &it.name));
    for exhibit in of_part {
        gallery.visit(&page, exhibit).await;
        faults.extend(look(&page, exhibit).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Checks one page in all its appearances.
async fn look(page: &Page, exhibit: &Exhibit) -> Vec<String> {
    let name = exhibit.name.as_str();
    let mut faults = Vec::new();
    page.assert_well_formed(name).await;
    for (width, scheme) in [
        (1280, Scheme::Light),
        (1280, Scheme::Dark),
        (320, Scheme::Dark),
        (320, Scheme::Light),
    ] {
        page.window(width, 1).await;
        page.scheme(scheme).await;
        let appearance = format!("{name}-{}-{width}", scheme.name());
        page.picture(&appearance).await;
        if LONG.contains(&name) && (width == 320) != (scheme == Scheme::Dark) {
            continue; // Seconds each, and one light and one dark will do.
        }
        let found = page.axe().await;
        faults.extend(found.iter().map(|fault| format!("{appearance}: {fault}")));
        page.assert_no_sideways_scrolling(&appearance).await;
    }
    // With all folded parts open, in the narrowest window.
    let folded = page.eval("const all = document.querySelectorAll('details'); all.forEach(it => it.open = true); return all.length").await;
    if folded != 0 {
        let unfolded = format!("{name}-unfolded");
        page.assert_no_sideways_scrolling(&unfolded).await;
        if !LONG.contains(&name) {
            page.picture(&unfolded).await;
            let found = page.axe().await;
            faults.extend(found.iter().map(|fault| format!("{unfolded}: {fault}")));
        }
        page.eval("document.querySelectorAll('details').forEach(it => it.open = false)")
            .await;
    }
    page.window(1280, 1).await;
    page.assert_snapshots(name).await;
    page.assert_quiet(&[exhibit.status]).await;
    faults
}

#[tokio::test]
async fn pages_of_the_form_are_fit_for_everybody() {
    look_at(FORM).await;
}

#[tokio::test]
async fn pages_of_requests_are_fit_for_everybody() {
    look_at(REQUESTS).await;
}

#[tokio::test]
async fn pages_of_finding_and_of_errors_are_fit_for_everybody() {
    look_at(FINDING_AND_ERRORS).await;
}

#[tokio::test]
async fn pages_of_help_are_fit_for_everybody() {
    look_at(HELP).await;
}

#[tokio::test]
async fn pages_of_the_desk_are_fit_for_everybody() {
    look_at(DESK).await;
}
