//! Stores gateways and what is published to them.

use std::{collections::BTreeMap, iter, time::Duration};

use chrono::{DateTime, Utc};

use super::{EXPIRES, GatewayName, GatewayToken, MOST_CHANGES, Version};
use crate::db::{self, Fault, PgPool, batcher::BatchLoad, interval};

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
) -> Result<bool, db::Error> {
    let added = sqlx::query_scalar!(
        r#"SELECT pic_add_gateway($1, $2::bytea) AS "added!""#,
        name.as_str(),
        &token.hash(),
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
    /// All of its routes, where they were asked for.
    pub whole: Option<Whole>,
    /// Whether there is anything new for those who look.
    pub news: bool,
    /// Whether there is more to tell.
    pub again: bool,
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

/// Why there is a turn of the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Something may have changed.
    Changed,
    /// A publication is to be made, whether anything has changed or not.
    Fresh,
    /// The whole set is asked for, as of the newest publication.
    Whole,
}

/// Publishes what has changed; gateways that have not asked for `silent_after` are silent.
///
/// # Errors
///
/// [`db::Error`]; then nothing changed, or a route is missing in the set.
pub async fn publish(pool: &PgPool, silent_after: Duration, why: Why) -> Result<Turn, db::Error> {
    let row = sqlx::query!(
        r#"SELECT (head).serial, (head).epoch, (head).at, (head).routes, sip_domains, access_edges,
                  news AS "news!", again AS "again!"
           FROM pic_publish($1, $2, $3)"#,
        interval(silent_after),
        why == Why::Fresh,
        why == Why::Whole,
    )
    .fetch_one(pool)
    .await?;
    let head = row.serial.zip(row.epoch);
    let head = head.map(|(serial, epoch)| Version { epoch, serial });
    let mut whole = None;
    if let (Some(version), Some(at), Some(domains), Some(edges)) =
        (&head, row.at, row.sip_domains, row.access_edges)
    {
        if i32::try_from(domains.len()).ok() != row.routes {
            return Err(db::Error::Refused(Fault::Client(
                "the published routes are not whole",
            )));
        }
        whole = Some(Whole {
            version: version.clone(),
            expires: at + EXPIRES,
            routes: domains.into_iter().zip(edges).collect(),
        });
    }
    Ok(Turn {
        head,
        whole,
        news: row.news,
        again: row.again,
    })
}

/// A gateway that asks: the SHA-256 of its token, and what it has loaded.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) token: [u8; 32],
    pub(super) has: Option<Version>,
}

/// What a gateway that asks may have.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Whether it was silent before, or has loaded something else than before.
    pub news: bool,
    /// The newest publication.
    pub head: Version,
}

/// Notes what those have loaded who ask at the same time. `None`: there is no such gateway.
impl BatchLoad for Receipt {
    type Answer = Option<Heard>;

    async fn load(pool: &PgPool, asked: &[Self]) -> Result<Vec<Self::Answer>, db::Error> {
        let tokens: Vec<_> = asked.iter().map(|it| it.token.to_vec()).collect();
        let epochs: Vec<_> = asked
            .iter()
            .map(|it| it.has.as_ref().map(|has| has.epoch.clone()))
            .collect();
        let serials: Vec<_> = asked
            .iter()
            .map(|it| it.has.as_ref().map(|has| has.serial))
            .collect();
        let rows = sqlx::query!(
            r#"SELECT h.place AS "place!", h.news AS "news!", p.serial AS "serial!", p.epoch AS "epoch!"
               FROM pic_hear_gateways($1, $2, $3) h,
                    LATERAL (SELECT serial, epoch FROM publication ORDER BY serial DESC LIMIT 1) p"#,
            &tokens,
            &epochs as _,
            &serials as _,
        )
        .fetch_all(pool.retrying())
        .await?;
        let mut answers: Vec<_> = iter::repeat_with(|| None).take(asked.len()).collect();
        for row in rows {
            let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
            if let Some(answer) = answers.get_mut(place) {
                *answer = Some(Heard {
                    news: row.news,
                    head: Version {
                        epoch: row.epoch,
                        serial: row.serial,
                    },
                });
            }
        }
        Ok(answers)
    }
}

/// What differs between two publications.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The newest publication.
    pub head: Version,
    /// The later publication.
    pub version: Version,
    /// Until when the newest is good.
    pub expires: DateTime<Utc>,
    /// How many routes there are then; `None`: there are more changes after these.
    pub count: Option<i32>,
    /// Domains that have a new or another Access Edge FQDN, or none any more.
    pub routes: BTreeMap<String, Option<String>>,
}

/// What has changed since the publication `since`, whole publications, up to [`MOST_CHANGES`] routes.
/// `None`: only the whole set tells, as that is no publication of this database, or the next one has more.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn changes(pool: &PgPool, since: &Version) -> Result<Option<Changes>, db::Error> {
    let most = i64::try_from(MOST_CHANGES).unwrap_or(i64::MAX);
    let mut rows = sqlx::query!(
        r#"SELECT p.serial AS "serial!", p.epoch AS "epoch!", p.routes AS "routes!",
                  p.sip_domains::text[] AS sip_domains, p.access_edges::text[] AS "access_edges: Vec<Option<String>>",
                  h.serial AS "head!", h.epoch AS "head_epoch!", h.at AS "head_at!"
           FROM (SELECT n.*, sum(CASE WHEN n.serial > $1 THEN n.changes ELSE 0 END) OVER (ORDER BY n.serial) AS changed
                 FROM (SELECT * FROM publication WHERE serial >= $1 ORDER BY serial LIMIT $2::bigint) n) p,
                (SELECT * FROM publication ORDER BY serial DESC LIMIT 1) h
           WHERE p.changed <= $2::bigint
           ORDER BY p.serial"#,
        since.serial,
        most,
    )
    .fetch_all(pool.retrying())
    .await?
    .into_iter()
    .peekable();
    let is_base = rows.next_if(|row| (row.serial, &row.epoch) == (since.serial, &since.epoch));
    let Some(mut last) = is_base else {
        return Ok(None);
    };
    let mut routes = BTreeMap::new();
    for mut row in rows {
        let (Some(domains), Some(edges)) = (row.sip_domains.take(), row.access_edges.take()) else {
            return Ok(None);
        };
        routes.extend(domains.into_iter().zip(edges));
        last = row;
    }
    let is_newest = last.serial == last.head;
    if !is_newest && last.serial == since.serial {
        return Ok(None);
    }
    Ok(Some(Changes {
        head: Version {
            epoch: last.head_epoch,
            serial: last.head,
        },
        version: Version {
            epoch: last.epoch,
            serial: last.serial,
        },
        expires: last.head_at + EXPIRES,
        count: is_newest.then_some(last.routes),
        routes,
    }))
}
