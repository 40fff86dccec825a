//! Splits PostgreSQL's protocol into messages.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Codes in place of a version: requests that a client may send before it begins.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// One complete message.
pub(super) struct Frame {
    /// Its type; 0: the first of a client, which has none.
    pub(super) kind: u8,
    pub(super) bytes: Vec<u8>,
}

impl Frame {
    /// Whether the client requests TLS or GSSAPI before it begins.
    pub(super) fn asks_for_encryption(&self) -> bool {
        let code = self.bytes.get(4..8).map(number);
        self.kind == 0 && matches!(code, Some(SSL_REQUEST | GSS_REQUEST))
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// Splits the bytes that come in into messages.
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Whether the next message has no type.
    begins: bool,
}

impl Frames {
    pub(super) fn of_client() -> Self {
        Self {
            buffer: Vec::new(),
            begins: true,
        }
    }

    pub(super) fn of_server() -> Self {
        Self {
            buffer: Vec::new(),
            begins: false,
        }
    }

    /// Expects a first message again.
    pub(super) fn begin_again(&mut self) {
        self.begins = true;
    }

    /// Reads what there is; `false` at the end.
    pub(super) async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        self.buffer.reserve(16 * 1024);
        Ok(from.read_buf(&mut self.buffer).await? > 0)
    }

    /// The next message, if it is complete.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let head = usize::from(!self.begins);
        let length = number(self.buffer.get(head..head + 4)?);
        let end = head + usize::try_from(length).unwrap();
        if self.buffer.len() < end {
            return None;
        }
        let rest = self.buffer.split_off(end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let kind = if self.begins { 0 } else { bytes[0] };
        self.begins = false;
        Some(Frame { kind, bytes })
    }
}

/// An error message as the server writes it.
pub(super) fn error(code: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in [
        (b'S', "ERROR"),
        (b'V', "ERROR"),
        (b'C', code),
        (b'M', "a fault made by a test"),
    ] {
        fields.push(name);
        fields.extend(value.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    message(b'E', &fields)
}

/// The message that the server is ready for the next statement, outside of any transaction.
pub(super) fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}
