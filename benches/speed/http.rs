//! A minimal HTTP client for the load generator.
//!
//! HTTP/1.1 over a kept connection, one request at a time: the generator shares the machine with
//! what it measures, so it parses nothing that is not needed.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Initial buffer size, enough for most responses.
const ROOM: usize = 16 * 1024;

/// A connection that is kept for many requests.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The response read last.
    read: Vec<u8>,
}

/// A complete response.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// From the status line on, without the empty line at the end.
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// The value of a header field, whose name is in lower case, as the portal writes them.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }

    /// Whether the connection ends with this response.
    pub(crate) fn is_last(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let (field, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        field
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| str::from_utf8(value).ok().map(str::trim))?
    })
}

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(ROOM),
        })
    }

    /// Sends a complete request and reads the complete response.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            let looked_at = self.read.len().saturating_sub(3);
            self.more().await?;
            let end = self.read[looked_at..]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break looked_at + end;
            }
        };
        let broken = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
        let status: u16 = str::from_utf8(&self.read[..head.min(12)])
            .ok()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.parse().ok())
            .ok_or_else(|| broken("no status line"))?;
        let body = head + 4;
        let length = match header(&self.read[..head], "content-length") {
            Some(length) => length.parse().map_err(|_| broken("no length"))?,
            None if status == 304 || status == 204 => 0,
            None => return Err(broken("an answer whose length is not told")),
        };
        while self.read.len() < body + length {
            self.more().await?;
        }
        if self.read.len() > body + length {
            return Err(broken("more than the answer"));
        }
        Ok(Answer {
            status,
            head: &self.read[..head],
            body: &self.read[body..],
        })
    }

    /// Sends a request whose response has no end, and reads until `what` has come.
    pub(crate) async fn ask_until(&mut self, request: &[u8], what: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.read.clear();
        while !self.read.windows(what.len()).any(|part| part == what) {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// A request for `path` without a body, with header lines that each end in a line break.
pub(crate) fn get(path: &str, lines: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: portal.test\r\n{lines}\r\n").into_bytes()
}
