//! Prints the rule of what is kept, the last sweeps, and numbers of the database.

use serde_json::{Value, json};

use super::store::Seen;
use crate::{
    config::Config,
    db::newest,
    gateway::store::Gateway,
    names::Fqdn,
    retention::{
        KEPT, RULE,
        health::Health,
        wording::{self, Terms},
    },
};

fn terms(config: &Config) -> Terms {
    Terms {
        sweep: config.sweep,
        expiry: config.clocks.expiry,
    }
}

/// All of it, for machines.
pub(super) fn machine(config: &Config, seen: &Seen) -> Value {
    let mut report = wording::report(terms(config), &seen.runs, true);
    report["database"] = of_database(&seen.health, config.opening.pool);
    report["gateways"] = seen.gateways.iter().map(of_gateway).collect();
    report["database"]["takes_writes"] = seen.room.is_ok().into();
    report["settings"] = json!({
        "checks": config.checks.as_str(),
        "proof": config.proof.as_str(),
        "proxy_fqdn": config.about.proxy.as_ref().map(Fqdn::as_str),
    });
    report
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

fn of_database(health: &Health, pool: u32) -> Value {
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

/// All of it, for a terminal.
pub(super) fn text(config: &Config, seen: &Seen) -> String {
    let (terms, runs, health) = (terms(config), &seen.runs, &seen.health);
    let pool = config.opening.pool;
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
