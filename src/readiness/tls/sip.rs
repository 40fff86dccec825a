//! Sends one SIP OPTIONS over a connection on which hands have been shaken, and reads what comes back.
//!
//! A partner's gateway shows its own certificate and then speaks SIP; only that tells whether an Access Edge
//! lets it. Nothing of an answer is kept but its status, which is a number: its words are a stranger's.

use std::{fs, io, path::Path, time::Duration};

use chrono::{DateTime, Utc};
use openssl::{
    asn1::Asn1Time,
    error::ErrorStack,
    pkey::{PKey, Private},
    ssl::{self, SslContextBuilder},
    x509::X509,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, timeout_at},
};

use super::attempt::alert;
use crate::{
    base32,
    names::{AccessEdge, Fqdn},
};

/// How long an answer is waited for. People wait 3 s for advice; an answer that takes longer than this is
/// no answer to a call either.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most that is read of an answer.
const MOST: usize = 16 * 1024;

/// What an Access Edge did when it was shown a gateway's certificate and asked by OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sip {
    /// It answered with this status, 200 to 699.
    Answered(u16),
    /// It asked for a certificate, and broke off when it had seen the one that was shown: with this alert
    /// (RFC 8446, 6), or without a word.
    Refused(Option<u8>),
    /// Nothing came.
    NoAnswer,
    /// It closed the connection, and not because of a certificate.
    Closed,
    /// What came is no answer of SIP.
    NotSip,
}

/// Which of the two files of an [`Identity`] is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `PIC_PROBE_CERTIFICATE`
    Certificate,
    /// `PIC_PROBE_KEY`
    Key,
}

/// A gateway: its name, and the certificate that proves it.
#[derive(Clone)]
pub struct Identity {
    name: Fqdn,
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Identity {
    /// Reads the chain and the key of the gateway `name` from PEM files.
    ///
    /// # Errors
    /// What is wrong with which of the two, as the end of a sentence about it.
    pub fn read(name: &Fqdn, chain: &Path, key: &Path) -> Result<Self, (Part, String)> {
        let wrong = |part, fault: &str| (part, fault.to_owned());
        let text = |part, file| {
            let unread = |error: io::Error| (part, format!("cannot be read: {error}"));
            fs::read(file).map_err(unread)
        };
        let chain = text(Part::Certificate, chain)?;
        let chain = X509::stack_from_pem(&chain).unwrap_or_default();
        let own = chain.first().ok_or_else(|| {
            let fault = "has no PEM certificate (BEGIN CERTIFICATE) in it";
            wrong(Part::Certificate, fault)
        })?;
        let is_own = |it: &str| it.eq_ignore_ascii_case(name.as_str());
        let names = own.subject_alt_names().into_iter().flatten();
        if !names.into_iter().any(|it| it.dnsname().is_some_and(is_own)) {
            let fault = format!("does not name {name}, the value of PIC_PROXY_FQDN");
            return Err((Part::Certificate, fault));
        }
        let key = PKey::private_key_from_pem(&text(Part::Key, key)?);
        let key = key.map_err(|_| {
            let fault = "has no private key in PEM, without a password, in it";
            wrong(Part::Key, fault)
        })?;
        if !own.public_key().is_ok_and(|public| public.public_eq(&key)) {
            let fault = "is not the key of the certificate in PIC_PROBE_CERTIFICATE";
            return Err(wrong(Part::Key, fault));
        }
        Ok(Self {
            name: name.clone(),
            chain,
            key,
        })
    }

    /// Whether it can be shown now. One that has expired says nothing about those who refuse it.
    #[must_use]
    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        let now = Asn1Time::from_unix(now.timestamp());
        now.is_ok_and(|now| {
            let own = self.chain.first();
            own.is_some_and(|own| own.not_before() <= now && own.not_after() >= now)
        })
    }

    /// Lets connections show it to whoever asks for a certificate.
    pub(super) fn put_into(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        let mut chain = self.chain.iter();
        if let Some(own) = chain.next() {
            context.set_certificate(own)?;
        }
        context.set_private_key(&self.key)?;
        chain.try_for_each(|above| context.add_extra_chain_cert(above.clone()))
    }

    /// Asks `edge` whether it speaks SIP, until `deadline` at most. `asked`: it wanted a certificate, and was
    /// shown this one.
    pub(super) async fn ask<S>(
        &self,
        edge: &AccessEdge,
        stream: &mut S,
        asked: bool,
        deadline: Instant,
    ) -> Sip
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let options = self.options(edge);
        let answer = async {
            stream.write_all(options.as_bytes()).await?;
            stream.flush().await?;
            answer(stream).await
        };
        let deadline = deadline.min(Instant::now() + PATIENCE);
        match timeout_at(deadline, answer).await {
            Ok(Ok(said)) => said,
            Ok(Err(error)) => broken(&error, asked),
            Err(_) => Sip::NoAnswer,
        }
    }

    /// RFC 3261, 11. `Max-Forwards: 0`: the server answers itself and passes nothing on.
    fn options(&self, edge: &AccessEdge) -> String {
        let Self { name, .. } = self;
        let [branch, tag, call] = [(); 3].map(|()| base32::encode(&base32::random::<10>()));
        format!(
            "OPTIONS sip:{edge}:{port};transport=tls SIP/2.0\r\n\
             Via: SIP/2.0/TLS {name}:{port};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 0\r\n\
             From: <sip:{name}>;tag={tag}\r\n\
             To: <sip:{edge}>\r\n\
             Call-ID: {call}\r\n\
             CSeq: 1 OPTIONS\r\n\
             Contact: <sip:{name}:{port};transport=tls>\r\n\
             Accept: application/sdp\r\n\
             Content-Length: 0\r\n\r\n",
            port = super::PORT,
        )
    }
}

/// Reads up to the first final answer.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Sip> {
    let mut said = Vec::new();
    loop {
        let mut part = [0; 2048];
        let read = stream.read(&mut part).await?;
        said.extend_from_slice(&part[..read]);
        // A line counts when its end is there.
        let whole = said
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let status = said[..whole]
            .split(|byte| *byte == b'\n')
            .find_map(final_status);
        let is_blank = said.iter().all(u8::is_ascii_whitespace);
        match status {
            Some(status) => return Ok(Sip::Answered(status)),
            None if read == 0 && is_blank => return Ok(Sip::Closed),
            None if read == 0 || said.len() >= MOST || !may_be_sip(&said) => {
                return Ok(Sip::NotSip);
            }
            None => {}
        }
    }
}

/// The status in a line like `SIP/2.0 403 Forbidden`, where it ends a transaction (RFC 3261, 7.2).
fn final_status(line: &[u8]) -> Option<u16> {
    let status = line.strip_prefix(b"SIP/2.0 ")?;
    let (status, rest) = status.split_at_checked(3)?;
    let status = std::str::from_utf8(status).ok()?.parse().ok()?;
    let ends = matches!(rest.first(), None | Some(b' ' | b'\r'));
    (ends && (200..700).contains(&status)).then_some(status)
}

/// Whether a text can be the beginning of messages of SIP: its first line is a status or a request
/// (RFC 3261, 7), as far as it has come.
fn may_be_sip(said: &[u8]) -> bool {
    let said = said.trim_ascii_start();
    match said.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let first = said[..end].trim_ascii_end();
            first.starts_with(b"SIP/2.0 ") || first.ends_with(b" SIP/2.0")
        }
        None => said.len() < 1024 && said.iter().all(|byte| *byte >= b' ' || *byte == b'\r'),
    }
}

/// What a connection that broke says.
fn broken(error: &io::Error, asked: bool) -> Sip {
    if error.kind() == io::ErrorKind::QuotaExceeded {
        return Sip::NotSip;
    }
    let of_tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ssl::Error>());
    let alert = of_tls.and_then(alert);
    if asked {
        Sip::Refused(alert)
    } else {
        Sip::Closed
    }
}
