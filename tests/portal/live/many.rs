//! Measures the cost of five hundred open pages.

use std::{fs, net::SocketAddr, time::Instant};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::{ONE, PATIENCE, Stream};
use crate::support::{
    app::TestApp,
    process::{Portal, scratch},
};

const STREAMS: usize = 500;

/// A stream over a socket, read up to its first `status`.
async fn open(address: SocketAddr, reference: &str, number: usize) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let network = format!("10.1.{}.{}", number / 250, number % 250);
    let ask = format!(
        "GET /requests/{reference}/stream HTTP/1.1\r\nhost: portal.test\r\nx-forwarded-for: {network}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    until(&mut stream, "event: status").await;
    stream
}

/// Reads until a line equals `words`.
async fn until(stream: &mut BufReader<TcpStream>, words: &str) {
    let read = async {
        let mut line = String::new();
        while line.trim_end() != words {
            line.clear();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "it goes on");
        }
    };
    timeout(PATIENCE, read).await.expect(words);
}

/// Resident memory of a process in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().split(' ').next().unwrap();
    number.parse().unwrap()
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test]
async fn five_hundred_streams_of_a_real_process_are_all_told() {
    let portal = TestApp::new().await;
    let (reference, key) = {
        // Held back, so that the process leaves it pending.
        portal.submit(ONE).await;
        portal.work().await;
        portal.submit(&[("sip.fabrikam.com", "contoso.com")]).await
    };
    let (dir, url) = (scratch(), portal.db().url());
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ("PIC_TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let process = Portal::start(&settings, &dir.path().join("log")).await;
    let mut streams = vec![open(process.address, &reference, 0).await];
    let before = resident(process.id());
    for number in 1..STREAMS {
        streams.push(open(process.address, &reference, number).await);
    }
    let grown = resident(process.id()).saturating_sub(before);
    println!(
        "{STREAMS} open streams: {} KiB more, {:.1} KiB a stream with its connection",
        grown,
        f64::from(u32::try_from(grown).unwrap()) / f64::from(u32::try_from(STREAMS).unwrap())
    );
    let withdraw = format!("/requests/{reference}/withdraw");
    process
        .post(&withdraw, &[("management_key", &key)])
        .await
        .unwrap();
    for stream in &mut streams {
        until(stream, "event: timeline").await;
        until(stream, "event: status").await;
    }
    let began = Instant::now();
    process.stop().await;
    println!(
        "with {STREAMS} open streams it stops within {:?}",
        began.elapsed()
    );
}

/// However many streams follow however many requests, it takes one query, or two.
#[tokio::test]
async fn one_look_serves_all_streams() {
    let portal = TestApp::with(|site| site.live.share = STREAMS).await;
    let mut streams = Vec::new();
    for number in 0..STREAMS / 5 {
        let (edge, domain) = (
            format!("sip.d{number}.example"),
            format!("d{number}.example"),
        );
        let reference = portal.store_one(&[(&edge, &domain)]).await;
        for _ in 0..5 {
            streams.push(Stream::open(&portal.router, &reference, &[]).await);
        }
    }
    for stream in &mut streams {
        assert_eq!(stream.until_status().await, ["1 status checking"]);
    }
    portal.work().await;
    let before = portal.app.live().looks();
    portal.app.notifier().changed();
    for stream in &mut streams {
        assert_eq!(
            stream.until_status().await,
            ["2 timeline provisioned", "2 status in-force"]
        );
    }
    let looks = portal.app.live().looks() - before;
    // Some of these may be polls, one a second.
    assert!(looks < 20, "{looks} looks for {STREAMS} streams");
}
