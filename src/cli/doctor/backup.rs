//! Reads when the private PostgreSQL was last backed up.

use std::{fs, path::Path, time::Duration};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::line::Line;
use crate::{
    clock::Clock,
    config::{Config, Source},
    web::when::{between, span},
};

/// The file in the data directory that `pic-portal backup` writes once a backup is complete.
const FILE: &str = "backup.json";
/// A backup that is older is no longer of much use.
const OLD: Duration = Duration::from_hours(7 * 24);

/// The last complete backup.
#[derive(Clone, Debug, Deserialize)]
struct Backup {
    /// When it was made.
    at: DateTime<Utc>,
    /// Its size.
    bytes: u64,
}

/// The last backup of the private PostgreSQL in `dir`; `None`: none is known.
fn last_backup(dir: &Path) -> Option<Backup> {
    serde_json::from_str(&fs::read_to_string(dir.join(FILE)).ok()?).ok()
}

/// The line about backups. Those of a server of the operator's own are the operator's, and not known
/// here.
pub(super) fn line(config: &Config) -> Option<Line> {
    let Source::Private(dir) = &config.source else {
        return None;
    };
    let Some(backup) = last_backup(dir) else {
        return Some(Line::warning(
            "backups",
            "none is known",
            "make one: `pic-portal backup FILE`",
        ));
    };
    let age = between(backup.at, Clock::system().now());
    let says = format!(
        "the last one: {} ago, {} MB",
        span(age),
        backup.bytes / 1_000_000
    );
    Some(if age > OLD {
        Line::warning(
            "backups",
            says,
            "make one with `pic-portal backup FILE`, and let it be made every day",
        )
    } else {
        Line::ok("backups", says)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::doctor::line::Level, config::Given};

    #[test]
    fn a_backup_is_told_by_its_age() {
        let dir = tempfile::tempdir().unwrap();
        let mut given = Given::default();
        given.database.data_dir = Some(dir.path().to_owned());
        let config = given.config().unwrap();
        let level = |file: Option<&str>| {
            if let Some(text) = file {
                fs::write(dir.path().join(FILE), text).unwrap();
            }
            line(&config).unwrap().level
        };
        assert_eq!(level(None), Level::Warning);
        let made = |ago: Duration| {
            let at = (Clock::system().now() - ago).to_rfc3339();
            format!(r#"{{"at": "{at}", "bytes": 1000000, "version": "0.1.0"}}"#)
        };
        assert_eq!(level(Some(&made(Duration::from_hours(1)))), Level::Ok);
        assert_eq!(level(Some(&made(OLD * 2))), Level::Warning);
        assert_eq!(level(Some("half a fi")), Level::Warning);
        given.database.database_url = Some("postgres://db/pic".into());
        assert_eq!(line(&given.config().unwrap()), None);
    }
}
