//! Access Edges for tests, with their certificates.
//!
//! An [`Authority`] issues certificates; an [`Edge`] shows them on port 5061 of a loopback address
//! of its own, or misbehaves in a given [`Mode`].

pub(crate) mod ports;
pub(crate) mod released;
pub(crate) mod sip;

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// The port of federation.
pub(crate) const PORT: u16 = 5061;

/// A certificate authority: a root, or one below another.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The certificates to send along: its own and those between it and the root.
    above: Vec<CertificateDer<'static>>,
}

/// A certificate, its chain, and its key.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Arc<PrivateKeyDer<'static>>,
}

/// A server's certificate for `names`, the first also in the subject, valid for thousands of years.
pub(crate) fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(first) = names.first() {
        params.distinguished_name.push(DnType::CommonName, first);
    }
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

/// The certificate of an authority.
pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Authority {
    /// A new root.
    pub(crate) fn root() -> Self {
        Self::rooted(authority("Test Root"))
    }

    /// A root with a certificate of its own.
    pub(crate) fn rooted(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        Self {
            issuer,
            above: Vec::new(),
        }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap();
        let mut above = vec![issuer.der().clone()];
        above.extend(self.above.iter().cloned());
        Self { issuer, above }
    }

    /// Its own certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Its certificate in a file, for `PIC_CHECK_CA`; gone when it is dropped.
    pub(crate) fn file(&self) -> NamedTempFile {
        file(self.issuer.pem().as_bytes())
    }

    /// Issues a certificate, with the chain up to the root.
    pub(crate) fn issue(&self, params: &CertificateParams) -> Issued {
        self.issue_for(params, &KeyPair::generate().unwrap())
    }

    /// The same for this key.
    pub(crate) fn issue_for(&self, params: &CertificateParams, key: &KeyPair) -> Issued {
        let own = params.signed_by(key, &self.issuer).unwrap();
        let mut chain = vec![own.der().clone()];
        chain.extend(self.above.iter().cloned());
        Issued {
            chain,
            key: Arc::new(PrivateKeyDer::Pkcs8(key.serialize_der().into())),
        }
    }
}

/// A temporary file with this content.
pub(crate) fn file(content: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

impl Issued {
    /// Its chain and its key in files, as PEM; gone when they are dropped.
    pub(crate) fn files(&self) -> [NamedTempFile; 2] {
        let pem = |of: &str, der: &[u8]| {
            let lines = data_encoding::BASE64.encode(der);
            format!("-----BEGIN {of}-----\n{lines}\n-----END {of}-----\n")
        };
        let chain = self.chain.iter().map(|der| pem("CERTIFICATE", der));
        let key = pem("PRIVATE KEY", self.key.secret_der());
        [
            file(chain.collect::<String>().as_bytes()),
            file(key.as_bytes()),
        ]
    }

    /// A chain and its key, as PEM.
    pub(crate) fn of_pem(chain: &[u8], key: &[u8]) -> Self {
        let chain = CertificateDer::pem_slice_iter(chain).map(Result::unwrap);
        Self {
            chain: chain.collect(),
            key: Arc::new(PrivateKeyDer::from_pem_slice(key).unwrap()),
        }
    }

    /// A self-signed certificate.
    pub(crate) fn by_itself(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            chain: vec![params.self_signed(&key).unwrap().der().clone()],
            key: Arc::new(PrivateKeyDer::Pkcs8(key.serialize_der().into())),
        }
    }
}

/// How an edge behaves.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// Completes handshakes, in TLS 1.3 or 1.2.
    Normal,
    /// Completes handshakes in this version only.
    Only(&'static SupportedProtocolVersion),
    /// Demands a client certificate, in this version, and resets when there is none.
    Mutual(&'static SupportedProtocolVersion),
    /// Completes handshakes as this server does.
    Released(released::Release),
    /// Completes handshakes, and then behaves like this.
    Sip(sip::Speaker),
    /// Sends nothing.
    Silent,
    /// Resets at once.
    Reset,
    /// Closes without sending anything after the client's first message.
    Hangup,
    /// Sends this instead of its part of the handshake, then waits.
    Says(Vec<u8>),
    /// Sends this and closes.
    SaysAndCloses(Vec<u8>),
    /// Says each of these when it was spoken to, and closes.
    Answers(Vec<Vec<u8>>),
    /// Sends the first half of its part of the handshake in this version, then closes.
    Half(&'static SupportedProtocolVersion),
    /// Sends all of its part of the handshake in this version, then resets.
    AllThenReset(&'static SupportedProtocolVersion),
    /// Sends a byte of its part of the handshake every 50 ms.
    Drip,
    /// Sends garbage until the client disconnects.
    Flood,
}

struct Shared {
    now: Mutex<(Mode, Issued)>,
    connections: AtomicUsize,
}

/// An Access Edge; it ends when it is dropped.
pub(crate) struct Edge {
    address: IpAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Edge {
    /// Starts an edge that shows this certificate.
    pub(crate) async fn start(issued: Issued) -> Self {
        let listener = ports::on_free_address(|socket| socket.listen(128)).await;
        let address = listener.local_addr().unwrap().ip();
        let shared = Arc::new(Shared {
            now: Mutex::new((Mode::Normal, issued)),
            connections: AtomicUsize::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Its loopback address, which no other edge has.
    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }

    /// Changes the mode for connections from now on.
    pub(crate) fn behave(&self, mode: Mode) {
        self.shared.now.lock().unwrap().0 = mode;
    }

    /// Changes the certificate for connections from now on.
    pub(crate) fn show(&self, issued: Issued) {
        self.shared.now.lock().unwrap().1 = issued;
    }

    /// How many connections it has had.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (mode, issued) = shared.now.lock().unwrap().clone();
        // Errors of the peer do not matter.
        tokio::spawn(async move { drop(answer(stream, mode, &issued).await) });
    }
}

async fn answer(mut stream: TcpStream, mode: Mode, issued: &Issued) -> io::Result<()> {
    match mode {
        Mode::Normal => shake(stream, config(&[&TLS13, &TLS12], issued)).await,
        Mode::Only(version) => shake(stream, config(&[version], issued)).await,
        Mode::Mutual(version) => shake(stream, mutual(version, issued)).await,
        Mode::Released(release) => released::shake(stream, release, issued).await,
        Mode::Sip(speaker) => speaker.serve(stream, issued).await,
        Mode::Silent => wait(stream).await,
        Mode::Reset => stream.set_zero_linger(),
        Mode::Hangup => hear(&mut stream).await.map(drop),
        Mode::Says(bytes) => {
            hear(&mut stream).await?;
            stream.write_all(&bytes).await?;
            wait(stream).await
        }
        Mode::SaysAndCloses(bytes) => {
            hear(&mut stream).await?;
            stream.write_all(&bytes).await
        }
        Mode::Answers(answers) => {
            for answer in answers {
                hear(&mut stream).await?;
                stream.write_all(&answer).await?;
            }
            Ok(())
        }
        Mode::Half(version) => {
            let part = part(&mut stream, config(&[version], issued)).await?;
            stream.write_all(&part[..part.len() / 2]).await
        }
        Mode::AllThenReset(version) => {
            let part = part(&mut stream, mutual(version, issued)).await?;
            stream.write_all(&part).await?;
            stream.set_zero_linger()
        }
        Mode::Drip => {
            let mut beat = tokio::time::interval(Duration::from_millis(50));
            for byte in part(&mut stream, config(&[&TLS13], issued)).await? {
                beat.tick().await;
                stream.write_all(&[byte]).await?;
            }
            Ok(())
        }
        Mode::Flood => {
            // Records of a handshake message that never ends: 16 MB are announced.
            let mut record = vec![22, 3, 3, 0x40, 0];
            record.resize(5 + 0x4000, 0);
            record[5..9].copy_from_slice(&[2, 0xff, 0xff, 0xff]);
            loop {
                stream.write_all(&record).await?;
            }
        }
    }
}

async fn shake(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut tls = TlsAcceptor::from(config).accept(stream).await?;
    tokio::io::copy(&mut tls, &mut tokio::io::sink()).await?;
    Ok(())
}

/// Waits until the peer closes.
async fn wait(mut stream: TcpStream) -> io::Result<()> {
    let mut sink = tokio::io::sink();
    tokio::io::copy(&mut stream, &mut sink).await.map(drop)
}

/// The client's first message.
async fn hear(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut said = vec![0; 0x4000];
    let length = stream.read(&mut said).await?;
    said.truncate(length);
    Ok(said)
}

/// A server's answer to the client's first message.
async fn part(stream: &mut TcpStream, config: Arc<ServerConfig>) -> io::Result<Vec<u8>> {
    let mut server = ServerConnection::new(config).map_err(io::Error::other)?;
    while server.is_handshaking() && !server.wants_write() {
        let said = hear(stream).await?;
        server.read_tls(&mut said.as_slice())?;
        server.process_new_packets().map_err(io::Error::other)?;
    }
    let mut part = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut part)?;
    }
    Ok(part)
}

/// Shows what it was given, whether key and certificate match or not.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn always(issued: &Issued) -> Arc<Always> {
    let key = ring::sign::any_supported_type(&issued.key).unwrap();
    Arc::new(Always(Arc::new(CertifiedKey::new(
        issued.chain.clone(),
        key,
    ))))
}

fn config(versions: &[&'static SupportedProtocolVersion], issued: &Issued) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(always(issued));
    Arc::new(config)
}

fn mutual(version: &'static SupportedProtocolVersion, issued: &Issued) -> Arc<ServerConfig> {
    demanding(version, issued, Authority::root().der())
}

/// Demands a certificate that leads to `root`.
fn demanding(
    version: &'static SupportedProtocolVersion,
    issued: &Issued,
    root: CertificateDer<'static>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_cert_resolver(always(issued));
    Arc::new(config)
}
