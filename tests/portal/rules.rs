//! Checks every rule of the form over HTTP, and the kind of every response.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};

use crate::support::{
    app::{Answer, Fields, TestApp, everything, request, submission_id},
    html::Element,
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
/// Markup that a page must escape.
const MARKUP: &str = "<b>&\"'";

/// A valid request of one edge with the value of one field changed.
fn with<'a>(id: &'a str, name: &str, value: &'a str) -> Fields<'a> {
    let mut fields = request(id, ONE);
    let field = fields.iter_mut().find(|(field, _)| *field == name).unwrap();
    field.1 = value;
    fields
}

fn without<'a>(id: &'a str, name: &str) -> Fields<'a> {
    let mut fields = request(id, ONE);
    fields.retain(|(field, _)| *field != name);
    fields
}

async fn stored(portal: &TestApp) -> i64 {
    portal
        .number("SELECT (SELECT count(*) FROM request) + (SELECT count(*) FROM service) + (SELECT count(*) FROM work)")
        .await
}

/// Checks that what was typed is in the page, each value in its field.
#[track_caller]
fn keeps(page: &Answer, fields: &[(&str, &str)]) {
    let shown = page.elements();
    for name in ["number", "edge", "domains"] {
        let kept = shown.iter().filter(|field| field.is_field(name));
        let kept: Vec<_> = kept.map(Element::value).collect();
        let typed = fields.iter().filter(|(field, _)| *field == name);
        // Parsed as a browser does it.
        let typed: Vec<_> = typed.map(|(_, v)| v.replace("\r\n", "\n")).collect();
        assert_eq!(kept, typed, "{name}: {}", page.body);
    }
    for name in ["programme", "deployment", "terms"] {
        let offered = || shown.iter().filter(|field| field.is_field(name));
        let chosen = offered().filter(|field| field.get("checked").is_some());
        let chosen: Vec<_> = chosen.map(Element::value).collect();
        let typed = fields.iter().filter(|(field, _)| *field == name);
        let known = typed.map(|(_, value)| *value);
        let known = known.filter(|value| offered().any(|field| field.value() == *value));
        assert_eq!(chosen, known.collect::<Vec<_>>(), "{name}: {}", page.body);
    }
}

/// Texts that are no names, in any field.
const NO_NAMES: &[&str] = &[
    "",
    "   ",
    "ted@contoso.com",
    "sip:ted@contoso.com",
    "@@contoso.com",
    "https://contoso.com/meet",
    "192.0.2.1",
    "[2001:db8::1]",
    "127.1",
    "sip.contoso.com:443",
    "_sipfederationtls._tcp.contoso.com",
    "sip_1.contoso.com",
    "*.contoso.com",
    "sip..contoso.com",
    ".contoso.com",
    "-sip.contoso.com",
    "sip-.contoso.com",
    "si--p.contoso.com",
    "sip–1.contoso.com",
    "contoso",
    "co.uk",
    "a/b.contoso.com",
    "sip!.contoso.com",
    "<b>&\"'.contoso.com",
    "a\u{0}b.contoso.com",
    "xn--a.contoso.com",
];

/// Fields with a value that breaks one rule, and the id of the field with the error.
fn faults<'a>() -> Vec<(&'a str, &'a str, &'a str)> {
    let typed = |name: &'static str, values: &[&'static str]| -> Vec<(&str, &str, &str)> {
        let at = match name {
            "edge" => "edge-1",
            "domains" => "domains-1",
            other => other,
        };
        values.iter().map(|value| (name, *value, at)).collect()
    };
    let mut cases = typed("edge", NO_NAMES);
    cases.extend(typed("domains", NO_NAMES));
    cases.extend(typed(
        "edge",
        &[
            "contoso.com",
            "sip.contoso.com sip.fabrikam.com",
            "sip .contoso.com",
        ],
    ));
    // The edge's own name.
    cases.extend(typed(
        "domains",
        &["sip.contoso.com", "fabrikam.com\nSIP.contoso.com."],
    ));
    cases.extend(typed("domains", &["contoso.com, fabrikam", ",;\n"]));
    cases.extend(typed("programme", &["", "oem", "Volume_Licensing", MARKUP]));
    cases.extend(typed(
        "number",
        &[
            "",
            " - ",
            "ted@contoso.com",
            "No. 1234567",
            "12/34",
            "käse",
            MARKUP,
        ],
    ));
    cases.extend(typed("deployment", &["", "cloud", MARKUP]));
    cases.extend(["", "off", "true", MARKUP].map(|value| ("terms", value, "licences")));
    cases
}

#[tokio::test]
async fn what_breaks_a_rule_is_shown_again_with_its_field_named() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let long = format!("{}.contoso.com", "a".repeat(64));
    let longer = format!("{}contoso.com", "a.".repeat(130));
    let (number, much) = ("1".repeat(33), "1".repeat(201));
    let mut cases = faults();
    cases.extend([
        ("edge", long.as_str(), "edge-1"),
        ("domains", &long, "domains-1"),
        ("edge", &longer, "edge-1"),
        ("domains", &longer, "domains-1"),
        ("number", &number, "number"),
        ("number", &much, "number"),
    ]);
    for (name, value, at) in cases {
        let fields = with(&id, name, value);
        for action in ["submit", "review"] {
            let mut fields = fields.clone();
            fields.last_mut().unwrap().1 = action;
            let page = portal.post("/requests/new", &fields).await;
            let case = format!("{name}={value:?}");
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{case}");
            assert!(page.blames(at), "{case}: {}", page.body);
            assert!(page.body.contains(&format!("id=\"{at}\"")), "{case}");
            assert!(page.body.contains(&format!("id=\"{at}-error\"")), "{case}");
            assert!(page.body.contains("<title>Error: "), "{case}");
            assert!(!page.body.contains(MARKUP), "{case}");
            if !value.contains('\0') {
                keeps(&page, &fields);
            }
            assert_eq!(page.hidden()[0], ("submission_id".into(), id.clone()));
        }
    }
    for (name, at) in [
        ("programme", "programme"),
        ("number", "number"),
        ("domains", "domains-1"),
        ("edge", "edge-1"),
        ("deployment", "deployment"),
        ("terms", "may_act"),
    ] {
        let page = portal.post("/requests/new", &without(&id, name)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "no {name}");
        assert!(
            page.blames(at) || page.body.contains("1 to 10"),
            "no {name}"
        );
    }
    assert_eq!(stored(&portal).await, 0);
}

/// Edges with their domains, and the field with the error; `None`: the form as a whole.
type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);

#[tokio::test]
async fn rules_between_edges_are_held() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let eleven: Vec<(String, String)> = (1..=11)
        .map(|n| (format!("sip.d{n}.example"), format!("d{n}.example")))
        .collect();
    let eleven: Vec<_> = eleven
        .iter()
        .map(|(e, d)| (e.as_str(), d.as_str()))
        .collect();
    let (first, rest) = thousand_and_one();
    let cases: &[Case<'_>] = &[
        // One domain at two edges, also in another spelling.
        (
            &[ONE[0], ("sip.fabrikam.com", "fabrikam.com, CONTOSO.com.")],
            Some("domains-2"),
        ),
        (
            &[
                ("sip.contoso.com", "xn--mnchen-3ya.de"),
                ("sip.fabrikam.com", "münchen.de"),
            ],
            Some("domains-2"),
        ),
        // One edge twice.
        (
            &[ONE[0], ("SIP.contoso.com", "fabrikam.com")],
            Some("edge-2"),
        ),
        // The other edge's name.
        (
            &[
                ("sip.contoso.com", "contoso.com sip.fabrikam.com"),
                ("sip.fabrikam.com", "fabrikam.com"),
            ],
            Some("domains-1"),
        ),
        (
            &[
                ("sip.contoso.com", "contoso.com"),
                ("sip.fabrikam.com", "sip.contoso.com"),
            ],
            Some("domains-2"),
        ),
        (&eleven, None),
        (
            &[("sip.contoso.com", &first), ("sip.fabrikam.com", &rest)],
            Some("domains-1"),
        ),
    ];
    for (edges, at) in cases {
        let fields = request(&id, edges);
        let page = portal.post("/requests/new", &fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{edges:?}");
        match at {
            Some(at) => assert!(page.blames(at), "{at}: {edges:?}"),
            None => assert!(page.body.contains("1 to 10 Access Edge FQDNs")),
        }
        page.shows("<title>Error: ");
        keeps(&page, &fields);
    }
    let page = portal
        .post("/requests/new", &with(&id, "submission_id", "1"))
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_ne!(page.hidden()[0].1, "1", "the next press works");
    assert_eq!(stored(&portal).await, 0);

    let page = portal
        .post("/requests/new", &request(&id, &eleven[..10]))
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "ten are fine");
    assert_eq!(portal.number("SELECT count(*) FROM request_edge").await, 10);
}

/// 1,001 domains in two boxes.
fn thousand_and_one() -> (String, String) {
    let list = |from, to| -> String {
        let names: Vec<_> = (from..=to).map(|n| format!("d{n}.example")).collect();
        names.join("\r\n")
    };
    (list(1, 600), list(601, 1001))
}

#[tokio::test]
async fn fields_that_are_not_asked_for_are_refused_and_never_echoed() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let typed = "canary-unasked@example.org";
    for name in ["contact_email", "email", "edge[]", "Programme", "phone", ""] {
        for action in ["submit", "review", "add-edge", "change"] {
            let mut fields = request(&id, ONE);
            fields.last_mut().unwrap().1 = action;
            fields.push((name, typed));
            let page = portal.post("/requests/new", &fields).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
            let all = format!("{:?}{}", page.headers, page.body);
            assert!(!all.contains("canary-unasked"), "{name}");
            assert!(page.body.contains("not asked for"), "{name}");
        }
    }
    for action in ["delete", "remove-edge-0", "remove-edge-11", "SUBMIT"] {
        let page = portal
            .post("/requests/new", &with(&id, "action", action))
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{action}");
    }
    // A field that must occur once, sent twice.
    let mut fields = request(&id, ONE);
    fields.push(("number", "7654321"));
    let page = portal.post("/requests/new", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(stored(&portal).await, 0);
}

#[tokio::test]
async fn the_buttons_of_the_form_do_what_they_say_and_keep_what_was_typed() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let edges = [
        (MARKUP, "one@two, three"),
        ("sip.fabrikam.com", "fabrikam.com"),
        ("", ""),
    ];
    let press = async |action: &'static str, edges: &[(&'static str, &'static str)]| {
        let mut fields = request(&id, edges);
        fields.last_mut().unwrap().1 = action;
        portal.post("/requests/new", &fields).await
    };
    let page = press("add-edge", &edges).await;
    assert_eq!(page.status, StatusCode::OK, "no rule stands in the way");
    let mut four = edges.to_vec();
    four.push(("", ""));
    keeps(&page, &request(&id, &four));
    assert_eq!(page.body.matches("name=\"edge\"").count(), 4);
    page.shows("Access Edge 4 of 4");
    assert!(
        page.body.contains("formaction=\"/requests/new#edge-5\""),
        "the next press leads to the new group"
    );
    page.hides("<title>Error");

    let page = press("remove-edge-2", &edges).await;
    assert_eq!(page.status, StatusCode::OK);
    keeps(&page, &request(&id, &[edges[0], edges[2]]));
    assert_eq!(page.body.matches("name=\"edge\"").count(), 2);
    page.hides("fabrikam.com");
    let page = press("remove-edge-9", &edges).await;
    assert_eq!(
        page.body.matches("name=\"edge\"").count(),
        3,
        "there is none"
    );
    let page = press("remove-edge-1", &edges[..1]).await;
    assert_eq!(
        page.body.matches("name=\"edge\"").count(),
        1,
        "room for one"
    );

    let ten = [("sip.contoso.com", "contoso.com"); 10];
    let page = press("add-edge", &ten).await;
    assert_eq!(
        page.body.matches("name=\"edge\"").count(),
        10,
        "ten at most"
    );
    page.hides("value=\"add-edge\"");

    let page = press("change", &edges).await;
    assert_eq!(page.status, StatusCode::OK);
    keeps(&page, &request(&id, &edges));
    assert_eq!(page.hidden()[0].1, id, "the same form");

    // Enter, without a button, is Continue.
    let page = press("", ONE).await;
    page.shows("Check your answers");
    assert_eq!(stored(&portal).await, 0);

    let (a, b) = (
        portal.get("/requests/new").await,
        portal.get("/requests/new").await,
    );
    assert_eq!(a.status, StatusCode::OK);
    assert_ne!(a.hidden(), b.hidden(), "each form has a number of its own");
}

#[tokio::test]
async fn the_answers_show_what_will_be_stored_and_can_be_sent() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let mut fields = request(
        &id,
        &[("SIP.Contoso.com.", "Contoso.com, MÜNCHEN.de;\ncontoso.com")],
    );
    fields[1].1 = " 12-345 ab ";
    fields.last_mut().unwrap().1 = "review";
    let page = portal.post("/requests/new", &fields).await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows_each([
        "Check your answers",
        "12-345 ab",
        "SIP.Contoso.com.",
        "<li>contoso.com</li>",
        "xn--mnchen-3ya.de",
        "münchen.de",
        "1 duplicate was removed",
    ]);
    let elements = page.elements();
    for name in ["12345AB", "sip.contoso.com"] {
        let mut names = elements.iter().filter(|it| it.has_class("app-name"));
        assert!(names.any(|it| it.text == name), "{name}: {}", page.body);
    }
    assert_eq!(stored(&portal).await, 0, "nothing has been sent");

    let mut fields = page.hidden();
    fields.push(("action".into(), "submit".into()));
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let sent = portal.post("/requests/new", &fields).await;
    let reference = sent.reference();
    let page = portal.get(&format!("/requests/{reference}")).await;
    page.shows_each(["sip.contoso.com", "contoso.com", "xn--mnchen-3ya.de"]);
    let text = portal
        .get(&format!("/requests/{reference}/receipt.txt"))
        .await;
    text.shows("Agreement number: 12345AB");
    // Warnings do not block, and the number may look unusual.
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 1);
}

#[tokio::test]
async fn pasted_lists_are_taken_whole() {
    let portal = TestApp::new().await;
    for (count, separator) in [(40, "; "), (1000, "\r\n")] {
        let id = submission_id();
        let names: Vec<_> = (0..count)
            .map(|n| format!("d{n}.of{count}.example"))
            .collect();
        let pasted = names.join(separator);
        let edge = format!("sip.of{count}.example");
        let mut fields = request(&id, &[(&edge, &pasted)]);
        fields.last_mut().unwrap().1 = "review";
        let page = portal.post("/requests/new", &fields).await;
        assert_eq!(page.status, StatusCode::OK, "{count}");
        assert!(
            names
                .iter()
                .all(|name| page.body.contains(&format!("<li>{name}</li>")))
        );
        let folded = page.body.contains("1,000 SIP domains");
        assert_eq!(folded, count == 1000, "over forty are folded");
        fields.last_mut().unwrap().1 = "submit";
        let reference = portal.post("/requests/new", &fields).await.reference();
        assert_eq!(portal.work().await.provisioned, 1);
        let page = portal.get(&format!("/requests/{reference}")).await;
        assert!(
            names
                .iter()
                .all(|name| page.body.contains(&format!("<li>{name}</li>")))
        );
    }
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1040);
}

// ---------------------------------------------------------------------------------------------
// Programs

/// A request with headers, and fields if there are any.
async fn ask(
    portal: &TestApp,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut asked = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "portal.test");
    for (name, value) in headers {
        asked = asked.header(*name, *value);
    }
    portal
        .send(asked.body(Body::from(body.to_owned())).unwrap())
        .await
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("accept", "application/json");

#[tokio::test]
async fn programs_are_told_in_json() {
    let portal = TestApp::new().await;
    let post = async |fields: &[(&str, &str)]| {
        let body = serde_html_form::to_string(fields).unwrap();
        ask(&portal, Method::POST, "/requests/new", &[FORM, JSON], &body).await
    };
    let read = |answer: &Answer, status: StatusCode| -> serde_json::Value {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["status"], status.as_u16());
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem
    };
    let id = submission_id();
    let edges = [("sip.contoso.com", "x"), ("contoso.com", "fabrikam.com")];
    let mut fields = request(&id, &edges);
    fields[1].1 = "ted@contoso.com";
    let problem = read(&post(&fields).await, StatusCode::UNPROCESSABLE_ENTITY);
    let at: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    assert_eq!(at, ["number", "domains-1", "edge-2"]);
    assert!(
        problem["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("email address")
    );

    let mut fields = request(&id, ONE);
    fields.push(("contact_email", "canary-json@example.org"));
    let answer = post(&fields).await;
    let problem = read(&answer, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem.get("errors").is_none() && !answer.body.contains("canary"));

    assert_eq!(post(&request(&id, ONE)).await.status, StatusCode::SEE_OTHER);
    let other = [("sip.contoso.com", "fabrikam.com")];
    let answer = post(&request(&id, &other)).await;
    read(&answer, StatusCode::CONFLICT);
    for path in [
        "/nowhere",
        "/requests/PIC-0000-0000-0000-0000",
        "/requests/x",
    ] {
        read(
            &ask(&portal, Method::GET, path, &[JSON], "").await,
            StatusCode::NOT_FOUND,
        );
    }
    let find = ask(&portal, Method::GET, "/status?q=!", &[JSON], "").await;
    let problem = read(&find, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0]["field"], "q");
    // A browser accepts anything, and gets a page.
    let accept = (
        "accept",
        "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8",
    );
    let page = ask(&portal, Method::GET, "/nowhere", &[accept], "").await;
    assert!(page.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn forms_of_other_sites_and_other_things_than_forms_are_refused() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let body = serde_html_form::to_string(request(&id, ONE)).unwrap();
    let post = async |headers: &[(&str, &str)], body: &str| {
        ask(&portal, Method::POST, "/requests/new", headers, body).await
    };
    for foreign in [
        &[FORM, ("sec-fetch-site", "cross-site")][..],
        &[FORM, ("sec-fetch-site", "same-site")],
        &[FORM, ("origin", "https://evil.example")],
        &[FORM, ("origin", "null")],
    ] {
        let page = post(foreign, &body).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{foreign:?}");
        page.shows("another site");
        page.shows("href=\"/\"");
    }
    let withdraw = "/requests/PIC-0000-0000-0000-0000/withdraw";
    let foreign = [FORM, ("sec-fetch-site", "cross-site")];
    let page = ask(
        &portal,
        Method::POST,
        withdraw,
        &foreign,
        "management_key=0",
    )
    .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);

    let big = format!("{body}&domains={}", "a".repeat(512 * 1024));
    assert_eq!(
        post(&[FORM], &big).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
    ] {
        let page = post(&[("content-type", kind)], &body).await;
        assert_eq!(page.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    assert_eq!(
        post(&[], &body).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let page = ask(&portal, Method::DELETE, "/requests/new", &[], "").await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(page.header("allow").contains("POST"));
    assert_eq!(stored(&portal).await, 0);

    for own in [
        &[FORM, ("sec-fetch-site", "same-origin")][..],
        &[FORM, ("origin", "http://portal.test")],
        &[(
            "content-type",
            "application/x-www-form-urlencoded; charset=UTF-8",
        )],
    ] {
        assert_eq!(
            post(own, &body).await.status,
            StatusCode::SEE_OTHER,
            "{own:?}"
        );
    }
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let portal = TestApp::at("https://portal.test").await;
    let (reference, _) = portal.submit(ONE).await;
    let status = format!("/requests/{reference}");
    let cases = [
        (Method::GET, "/", 200),
        (Method::GET, "/requests/new", 200),
        (Method::POST, "/requests/new", 415),
        (Method::GET, "/status", 200),
        (Method::GET, "/status?q=!", 422),
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/requests/x", 404),
        (Method::GET, "/requests/%ff", 400),
        (Method::GET, &status, 200),
        (Method::PUT, &status, 405),
        (Method::GET, "/static/nothing.js", 404),
        (Method::GET, "/livez", 200),
        (Method::GET, "/readyz", 200),
    ];
    for (method, path, expected) in cases {
        let answer = ask(&portal, method.clone(), path, &[], "").await;
        assert_eq!(answer.status.as_u16(), expected, "{method} {path}");
        let csp = answer.header("content-security-policy");
        assert!(csp.starts_with("default-src 'none'"), "{path}: {csp}");
        assert!(!csp.contains("unsafe"), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(answer.header(name), value, "{method} {path}");
        }
        let kept = match path {
            "/" => "no-cache",
            path if path == status && expected == 200 => "private, no-cache",
            // Forms, so that Back and Forward find what was typed.
            "/status" | "/status?q=!" => "private, no-cache",
            "/requests/new" if expected == 200 => "private, no-cache",
            _ => "no-store",
        };
        assert_eq!(answer.header("cache-control"), kept, "{method} {path}");
        let page = answer.header("content-type").starts_with("text/html");
        let probe = path.ends_with('z');
        assert!(page != probe, "{path}: a page, but for probes");
        if expected >= 400 {
            assert!(answer.body.contains("href=\"/\""), "{path}: a way back");
        }
    }
    let plain = TestApp::new().await.get("/").await;
    assert_eq!(plain.header("strict-transport-security"), "");
}

// ---------------------------------------------------------------------------------------------
// Receipts and finding

#[tokio::test]
async fn the_key_goes_to_its_receipt_and_to_nobody_else() {
    for (origin, name, secure) in [
        ("http://portal.test", "pic_receipt", false),
        ("https://portal.test", "__Secure-pic_receipt", true),
    ] {
        let portal = TestApp::at(origin).await;
        let sent = portal
            .post("/requests/new", &request(&submission_id(), ONE))
            .await;
        let address = format!("/requests/{}/receipt", sent.reference());
        assert_eq!(sent.header("location"), address);
        let cookies = sent.set_cookies();
        assert_eq!(cookies.len(), 2);
        for (cookie, path) in cookies
            .iter()
            .zip([address.clone(), format!("{address}.txt")])
        {
            let parts: Vec<_> = cookie.split("; ").collect();
            assert!(parts[0].starts_with(&format!("{name}=")), "{cookie}");
            for part in [
                "HttpOnly",
                "SameSite=Lax",
                "Max-Age=900",
                &format!("Path={path}"),
            ] {
                assert!(parts.contains(&part), "{part}: {cookie}");
            }
            assert_eq!(parts.contains(&"Secure"), secure, "{cookie}");
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
        let text = format!("{address}.txt");
        let key = sent.cookie().split_once('=').unwrap().1.to_owned();
        let page = portal.get_with(&address, &sent.cookie()).await;
        assert_eq!(page.attribute("data-management-key"), Some(key.as_str()));
        let shown = portal.get_with(&text, &sent.cookie()).await;
        assert!(shown.header("content-type").starts_with("text/plain"));
        shown.shows(&key);
        shown.shows(&sent.reference());
        shown.shows(&format!("{origin}/requests/"));

        let other = portal
            .post("/requests/new", &request(&submission_id(), ONE))
            .await;
        let other_key = other.cookie().split_once('=').unwrap().1.to_owned();
        assert_ne!(other_key, key);
        let stray = [
            String::new(),
            other.cookie(),
            format!("{name}=nonsense"),
            format!("x={key}"),
        ];
        for cookie in &stray {
            for path in [&address, &text] {
                let page = portal.get_with(path, cookie).await;
                assert_eq!(page.status, StatusCode::OK);
                assert_eq!(page.attribute("data-management-key"), None, "{cookie}");
                let said = !page.body.contains(&key) && !page.body.contains(&other_key);
                assert!(said, "{cookie}");
            }
        }
        let status = portal
            .get_with(&format!("/requests/{}", sent.reference()), &sent.cookie())
            .await;
        assert!(!status.body.contains(&key), "on the receipt alone");
        let kept = everything(portal.pool()).await.to_uppercase();
        assert!(kept.contains(&sent.reference()), "the eye is sharp");
        for form in [key.clone(), key.replace('-', "")] {
            assert!(!kept.contains(&form), "SQL keeps its hash alone");
        }
    }
}

#[tokio::test]
async fn a_reference_leads_to_its_request_however_it_is_typed() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(ONE).await;
    let shown = format!("/requests/{reference}");
    let bare = reference[4..].replace('-', "");
    let sloppy = reference.to_lowercase().replace('0', "o").replace('1', "l");
    for typed in [
        reference.clone(),
        reference.to_lowercase(),
        bare.clone(),
        format!("  PIC {bare} "),
        reference.replace('-', " "),
        reference.replace('-', "\u{2013}"),
        sloppy.clone(),
    ] {
        let query = serde_html_form::to_string([("q", &typed)]).unwrap();
        let found = portal.get(&format!("/status?{query}")).await;
        assert_eq!(found.status, StatusCode::SEE_OTHER, "{typed}");
        assert_eq!(found.header("location"), shown, "{typed}");
    }
    for (typed, rest) in [(&bare, ""), (&sloppy, "/receipt"), (&bare, "/receipt.txt")] {
        let led = portal.get(&format!("/requests/{typed}{rest}")).await;
        assert_eq!(led.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(led.header("location"), format!("{shown}{rest}"));
    }
    let led = portal
        .post(
            &format!("/requests/{bare}/withdraw"),
            &[("management_key", &key)],
        )
        .await;
    assert_eq!(led.header("location"), format!("{shown}/withdraw"));
    assert_eq!(portal.state(&reference).await, "pending");

    for unknown in ["PIC-0000-0000-0000-0000", "PIC-1", "%22%3E%3Cb%3E"] {
        for rest in ["", "/receipt", "/receipt.txt"] {
            let page = portal.get(&format!("/requests/{unknown}{rest}")).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{unknown}");
            assert!(page.body.contains("href=\"/status\""), "a way back");
            page.hides("\"><b>");
        }
    }
}

#[tokio::test]
async fn of_a_domain_it_is_told_whether_it_is_in_force_and_nothing_else() {
    let portal = TestApp::new().await;
    let answer = async |q: &str| {
        let query = serde_html_form::to_string([("q", q)]).unwrap();
        portal.get(&format!("/status?{query}")).await
    };
    let (reference, _) = portal
        .submit(&[("sip.contoso.com", "contoso.com münchen.de")])
        .await;
    for q in ["contoso.com", "fabrikam.com"] {
        let page = answer(q).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("Not in force</strong>"), "{q}");
    }
    portal.work().await;
    for q in [
        "contoso.com",
        " Contoso.COM. ",
        "münchen.de",
        "xn--mnchen-3ya.de",
        "MÜNCHEN.DE",
    ] {
        let page = answer(q).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("In force</strong>"), "{q}");
        assert!(!page.body.contains("Not in force"), "{q}");
        for secret in [reference.as_str(), "sip.contoso.com", "1234567"] {
            assert!(!page.body.contains(secret), "{q} tells {secret}");
        }
    }
    let page = answer("münchen.de").await;
    page.shows("xn--mnchen-3ya.de");
    page.shows("(münchen.de)");
    // The edge and a name below the domain are no domains in force.
    for q in ["sip.contoso.com", "it.contoso.com"] {
        assert!(
            answer(q).await.body.contains("Not in force</strong>"),
            "{q}"
        );
    }
    for q in [
        "nonsense",
        "!",
        "ted@contoso.com",
        "a..b",
        MARKUP,
        &"x".repeat(5000),
    ] {
        let page = answer(q).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{q}");
        assert!(
            page.blames("q") && page.body.contains("<title>Error: "),
            "{q}"
        );
        page.hides(MARKUP);
    }
    for path in ["/status", "/status?q=", "/status?q=%20", "/status?x=1"] {
        let page = portal.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.body.contains("name=\"q\""), "{path}");
    }
}
