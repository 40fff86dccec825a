//! Holds the verdict of the checks against a real Kamailio with the configuration of `deploy/kamailio`, which
//! calls each of the Access Edges of [`matrix`](super::matrix) that can let a partner in.
//!
//! ```text
//! cargo test --test portal readiness_tls::kamailio -- --ignored --nocapture
//! ```

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use pic_portal::clock::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::UdpSocket, time::timeout};

use super::matrix::{self, verdict};
use crate::support::{
    edge::{Authority, Edge, Mode, server},
    eventually,
    process::scratch,
};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kamailio");
/// Where it listens: the tests' edges are elsewhere on the loopback network.
const HERE: &str = "127.50.0.2";
const INSIDE: &str = "127.50.0.5:5070";

/// A running gateway that has one route: contoso.com to sip.contoso.com.
struct Gateway {
    dir: TempDir,
    child: Child,
    inside: UdpSocket,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // May fail: it has ended then.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

impl Gateway {
    async fn start(root: &Authority) -> Self {
        let dir = scratch();
        let at = |name: &str| dir.path().join(name);
        let read = |name: &str| fs::read_to_string(Path::new(DEPLOY).join(name)).unwrap();
        fs::copy(Path::new(DEPLOY).join("names.lua"), at("names.lua")).unwrap();
        // Edges that accept the certificate and say nothing more are many.
        let config = read("kamailio.cfg").replace("\"fr_timer\", 4000", "\"fr_timer\", 1500");
        fs::write(at("kamailio.cfg"), config).unwrap();
        let [chain, key] = root.issue(&server(&["gw.example"])).files();
        fs::copy(chain.path(), at("gateway.pem")).unwrap();
        fs::copy(key.path(), at("gateway.key")).unwrap();
        fs::copy(root.file().path(), at("roots.pem")).unwrap();
        let tls = read("tls.cfg").replace("/etc/kamailio/", "");
        let tls = tls.replace("/etc/ssl/certs/ca-certificates.crt", "roots.pem");
        fs::write(at("tls.cfg"), tls).unwrap();
        let path = dir.path().display().to_string();
        let site = [
            ("OUTSIDE_NAME", "gw.example"),
            ("OUTSIDE_ADDRESS", HERE),
            ("INSIDE_ADDRESS", HERE),
            ("INSIDE_SERVER", INSIDE),
            ("INSIDE_NETWORK", "127.50.0.4/30"),
            ("STATE_DIR", &path),
            ("RUN_DIR", &path),
            ("CONFIG_DIR", &path),
        ];
        let site = site.map(|(name, value)| format!("#!substdef \"!{name}!{value}!g\"\n"));
        fs::write(at("site.cfg"), site.concat()).unwrap();
        done(Command::new("gcc").current_dir(dir.path()).args([
            "-shared",
            "-fPIC",
            "-o",
            "hostcheck.so",
            &format!("{DEPLOY}/hostcheck.c"),
            "-lssl",
            "-ldl",
        ]));
        done(Command::new("python3").current_dir(dir.path()).args([
            &format!("{DEPLOY}/agent.py"),
            "--init",
            "routes.db",
        ]));
        let log = fs::File::create(at("log")).unwrap();
        let child = Command::new("kamailio")
            .current_dir(dir.path())
            .env("LD_PRELOAD", at("hostcheck.so"))
            .args(["-f", "kamailio.cfg", "-DD", "-E", "-w", &path, "-Y", &path])
            .args(["-P", "pid", "-m", "64", "-M", "16"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let inside = UdpSocket::bind(INSIDE).await.unwrap();
        let gateway = Self { dir, child, inside };
        eventually("Kamailio runs", async || {
            gateway.rpc("core.version", &json!([])).ok()
        })
        .await;
        gateway
            .rpc(
                "htable.sets",
                &json!(["routes", "contoso.com", "sip.contoso.com"]),
            )
            .unwrap();
        gateway
    }

    fn rpc(&self, method: &str, params: &Value) -> std::io::Result<Value> {
        let own = self.dir.path().join("asking");
        let _ = fs::remove_file(&own);
        let socket = UnixDatagram::bind(own)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let asked = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1});
        let gateway = self.dir.path().join("gateway.rpc");
        socket.send_to(asked.to_string().as_bytes(), gateway)?;
        let mut said = vec![0; 65_000];
        let length = socket.recv(&mut said)?;
        Ok(serde_json::from_slice(&said[..length])?)
    }

    /// The status of its answer to a call to contoso.com, whose edge is at this address.
    async fn call(&self, edge: &Edge) -> u16 {
        let address = edge.address().to_string();
        // The name leads to one edge after the other.
        let _ = self
            .rpc("dns.delete_a", &json!(["sip.contoso.com"]))
            .unwrap();
        let put = json!(["sip.contoso.com", 600, address, 0]);
        let put = self.rpc("dns.add_a", &put).unwrap();
        assert!(put["error"].is_null(), "{put}");
        let id = uuid::Uuid::new_v4();
        let question = format!(
            "OPTIONS sip:ann@contoso.com SIP/2.0\r\nVia: SIP/2.0/UDP {INSIDE};branch=z9hG4bK{id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@home.example>;tag={id}\r\nTo: <sip:ann@contoso.com>\r\n\
             Call-ID: {id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let gateway = format!("{HERE}:5060");
        self.inside
            .send_to(question.as_bytes(), gateway)
            .await
            .unwrap();
        let mut said = vec![0; 65_000];
        loop {
            let answer = timeout(Duration::from_secs(20), self.inside.recv(&mut said));
            let length = answer.await.expect("Kamailio answers").unwrap();
            let answer = String::from_utf8_lossy(&said[..length]);
            let status = answer
                .strip_prefix("SIP/2.0 ")
                .map(|rest| rest[..3].parse());
            match status {
                Some(Ok(status)) if status >= 200 && answer.contains(&id.to_string()) => {
                    return status;
                }
                _ => {}
            }
        }
    }
}

/// Whether the gateway refuses what is a warning to the checks: other partners take a wildcard, or the subject
/// alone (`docs/readiness.md#public-suites`).
fn is_stricter(edge: &str) -> bool {
    matches!(edge, "for a wildcard" | "the subject alone")
}

#[tokio::test]
#[ignore = "takes minutes and needs Kamailio, which deploy/kamailio/README.md names the packages of"]
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
async fn a_call_goes_out_to_the_edges_that_the_checks_are_content_with() {
    let root = Authority::root();
    let gateway = Gateway::start(&root).await;
    let rows = [matrix::handshakes(&root), matrix::certificates(&root)].concat();
    // Those that refuse every certificate let nobody in.
    let rows = rows.into_iter().filter(|(_, _, mode)| match mode {
        Mode::Released(release) => !release.mutual,
        _ => true,
    });
    let (mut alike, mut wrong) = ([0, 0], Vec::new());
    for (what, issued, mode) in rows {
        let edge = Edge::start(issued).await;
        edge.behave(mode);
        let status = gateway.call(&edge).await;
        // 504: the connection stands, and an edge that speaks no SIP does not answer.
        let theirs = matches!(status, 200 | 504);
        let (ours, said) = verdict(&root, &[edge.address()], Clock::system().now()).await;
        if (ours == theirs) == is_stricter(&what) {
            wrong.push(format!("{what}: Kamailio {status}, {said}"));
        }
        alike[usize::from(theirs)] += 1;
    }
    println!("let in {}, refused {}", alike[1], alike[0]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(alike[0] > 20 && alike[1] > 15, "{alike:?}");
}
