//! What an Access Edge says by SIP is shown, holds no request back, and leaves nothing of its words.

use pic_portal::readiness::{ProofMode, engine::Checks};
use rustls::version::{TLS12, TLS13};

use crate::{
    service::sign_in,
    support::{
        app::{TestApp, everything},
        edge::{
            Mode,
            sip::{Said, Speaker},
        },
        world::World,
    },
};

const MARK: &str = "canary5061";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_edge_says_by_sip_holds_nobody_back_and_its_words_are_not_kept() {
    let world = World::start().await;
    let checks = Checks::Enforce(world.asking_by_sip(), ProofMode::Held);
    let portal = TestApp::checking(checks).await;
    let answers =
        format!("403 {MARK}@aviary.example\r\nWarning: 399 {MARK} \"{MARK}@aviary.example\"");
    for (domain, version, said, line) in [
        (
            "contoso.com",
            &TLS13,
            Said::status(&answers),
            "ok it answers OPTIONS with 403",
        ),
        (
            "fabrikam.com",
            &TLS12,
            Said::Parts(vec![format!("220 {MARK}@aviary.example\r\n").into_bytes()]),
            "unknown what it says to OPTIONS is not SIP",
        ),
        (
            "litware.com",
            &TLS13,
            Said::Resets,
            "unknown it closes the connection without an answer to OPTIONS",
        ),
    ] {
        let edge = world.ready(domain).await;
        edge.behave(Mode::Sip(Speaker::new(version, None, said)));
        let name = format!("sip.{domain}");
        let reference = portal.store_one(&[(&name, domain)]).await;
        assert_eq!(portal.work().await.provisioned, 1, "{domain}");
        let found: String = sqlx::query_scalar(
            "SELECT severity || ' ' || split_part(found, E'\\n', 1) FROM finding WHERE subject = $1 AND code LIKE 'sip%'",
        )
        .bind(&name)
        .fetch_one(portal.pool())
        .await
        .unwrap();
        assert_eq!(found, line);
        let page = portal.get(&format!("/requests/{reference}")).await;
        assert_eq!(page.attribute("data-state"), Some("provisioned"));
        let title = if line.starts_with("ok") {
            "Access Edge answers by SIP"
        } else {
            "Access Edge did not answer by SIP"
        };
        page.shows(title);
        page.hides(MARK);
    }
    let kept = everything(portal.pool()).await;
    assert!(kept.contains("contoso.com") && !kept.contains(MARK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_certificate_that_is_refused_is_a_risk_to_what_is_in_force() {
    for (mode, told) in [
        (Mode::Sip(Speaker::new(&TLS13, None, Said::Closes)), false),
        (Mode::Mutual(&TLS13), true),
    ] {
        let world = World::start().await;
        let checks = Checks::Enforce(world.asking_by_sip(), ProofMode::Held);
        let portal = TestApp::checking(checks).await;
        let edge = world.ready("contoso.com").await;
        edge.behave(mode);
        let (_, key) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
        assert_eq!(portal.work().await.provisioned, 1);
        let session = sign_in(&portal, &key).await;
        let hub = portal.get_with("/service", &session).await;
        let refuses = "Access Edge refuses the certificate of our gateways";
        assert_eq!(hub.body.contains(refuses), told, "{}", hub.body);
        hub.hides("did not answer by SIP");
    }
}
