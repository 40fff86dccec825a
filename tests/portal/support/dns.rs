//! DNS servers for tests, whose answers can be changed while they run.
//!
//! A [`Server`] answers over UDP and TCP from its [`Zones`], in a given [`Manner`]. An [`Internet`]
//! is what a lookup finds outside: one resolver and some authoritative servers, each with zones of
//! its own, all on one port of different loopback addresses.

mod zones;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::NS},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::sleep,
};

pub(crate) use self::zones::Zones;

/// The longest UDP answer in bytes, where the query does not say (RFC 1035, 4.2.1).
const SHORT: u16 = 512;

/// The kind of server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Answers every query: a name in none of its zones does not exist.
    Resolver,
    /// Answers for its own zones, and refuses all other queries.
    Authority,
}

/// How a server answers.
#[derive(Clone)]
pub(crate) enum Manner {
    /// Correctly; an answer that is too long for UDP is truncated, so that TCP is needed.
    Honest,
    /// Never.
    Silent,
    /// Not for names that end like this, and correctly otherwise.
    SilentFor(&'static str),
    /// Always with this code.
    Code(ResponseCode),
    /// To queries with EDNS with nothing but a header of this code; correctly to others.
    Bare(ResponseCode),
    /// To queries with EDNS with this code and the question; correctly to others.
    Plain(ResponseCode),
    /// To queries with EDNS never; correctly to others.
    DropsEdns,
    /// That it could not find out, unless it is told not to check signatures.
    Bogus,
    /// UDP answers are always truncated, and empty.
    Truncate,
    /// UDP answers are always truncated, and TCP does not answer.
    TruncateOnly,
    /// Refers to other servers.
    Lame,
    /// With another id than the query's, and nothing after that.
    WrongNumber,
    /// With the right answer to another query.
    WrongQuestion,
    /// The same over TCP, after truncated UDP answers.
    WrongQuestionByTcp,
    /// From another socket than the one that was queried.
    WrongSource,
    /// With the bytes that this makes of the correct answer; the id stays right.
    Mangle(Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>),
}

/// A query that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Lower case, no trailing dot.
    pub(crate) name: String,
    pub(crate) kind: RecordType,
    pub(crate) recursive: bool,
    pub(crate) over_tcp: bool,
}

/// A DNS server in this process. It ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) zones: Zones,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    role: Role,
    zones: Zones,
    manner: Mutex<(Manner, Duration)>,
    asked: Mutex<Vec<Asked>>,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) async fn start(role: Role) -> Self {
        Self::start_all(&[role]).await.remove(0)
    }

    /// Starts a server for each role, all on the same port, each on a loopback address of its own.
    pub(crate) async fn start_all(roles: &[Role]) -> Vec<Self> {
        for _ in 0..50 {
            let mut servers: Vec<Self> = Vec::new();
            for &role in roles {
                let port = servers.first().map_or(0, |first| first.address.port());
                match Self::bind(role, port).await {
                    Ok(server) => servers.push(server),
                    Err(_taken) => break,
                }
            }
            if servers.len() == roles.len() {
                return servers;
            }
        }
        panic!("no port is free on {} addresses", roles.len());
    }

    async fn bind(role: Role, port: u16) -> io::Result<Self> {
        let udp = UdpSocket::bind((own_address(), port)).await?;
        let address = udp.local_addr()?;
        let tcp = TcpListener::bind(address).await?;
        let zones = Zones::default();
        let state = Arc::new(State {
            role,
            zones: zones.clone(),
            manner: Mutex::new((Manner::Honest, Duration::ZERO)),
            asked: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(Arc::new(udp), state.clone()));
        tasks.spawn(serve_tcp(tcp, state.clone()));
        Ok(Self {
            address,
            zones,
            state,
            _tasks: tasks,
        })
    }

    /// Answers in this manner from now on.
    pub(crate) fn behave(&self, manner: Manner) {
        self.state.manner.lock().unwrap().0 = manner;
    }

    /// Delays answers by this time from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state.manner.lock().unwrap().1 = delay;
    }

    /// All queries so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// How often `name` was queried for `kind`.
    pub(crate) fn count(&self, name: &str, kind: RecordType) -> usize {
        let is_it = |asked: &&Asked| asked.name == name && asked.kind == kind;
        self.asked().iter().filter(is_it).count()
    }
}

/// A loopback address that no other test of this process uses.
fn own_address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = u8::try_from(std::process::id() % 200).unwrap();
    IpAddr::V4(Ipv4Addr::new(127, 40 + process, high, low))
}

impl State {
    /// The bytes to send back, if any.
    async fn reply(&self, bytes: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let request = Message::from_vec(bytes).ok()?;
        let query = request.queries.first()?.clone();
        self.asked.lock().unwrap().push(Asked {
            name: query
                .name()
                .to_ascii()
                .to_lowercase()
                .trim_end_matches('.')
                .to_owned(),
            kind: query.query_type(),
            recursive: request.recursion_desired,
            over_tcp,
        });
        let (manner, delay) = self.manner.lock().unwrap().clone();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let mut answer = self.answer(&request, &query);
        let longest = match &request.edns {
            Some(edns) => edns.max_payload(),
            None => SHORT,
        };
        match manner {
            Manner::Silent => return None,
            Manner::SilentFor(end)
                if query.name().to_ascii().trim_end_matches('.').ends_with(end) =>
            {
                return None;
            }
            Manner::TruncateOnly if over_tcp => return None,
            Manner::Truncate | Manner::TruncateOnly | Manner::WrongQuestionByTcp if !over_tcp => {
                answer = answer.truncate();
            }
            Manner::Code(code) => {
                answer = blank(&request, &query);
                answer.metadata.response_code = code;
            }
            Manner::Bare(code) if request.edns.is_some() => {
                answer = Message::response(request.id, request.op_code);
                answer.metadata.response_code = code;
            }
            Manner::Plain(code) if request.edns.is_some() => {
                answer = blank(&request, &query);
                answer.edns = None;
                answer.metadata.response_code = code;
            }
            Manner::DropsEdns if request.edns.is_some() => return None,
            Manner::Bogus if !request.checking_disabled => {
                answer = blank(&request, &query);
                answer.metadata.response_code = ResponseCode::ServFail;
            }
            Manner::Lame => {
                answer = blank(&request, &query);
                let root = RData::NS(NS(zones::name("ns1.elsewhere.test")));
                answer.add_authority(Record::from_rdata(Name::root(), 60, root));
            }
            Manner::WrongNumber => answer.metadata.id = request.id.wrapping_add(1),
            Manner::WrongQuestion | Manner::WrongQuestionByTcp => {
                let other = zones::name("other.test");
                answer.queries = vec![Query::query(other, query.query_type())];
            }
            Manner::Mangle(mangle) => {
                let mut bytes = mangle(answer.to_vec().unwrap());
                for (byte, right) in bytes.iter_mut().zip(request.id.to_be_bytes()) {
                    *byte = right;
                }
                return Some(bytes);
            }
            Manner::Honest
            | Manner::Bare(_)
            | Manner::Plain(_)
            | Manner::DropsEdns
            | Manner::Bogus
            | Manner::SilentFor(_)
            | Manner::Truncate
            | Manner::TruncateOnly
            | Manner::WrongSource => {}
        }
        let bytes = answer.to_vec().unwrap();
        if !over_tcp && bytes.len() > usize::from(longest) {
            return Some(answer.truncate().to_vec().unwrap());
        }
        Some(bytes)
    }

    fn answer(&self, request: &Message, query: &Query) -> Message {
        let mut answer = blank(request, query);
        let known = self
            .zones
            .answer(&mut answer, query.name(), query.query_type());
        match self.role {
            Role::Resolver => answer.metadata.recursion_available = true,
            Role::Authority => answer.metadata.authoritative = known,
        }
        match (known, self.role) {
            (true, _) => {}
            (false, Role::Resolver) => answer.metadata.response_code = ResponseCode::NXDomain,
            (false, Role::Authority) => answer.metadata.response_code = ResponseCode::Refused,
        }
        answer
    }
}

fn blank(request: &Message, query: &Query) -> Message {
    let mut answer = Message::response(request.id, request.op_code);
    answer.metadata.recursion_desired = request.recursion_desired;
    answer.add_query(query.clone());
    answer.edns.clone_from(&request.edns);
    answer
}

async fn serve_udp(socket: Arc<UdpSocket>, state: Arc<State>) {
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let (bytes, socket, state) = (buffer[..length].to_vec(), socket.clone(), state.clone());
        answers.spawn(async move {
            let Some(reply) = state.reply(&bytes, false).await else {
                return;
            };
            let is_elsewhere = matches!(state.manner.lock().unwrap().0, Manner::WrongSource);
            if is_elsewhere {
                let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                let _ = other.send_to(&reply, from).await;
            } else {
                let _ = socket.send_to(&reply, from).await;
            }
        });
        while answers.try_join_next().is_some() {}
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _from)) = listener.accept().await {
        connections.spawn(converse(stream, state.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, state: Arc<State>) {
    while let Ok(length) = stream.read_u16().await {
        let mut bytes = vec![0; length.into()];
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        // A server that does not answer keeps the connection open.
        let Some(reply) = state.reply(&bytes, true).await else {
            continue;
        };
        let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
        if stream
            .write_all(&[&length[..], &reply].concat())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// One resolver and some authoritative servers, named `ns1.dns.test` and so on.
pub(crate) struct Internet {
    pub(crate) resolver: Server,
    pub(crate) authorities: Vec<Server>,
}

impl Internet {
    /// Starts the servers. Only their own names exist.
    pub(crate) async fn start(authorities: usize) -> Self {
        let mut roles = vec![Role::Resolver];
        roles.resize(authorities + 1, Role::Authority);
        let mut servers = Server::start_all(&roles).await;
        let resolver = servers.remove(0);
        resolver.zones.add("", 60);
        resolver.zones.add("dns.test", 60);
        for (place, server) in servers.iter().enumerate() {
            let address = format!("A {}", server.address.ip());
            let owner = format!("ns{}.dns.test", place + 1);
            resolver.zones.set(&owner, &[address]);
        }
        Self {
            resolver,
            authorities: servers,
        }
    }

    /// The port of all servers.
    pub(crate) fn port(&self) -> u16 {
        self.resolver.address.port()
    }

    /// Adds the same zone to all servers; `minimum`: how long a negative answer may be cached, in
    /// seconds.
    pub(crate) fn add(&self, zone: &str, minimum: u32) {
        let count = self.authorities.len();
        let servers: Vec<_> = (1..=count).map(|n| format!("NS ns{n}.dns.test")).collect();
        for zones in self.all() {
            zones.add(zone, minimum);
            zones.set(zone, &servers);
        }
    }

    /// Replaces all records at `owner`, on all servers.
    pub(crate) fn set(&self, owner: &str, records: &[&str]) {
        for zones in self.all() {
            zones.set(owner, records);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Zones> {
        [&self.resolver]
            .into_iter()
            .chain(&self.authorities)
            .map(|server| &server.zones)
    }
}
