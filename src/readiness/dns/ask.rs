//! How is one server asked one question?

use std::time::Duration;
use std::{future::Future, net::SocketAddr, pin::pin};

use futures_util::future::{Either, select};
use hickory_resolver::{
    net::{
        NetError,
        runtime::TokioRuntimeProvider,
        tcp::TcpClientStream,
        udp::UdpClientStream,
        xfer::{
            DnsExchange, DnsHandle as _, DnsMultiplexer, DnsRequestSender as _, FirstAnswer as _,
        },
    },
    proto::{
        op::{DnsRequest, DnsRequestOptions, Message, Query, ResponseCode},
        rr::{Name, RecordType},
    },
};
use tokio::time::timeout;
use tracing::{instrument::WithSubscriber as _, subscriber::NoSubscriber};

use super::{
    facts::Trouble,
    spare::{Exchange, Spare, Urgency},
};

/// How long to wait for answers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one server and one question; after half of it the question is sent once more.
    pub query: Duration,
    /// For everything that a method of [`Dns`](super::Dns) does.
    pub look_up: Duration,
}

impl Default for Limits {
    /// 2 seconds a query, 5 seconds a look-up: a page waits for it.
    fn default() -> Self {
        Self {
            query: Duration::from_secs(2),
            look_up: Duration::from_secs(5),
        }
    }
}

/// What is asked, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) name: &'a Name,
    pub(super) kind: RecordType,
    /// Whether the server is to ask others (a resolver), or to say what it knows itself.
    pub(super) recursive: bool,
}

/// What a server that is not ours is asked, and how soon.
pub(super) type Sparing<'a> = (&'a Spare, Urgency);

/// Asks over UDP, and over TCP when the answer is too long for that. What comes from anybody else,
/// or answers another question, is no answer. `sparing`: the packets to the server are counted, and
/// limited.
pub(super) async fn ask(
    server: SocketAddr,
    question: Question<'_>,
    limits: Limits,
    sparing: Option<Sparing<'_>>,
) -> Result<Message, Trouble> {
    let answer = exchanged(server, question, true, limits, sparing).await?;
    if matches!(
        answer.response_code,
        ResponseCode::FormErr | ResponseCode::NotImp
    ) {
        // An old server, or a box in front of it, that does not know EDNS.
        return exchanged(server, question, false, limits, sparing).await;
    }
    Ok(answer)
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
    let mut options = DnsRequestOptions::default();
    options.use_edns = edns;
    options.recursion_desired = question.recursive;
    options.retry_interval = limits.query / 2;

    let request = || DnsRequest::from_query(query.clone(), options);
    let answer = in_time(over_udp(server, request(), limits), limits).await;
    if let Some((spare, _)) = sparing {
        let learnt = answer.as_ref().map(|answer| answer.authoritative);
        spare
            .learn(server.ip(), learnt.map_err(|trouble| *trouble))
            .await;
    }
    let answer = answer?;
    let answer = if answer.truncation {
        turn(server, Exchange::Tcp, sparing).await?;
        in_time(over_tcp(server, request(), limits), limits).await?
    } else {
        answer
    };
    if answer.queries != [query] || answer.truncation {
        return Err(Trouble::Garbled);
    }
    Ok(answer)
}

/// Holds the limit, and keeps what the library would log to itself: names and answers.
async fn in_time(
    exchange: impl Future<Output = Result<Message, NetError>>,
    limits: Limits,
) -> Result<Message, Trouble> {
    let quiet = exchange.with_subscriber(NoSubscriber::default());
    match timeout(limits.query, quiet).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(NetError::Proto(_))) => Err(Trouble::Garbled),
        Ok(Err(_)) | Err(_) => Err(Trouble::Silent),
    }
}

async fn over_udp(
    server: SocketAddr,
    request: DnsRequest,
    limits: Limits,
) -> Result<Message, NetError> {
    let mut stream = UdpClientStream::builder(server, TokioRuntimeProvider::default())
        .with_timeout(Some(limits.query))
        .with_max_retries(2)
        .with_retry_interval_floor(0)
        .build();
    let answer = stream.send_message(request).first_answer().await?;
    Ok(answer.into_message())
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
    // No task of its own: the connection ends with the question.
    let answer = match select(answer, pin!(background)).await {
        Either::Left((answer, _background)) => answer,
        Either::Right(((), answer)) => answer.await,
    };
    Ok(answer?.into_message())
}
