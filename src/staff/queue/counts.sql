-- How many requests there are in each state, up to a bound, so that millions take no longer; and of the oldest in
-- progress, up to a lower bound ($4), how many are the desk's to act on, and how many are overdue.
WITH waiting AS MATERIALIZED (
    SELECT w.request_id,
           -- By the limits each is one look into an index, whatever else there is.
           (SELECT true FROM finding f WHERE f.request_id = w.request_id AND f.severity = 'blocking' LIMIT 1) IS NOT NULL AS blocked,
           (SELECT true FROM finding f WHERE f.request_id = w.request_id AND f.code = 'domain-held'
                AND f.at < pic_now() - $1::interval LIMIT 1) IS NOT NULL AS held_long
    FROM work w ORDER BY w.request_id LIMIT $4
)
SELECT (SELECT count(*) FROM (SELECT FROM work ORDER BY request_id LIMIT $2) n) AS "pending!",
       (SELECT count(*) FROM waiting w WHERE NOT w.blocked OR w.held_long) AS "ours!",
       (SELECT count(*) FROM waiting w
        WHERE NOT w.blocked AND (SELECT r.submitted_at FROM request r WHERE r.id = w.request_id) < pic_now() - $1::interval
          AND (SELECT r.turn_at FROM request_summary r WHERE r.id = w.request_id) < pic_now() - $1::interval) AS "overdue!",
       (SELECT count(*) FROM (
            SELECT FROM staff_mark WHERE staff_id = $3 AND mark = 'taken' ORDER BY request_id LIMIT $2) n) AS "mine!",
       (SELECT count(*) FROM (
            SELECT FROM request WHERE state = 'provisioned' ORDER BY id DESC LIMIT $2) n) AS "provisioned!",
       (SELECT count(*) FROM (
            SELECT FROM request WHERE state = 'rejected' ORDER BY id DESC LIMIT $2) n) AS "rejected!",
       (SELECT count(*) FROM (
            SELECT FROM request WHERE state = 'withdrawn' ORDER BY id DESC LIMIT $2) n) AS "withdrawn!"
