//! The socket between hyper and the client.
//!
//! [`Socket`] reports all activity to the connection's [`Activity`], gives hyper the first bytes that
//! were read before, closes without losing the last response, and replaces the bare responses that
//! hyper gives to what is no HTTP by error pages.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::body::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::preface::Preface;
use crate::server::{activity::Activity, static_errors::StaticErrors};

/// The most that is read and discarded after our last byte.
const MOST_LINGERED_BYTES: usize = 1024 * 1024;

/// A client's socket, whose activity is tracked.
pub(super) struct Socket {
    stream: TcpStream,
    first: Preface,
    /// Bytes that hyper had read and not used.
    unread: Bytes,
    pulse: Arc<Activity>,
    /// `None` over HTTP/2, where a response cannot be recognised from the bytes.
    refusals: Option<Arc<StaticErrors>>,
    /// Everything that was written has been sent, and it was the end of a response.
    at_boundary: bool,
    /// Our response that replaces hyper's.
    instead: Option<Instead>,
    lingered: usize,
}

struct Instead {
    ours: Bytes,
    written: usize,
    /// Length of hyper's response.
    theirs: usize,
}

impl Socket {
    pub(super) fn new(
        stream: TcpStream,
        first: Preface,
        pulse: Arc<Activity>,
        refusals: Option<Arc<StaticErrors>>,
    ) -> Self {
        pulse.read();
        Self {
            stream,
            first,
            unread: Bytes::new(),
            pulse,
            refusals,
            at_boundary: true,
            instead: None,
            lingered: 0,
        }
    }

    /// Takes back what hyper had read beyond the last request: the beginning of another.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.pulse.read();
            self.unread = bytes;
        }
    }

    /// Waits until the client sends something, or closes.
    pub(super) async fn readable(&self) {
        if self.unread.is_empty() {
            // An error of the socket will show when reading.
            let _ = self.stream.readable().await;
        }
    }

    /// Begins our own response if `begin` is one that no handler has made.
    fn put_face(&mut self, begin: &[u8], theirs: usize) {
        if !self.at_boundary || self.instead.is_some() || !self.pulse.owes_nothing() {
            return;
        }
        if let Some(ours) = self.refusals.as_ref().and_then(|r| r.in_place_of(begin)) {
            self.instead = Some(Instead {
                ours,
                written: 0,
                theirs,
            });
        }
    }

    /// Writes our response; done when hyper's counts as written.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<usize>>> {
        let Some(instead) = &mut self.instead else {
            return Poll::Ready(None);
        };
        while instead.written < instead.ours.len() {
            let rest = &instead.ours[instead.written..];
            let Poll::Ready(wrote) = Pin::new(&mut self.stream).poll_write(cx, rest) else {
                self.pulse.blocked();
                return Poll::Pending;
            };
            self.pulse.wrote();
            match wrote {
                Ok(0) => return Poll::Ready(Some(Err(io::ErrorKind::WriteZero.into()))),
                Ok(bytes) => instead.written += bytes,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let theirs = instead.theirs;
        self.instead = None;
        self.at_boundary = false;
        Poll::Ready(Some(Ok(theirs)))
    }

    fn wrote(&mut self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.at_boundary = false;
        if wrote.is_pending() {
            self.pulse.blocked();
        } else {
            self.pulse.wrote();
        }
        wrote
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.give(buf) {
            return Poll::Ready(Ok(()));
        }
        if !self.unread.is_empty() {
            let bytes = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread.split_to(bytes));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pulse.read();
        } else {
            self.pulse.end_of_reading();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.put_face(buf, buf.len());
        if let Some(wrote) = ready!(self.poll_instead(cx)) {
            return Poll::Ready(wrote);
        }
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let begin = bufs.first().map_or(&[][..], |buf| &buf[..]);
        self.put_face(begin, bufs.iter().map(|buf| buf.len()).sum());
        if let Some(wrote) = ready!(self.poll_instead(cx)) {
            return Poll::Ready(wrote);
        }
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.at_boundary = self.pulse.owes_nothing();
        Poll::Ready(Ok(()))
    }

    /// Ends our side, then reads and discards what the client still sends until it closes too: if
    /// we closed first, the client's system would discard our last response.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        if self.pulse.is_gone() {
            return Poll::Ready(Ok(()));
        }
        self.pulse.closing();
        let mut scratch = [0; 4096];
        while self.lingered < MOST_LINGERED_BYTES {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
            self.lingered += buf.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}
