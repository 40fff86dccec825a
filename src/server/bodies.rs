//! Limits the memory that the bodies of requests take.
//!
//! A body is read as it comes, so a client that never ends it would keep the portal's memory until
//! its timeout. So the bytes of bodies are counted when they come, in total and by client network,
//! and a body that does not fit is refused. They count until the request is answered, because they
//! are needed until then.

use std::{
    error::Error,
    fmt,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::{
    limits::Limits,
    shares::{Over, Shares},
};
use crate::server::network::Network;

/// What a body counts in addition to its bytes, in bytes: its request waits in memory with it.
/// Measured with 4,000 requests of which one byte of the body had come, 100 to a connection: 9 to
/// 10 KiB each, their connections included, without optimisation.
const EACH: usize = 12 * 1024;

/// Counts the bytes of bodies that are in memory. It is in the extensions of every request that
/// came through the HTTP server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: Shares,
    limits: Limits,
}

impl Bodies {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Inner {
            bytes: Shares::new(limits.body_bytes, limits.body_bytes_per_network),
            limits: limits.clone(),
        }))
    }

    pub(super) fn held(&self) -> usize {
        self.0.bytes.held()
    }

    /// Begins to count a body of `client`, whose connection comes from `peer`. A body from a proxy
    /// that names no client is counted in the total only.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] for one more.
    pub(crate) fn begin(&self, peer: Option<IpAddr>, client: Network) -> Result<Arc<Held>, NoRoom> {
        let exempt =
            peer.is_some_and(|peer| Network::of(peer) == client && self.0.limits.exempts(peer));
        let held = Held {
            bodies: self.clone(),
            network: (!exempt).then_some(client),
            bytes: AtomicUsize::new(0),
        };
        held.take(EACH)?;
        Ok(Arc::new(held))
    }
}

/// The bytes that one body holds; released when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bodies: Bodies,
    network: Option<Network>,
    bytes: AtomicUsize,
}

impl Held {
    fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let taken = self.bodies.0.bytes.take(self.network, bytes);
        taken.map_err(NoRoom)?;
        self.bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Relaxed);
        self.bodies.0.bytes.give_back(self.network, bytes);
    }
}

/// There is no room for more of a body now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom(pub Over);

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Over::All => "the bodies of all requests take all the memory that they may",
            Over::Network => "the bodies of this network's requests take all that they may",
        })
    }
}

impl Error for NoRoom {}

/// A body whose bytes are counted as they come.
#[derive(Debug)]
pub(crate) struct Counted<B> {
    pub(crate) body: B,
    pub(crate) held: Arc<Held>,
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Into::into)?;
        self.held.take(frame.data_ref().map_or(0, Bytes::len))?;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_names_no_client_is_counted_in_all_alone() {
        let bodies = Bodies::new(&Limits {
            body_bytes: 3 * EACH,
            body_bytes_per_network: EACH,
            ..Limits::default()
        });
        let begin = |peer: &str, client: &str| {
            let network = Network::of(client.parse().unwrap());
            bodies.begin(Some(peer.parse().unwrap()), network)
        };
        let first = begin("127.0.0.1", "192.0.2.1").unwrap();
        let full = begin("127.0.0.1", "192.0.2.1").unwrap_err();
        assert_eq!(full, NoRoom(Over::Network));
        let _second = begin("::ffff:127.0.0.1", "127.0.0.1").unwrap();
        let _third = begin("127.0.0.1", "127.0.0.1").unwrap();
        let full = begin("127.0.0.1", "127.0.0.1").unwrap_err();
        assert_eq!(full, NoRoom(Over::All));
        drop(first);
        begin("198.51.100.1", "198.51.100.1").unwrap();
        assert_eq!(bodies.held(), 2 * EACH);
    }
}
