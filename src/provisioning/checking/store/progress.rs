//! How far has the check of a request come, and what was found of it so far?

use std::{collections::HashMap, time::Duration};

use serde_json::Value;

use crate::{
    db::{self, InvalidRow, PgPool, interval},
    names::SipDomain,
    provisioning::store::{Claim, written},
    readiness::Finding,
};

/// A check that has not come to its end after this begins anew: what it found first is old.
pub const LONGEST: Duration = Duration::from_hours(6);

/// A turn that was not the last one of its check.
#[derive(Debug)]
pub struct Turn {
    /// Internal number of the request.
    pub request: i64,
    /// How many names of the check are done: before this turn, and after it.
    pub names_done: (usize, usize),
    /// At least half of what was looked at was slow.
    pub is_slow: bool,
    /// What was found in this turn.
    pub findings: Vec<Finding>,
    /// Domains of this turn whose owner has spoken for the service.
    pub proven: Vec<SipDomain>,
}

/// What was found in the turns so far.
#[derive(Debug, Default)]
pub struct SoFar {
    /// Everything.
    pub findings: Vec<Finding>,
    /// Domains whose owner has spoken for the service.
    pub proven: Vec<SipDomain>,
}

/// Keeps what `turns` found, and puts their requests, as far as `claim` still holds them, at the end
/// of the queue.
///
/// # Errors
///
/// [`db::Error`] when the database is away; then these turns are lost.
pub async fn put_back(pool: &PgPool, claim: &Claim, turns: &[Turn]) -> Result<(), db::Error> {
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let requests: Vec<_> = turns.iter().map(|turn| turn.request).collect();
    let before: Vec<_> = turns.iter().map(|turn| number(turn.names_done.0)).collect();
    let after: Vec<_> = turns.iter().map(|turn| number(turn.names_done.1)).collect();
    let slow: Vec<_> = turns.iter().map(|turn| turn.is_slow).collect();
    let findings: Vec<_> = turns.iter().map(|turn| written(&turn.findings)).collect();
    let proven = turns.iter().map(|turn| {
        let names = turn.proven.iter().map(SipDomain::as_str);
        names.collect::<Value>()
    });
    let proven: Vec<_> = proven.collect();
    sqlx::query!(
        "WITH turn AS (
            SELECT * FROM unnest($3::bigint[], $4::int[], $5::int[], $6::bool[], $7::jsonb[], $8::jsonb[])
                AS t (request_id, before, after, slow, findings, proven)
         ), pending AS (
            UPDATE work w SET due_at = pic_now(), lease_token = NULL, lease_until = NULL
            FROM turn t WHERE w.request_id = t.request_id AND w.lease_token = $1
            RETURNING w.request_id
         ), in_force AS (
            UPDATE watch a SET due_at = pic_now(), lease_token = NULL, lease_until = NULL
            FROM turn t WHERE a.request_id = t.request_id AND a.lease_token = $1
            RETURNING a.request_id
         )
         INSERT INTO check_progress AS p (request_id, began_at, names_done, slow, findings, proven)
         SELECT t.request_id, CASE WHEN t.before = 0 THEN pic_now() ELSE '-infinity' END, t.after, t.slow,
                ARRAY(SELECT f::text::found_in_turn FROM jsonb_array_elements(t.findings) AS f),
                ARRAY(SELECT d::dns_name FROM jsonb_array_elements_text(t.proven) AS d)
         FROM turn t WHERE t.request_id = ANY ($2)
            AND (t.request_id IN (SELECT request_id FROM pending) OR t.request_id IN (SELECT request_id FROM in_force))
         ON CONFLICT (request_id) DO UPDATE SET
            names_done = EXCLUDED.names_done, slow = EXCLUDED.slow,
            began_at = greatest(p.began_at, EXCLUDED.began_at),
            -- The first turn of a check begins anew.
            findings = CASE WHEN EXCLUDED.began_at = '-infinity' THEN p.findings || EXCLUDED.findings ELSE EXCLUDED.findings END,
            proven = CASE WHEN EXCLUDED.began_at = '-infinity' THEN p.proven || EXCLUDED.proven ELSE EXCLUDED.proven END",
        claim.token,
        &claim.requests,
        &requests,
        &before,
        &after,
        &slow,
        &findings,
        &proven,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes away what was found in the turns so far of the requests that `claim` still holds, for the
/// end of their checks; by request.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn take(pool: &PgPool, claim: &Claim) -> Result<HashMap<i64, SoFar>, db::Error> {
    let rows = sqlx::query!(
        r#"DELETE FROM check_progress p
         WHERE p.request_id = ANY ($1)
           AND (EXISTS (SELECT FROM work w WHERE w.request_id = p.request_id AND w.lease_token = $2)
                OR EXISTS (SELECT FROM watch a WHERE a.request_id = p.request_id AND a.lease_token = $2))
         RETURNING p.request_id, p.findings::text[] AS "findings!", p.proven::text[] AS "proven!""#,
        &claim.requests,
        claim.token,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let invalid = |column| InvalidRow {
                table: "check_progress",
                column,
                id: Some(row.request_id),
            };
            let domain = |name| SipDomain::from_database(name).map_err(|_| invalid("proven"));
            let so_far = SoFar {
                findings: read(&row.findings).ok_or_else(|| invalid("findings"))?,
                proven: row
                    .proven
                    .into_iter()
                    .map(domain)
                    .collect::<Result<_, _>>()?,
            };
            Ok((row.request_id, so_far))
        })
        .collect()
}

/// Forgets the checks of requests that have ended in the middle, and those that began long ago.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn forget(pool: &PgPool) -> Result<(), db::Error> {
    sqlx::query!(
        "DELETE FROM check_progress p
         WHERE p.began_at <= pic_now() - $1::interval OR NOT EXISTS (
             SELECT FROM work w WHERE w.request_id = p.request_id
             UNION ALL SELECT FROM watch a WHERE a.request_id = p.request_id)",
        interval(LONGEST),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// More pending domains than this are not counted.
const MOST_COUNTED: i64 = 1_000_000;

/// How many domains are pending; a million means that or more.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn pending_domains(pool: &PgPool) -> Result<u64, db::Error> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM (
               SELECT FROM work w JOIN request_route d ON d.request_id = w.request_id LIMIT $1
           ) AS pending"#,
        MOST_COUNTED,
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

fn read(findings: &[String]) -> Option<Vec<Finding>> {
    let one = |finding: &String| serde_json::from_str(finding).ok();
    findings.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{names::Fqdn, readiness::Code};

    #[test]
    fn what_is_written_is_read_again() {
        let name = Fqdn::parse("contoso.com").unwrap();
        let findings = [
            Finding::new(Code::SrvMissing, &name, "a record", ["one", "two"]),
            Finding::skipped(Code::Certificate, &name, Code::EdgeNoAddress),
            Finding::new(Code::Srv, &name, "", [""; 0]),
        ];
        let Value::Array(stored) = written(&findings) else {
            panic!("an array of findings");
        };
        let stored: Vec<_> = stored.iter().map(Value::to_string).collect();
        assert_eq!(read(&stored).unwrap(), findings);
        for wrong in [
            r#"["srv", "ok"]"#,
            r#"["nonsense", "ok", "contoso.com", "", []]"#,
        ] {
            assert_eq!(read(&[wrong.to_owned()]), None);
        }
    }
}
