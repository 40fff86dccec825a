//! The errors of the database, without any value in them, and in words that say what is wrong.

use std::{fmt, io::ErrorKind};

use crate::column::Unreadable;

/// How the standard library begins the error of a name that does not resolve.
const NO_SUCH_NAME: &str = "failed to lookup address";

/// Servers answered, and none of them takes writes.
#[derive(Debug, thiserror::Error)]
#[error("no server of DATABASE_URL takes writes")]
pub(super) struct NoneTakesWrites;

/// An invalid row. It names where the row is, and none of the values in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("impossible value in {table}.{column}, row {id:?}")]
pub struct InvalidRow {
    /// Name of the table.
    pub table: &'static str,
    /// Name of the column.
    pub column: &'static str,
    /// Number of the row, where known.
    pub id: Option<i64>,
}

/// Why a database call failed. `Display` and `Debug` name codes and constraints, never a value:
/// what a person typed must not get into a log.
#[derive(Clone, thiserror::Error)]
pub enum Error {
    /// The database is unreachable, overloaded or read-only; the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(Fault),
    /// Another transaction changed the same rows at the same time; nothing was changed, so the call
    /// can be retried.
    #[error("the database asks to try again: {0}")]
    Conflict(Fault),
    /// The database refused the statement; a retry would be refused too.
    #[error("the database refused: {0}")]
    Refused(Fault),
    /// The database holds an invalid row.
    #[error(transparent)]
    InvalidRow(#[from] InvalidRow),
    /// A column of an answer holds what its type does not allow.
    #[error("impossible value in column {column} of an answer: {fault}")]
    Unreadable {
        /// Its name, or its place in the answer from 0.
        column: String,
        /// What it should be.
        fault: Unreadable,
    },
}

impl Error {
    /// Whether the constraint of this name was broken.
    #[must_use]
    pub fn breaks(&self, name: &str) -> bool {
        matches!(self, Self::Refused(Fault::Answer { constraint: Some(broken), .. }) if broken == name)
    }

    /// Whether a part of the batch may be at fault, so that the rest may succeed without it: true
    /// unless the cause is a concurrent change of the same rows, or an unreachable or overloaded
    /// database.
    #[must_use]
    pub fn may_be_a_part(&self) -> bool {
        match self {
            Self::Refused(_) | Self::InvalidRow(_) | Self::Unreadable { .. } => true,
            Self::Conflict(_) => false,
            Self::Unavailable(_) => self.took_too_long(),
        }
    }

    /// Whether the statement was cancelled because it took too long.
    #[must_use]
    pub fn took_too_long(&self) -> bool {
        match self {
            Self::Unavailable(Fault::Answer { code, .. }) => code == "57014",
            Self::Unavailable(Fault::Connection(kind)) => *kind == ErrorKind::TimedOut,
            _ => false,
        }
    }

    /// Whether the server's disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.sqlstate() == "53100"
    }

    /// PostgreSQL's error code (SQLSTATE, five characters); empty where there is none.
    #[must_use]
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Unavailable(Fault::Answer { code, .. })
            | Self::Conflict(Fault::Answer { code, .. })
            | Self::Refused(Fault::Answer { code, .. }) => code,
            _ => "",
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known of a database error, without any value in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// PostgreSQL answered with an error.
    #[error("SQLSTATE {code}{}{}{}", of_code(code), if constraint.is_some() { ", constraint " } else { "" }, constraint.as_deref().unwrap_or_default())]
    Answer {
        /// The SQLSTATE, five characters.
        code: String,
        /// Name of the constraint, where one was broken.
        constraint: Option<String>,
    },
    /// The connection failed.
    #[error("{0}{words}", words = of_kind(*.0))]
    Connection(ErrorKind),
    /// No connection became free in time.
    #[error("no connection became free in time")]
    Busy,
    /// The client library failed.
    #[error("{0}")]
    Client(&'static str),
}

/// What PostgreSQL's code says, where an operator meets it.
fn of_code(code: &str) -> &'static str {
    match code {
        "08P01" => {
            " (the protocol was not kept: PgBouncer needs ignore_startup_parameters = extra_float_digits)"
        }
        "25006" => " (the server only reads)",
        "28000" => {
            " (the server does not let this role in: see its pg_hba.conf, and that the role has LOGIN)"
        }
        "28P01" => " (the password is wrong)",
        "3D000" => " (there is no database of this name)",
        "3F000" | "42P01" => " (a schema or table is missing)",
        "42501" => " (the role lacks a right)",
        "42P05" | "26000" => {
            " (a pooler mixed up prepared statements: PgBouncer must be 1.21 or later)"
        }
        "53100" => " (the server's disk is full)",
        "53200" => " (the server is out of memory)",
        "53300" => " (the server has no room for another connection)",
        "55P03" => " (a lock was held for too long)",
        "57014" => " (it took too long, and was cancelled)",
        "57P01" | "57P02" => " (the server is being stopped)",
        "57P03" => " (the server is starting or stopping)",
        _ => "",
    }
}

/// What the operating system's error means for a connection to PostgreSQL, where its own words do
/// not say it.
fn of_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => " (there is no such socket, or no such file of certificates)",
        ErrorKind::InvalidData => {
            " (TLS: the server's certificate is not one of an authority that is trusted, or names another host)"
        }
        ErrorKind::ConnectionRefused => " (nothing listens there)",
        _ => "",
    }
}

impl Fault {
    /// Whether the connection was lost, or led to a server that became read-only after a
    /// switch-over: on a new connection the same call may succeed at once.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Connection(kind) => *kind != ErrorKind::TimedOut,
            Self::Answer { code, .. } => {
                code == "25006" || code.starts_with("57P") || code.starts_with("08")
            }
            Self::Busy | Self::Client(_) => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(answer) => {
                let code = answer.code().unwrap_or_default().into_owned();
                let fault = Fault::Answer {
                    constraint: answer.constraint().map(str::to_owned),
                    code: code.clone(),
                };
                match code.as_str() {
                    "40001" | "40P01" => Self::Conflict(fault),
                    // Cancelled or timed out, read-only after a switch-over.
                    "57014" | "25006" | "55P03" => Self::Unavailable(fault),
                    code => match &code[..code.len().min(2)] {
                        // Connection, the login (a password that was changed, a role that may not
                        // log in), the name of the database, resources, operator intervention.
                        "08" | "28" | "3D" | "53" | "57" => Self::Unavailable(fault),
                        _ => Self::Refused(fault),
                    },
                }
            }
            // The kind says nothing (`uncategorized error`), and the text has no name in it.
            E::Io(io) if io.to_string().starts_with(NO_SUCH_NAME) => {
                Self::Unavailable(Fault::Client("the name of the server cannot be resolved"))
            }
            E::Io(io) => Self::Unavailable(Fault::Connection(io.kind())),
            E::AnyDriverError(error) if error.is::<NoneTakesWrites>() => Self::Unavailable(
                Fault::Client("no server of DATABASE_URL takes writes (is none the primary?)"),
            ),
            E::Tls(_) => Self::Unavailable(Fault::Client(
                "TLS failed (does the server offer it, and are the files of certificates right?)",
            )),
            E::PoolTimedOut => Self::Unavailable(Fault::Busy),
            E::PoolClosed => Self::Unavailable(Fault::Client("the pool is closed")),
            E::WorkerCrashed => Self::Unavailable(Fault::Client("a worker crashed")),
            E::Protocol(_) => Self::Unavailable(Fault::Client(
                "the connection ended in the middle of an answer (a proxy without a server behind it?)",
            )),
            E::RowNotFound => Self::Refused(Fault::Client("a row is missing")),
            E::ColumnDecode { index, source } => Self::Unreadable {
                column: index.trim_matches('"').to_owned(),
                fault: source
                    .downcast_ref()
                    .copied()
                    .unwrap_or(Unreadable("value of the column's type")),
            },
            E::Decode(_) | E::ColumnNotFound(_) | E::TypeNotFound { .. } => {
                Self::Refused(Fault::Client("a row could not be read"))
            }
            _ => Self::Refused(Fault::Client("the client library failed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: sqlx::Error) -> String {
        Error::from(error).to_string()
    }

    #[test]
    fn what_an_operator_meets_is_said_in_words() {
        let answer = |code: &str| Fault::Answer {
            code: code.into(),
            constraint: None,
        };
        assert_eq!(
            answer("28P01").to_string(),
            "SQLSTATE 28P01 (the password is wrong)"
        );
        assert_eq!(answer("XX000").to_string(), "SQLSTATE XX000");
        let io = |kind: ErrorKind| told(sqlx::Error::Io(kind.into()));
        assert!(io(ErrorKind::InvalidData).contains("certificate"));
        assert!(io(ErrorKind::ConnectionRefused).contains("connection refused"));
        let unknown = std::io::Error::other(
            "failed to lookup address information: Name or service not known",
        );
        assert!(told(sqlx::Error::Io(unknown)).contains("cannot be resolved"));
        assert!(told(sqlx::Error::Protocol(String::new())).contains("in the middle of an answer"));
    }
}
