-- How many requests there are in each state, up to a bound, so that millions take no longer.
SELECT (SELECT count(*) FROM (SELECT FROM work ORDER BY request_id LIMIT $2) n) AS "pending!",
       (SELECT count(*) FROM (
            SELECT FROM work w JOIN request r ON r.id = w.request_id
            WHERE w.request_id <= (SELECT pic_last_request_before(pic_now() - $1::interval))
              AND r.submitted_at < pic_now() - $1::interval
            ORDER BY w.request_id LIMIT $2) n) AS "overdue!",
       (SELECT count(*) FROM (
            SELECT FROM request WHERE state = 'provisioned' ORDER BY id DESC LIMIT $2) n) AS "provisioned!",
       (SELECT count(*) FROM (
            SELECT FROM request WHERE state = 'rejected' ORDER BY id DESC LIMIT $2) n) AS "rejected!",
       (SELECT count(*) FROM (
            SELECT FROM request WHERE state = 'withdrawn' ORDER BY id DESC LIMIT $2) n) AS "withdrawn!"
