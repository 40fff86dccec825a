//! Checks the HTML of every page: validity, links, size.

use std::collections::{BTreeMap, BTreeSet};

use axum::{body::Body, http::Request};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::{
    gallery::Gallery,
    portal_support::{
        app::{TestApp, submission_id},
        html::elements,
    },
    support::html::assert_valid,
};

/// The most bytes of a first visit (`docs/pages.md#assets`).
const FIRST_LOAD: usize = 60 * 1024;

#[tokio::test]
async fn every_page_is_valid_html() {
    let gallery = Gallery::open().await;
    let mut pages = Vec::new();
    for exhibit in &gallery.exhibits {
        let answer = gallery.fetch(exhibit).await;
        pages.push((exhibit.name.clone(), answer.body));
    }
    assert_valid(&pages);
}

/// The pages of a service, each with its links: only clients that are signed in see them.
#[tokio::test]
async fn the_pages_of_a_service_are_valid_html_and_lead_somewhere() {
    let app = TestApp::new().await;
    let (_, key) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
    app.work().await;
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let cookie = app.post("/service", &fields).await.cookie();
    let id = submission_id();
    let edit = |action| {
        [
            ("edge", "edge.contoso.com"),
            ("domains", "contoso.com"),
            ("deployment", "on_premises"),
            ("submission_id", &id),
            ("action", action),
        ]
    };
    let mut pages = vec![
        ("sign-in", app.get("/service").await),
        ("sign-in-error", app.post("/service", &[]).await),
    ];
    for (name, path) in [
        ("hub", "/service"),
        ("edit", "/service/edit"),
        ("cancel", "/service/cancel"),
        ("key", "/service/key"),
    ] {
        pages.push((name, app.get_with(path, &cookie).await));
    }
    for (name, path, fields) in [
        ("review", "/service/edit", &edit("review")[..]),
        ("review-error", "/service/edit", &edit("submit")),
        ("cancel-error", "/service/cancel", &[]),
    ] {
        pages.push((name, app.post_with(path, fields, &cookie).await));
    }
    for (name, page) in &pages {
        for link in Linked::of(&page.body).links {
            if link.starts_with('/') {
                let led = app.get_with(&link, &cookie).await;
                assert!(
                    led.status.as_u16() < 400,
                    "{name}: {link} answers {}",
                    led.status
                );
            }
        }
    }
    let pages = pages
        .into_iter()
        .map(|(name, page)| (name.into(), page.body));
    assert_valid(&pages.collect::<Vec<_>>());
}

/// Follows every link from the start page and from every page of the gallery.
#[tokio::test]
async fn no_link_is_dead() {
    let gallery = Gallery::open().await;
    let mut dead = BTreeSet::new();
    // Each link: the page it is on, its target, and its portal.
    let mut links = vec![("nobody".to_owned(), "/".to_owned(), &gallery.sound)];
    for exhibit in &gallery.exhibits {
        let linked = Linked::of(&gallery.fetch(exhibit).await.body);
        for link in linked.links {
            // A fragment alone leads to the same page.
            match link.strip_prefix('#') {
                Some(id) if !linked.ids.contains(id) => {
                    dead.insert(format!("{}: {link}", exhibit.name));
                }
                Some(_) => {}
                None => links.push((exhibit.name.clone(), link, gallery.whole(exhibit))),
            }
        }
    }
    let mut pages: BTreeMap<String, Linked> = BTreeMap::new();
    let mut followed = 0;
    while let Some((from, link, portal)) = links.get(followed).cloned() {
        followed += 1;
        let Some(path) = inside(&link, &portal.origin).filter(|path| !pages.contains_key(*path))
        else {
            continue;
        };
        let answer = match gallery.agent_of(portal) {
            Some(cookie) => portal.app.get_with(path, cookie).await,
            None => portal.app.get(path).await,
        };
        // The OpenID provider of the exhibits is away.
        if answer.status.as_u16() >= 400 && path != "/staff/sign-in/oidc" {
            dead.insert(format!("{from}: {link} answers {}", answer.status));
        }
        let is_page = answer.header("content-type").starts_with("text/html");
        let linked = if is_page {
            Linked::of(&answer.body)
        } else {
            Linked::default()
        };
        let new = linked.links.iter().filter(|link| !link.starts_with('#'));
        links.extend(new.map(|link| (path.to_owned(), link.clone(), portal)));
        pages.insert(path.to_owned(), linked);
    }
    for (from, link, portal) in &links {
        let id = link.split_once('#').map_or("", |(_, id)| id);
        let page = inside(link, &portal.origin).and_then(|path| pages.get(path));
        if !id.is_empty() && page.is_some_and(|page| !page.ids.contains(id)) {
            dead.insert(format!("{from}: {link}"));
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(
        pages.len() > 15,
        "the crawl got nowhere: {:#?}",
        pages.keys()
    );
}

/// The path that a link leads to, if it stays on the portal.
fn inside<'a>(link: &'a str, origin: &str) -> Option<&'a str> {
    let path = link.strip_prefix(origin).unwrap_or(link);
    path.starts_with('/')
        .then(|| path.split('#').next().unwrap_or_default())
}

/// The links of a page, and the ids that links can lead to.
#[derive(Default)]
struct Linked {
    links: Vec<String>,
    ids: BTreeSet<String>,
}

impl Linked {
    fn of(html: &str) -> Self {
        let elements = elements(html);
        let values = |name: &'static str| {
            let values = elements.iter().filter_map(move |it| it.get(name));
            values.map(str::to_owned)
        };
        Self {
            // The target of a form with GET can be followed too; forms with POST are tested in the
            // journeys.
            links: values("href").chain(values("src")).collect(),
            ids: values("id").collect(),
        }
    }
}

/// The size of the start page and the form at the first visit, in the coding that browsers prefer.
#[tokio::test]
async fn the_first_load_is_light() {
    for coding in ["br", "gzip"] {
        let app = TestApp::new().await;
        let mut assets = BTreeSet::new();
        let mut bytes = 0;
        for path in ["/", "/requests/new"] {
            bytes += size(&app, path, coding).await;
            assets.extend(
                Linked::of(&app.get(path).await.body)
                    .links
                    .into_iter()
                    .filter(|link| link.starts_with("/static/")),
            );
        }
        assert_eq!(assets.len(), 3, "{assets:?}");
        for asset in &assets {
            let weight = size(&app, asset, coding).await;
            assert!(weight > 0, "{asset}");
            bytes += weight;
        }
        assert!(bytes <= FIRST_LOAD, "{bytes} bytes with {coding}");
    }
}

/// The bytes of a response as they are transferred.
async fn size(app: &TestApp, path: &str, coding: &str) -> usize {
    let request = Request::get(path)
        .header("accept-encoding", coding)
        .body(Body::empty());
    let answer = app.router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.into_body().collect().await.unwrap().to_bytes().len()
}
