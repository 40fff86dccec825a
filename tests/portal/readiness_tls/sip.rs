//! Is it told rightly what an Access Edge makes of a gateway's certificate, and of OPTIONS?

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use pic_portal::{
    clock::Clock,
    names::Fqdn,
    readiness::{
        engine::proves,
        tls::{Identity, Limits, Part, Sip, Tls, TlsFacts},
    },
};
use rustls::version::{TLS12, TLS13};

use super::{ANYWHERE, contoso, judged, tls, verdict};
use crate::support::assert_says;
use crate::support::edge::{
    Authority, Edge, Issued, Mode, file,
    released::WINDOWS_2012_R2,
    server,
    sip::{Said, Speaker},
};

const NAMES: [&str; 2] = ["sip.contoso.com", "sip.fabrikam.com"];
const GATEWAY: &str = "gw.federation.example";
/// How the finding begins that follows those about the certificate.
const EXPECTED: &str =
    "an answer to OPTIONS, whatever it is, after a gateway has shown its certificate";

fn name() -> Fqdn {
    Fqdn::parse(GATEWAY).unwrap()
}

fn identity(issued: &Issued) -> Identity {
    let [chain, key] = issued.files();
    Identity::read(&name(), chain.path(), key.path()).unwrap()
}

/// What asks in the name of a gateway that this authority knows.
fn asking(root: &Authority) -> Tls {
    let issued = root.issue(&server(&[GATEWAY]));
    tls(root).with_identity(identity(&issued)).unwrap()
}

/// An edge of `root` that behaves like this, and what a probe by `tls` sees of it.
async fn seen(tls: &Tls, root: &Authority, mode: Mode) -> TlsFacts {
    let edge = Edge::start(root.issue(&server(&NAMES))).await;
    edge.behave(mode);
    let facts = tls.probe(&contoso().0, &[edge.address()]).await;
    assert_eq!(edge.connections(), 1);
    facts
}

/// The line about SIP, beside a certificate that is fine all the same.
fn told(facts: &TlsFacts) -> String {
    let said = judged(&[[127, 0, 0, 1].into()], facts);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("ok certificate | "), "{said}");
    lines
        .get(1)
        .map_or_else(String::new, |line| (*line).to_owned())
}

#[tokio::test]
async fn every_answer_says_that_sip_gets_through() {
    let root = Authority::root();
    let tls = asking(&root);
    for version in [&TLS12, &TLS13] {
        for trusts in [None, Some(root.der())] {
            for (line, status) in [
                ("200 OK", 200),
                ("403 Forbidden", 403),
                ("405 Method Not Allowed", 405),
                ("483 Too Many Hops", 483),
                ("504 Server time-out", 504),
            ] {
                let speaker = Speaker::new(version, trusts.clone(), Said::status(line));
                let facts = seen(&tls, &root, Mode::Sip(speaker.clone())).await;
                let line = format!("ok sip | {EXPECTED} | it answers OPTIONS with {status}");
                assert_eq!(told(&facts), line);
                let asked = speaker.question();
                assert!(
                    asked.starts_with("OPTIONS sip:sip.contoso.com:5061;transport=tls SIP/2.0\r\n"),
                    "{asked}"
                );
                for header in [
                    "Via: SIP/2.0/TLS gw.federation.example:5061;branch=z9hG4bK",
                    "Max-Forwards: 0\r\n",
                    "From: <sip:gw.federation.example>;tag=",
                    "To: <sip:sip.contoso.com>\r\n",
                    "CSeq: 1 OPTIONS\r\n",
                    "Content-Length: 0\r\n\r\n",
                ] {
                    assert_says(&asked, header);
                }
            }
        }
    }
}

#[tokio::test]
async fn what_comes_in_parts_after_others_or_late_is_an_answer() {
    let root = Authority::root();
    let tls = asking(&root);
    let parts =
        |parts: &[&str]| Said::Parts(parts.iter().map(|part| part.as_bytes().to_vec()).collect());
    for said in [
        parts(&[
            "SIP/2.0 100 Trying\r\n\r\n",
            "SIP/2.0 4",
            "03 Forbidden\r\n",
        ]),
        parts(&["\r\n\r\n", "SIP/2.0 403\r\n\r\n"]),
        // Its own question comes before its answer.
        parts(&[
            "OPTIONS sip:gw.federation.example SIP/2.0\r\nMax-Forwards: 0\r\n\r\nSIP/2.0 403 No\r\n\r\n",
        ]),
        Said::Slowly(b"SIP/2.0 403 F\r\n".to_vec()),
    ] {
        let speaker = Speaker::new(&TLS13, Some(root.der()), said);
        let facts = seen(&tls, &root, Mode::Sip(speaker)).await;
        assert_eq!(facts.shown[0].sip, Some(Sip::Answered(403)));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_not_held_against_an_edge() {
    let root = Authority::root();
    let limits = Limits {
        connect: Duration::from_millis(400),
        whole: Duration::from_millis(1500),
    };
    let tls = asking(&root).with_limits(limits);
    let silent = "it does not answer OPTIONS in time";
    let closes = "it closes the connection without an answer to OPTIONS";
    let garbage = "what it says to OPTIONS is not SIP";
    let parts = |bytes: &[u8]| Said::Parts(vec![bytes.to_vec()]);
    for version in [&TLS12, &TLS13] {
        for (said, line) in [
            (Said::Nothing, silent),
            (Said::Slowly(vec![b' '; 1000]), silent),
            (parts(b"SIP/2.0 100 Trying\r\n\r\n"), silent),
            (parts(b"SIP/2.0 20"), silent),
            (Said::Closes, closes),
            (Said::Resets, closes),
            (parts(b"220 mail.contoso.com ESMTP\r\n"), garbage),
            (parts(b"HTTP/1.1 400 Bad Request\r\n\r\n"), garbage),
            (parts(&[0, 1, 2, 255]), garbage),
            (parts(b"sip/9 200 OK\r\n"), garbage),
            (Said::Floods, garbage),
        ] {
            let speaker = Speaker::new(version, None, said.clone());
            let began = Instant::now();
            let facts = seen(&tls, &root, Mode::Sip(speaker)).await;
            assert!(began.elapsed() < Duration::from_secs(4), "{said:?}");
            let expected = format!("unknown sip-silent | {EXPECTED} | {line}");
            assert_eq!(told(&facts), expected, "{said:?}");
        }
    }
}

#[tokio::test]
async fn an_edge_that_breaks_off_at_the_certificate_is_told_as_that() {
    let (root, other) = (Authority::root(), Authority::root());
    let tls = asking(&root);
    for version in [&TLS12, &TLS13] {
        let speaker = Speaker::new(version, Some(other.der()), Said::Nothing);
        let facts = seen(&tls, &root, Mode::Sip(speaker)).await;
        let line = told(&facts);
        let begins = format!(
            "warning sip-refuses-certificate | {EXPECTED} | it breaks off after the certificate was shown (alert "
        );
        assert!(line.starts_with(&begins), "{line}");
        // One that asks for a certificate, takes it, and resets.
        let speaker = Speaker::new(version, Some(root.der()), Said::Resets);
        let facts = seen(&tls, &root, Mode::Sip(speaker)).await;
        assert_eq!(facts.shown[0].sip, Some(Sip::Refused(None)));
    }
    // As Windows Server does, with old suites.
    let facts = seen(&tls, &root, Mode::Released(WINDOWS_2012_R2.mutual())).await;
    assert!(
        matches!(facts.shown[0].sip, Some(Sip::Refused(_))),
        "{facts:?}"
    );
}

#[tokio::test]
async fn nobody_is_asked_where_the_portal_has_no_certificate_that_is_valid() {
    let root = Authority::root();
    let speaker = Speaker::new(&TLS13, None, Said::status("200 OK"));
    let facts = seen(&tls(&root), &root, Mode::Sip(speaker.clone())).await;
    assert_eq!(
        (facts.shown[0].sip, speaker.question()),
        (None, String::new())
    );
    let mut old = server(&[GATEWAY]);
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let old = identity(&root.issue(&old));
    let at = |time: &str| Clock::mock(time.parse::<DateTime<Utc>>().unwrap());
    assert!(old.is_valid(at("2019-12-31T00:00:00Z").now()));
    let tls = tls(&root).with_identity(old).unwrap();
    let tls = tls.with_clock(at("2026-03-01T12:00:00Z"));
    // Not even to those who ask for a certificate: that they refuse this one says nothing.
    let facts = seen(&tls, &root, Mode::Sip(speaker.clone())).await;
    assert_eq!(
        (facts.shown[0].sip, speaker.question()),
        (None, String::new())
    );
    let facts = seen(&tls, &root, Mode::Mutual(&TLS12)).await;
    assert_eq!((told(&facts), facts.shown[0].sip), (String::new(), None));
}

#[tokio::test]
async fn whatever_it_answers_the_request_does_not_wait_for_it() {
    let root = Authority::root();
    let (edge, domains) = contoso();
    for said in [Said::Closes, Said::status("403 Forbidden")] {
        let speaker = Speaker::new(&TLS13, None, said);
        let facts = seen(&asking(&root), &root, Mode::Sip(speaker)).await;
        let address = [[127, 0, 0, 1].into()];
        let found = pic_portal::readiness::edge::judge(
            &edge,
            &domains,
            &address,
            ANYWHERE,
            Some(&facts),
            super::now(),
        );
        assert!(proves(&found, 1, 0), "{found:?}");
    }
    // And a certificate that is bad stays bad.
    let said = verdict(&Authority::root(), root.issue(&server(&NAMES))).await;
    assert!(said.starts_with("blocking certificate-untrusted"), "{said}");
}

#[test]
fn files_that_do_not_belong_together_are_refused_by_name() {
    let root = Authority::root();
    let [chain, key] = root.issue(&server(&[GATEWAY])).files();
    let [other, _] = root.issue(&server(&["gw.elsewhere.example"])).files();
    let [_, foreign] = root.issue(&server(&[GATEWAY])).files();
    let nothing = file(b"nothing");
    let missing = std::path::Path::new("/nowhere/gateway.pem");
    let read = |chain, key| Identity::read(&name(), chain, key).err();
    assert_eq!(read(chain.path(), key.path()), None);
    for (chain, key, part, fault) in [
        (missing, key.path(), Part::Certificate, "cannot be read"),
        (
            nothing.path(),
            key.path(),
            Part::Certificate,
            "no PEM certificate",
        ),
        (
            other.path(),
            key.path(),
            Part::Certificate,
            "does not name gw.federation.example",
        ),
        (chain.path(), missing, Part::Key, "cannot be read"),
        (chain.path(), nothing.path(), Part::Key, "no private key"),
        (chain.path(), foreign.path(), Part::Key, "is not the key"),
    ] {
        let (wrong, said) = read(chain, key).unwrap();
        assert!(wrong == part && said.contains(fault), "{wrong:?}: {said}");
    }
}
