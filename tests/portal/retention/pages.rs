//! Checks how the rule, what is kept, and the last sweeps are published.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use pic_portal::retention::{KEPT, RULE};
use serde_json::Value;

use super::{plant, sweep};
use crate::support::{
    app::{TestApp, escaped},
    assert_says,
    process::{command, on, program},
};

async fn json(portal: &TestApp) -> Value {
    let request = Request::get("/privacy").header("accept", "application/json");
    let answer = portal.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("vary"), "Accept");
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn the_page_says_the_rule_what_is_kept_and_the_last_sweeps() {
    let portal = TestApp::new().await;
    let page = portal.get("/privacy").await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows(RULE);
    page.shows("None has been recorded yet");
    for kept in KEPT {
        assert!(page.body.contains(&escaped(kept.what)), "{}", kept.what);
    }
    page.shows_each([
        "90 days after it ended",
        "365 days",
        "30 minutes without use",
        "30 days at most",
        "within 60 minutes",
    ]);
    plant(portal.pool(), "told", 12).await;
    sweep(&portal).await;
    let page = portal.get("/privacy").await;
    page.shows_each([
        "clean: nothing remains",
        "12 contact rows of an older system",
        "by hand",
    ]);
    assert!(
        !page.body.contains("told"),
        "not a word of what was removed"
    );
}

#[tokio::test]
async fn programs_get_the_same() {
    let portal = TestApp::new().await;
    plant(portal.pool(), "told", 12).await;
    sweep(&portal).await;
    let report = json(&portal).await;
    assert_eq!(report["rule"], RULE);
    assert_eq!(report["sweep_every_seconds"], 3_600);
    assert_eq!(report["kept"].as_array().unwrap().len(), KEPT.len());
    let run = &report["runs"][0];
    assert_eq!(
        (&run["outcome"], &run["cause"]),
        (&"clean".into(), &"hand".into())
    );
    assert_eq!(
        (&run["removed"]["contacts"], &run["removed"]["requests"]),
        (&12.into(), &0.into())
    );
    assert_eq!(run["remaining"], 0);
    assert!(
        run.get("suspects").is_none(),
        "names of columns are the operator's"
    );
    let began = run["began_at"].as_str().unwrap();
    assert!(began.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(began).is_ok());
}

#[tokio::test]
async fn every_page_leads_to_it_and_the_help_agrees() {
    let portal = TestApp::new().await;
    for path in ["/", "/requests/new", "/help/what-is-kept", "/nowhere"] {
        assert!(
            portal.get(path).await.body.contains("href=\"/privacy\""),
            "{path}"
        );
    }
    let help = portal.get("/help/what-is-kept").await.body;
    let main = help
        .split("<main")
        .nth(1)
        .unwrap()
        .split("</main>")
        .next()
        .unwrap();
    assert_says(&main, "href=\"/privacy\"");
    for words in ["90 days", "30 minutes", "8 hours"] {
        assert!(main.contains(words), "{words}");
    }
}

/// What a command prints on standard output, and whether it succeeded.
async fn told(portal: &TestApp, arguments: &[&str]) -> (bool, String) {
    let url = portal.db().url();
    let output = command(&program(), &on(&url))
        .args(arguments)
        .output()
        .await
        .unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap();
    said.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.success(), said)
}

#[tokio::test]
async fn a_sweep_by_hand_says_what_it_did_and_fails_when_something_remains() {
    let portal = TestApp::new().await;
    plant(portal.pool(), "byhand", 12).await;
    let (clean, said) = told(&portal, &["sweep"]).await;
    assert!(clean, "{said}");
    assert_says(&said, "removed: 12 contact rows of an older system");
    assert!(
        said.contains("nothing remains") && !said.contains("byhand"),
        "{said}"
    );
    portal
        .run("CREATE TABLE old (note text); INSERT INTO old VALUES ('canary@aviary.example')")
        .await;
    let (clean, said) = told(&portal, &["sweep"]).await;
    assert!(
        !clean && said.contains("looks like contact information: old.note: 1"),
        "{said}"
    );
    assert_says(&said, "pic-portal: the sweep is not clean");
    assert!(!said.contains("aviary"), "{said}");
}

#[tokio::test]
async fn the_doctor_prints_the_rule_the_sweeps_and_the_database() {
    let portal = TestApp::new().await;
    portal
        .run("CREATE TABLE old (note text); INSERT INTO old VALUES ('canary@aviary.example')")
        .await;
    sweep(&portal).await;
    let (well, said) = told(&portal, &["doctor"]).await;
    assert!(well, "{said}");
    for words in [
        RULE,
        "90 days after it ended",
        "old.note: 1",
        "PostgreSQL 1",
        "fsync: ",
        "unlogged: yes",
        "statistics: yes",
        "readiness checks: off; proof of ownership: held",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    for kept in KEPT {
        assert_says(&said, kept.what);
    }
    let (well, said) = told(&portal, &["doctor", "--json"]).await;
    assert!(well, "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["runs"][0]["suspects"][0], "old.note: 1");
    assert_eq!(
        report["database"]["schema"],
        report["database"]["newest_schema"]
    );
    assert_eq!(report["database"]["legacy_contact"]["unlogged"], true);
    assert_eq!(report["database"]["pool"], 10);
    let settings = serde_json::json!({ "checks": "off", "proof": "held", "proxy_fqdn": null });
    assert_eq!(report["settings"], settings);
    assert!(!said.contains("aviary"), "{said}");
    // The operator made it an ordinary table: the doctor reports that.
    portal
        .run("ALTER TABLE legacy_contact SET LOGGED, ALTER email SET STATISTICS 100")
        .await;
    let (_, said) = told(&portal, &["doctor"]).await;
    assert_says(&said, "unlogged: NO; without statistics: NO");
}
