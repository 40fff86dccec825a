//! The reasons why a backup or a restore failed, with what to do about each.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::db::{self, OpenError, private::StartError};

/// Why a backup or a restore failed. Each text is one line: what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be made, or be read.
    #[error("cannot use {}: {fault}{}", file.display(), hint(fault))]
    File {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        fault: io::Error,
    },
    /// The database cannot be reached or read.
    #[error("the database: {0}")]
    Database(#[from] db::Error),
    /// One of PostgreSQL's programs failed.
    #[error("{0} failed; it says: {1}")]
    Program(String, String),
    /// PostgreSQL's programs are missing, or the throw-away server does not start.
    #[error(transparent)]
    Server(#[from] StartError),
    /// The restored copy cannot be used by this version of the portal.
    #[error("the backup was restored for a check, and cannot be used: {0}")]
    Copy(#[from] OpenError),
    /// The restored copy could not be searched for contact information.
    #[error(
        "the backup was restored for a check, and could not be searched for contact information: {0}"
    )]
    Unsearched(String),
    /// The restored copy is not what was backed up.
    #[error(
        "the backup was restored for a check, and table {0} is not what the database holds: the backup was thrown away"
    )]
    Differs(String),
    /// The database has none of the portal's tables.
    #[error(
        "the portal's tables are not in this database, so there is nothing to back up. Is DATABASE_URL or PIC_DATA_DIR right?"
    )]
    NoPortal,
    /// The database is not empty.
    #[error(
        "the database is not empty (table {0} is in it), and a restore replaces nothing. Make an empty one (CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0) and name it by DATABASE_URL; for the private PostgreSQL stop the portal, and name a new directory by PIC_DATA_DIR or move `pgdata` out of it"
    )]
    NotEmpty(String),
    /// The operating system refused something basic.
    #[error("the operating system refused: {0}")]
    System(#[from] io::Error),
}

impl Error {
    /// The error of a file, for `map_err`.
    pub(super) fn of(file: &Path) -> impl FnOnce(io::Error) -> Self + Copy {
        move |fault| Self::File {
            file: file.to_owned(),
            fault,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

fn hint(fault: &io::Error) -> &'static str {
    match fault.kind() {
        io::ErrorKind::AlreadyExists => ". No file is overwritten: name another",
        _ => "",
    }
}
