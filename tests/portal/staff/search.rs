//! Checks that a search finds everything it should, against a simple model.

use axum::http::StatusCode;
use pic_portal::staff::Role;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use super::signed_in;
use crate::support::app::{Answer, TestApp};

/// What is stored: an edge and its domains, in DNS form.
const STORED: &[(&str, &str)] = &[
    ("sip.contoso.com", "contoso.com it.contoso.com"),
    ("edge.fabrikam.com", "fabrikam.com notcontoso.com"),
    (
        "sip.xn--mnchen-3ya.de",
        "xn--mnchen-3ya.de a.b.xn--mnchen-3ya.de",
    ),
    ("access.contoso.com", "contoso.com.example"),
    ("sip.a-b.example", "a-b.example x.a-b.example"),
    ("sip.b.example", "b.example"),
];

/// A name in DNS form, and as people write it.
fn as_dns_has_it(name: &str) -> String {
    name.to_lowercase().replace("münchen", "xn--mnchen-3ya")
}

/// The simple model: whether a name finds the stored request.
fn is_meant(stored: &(&str, &str), name: &str) -> bool {
    let name = as_dns_has_it(name);
    let below = format!(".{name}");
    let names = stored.1.split(' ').chain([stored.0]);
    names
        .into_iter()
        .any(|it| it == name || it.ends_with(&below))
}

/// The references on the page, in its order.
fn shown(page: &str) -> Vec<String> {
    let lines = page.split("href=\"/staff/requests/PIC-").skip(1);
    lines.map(|line| format!("PIC-{}", &line[..19])).collect()
}

async fn find(portal: &TestApp, cookie: &str, q: &str) -> Vec<String> {
    let query = serde_html_form::to_string([("q", q)]).unwrap();
    let page = portal
        .get_with(&format!("/staff/requests?{query}"), cookie)
        .await;
    assert_eq!(page.status, StatusCode::OK, "{q}: {}", page.body);
    assert!(
        page.body.contains("Taken for") || page.body.contains("That is neither"),
        "{q}"
    );
    shown(&page.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_searched_nothing_that_matches_is_missing() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Reader).await;
    let mut references = Vec::new();
    for edges in STORED {
        references.push(portal.store_one(&[*edges]).await);
    }
    let names = [
        "contoso.com",
        "CONTOSO.com.",
        "it.contoso.com",
        "fabrikam.com",
        "edge.fabrikam.com",
        "münchen.de",
        "xn--mnchen-3ya.de",
        "b.xn--mnchen-3ya.de",
        "b.münchen.de",
        "sip.contoso.com",
        "access.contoso.com",
        "a-b.example",
        "b.example",
        "-b.example",
        "contoso.com.example",
        "notcontoso.com",
        "so.com",
        "oso.com",
        "sip:ted@contoso.com",
        "https://contoso.com/",
    ];
    for q in names {
        let name = q
            .trim_start_matches("sip:ted@")
            .trim_start_matches("https://");
        let name = name.trim_end_matches(['/', '.']);
        let is_name = name.contains('.') && !name.starts_with('-');
        let meant: Vec<_> = STORED
            .iter()
            .zip(&references)
            .filter(|(stored, _)| is_name && is_meant(stored, name))
            .map(|(_, reference)| reference.clone())
            .rev()
            .collect();
        assert_eq!(find(&portal, &agent, q).await, meant, "{q}: newest first");
    }
    for q in ["1234567", "123 45-67", " 1234567 ", "Agreement: 1234567"] {
        assert_eq!(find(&portal, &agent, q).await.len(), STORED.len(), "{q}");
    }
    for q in ["123", "1234567"] {
        assert_eq!(find(&portal, &agent, q).await.len(), STORED.len(), "{q}");
    }
    for q in ["7654321", "12345678", "234567", "nothing at all", "?", "@"] {
        assert_eq!(find(&portal, &agent, q).await, [""; 0], "{q}");
    }

    // Any beginning of any reference, in any spelling that is read the same.
    let handle = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config::with_cases(60));
    let any = (select(references.clone()), 4_usize..=15, any::<[bool; 4]>());
    tokio::task::block_in_place(|| {
        runner
            .run(
                &any,
                |(reference, length, [lower, swap, prefix, spaced])| {
                    let symbols: String = reference[4..]
                        .replace('-', "")
                        .chars()
                        .take(length)
                        .collect();
                    let mut q = if swap {
                        symbols.replace('0', "O").replace('1', "l")
                    } else {
                        symbols.clone()
                    };
                    if prefix {
                        q = format!("PIC-{q}");
                    }
                    if lower {
                        q = q.to_lowercase();
                    }
                    if spaced {
                        q.insert(q.len() / 2, ' ');
                    }
                    let begins = |it: &&String| it[4..].replace('-', "").starts_with(&symbols);
                    let meant: Vec<_> = references.iter().rev().filter(begins).cloned().collect();
                    let found = handle.block_on(find(&portal, &agent, &q));
                    // Such a number could also be an agreement number, but there is none here.
                    prop_assert_eq!(found, meant, "{}", q);
                    Ok(())
                },
            )
            .unwrap();
    });
}

#[tokio::test]
async fn a_piece_of_a_name_finds_it_and_a_whole_reference_opens_it() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Reader).await;
    let mut references = Vec::new();
    for edges in STORED {
        references.push(portal.store_one(&[*edges]).await);
    }
    // The beginning of any label but the last, in the names of requests in progress.
    for (q, meant) in [
        ("cont", &[0, 3][..]),
        ("Fabrikam", &[1]),
        ("notcon", &[1]),
        ("acces", &[3]),
        ("edge", &[1]),
        ("münchen", &[2]),
        ("a-b", &[4]),
        ("ontoso", &[]),
        ("com", &[3]),
        ("exa", &[]),
        ("sip", &[0, 2, 4, 5]),
    ] {
        let meant: Vec<_> = meant
            .iter()
            .rev()
            .map(|&it: &usize| references[it].clone())
            .collect();
        assert_eq!(find(&portal, &agent, q).await, meant, "{q}");
    }

    // A whole reference opens its request.
    let typed = references[2].to_lowercase();
    let opened = portal
        .get_with(&format!("/staff/requests?q={typed}"), &agent)
        .await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER);
    assert_eq!(
        opened.header("location"),
        format!("/staff/requests/{}", references[2])
    );

    // What has as many letters as a reference may be a name all the same.
    let long = [("sip.margiestravelinc.example", "margiestravelinc.example")];
    let long = portal.store_one(&long).await;
    assert_eq!(find(&portal, &agent, "margiestravelinc").await, [long]);

    // In force, the first label is found however old the request is, and ended ones are found too.
    let first = references[1].clone();
    portal.work().await;
    assert_eq!(find(&portal, &agent, "fabr").await, [first]);
}

/// Where the link of a page with this text leads.
fn leads(page: &Answer, text: &str) -> Option<String> {
    let mut links = page.elements().into_iter();
    let link = links.find(|it| it.name == "a" && it.text == text)?;
    link.get("href").map(str::to_owned)
}

/// From the last page of a list its pages lead back to the first, and show the same.
async fn assert_back(portal: &TestApp, cookie: &str, last: String, all: &[String]) {
    let (mut path, mut seen, mut pages) = (last, Vec::new(), 0);
    loop {
        let page = portal.get_with(&path, cookie).await;
        seen.splice(0..0, shown(&page.body));
        let previous = leads(&page, "Previous page");
        let first = leads(&page, "First page");
        assert_eq!(first.is_some(), pages == 0 && all.len() > 100, "{path}");
        match previous {
            Some(previous) => path = previous,
            None => break,
        }
        pages += 1;
    }
    assert!(!path.contains("after="), "the first page: {path}");
    assert_eq!(seen, all, "each once");
}

#[tokio::test]
async fn the_queue_is_paged_filtered_and_taken_along_whole() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let empty = portal.get_with("/staff/requests", &agent).await;
    empty.shows("Nothing is ours to act on");
    portal.store(120).await;
    portal.advance(std::time::Duration::from_hours(49)).await;
    portal.store(3).await;
    // 49 hours are longer than a session lasts.
    let agent = super::sign_in(&portal, "anna").await;
    let all: Vec<String> = portal
        .all("SELECT reference FROM request ORDER BY id")
        .await;
    for (query, expected) in [
        ("", &all[..]),
        ("?state=pending", &all[..]),
        ("?overdue=on", &all[..120]),
        ("?age=2d", &all[..120]),
        ("?age=7d", &[]),
    ] {
        let (mut path, mut seen) = (format!("/staff/requests{query}"), Vec::new());
        loop {
            let page = portal.get_with(&path, &agent).await;
            assert_eq!(page.status, StatusCode::OK);
            seen.extend(shown(&page.body));
            match leads(&page, "Next page") {
                Some(next) => path = next,
                None => break,
            }
        }
        assert_eq!(seen, expected, "{query}: oldest first, each once");
        assert_back(&portal, &agent, path, &seen).await;
        let file = portal
            .get_with(&format!("/staff/requests.csv{query}"), &agent)
            .await;
        assert!(file.header("content-type").starts_with("text/csv"));
        let lines: Vec<_> = file
            .body
            .lines()
            .skip(1)
            .map(|line| line.split(',').next().unwrap())
            .collect();
        assert_eq!(lines, expected, "{query}");
    }
}

#[tokio::test]
async fn each_filter_shows_its_own_and_no_others() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    portal.store(123).await;
    let all: Vec<String> = portal
        .all("SELECT reference FROM request ORDER BY id")
        .await;
    portal.work().await;
    let done = portal
        .get_with("/staff/requests?state=provisioned", &agent)
        .await;
    assert_eq!(
        shown(&done.body)[..2],
        [all[122].clone(), all[121].clone()],
        "newest first"
    );
    assert!(done.body.contains(">until provisioned<"), "{}", done.body);
    let mut counts = done.elements().into_iter();
    assert!(
        counts.any(|it| it.has_class("app-tabs__count") && it.text == "123"),
        "{}",
        done.body
    );
    // Each of the other sources of a list leads back too, newest first.
    portal
        .run("INSERT INTO staff_mark SELECT r.id, m, s.id, pic_now() FROM request r, staff s, unnest(ARRAY['taken', 'called']) AS m")
        .await;
    portal
        .run("INSERT INTO finding (request_id, code, subject, severity, at) SELECT id, 'srv-port', 'a.example', 'blocking', pic_now() FROM request")
        .await;
    let newest: Vec<String> = all.iter().rev().cloned().collect();
    for query in [
        "state=provisioned",
        "mine=on",
        "mark=called",
        "finding=srv-port",
        "risk=on",
        "q=1234567",
    ] {
        let last = format!("/staff/requests?{query}&after=24");
        assert_back(&portal, &agent, last, &newest).await;
    }
    portal.run("DELETE FROM finding").await;
    let taken: String = portal.one("SELECT min(sip_domain) FROM route").await;
    let held = portal.store_one(&[("sip.other.example", &taken)]).await;
    portal.work().await;
    for query in [
        "needs=on",
        "finding=domain-held",
        "finding=domain-held&state=pending",
        "programme=volume_licensing",
    ] {
        let page = portal
            .get_with(&format!("/staff/requests?{query}"), &agent)
            .await;
        assert_eq!(shown(&page.body), [held.as_str()], "{query}");
    }
    for query in [
        "programme=high_volume",
        "risk=on",
        "finding=srv-port",
        "q=nothing.example",
        "needs=on&state=rejected",
    ] {
        let page = portal
            .get_with(&format!("/staff/requests?{query}"), &agent)
            .await;
        assert!(
            page.body.contains("No request is one of these"),
            "{query}: {}",
            page.body
        );
    }
    portal.run("INSERT INTO finding (request_id, code, subject, severity, at) VALUES (5, 'srv-port', 'a.example', 'blocking', pic_now())").await;
    let risk = portal.get_with("/staff/requests?risk=on", &agent).await;
    assert_eq!(shown(&risk.body), [all[4].as_str()]);
    for query in ["state=done", "age=x", "after=x", "finding=x", "overdue=1"] {
        let page = portal
            .get_with(&format!("/staff/requests?{query}"), &agent)
            .await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

/// A search that a filter confines says so, and leads out of it.
#[tokio::test]
async fn a_search_within_a_tab_shows_the_filter_and_the_way_out() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Reader).await;
    portal
        .store_one(&[("sip.contoso.com", "contoso.com")])
        .await;
    let everywhere = "href=\"/staff/requests?q=contoso\">Search in all requests";
    for (query, is_open, leads_out) in [
        ("", false, false),
        ("state=rejected", false, false),
        ("overdue=on", false, false),
        ("q=contoso", false, false),
        ("q=contoso&state=pending", true, false),
        ("q=contoso&state=rejected", true, true),
        ("state=rejected&programme=high_volume", true, false),
    ] {
        let page = portal
            .get_with(&format!("/staff/requests?{query}"), &agent)
            .await;
        let mut elements = page.elements().into_iter();
        let filters = elements.find(|it| it.name == "details").unwrap();
        assert_eq!(filters.get("open").is_some(), is_open, "{query}");
        assert_eq!(page.body.contains(everywhere), leads_out, "{query}");
    }
}
