//! Is it told rightly how a peer behaves, and does none hold a check up?

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use pic_portal::readiness::{
    dns::{AddressFacts, Addresses, Trouble},
    edge,
    tls::{Failure, Outcome, Proof, Tls, TlsError, TlsFacts, Version},
};
use rustls::version::{TLS12, TLS13};

use super::{ANYWHERE, contoso, hasty, judged, now, tls, told};
use crate::support::assert_says;
use crate::support::edge::{
    Authority, Edge, Issued, Mode, file,
    ports::{closed, full},
    server,
};

const NAMES: [&str; 2] = ["sip.contoso.com", "sip.fabrikam.com"];

/// What a probe by `tls` sees of an edge that behaves like `mode`.
async fn probed(tls: fn(&Authority) -> Tls, mode: Mode) -> TlsFacts {
    let root = Authority::root();
    let edge = Edge::start(root.issue(&server(&NAMES))).await;
    edge.behave(mode);
    let facts = tls(&root).probe(&contoso().0, &[edge.address()]).await;
    assert_eq!(edge.connections(), 1);
    facts
}

fn unreachable(what: &str) -> String {
    format!(
        "blocking edge-unreachable | TLS 1.2 or later on port 5061, and a certificate | {what}\n\
         skipped certificate |  | edge-unreachable"
    )
}

fn outcomes(facts: &TlsFacts) -> Vec<Outcome> {
    facts.failures.iter().map(|f| f.outcome).collect()
}

#[tokio::test]
async fn both_versions_that_are_safe() {
    for (version, told, seen) in [
        (&TLS12, "TLS 1.2", Version::Tls12),
        (&TLS13, "TLS 1.3", Version::Tls13),
    ] {
        let facts = probed(tls, Mode::Only(version)).await;
        let said = judged(&[IpAddr::from([127, 0, 0, 1])], &facts);
        assert!(said.starts_with("ok certificate | "), "{said}");
        assert_says(&said, told);
        assert_eq!(facts.shown[0].version, seen);
    }
}

#[tokio::test]
async fn a_peer_that_wants_a_certificate_in_return_is_fine() {
    for mode in [Mode::Mutual, Mode::AllThenReset] {
        for version in [&TLS12, &TLS13] {
            let facts = probed(tls, mode(version)).await;
            let said = judged(&[IpAddr::from([127, 0, 0, 1])], &facts);
            assert!(said.starts_with("ok certificate | "), "{version:?}: {said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_proves_nothing() {
    let root = Authority::root();
    let (own, other) = (root.issue(&server(&NAMES)), root.issue(&server(&NAMES)));
    let edge = Edge::start(Issued {
        chain: own.chain,
        key: other.key,
    })
    .await;
    for version in [&TLS12, &TLS13] {
        edge.behave(Mode::Only(version));
        let facts = tls(&root).probe(&contoso().0, &[edge.address()]).await;
        assert_eq!(facts.shown[0].proof, Proof::Failed);
        let what = "it shows a certificate, but does not prove that it holds the key";
        assert_eq!(judged(&[edge.address()], &facts), unreachable(what));
    }
}

#[tokio::test]
async fn a_certificate_that_is_none() {
    let root = Authority::root();
    let mut issued = root.issue(&server(&NAMES));
    issued.chain[0] = b"not a certificate".to_vec().into();
    let edge = Edge::start(issued).await;
    for version in [&TLS12, &TLS13] {
        edge.behave(Mode::Only(version));
        let facts = tls(&root).probe(&contoso().0, &[edge.address()]).await;
        assert_eq!(
            judged(&[edge.address()], &facts),
            "blocking certificate-untrusted | a server's certificate, sent with all between it and \
             a trusted root | it cannot be read"
        );
    }
}

/// How a peer behaves, what the probe makes of it, and how it is told.
type Case = (Mode, Outcome, &'static str);

async fn are_told(cases: impl IntoIterator<Item = Case>) {
    for (mode, outcome, said) in cases {
        let endless = matches!(outcome, Outcome::Silent | Outcome::Stalled);
        let started = Instant::now();
        let facts = probed(if endless { hasty } else { tls }, mode.clone()).await;
        assert!(started.elapsed() < Duration::from_secs(4), "{mode:?}");
        assert_eq!(outcomes(&facts), [outcome], "{mode:?}");
        assert_eq!(facts.shown, []);
        let said = unreachable(said);
        assert_eq!(judged(&[[127, 0, 0, 1].into()], &facts), said, "{mode:?}");
    }
}

#[tokio::test]
async fn peers_that_speak_no_tls() {
    let hung = "it accepts the connection and closes it at once";
    let silent = "it accepts the connection and says nothing";
    let plain = "it does not speak TLS";
    let greeting = b"220 mail.contoso.com ESMTP\r\n".to_vec();
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    are_told([
        (Mode::Reset, Outcome::Hung, hung),
        (Mode::Hangup, Outcome::Hung, hung),
        (Mode::Silent, Outcome::Silent, silent),
        (Mode::Says(greeting), Outcome::NotTls, plain),
        (Mode::SaysAndCloses(answer), Outcome::NotTls, plain),
        (Mode::SaysAndCloses(b"N".to_vec()), Outcome::NotTls, plain),
        (Mode::Says(vec![0; 3]), Outcome::NotTls, plain),
    ])
    .await;
}

#[tokio::test]
async fn peers_that_refuse() {
    let alert = |kind: u8| vec![21, 3, 3, 0, 2, 2, kind];
    // A ServerHello of SSL 3.0.
    let mut hello = vec![22, 3, 0, 0, 42, 2, 0, 0, 38, 3, 0];
    hello.extend([7; 32]);
    hello.extend([0, 0x00, 0x2f, 0]);
    let old = "it speaks none of TLS 1.0 to 1.3: switch TLS 1.2 on";
    are_told([
        (Mode::Says(alert(70)), Outcome::OldTls, old),
        (Mode::Says(hello), Outcome::OldTls, old),
        (
            Mode::SaysAndCloses(alert(40)),
            Outcome::Alert(40),
            "it refuses the TLS handshake (alert 40, handshake_failure: no certificate, or no cipher \
             suite in common)",
        ),
        (
            Mode::Says(alert(112)),
            Outcome::Alert(112),
            "it does not know the name of the Access Edge, and ends the TLS handshake (alert 112, \
             unrecognized_name)",
        ),
        (
            Mode::Says(alert(47)),
            Outcome::Alert(47),
            "it refuses the TLS handshake (alert 47, illegal_parameter)",
        ),
        (
            Mode::Says(alert(71)),
            Outcome::Alert(71),
            "it refuses the TLS handshake (alert 71, insufficient_security: no cipher suite in common \
             that it takes for safe)",
        ),
        (
            Mode::Says(alert(116)),
            Outcome::Alert(116),
            "it refuses whoever connects, before it shows a certificate itself (alert 116, \
             certificate_required)",
        ),
        (
            Mode::Says(alert(90)),
            Outcome::Alert(90),
            "it refuses the TLS handshake (alert 90)",
        ),
    ])
    .await;
}

#[tokio::test]
async fn peers_that_do_not_finish() {
    let closed = "it closes in the middle of the TLS handshake, without a certificate";
    let stalled = "it begins a TLS handshake and does not finish it in time";
    let broken = "its TLS handshake breaks off: it does not go as TLS has it";
    let beginning = vec![22, 3, 3, 1, 0, 2];
    // ServerHelloDone, before anything else.
    let early = vec![22, 3, 3, 0, 4, 14, 0, 0, 0];
    are_told([
        (Mode::Half(&TLS12), Outcome::Closed, closed),
        (Mode::Half(&TLS13), Outcome::Closed, closed),
        (Mode::Says(beginning), Outcome::Stalled, stalled),
        (Mode::Drip, Outcome::Stalled, stalled),
        (Mode::Says(early), Outcome::Broken, broken),
        (Mode::Flood, Outcome::Broken, broken),
    ])
    .await;
}

#[tokio::test]
async fn closed_and_deaf_ports() {
    let tls = tls(&Authority::root());
    let (address, _held) = closed().await;
    let facts = tls.probe(&contoso().0, &[address]).await;
    assert_eq!(outcomes(&facts), [Outcome::Refused]);
    assert_eq!(
        judged(&[address], &facts),
        unreachable("the connection is refused")
    );

    let (address, _listener, _first) = full().await;
    let facts = hasty(&Authority::root())
        .probe(&contoso().0, &[address])
        .await;
    assert_eq!(outcomes(&facts), [Outcome::NoAnswer]);
    let said = "it does not answer: the connection timed out";
    assert_eq!(judged(&[address], &facts), unreachable(said));
}

#[tokio::test]
async fn no_way_leads_to_what_is_nowhere() {
    // Kernels know no way to a multicast address by TCP.
    let address = IpAddr::from([224, 0, 0, 1]);
    let tls = tls(&Authority::root());
    let facts = tls.probe(&contoso().0, &[address]).await;
    assert_eq!(outcomes(&facts), [Outcome::NoRoute]);
    let said = "there is no route to it from here";
    assert_eq!(judged(&[address], &facts), unreachable(said));
}

/// An IPv6 address where there is no IPv6 (case edge-ipv6-alone): that is no fault of the address.
#[tokio::test]
async fn what_cannot_be_looked_at_from_here_is_not_held_against_it() {
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    let socket = std::net::UdpSocket::bind("[::]:0");
    let is_reached = socket.is_ok_and(|socket| socket.connect((address, 5061)).is_ok());
    let root = Authority::root();
    let facts = hasty(&root).probe(&contoso().0, &[address]).await;
    let from_here = outcomes(&facts) != [Outcome::NotFromHere];
    assert_eq!(from_here, is_reached);

    let unseen = |address| Failure {
        address,
        outcome: Outcome::NotFromHere,
    };
    let facts = TlsFacts {
        shown: Vec::new(),
        failures: vec![unseen(address)],
        left_out: 0,
    };
    let why =
        "not looked at: this portal has no way to IPv6 addresses, which says nothing about it";
    assert_eq!(
        judged(&[address], &facts),
        format!(
            "unknown edge-no-route | a way to its addresses from here | {why}\n\
             skipped certificate |  | edge-no-route"
        )
    );
    // An IPv4 address that nobody here can connect to at the moment.
    let v4 = [192, 0, 2, 1].into();
    let facts = TlsFacts {
        shown: Vec::new(),
        failures: vec![unseen(v4)],
        left_out: 0,
    };
    let said = judged(&[v4], &facts);
    let now = "not looked at: this portal cannot connect to it now, which says nothing about it";
    assert_says(&said, now);
    // Beside one that is fine it changes nothing; beside one that is dead it is no excuse.
    let good = Edge::start(root.issue(&server(&NAMES))).await;
    let mut facts = tls(&root).probe(&contoso().0, &[good.address()]).await;
    facts.failures = vec![unseen(address)];
    let said = judged(&[good.address(), address], &facts);
    assert!(said.starts_with("ok certificate | "), "{said}");
    assert!(said.ends_with(&format!("; {address}: {why}")), "{said}");
    facts.shown.clear();
    facts.failures.push(Failure {
        address: good.address(),
        outcome: Outcome::Refused,
    });
    let said = judged(&[good.address(), address], &facts);
    assert!(said.starts_with("blocking edge-unreachable"), "{said}");
}

/// What could not be looked up in DNS is told beside what was found at the other addresses.
#[tokio::test]
async fn one_kind_of_address_that_was_not_looked_up_is_told() {
    let root = Authority::root();
    let good = Edge::start(root.issue(&server(&NAMES))).await;
    let (edge, domains) = contoso();
    let tls = tls(&root).probe(&edge, &[good.address()]).await;
    let mut facts = AddressFacts {
        outcome: Addresses::Found(vec![good.address()]),
        aliases: Vec::new(),
        missed: None,
    };
    let of =
        |facts: &AddressFacts, tls| told(&edge::of(&edge, &domains, facts, ANYWHERE, tls, now()));
    let line =
        "; its AAAA records could not be looked up: the resolver could not find out (SERVFAIL)";
    let fine = of(&facts, Some(&tls));
    facts.missed = Some(("AAAA", Trouble::Failed));
    assert_eq!(of(&facts, Some(&tls)), fine + line);
    let skipped = of(&facts, None);
    assert!(!skipped.contains("AAAA"), "{skipped}");
    // What is dead at one address may be well at those that are not known.
    let dead = TlsFacts {
        failures: vec![Failure {
            address: good.address(),
            outcome: Outcome::Refused,
        }],
        ..TlsFacts::default()
    };
    let said = of(&facts, Some(&dead));
    assert!(said.starts_with("unknown edge-unreachable | "), "{said}");
    assert_says(&said, &format!("the connection is refused{line}"));
}

/// One or more members of a pool that behave in another way than the first, which is right.
#[tokio::test]
async fn an_address_that_shows_no_certificate_is_named_beside_one_that_does() {
    let root = Authority::root();
    let good = Edge::start(root.issue(&server(&NAMES))).await;
    let (shut, _held) = closed().await;
    let (deaf, _listener, _first) = full().await;
    let silent = Edge::start(root.issue(&server(&NAMES))).await;
    silent.behave(Mode::Silent);
    let false_one = Edge::start(Issued {
        key: root.issue(&server(&NAMES)).key,
        ..root.issue(&server(&NAMES))
    })
    .await;
    let false_said = "it shows a certificate, but does not prove that it holds the key";
    for (bad, said) in [
        (shut, "the connection is refused"),
        (deaf, "it does not answer: the connection timed out"),
        (
            silent.address(),
            "it accepts the connection and says nothing",
        ),
        (false_one.address(), false_said),
    ] {
        let mut addresses = [bad, good.address()];
        for _ in 0..2 {
            let facts = hasty(&root).probe(&contoso().0, &addresses).await;
            let told = judged(&addresses, &facts);
            let (fine, partly) = told.split_once('\n').unwrap();
            assert!(fine.starts_with("ok certificate | "), "{told}");
            assert_eq!(
                partly,
                format!(
                    "warning edge-partly-unreachable | a certificate on port 5061 at every address | \
                     {bad}: {said}"
                )
            );
            addresses.reverse();
        }
    }
}

#[tokio::test]
async fn eight_addresses_at_most_and_each_once() {
    let root = Authority::root();
    let mut edges = Vec::new();
    for _ in 0..10 {
        let edge = Edge::start(root.issue(&server(&NAMES))).await;
        edge.behave(Mode::Hangup);
        edges.push(edge);
    }
    let addresses: Vec<_> = edges.iter().chain(&edges).map(Edge::address).collect();
    let facts = tls(&root).probe(&contoso().0, &addresses).await;
    assert_eq!(outcomes(&facts), [Outcome::Hung; 8]);
    let connections = edges.iter().map(Edge::connections);
    assert_eq!(connections.clone().sum::<usize>(), 8);
    assert_eq!(connections.max(), Some(1));
    let mut asked: Vec<_> = addresses[..10].to_vec();
    asked.sort_unstable();
    let lines = asked[..8]
        .iter()
        .map(|address| format!("{address}: it accepts the connection and closes it at once"));
    let more = "2 more addresses were not looked at: 8 at most are".to_owned();
    let lines: Vec<_> = lines.chain([more.clone()]).collect();
    // One that was not looked at may be well.
    let unknown = unreachable(&lines.join("; ")).replacen("blocking", "unknown", 1);
    assert_eq!(judged(&addresses, &facts), unknown);
    // That others are fine says nothing about those.
    for edge in &edges {
        edge.behave(Mode::Normal);
    }
    let facts = tls(&root).probe(&contoso().0, &addresses).await;
    let said = judged(&addresses, &facts);
    assert!(said.starts_with("ok certificate | "), "{said}");
    assert!(said.ends_with(&format!("; {more}")), "{said}");
}

#[tokio::test]
async fn many_probes_side_by_side_do_not_disturb_each_other() {
    let root = Authority::root();
    let edge = Arc::new(Edge::start(root.issue(&server(&NAMES))).await);
    let tls = tls(&root);
    let probes = (0..40).map(|_| {
        let (tls, address) = (tls.clone(), edge.address());
        tokio::spawn(async move { tls.probe(&contoso().0, &[address]).await })
    });
    for probe in probes.collect::<Vec<_>>() {
        assert_eq!(probe.await.unwrap().shown[0].proof, Proof::Given);
    }
    assert_eq!(edge.connections(), 40);
}

#[test]
fn public_roots_are_there_by_default() {
    let tls = Tls::new(None, ANYWHERE).unwrap();
    assert!(format!("{tls:?}").contains("roots"));
}

#[test]
fn a_file_without_roots_is_refused_in_one_line() {
    let pem = |inside: &str| {
        format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n").into_bytes()
    };
    let said = |content: &[u8]| {
        let error: TlsError = Tls::new(Some(file(content).path()), ANYWHERE).unwrap_err();
        error.to_string()
    };
    let none = "the file of trusted roots has no PEM certificate (BEGIN CERTIFICATE) in it";
    assert_eq!(said(b""), none);
    assert_eq!(said(b"0\x82\x01\x00"), none);
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(said(key.as_bytes()), none);
    assert_eq!(
        said(&pem("!")),
        "the file of trusted roots is not well-formed PEM"
    );
    let two = [
        std::fs::read(Authority::root().file().path()).unwrap(),
        pem("AAAA"),
    ];
    assert_eq!(
        said(&two.concat()),
        "certificate 2 in the file of trusted roots cannot be read"
    );
    let nowhere = Tls::new(Some("/nowhere/roots.pem".as_ref()), ANYWHERE).unwrap_err();
    assert_eq!(
        nowhere.to_string(),
        "the file of trusted roots cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_probe_that_heard_nothing_is_no_proof() {
    let (name, domains) = contoso();
    let address = [IpAddr::from([127, 0, 0, 1])];
    let nothing = TlsFacts::default();
    let said = edge::judge(&name, &domains, &address, ANYWHERE, Some(&nothing), now());
    assert_eq!(told(&said), unreachable("nothing was heard of it"));
}
