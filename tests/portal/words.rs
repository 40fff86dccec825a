//! Checks that people see what the checks found, on the page of a request and of the service.

use std::time::Duration;

use axum::http::StatusCode;
use sqlx::AssertSqlSafe;

use crate::{
    service::provisioned,
    support::app::{Answer, TestApp, escaped},
};

/// A finding of a check: code, severity, subject, found.
type Found<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Stores findings for a request, as a check does.
pub(crate) async fn found(portal: &TestApp, reference: &str, findings: &[Found<'_>]) {
    for (code, severity, subject, found) in findings {
        let sql = format!(
            "INSERT INTO finding (request_id, code, subject, severity, at, expected, found)
             SELECT id, '{code}', '{subject}', '{severity}', pic_now(), 'what should be there', '{found}'
             FROM request WHERE reference = '{reference}'"
        );
        let done = sqlx::query(AssertSqlSafe(sql)).execute(portal.pool()).await;
        assert_eq!(done.unwrap().rows_affected(), 1);
    }
}

async fn page_of(portal: &TestApp, reference: &str) -> Answer {
    let page = portal.get(&format!("/requests/{reference}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    // Each word of a line is in an element of its own.
    let body = page.body.replace("</span> <span>", " ");
    let body = body.replace("\"><span>", "\">");
    Answer { body, ..page }
}

#[tokio::test]
async fn forty_domains_with_three_faults_are_three_cards_with_all_lines() {
    let portal = TestApp::new().await;
    let names: Vec<String> = (10..50).map(|n| format!("d{n}.example")).collect();
    let reference = portal
        .store_one(&[("sip.contoso.com", &names.join("\n"))])
        .await;
    let findings: Vec<Found<'_>> = names
        .iter()
        .enumerate()
        .map(|(place, name)| match place % 4 {
            0 => ("srv-port", "blocking", name.as_str(), "port 5060"),
            1 => ("srv-suffix", "warning", name.as_str(), "sip.contoso.com"),
            _ => ("srv-missing", "blocking", name.as_str(), "no SRV record"),
        })
        .collect();
    found(&portal, &reference, &findings).await;
    found(
        &portal,
        &reference,
        &[("certificate", "ok", "sip.contoso.com", "until 2030")],
    )
    .await;

    let page = page_of(&portal, &reference).await;
    assert_eq!(page.body.matches("<article").count(), 3);
    let told = page.findings();
    assert_eq!(told.len(), 41);
    assert_eq!(told[0], ("srv-missing", "blocking"));
    assert_eq!(told[20], ("srv-port", "blocking"));
    assert_eq!(told[30], ("srv-suffix", "warning"));
    assert_eq!(told[40], ("certificate", "ok"));
    page.shows("30 problems to fix, 10 warnings.");
    for name in &names {
        assert!(page.body.contains(&format!(">{name}</span>")), "{name}");
    }
    // Each line that fixes something is there, with its own name.
    for (code, _, name, _) in &findings {
        let line = format!("_sipfederationtls._tcp.{name}. 3600 IN SRV 0 0 5061 sip.contoso.com.");
        assert_eq!(page.body.contains(&line), *code != "srv-suffix", "{line}");
    }
    page.shows("port 5060");
    page.shows("what should be there");
}

#[tokio::test]
async fn a_domain_that_is_held_shows_its_record_while_that_helps() {
    let portal = TestApp::new().await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let (reference, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let token = portal.token(&reference).await;
    let line = format!("_pic-portal.contoso.com. 300 IN TXT \"pic-service={token}\"");
    let again = format!("action=\"/requests/{reference}/check-again\"");

    let page = page_of(&portal, &reference).await;
    assert_eq!(page.findings(), [("domain-held", "blocking")]);
    page.shows(&escaped(&line));
    assert!(
        page.body.contains("is not looked up"),
        "checks are off here"
    );
    page.shows("1 SIP domain to be released or proved");
    assert!(page.body.contains(&again), "the holder may have let go");

    portal.advance(Duration::from_hours(31 * 24)).await;
    portal.work().await;
    let page = page_of(&portal, &reference).await;
    assert_eq!(page.attribute("data-state"), Some("rejected"));
    assert_eq!(
        page.findings(),
        [("domain-held", "blocking")],
        "its last findings"
    );
    assert!(!page.body.contains(&token), "it helps no more");
    page.hides(&again);
    page.hides("Your side");
}

#[tokio::test]
async fn what_is_in_force_is_at_risk_and_nothing_is_taken_away() {
    let portal = TestApp::new().await;
    let (reference, cookie) = provisioned(
        &portal,
        &[("sip.contoso.com", "contoso.com it.contoso.com")],
    )
    .await;
    let page = page_of(&portal, &reference).await;
    page.shows("Your routes are in force<");
    page.shows("Test-NetConnection -ComputerName 'sip.contoso.com'");
    let hub = portal.get_with("/service", &cookie).await;
    assert_eq!(hub.findings(), []);

    // A warning is no risk.
    let warning = ("srv-suffix", "warning", "it.contoso.com", "sip.contoso.com");
    found(
        &portal,
        &reference,
        &[warning, ("srv", "ok", "contoso.com", "")],
    )
    .await;
    assert!(!page_of(&portal, &reference).await.body.contains("At risk"));
    let hub = portal.get_with("/service", &cookie).await;
    assert_eq!(hub.findings(), [("srv-suffix", "warning")]);
    hub.hides("At risk");
    hub.shows("Warnings");

    let unknown = (
        "resolver-unreachable",
        "unknown",
        "contoso.com",
        "no answer",
    );
    let expired = (
        "certificate-expired",
        "blocking",
        "sip.contoso.com",
        "until yesterday",
    );
    // Nor is what could not be looked at: nothing wrong was found.
    for (finding, count, risk) in [(unknown, 2, false), (expired, 3, true)] {
        found(&portal, &reference, &[finding]).await;
        let page = page_of(&portal, &reference).await;
        assert_eq!(page.attribute("data-state"), Some("provisioned"));
        assert_eq!(page.body.contains("At risk"), risk);
        assert_eq!(page.body.contains("Nothing is taken away"), risk);
        page.shows("id=\"next-steps\"");
        let hub = portal.get_with("/service", &cookie).await;
        assert_eq!(hub.findings().len(), count);
        assert_eq!(hub.body.contains("At risk"), risk, "{}", hub.body);
        hub.shows(&format!("/requests/{reference}"));
    }

    // What has been replaced is no risk any more.
    let fields = [("confirm", "on")];
    portal.post_with("/service/cancel", &fields, &cookie).await;
    portal.work().await;
    let hub = portal.get_with("/service", &cookie).await;
    assert_eq!(hub.findings(), []);
    let page = page_of(&portal, &reference).await;
    page.hides("At risk");
    page.shows("Superseded");
}
