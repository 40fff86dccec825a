//! P4: measures pages a second, compared with their query and with a page of fixed bytes.

use std::{cell::RefCell, rc::Rc, time::Duration};

use pic_portal::{
    db::notify::Notifier,
    provisioning::{store::Waits, worker::Worker},
};

use super::{
    Bench,
    bare::Bare,
    figures::{Goal, Line, Rounds, in_turn},
    http::{Answer, Connection, get},
    load::{self, Asks, Verdict},
    pgbench::Plan,
    portal::Portal,
    statements::{fill, look_up_script, references},
};

const CONNECTIONS: usize = 32;

/// The defaults of the background task's settings.
pub(crate) const WAITS: Waits = Waits {
    expiry: Duration::from_hours(720),
    first: Duration::from_secs(30),
    longest: Duration::from_hours(1),
};

/// The request for a page, and the tag that it sends, if any.
type Page = (Vec<u8>, Option<String>);

/// Requests many pages, one after the other; all connections of a run share the position.
#[derive(Clone)]
struct Pages {
    all: Rc<RefCell<Vec<Page>>>,
    next: Rc<RefCell<usize>>,
    /// The index of the page that was requested.
    asked: usize,
    status: u16,
    /// How many pages came in full although a tag was sent: they have changed since.
    whole: Rc<RefCell<usize>>,
}

impl Pages {
    fn new(paths: impl IntoIterator<Item = String>, tags: Option<Vec<String>>) -> Self {
        let status = if tags.is_some() { 304 } else { 200 };
        let mut tags = tags.into_iter().flatten();
        let all = paths.into_iter().map(|path| {
            let tag = tags.next();
            let line = tag.as_ref().map(|tag| format!("if-none-match: {tag}\r\n"));
            (get(&path, &line.unwrap_or_default()), tag)
        });
        Self {
            all: Rc::new(RefCell::new(all.collect())),
            next: Rc::default(),
            asked: 0,
            status,
            whole: Rc::default(),
        }
    }
}

impl Asks for Pages {
    fn write(&mut self, into: &mut Vec<u8>) {
        let all = self.all.borrow();
        let mut next = self.next.borrow_mut();
        // Any order other than that in which they were stored.
        *next = (*next + 7_919) % all.len();
        self.asked = *next;
        into.extend_from_slice(&all[self.asked].0);
    }

    fn judge(&mut self, answer: &Answer<'_>) -> Verdict {
        match answer.status {
            200 if self.status == 304 => {
                // The page has changed, because a minute has passed for example: from now on its
                // new tag is sent.
                let mut all = self.all.borrow_mut();
                let (request, tag) = &mut all[self.asked];
                let new = answer.header("etag").expect("a tag").to_owned();
                let old = tag.replace(new.clone()).expect("a tag");
                let text = String::from_utf8(request.clone()).expect("text of our own");
                *request = text.replace(&old, &new).into_bytes();
                *self.whole.borrow_mut() += 1;
                Verdict::Done
            }
            status => {
                assert_eq!(status, self.status, "a page");
                assert!(status == 304 || answer.body.len() > 1000, "a whole page");
                Verdict::Done
            }
        }
    }
}

/// One page in full, and its tag.
async fn page(portal: &Portal, path: &str) -> (String, Option<String>) {
    let mut connection = Connection::to(portal.address).await.expect("a connection");
    let request = get(path, "");
    let answer = connection.ask(&request).await.expect("an answer");
    assert_eq!(answer.status, 200, "{path}");
    let body = String::from_utf8(answer.body.to_vec()).expect("text");
    (body, answer.header("etag").map(str::to_owned))
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Line> {
    let requests = bench.of(10_000, 100);
    let pool = bench.pool("p4").await;
    fill(&pool, requests).await;
    let db = bench.server.open("p4", 3).await;
    let worker = Worker::new(db.pool.clone(), WAITS, Notifier::default());
    let settled = worker.drain().await.expect("the database is there");
    assert_eq!(settled.provisioned, requests);
    db.pool.close().await;
    sqlx::raw_sql("VACUUM ANALYZE")
        .execute(&pool)
        .await
        .expect("figures");
    let options = bench.server.database("p4").await;
    let portal = Portal::start(bench, "p4").await;
    let references = references(&pool, requests).await;
    let paths: Vec<_> = references
        .iter()
        .map(|reference| format!("/requests/{reference}"))
        .collect();
    let (whole, _) = page(&portal, &paths[0]).await;
    assert!(
        whole.contains(&references[0]) && whole.contains("it.s1.example"),
        "the status page"
    );
    let (form, _) = page(&portal, "/requests/new").await;
    let bare = Bare::start(form.len()).await;

    // Only some of them: each tag takes a request to learn.
    let tagged = &paths[..paths.len().min(500)];
    let mut tags = Vec::new();
    for path in tagged {
        tags.extend(page(&portal, path).await.1);
    }
    assert_eq!(tags.len(), tagged.len(), "a status page has a tag");
    let tagged = Pages::new(tagged.iter().cloned(), Some(tags));
    let status = Pages::new(paths.iter().cloned(), None);
    let form_page = Pages::new(["/requests/new".to_owned()], None);
    let bytes = Pages::new(["/".to_owned()], None);
    let script = look_up_script(requests);

    let mut rates = [(); 5].map(|()| Rounds::default());
    for round in 0..bench.rounds() {
        for place in in_turn(round, rates.len()) {
            let span = bench.span(0.5, 2.5);
            let load = async |address, pages: &Pages| {
                load::closed(address, CONNECTIONS, span, pages).await.rate()
            };
            let rate = match place {
                0 => {
                    let plan = Plan {
                        script: &script,
                        connections: CONNECTIONS,
                        seconds: bench.seconds(1, 3),
                        rate: None,
                    };
                    bench.pgbench.run(&options, plan).await.rate
                }
                1 => load(portal.address, &status).await,
                2 => load(portal.address, &tagged).await,
                3 => load(portal.address, &form_page).await,
                _ => load(bare.address, &bytes).await,
            };
            rates[place].push(rate);
        }
    }
    portal.stop().await;
    pool.close().await;
    let [look_up, status, conditional, form_page, bytes] = rates;
    let by_look_up = ("pgbench, its look-up", &look_up);
    let static_bytes = format!("bare axum, {} static bytes", form.len());
    let mut lines = vec![
        Line::ratio("P4 status page", Goal::AtLeast(0.7), &status, by_look_up),
        Line::ratio(
            "P4 304 by ETag",
            Goal::AtLeast(0.85),
            &conditional,
            by_look_up,
        ),
        Line::ratio(
            "P4 form page",
            Goal::AtLeast(0.85),
            &form_page,
            (&static_bytes, &bytes),
        ),
    ];
    let whole = tagged.whole.borrow();
    lines[1].beside = format!("{}; {whole} whole pages among them", lines[1].beside);
    lines
}
