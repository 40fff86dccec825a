//! Sets the clock of the demonstration's database.

use sqlx::AssertSqlSafe;

use crate::db::{self, PgPool};

/// Sets what the database takes for the present: so many seconds ago.
pub(super) async fn set_back(pool: &PgPool, seconds: i64) -> Result<(), db::Error> {
    let clock = format!(
        "CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE \
         RETURN clock_timestamp() - interval '{seconds} seconds'"
    );
    sqlx::raw_sql(AssertSqlSafe(clock)).execute(pool).await?;
    Ok(())
}
