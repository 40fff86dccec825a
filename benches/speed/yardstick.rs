//! `pgbench` that submits by the portal's own statement: the yardstick of P1.

use sqlx::{PgPool, postgres::PgConnectOptions};

use super::{Bench, figures::figure, pgbench::Plan, statements::submit_script};

/// A database that `pgbench` submits to.
pub(crate) struct Yardstick<'a> {
    bench: &'a Bench,
    options: PgConnectOptions,
    pool: PgPool,
    /// How many requests it has.
    stored: usize,
}

impl<'a> Yardstick<'a> {
    /// An empty database of this name.
    pub(crate) async fn on(bench: &'a Bench, database: &str) -> Self {
        Self {
            bench,
            options: bench.server.database(database).await,
            pool: bench.pool(database).await,
            stored: 0,
        }
    }

    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    /// Requests stored a second, `members` by each call.
    pub(crate) async fn rate(
        &mut self,
        members: usize,
        connections: usize,
        seconds: (u32, u32),
    ) -> f64 {
        let plan = Plan {
            script: &submit_script(members),
            connections,
            seconds: self.bench.seconds(seconds.0, seconds.1),
            rate: None,
        };
        let told = self.bench.pgbench.run(&self.options, plan).await;
        self.stored += told.all * members;
        assert_whole(&self.pool, self.stored).await;
        told.rate * figure(members)
    }
}

/// Checks that the yardstick did the same work: each request is complete.
async fn assert_whole(pool: &PgPool, requests: usize) {
    let stored: Vec<i64> = sqlx::query_scalar(
        "SELECT ARRAY[(SELECT count(*) FROM request), (SELECT count(*) FROM service), (SELECT count(*) FROM work),
                      (SELECT count(*) FROM request_edge), (SELECT count(*) FROM request_route) / 2]",
    )
    .fetch_one(pool)
    .await
    .expect("numbers");
    let requests = i64::try_from(requests).expect("few");
    assert_eq!(stored, [requests; 5], "what the yardstick stored");
}
