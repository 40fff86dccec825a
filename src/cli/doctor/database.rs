//! Judges what was read from the database. Without I/O.

use std::time::Duration;

use super::{
    line::{Level, Line},
    store::Seen,
};
use crate::{
    clock::Clock,
    config::Config,
    db::newest,
    retention::{Outcome, Run, wording},
    web::when::span,
};

/// A difference between two clocks up to this is that of two machines that are set right.
const CLOCKS_AGREE: Duration = Duration::from_secs(5);
/// Work that has been due for longer is not being done.
const LAG: f64 = 300.0;

pub(super) fn lines(config: &Config, seen: &Seen) -> Vec<Line> {
    vec![
        writes(config, seen),
        durable(seen),
        schema(seen),
        connections(config, seen),
        clock(seen),
        standbys(seen),
        server_log(seen),
        retention(config, seen),
        instances(seen),
        work(seen),
        accounts(seen),
        gateways(config, seen),
    ]
}

fn writes(config: &Config, seen: &Seen) -> Line {
    match &seen.room {
        Ok(()) => Line::ok(
            "database",
            format!(
                "{}, PostgreSQL {}, takes writes",
                super::settings::source(config),
                seen.health.version
            ),
        ),
        Err(error) => Line::wrong(
            "database",
            format!("it takes nothing new: {error}"),
            "submits are answered 503 until it does: make room, or see PostgreSQL's log",
        ),
    }
}

fn durable(seen: &Seen) -> Line {
    let (fsync, commit) = (&*seen.health.fsync, &*seen.health.synchronous_commit);
    let says = format!("fsync: {fsync}, synchronous_commit: {commit}");
    if fsync == "off" || commit == "off" {
        return Line::warning(
            "durability",
            says,
            "acknowledged requests can be lost in a crash: turn both on, unless it is a throw-away",
        );
    }
    Line::ok("durability", says)
}

fn schema(seen: &Seen) -> Line {
    let (at, known) = (seen.health.schema, newest());
    if at > known {
        return Line::ok(
            "schema",
            format!(
                "{at}: a newer version has migrated it (this one knows {known}), which is allowed"
            ),
        );
    }
    Line::ok("schema", format!("{at}, up to date"))
}

fn connections(config: &Config, seen: &Seen) -> Line {
    let (used, most) = (seen.health.connections, seen.health.most_connections);
    // Each portal has its pool, and one more that listens.
    let portals = i64::try_from(seen.versions.len().max(1)).unwrap_or(i64::MAX);
    let wanted = portals.saturating_mul(i64::from(config.opening.pool) + 1);
    let says = format!(
        "{used} of {most} in use; portals may take {wanted} (PIC_DB_POOL={})",
        config.opening.pool
    );
    if wanted > most {
        return Line::warning(
            "connections",
            says,
            "lower PIC_DB_POOL, or raise max_connections of the server",
        );
    }
    if used * 10 > most * 9 {
        return Line::warning(
            "connections",
            says,
            "few are left: see pg_stat_activity for who has them, or raise max_connections",
        );
    }
    Line::ok("connections", says)
}

fn clock(seen: &Seen) -> Line {
    let apart = (Clock::system().now() - seen.server.now).abs();
    let apart = apart.to_std().unwrap_or_default();
    if apart <= CLOCKS_AGREE {
        return Line::ok("clock", "that of the database agrees with this machine's");
    }
    Line::warning(
        "clock",
        format!(
            "that of the database, which decides, and this machine's differ by {}",
            span(apart)
        ),
        "set both machines' clocks by NTP",
    )
}

fn standbys(seen: &Seen) -> Line {
    let standbys = seen.standbys.connected;
    let says = format!("connected: {standbys}");
    if standbys > 0 && seen.standbys.waited_for_none {
        return Line::warning(
            "standbys",
            format!("{says}, and a commit waits for none (synchronous_standby_names is empty)"),
            "requests that were acknowledged last are lost in a fail-over: set synchronous_standby_names, such as 'ANY 1 (*)'",
        );
    }
    Line::ok("standbys", says)
}

fn server_log(seen: &Seen) -> Line {
    if seen.server.logs.is_empty() {
        return Line::ok("server's log", "has nothing that people typed");
    }
    Line::warning(
        "server's log",
        format!(
            "it may get what people typed: {}",
            seen.server.logs.join(", ")
        ),
        "set them as docs/privacy.md says",
    )
}

fn retention(config: &Config, seen: &Seen) -> Line {
    const SUBJECT: &str = "retention";
    let Some(last) = seen.runs.first() else {
        return Line::ok(
            SUBJECT,
            "no sweep yet: the first is at the start of the portal",
        );
    };
    let ended = |run: &&Run| run.outcome.is_some_and(|it| it != Outcome::Abandoned);
    let said = seen.runs.iter().find(ended).unwrap_or(last);
    let says = format!("the last sweep: {}", wording::outcome(said));
    match said.outcome {
        Some(Outcome::Remains) => Line::warning(
            SUBJECT,
            says,
            "remove it with `pic-portal purge`: the sweeps above name the columns",
        ),
        Some(Outcome::Failed) => Line::warning(
            SUBJECT,
            says,
            "run `pic-portal sweep` once nothing reads legacy_contact any more",
        ),
        _ => {
            let age = (seen.server.now - last.began_at)
                .to_std()
                .unwrap_or_default();
            if age > config.sweep * 3 {
                let says = format!("the last sweep was {} ago", span(age));
                return Line::warning(
                    SUBJECT,
                    says,
                    "run `pic-portal sweep`, and start the portal",
                );
            }
            if !seen.health.legacy_unlogged || !seen.health.legacy_without_statistics {
                return Line::warning(
                    SUBJECT,
                    "legacy_contact was altered: what is in it may get into the write-ahead log, or into statistics",
                    "ALTER TABLE legacy_contact SET UNLOGGED, and SET STATISTICS 0 for its columns",
                );
            }
            Line::ok(SUBJECT, says)
        }
    }
}

fn instances(seen: &Seen) -> Line {
    let mut versions = seen.versions.clone();
    versions.dedup();
    let told = format!(
        "portals that run: {}{}{}",
        seen.versions.len(),
        if versions.is_empty() {
            ""
        } else {
            ", version "
        },
        versions.join(", ")
    );
    match versions.len() {
        0 => Line::warning(
            "portals",
            "none has told of itself within three minutes",
            "start it; if it runs, see its log",
        ),
        1 => Line::ok("portals", told),
        _ => Line::warning(
            "portals",
            told,
            "they differ, which is meant for the time of an upgrade alone",
        ),
    }
}

fn work(seen: &Seen) -> Line {
    let says = format!(
        "pending: {}, overdue: {}",
        seen.gauges.pending, seen.gauges.overdue
    );
    if seen.gauges.lag > LAG {
        let lag = span(Duration::from_secs_f64(seen.gauges.lag));
        return Line::warning(
            "requests",
            format!("{says}; a check has been due for {lag}"),
            "the background task does not keep up: see the log, and whether name servers answer",
        );
    }
    if seen.gauges.overdue > 0 {
        return Line::warning(
            "requests",
            says,
            "/staff shows what holds the overdue ones back",
        );
    }
    Line::ok("requests", says)
}

fn accounts(seen: &Seen) -> Line {
    match seen.accounts {
        0 => Line::warning(
            "accounts",
            "nobody can sign in to the support desk",
            "make an account: `pic-portal staff add NAME`",
        ),
        some => Line::ok("accounts", format!("of the support desk: {some}")),
    }
}

fn gateways(config: &Config, seen: &Seen) -> Line {
    let mut told = Vec::new();
    let mut level = Level::Ok;
    for gateway in &seen.gateways {
        told.push(format!("{}: {}", gateway.name, gateway.state()));
        let since_long =
            gateway.heard_at.is_some() || gateway.unheard_for() > config.gateway_silent;
        if gateway.silent && since_long {
            level = Level::Wrong;
        } else if gateway.heard_at.is_none() || gateway.behind() > 0 {
            level = level.max(Level::Warning);
        }
    }
    let says = told.join("; ");
    match level {
        Level::Ok if says.is_empty() => Line::ok("gateways", "none is registered"),
        Level::Ok => Line::ok("gateways", says),
        Level::Warning => Line::warning(
            "gateways",
            says,
            "if that stays, see the log of the gateway's agent",
        ),
        Level::Wrong => Line::wrong(
            "gateways",
            says,
            "a silent one goes on with old routes: see its agent, and the way from it to the portal; `pic-portal gateway remove NAME` if it is gone for good",
        ),
    }
}
