//! Accepts connections, and ends them in good order when the portal stops.
//!
//! An accept loop of our own: `axum::serve` sets no timer for a client that sends nothing, or never
//! finishes its request (`docs/performance.md#traps-met`). Every wait for a client has a limit
//! ([`Limits`]); waits for our own handlers have none.

mod activity;
mod admission;
mod bodies;
mod body;
mod connection;
mod limits;
pub mod network;
mod preface;
pub mod request_id;
mod shares;
mod socket;
pub mod static_errors;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::bodies::{Counted, Held};
use self::{
    admission::Admission,
    connection::{Server, refuse},
};
pub use self::{
    bodies::{Bodies, NoRoom},
    body::TooSlow,
    limits::Limits,
    shares::Over,
};
use crate::server::static_errors::StaticErrors;

/// Length of the listen queue, which the system lowers to its own limit.
const BACKLOG: u32 = 4096;
/// Size of a socket's send buffer in bytes, for responses that the client does not read yet; the
/// system doubles this.
const SEND_BUFFER: u32 = 256 * 1024;
/// Pause after a failed accept: most likely there are no free files, until other connections end.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`.
///
/// # Errors
///
/// The operating system's error, such as that the address is in use.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait until the system forgets the old connections.
    socket.set_reuseaddr(true)?;
    // Every accepted connection inherits this.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The HTTP server: which connections are accepted or refused, and how it stops. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpServer {
    limits: Limits,
    admission: Arc<Admission>,
    bodies: Bodies,
    refusers: Arc<Semaphore>,
    /// Ends each connection after its next answer.
    draining: CancellationToken,
    /// Closes all connections at once.
    cut: CancellationToken,
}

impl HttpServer {
    /// A server with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            admission: Admission::new(&limits),
            bodies: Bodies::new(&limits),
            refusers: Arc::new(Semaphore::new(limits.refusals)),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            limits,
        }
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.admission.count()
    }

    /// Memory that the bodies of requests take now, in bytes, with what each takes in addition to
    /// its bytes.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.bodies.held()
    }

    /// From now on each answer over HTTP/1.1 ends its connection: what a proxy keeps for later is
    /// gone before the server stops, and new connections are still served.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Serves `router` on `listener` until `stop`.
    ///
    /// Then requests in progress are answered and idle connections closed. A client that connects
    /// meanwhile gets one response, so that a load balancer sees `/readyz` answer 503; the listener
    /// closes when all earlier connections have ended. After [`Limits::stop`] the rest are cut.
    pub async fn serve(self, listener: TcpListener, router: Router, stop: CancellationToken) {
        let server = Arc::new(Server {
            refusals: StaticErrors::render(&router).await,
            router,
            limits: self.limits.clone(),
            bodies: self.bodies.clone(),
            draining: self.draining.clone(),
            stop: stop.clone(),
        });
        let before = TaskTracker::new();
        stop.run_until_cancelled(self.take_in(&server, &listener, &before))
            .await;

        let deadline = Instant::now() + self.limits.stop;
        let late = TaskTracker::new();
        before.close();
        tokio::select! {
            () = before.wait() => {}
            () = sleep_until(deadline) => {}
            () = self.take_in(&server, &listener, &late) => {}
        }
        // The system would reset connections that are established and not yet accepted.
        while let Some(accepted) = now_or_never(listener.accept()).await {
            self.take(&server, accepted, &late).await;
        }
        drop(listener);
        late.close();
        let ended = async {
            before.wait().await;
            late.wait().await;
        };
        if timeout_at(deadline, ended).await.is_err() {
            tracing::warn!(
                connections = before.len() + late.len(),
                "requests were still in progress {} s after the stop",
                self.limits.stop.as_secs()
            );
            self.cut.cancel();
            before.wait().await;
            late.wait().await;
        }
    }

    async fn take_in(&self, server: &Arc<Server>, listener: &TcpListener, tasks: &TaskTracker) {
        loop {
            self.take(server, listener.accept().await, tasks).await;
        }
    }

    /// Accepts or refuses one connection, in a task of its own so that no other waits for it.
    async fn take(
        &self,
        server: &Arc<Server>,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        tasks: &TaskTracker,
    ) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client's own error, such as a reset.
            Err(error) if is_of_the_client(&error) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                return sleep(PAUSE).await;
            }
        };
        let (cut, server) = (self.cut.clone(), Arc::clone(server));
        if let Some(place) = self.admission.admit(peer.ip()) {
            tasks.spawn(async move {
                cut.run_until_cancelled(server.connection(stream, peer))
                    .await;
                drop(place);
            });
        } else if let Ok(permit) = Arc::clone(&self.refusers).try_acquire_owned() {
            tasks.spawn(async move {
                if let Some(answer) = server.refusals.answer(StatusCode::SERVICE_UNAVAILABLE) {
                    cut.run_until_cancelled(refuse(stream, &answer)).await;
                }
                drop(permit);
            });
        }
    }
}

/// The result of `future` if it is ready.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
