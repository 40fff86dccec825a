//! Reads what the doctor judges of the database, and changes nothing in it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    db::{self, PgPool, Standbys},
    gateway::store::{self as gateways, Gateway},
    names::AccessEdge,
    retention::{
        Run,
        health::{self, Health},
        store as retention,
    },
    staff::{
        overview::store::gauges::{Gauges, gauges},
        store as staff,
    },
};

/// How many sweeps are read.
const RUNS: u32 = 10;
/// How many Access Edges are tried.
const EDGES: i64 = 3;
/// How long the numbers that are counted may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) runs: Vec<Run>,
    pub(super) health: Health,
    pub(super) gateways: Vec<Gateway>,
    pub(super) gauges: Gauges,
    /// Accounts of the support desk that can be used.
    pub(super) accounts: usize,
    /// The versions of the portals that have told of themselves within three minutes.
    pub(super) versions: Vec<String>,
    /// Access Edges of the newest routes in force.
    pub(super) edges: Vec<AccessEdge>,
    /// Why the database takes nothing new, if so.
    pub(super) room: Result<(), db::Error>,
    pub(super) server: Server,
    pub(super) standbys: Standbys,
}

/// What is set on the server, and what depends on it.
#[derive(Debug)]
pub(super) struct Server {
    /// Its time.
    pub(super) now: DateTime<Utc>,
    /// The settings with which its log may have what people typed.
    pub(super) logs: Vec<String>,
}

/// Reads it all.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub(super) async fn read(pool: &PgPool, promise: Duration) -> Result<Seen, db::Error> {
    let accounts = staff::list(pool).await?;
    Ok(Seen {
        server: server(pool).await?,
        standbys: db::standbys(pool).await?,
        runs: retention::last_runs(pool, RUNS).await?,
        health: health::health(pool).await?,
        gateways: gateways::list(pool).await?,
        gauges: gauges(pool, promise, PATIENCE).await?,
        accounts: accounts
            .iter()
            .filter(|it| it.disabled_at.is_none())
            .count(),
        versions: versions(pool).await?,
        edges: edges(pool).await?,
        room: db::room(pool).await,
    })
}

async fn server(pool: &PgPool) -> Result<Server, db::Error> {
    let server = sqlx::query_as!(
        Server,
        r#"SELECT pic_now() AS "now!",
                  (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM pg_settings
                   WHERE name = 'log_error_verbosity' AND setting <> 'terse'
                      OR name = 'log_min_error_statement' AND setting <> 'panic'
                      OR name = 'log_statement' AND setting <> 'none'
                      OR name = 'log_min_duration_statement' AND setting <> '-1'
                      OR name = 'log_parameter_max_length_on_error' AND setting <> '0') AS "logs!""#
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(server)
}

async fn versions(pool: &PgPool) -> Result<Vec<String>, db::Error> {
    let versions = sqlx::query_scalar!(
        "SELECT version FROM instance WHERE seen_at > pic_now() - interval '3 minutes' ORDER BY version"
    );
    Ok(versions.fetch_all(pool.retrying()).await?)
}

async fn edges(pool: &PgPool) -> Result<Vec<AccessEdge>, db::Error> {
    // Few are looked at, however many there are.
    let edges = sqlx::query_scalar!(
        r#"SELECT DISTINCT access_edge AS "edge!: AccessEdge" FROM (
               SELECT access_edge FROM route LIMIT 1000) AS routes LIMIT $1"#,
        EDGES
    );
    Ok(edges.fetch_all(pool.retrying()).await?)
}
