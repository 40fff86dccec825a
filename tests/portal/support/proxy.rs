//! Simulates a bad network between the portal and PostgreSQL.
//!
//! A proxy from a TCP port of its own to the server's Unix socket, or to its port. It knows enough
//! of the protocol to tell messages apart: a rule decides about each message of a client, and the
//! server's answers are counted. Faults can be switched while connections are open.

mod frames;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream, UnixStream, tcp::WriteHalf},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use self::frames::{Frame, Frames};

/// The state of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Everything passes.
    Sound,
    /// Connections are refused, and open ones are closed.
    Refusing,
    /// Connections are accepted and never answered; open ones pass nothing more, for good.
    BlackHole,
    /// The server's side is closed; the client's side stays open, and gets nothing.
    HalfOpen,
    /// Open connections are reset; new ones too, as soon as they send something.
    Resetting,
    /// Each message is delayed by this time, in both directions.
    Slow(Duration),
}

/// What happens to one message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It passes.
    Pass,
    /// It is lost, and the connection passes nothing more.
    Drop,
    /// It reaches the server and is carried out; the answer is lost, and the connection with it.
    LoseAnswer,
    /// It does not reach the server; the connection is closed.
    Cut,
    /// The server's answer to it is this error instead; the message does not reach the server.
    Error(&'static str),
}

/// Counts what has passed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections that clients opened.
    pub(crate) connections: AtomicU64,
    /// Answers that end a round trip: `ReadyForQuery`, except for the first of a connection.
    pub(crate) round_trips: AtomicU64,
    /// Statements executed: `Execute` and `Query`.
    pub(crate) statements: AtomicU64,
    /// Statements prepared: `Parse`.
    pub(crate) prepared: AtomicU64,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The address of the server.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Socket(PathBuf),
    Port(String, u16),
}

impl Target {
    /// The server that these options name.
    pub(crate) fn of(options: &PgConnectOptions) -> Self {
        let port = options.get_port();
        match options.get_socket() {
            Some(dir) => Self::Socket(dir.join(format!(".s.PGSQL.{port}"))),
            None => Self::Port(options.get_host().to_owned(), port),
        }
    }

    async fn connect(self) -> io::Result<Box<dyn Wire>> {
        Ok(match self {
            Self::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Self::Port(host, port) => Box::new(TcpStream::connect((host, port)).await?),
        })
    }
}

type Rule = Box<dyn FnMut(u8, &[u8]) -> Fate + Send>;

struct Shared {
    network: watch::Sender<Network>,
    target: Mutex<Target>,
    rule: Mutex<Option<Rule>>,
    counts: Counts,
}

/// A network between a portal and its database. It ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// A working network to `target`.
    pub(crate) async fn to(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            network: watch::Sender::new(Network::Sound),
            target: Mutex::new(target),
            rule: Mutex::default(),
            counts: Counts::default(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    /// The options for reaching through it the server in `options`.
    pub(crate) fn options(&self, options: &PgConnectOptions) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.address.port())
            .username(options.get_username())
            .database(options.get_database().unwrap())
            .ssl_mode(PgSslMode::Disable)
    }

    /// The same as a `DATABASE_URL`.
    pub(crate) fn url(&self, options: &PgConnectOptions) -> String {
        format!(
            "postgres://{}@127.0.0.1:{}/{}?sslmode=disable",
            options.get_username(),
            self.address.port(),
            options.get_database().unwrap()
        )
    }

    /// Changes the state of the network.
    pub(crate) fn turn(&self, network: Network) {
        self.shared.network.send_replace(network);
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, target: Target) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// Decides about each message of each client from now on, by its type (0: the first of a
    /// connection) and its bytes.
    pub(crate) fn judge(&self, rule: impl FnMut(u8, &[u8]) -> Fate + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// Lets every message pass again.
    pub(crate) fn judge_no_more(&self) {
        *self.shared.rule.lock().unwrap() = None;
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Round trips and statements so far.
    pub(crate) fn cost(&self) -> (u64, u64) {
        let counts = self.counts();
        (
            counts.round_trips.load(Relaxed),
            counts.statements.load(Relaxed),
        )
    }
}

/// Accepts connections while the network has a listener; the port stays ours.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut network = shared.network.subscribe();
    let mut open = JoinSet::new();
    loop {
        if *network.borrow_and_update() == Network::Refusing {
            // Connections that wait to be accepted are reset with it.
            listener = None;
        } else if listener.is_none() {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).unwrap();
            listener = Some(socket.listen(1024).unwrap());
        }
        let taken = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = network.changed() => if changed.is_err() { return },
            taken = taken => if let Ok((client, _)) = taken {
                shared.counts.connections.fetch_add(1, Relaxed);
                open.spawn(carry(client, Arc::clone(&shared)));
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// How a connection ends.
enum End {
    /// It is closed normally.
    Closed,
    /// Both sides stay open and get nothing.
    Silent,
    /// Only the client's side stays open.
    ServerGone,
    /// The client gets a reset.
    Reset,
}

/// Handles one connection.
async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    client.set_nodelay(true).unwrap();
    let mut network = shared.network.subscribe();
    let begins = *network.borrow_and_update();
    match begins {
        Network::BlackHole | Network::HalfOpen => return silence(client).await,
        Network::Refusing | Network::Resetting => return reset(client),
        Network::Sound | Network::Slow(_) => {}
    }
    let target = shared.target.lock().unwrap().clone();
    let Ok(mut server) = target.connect().await else {
        return reset(client);
    };
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = tokio::io::split(&mut server);
        let link = Link {
            to_client: tokio::sync::Mutex::new(to_client),
            loses: AtomicBool::new(false),
            shared: &shared,
        };
        tokio::select! {
            end = link.ask(from_client, to_server) => end.unwrap_or(End::Closed),
            end = link.answer(from_server) => end.unwrap_or(End::Closed),
            end = broken(&mut network) => end,
        }
    };
    match end {
        End::Closed => {}
        End::Silent => {
            silence(client).await;
            drop(server);
        }
        End::ServerGone => {
            drop(server);
            silence(client).await;
        }
        End::Reset => reset(client),
    }
}

/// Both directions of a connection.
struct Link<'a> {
    to_client: tokio::sync::Mutex<WriteHalf<'a>>,
    /// Whether all further answers of the server are lost.
    loses: AtomicBool,
    shared: &'a Shared,
}

impl Link<'_> {
    async fn delay(&self) {
        let network = *self.shared.network.borrow();
        if let Network::Slow(delay) = network {
            sleep(delay).await;
        }
    }

    /// Passes on what the client sends, message by message.
    async fn ask(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<End> {
        let mut frames = Frames::of_client();
        // After an error of ours the server does not get the rest.
        let mut skips = false;
        loop {
            if !frames.fill(&mut from).await? {
                return Ok(End::Closed);
            }
            self.delay().await;
            while let Some(frame) = frames.next() {
                if frame.asks_for_encryption() {
                    self.to_client.lock().await.write_all(b"N").await?;
                    frames.begin_again();
                    continue;
                }
                if skips {
                    if frame.kind == b'S' {
                        skips = false;
                        let ready = frames::ready();
                        self.to_client.lock().await.write_all(&ready).await?;
                    }
                    continue;
                }
                let counts = &self.shared.counts;
                match frame.kind {
                    b'E' | b'Q' => counts.statements.fetch_add(1, Relaxed),
                    b'P' => counts.prepared.fetch_add(1, Relaxed),
                    _ => 0,
                };
                match self.shared.fate(&frame) {
                    Fate::Pass => {}
                    Fate::Drop => return Ok(End::Silent),
                    Fate::Cut => return Ok(End::Reset),
                    Fate::LoseAnswer => self.loses.store(true, Relaxed),
                    Fate::Error(code) => {
                        let error = frames::error(code);
                        self.to_client.lock().await.write_all(&error).await?;
                        skips = true;
                        continue;
                    }
                }
                to.write_all(&frame.bytes).await?;
            }
        }
    }

    /// Passes on what the server answers.
    async fn answer(&self, mut from: impl AsyncRead + Unpin) -> io::Result<End> {
        let mut frames = Frames::of_server();
        let mut begun = false;
        loop {
            if !frames.fill(&mut from).await? {
                return Ok(End::Closed);
            }
            self.delay().await;
            while let Some(frame) = frames.next() {
                let ready = frame.kind == b'Z';
                if ready && begun {
                    self.shared.counts.round_trips.fetch_add(1, Relaxed);
                }
                begun |= ready;
                if self.loses.load(Relaxed) {
                    // After 'G' it waits for the rows of a COPY, which the client would not send.
                    if ready || frame.kind == b'G' {
                        return Ok(End::Reset);
                    }
                    continue;
                }
                self.to_client.lock().await.write_all(&frame.bytes).await?;
            }
        }
    }
}

impl Shared {
    fn fate(&self, frame: &Frame) -> Fate {
        let mut rule = self.rule.lock().unwrap();
        rule.as_mut()
            .map_or(Fate::Pass, |rule| rule(frame.kind, &frame.bytes))
    }
}

/// Returns when the network no longer passes anything.
async fn broken(network: &mut watch::Receiver<Network>) -> End {
    loop {
        // The sender lives as long as the proxy.
        let _ = network.changed().await;
        match *network.borrow_and_update() {
            Network::Sound | Network::Slow(_) => {}
            Network::Refusing | Network::Resetting => return End::Reset,
            Network::BlackHole => return End::Silent,
            Network::HalfOpen => return End::ServerGone,
        }
    }
}

/// Reads and discards what the client sends, until it disconnects.
async fn silence(mut client: TcpStream) {
    let mut lost = [0; 1024];
    while client.read(&mut lost).await.is_ok_and(|read| read > 0) {}
}

fn reset(client: TcpStream) {
    client.set_zero_linger().unwrap();
    drop(client);
}
