//! Claims requests that are due, so that no other process looks at them meanwhile.

use std::time::Duration;

use uuid::Uuid;

use crate::db::{self, PgPool, interval};

/// A claim on requests: while its lease lasts nobody else looks at them. It ends by [`settle`](super::settle), or by
/// [`store_watched`](super::super::checking::store::store_watched); when its holder dies, by running out.
#[derive(Debug)]
pub struct Claim {
    pub(in crate::provisioning) token: Uuid,
    pub(in crate::provisioning) requests: Vec<i64>,
}

impl Claim {
    /// How many requests it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// The internal numbers of its requests.
    #[must_use]
    pub fn requests(&self) -> &[i64] {
        &self.requests
    }

    /// Whether nothing was due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The same claim on some of its requests alone.
    #[must_use]
    pub fn of(&self, requests: Vec<i64>) -> Self {
        Self {
            token: self.token,
            requests,
        }
    }
}

/// Which requests are claimed, of those that are due and free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Pending ones.
    Pending,
    /// Pending ones that were never looked at: for where [`Place::Pending`] is full of others.
    Fresh,
    /// Pending ones whose last turn of a check was slow, which are in no other place.
    Slow,
    /// Those whose routes are in force.
    Watched,
    /// Those whose routes are in force, and whose last turn of a check was slow.
    WatchedSlow,
}

impl Place {
    /// Whether its requests are in force already, and nothing is taken away.
    #[must_use]
    pub const fn is_in_force(self) -> bool {
        matches!(self, Self::Watched | Self::WatchedSlow)
    }
}

/// Claims up to `most` requests of a place that are due and free, oldest first, for the time of
/// `lease`.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn claim(
    pool: &PgPool,
    place: Place,
    most: u32,
    lease: Duration,
) -> Result<Claim, db::Error> {
    let token = Uuid::new_v4();
    // An array of them, so that each is reached through the index, however many the planner expects.
    let (lease, most) = (interval(lease), i64::from(most));
    let is_in_force = place.is_in_force();
    let requests = match place {
        Place::Pending | Place::Fresh | Place::Watched => {
            sqlx::query_scalar!(
                r#"
                WITH pending AS (
                    UPDATE work SET lease_token = $1, lease_until = pic_now() + $2::interval,
                        -- The wish for another look lasts until the check that is going on has ended.
                        again = again AND EXISTS (SELECT FROM check_progress p WHERE p.request_id = work.request_id)
                    WHERE request_id = ANY (ARRAY(
                        SELECT request_id FROM work
                        WHERE NOT $4 AND due_at <= pic_now() AND (lease_until IS NULL OR lease_until <= pic_now())
                          AND (checked_at IS NULL OR NOT $5) AND NOT EXISTS (
                              SELECT FROM check_progress p WHERE p.request_id = work.request_id AND (p.slow OR $5))
                        ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
                    ))
                    RETURNING request_id
                ),
                in_force AS (
                    UPDATE watch SET lease_token = $1, lease_until = pic_now() + $2::interval,
                        again = again AND EXISTS (SELECT FROM check_progress p WHERE p.request_id = watch.request_id)
                    WHERE request_id = ANY (ARRAY(
                        SELECT request_id FROM watch
                        WHERE $4 AND due_at <= pic_now() AND (lease_until IS NULL OR lease_until <= pic_now())
                          AND NOT EXISTS (SELECT FROM check_progress p WHERE p.request_id = watch.request_id AND p.slow)
                        ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
                    ))
                    RETURNING request_id
                )
                SELECT request_id AS "id!" FROM pending UNION ALL SELECT request_id FROM in_force
                "#,
                token,
                lease,
                most,
                is_in_force,
                place == Place::Fresh,
            )
            .fetch_all(pool)
            .await?
        }
        // A few, found by what their checks came to, however many others are due.
        Place::Slow | Place::WatchedSlow => {
            sqlx::query_scalar!(
                r#"
                WITH pending AS (
                    UPDATE work SET lease_token = $1, lease_until = pic_now() + $2::interval
                    WHERE request_id = ANY (ARRAY(
                        SELECT w.request_id FROM check_progress p JOIN work w ON w.request_id = p.request_id
                        WHERE NOT $4 AND p.slow AND w.due_at <= pic_now()
                          AND (w.lease_until IS NULL OR w.lease_until <= pic_now())
                        ORDER BY w.due_at LIMIT $3 FOR UPDATE OF w SKIP LOCKED
                    ))
                    RETURNING request_id
                ),
                in_force AS (
                    UPDATE watch SET lease_token = $1, lease_until = pic_now() + $2::interval
                    WHERE request_id = ANY (ARRAY(
                        SELECT a.request_id FROM check_progress p JOIN watch a ON a.request_id = p.request_id
                        WHERE $4 AND p.slow AND a.due_at <= pic_now()
                          AND (a.lease_until IS NULL OR a.lease_until <= pic_now())
                        ORDER BY a.due_at LIMIT $3 FOR UPDATE OF a SKIP LOCKED
                    ))
                    RETURNING request_id
                )
                SELECT request_id AS "id!" FROM pending UNION ALL SELECT request_id FROM in_force
                "#,
                token,
                lease,
                most,
                is_in_force,
            )
            .fetch_all(pool)
            .await?
        }
    };
    Ok(Claim { token, requests })
}
