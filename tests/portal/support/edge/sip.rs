//! Speaks SIP after the handshake, or does something else when it is asked.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{SupportedProtocolVersion, pki_types::CertificateDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use super::{Issued, config, demanding};

/// What it does when it was asked.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Says this, each part when there was time to read the one before, and waits.
    Parts(Vec<Vec<u8>>),
    /// Says a byte of this every 20 ms.
    Slowly(Vec<u8>),
    /// Waits.
    Nothing,
    /// Closes.
    Closes,
    /// Resets.
    Resets,
    /// Talks without an end.
    Floods,
}

impl Said {
    /// An answer with this status line, and what else such a message has.
    pub(crate) fn status(line: &str) -> Self {
        let rest =
            "Via: SIP/2.0/TLS gw.example:5061\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
        Self::Parts(vec![format!("SIP/2.0 {line}\r\n{rest}").into_bytes()])
    }
}

/// How an edge speaks.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) version: &'static SupportedProtocolVersion,
    /// The root that certificates of those who connect must lead to; `None`: it asks for none.
    pub(crate) trusts: Option<CertificateDer<'static>>,
    pub(crate) said: Said,
    /// What it was asked.
    pub(crate) asked: Arc<Mutex<Vec<u8>>>,
}

impl Speaker {
    pub(crate) fn new(
        version: &'static SupportedProtocolVersion,
        trusts: Option<CertificateDer<'static>>,
        said: Said,
    ) -> Self {
        Self {
            version,
            trusts,
            said,
            asked: Arc::default(),
        }
    }

    /// The last question.
    pub(crate) fn question(&self) -> String {
        String::from_utf8(self.asked.lock().unwrap().clone()).unwrap()
    }

    pub(super) async fn serve(self, stream: TcpStream, issued: &Issued) -> io::Result<()> {
        let config = match self.trusts {
            None => config(&[self.version], issued),
            Some(root) => demanding(self.version, issued, root),
        };
        let mut tls = TlsAcceptor::from(config).accept(stream).await?;
        let mut question = vec![0; 0x4000];
        let mut length = 0;
        while !question[..length].ends_with(b"\r\n\r\n") {
            match tls.read(&mut question[length..]).await? {
                0 => return Ok(()),
                read => length += read,
            }
        }
        question.truncate(length);
        *self.asked.lock().unwrap() = question;
        match self.said {
            Said::Parts(parts) => {
                for part in parts {
                    tls.write_all(&part).await?;
                    tls.flush().await?;
                    tokio::task::yield_now().await;
                }
            }
            Said::Slowly(bytes) => {
                let mut beat = tokio::time::interval(Duration::from_millis(20));
                for byte in bytes {
                    beat.tick().await;
                    tls.write_all(&[byte]).await?;
                }
            }
            Said::Nothing => {}
            Said::Closes => return tls.shutdown().await,
            Said::Resets => return tls.get_ref().0.set_zero_linger(),
            Said::Floods => loop {
                tls.write_all(&[b'A'; 0x4000]).await?;
            },
        }
        tokio::io::copy(&mut tls, &mut tokio::io::sink())
            .await
            .map(drop)
    }
}
