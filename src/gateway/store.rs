//! Stores gateways and what is published to them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{EXPIRES, GatewayName, GatewayToken, MOST_CHANGES, Version};
use crate::db::{self, Fault, PgPool, interval};

/// A gateway and what it has loaded.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it last asked; `None`: never.
    pub heard_at: Option<DateTime<Utc>>,
    /// Whether it has not asked for `PIC_GATEWAY_SILENT`.
    pub silent: bool,
    /// The publication that it has loaded; `None`: none that is known.
    pub serial: Option<i64>,
    /// Since when it has that.
    pub loaded_at: Option<DateTime<Utc>>,
    /// The newest publication.
    pub head: i64,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

impl Gateway {
    /// How many publications came after the one that it has; all, if it has none.
    #[must_use]
    pub fn behind(&self) -> i64 {
        self.head - self.serial.unwrap_or(0)
    }

    /// What it has loaded and when it was heard of, in a line for a terminal.
    #[must_use]
    pub fn state(&self) -> String {
        let Some(heard_at) = self.heard_at else {
            return "not heard yet".into();
        };
        let heard = format!("heard {}", heard_at.format("%Y-%m-%d %H:%M:%S UTC"));
        let silent = if self.silent { "SILENT, " } else { "" };
        match self.serial {
            None => format!("{silent}has loaded nothing that is known, {heard}"),
            Some(serial) => format!(
                "{silent}has loaded {serial}, behind by {}, {heard}",
                self.behind()
            ),
        }
    }

    /// How long ago it was last heard of, or registered.
    #[must_use]
    pub fn unheard_for(&self) -> Duration {
        let since = self.heard_at.unwrap_or(self.created_at);
        (self.now - since).to_std().unwrap_or_default()
    }
}

/// Registers a gateway. `false`: the name is in use.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn add(
    pool: &PgPool,
    name: &GatewayName,
    token: &GatewayToken,
    silent_after: Duration,
) -> Result<bool, db::Error> {
    let added = sqlx::query_scalar!(
        r#"SELECT pic_add_gateway($1, $2::bytea, $3) AS "added!""#,
        name.as_str(),
        &token.hash(),
        interval(silent_after),
    )
    .fetch_one(pool)
    .await?;
    Ok(added)
}

/// Replaces the token of a gateway. `false`: there is none of this name.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn replace_token(
    pool: &PgPool,
    name: &GatewayName,
    token: &GatewayToken,
) -> Result<bool, db::Error> {
    let done = sqlx::query!(
        "UPDATE gateway SET token_hash = $2::bytea WHERE name = $1",
        name.as_str(),
        &token.hash(),
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets a gateway. `false`: there is none of this name.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn remove(pool: &PgPool, name: &GatewayName) -> Result<bool, db::Error> {
    let done = sqlx::query!("DELETE FROM gateway WHERE name = $1", name.as_str())
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// All gateways, by name.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn list(pool: &PgPool) -> Result<Vec<Gateway>, db::Error> {
    Ok(sqlx::query_as!(
        Gateway,
        r#"SELECT name, created_at, heard_at, silent, serial, loaded_at,
                  (SELECT max(p.serial) FROM publication p) AS "head!", pic_now() AS "now!"
           FROM gateway ORDER BY name"#
    )
    .fetch_all(pool.retrying())
    .await?)
}

/// What a turn of the publisher came to.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The newest publication; `None`: there is no gateway.
    pub head: Option<Version>,
    /// Whether there is anything new for those who look.
    pub news: bool,
    /// Whether there is more to tell.
    pub again: bool,
}

/// Publishes what has changed; gateways that have not asked for `silent_after` are silent. `fresh`: a
/// publication is made whether anything has changed or not.
///
/// # Errors
///
/// [`db::Error`]; then nothing changed.
pub async fn publish(
    pool: &PgPool,
    silent_after: Duration,
    fresh: bool,
) -> Result<Turn, db::Error> {
    let row = sqlx::query!(
        r#"SELECT head, head_epoch, news AS "news!", again AS "again!" FROM pic_publish($1, $2)"#,
        interval(silent_after),
        fresh,
    )
    .fetch_one(pool)
    .await?;
    let version = |(serial, epoch)| Version { epoch, serial };
    Ok(Turn {
        head: row.head.zip(row.head_epoch).map(version),
        news: row.news,
        again: row.again,
    })
}

/// A gateway that asks, and what it may have.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Whether what it asks from is a publication of this database.
    pub known: bool,
    /// Whether it was silent before, or has loaded something else than before.
    pub news: bool,
    /// The newest publication.
    pub head: Version,
}

/// Notes that the gateway with this token asks from `has`, which is what it has loaded. `None`: there
/// is no such gateway.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn hear(
    pool: &PgPool,
    token: &GatewayToken,
    has: Option<&Version>,
) -> Result<Option<Heard>, db::Error> {
    let row = sqlx::query!(
        r#"SELECT known AS "known!", news AS "news!", p.serial AS "serial!", p.epoch AS "epoch!"
           FROM pic_hear_gateway($1::bytea, NULL, $2, $3),
                LATERAL (SELECT serial, epoch FROM publication ORDER BY serial DESC LIMIT 1) p
           WHERE known_as IS NOT NULL"#,
        &token.hash(),
        has.map(|version| version.epoch.as_str()),
        has.map(|version| version.serial),
    )
    .fetch_optional(pool.retrying())
    .await?;
    Ok(row.map(|row| Heard {
        known: row.known,
        news: row.news,
        head: Version {
            epoch: row.epoch,
            serial: row.serial,
        },
    }))
}

/// All routes of one publication, by domain.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The publication.
    pub version: Version,
    /// Until when it is good.
    pub expires: DateTime<Utc>,
    /// SIP domain and Access Edge FQDN of each.
    pub routes: Vec<(String, String)>,
}

/// The newest publication, read at one moment.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable, or a route is missing.
pub async fn whole(pool: &PgPool) -> Result<Whole, db::Error> {
    let row = sqlx::query!(
        r#"SELECT h.serial, h.epoch, h.at, h.routes,
                  ARRAY(SELECT sip_domain::text FROM published WHERE access_edge IS NOT NULL ORDER BY published.sip_domain)
                      AS "domains!: Vec<String>",
                  ARRAY(SELECT access_edge::text FROM published WHERE access_edge IS NOT NULL ORDER BY published.sip_domain)
                      AS "edges!: Vec<String>"
           FROM publication h ORDER BY h.serial DESC LIMIT 1"#
    )
    .fetch_one(pool.retrying())
    .await?;
    let routes: Vec<_> = row.domains.into_iter().zip(row.edges).collect();
    if i32::try_from(routes.len()).ok() != Some(row.routes) {
        return Err(db::Error::Refused(Fault::Client(
            "the published routes are not whole",
        )));
    }
    Ok(Whole {
        version: Version {
            epoch: row.epoch,
            serial: row.serial,
        },
        expires: row.at + EXPIRES,
        routes,
    })
}

/// What differs between two publications.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The later publication.
    pub version: Version,
    /// Until when it is good.
    pub expires: DateTime<Utc>,
    /// How many routes there are then; `None`: there are more changes after these.
    pub count: Option<i32>,
    /// Domains that have a new or another Access Edge FQDN, or none any more.
    pub routes: Vec<(String, Option<String>)>,
}

/// What has changed since the publication `since`, whole publications, up to [`MOST_CHANGES`] routes.
/// `None`: only the whole set tells, as one publication in between has more.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn changes(pool: &PgPool, since: i64) -> Result<Option<Changes>, db::Error> {
    let most = i64::try_from(MOST_CHANGES).unwrap_or(i64::MAX);
    let rows = sqlx::query!(
        r#"SELECT h.serial AS "head!", h.epoch AS "head_epoch!", h.at AS "at!", h.routes AS "head_routes!",
                  c.sip_domain::text AS "sip_domain?", c.access_edge::text AS "access_edge?",
                  c.serial AS "serial?", q.epoch AS "epoch?"
           FROM (SELECT * FROM publication ORDER BY serial DESC LIMIT 1) h
           LEFT JOIN (SELECT * FROM published WHERE serial > $1 ORDER BY serial LIMIT $2::bigint + 1) c ON true
           LEFT JOIN publication q ON q.serial = c.serial
           WHERE NOT EXISTS (SELECT FROM publication WHERE serial > $1 AND changes > $2::bigint)
           ORDER BY c.serial, c.sip_domain"#,
        since,
        most,
    )
    .fetch_all(pool.retrying())
    .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut version = Version {
        epoch: first.head_epoch.clone(),
        serial: first.head,
    };
    let expires = first.at + EXPIRES;
    let mut count = Some(first.head_routes);
    if rows.len() > MOST_CHANGES {
        // The last publication may not be here as a whole.
        let cut = rows.last().and_then(|row| row.serial).unwrap_or_default();
        let last = rows
            .iter()
            .rev()
            .find(|row| row.serial.is_some_and(|it| it < cut));
        let Some((serial, epoch)) = last.and_then(|row| row.serial.zip(row.epoch.clone())) else {
            return Ok(None);
        };
        version = Version { epoch, serial };
        count = None;
    }
    let until = version.serial;
    let mut routes = Vec::with_capacity(rows.len());
    for row in rows {
        if let (Some(domain), Some(serial)) = (row.sip_domain, row.serial)
            && serial <= until
        {
            routes.push((domain, row.access_edge));
        }
    }
    Ok(Some(Changes {
        version,
        expires,
        count,
        routes,
    }))
}
