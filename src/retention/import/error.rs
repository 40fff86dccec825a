//! Defines the steps that an import tells, and why nothing was imported.

use std::{io, path::PathBuf};

use super::row::Problems;
use crate::db;

/// A step on the way, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes of the file read, of how many.
    Reading(u64, u64),
    /// Requests compared with what is stored, of how many.
    Looking(usize, usize),
    /// Requests stored, of how many.
    Storing(usize, usize),
    /// Routes coming into force.
    Routes,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}: {}", file.display(), fault.kind())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        fault: io::Error,
    },
    /// Lines are wrong.
    #[error("the file is not right.\n{0}")]
    Lines(Problems),
    /// The keys file cannot be written.
    #[error(
        "cannot write the management keys to {}: {}. Nothing was imported. Name another file with --keys; keep one that is there until an import says that it stored its requests or that they had been imported before", file.display(), fault.kind()
    )]
    Keys {
        /// The file.
        file: PathBuf,
        /// What the system says.
        fault: io::Error,
    },
    /// A request of the file was stored, or a domain of it came into force, in the meantime.
    #[error(
        "a request of the file was imported, or a SIP domain of it came into force under another service, in this moment. Nothing was imported: run this again, and it says at which line"
    )]
    Meanwhile,
    /// The connection was lost in the very end.
    #[error(
        "the database did not say whether it stored the file ({fault}). Keep {} and run this again with another --keys. If that says that the requests had been imported before, the keys in the first file are right; if it brings them over, those in the new file are, and the first opens nothing", keys.display()
    )]
    Unsure {
        /// What went wrong.
        fault: db::Error,
        /// The file with the keys.
        keys: PathBuf,
    },
    /// The database is away, or refuses.
    #[error("nothing was imported: {0}")]
    Database(#[from] db::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
