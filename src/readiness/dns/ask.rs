//! Sends one query to one server.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    time::Duration,
};

use futures_util::future::{Either, select};
use hickory_resolver::{
    net::{
        NetError,
        runtime::TokioRuntimeProvider,
        tcp::TcpClientStream,
        xfer::{DnsExchange, DnsHandle as _, DnsMultiplexer, FirstAnswer as _},
    },
    proto::{
        ProtoError,
        op::{DnsRequest, DnsRequestOptions, Message, MessageType, Query, ResponseCode},
        rr::{Name, RecordType},
    },
};
use tokio::{
    net::UdpSocket,
    time::{interval, timeout},
};
use tracing::{instrument::WithSubscriber as _, subscriber::NoSubscriber};

use super::{
    facts::Trouble,
    spare::{Exchange, Spare, Urgency},
};

/// The longest packet that a server may send over UDP, in bytes: as large as packets get.
const LONGEST: usize = 4096;

/// Time limits for answers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one query to one server; after half of it the query is sent once more.
    pub query: Duration,
    /// For everything that a method of [`Dns`](super::Dns) does.
    pub look_up: Duration,
}

impl Default for Limits {
    /// 2 seconds a query, 5 seconds a lookup: a page waits for it.
    fn default() -> Self {
        Self {
            query: Duration::from_secs(2),
            look_up: Duration::from_secs(5),
        }
    }
}

/// A query, and how it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) name: &'a Name,
    pub(super) kind: RecordType,
    /// Whether the server should query others (a resolver), or answer from its own data.
    pub(super) recursive: bool,
    /// Whether a resolver is to answer although signatures may not hold (CD; RFC 4035, 3.2.2).
    pub(super) unchecked: bool,
}

/// The limits for a server that is not ours, and how urgent the query is.
pub(super) type Sparing<'a> = (&'a Spare, Urgency);

/// Queries over UDP, and over TCP when the answer is too long for that. Packets from other
/// addresses, or that answer another query, are ignored. `sparing`: the packets to the server are
/// counted, and limited.
pub(super) async fn ask(
    server: SocketAddr,
    question: Question<'_>,
    limits: Limits,
    sparing: Option<Sparing<'_>>,
) -> Result<Message, Trouble> {
    let answer = exchanged(server, question, true, limits, sparing).await?;
    if !may_be_old(&answer) {
        return Ok(answer);
    }
    match exchanged(server, question, false, limits, sparing).await {
        Ok(plain) if !is_error(&plain) => Ok(plain),
        Err(Trouble::Busy) => Err(Trouble::Busy),
        // That of the first answer is as good.
        Ok(_) | Err(_) => Ok(answer),
    }
}

/// Whether an answer is an error because the server, or a box in front of it, may not know EDNS (RFC
/// 6891, 7; RFC 2671, 5.3). One that uses EDNS itself knows it.
fn may_be_old(answer: &Message) -> bool {
    let code = answer.response_code;
    let puzzled = matches!(code, ResponseCode::FormErr | ResponseCode::NotImp);
    is_error(answer) && (puzzled || is_bare(answer) || answer.edns.is_none())
}

fn is_error(answer: &Message) -> bool {
    let code = answer.response_code;
    !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// Waits until `exchange` with the server may begin.
async fn turn(
    server: SocketAddr,
    exchange: Exchange,
    sparing: Option<Sparing<'_>>,
) -> Result<(), Trouble> {
    match sparing {
        Some((spare, urgency)) => spare.turn(server.ip(), exchange, urgency).await,
        None => Ok(()),
    }
}

async fn exchanged(
    server: SocketAddr,
    question: Question<'_>,
    edns: bool,
    limits: Limits,
    sparing: Option<Sparing<'_>>,
) -> Result<Message, Trouble> {
    turn(server, Exchange::Udp, sparing).await?;
    let query = Query::query(question.name.clone(), question.kind);
    let request = |edns| {
        let mut options = DnsRequestOptions::default();
        options.use_edns = edns;
        options.recursion_desired = question.recursive;
        let mut request = DnsRequest::from_query(query.clone(), options);
        request.metadata.checking_disabled = question.unchecked;
        request
    };
    let answer = in_time(over_udp(server, &request(edns), limits), limits).await;
    if let Some((spare, _)) = sparing {
        let learnt = answer.as_ref().map(|answer| answer.authoritative);
        spare
            .learn(server.ip(), learnt.map_err(|trouble| *trouble))
            .await;
    }
    let answer = answer?;
    let answer = if answer.truncation {
        turn(server, Exchange::Tcp, sparing).await?;
        // As it was answered, so that it is answered again.
        let edns = answer.edns.is_some();
        in_time(over_tcp(server, request(edns), limits), limits).await?
    } else {
        answer
    };
    if (answer.queries != [query] && !is_bare(&answer)) || answer.truncation {
        return Err(Trouble::Garbled);
    }
    Ok(answer)
}

/// Whether it is an error that does not say to which question, as some boxes answer what they do not
/// understand: nothing but a header.
fn is_bare(answer: &Message) -> bool {
    answer.queries.is_empty() && answer.answers.is_empty() && is_error(answer)
}

/// Applies the time limit, and suppresses the library's log lines: they contain names and answers.
async fn in_time(
    exchange: impl Future<Output = Result<Message, NetError>>,
    limits: Limits,
) -> Result<Message, Trouble> {
    let quiet = exchange.with_subscriber(NoSubscriber::default());
    match timeout(limits.query, quiet).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(NetError::Proto(_))) => Err(Trouble::Garbled),
        Ok(Err(NetError::Io(fault))) if is_closed(&fault) => Err(Trouble::Closed),
        Ok(Err(_)) | Err(_) => Err(Trouble::Silent),
    }
}

/// Whether the system says that nothing is there to be asked.
fn is_closed(fault: &io::Error) -> bool {
    matches!(
        fault.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// The answer to this request, which is sent once more after half of the time, then without EDNS: there
/// are boxes that drop what has it. The socket takes packets from that server alone; those that do not
/// answer the request are ignored.
async fn over_udp(
    server: SocketAddr,
    request: &Message,
    limits: Limits,
) -> Result<Message, NetError> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let mut plain = request.clone();
    plain.edns = None;
    let packets = [request.to_vec()?, plain.to_vec()?];
    let (mut packets, mut again) = (packets.iter(), interval(limits.query / 2));
    let mut buffer = vec![0; LONGEST];
    loop {
        let length = tokio::select! {
            _ = again.tick(), if packets.len() > 0 => {
                if let Some(packet) = packets.next() {
                    socket.send(packet).await?;
                }
                continue;
            }
            received = socket.recv(&mut buffer) => received?,
        };
        let received = &buffer[..length];
        if received.first_chunk() != Some(&request.id.to_be_bytes()) {
            continue;
        }
        let answer = Message::from_vec(received).map_err(ProtoError::from)?;
        let is_answer = answer.queries == request.queries || is_bare(&answer);
        if answer.message_type == MessageType::Response && is_answer {
            return Ok(answer);
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    request: DnsRequest,
    limits: Limits,
) -> Result<Message, NetError> {
    let provider = TokioRuntimeProvider::default();
    let (connected, outgoing) = TcpClientStream::new(server, None, Some(limits.query), provider);
    let multiplexer = DnsMultiplexer::new(connected.await?, outgoing).with_timeout(limits.query);
    let (exchange, background) = DnsExchange::<TokioRuntimeProvider>::from_stream(multiplexer);
    let answer = pin!(exchange.send(request).first_answer());
    // Not a task of its own: the connection ends with the query.
    let answer = match select(answer, pin!(background)).await {
        Either::Left((answer, _background)) => answer,
        Either::Right(((), answer)) => answer.await,
    };
    Ok(answer?.into_message())
}
