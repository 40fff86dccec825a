//! Checks the complete text of each finding.

use super::{RIGHT, SRV, assert_shown, found, found_for, own, resolved};
use crate::support::dns::Internet;

/// Two authoritative servers for `contoso.com`, whose negative answers may be cached for an hour.
async fn with(records: &[&str]) -> Internet {
    let internet = Internet::start(2).await;
    internet.add("contoso.com", 3600);
    internet.set(SRV, records);
    internet
}

/// Checks that both ways of querying give the same.
async fn assert_both(internet: &Internet, expected: &str) {
    assert_shown(&found(&own(internet)).await, expected);
    assert_shown(&found(&resolved(internet).await).await, expected);
}

#[tokio::test]
async fn the_right_record() {
    let internet = with(&["SRV 10 5 5061 SIP.Contoso.com"]).await;
    assert_both(
        &internet,
        "srv (ok) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found priority 10, weight 5, port 5061, target sip.contoso.com",
    )
    .await;
}

#[tokio::test]
async fn only_the_lowest_priority_number_counts_and_all_records_are_told() {
    let records = [
        "SRV 20 0 5061 sip.contoso.com",
        "SRV 5 0 5061 old.contoso.com",
    ];
    let internet = with(&records).await;
    assert_both(
        &internet,
        "srv-target (blocking) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found priority 5, weight 0, port 5061, target old.contoso.com
           found priority 20, weight 0, port 5061, target sip.contoso.com",
    )
    .await;
    internet.set(
        SRV,
        &[
            "SRV 20 0 5061 old.contoso.com",
            "SRV 5 0 5061 sip.contoso.com",
            "SRV 5 1 5061 new.contoso.com",
        ],
    );
    assert_both(
        &internet,
        "srv (ok) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found priority 5, weight 0, port 5061, target sip.contoso.com
         srv-target (warning) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found priority 5, weight 0, port 5061, target sip.contoso.com
           found priority 5, weight 1, port 5061, target new.contoso.com (beside the right one)
           found priority 20, weight 0, port 5061, target old.contoso.com",
    )
    .await;
}

#[tokio::test]
async fn another_port() {
    let internet = with(&["SRV 0 0 443 sip.contoso.com"]).await;
    assert_both(
        &internet,
        "srv-port (blocking) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found priority 0, weight 0, port 443, target sip.contoso.com",
    )
    .await;
}

#[tokio::test]
async fn a_target_of_somebody_else() {
    let expected = "_sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.";
    for (target, code, told) in [
        ("sip.fabrikam.com", "srv-target", "sip.fabrikam.com"),
        (".", "srv-target", ". (there is no such service)"),
        (
            "sipfed.online.lync.com",
            "homed-online",
            "sipfed.online.lync.com",
        ),
        (
            "sipfed.online.gov.skypeforbusiness.us",
            "homed-online",
            "sipfed.online.gov.skypeforbusiness.us",
        ),
        (
            "sipfed.online.dod.skypeforbusiness.us",
            "homed-online",
            "sipfed.online.dod.skypeforbusiness.us",
        ),
        (
            "sipfed.online.partner.lync.cn",
            "homed-online",
            "sipfed.online.partner.lync.cn",
        ),
        (
            "federation.messenger.msn.com",
            "routed-to-consumer",
            "federation.messenger.msn.com",
        ),
        // A person's address must not be in evidence.
        (
            "ann@contoso.com",
            "srv-target",
            "[left out] (no name that a server can have)",
        ),
    ] {
        let internet = with(&[&format!("SRV 0 0 5061 {target}")]).await;
        let finding = format!(
            "{code} (blocking) contoso.com
               expected {expected}
               found priority 0, weight 0, port 5061, target {told}"
        );
        assert_both(&internet, &finding).await;
    }
}

#[tokio::test]
async fn no_record_and_how_long_that_may_be_remembered() {
    let internet = with(&[]).await;
    assert_shown(
        &found(&own(&internet)).await,
        "srv-missing (blocking) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found this name does not exist (NXDOMAIN)",
    );
    assert_shown(
        &found(&resolved(&internet).await).await,
        "srv-missing (blocking) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found this name does not exist (NXDOMAIN)
           found resolvers may remember this answer for up to 1 hour",
    );
    internet.set(SRV, &["TXT v=1"]);
    for (minimum, time) in [
        (90, "90 seconds"),
        (1, "1 second"),
        (5400, "90 minutes"),
        (172_800, "2 days"),
    ] {
        internet.resolver.zones.add("contoso.com", minimum);
        assert_shown(
            &found(&resolved(&internet).await).await,
            &format!(
                "srv-missing (blocking) contoso.com
                   expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
                   found no SRV record at this name
                   found resolvers may remember this answer for up to {time}"
            ),
        );
    }
}

#[tokio::test]
async fn a_record_at_a_name_that_nobody_asks_for() {
    for (owner, slip) in [
        ("_sipfederationtls_tcp", "no dot between the two words"),
        ("_sipfederationtls.tcp", "an underscore is missing"),
        ("sipfederationtls._tcp", "an underscore is missing"),
        ("sipfederationtls.tcp", "both underscores are missing"),
        ("__sipfederationtls._tcp", "an underscore too many"),
        ("__sipfederationtls.__tcp", "two underscores too many"),
        ("_sipfederationtls", "the second word, _tcp, is missing"),
        ("_sipfederationtls._tcp._tcp", "_tcp stands there twice"),
        ("_sipfederation._tcp", "tls is missing in the first word"),
        ("_sipfederationtls._tls", "_tls in the place of _tcp"),
        (
            "_sipfederationtls._tcp.contoso.com",
            "the domain stands there twice: a dot is missing at its end",
        ),
    ] {
        let owner = &format!("{owner}.contoso.com");
        let internet = with(&[]).await;
        internet.set(owner, &[RIGHT, "SRV 7 0 5061 sip2.contoso.com"]);
        let finding = format!(
            "srv-misspelt (blocking) contoso.com
               expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
               found {owner} ({slip}): priority 0, weight 0, port 5061, target sip.contoso.com
               found {owner} ({slip}): priority 7, weight 0, port 5061, target sip2.contoso.com"
        );
        assert_both(&internet, &finding).await;
        // The right record next to it is enough.
        internet.set(SRV, &[RIGHT]);
        let told = found(&own(&internet)).await;
        assert!(told.starts_with("srv (ok)"), "{told}");
        assert!(!told.contains("misspelt"), "{told}");
    }
}

#[tokio::test]
async fn a_cname_in_the_way() {
    let internet = with(&["CNAME srv.fabrikam.com"]).await;
    let expected = "expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.";
    let missing = format!(
        "srv-missing (blocking) contoso.com
           {expected}
           found CNAME to srv.fabrikam.com
           found the end of the CNAME does not exist (NXDOMAIN)"
    );
    internet.resolver.zones.add("fabrikam.com", 60);
    assert_shown(&found(&own(&internet)).await, &missing);
    let told = found(&resolved(&internet).await).await;
    let remembered = "found resolvers may remember this answer for up to 1 minute";
    assert_shown(&told, &format!("{missing}\n{remembered}"));

    let there = ["A 192.0.2.1"];
    internet.resolver.zones.set("srv.fabrikam.com", &there);
    assert_shown(
        &found(&own(&internet)).await,
        &format!(
            "srv-missing (blocking) contoso.com
               {expected}
               found CNAME to srv.fabrikam.com
               found no SRV record at the end of the CNAME"
        ),
    );

    // Resolvers follow it, so it works, also through another one.
    internet
        .resolver
        .zones
        .set("srv.fabrikam.com", &["CNAME b.fabrikam.com"]);
    internet.resolver.zones.set("b.fabrikam.com", &[RIGHT]);
    assert_both(
        &internet,
        &format!(
            "srv (ok) contoso.com
               {expected}
               found CNAME to srv.fabrikam.com, then b.fabrikam.com
               found priority 0, weight 0, port 5061, target sip.contoso.com"
        ),
    )
    .await;
}

#[tokio::test]
async fn cnames_that_lead_in_a_circle() {
    let circle = "srv-missing (blocking) contoso.com
        expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
        found the CNAME leads in a circle";
    let internet = with(&[&format!("CNAME {SRV}")]).await;
    assert_both(&internet, circle).await;
    internet.set(SRV, &["CNAME a.contoso.com"]);
    internet.set("a.contoso.com", &["CNAME b.contoso.com"]);
    internet.set("b.contoso.com", &["CNAME a.contoso.com"]);
    assert_both(&internet, circle).await;
    // Across zones: each answer has one step.
    internet.set("a.contoso.com", &[]);
    internet.set(SRV, &["CNAME a.fabrikam.com"]);
    internet.resolver.zones.add("fabrikam.com", 60);
    let back = [format!("CNAME {SRV}")];
    internet.resolver.zones.set("a.fabrikam.com", &back);
    assert_both(&internet, circle).await;
    // Too many steps.
    for step in 0..19 {
        let next = [format!("CNAME {}.fabrikam.com", step + 1)];
        internet
            .resolver
            .zones
            .set(&format!("{step}.fabrikam.com"), &next);
    }
    internet.set(SRV, &["CNAME 0.fabrikam.com"]);
    assert_both(&internet, circle).await;
}

#[tokio::test]
async fn an_edge_that_partners_do_not_find_since_2019() {
    let internet = with(&["SRV 0 0 5061 sip.it.contoso.com"]).await;
    assert_shown(
        &found_for(&own(&internet), "sip.it.contoso.com").await,
        "srv (ok) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.it.contoso.com.
           found priority 0, weight 0, port 5061, target sip.it.contoso.com
         srv-suffix (warning) contoso.com
           expected a server's name right in front of contoso.com, like sip.contoso.com
           found sip.it.contoso.com",
    );
}

#[tokio::test]
async fn servers_that_disagree_and_the_worst_of_them_counts() {
    let internet = with(&[RIGHT]).await;
    let second = &internet.authorities[1].zones;
    second.set(
        SRV,
        &[
            "SRV 0 0 5061 old.contoso.com",
            "SRV 1 0 5061 older.contoso.com",
        ],
    );
    assert_shown(
        &found(&own(&internet)).await,
        "srv-target (blocking) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found priority 0, weight 0, port 5061, target old.contoso.com
           found priority 1, weight 0, port 5061, target older.contoso.com
         dns-disagrees (warning) contoso.com
           expected the same records on every authoritative server
           found ns1.dns.test: priority 0, weight 0, port 5061, target sip.contoso.com
           found ns2.dns.test: priority 0, weight 0, port 5061, target old.contoso.com; priority 1, weight 0, port 5061, target older.contoso.com",
    );
    second.set(SRV, &[] as &[&str]);
    assert_shown(
        &found(&own(&internet)).await,
        "srv-missing (blocking) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found this name does not exist (NXDOMAIN)
         dns-disagrees (warning) contoso.com
           expected the same records on every authoritative server
           found ns1.dns.test: priority 0, weight 0, port 5061, target sip.contoso.com
           found ns2.dns.test: no SRV record",
    );
    // Different, and both right.
    second.set(SRV, &["SRV 5 0 5061 sip.contoso.com"]);
    assert_shown(
        &found(&own(&internet)).await,
        "srv (ok) contoso.com
           expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.
           found priority 0, weight 0, port 5061, target sip.contoso.com
         dns-disagrees (warning) contoso.com
           expected the same records on every authoritative server
           found ns1.dns.test: priority 0, weight 0, port 5061, target sip.contoso.com
           found ns2.dns.test: priority 5, weight 0, port 5061, target sip.contoso.com",
    );
    // The resolver alone knows nothing of that.
    let told = found(&resolved(&internet).await).await;
    assert!(
        told.starts_with("srv (ok)") && !told.contains("disagree"),
        "{told}"
    );
}
