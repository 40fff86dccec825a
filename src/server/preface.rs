//! Finds out which version of HTTP a client speaks.
//!
//! HTTP/2 without TLS begins with 24 fixed bytes ("prior knowledge", RFC 9113, 3.3); everything
//! else is HTTP/1. This happens before anything else is allocated, so that a silent client costs
//! little.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, ReadBuf},
    net::TcpStream,
};

const HTTP_2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes of a connection, which were read to find out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preface {
    bytes: [u8; HTTP_2.len()],
    given: usize,
    read: usize,
}

impl Preface {
    /// Reads until the version is known. `None`: the client has disconnected without sending
    /// anything.
    ///
    /// # Errors
    ///
    /// The operating system's error for the socket.
    pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut first = Self {
            bytes: [0; HTTP_2.len()],
            given: 0,
            read: 0,
        };
        while first.read < HTTP_2.len() && first.bytes[..first.read] == HTTP_2[..first.read] {
            match stream.read(&mut first.bytes[first.read..]).await? {
                0 if first.read == 0 => return Ok(None),
                0 => break,
                bytes => first.read += bytes,
            }
        }
        Ok(Some(first))
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.bytes == *HTTP_2
    }

    /// Copies what was read to the real reader, as far as it fits; `false` when nothing is left.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let bytes = (self.read - self.given).min(buf.remaining());
        buf.put_slice(&self.bytes[self.given..self.given + bytes]);
        self.given += bytes;
        bytes > 0
    }
}
