//! Wraps the bodies of requests and responses: requests must arrive in time, and responses report
//! whether the client reads them.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::server::activity::{Answering, Uploading};

/// A request's body that has to be complete within a limit.
pub(super) struct Upload {
    body: Incoming,
    deadline: Instant,
    /// Set when the client first keeps us waiting.
    timer: Option<Pin<Box<Sleep>>>,
    /// `None` if there is nothing to come.
    _uploading: Option<Uploading>,
}

/// The body was not complete within its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request did not come in time")
    }
}

impl Error for TooSlow {}

impl Upload {
    pub(super) fn new(body: Incoming, limit: Duration, uploading: Option<Uploading>) -> Self {
        Self {
            body,
            deadline: Instant::now() + limit,
            timer: None,
            _uploading: uploading,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = this.deadline;
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response, which reports whether the client reads it.
pub(super) struct Download {
    pub(super) body: axum::body::Body,
    pub(super) watch: Answering,
}

impl Body for Download {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() {
            self.watch.waits_for_us();
        } else {
            self.watch.took();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
