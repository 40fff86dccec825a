//! Judges zones from the field: slips that administrators, manuals and panels of DNS providers make.
//!
//! Below `cases` are zones as they were found, with Contoso's names.

use std::path::PathBuf;

use pic_portal::{
    names::{AccessEdge, EdgeRoutes},
    readiness::{Mode, edge, wording::Teller},
};

use super::{
    ANYWHERE, RIGHT, SRV, assert_shown, contoso, found, found_for, fqdn, judge, resolved, shown,
};
use crate::support::{assert_says, dns::Internet};

const EXPECTED: &str = "expected _sipfederationtls._tcp.contoso.com. SRV 0 0 5061 sip.contoso.com.";

/// A resolver that has the zone of a case, and no other.
async fn of(case: &str) -> Internet {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/portal/readiness_dns/cases")
        .join(format!("{case}.txt"));
    let internet = Internet::start(0).await;
    internet
        .resolver
        .zones
        .load(&std::fs::read_to_string(path).unwrap());
    internet
}

async fn assert_case(case: &str, expected: &str) {
    let internet = of(case).await;
    assert_shown(&found(&resolved(&internet).await).await, expected);
}

/// What the findings of `contoso.com` say to people, with these records.
async fn words(records: &[&str]) -> (Vec<&'static str>, String) {
    let internet = Internet::start(0).await;
    internet.add("contoso.com", 60);
    internet.set(SRV, records);
    let routes = [EdgeRoutes {
        edge: AccessEdge::parse("sip.contoso.com").unwrap(),
        domains: vec![contoso()],
    }];
    let facts = resolved(&internet).await.srv(&contoso()).await;
    let findings = judge(&contoso(), &routes[0].edge, &facts);
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    let codes = findings.iter().map(|it| it.code.as_str()).collect();
    let texts = findings.iter().map(|it| teller.tell(it));
    (
        codes,
        texts.map(|it| it.text).collect::<Vec<_>>().join("\n"),
    )
}

#[tokio::test]
async fn the_record_of_the_online_service_beside_the_right_one() {
    assert_case(
        "srv-two-homes",
        &format!(
            "homed-online (blocking) contoso.com
               {EXPECTED}
               found priority 0, weight 0, port 5061, target sip.contoso.com
               found priority 0, weight 0, port 5061, target sipfed.online.lync.com (beside the right one)"
        ),
    )
    .await;
    let online = "SRV 0 0 5061 sipfed.online.lync.com";
    let (codes, text) = words(&[RIGHT, online]).await;
    assert_eq!(codes, ["homed-online"]);
    assert_says(&text, "remove the wrong one");
    // It is not used where another one has a lower number.
    let (codes, _) = words(&[RIGHT, "SRV 1 0 5061 sipfed.online.lync.com"]).await;
    assert_eq!(codes, ["srv"]);
}

#[tokio::test]
async fn a_wrong_record_beside_the_right_one_is_told() {
    let internet = Internet::start(0).await;
    internet.add("contoso.com", 60);
    let right = "priority 0, weight 0, port 5061, target sip.contoso.com";
    for (record, code, line) in [
        (
            "SRV 0 0 443 sip.contoso.com",
            "srv-port",
            "priority 0, weight 0, port 443, target sip.contoso.com (beside the right one)",
        ),
        (
            "SRV 0 9 5061 sip2.contoso.com",
            "srv-target",
            "priority 0, weight 9, port 5061, target sip2.contoso.com (beside the right one)",
        ),
        (
            "SRV 0 9 5061 203.0.113.10",
            "srv-target",
            "priority 0, weight 9, port 5061, target 203.0.113.10 (an IP address, where the name of a \
             server belongs; beside the right one)",
        ),
    ] {
        internet.set(SRV, &[RIGHT, record]);
        // In the order of priority, weight and port.
        let lines = match code {
            "srv-port" => [line, right],
            _ => [right, line],
        };
        assert_shown(
            &found(&resolved(&internet).await).await,
            &format!(
                "srv (ok) contoso.com
                   {EXPECTED}
                   found {right}
                 {code} (warning) contoso.com
                   {EXPECTED}
                   found {}
                   found {}",
                lines[0], lines[1]
            ),
        );
        let (_, text) = words(&[RIGHT, record]).await;
        assert_says(&text, "remove the wrong one");
        assert!(!text.contains("none of them"), "{text}");
    }
}

#[tokio::test]
async fn a_target_without_its_last_dot() {
    assert_case(
        "srv-target-without-dot",
        &format!(
            "srv-target (blocking) contoso.com
               {EXPECTED}
               found priority 0, weight 0, port 5061, target sip.contoso.com.contoso.com (it looks \
             like sip.contoso.com without the dot at its end)"
        ),
    )
    .await;
    for (target, code, meant) in [
        (
            "sip.contoso.com.contoso.com",
            "srv-target",
            "sip.contoso.com",
        ),
        (
            "sip.contoso.com._tcp.contoso.com",
            "srv-target",
            "sip.contoso.com",
        ),
        (
            "old.contoso.com.contoso.com",
            "srv-target",
            "old.contoso.com",
        ),
        (
            "sipfed.online.lync.com.contoso.com",
            "homed-online",
            "sipfed.online.lync.com",
        ),
        (
            "federation.messenger.msn.com.contoso.com",
            "routed-to-consumer",
            "federation.messenger.msn.com",
        ),
    ] {
        let record = format!("SRV 0 0 5061 {target}");
        let (codes, text) = words(&[&record]).await;
        assert_eq!(codes, [code], "{target}");
        assert_says(&text, "dot");
        assert!(!text.contains("request the Access Edge"), "{text}");
        let internet = Internet::start(0).await;
        internet.add("contoso.com", 60);
        internet.set(SRV, &[&record]);
        let told = found(&resolved(&internet).await).await;
        let note = format!("target {target} (it looks like {meant} without");
        assert_says(&told, &note);
    }
    // The zone may be that of the domain above.
    let internet = Internet::start(0).await;
    internet.add("contoso.com", 60);
    internet.set(SRV, &["SRV 0 0 5061 sip.it.contoso.com.contoso.com"]);
    let told = found_for(&resolved(&internet).await, "sip.it.contoso.com").await;
    assert_says(&told, "it looks like sip.it.contoso.com without");
    // Names that are long, and nothing more.
    for target in [
        "sip.eu.contoso.com",
        "sip.com.contoso.com",
        "a.xcontoso.com",
    ] {
        let (codes, text) = words(&[&format!("SRV 0 0 5061 {target}")]).await;
        assert_eq!(codes, ["srv-target"]);
        assert_says(&text, "request the Access Edge that the record names");
    }
}

#[tokio::test]
async fn a_target_that_is_no_name() {
    assert_case(
        "srv-target-address",
        &format!(
            "srv-target (blocking) contoso.com
               {EXPECTED}
               found priority 0, weight 0, port 5061, target 203.0.113.10 (an IP address, where the \
             name of a server belongs)"
        ),
    )
    .await;
    for (target, said) in [
        ("203.0.113.10", "has an address where"),
        ("203.0.113.10.contoso.com", "has an address where"),
        ("2001:db8::1", "has an address where"),
        ("sip:sip.contoso.com", "more than the name of a server"),
        ("sip_1.contoso.com", "more than the name of a server"),
        (".", "has no federation"),
        ("contoso.com", "is a domain"),
        ("sip", "a single word"),
        ("edge01.contoso.local", "only inside a network"),
    ] {
        let (codes, text) = words(&[&format!("SRV 0 0 5061 {target}")]).await;
        assert_eq!(codes, ["srv-target"], "{target}");
        assert!(text.contains(said), "{target}: {text}");
        assert!(!text.contains("request the Access Edge"), "{text}");
    }
}

/// Case srv-misspelt-by-panels.
#[tokio::test]
async fn names_that_panels_misspell() {
    let found = "priority 0, weight 0, port 5061, target sip.contoso.com";
    for (case, owner, slip) in [
        (
            "srv-misspelt-double",
            "_sipfederationtls.__tcp.contoso.com",
            "an underscore too many",
        ),
        (
            "srv-misspelt-none",
            "sipfederationtls.tcp.contoso.com",
            "both underscores are missing",
        ),
    ] {
        assert_case(
            case,
            &format!(
                "srv-misspelt (blocking) contoso.com
                   {EXPECTED}
                   found {owner} ({slip}): {found}"
            ),
        )
        .await;
    }
}

/// Each name that is looked for, and how often the resolver is asked where there is none.
#[tokio::test]
async fn names_that_people_misspell() {
    let internet = Internet::start(0).await;
    for (owner, slip) in [
        ("_sipfederationtls_tcp", "no dot between"),
        ("_sipfederationtls-tcp", "a hyphen in the place of the dot"),
        ("_tcp._sipfederationtls", "the two words are the wrong"),
        ("_sipfederationtsl._tcp", "changed places"),
        ("_sipfederatontls._tcp", "an i is missing"),
        ("_sipfederatiotls._tcp", "an n is missing"),
        ("_sipfederationstls._tcp", "an s too many"),
        ("_sip_federation_tls._tcp", "underscores inside"),
        ("_sip-federation-tls._tcp", "hyphens inside"),
        ("_sipfederationtls._tcp.sip", "the name of a server, sip"),
        ("_sipfederationtls._tcp.www", "the name of a server, www"),
        ("_sipfederationtls._tcp.contoso.com", "stands there twice"),
    ] {
        let owner = format!("{owner}.contoso.com");
        internet.add("contoso.com", 60);
        internet.set(&owner, &[RIGHT]);
        let told = found(&resolved(&internet).await).await;
        internet.set(&owner, &[]);
        assert!(told.starts_with("srv-misspelt"), "{owner}: {told}");
        assert_says(&told, &format!("{owner} ("));
        assert_says(&told, slip);
    }
    let before = internet.resolver.asked().len();
    let told = found(&resolved(&internet).await).await;
    assert!(told.starts_with("srv-missing"), "{told}");
    assert_eq!(internet.resolver.asked().len() - before, 25);
}

/// An alias in the place of the edge's address: of the online service it blocks, and no certificate
/// is asked for.
#[tokio::test]
async fn an_edge_that_is_an_alias() {
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();
    let told = |facts| {
        let now = chrono::DateTime::UNIX_EPOCH;
        shown(&edge::of(&edge, &[contoso()], &facts, ANYWHERE, None, now))
    };
    let internet = of("edge-alias-of-online-service").await;
    let online = internet.resolver.zones.clone();
    let expected = "expected an A or AAAA record at sip.contoso.com itself";
    let alias = "edge-alias (blocking) sip.contoso.com";
    let skipped = "certificate (skipped) sip.contoso.com
                     expected
                     found edge-alias";
    let dns = resolved(&internet).await;
    let direct = format!(
        "{alias}
           {expected}
           found an alias (CNAME) of sipdir.online.lync.com
         {skipped}"
    );
    // Whether anything stands at its end or not.
    assert_shown(
        &told(dns.addresses(&fqdn("sip.contoso.com")).await),
        &direct,
    );
    online.add("online.lync.com", 60);
    online.set("sipdir.online.lync.com", &["A 192.0.2.1"]);
    assert_shown(
        &told(dns.addresses(&fqdn("sip.contoso.com")).await),
        &direct,
    );
    assert_shown(
        &found(&dns).await,
        &format!(
            "srv (ok) contoso.com\n{EXPECTED}\nfound priority 0, weight 0, port 5061, target sip.contoso.com"
        ),
    );
    // By way of another name.
    online.set("sip.contoso.com", &["CNAME edge.contoso.com"]);
    online.set("edge.contoso.com", &["CNAME sipdir.online.lync.com"]);
    let through = format!(
        "{alias}
           {expected}
           found an alias (CNAME) of edge.contoso.com
           found an alias (CNAME) of sipdir.online.lync.com
         {skipped}"
    );
    assert_shown(
        &told(dns.addresses(&fqdn("sip.contoso.com")).await),
        &through,
    );
    // Elsewhere it is a warning; and with nothing at its end it is no address.
    online.set("edge.contoso.com", &["A 192.0.2.1"]);
    assert_shown(
        &told(dns.addresses(&fqdn("sip.contoso.com")).await),
        &format!(
            "certificate (skipped) sip.contoso.com
               expected
             edge-alias (warning) sip.contoso.com
               {expected}
               found an alias (CNAME) of edge.contoso.com"
        ),
    );
    online.set("edge.contoso.com", &[] as &[&str]);
    let said = told(dns.addresses(&fqdn("sip.contoso.com")).await);
    assert!(said.starts_with("edge-no-address (blocking)"), "{said}");
    assert_says(&said, "an alias (CNAME) of edge.contoso.com");
    // Without the dot at its end it means the online service all the same.
    online.set(
        "sip.contoso.com",
        &["CNAME sipdir.online.lync.com.contoso.com"],
    );
    assert_shown(
        &told(dns.addresses(&fqdn("sip.contoso.com")).await),
        &format!(
            "{alias}
               {expected}
               found an alias (CNAME) of sipdir.online.lync.com.contoso.com (it looks like \
             sipdir.online.lync.com without the dot at its end)
             {skipped}"
        ),
    );
    online.set("a.contoso.com", &["CNAME sip.contoso.com"]);
    for next in ["sip.contoso.com", "a.contoso.com"] {
        online.set("sip.contoso.com", &[format!("CNAME {next}")]);
        let told = told(dns.addresses(&fqdn("sip.contoso.com")).await);
        assert!(told.starts_with("edge-no-address (blocking)"), "{told}");
        assert_says(&told, "an alias (CNAME) that leads in a circle");
        assert!(!told.contains("no A or AAAA record at"), "{told}");
    }
}
