//! Sends random requests: none may make the portal fail, or be echoed without escaping.

use std::{collections::BTreeSet, fmt::Write as _};

use pic_portal::server::Limits;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Open, header, one_answer, rest, status};

/// Text that is typed everywhere; in a page it must be escaped.
const MARKER: &str = "zq<x\"'&>zq";

/// Number of requests: `PIC_FUZZ`, or 5,000.
fn requests() -> u64 {
    std::env::var("PIC_FUZZ").map_or(5_000, |number| number.parse().unwrap())
}

/// `SplitMix64`: the same seed gives the same requests on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).unwrap()
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Text as a person, a program or an attacker types it.
    fn text(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => "on".into(),
            2 => "contoso.com".into(),
            3 => format!("sip{}.contoso.com, fabrikam.com", self.below(50)),
            4 => MARKER.into(),
            5 => format!("{MARKER}.contoso.com\n{MARKER}@contoso.com"),
            6 => "x".repeat(self.below(5_000)),
            7 => "a,".repeat(self.below(2_000)),
            8 => "\u{202e}\u{0}\u{feff}münchen.example\u{1f600}".into(),
            9 => format!("{}", self.roll()),
            10 => "volume_licensing".into(),
            _ => (0..self.below(40))
                .filter_map(|_| char::from_u32(u32::try_from(self.below(0x3000)).unwrap()))
                .collect(),
        }
    }

    fn form(&mut self) -> String {
        const NAMES: [&str; 12] = [
            "programme",
            "number",
            "edge",
            "domains",
            "deployment",
            "terms",
            "licences",
            "may_act",
            "submission_id",
            "action",
            "management_key",
            "e-mail",
        ];
        const ACTIONS: [&str; 7] = [
            "review",
            "submit",
            "change",
            "add-edge",
            "remove-edge-1",
            "remove-edge-0",
            "x",
        ];
        let mut fields: Vec<(String, String)> = vec![
            ("action".into(), self.one(&ACTIONS).into()),
            ("number".into(), "1234567".into()),
            ("programme".into(), "volume_licensing".into()),
        ];
        for _ in 0..self.below(8) {
            let place = self.below(NAMES.len() - 1);
            fields.push((NAMES[place].into(), self.text()));
        }
        match self.below(20) {
            0 => fields.push((MARKER.into(), self.text())),
            1 => fields.push(("e-mail".into(), self.text())),
            _ => fields.retain({
                let mut statuses = std::collections::HashSet::new();
                move |(name, _)| {
                    matches!(name.as_str(), "edge" | "domains") || statuses.insert(name.clone())
                }
            }),
        }
        serde_html_form::to_string(&fields).unwrap()
    }

    fn path(&mut self) -> String {
        let text = serde_html_form::to_string([("q", self.text())]).unwrap();
        let value = text.strip_prefix("q=").unwrap_or_default();
        match self.below(8) {
            0 => format!("/status?{text}"),
            1 => format!("/requests/{value}"),
            2 => format!("/requests/PIC-7K3M-9QTX-4HWD-2ZRB/{value}"),
            3 => format!("/static/{value}"),
            4 => format!("/{value}?{text}#{value}"),
            5 => format!(
                "//{value}/%2e%2e/{}",
                self.one(&["%", "%00", "%ff", ";", "\\"])
            ),
            6 => format!("http://{value}/status"),
            _ => "/requests/new".into(),
        }
    }

    /// A valid HTTP request.
    fn request(&mut self) -> Vec<u8> {
        let mut path = self.path();
        path.truncate(path.floor_char_boundary(20_000));
        let method = self.one(&["GET", "GET", "POST", "POST", "POST", "HEAD", "PUT", "BREW"]);
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: portal.test\r\n");
        if self.below(3) == 0 {
            let value: String = self.text().chars().filter(|c| !c.is_control()).collect();
            let name = self.one(&["accept", "cookie", "origin", "x-forwarded-for", "range"]);
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if method == "HEAD" {
            head.push_str("connection: close\r\n");
        }
        let body = if method == "POST" {
            self.form()
        } else {
            String::new()
        };
        let kind = self.one(&["application/x-www-form-urlencoded", "text/plain"]);
        if method == "POST" && self.below(10) > 0 {
            head = head.replacen(&path, "/requests/new", 1);
            let _ = write!(head, "content-type: application/x-www-form-urlencoded\r\n");
        } else {
            let _ = write!(head, "content-type: {kind}\r\n");
        }
        let _ = write!(head, "content-length: {}\r\n\r\n{body}", body.len());
        head.into_bytes()
    }

    /// A damaged request.
    fn nonsense(&mut self) -> Vec<u8> {
        let mut request = self.request();
        for _ in 0..=self.below(6) {
            let place = self.below(request.len().min(200));
            match self.below(4) {
                0 => request[place] = u8::try_from(self.below(256)).unwrap(),
                1 => drop(request.drain(..place)),
                2 => request.truncate(place + 1),
                _ => {
                    let piece =
                        self.one(&["\r\n", "\0", "transfer-encoding: chunked\r\n", " ", ":"]);
                    request.splice(place..place, piece.bytes());
                }
            }
        }
        request
    }
}

fn assert_harmless(answer: &str, request: &[u8], number: u64) {
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    assert!(status(answer) < 500, "{number}: {shown}\n{answer}");
    assert!(!answer.contains("zq<x"), "{number}: {shown}\n{answer}");
}

/// Sends valid requests on one connection, which must stay usable; damaged ones on others.
async fn send_all(open: &Open, seed: u64, most: u64) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::new();
    let mut stream = open.connect().await;
    let mut dice = Dice(seed);
    for number in 0..most {
        if number % 4 == 0 {
            let request = dice.nonsense();
            let mut stream = open.connect().await;
            let _ = stream.write_all(&request).await;
            let _ = stream.shutdown().await;
            assert_harmless(&rest(&mut stream).await, &request, number);
            continue;
        }
        let request = dice.request();
        stream.write_all(&request).await.unwrap();
        let Some(answer) = answer_to(&request, &mut stream).await else {
            panic!(
                "{number}: no answer to {}",
                String::from_utf8_lossy(&request)
            );
        };
        assert_ne!(status(&answer), 0, "{answer}");
        statuses.insert(status(&answer));
        assert_harmless(&answer, &request, number);
        if header(&answer, "connection") == "close" {
            stream = open.connect().await;
        }
    }
    statuses
}

async fn answer_to(request: &[u8], stream: &mut TcpStream) -> Option<String> {
    if request.starts_with(b"HEAD") {
        // Its length is that of a body that does not come; the connection ends.
        return Some(rest(stream).await);
    }
    one_answer(stream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_sent_fails_or_comes_back_unescaped() {
    const STREAMS: u64 = 4;
    let open = Open::with(Limits::default()).await;
    let each = requests() / STREAMS;
    let (one, two, three, four) = tokio::join!(
        send_all(&open, 1, each),
        send_all(&open, 2, each),
        send_all(&open, 3, each),
        send_all(&open, 4, each),
    );
    // The random requests reach every case.
    let statuses: BTreeSet<u16> = [one, two, three, four].into_iter().flatten().collect();
    for status in [200, 400, 404, 405, 415, 422] {
        assert!(
            statuses.contains(&status),
            "{status} is not in {statuses:?}"
        );
    }
}
