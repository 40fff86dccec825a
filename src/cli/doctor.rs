//! The command `doctor`: prints whether the database is sound and the retention rule is kept.

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, reach, say};
use crate::{
    config::Config,
    db::{self, newest},
    gateway::store::{self as gateways, Gateway},
    names::Fqdn,
    readiness::Mode,
    retention::{
        KEPT, RULE, Run,
        health::{self, Health},
        store,
        wording::{self, Terms},
    },
};

/// Where administrators are to act and cannot know how.
const NO_PROXY: &str = "  warning: PIC_PROXY_FQDN is not set: the pages tell administrators to ask for the server that they have to add";

/// How many sweeps are printed.
const RUNS: u32 = 10;

#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Doctor {
    /// Print one JSON object, for machines
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Prints the rule, what is kept, the last sweeps, and the state of the database.
    ///
    /// # Errors
    ///
    /// [`Failure`] when the database cannot be reached or read, or takes no writes.
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let reached = reach::database(&config).await?;
        let pool = &reached.db.pool;
        let seen = async {
            Ok((
                store::last_runs(pool, RUNS).await?,
                health::health(pool).await?,
                gateways::list(pool).await?,
                db::room(pool).await,
            ))
        };
        let seen: Result<_, db::Error> = seen.await;
        reached.close().await?;
        let (runs, health, gateways, room) =
            seen.map_err(|error| Failure::Sweep(format!("the database cannot be read: {error}")))?;
        let terms = Terms {
            sweep: config.sweep,
            expiry: config.clocks.expiry,
        };
        if self.json {
            let mut report = wording::report(terms, &runs, true);
            report["database"] = machine(&health, config.opening.pool);
            report["gateways"] = gateways.iter().map(of_gateway).collect();
            report["database"]["takes_writes"] = room.is_ok().into();
            report["settings"] = json!({
                "checks": config.checks.as_str(),
                "proof": config.proof.as_str(),
                "proxy_fqdn": config.about.proxy.as_ref().map(Fqdn::as_str),
            });
            say(&report.to_string());
        } else {
            say(&text(terms, &runs, &health, config.opening.pool));
            if !gateways.is_empty() {
                say("\nThe gateways");
            }
            for gateway in &gateways {
                say(&format!("  {}: {}", gateway.name, gateway.state()));
            }
            say(&format!(
                "\nThe settings, as given to this command\n  readiness checks: {}; proof of ownership: {}",
                config.checks.as_str(),
                config.proof.as_str()
            ));
            if config.checks == Mode::Enforce && config.about.proxy.is_none() {
                say(NO_PROXY);
            }
        }
        room.map_err(|error| {
            Failure::Sweep(format!(
                "the database takes nothing new: {error}. Submits are answered 503 until it does"
            ))
        })
    }
}

fn of_gateway(gateway: &Gateway) -> Value {
    json!({
        "name": gateway.name,
        "silent": gateway.silent,
        "serial": gateway.serial,
        "behind": gateway.behind(),
        "heard_at": gateway.heard_at,
    })
}

fn machine(health: &Health, pool: u32) -> Value {
    json!({
        "version": health.version,
        "fsync": health.fsync,
        "synchronous_commit": health.synchronous_commit,
        "schema": health.schema,
        "newest_schema": newest(),
        "pool": pool,
        "connections": { "used": health.connections, "most": health.most_connections },
        "bytes": health.bytes,
        "legacy_contact": {
            "bytes": health.legacy_bytes,
            "unlogged": health.legacy_unlogged,
            "without_statistics": health.legacy_without_statistics,
        },
    })
}

fn text(terms: Terms, runs: &[Run], health: &Health, pool: u32) -> String {
    let yes = |is: bool| if is { "yes" } else { "NO" };
    let mut lines = vec![
        RULE.to_owned(),
        String::new(),
        "What is kept, and how long".into(),
    ];
    lines.extend(
        KEPT.iter()
            .map(|kept| format!("  {}: {}", kept.what, wording::how_long(kept.until, terms))),
    );
    lines.extend([String::new(), "The last sweeps, newest first".into()]);
    if runs.is_empty() {
        lines.push("  none yet".into());
    }
    for run in runs {
        let began = run.began_at.format("%Y-%m-%d %H:%M:%S UTC");
        lines.push(format!(
            "  {began}, {}: {}",
            wording::cause(run.cause),
            wording::outcome(run)
        ));
        if !run.removed.is_empty() {
            lines.push(format!("    removed: {}", wording::removed(run)));
        }
        lines.extend(
            run.looked
                .suspects
                .iter()
                .map(|suspect| format!("    looks like contact information: {suspect}")),
        );
    }
    lines.extend([
        String::new(),
        "The database".into(),
        format!(
            "  PostgreSQL {}, {} MB",
            health.version,
            health.bytes / 1_000_000
        ),
        format!(
            "  fsync: {}, synchronous_commit: {}",
            health.fsync, health.synchronous_commit
        ),
        format!("  schema: {} of {}", health.schema, newest()),
        format!(
            "  connections: {} of {}; this portal's pool: {pool}",
            health.connections, health.most_connections
        ),
        format!(
            "  legacy_contact: {} bytes; unlogged: {}; without statistics: {}",
            health.legacy_bytes,
            yes(health.legacy_unlogged),
            yes(health.legacy_without_statistics)
        ),
    ]);
    lines.join("\n")
}
