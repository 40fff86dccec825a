//! Finds loopback addresses whose port 5061 nobody else uses.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::PORT;

/// A loopback address whose port 5061 is closed while the socket is held.
pub(crate) async fn closed() -> (IpAddr, TcpSocket) {
    let socket = on_free_address(Ok).await;
    (socket.local_addr().unwrap().ip(), socket)
}

/// A loopback address whose port 5061 does not answer while the sockets are held: one connection
/// fills its queue.
pub(crate) async fn full() -> (IpAddr, TcpListener, TcpStream) {
    let listener = on_free_address(|socket| socket.listen(0)).await;
    let address = listener.local_addr().unwrap();
    let first = TcpStream::connect(address).await.unwrap();
    (address.ip(), listener, first)
}

/// Makes something of port 5061 on a loopback address that nobody else uses.
pub(super) async fn on_free_address<T>(make: impl Fn(TcpSocket) -> io::Result<T>) -> T {
    for _ in 0..1000 {
        let [a, b, c, ..] = uuid::Uuid::new_v4().into_bytes();
        // Far from 127.0.0.1 and from what other tests count up from there.
        let address = Ipv4Addr::new(127, 64 + a % 128, b, c.clamp(1, 254));
        let socket = TcpSocket::new_v4().unwrap();
        let bound = socket.bind(SocketAddr::from((address, PORT)));
        match bound.and_then(|()| make(socket)) {
            Ok(done) => return done,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no loopback address is free")
}
