//! Compares the requests of a file with what is stored, and stores those that are new.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};

use super::{
    error::{Error, Step},
    fields::Field,
    group::Group,
    keys::KeysFile,
    row::{Problem, Problems},
};
use crate::{
    db::{self, notify::WORK_CHANNEL},
    request::store::{self, Submission, Submitted},
};

/// Requests that are compared, or stored, by one statement.
pub(super) const BATCH: usize = 1_000;

/// Makes the session ready, and tells the database's time.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<DateTime<Utc>, Error> {
    let limits = "SET statement_timeout = 0; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = 0";
    sqlx::raw_sql(limits).execute(&mut *connection).await?;
    let now = sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#);
    Ok(now.fetch_one(connection).await?)
}

/// Those of `groups` that were not imported before; `problems` learns of what was, with other
/// contents, and of domains that are another service's.
pub(super) async fn new<'g>(
    connection: &mut PgConnection,
    groups: &'g [Group],
    problems: &mut Problems,
) -> Result<Vec<&'g Group>, Error> {
    let (mut new, submissions): (Vec<_>, Vec<_>) = groups
        .iter()
        .filter_map(|group| Some((Some(group), group.submission()?)))
        .unzip();
    for (place, answer) in store::in_the_way(connection, submissions.iter()).await? {
        let known = new.get_mut(place).and_then(Option::take);
        if let (Some(group), Submitted::AlreadySent { .. }) = (known, answer) {
            problems.add(Problem::new(
                group.line,
                None,
                "the request that begins here was imported before with other contents. What has come over is changed in the portal: leave it out",
            ));
        }
    }
    let new: Vec<_> = new.into_iter().flatten().collect();
    let wanted: Vec<_> = new.iter().flat_map(|group| group.domains()).collect();
    let names: Vec<_> = wanted.iter().map(|(domain, _)| *domain).collect();
    let held = sqlx::query_scalar!(
        r#"SELECT sip_domain::text AS "domain!" FROM route WHERE sip_domain = ANY ($1::text[])"#,
        &names as _
    );
    let held: HashSet<_> = held.fetch_all(connection).await?.into_iter().collect();
    for (_, line) in wanted.iter().filter(|(domain, _)| held.contains(*domain)) {
        let fault = "is in force under another service of this portal already";
        problems.add(Problem::new(*line, Field::Domains, fault));
    }
    Ok(new)
}

/// Stores requests in one transaction, as submissions are stored and settled, each service under a
/// random key. The keys file is on the disk before the transaction is committed.
pub(super) async fn store(
    connection: &mut PgConnection,
    new: &[&Group],
    keys: &mut KeysFile,
    tell: &mut impl FnMut(Step),
) -> Result<(), Error> {
    let mut transaction = connection.begin().await?;
    let (mut in_force, mut done) = (Vec::new(), 0);
    for batch in new.chunks(BATCH) {
        let submissions: Vec<Submission> = batch.iter().filter_map(|g| g.submission()).collect();
        let times: Vec<_> = batch.iter().map(|group| group.submitted_at()).collect();
        let stored = store::submit_moved(&mut transaction, &submissions, &times).await?;
        for ((group, submission), stored) in batch.iter().zip(&submissions).zip(stored) {
            let id = (stored > 0).then_some(stored).ok_or(Error::Meanwhile)?;
            let (programme, number) = (group.programme.as_str(), group.number.as_str());
            let (reference, key) = (submission.reference.to_string(), submission.key.reveal());
            keys.add(programme, number, &reference, &key)?;
            in_force.extend(group.provisioned.then_some(id));
        }
        done += batch.len();
        tell(Step::Storing(done, new.len()));
    }
    keys.sync()?;
    tell(Step::Routes);
    let put = sqlx::query!(
        "WITH moment AS MATERIALIZED (SELECT pic_now() AS at)
         SELECT pic_provision($1, at, true), pic_end($1, 'provisioned', NULL, 'portal', NULL, at) FROM moment",
        &in_force
    );
    let put = put.fetch_one(&mut *transaction).await;
    put.map_err(|error| match db::Error::from(error) {
        fault if fault.breaks("domain_in_force_pkey") => Error::Meanwhile,
        fault => fault.into(),
    })?;
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
