//! Checks the retention rule: nothing of an older system stays, and what is no longer kept is
//! deleted.

mod backups;
mod emptying;
mod forgetting;
mod looking;
mod numbers;
mod pages;
mod refusing;
mod turns;

use std::time::Duration;

use pic_portal::db::PgPool;
use pic_portal::retention::{Cause, Run, sweep::Sweeper};
use tokio_util::sync::CancellationToken;

use crate::support::{app::TestApp, sql};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A sweeper as in a process of its own.
fn sweeper(pool: &PgPool) -> Sweeper {
    Sweeper::new(pool.clone(), HOUR, CancellationToken::new())
}

/// Sweeps as the command does.
pub(crate) async fn sweep(portal: &TestApp) -> Run {
    let swept = sweeper(portal.pool()).sweep(Cause::Hand).await;
    swept.unwrap().expect("it is done")
}

/// Plants `rows` contact rows that contain `mark`.
pub(crate) async fn plant(pool: &PgPool, mark: &str, rows: i64) {
    sqlx::query(
        "INSERT INTO legacy_contact (email, name, phone, source)
         SELECT $1 || n || '@aviary.example', $1 || ' Canary', '+44 20 7946 ' || n, $1 FROM generate_series(1, $2) AS n",
    )
    .bind(mark)
    .bind(rows)
    .execute(pool)
    .await
    .unwrap();
}

/// The size of `legacy_contact` on disk, in bytes.
async fn bytes(pool: &PgPool) -> i64 {
    sql::one(pool, "SELECT pg_total_relation_size('legacy_contact') - pg_indexes_size(reltoastrelid) FROM pg_class WHERE oid = 'legacy_contact'::regclass").await
}
