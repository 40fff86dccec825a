//! What does a portal say to its database? Stands between them and counts.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, UnixStream},
};

/// Passes all on to a database, and counts the statements that are executed there.
pub(super) struct Relay {
    port: u16,
    statements: Arc<AtomicU64>,
}

impl Relay {
    /// Stands before the database of these `options`, which is at a socket.
    pub(super) async fn before(options: &PgConnectOptions) -> Self {
        let directory = options.get_socket().expect("a test's database is local");
        let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let statements = Arc::new(AtomicU64::new(0));
        tokio::spawn(take_in(listener, socket, Arc::clone(&statements)));
        Self { port, statements }
    }

    /// `options`, through here.
    pub(super) fn through(&self, options: &PgConnectOptions) -> PgConnectOptions {
        let name = options.get_database().expect("a database").to_owned();
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .ssl_mode(PgSslMode::Disable)
            .username(options.get_username())
            .database(&name)
    }

    /// How many statements there were since the last call.
    pub(super) fn count(&self) -> u64 {
        self.statements.swap(0, SeqCst)
    }
}

async fn take_in(listener: TcpListener, socket: PathBuf, statements: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = UnixStream::connect(&socket).await.unwrap();
        let statements = Arc::clone(&statements);
        tokio::spawn(async move {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
            // The first message has no kind; each has its length, which counts itself.
            let mut kind = None;
            while let Ok(length) = from_client.read_u32().await {
                let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
                from_client.read_exact(&mut rest).await.unwrap();
                if matches!(kind, Some(b'E' | b'Q')) {
                    statements.fetch_add(1, SeqCst);
                }
                let mut message = Vec::from_iter(kind);
                message.extend(length.to_be_bytes());
                message.extend(rest);
                if to_server.write_all(&message).await.is_err() {
                    break;
                }
                let Ok(next) = from_client.read_u8().await else {
                    break;
                };
                kind = Some(next);
            }
        });
    }
}
