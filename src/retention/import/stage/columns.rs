//! How do rows get into the temporary tables?
//!
//! By `COPY`, in blocks. None of the texts has a character that COPY takes for its own: they are
//! names, numbers and words in their normal forms, and digests in hexadecimal.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::HEXLOWER;
use sqlx::PgConnection;

use super::super::{error::Error, row::Row};
use crate::{
    names::EdgeRoutes,
    request::{
        Asked, Deployment,
        reference::{Reference, ServiceToken},
    },
    secret::Secret,
};

/// A block is sent when it has this many bytes.
const BLOCK: usize = 256 * 1024;
/// How groups of lines are told apart, by an old number or by an agreement's.
const BY_ID: &[u8] = b"pic-portal import by id\0";
const BY_AGREEMENT: &[u8] = b"pic-portal import by agreement\0";

/// Lines on their way into `import_row`.
pub(in super::super) struct Staging<'a> {
    secret: &'a Secret,
    block: String,
}

impl<'a> Staging<'a> {
    pub(in super::super) fn new(secret: &'a Secret) -> Self {
        Self {
            secret,
            block: String::new(),
        }
    }

    pub(in super::super) fn add(&mut self, row: &Row) {
        let (programme, number) = (row.programme.as_str(), row.number.as_str());
        let group = match &row.id {
            Some(id) => self.secret.mac(BY_ID, id.as_bytes()),
            None => self
                .secret
                .mac(BY_AGREEMENT, format!("{programme}\0{number}").as_bytes()),
        };
        for domain in &row.domains {
            // Writing to a String cannot fail.
            let _ = writeln!(
                self.block,
                "{}\t{}\t{programme}\t{number}\t{}\t{}\t{}\t{}\t{}",
                row.line,
                bytes(&group),
                row.deployment.as_str(),
                row.provisioned,
                moment(row.submitted_at),
                row.edge.as_str(),
                domain.as_str(),
            );
        }
    }

    pub(in super::super) fn is_full(&self) -> bool {
        self.block.len() >= BLOCK
    }

    pub(in super::super) async fn flush(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<(), Error> {
        copy(
            connection,
            "COPY pg_temp.import_row FROM STDIN",
            &mut self.block,
        )
        .await
    }
}

/// A request that is right, and how it stood.
pub(in super::super) struct NewRequest {
    /// Its place among the requests, from 1.
    pub(in super::super) place: i64,
    /// The digest that its lines have in common.
    pub(in super::super) group: Vec<u8>,
    /// Its first line.
    pub(in super::super) line: u64,
    pub(in super::super) provisioned: bool,
    pub(in super::super) submitted_at: Option<DateTime<Utc>>,
    pub(in super::super) reference: Reference,
    pub(in super::super) asked: Asked,
}

/// Requests on their way into `import_request`, `import_edge` and `import_route`.
#[derive(Default)]
pub(in super::super) struct Requests {
    heads: String,
    edges: String,
    routes: String,
}

impl Requests {
    /// Adds a request.
    pub(in super::super) fn add(&mut self, request: &NewRequest) {
        let NewRequest {
            place,
            line,
            provisioned,
            ref asked,
            ..
        } = *request;
        let Asked::Initiate(wanted) = asked else {
            return;
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.heads,
            "{place}\t{line}\t{}\t{}\t{}\t{}\t{provisioned}\t{}\t{}\t{}\t{}",
            bytes(&request.group),
            wanted.programme.as_str(),
            wanted.number.as_str(),
            Deployment::as_str(wanted.deployment),
            moment(request.submitted_at),
            bytes(&asked.content_hash()),
            ServiceToken::random().as_str(),
            request.reference,
        );
        for (ordinal, EdgeRoutes { edge, domains }) in (1_u32..).zip(wanted.routes.edges()) {
            let _ = writeln!(self.edges, "{place}\t{ordinal}\t{}", edge.as_str());
            for domain in domains {
                let _ = writeln!(self.routes, "{place}\t{ordinal}\t{}", domain.as_str());
            }
        }
    }

    pub(in super::super) async fn flush(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<(), Error> {
        let requests = "COPY pg_temp.import_request (place, line, grp, programme, number, deployment, provisioned,
            submitted_at, content_hash, token, reference) FROM STDIN";
        copy(connection, requests, &mut self.heads).await?;
        copy(
            connection,
            "COPY pg_temp.import_edge FROM STDIN",
            &mut self.edges,
        )
        .await?;
        copy(
            connection,
            "COPY pg_temp.import_route FROM STDIN",
            &mut self.routes,
        )
        .await
    }
}

/// Sends a block, and empties it.
async fn copy(
    connection: &mut PgConnection,
    command: &'static str,
    block: &mut String,
) -> Result<(), Error> {
    if block.is_empty() {
        return Ok(());
    }
    let mut copy = connection.copy_in_raw(command).await?;
    copy.send(block.as_bytes()).await?;
    copy.finish().await?;
    block.clear();
    Ok(())
}

/// Bytes as COPY reads them: its own backslash, then the one of `bytea`.
fn bytes(bytes: &[u8]) -> String {
    format!("\\\\x{}", HEXLOWER.encode(bytes))
}

fn moment(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "\\N".to_owned(),
        |at| at.to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}
