//! A bare axum server, as a yardstick for this machine.
//!
//! A process of its own, like the portal: one route, a page of bytes that never change, and no
//! middleware.

use std::{net::SocketAddr, process::Stdio};

use axum::{Router, http::header, routing::get};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

/// The argument that makes this program the server.
pub(crate) const WORD: &str = "__bare";

/// Serves `bytes` bytes at `/` until it is killed, and first prints its address.
#[expect(clippy::print_stdout, reason = "whoever started it reads the address")]
pub(crate) fn serve(bytes: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let page: &'static [u8] = vec![b'x'; bytes].leak();
        let answer =
            move || async move { ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        axum::serve(listener, Router::new().route("/", get(answer)))
            .await
            .expect("it serves");
    });
}

/// The server as a process, killed when it is dropped.
pub(crate) struct Bare {
    _child: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    /// Starts a server whose page has `bytes` bytes.
    pub(crate) async fn start(bytes: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([WORD, &bytes.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this program once more");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = lines
            .next_line()
            .await
            .expect("a line")
            .expect("an address");
        Self {
            _child: child,
            address: address.parse().expect("an address"),
        }
    }
}
