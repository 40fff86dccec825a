//! How are lines staged, compared and stored?
//!
//! The temporary tables are made when an import begins and go with its session. What they hold is
//! what a request holds, and for each request a digest in place of its old number.

mod columns;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};

pub(super) use self::columns::{NewRequest, Requests, Staging};
use super::{
    error::{Error, Step},
    fields::Field,
    keys::KeysFile,
    row::{Problem, Problems},
};
use crate::{
    agreement::{AgreementNumber, Programme},
    db::{self, InvalidRow, notify::WORK_CHANNEL},
    names::{AccessEdge, SipDomain},
    request::Deployment,
    secret::ManagementKey,
};

/// Rows fetched at a time.
const FETCH: &str = "FETCH 5000 FROM import_rows";
/// Requests stored by one statement.
const BATCH: i64 = 5_000;
/// More problems of one kind than are told are not asked for.
const MOST: i64 = 10_000;

/// Makes the session ready, and tells the database's time.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<DateTime<Utc>, Error> {
    sqlx::raw_sql(
        "SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '30s', false),
                set_config('idle_in_transaction_session_timeout', '0', false);
         CREATE TEMPORARY TABLE import_row (
             line bigint, grp bytea, programme text, number text, deployment text, provisioned boolean,
             submitted_at timestamptz, access_edge text COLLATE \"C\", sip_domain text COLLATE \"C\");
         CREATE TEMPORARY TABLE import_request (
             place bigint, line bigint, grp bytea, programme text, number text, deployment text, provisioned boolean,
             submitted_at timestamptz, content_hash bytea, token text,
             reference text, request_id bigint, service_id bigint);
         CREATE TEMPORARY TABLE import_edge (place bigint, ordinal smallint, access_edge text);
         CREATE TEMPORARY TABLE import_route (place bigint, edge smallint, sip_domain text COLLATE \"C\");",
    )
    .execute(&mut *connection)
    .await?;
    Ok(sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#)
        .fetch_one(connection)
        .await?)
}

/// Takes the temporary tables away. Where that fails, the session is over, and they go with it.
pub(super) async fn clear(connection: &mut PgConnection) {
    let dropped = sqlx::raw_sql(
        "CLOSE ALL; DROP TABLE IF EXISTS pg_temp.import_row, pg_temp.import_request, pg_temp.import_edge, pg_temp.import_route",
    );
    let _ = dropped.execute(connection).await;
}

/// One domain of one line.
pub(super) struct StagedRow {
    /// Place of its request, in the order in which the file begins them, from 1.
    pub(super) place: i64,
    pub(super) group: Vec<u8>,
    pub(super) line: u64,
    pub(super) programme: Programme,
    pub(super) number: AgreementNumber,
    pub(super) deployment: Deployment,
    pub(super) provisioned: bool,
    pub(super) submitted_at: Option<DateTime<Utc>>,
    pub(super) edge: AccessEdge,
    pub(super) domain: SipDomain,
}

/// Orders what is staged by requests; how many there are.
pub(super) async fn order(connection: &mut PgConnection) -> Result<i64, Error> {
    // `WITH HOLD`: no transaction stays open while the rows are looked at.
    sqlx::raw_sql(
        "ANALYZE pg_temp.import_row;
         BEGIN;
         DECLARE import_rows NO SCROLL CURSOR WITH HOLD FOR
         WITH groups AS (
             SELECT grp, row_number() OVER (ORDER BY min(line)) AS place FROM pg_temp.import_row GROUP BY grp)
         SELECT g.place, r.* FROM pg_temp.import_row r JOIN groups g USING (grp) ORDER BY g.place, r.line;
         COMMIT;",
    )
    .execute(&mut *connection)
    .await?;
    let groups = sqlx::query_scalar("SELECT count(DISTINCT grp) FROM pg_temp.import_row");
    Ok(groups.fetch_one(connection).await?)
}

/// The next rows in that order; none: these were all.
pub(super) async fn fetch(
    connection: &mut PgConnection,
) -> Result<impl ExactSizeIterator<Item = Result<StagedRow, db::Error>> + use<>, Error> {
    let rows = sqlx::query(FETCH).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| StagedRow::read(&row)))
}

impl StagedRow {
    fn read(row: &PgRow) -> Result<Self, db::Error> {
        let place = row.try_get("place")?;
        let invalid = |column| InvalidRow {
            table: "import_row",
            column,
            id: Some(place),
        };
        let line: i64 = row.try_get("line")?;
        let number: &str = row.try_get("number")?;
        let deployment: &str = row.try_get("deployment")?;
        Ok(Self {
            place,
            group: row.try_get("grp")?,
            line: line.unsigned_abs(),
            programme: row
                .try_get::<&str, _>("programme")?
                .parse()
                .map_err(|_| invalid("programme"))?,
            number: AgreementNumber::from_database(number).map_err(|_| invalid("number"))?,
            deployment: Deployment::parse(deployment).ok_or(invalid("deployment"))?,
            provisioned: row.try_get("provisioned")?,
            submitted_at: row.try_get("submitted_at")?,
            edge: AccessEdge::from_database(row.try_get("access_edge")?)
                .map_err(|_| invalid("access_edge"))?,
            domain: SipDomain::from_database(row.try_get("sip_domain")?)
                .map_err(|_| invalid("sip_domain"))?,
        })
    }
}

/// Compares the requests with each other and with what is in the portal already: `problems` learns
/// of every domain that is somebody else's, and of requests that were imported with other contents.
pub(super) async fn compare(
    connection: &mut PgConnection,
    problems: &mut Problems,
) -> Result<(), Error> {
    sqlx::raw_sql(
        "ANALYZE pg_temp.import_request; ANALYZE pg_temp.import_edge; ANALYZE pg_temp.import_route;
         CREATE INDEX ON pg_temp.import_request (place); CREATE INDEX ON pg_temp.import_edge (place);
         CREATE INDEX ON pg_temp.import_route (place);",
    )
    .execute(&mut *connection)
    .await?;
    let twice: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT line, first_line FROM (
             SELECT line, grp, first_value(line) OVER w AS first_line, first_value(grp) OVER w AS first_grp
             FROM pg_temp.import_row WINDOW w AS (PARTITION BY sip_domain ORDER BY line)
         ) d WHERE grp <> first_grp ORDER BY line LIMIT $1",
    )
    .bind(MOST)
    .fetch_all(&mut *connection)
    .await?;
    for (line, first) in twice {
        let fault = format!(
            "stands at line {first} too, under another request. A SIP domain belongs to one: leave the other out"
        );
        problems.add(Problem::new(line.unsigned_abs(), Field::Domains, fault));
    }
    // Of what was imported before, nothing is done, so nothing can be in its way.
    let held: Vec<i64> = sqlx::query_scalar(
        "SELECT r.line FROM pg_temp.import_row r JOIN route x ON x.sip_domain = r.sip_domain
         WHERE NOT EXISTS (SELECT FROM pg_temp.import_request i JOIN request q ON q.reference = i.reference
                           WHERE i.grp = r.grp)
         ORDER BY r.line LIMIT $1",
    )
    .bind(MOST)
    .fetch_all(&mut *connection)
    .await?;
    for line in held {
        problems.add(Problem::new(
            line.unsigned_abs(),
            Field::Domains,
            "is in force under another service of this portal already",
        ));
    }
    let other: Vec<i64> = sqlx::query_scalar(
        "SELECT i.line FROM pg_temp.import_request i JOIN request q ON q.reference = i.reference
         WHERE q.content_hash <> i.content_hash ORDER BY i.line LIMIT $1",
    )
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    for line in other {
        problems.add(Problem::new(
            line.unsigned_abs(),
            None,
            "the request that begins here was imported before with other contents. What has come over is changed in the portal: leave it out",
        ));
    }
    Ok(())
}

/// How much is new.
#[derive(FromRow)]
pub(super) struct Counts {
    pub(super) provisioned: i64,
    pub(super) pending: i64,
    pub(super) domains: i64,
}

/// Forgets the requests that were imported before, and counts the others.
pub(super) async fn counts(connection: &mut PgConnection) -> Result<Counts, Error> {
    let known =
        "DELETE FROM pg_temp.import_request i USING request q WHERE q.reference = i.reference";
    sqlx::query(known).execute(&mut *connection).await?;
    Ok(sqlx::query_as(
        "SELECT count(*) FILTER (WHERE provisioned) AS provisioned, count(*) FILTER (WHERE NOT provisioned) AS pending,
                coalesce(sum((SELECT count(*) FROM pg_temp.import_route d WHERE d.place = i.place)), 0)::bigint AS domains
         FROM pg_temp.import_request i",
    )
    .fetch_one(connection)
    .await?)
}

/// Stores all that is new in one transaction, each service under a random key. The keys file is on the
/// disk before the transaction is committed.
pub(super) async fn store(
    connection: &mut PgConnection,
    requests: i64,
    keys: &mut KeysFile,
    tell: &mut impl FnMut(Step),
) -> Result<(), Error> {
    use sqlx::Connection as _;
    let mut transaction = connection.begin().await?;
    let now = sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#)
        .fetch_one(&mut *transaction)
        .await?;
    let mut first = 1;
    while first <= requests {
        let last = (first + BATCH - 1).min(requests);
        // One for each place: those of requests that were imported before are not used.
        let new_keys: Vec<_> = (first..=last).map(|_| ManagementKey::random()).collect();
        let hashes: Vec<_> = new_keys.iter().map(|key| key.hash().to_vec()).collect();
        let stored = sqlx::query(include_str!("stage/store.sql"))
            .bind(first)
            .bind(last)
            .bind(hashes)
            .bind(now)
            .fetch_all(&mut *transaction)
            .await?;
        for row in stored {
            let place: i64 = row.try_get("place")?;
            let key = usize::try_from(place - first)
                .ok()
                .and_then(|at| new_keys.get(at))
                .ok_or(db::Error::from(InvalidRow {
                    table: "import_request",
                    column: "place",
                    id: Some(place),
                }))?;
            keys.add(
                row.try_get("programme")?,
                row.try_get("number")?,
                row.try_get("reference")?,
                key,
            )?;
        }
        first = last + 1;
        tell(Step::Storing(last, requests));
    }
    keys.sync()?;
    tell(Step::Routes);
    let put = sqlx::query(
        "SELECT pic_provision(ARRAY(SELECT request_id FROM pg_temp.import_request WHERE provisioned), $1, true)",
    );
    let put = put.bind(now).execute(&mut *transaction).await;
    if let Err(fault) = put.map_err(db::Error::from) {
        transaction.rollback().await?;
        // Somebody else's came first.
        let is_taken = fault.breaks("route_pkey");
        return Err(if is_taken {
            Error::Meanwhile
        } else {
            fault.into()
        });
    }
    match transaction.commit().await.map_err(db::Error::from) {
        Ok(()) => Ok(()),
        Err(fault @ db::Error::Unavailable(_)) => Err(Error::Unsure {
            fault,
            keys: keys.path().to_owned(),
        }),
        Err(fault) => Err(fault.into()),
    }
}

/// Lets the planner know of the new rows, and the background task of the new work. Both find out by
/// themselves if that fails: everything is stored already.
pub(super) async fn finish(connection: &mut PgConnection) {
    let told = async {
        sqlx::raw_sql("ANALYZE service, request, request_route, route, event, work")
            .execute(&mut *connection)
            .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WORK_CHANNEL)
            .execute(&mut *connection)
            .await
    };
    if let Err(error) = told.await.map_err(db::Error::from) {
        tracing::warn!(%error, "imported; the portal could not be notified and will find it by polling");
    }
}
