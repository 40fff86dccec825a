//! A connection of the pool that is held for several statements, and one in a transaction.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use sqlx::{Executor as _, PgConnection};
use tokio::sync::OwnedSemaphorePermit;

use super::idle::{Keep, Live};

/// A connection for several statements. It is given back once every answer has been read; when it
/// is dropped before that it is closed, because its state is unknown.
pub struct Held {
    live: Live,
    keep: Arc<Keep>,
    _room: OwnedSemaphorePermit,
}

impl Held {
    pub(super) fn new(live: Live, keep: Arc<Keep>, room: OwnedSemaphorePermit) -> Self {
        Self {
            live,
            keep,
            _room: room,
        }
    }

    /// Returns the connection to the pool.
    pub fn give_back(self) {
        self.keep.rest(self.live);
    }

    /// Closes this connection and the idle ones, because it was lost.
    pub fn condemn(self) {
        self.keep.lost();
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Deref for Held {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.live.connection
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.live.connection
    }
}

/// A connection in a transaction. When it is dropped its connection is closed, and the server rolls
/// back.
#[derive(Debug)]
pub struct Transaction(Held);

impl Transaction {
    pub(super) fn new(held: Held) -> Self {
        Self(held)
    }

    /// Commits the transaction.
    ///
    /// # Errors
    ///
    /// [`sqlx::Error`]; whether the commit took effect is then unknown.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.0.execute("COMMIT").await?;
        self.0.give_back();
        Ok(())
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    ///
    /// [`sqlx::Error`]; the server rolls back in any case.
    pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.0.execute("ROLLBACK").await?;
        self.0.give_back();
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
