//! Stops reading what a stranger says when it is enough, and remembers how far a handshake came.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When this many bytes were read of one peer, no more are (OpenSSL reads 5 KB at once at first, then a record). A handshake with a chain of ten certificates of 4 KB
/// is a third of it.
pub(super) const MOST_READ: usize = 128 * 1024;

/// The longest end of a handshake in TLS 1.3 by a client that shows nothing, with an empty certificate.
const FINISHED: usize = 128;

/// A stream that stops reading when there was enough, or when it is no TLS, and remembers how it began.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    read: usize,
    head: [u8; 2],
    went_on: bool,
    asked: bool,
}

impl<S> Bounded<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self {
            stream,
            read: 0,
            head: [0; 2],
            went_on: false,
            asked: false,
        }
    }

    /// Bytes read so far.
    pub(super) const fn so_far(&self) -> usize {
        self.read
    }

    /// Whether the client has begun its second part of the handshake, so has taken all that the server
    /// says in its own, and the signature in it. In TLS 1.2 and older it begins in the clear, with a
    /// certificate (11) or the key exchange (16; RFC 5246, 7.4); in TLS 1.3 it is encrypted, and a change
    /// of ciphers may stand before it (RFC 8446, D.4).
    pub(super) const fn went_on(&self) -> bool {
        self.went_on
    }

    /// Whether the client, which has a certificate, has shown it, because the server asked for one. In TLS 1.2
    /// and older its second part begins with a certificate then; in TLS 1.3 that is encrypted, and without a
    /// certificate there are 80 bytes at most: a change of ciphers and the end of the handshake (RFC 8446, 4.4.4).
    pub(super) const fn asked(&self) -> bool {
        self.asked
    }

    /// Whether what came, if anything, begins as records of TLS or SSL 3 do: a type from 20 to 24,
    /// then a version of 3 (RFC 8446, 5.1).
    pub(super) fn began_as_tls(&self) -> bool {
        let [kind, version] = self.head;
        (self.read < 1 || matches!(kind, 20..=24)) && (self.read < 2 || version == 3)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read >= MOST_READ {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let came = &buf.filled()[before..];
        for (place, byte) in (self.read..self.head.len()).zip(came) {
            self.head[place] = *byte;
        }
        self.read += came.len();
        if !self.began_as_tls() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.went_on {
            let encrypted = matches!(buf, [20, 3, _, 0, 1, 1, 23, ..] | [23, 3, ..]);
            self.went_on = encrypted || matches!(buf, [22, 3, _, _, _, 11 | 16, ..]);
            self.asked =
                encrypted && buf.len() > FINISHED || matches!(buf, [22, 3, _, _, _, 11, ..]);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn there_is_an_end_to_what_is_read() {
        let mut endless = Bounded::new([22, 3].chain(tokio::io::repeat(0)));
        let mut buffer = vec![0; 4096];
        let error = loop {
            if let Err(error) = endless.read(&mut buffer).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        assert!((MOST_READ..MOST_READ + 4096).contains(&endless.read));
    }

    #[tokio::test]
    async fn tls_is_known_by_its_first_bytes() {
        for (said, tls) in [
            (&[][..], true),
            (&[22], true),
            (&[21, 3], true),
            (&[22, 3, 1, 0], true),
            (&[19], false),
            (&[25, 3], false),
            (&[22, 2], false),
            (b"HTTP/1.1 400", false),
        ] {
            // All at once, and a byte at a time.
            for size in [16, 1] {
                let mut stream = Bounded::new(said);
                let mut buffer = vec![0; size];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                assert_eq!(stream.began_as_tls(), tls, "{said:?}");
                assert!(!tls || stream.read == said.len());
            }
        }
    }
}
