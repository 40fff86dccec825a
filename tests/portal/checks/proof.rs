//! Checks that a domain that needs proof is provisioned only after its owner has named the service.

use std::time::Duration;

use axum::{body::Body, http::Request};
use hickory_resolver::proto::rr::RecordType;
use pic_portal::readiness::{Mode, ProofMode, engine::Checks};
use serde_json::{Value, json};

use crate::{
    service::sign_in,
    support::{
        app::{TestApp, WAITS, escaped, request, submission_id},
        assert_says,
        dns::Manner,
        world::World,
    },
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
/// Longer than the time after a check before another can be requested.
const AFTER_A_LOOK: Duration = Duration::from_secs(10);
/// What the page of a provisioned request says about the records that have proven its domains.
const NOT_NEEDED: &str = "is not needed any more: you can remove it";

fn always(world: &World, mode: Mode) -> Checks {
    match mode {
        Mode::Enforce => Checks::Enforce(world.checker(), ProofMode::Always),
        Mode::Advise => Checks::Advise(world.checker(), ProofMode::Always),
        Mode::Off => panic!("nothing could be proven"),
    }
}

/// The findings about the proof of its domains, as `severity code subject`.
async fn proofs(portal: &TestApp, reference: &str) -> Vec<String> {
    portal
        .of_request(
            reference,
            "SELECT concat_ws(' ', f.severity, f.code, f.subject) FROM finding f
         JOIN request r ON r.id = f.request_id
         WHERE r.reference = $1 AND f.code LIKE 'domain-%' ORDER BY f.subject, f.code",
        )
        .await
}

/// Presses *Check again*, and runs the background task.
async fn check_again(
    portal: &TestApp,
    reference: &str,
) -> pic_portal::provisioning::store::Settled {
    portal.advance(AFTER_A_LOOK).await;
    let path = format!("/requests/{reference}/check-again");
    portal.post(&path, &[]).await;
    portal.work().await
}

async fn json_of(portal: &TestApp, reference: &str) -> Value {
    let request = Request::get(format!("/requests/{reference}"))
        .header("accept", "application/json")
        .body(Body::empty())
        .unwrap();
    serde_json::from_str(&portal.send(request).await.body).unwrap()
}

/// Changes a service to these domains at `sip.contoso.com`; returns the reference of the update.
async fn update(portal: &TestApp, cookie: &str, domains: &str) -> String {
    let id = submission_id();
    let fields = [
        ("edge", "sip.contoso.com"),
        ("domains", domains),
        ("deployment", "on_premises"),
        ("submission_id", &id),
        ("action", "submit"),
    ];
    let sent = portal.post_with("/service/edit", &fields, cookie).await;
    sent.reference()
}

/// A line to copy, as it is in a page.
fn command(line: &str) -> String {
    let words = line
        .split(' ')
        .map(|word| format!("<span>{}</span>", escaped(word)));
    words.collect::<Vec<_>>().join(" ")
}

const ROUTES: &str = "SELECT count(*) FROM route";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_provisioned_before_the_owner_has_named_the_service() {
    for mode in [Mode::Enforce, Mode::Advise] {
        let (world, _edge) = World::with("contoso.com").await;
        let portal = TestApp::checking(always(&world, mode)).await;
        let (reference, _) = portal.submit(ONE).await;
        let settled = portal.work().await;
        assert_eq!((settled.waiting, settled.provisioned), (1, 0), "{mode:?}");
        let unproven = ["blocking domain-unproven contoso.com"];
        assert_eq!(proofs(&portal, &reference).await, unproven, "{mode:?}");
        assert_eq!(check_again(&portal, &reference).await.waiting, 1);
        assert_eq!(portal.number(ROUTES).await, 0);

        world.speak_for("contoso.com", &portal.token(&reference).await);
        assert_eq!(check_again(&portal, &reference).await.provisioned, 1);
        let proven = ["ok domain-proven contoso.com"];
        assert_eq!(proofs(&portal, &reference).await, proven, "{mode:?}");
        assert_eq!(portal.state(&reference).await, "provisioned");
        let page = portal.get(&format!("/requests/{reference}")).await;
        page.shows(NOT_NEEDED);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_checks_advise_the_proof_alone_is_needed() {
    let world = World::start().await;
    world.zone("contoso.com");
    let portal = TestApp::checking(always(&world, Mode::Advise)).await;
    let (reference, _) = portal.submit(ONE).await;
    world.speak_for("contoso.com", &portal.token(&reference).await);
    assert_eq!(portal.work().await.provisioned, 1);
    let blocking = "SELECT count(*) FROM finding WHERE severity = 'blocking'";
    assert_eq!(portal.number(blocking).await, 2, "record and edge are told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_a_strangers_domain_never_gets_it() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(always(&world, Mode::Enforce)).await;
    let (squatter, _) = portal.submit(ONE).await;
    let (owner, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.waiting, 2);
    world.speak_for("contoso.com", &portal.token(&owner).await);
    portal.advance(WAITS.longest).await;
    let settled = portal.work().await;
    // Whichever is settled first: the other one lacks the proof, or finds a domain that is held.
    assert_eq!(settled.provisioned, 1);
    assert_eq!(settled.waiting + settled.held, 1);
    assert_eq!(portal.state(&owner).await, "provisioned");
    portal.advance(WAITS.longest).await;
    assert_eq!(portal.work().await.held, 1);
    let held = ["blocking domain-held contoso.com"];
    assert_eq!(proofs(&portal, &squatter).await, held);
    portal.advance(WAITS.expiry).await;
    portal.work().await;
    assert_eq!(portal.state(&squatter).await, "rejected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_proves_what_it_adds_and_a_cancel_nothing() {
    let world = World::start().await;
    world.zone("contoso.com");
    let names = ["contoso.com", "it.contoso.com"];
    let _edge = world.edge("sip.contoso.com", &names).await;
    for name in names {
        world.route(name, "sip.contoso.com");
    }
    let portal = TestApp::checking(always(&world, Mode::Enforce)).await;
    // It came into force before proof was required.
    let (reference, key) = portal.submit(ONE).await;
    let before = portal.worker().with_checks(world.enforce());
    assert_eq!(before.drain().await.unwrap().provisioned, 1);
    let token = portal.token(&reference).await;
    let cookie = sign_in(&portal, &key).await;

    let more = update(&portal, &cookie, "contoso.com it.contoso.com").await;
    let receipt = portal.get(&format!("/requests/{more}/receipt")).await.body;
    assert_says(&receipt, "_pic-portal.it.contoso.com");
    assert!(!receipt.contains("_pic-portal.contoso.com"), "{receipt}");
    assert_eq!(portal.work().await.waiting, 1);
    let unproven = ["blocking domain-unproven it.contoso.com"];
    assert_eq!(proofs(&portal, &more).await, unproven);
    let record = json!({
        "sip_domain": "it.contoso.com", "name": "_pic-portal.it.contoso.com",
        "text": format!("pic-service={token}"), "proven": false,
    });
    let told = json_of(&portal, &more).await;
    assert_eq!(told["proof"]["records"], json!([record]));
    assert_eq!(portal.number(ROUTES).await, 1, "what is in force stays");

    world.speak_for("it.contoso.com", &token);
    assert_eq!(check_again(&portal, &more).await.provisioned, 1);
    assert_eq!(portal.number(ROUTES).await, 2);
    // A domain that was proven needs no record later, and is not asked for proof again.
    world.internet.set("_pic-portal.it.contoso.com", &[]);
    let less = update(&portal, &cookie, "it.contoso.com").await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(proofs(&portal, &less).await, [""; 0]);
    portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(portal.number(ROUTES).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_its_holder_lets_go_has_to_be_proven_all_the_same() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(always(&world, Mode::Enforce)).await;
    let (_, key) = portal.submit(ONE).await;
    let before = portal.worker().with_checks(world.enforce());
    assert_eq!(before.drain().await.unwrap().provisioned, 1);
    let (heir, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.held, 1);
    let cookie = sign_in(&portal, &key).await;
    portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await;
    let settled = portal.work().await;
    assert_eq!((settled.provisioned, settled.waiting), (1, 1));
    let unproven = ["blocking domain-unproven contoso.com"];
    assert_eq!(proofs(&portal, &heir).await, unproven);
    world.speak_for("contoso.com", &portal.token(&heir).await);
    assert_eq!(check_again(&portal, &heir).await.provisioned, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_services_token_proves_nothing_even_beside_the_own() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(always(&world, Mode::Advise)).await;
    let (reference, _) = portal.submit(ONE).await;
    let own = format!("TXT pic-service={}", portal.token(&reference).await);
    let other = "TXT pic-service=0000000000000000";
    for (records, found) in [
        (vec![other], "another service&#39;s token"),
        (vec![other, &own], "the token of this service"),
        (vec!["TXT pic-service="], "a TXT record that is no token"),
        (vec!["TXT v=spf1"], "a TXT record that is no token"),
    ] {
        world.internet.set("_pic-portal.contoso.com", &records);
        portal.advance(WAITS.longest).await;
        assert_eq!(portal.work().await.waiting, 1, "{records:?}");
        let unproven = ["blocking domain-unproven contoso.com"];
        assert_eq!(proofs(&portal, &reference).await, unproven, "{records:?}");
        let page = portal.get(&format!("/requests/{reference}")).await;
        assert!(page.body.contains(found), "{records:?} {}", page.body);
    }
    let unrelated = [own.as_str(), "TXT v=spf1"];
    world.internet.set("_pic-portal.contoso.com", &unrelated);
    assert_eq!(check_again(&portal, &reference).await.provisioned, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_does_not_answer_is_unknown_and_provisions_nothing() {
    let world = World::start().await.impatient();
    let _edge = world.ready("contoso.com").await;
    let portal = TestApp::checking(always(&world, Mode::Advise)).await;
    let (reference, _) = portal.submit(ONE).await;
    world.speak_for("contoso.com", &portal.token(&reference).await);
    let servers = [&world.internet.resolver, &world.internet.authorities[0]];
    for server in servers {
        server.behave(Manner::Silent);
    }
    assert_eq!(portal.work().await.waiting, 1);
    let unknown = ["unknown domain-unproven contoso.com"];
    assert_eq!(proofs(&portal, &reference).await, unknown);
    let told = json_of(&portal, &reference).await;
    assert_eq!(told["standing"], "checking", "it is not held against it");
    assert_eq!(told["proof"]["records"][0]["proven"], Value::Null);
    let page = portal.get(&format!("/requests/{reference}")).await.body;
    let title = "The proof of the domain could not be looked up";
    assert_says(&page, title);
    for server in servers {
        server.behave(Manner::Honest);
    }
    assert_eq!(check_again(&portal, &reference).await.provisioned, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_on_the_way_says_what_will_be_asked_for() {
    let (world, _edge) = World::with("contoso.com").await;
    for mode in [Mode::Enforce, Mode::Advise] {
        let held = TestApp::checking(match mode {
            Mode::Enforce => world.enforce(),
            _ => world.advise(),
        });
        let (held, asking) = (held.await, TestApp::checking(always(&world, mode)).await);
        let id = submission_id();
        let mut review = request(&id, ONE);
        review.retain(|(name, _)| *name != "action");
        review.push(("action", "review"));
        let names = [("domains", "contoso.com"), ("edge", "sip.contoso.com")];
        for (portal, says) in [(&held, false), (&asking, true)] {
            for (path, fields, word) in [
                ("/", None, "TXT record"),
                ("/requests/new", None, "You will publish a TXT record"),
                ("/requests/new", Some(&review[..]), "_pic-portal"),
                ("/check", None, "It is not looked up here"),
                ("/check", Some(&names[..]), "It is not looked up here"),
                ("/help/dns-and-certificate", None, "pic-service=TOKEN"),
            ] {
                let page = match fields {
                    None => portal.get(path).await,
                    Some(fields) => portal.post(path, fields).await,
                };
                assert!(page.status.is_success(), "{path}");
                assert_eq!(page.body.contains(word), says, "{mode:?} {path} {word}");
            }
            let (reference, _) = portal.submit(ONE).await;
            let line = format!(
                "_pic-portal.contoso.com. 300 IN TXT \"pic-service={}\"",
                portal.token(&reference).await
            );
            // The receipt shows it before anything was checked, and so does the request's page.
            for path in ["", "/receipt", "/receipt.txt"] {
                let page = portal.get(&format!("/requests/{reference}{path}")).await;
                let shown = if path == "/receipt.txt" {
                    line.clone()
                } else {
                    command(&line)
                };
                assert_eq!(page.body.contains(&shown), says, "{path} {}", page.body);
            }
            portal.work().await;
            let page = portal.get(&format!("/requests/{reference}")).await.body;
            assert_eq!(page.contains(&command(&line)), says, "{page}");
            let task = "TXT record that proves each new SIP domain";
            assert_eq!(page.contains(task), says, "{page}");
            assert!(!page.contains(NOT_NEEDED), "{page}");
            let told = json_of(portal, &reference).await;
            let asked = if says { "always" } else { "held" };
            assert_eq!(told["proof"]["asked"], asked);
            let records = told["proof"]["records"].as_array().unwrap().len();
            assert_eq!(records, usize::from(says));
            let bundle = format!("/requests/{reference}/support.txt");
            let bundle = portal.get(&bundle).await.body;
            assert_eq!(bundle.contains("Proof of domains     always"), says);
            let missing = "  missing   _pic-portal.contoso.com. TXT \"pic-service=";
            assert_eq!(bundle.contains(missing), says, "{bundle}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_is_looked_up_where_nobody_is_asked_for_one() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(proofs(&portal, &reference).await, [""; 0]);
    let server = &world.internet.authorities[0];
    let asked = server.count("_pic-portal.contoso.com", RecordType::TXT);
    assert_eq!(asked, 0);
    // A request whose domain was moved here by a record says that the record is no longer needed.
    let (heir, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.held, 1);
    let told = json_of(&portal, &heir).await;
    let text = format!("pic-service={}", portal.token(&heir).await);
    assert_eq!(told["proof"]["records"][0]["text"], text);
    world.speak_for("contoso.com", &portal.token(&heir).await);
    assert_eq!(check_again(&portal, &heir).await.provisioned, 1);
    assert_eq!(proofs(&portal, &heir).await, [""; 0]);
    for (reference, says) in [(&heir, true), (&reference, false)] {
        let page = portal.get(&format!("/requests/{reference}")).await.body;
        assert_eq!(page.contains(NOT_NEEDED), says, "{page}");
    }
}

#[tokio::test]
async fn a_receipt_of_many_domains_folds_their_names() {
    let world = World::start().await;
    let portal = TestApp::checking(always(&world, Mode::Enforce)).await;
    let names: Vec<_> = (0..11).map(|n| format!("d{n}.contoso.com")).collect();
    let (reference, _) = portal
        .submit(&[("sip.contoso.com", &names.join(" "))])
        .await;
    let receipt = portal.get(&format!("/requests/{reference}/receipt")).await;
    let folded = "The names of the 11 records";
    receipt.shows(folded);
    let text = format!("/requests/{reference}/receipt.txt");
    let text = portal.get(&text).await.body;
    for name in names {
        let line = format!("  _pic-portal.{name}. 300 IN TXT \"pic-service=");
        assert_says(&text, &line);
    }
}
