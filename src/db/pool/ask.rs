//! A statement with its arguments, kept so that it can be sent a second time.

use futures_util::TryStreamExt as _;
use sqlx::{
    Execute, Executor as _, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgStatement},
};

use super::Piece;

/// A statement with its arguments. It has no `Debug`: the arguments are what people typed.
#[derive(Clone)]
pub(super) struct Ask {
    sql: SqlStr,
    /// `None`: sent as a simple query, without being prepared.
    arguments: Option<PgArguments>,
    /// Whether the prepared statement is kept on the connection.
    stays: bool,
}

impl Ask {
    pub(super) fn new<'q>(mut query: impl Execute<'q, Postgres>) -> Result<Self, sqlx::Error> {
        Ok(Self {
            arguments: query.take_arguments().map_err(sqlx::Error::Encode)?,
            stays: query.persistent(),
            sql: query.sql(),
        })
    }

    /// The complete answer, up to the server's message that it is ready again.
    pub(super) async fn of(self, connection: &mut PgConnection) -> Result<Vec<Piece>, sqlx::Error> {
        connection.fetch_many(self).try_collect().await
    }
}

impl Execute<'_, Postgres> for Ask {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.stays
    }
}
