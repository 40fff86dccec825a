//! The list of all pages, each with the way to bring it about.
//!
//! All checks that every page must pass use this one list: accessibility, validity, links.

mod desk;

use std::time::Duration;

use axum::{body::Body, http::Request};
use pic_portal::{
    help::CONTENTS,
    names::{Fqdn, SipDomain},
    readiness::Code,
    request::Reason,
    web::about::About,
};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::{
    portal_support::{
        app::{Answer, TestApp, submission_id},
        edge::Edge,
        oidc,
        world::World,
    },
    support::{
        page::Page,
        portal::{Portal, foreign},
    },
};

const FORM: &str = "application/x-www-form-urlencoded";
const HOUR: u64 = 3600;

type Fields = Vec<(String, String)>;

// Findings as rows: of an edge, from the first to the last name, code, severity, expected, found.
const FAULTS: &str = "
    (false, 1, 20, 'srv-missing', 'blocking', '_sipfederationtls._tcp SRV 0 0 5061 sip.faults.example.', 'this name does not exist (NXDOMAIN)'),
    (false, 21, 33, 'homed-online', 'blocking', '_sipfederationtls._tcp SRV 0 0 5061 sip.faults.example.', 'priority 100, weight 1, port 5061, target sipfed.online.lync.com'),
    (false, 34, 40, 'srv', 'ok', '', 'priority 0, weight 0, port 5061, target sip.faults.example'),
    (true, 1, 1, 'certificate-expires-soon', 'warning', 'valid for more than 30 days', 'until 2 December 2026'),
    (true, 1, 1, 'certificate', 'ok', '', 'issued by a public authority')";
const EVERY: &str = "
    (false, 1, 1, 'srv-misspelt', 'blocking', '_sipfederationtls._tcp.one.every.example. SRV 0 0 5061 sip.every.example.', '_sipfederationtls_tcp.one.every.example (no dot between the two words): priority 0, weight 0, port 5061, target sip.every.example'),
    (false, 2, 2, 'resolver-unreachable', 'unknown', 'an answer for _sipfederationtls._tcp.three.every.example', 'no answer in time'),
    (false, 2, 2, 'srv', 'skipped', '', 'resolver-unreachable'),
    (false, 3, 3, 'srv', 'ok', '', 'priority 0, weight 0, port 5061, target sip.every.example'),
    (false, 3, 3, 'dns-disagrees', 'warning', 'the same records on every authoritative server', 'ns1.every.example: priority 0, weight 0, port 5061, target sip.every.example|ns2.every.example: no SRV record'),
    (true, 1, 1, 'edge-unreachable', 'blocking', 'TLS 1.2 or later on port 5061, and a certificate', '2001:db8::17: the connection is refused|192.0.2.17: it does not answer: the connection timed out'),
    (true, 1, 1, 'edge-alias', 'warning', 'an A or AAAA record at sip.every.example itself', 'an alias (CNAME) of edge.every.example'),
    (true, 1, 1, 'edge-shared-address', 'warning', 'an address of its own', '192.0.2.17 is an address of access.every.example too'),
    (true, 1, 1, 'certificate', 'skipped', '', 'edge-unreachable'),
    (true, 1, 1, 'sip-refuses-certificate', 'warning', 'an answer to OPTIONS, whatever it is, after a gateway has shown its certificate', 'it breaks off after the certificate was shown (alert 48)')";
const WELL: &str = "
    (false, 1, 2, 'srv', 'ok', '', 'priority 0, weight 0, port 5061, target sip.well.example'),
    (true, 1, 1, 'certificate', 'ok', '', 'issued by a public authority'),
    (true, 1, 1, 'sip-silent', 'unknown', 'an answer to OPTIONS, whatever it is, after a gateway has shown its certificate', 'it does not answer OPTIONS in time')";
const UNKNOWN: &str = "
    (false, 1, 2, 'resolver-unreachable', 'unknown', 'an answer for _sipfederationtls._tcp', 'no answer in time'),
    (false, 1, 2, 'srv', 'skipped', '', 'resolver-unreachable'),
    (true, 1, 1, 'resolver-unreachable', 'unknown', 'an answer for sip.unknown.example', 'no answer in time'),
    (true, 1, 1, 'certificate', 'skipped', '', 'resolver-unreachable')";
const RISK: &str = "
    (false, 1, 2, 'srv', 'ok', '', 'priority 0, weight 0, port 5061, target sip.risk.example'),
    (true, 1, 1, 'certificate-expired', 'blocking', 'a certificate in its time', 'until 1 May 2025')";

/// A page and the way to it.
pub(crate) struct Exhibit {
    pub(crate) name: String,
    /// The expected HTTP status.
    pub(crate) status: u16,
    way: Way,
    /// The portal that shows it.
    at: At,
}

enum Way {
    Get(String),
    /// Sends the cookie that was set at that address.
    GetWith(String, String),
    Post(String, Fields),
    /// Posts a form that no browser sends by itself.
    PostText(String, Fields),
    /// Posts a form from a page of another site.
    PostFromElsewhere(String, Fields),
}

#[derive(Clone, Copy)]
enum At {
    Sound,
    /// A portal whose database lacks a table.
    Broken,
    /// A portal whose database does not answer.
    Away,
    /// A portal whose checks run, for one organisation.
    Looking,
    /// A portal with a support desk, after a busy fortnight.
    Desk,
}

/// Portals with requests in every state, and the list of all pages.
pub(crate) struct Gallery {
    pub(crate) exhibits: Vec<Exhibit>,
    pub(crate) sound: Portal,
    broken: Portal,
    away: Portal,
    looking: Portal,
    desk: Portal,
    /// The session cookie of an agent at the desk.
    agent: String,
    elsewhere: String,
    _contoso: (World, Edge),
}

impl Gallery {
    pub(crate) async fn open() -> Self {
        let sound = Portal::with(|site| {
            site.support = Some("https://support.contoso.com/federation".into());
            site.notice = Some("Maintenance on Sunday from 02:00 to 04:00 UTC.".into());
        })
        .await;
        let (world, edge) = World::with("contoso.com").await;
        let checks = world.advise();
        let mut gallery = Self {
            looking: Portal::with(|site| {
                site.checks = checks;
                site.sign_in.oidc = Some(oidc::settings("http://127.0.0.1:1"));
                site.about = About {
                    operator: Some("Northwind Traders".into()),
                    operator_url: Some("https://northwind.example/imprint".into()),
                    proxy: Some(Fqdn::parse("federation.northwind.example").unwrap()),
                    domain: Some(SipDomain::parse("northwind.example").unwrap()),
                    networks: vec!["192.0.2.0/24".parse().unwrap()],
                    test_contact: Some("echo@northwind.example".into()),
                    consumer_accounts: false,
                };
            })
            .await,
            _contoso: (world, edge),
            exhibits: Vec::new(),
            sound,
            broken: Portal::start().await,
            away: Portal::start().await,
            desk: Portal::start().await,
            agent: String::new(),
            elsewhere: foreign("127.0.0.2").await,
        };
        gallery.pages_of_the_form();
        gallery.pages_of_requests().await;
        gallery.pages_of_findings().await;
        gallery.pages_of_checking();
        gallery.pages_of_finding();
        gallery.pages_of_help();
        gallery.pages_of_errors().await;
        gallery.pages_of_the_desk().await;
        gallery
    }

    fn show(&mut self, name: &str, status: u16, way: Way) {
        self.show_at(At::Sound, name, status, way);
    }

    fn show_at(&mut self, at: At, name: &str, status: u16, way: Way) {
        self.exhibits.push(Exhibit {
            name: name.to_owned(),
            status,
            way,
            at,
        });
    }

    fn pages_of_the_form(&mut self) {
        let form = |fields| Way::Post("/requests/new".into(), fields);
        self.show("start", 200, Way::Get("/".into()));
        self.show("form", 200, Way::Get("/requests/new".into()));
        let wrong = [
            ("contoso.com", "user@contoso.com, co.uk"),
            ("", ""),
            (
                "sip.fabrikam.example",
                "fabrikam.example, sip.fabrikam.example",
            ),
        ];
        let mut everywhere = request("someone@contoso.com", &wrong, "review");
        everywhere
            .retain(|(name, _)| !matches!(name.as_str(), "programme" | "deployment" | "terms"));
        self.show("form-errors", 422, form(everywhere));
        let list = many_domains("contoso.com", 40)
            .replace("department-3.contoso.com", "user@contoso.com")
            .replace("department-19.contoso.com", "my_firm.com")
            .replace("department-40.contoso.com", "https://fabrikam.com/meet");
        let list = [("sip.contoso.com", list.as_str())];
        self.show(
            "form-list-errors",
            422,
            form(request("1234567", &list, "review")),
        );
        let table = "Identity      Name          IsDefault\n--------      ----          ---------\n\
                     contoso.com   contoso.com   True\n# bought in 2015\n- @fabrikam.com\n";
        let table = [("sip.contoso.com:5061", table)];
        self.show(
            "answers-list",
            200,
            form(request("1234567", &table, "review")),
        );
        let nine: Vec<_> = (1..10)
            .map(|n| (format!("edge{n}.contoso.com"), format!("d{n}.example")))
            .collect();
        let nine: Vec<_> = nine.iter().map(|(e, d)| (e.as_str(), d.as_str())).collect();
        self.show(
            "form-ten-edges",
            200,
            form(request("1234567", &nine, "add-edge")),
        );
        self.show(
            "answers",
            200,
            form(request(
                "1234567",
                &[("sip.contoso.com", "contoso.com")],
                "review",
            )),
        );
        let odd = [
            (
                "SIP.Contoso.com.",
                "https://CONTOSO.COM/, contoso.com contoso.com, münchen.contoso.com",
            ),
            ("edge.fabrikam.example", "other.example, third.example"),
        ];
        let mut odd = request("1234 5678", &odd, "review");
        set(&mut odd, "deployment", "split");
        self.show("answers-warnings", 200, form(odd));
        for (name, count) in [("answers-forty", 40), ("answers-thousand", 1000)] {
            let many = many_domains("many.example", count);
            self.show(
                name,
                200,
                form(request("1234567", &[("sip.many.example", &many)], "review")),
            );
        }
    }

    async fn pages_of_requests(&mut self) {
        let status = |reference: &str| Way::Get(format!("/requests/{reference}"));
        let app = &self.sound.app;
        let contoso = [
            ("sip.contoso.com", "contoso.com, xn--mnchen-3ya.contoso.com"),
            ("edge.fabrikam.example", "fabrikam.example"),
        ];
        // Held until its limit passes, then ended.
        let (provisioned, _) = app.submit(&contoso).await;
        let mut split = request(
            "1234567",
            &[("sip.split.example", "split.example")],
            "submit",
        );
        set(&mut split, "deployment", "split");
        let split = self.submit(&borrowed(&split)).await;
        let many = many_domains("many.example", 1000);
        let (thousand, _) = app.submit(&[("sip.many.example", &many)]).await;
        app.work().await;
        let (rejected, _) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
        app.work().await;
        app.advance(Duration::from_secs(30 * 24 * HOUR + 60)).await;
        app.work().await;
        // Past the promise: one that is held, and one that was not checked.
        let (overdue_held, _) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
        app.work().await;
        let (overdue, _) = app.submit(&[("sip.late.example", "late.example")]).await;
        self.keep_waiting().await;
        app.advance(Duration::from_secs(53 * HOUR)).await;
        app.work().await;
        let (held, _) = app
            .submit(&[(
                "sip.contoso.com",
                "contoso.com, fabrikam.example, free.example",
            )])
            .await;
        let (thousand_held, _) = app.submit(&[("sip.many.example", &many)]).await;
        app.work().await;
        let (withdrawn, key) = app.submit(&[("sip.gone.example", "gone.example")]).await;
        let path = format!("/requests/{withdrawn}/withdraw");
        app.post(&path, &[("management_key", &key)]).await;
        let refused = self
            .submit(&borrowed(&request(
                "1234567",
                &[("sip.refused.example", "refused.example")],
                "submit",
            )))
            .await;
        let reject = format!(
            "WITH gone AS (DELETE FROM work USING request WHERE id = request_id AND reference = '{refused}')
             UPDATE request SET state = 'rejected', reason = 'wrong-information', ended_at = pic_now() WHERE reference = '{refused}'"
        );
        sqlx::raw_sql(AssertSqlSafe(reject))
            .execute(app.pool())
            .await
            .unwrap();
        let forty = many_domains("forty.example", 40);
        let (forty, _) = app.submit(&[("sip.forty.example", &forty)]).await;
        let (pending, key) = app.submit(&contoso).await;

        let cookie = format!("pic_receipt={key}");
        let receipt = format!("/requests/{pending}/receipt");
        self.show("receipt", 200, Way::GetWith(receipt.clone(), cookie));
        self.show("receipt-later", 200, Way::Get(receipt));
        for (name, reference) in [
            ("status-pending", &pending),
            ("status-needs-action", &held),
            ("status-overdue", &overdue),
            ("status-overdue-needs-action", &overdue_held),
            ("status-provisioned", &provisioned),
            ("status-provisioned-split", &split),
            ("status-rejected-expired", &rejected),
            ("status-rejected-wrong-information", &refused),
            ("status-withdrawn", &withdrawn),
            ("status-forty", &forty),
            ("status-thousand", &thousand),
            ("status-thousand-held", &thousand_held),
        ] {
            self.show(name, 200, status(reference));
        }
        let wrong_key = vec![("management_key".into(), "0000-0000".into())];
        let withdraw =
            |reference| Way::Post(format!("/requests/{reference}/withdraw"), wrong_key.clone());
        self.show("status-wrong-key", 422, withdraw(&pending));
        self.show("error-ended", 409, withdraw(&withdrawn));
        self.show(
            "error-method",
            405,
            Way::Get(format!("/requests/{pending}/withdraw")),
        );
    }

    /// Adds pages with findings, stored as the checks store them.
    async fn pages_of_findings(&mut self) {
        let app = &self.looking.app;
        let many = many_domains("faults.example", 40);
        let (faults, _) = app.submit(&[("sip.faults.example", &many)]).await;
        let every = "one.every.example, two.every.example, three.every.example";
        let (every, _) = app.submit(&[("sip.every.example", every)]).await;
        let two = "unknown.example, also.unknown.example";
        let (unknown, _) = app.submit(&[("sip.unknown.example", two)]).await;
        self.keep_waiting_for(&[&faults, &every, &unknown]).await;
        let (well, _) = app
            .submit(&[("sip.well.example", "well.example, also.well.example")])
            .await;
        let (risk, key) = app
            .submit(&[("sip.risk.example", "risk.example, also.risk.example")])
            .await;
        app.work().await;
        for (reference, findings) in [
            (&faults, FAULTS),
            (&every, EVERY),
            (&unknown, UNKNOWN),
            (&well, WELL),
            (&risk, RISK),
        ] {
            store_findings(app, reference, findings).await;
        }
        let fields = [("number", "1234567"), ("management_key", key.as_str())];
        let session = app.post("/service", &fields).await.cookie();
        for (name, reference) in [
            ("status-forty-faults", faults),
            ("status-every-finding", every),
            ("status-unknown", unknown),
            ("status-all-well", well),
            ("status-at-risk", risk),
        ] {
            self.show_at(
                At::Looking,
                name,
                200,
                Way::Get(format!("/requests/{reference}")),
            );
        }
        let hub = Way::GetWith("/service".into(), session);
        self.show_at(At::Looking, "status-hub-at-risk", 200, hub);
    }

    fn pages_of_checking(&mut self) {
        self.show("check-off", 200, Way::Get("/check".into()));
        let path = || "/check".to_owned();
        let link = "/check?domains=contoso.com,it.contoso.com&edge=sip.contoso.com";
        let fields = |domains: &str, edge: &str| {
            let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            vec![field("domains", domains), field("edge", edge)]
        };
        let found = fields("contoso.com, it.contoso.com", "sip.contoso.com");
        let well = fields("contoso.com", "SIP.contoso.com");
        let alone = fields("contoso.com, nowhere.contoso.com", "");
        let wrong = fields("someone@contoso.com", "contoso.com");
        let one = [("sip.contoso.com", "contoso.com it.contoso.com")];
        let answers = request("1234567", &one, "review");
        let new = "/requests/new".to_owned();
        for (name, status, way) in [
            ("check", 200, Way::Get(link.into())),
            ("check-found", 200, Way::Post(path(), found)),
            ("check-well", 200, Way::Post(path(), well)),
            ("check-alone", 200, Way::Post(path(), alone)),
            ("start-told", 200, Way::Get("/".into())),
            (
                "help-told",
                200,
                Way::Get("/help/after-provisioning".into()),
            ),
            ("check-errors", 422, Way::Post(path(), wrong)),
            ("answers-findings", 200, Way::Post(new, answers)),
        ] {
            self.show_at(At::Looking, name, status, way);
        }
    }

    fn pages_of_finding(&mut self) {
        for (name, status, query) in [
            ("find", 200, ""),
            ("find-in-force", 200, "?q=xn--mnchen-3ya.contoso.com"),
            ("find-not-in-force", 200, "?q=nowhere.example"),
            ("find-error", 422, "?q=nowhere"),
        ] {
            self.show(name, status, Way::Get(format!("/status{query}")));
        }
    }

    fn pages_of_help(&mut self) {
        self.show("help", 200, Way::Get("/help".into()));
        let topics = CONTENTS.iter().flat_map(|(_, topics)| *topics);
        for topic in topics {
            self.show(
                &format!("help-{}", topic.slug()),
                200,
                Way::Get(topic.path()),
            );
        }
        self.show("privacy", 200, Way::Get("/privacy".into()));
        for reason in Reason::ALL {
            let path = format!("/help/reasons/{}", reason.as_str());
            self.show(
                &format!("help-reason-{}", reason.as_str()),
                200,
                Way::Get(path),
            );
        }
        for code in Code::ALL {
            let path = format!("/help/findings/{}", code.as_str());
            self.show(
                &format!("help-finding-{}", code.as_str()),
                200,
                Way::Get(path),
            );
        }
        for (name, status, address) in [
            ("help-address-written", 200, "ted@contoso.com"),
            ("help-address-plain", 200, "ted@outlook.com"),
            ("help-address-error", 422, "contoso.com"),
        ] {
            let fields = vec![("address".to_owned(), address.to_owned())];
            self.show(name, status, Way::Post("/help/address".into(), fields));
        }
    }

    async fn pages_of_errors(&mut self) {
        let new = || "/requests/new".to_owned();
        self.show("error-no-page", 404, Way::Get("/no/such/page".into()));
        let unknown = "/requests/PIC-0000-0000-0000-0000".to_owned();
        self.show("error-no-request", 404, Way::Get(unknown.clone()));
        let one = [("sip.twice.example", "twice.example")];
        let sent = request("1234567", &one, "submit");
        self.submit(&borrowed(&sent)).await;
        let mut again = sent;
        set(&mut again, "number", "7654321");
        self.show("already-sent", 409, Way::Post(new(), again));
        let mut more = request("1234567", &one, "review");
        more.push(("contact".into(), "someone@contoso.com".into()));
        self.show("error-other-fields", 422, Way::Post(new(), more));
        let elsewhere = request("1234567", &one, "submit");
        self.show(
            "error-other-site",
            403,
            Way::PostFromElsewhere(new(), elsewhere),
        );
        let mut much = request("1234567", &one, "review");
        much.push(("domains".into(), "x".repeat(600 * 1024)));
        self.show("error-too-much", 413, Way::Post(new(), much));
        let text = request("1234567", &one, "review");
        self.show("error-no-form", 415, Way::PostText(new(), text));
        sqlx::raw_sql("ALTER TABLE finding RENAME TO lost")
            .execute(self.broken.app.pool())
            .await
            .unwrap();
        self.show_at(At::Broken, "error-internal", 500, Way::Get(unknown.clone()));
        self.away.app.pool().close().await;
        self.show_at(At::Away, "error-away", 503, Way::Get(unknown));
        let sent = request("1234567", &one, "submit");
        self.show_at(At::Away, "form-put-off", 503, Way::Post(new(), sent));
    }

    /// Submits a form; returns its reference.
    async fn submit(&self, fields: &[(&str, &str)]) -> String {
        self.sound
            .app
            .post("/requests/new", fields)
            .await
            .reference()
    }

    /// Keeps all pending requests from being checked.
    async fn keep_waiting(&self) {
        let later = "UPDATE work SET due_at = due_at + interval '10 years' WHERE request_id = (SELECT max(id) FROM request)";
        sqlx::raw_sql(later)
            .execute(self.sound.app.pool())
            .await
            .unwrap();
    }

    /// Keeps these requests from being checked.
    async fn keep_waiting_for(&self, references: &[&str]) {
        let later = "UPDATE work SET due_at = due_at + interval '50 days' FROM request
                     WHERE request_id = id AND reference = ANY($1)";
        let done = sqlx::query(later)
            .bind(references)
            .execute(self.looking.app.pool())
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), references.len() as u64);
    }

    fn portal(&self, exhibit: &Exhibit) -> &Portal {
        match exhibit.at {
            At::Sound => &self.sound,
            At::Broken => &self.broken,
            At::Away => &self.away,
            At::Looking => &self.looking,
            At::Desk => &self.desk,
        }
    }

    /// The portal at which the links of the page lead somewhere.
    pub(crate) fn whole(&self, exhibit: &Exhibit) -> &Portal {
        match exhibit.at {
            At::Sound | At::Broken | At::Away => &self.sound,
            At::Looking => &self.looking,
            At::Desk => &self.desk,
        }
    }

    /// The session cookie of an agent at the desk of `portal`, if it has one.
    pub(crate) fn agent_of(&self, portal: &Portal) -> Option<&str> {
        (portal.origin == self.desk.origin).then_some(self.agent.as_str())
    }

    /// Opens the page in a browser.
    pub(crate) async fn visit(&self, page: &Page, exhibit: &Exhibit) {
        let origin = &self.portal(exhibit).origin;
        page.cdp("Network.clearBrowserCookies", json!({})).await;
        match &exhibit.way {
            Way::Get(path) => page.go(&format!("{origin}{path}")).await,
            Way::GetWith(path, cookie) => {
                let (name, value) = cookie.split_once('=').unwrap();
                let url = format!("{origin}{path}");
                // The page's stream is at an address below it, and needs the cookie too.
                let below = path.split('?').next();
                page.cdp(
                    "Network.setCookie",
                    json!({ "url": url, "path": below, "name": name, "value": value }),
                )
                .await;
                page.go(&url).await;
            }
            Way::Post(path, fields) => {
                page.go(&format!("{origin}/")).await;
                page.send(&format!("{origin}{path}"), fields, FORM).await;
            }
            Way::PostText(path, fields) => {
                page.go(&format!("{origin}/")).await;
                page.send(&format!("{origin}{path}"), fields, "text/plain")
                    .await;
            }
            Way::PostFromElsewhere(path, fields) => {
                page.go(&self.elsewhere).await;
                page.send(&format!("{origin}{path}"), fields, FORM).await;
            }
        }
        assert_eq!(
            page.status().await,
            u64::from(exhibit.status),
            "{}",
            exhibit.name
        );
    }

    /// Fetches the page without a browser.
    pub(crate) async fn fetch(&self, exhibit: &Exhibit) -> Answer {
        let origin = &self.portal(exhibit).origin;
        let request = match &exhibit.way {
            Way::Get(path) => Request::get(path).body(Body::empty()),
            Way::GetWith(path, cookie) => Request::get(path)
                .header("cookie", cookie)
                .body(Body::empty()),
            Way::Post(path, fields) => post(path, fields, origin, FORM),
            Way::PostText(path, fields) => post(path, fields, origin, "text/plain"),
            Way::PostFromElsewhere(path, fields) => post(path, fields, &self.elsewhere, FORM),
        };
        let answer = self.portal(exhibit).app.send(request.unwrap()).await;
        assert_eq!(answer.status.as_u16(), exhibit.status, "{}", exhibit.name);
        answer
    }
}

fn post(
    path: &str,
    fields: &Fields,
    origin: &str,
    kind: &str,
) -> axum::http::Result<Request<Body>> {
    Request::post(path)
        .header("origin", origin)
        .header("content-type", kind)
        .body(Body::from(serde_html_form::to_string(fields).unwrap()))
}

/// Stores findings of a request, as its checks would.
async fn store_findings(app: &TestApp, reference: &str, findings: &str) {
    let sql = format!(
        "DELETE FROM finding USING request WHERE request_id = id AND reference = '{reference}';
         WITH r AS (SELECT id FROM request WHERE reference = '{reference}'),
         names AS (SELECT sip_domain::text AS name, row_number() OVER (ORDER BY sip_domain) AS n, false AS edge
                   FROM request_route JOIN r ON request_id = r.id
                   UNION ALL SELECT access_edge::text, 1, true FROM request_edge JOIN r ON request_id = r.id)
         INSERT INTO finding (request_id, subject, at, code, severity, expected, found)
         SELECT r.id, names.name, pic_now(), f.code, f.severity, f.expected, replace(f.found, '|', E'\\n')
         FROM r, names, (VALUES {findings}) AS f (edge, first, last, code, severity, expected, found)
         WHERE f.edge = names.edge AND names.n BETWEEN f.first AND f.last"
    );
    let stored = sqlx::raw_sql(AssertSqlSafe(sql)).execute(app.pool()).await;
    assert!(stored.unwrap().rows_affected() > 0);
}

/// A complete form.
pub(crate) fn request(number: &str, edges: &[(&str, &str)], action: &str) -> Fields {
    let id = submission_id();
    let mut fields = vec![("programme", "volume_licensing"), ("number", number)];
    for (edge, domains) in edges {
        fields.extend([("edge", *edge), ("domains", *domains)]);
    }
    fields.extend([
        ("deployment", "on_premises"),
        ("terms", "on"),
        ("submission_id", &id),
        ("action", action),
    ]);
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn set(fields: &mut Fields, name: &str, value: &str) {
    for (_, old) in fields.iter_mut().filter(|(n, _)| n == name) {
        value.clone_into(old);
    }
}

fn borrowed(fields: &Fields) -> Vec<(&str, &str)> {
    fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// `count` SIP domains below `parent`.
pub(crate) fn many_domains(parent: &str, count: usize) -> String {
    let names: Vec<_> = (1..=count)
        .map(|n| format!("department-{n}.{parent}"))
        .collect();
    names.join("\n")
}
