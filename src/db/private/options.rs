//! The options of the private cluster, and the constants that hold for every one.

use std::{io, path::PathBuf};

/// The database role that owns everything in the private cluster.
pub const PORTAL_USER: &str = "portal";
/// The oldest major version of PostgreSQL the portal works with (`docs/configuration.md#database`).
pub const MINIMUM_MAJOR: u32 = 15;
/// Only names the socket file: the server listens on no network address.
pub(super) const PORT: u16 = 5432;

/// What a crash may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was acknowledged.
    Durable,
    /// Everything if the machine crashes, the last commits if the server is killed. For tests:
    /// several times as fast.
    ThrowAway,
}

/// How the cluster is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cluster lives (`PIC_DATA_DIR`); made if it is missing. One portal per directory.
    pub dir: PathBuf,
    /// What a crash may lose.
    pub durability: Durability,
    /// Server settings in addition to the portal's own, each as name and value; they take
    /// precedence.
    pub settings: Vec<(String, String)>,
    /// The only directory to take `postgres` and `initdb` from; `None`: wherever they are found.
    pub bindir: Option<PathBuf>,
}

impl Options {
    /// A durable cluster in `dir`, with the binaries that are found.
    pub fn durable(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Durable,
            settings: Vec::new(),
            bindir: None,
        }
    }

    /// A cluster in `dir` for tests: quick, and gone after a crash of the machine.
    pub fn throw_away(dir: impl Into<PathBuf>) -> Self {
        Self {
            durability: Durability::ThrowAway,
            ..Self::durable(dir)
        }
    }
}

/// The result, with the default value where a file is missing.
pub(super) fn unless_missing<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        other => other,
    }
}
