-- How full the database is, for one scrape: a bounded number of index entries, whatever the tables hold.
WITH RECURSIVE risk AS (
    -- From one request with something blocking to the next.
    (SELECT f.request_id, 1::bigint AS place FROM finding f WHERE f.severity = 'blocking' ORDER BY f.request_id LIMIT 1)
    UNION ALL
    SELECT n.request_id, risk.place + 1
    FROM risk, LATERAL (
        SELECT f.request_id FROM finding f
        WHERE f.severity = 'blocking' AND f.request_id > risk.request_id ORDER BY f.request_id LIMIT 1) n
    WHERE risk.place < $2::bigint
), size AS (
    SELECT c.relname, c.reltuples::float8 AS reltuples FROM pg_class c WHERE c.oid IN ('service'::regclass, 'domain_in_force'::regclass)
)
SELECT (SELECT count(*) FROM (SELECT FROM work ORDER BY request_id LIMIT $2::bigint) n) AS "pending!",
       (SELECT count(*) FROM (
            SELECT w.request_id FROM work w
            WHERE w.request_id <= (SELECT pic_last_request_before(pic_now() - $1::interval))
            ORDER BY w.request_id LIMIT $2::bigint) w
        WHERE (SELECT true FROM finding f WHERE f.request_id = w.request_id AND f.severity = 'blocking' LIMIT 1) IS NULL
          AND (SELECT r.turn_at FROM request_summary r WHERE r.id = w.request_id) < pic_now() - $1::interval) AS "overdue!",
       (SELECT greatest(extract(epoch FROM pic_now() - r.submitted_at), 0)::float8 FROM request r
        WHERE r.id = (SELECT min(request_id) FROM work)) AS oldest,
       (SELECT greatest(extract(epoch FROM pic_now() - min(due_at)), 0)::float8 FROM work) AS lag,
       (SELECT count(*) FROM risk JOIN watch w ON w.request_id = risk.request_id) AS "at_risk!",
       (SELECT count(*) FROM (SELECT FROM session LIMIT $2::bigint) n) AS "sessions!",
       (SELECT count(*) FROM (SELECT FROM staff_session LIMIT $2::bigint) n) AS "staff_sessions!",
       (SELECT count(*) FROM instance WHERE seen_at > pic_now() - interval '3 minutes') AS "instances!",
       (SELECT CASE WHEN z.reltuples < 0 THEN (SELECT count(*) FROM (SELECT FROM service ORDER BY id LIMIT $2::bigint) n) ELSE z.reltuples END
        FROM size z WHERE z.relname = 'service') AS "services!",
       (SELECT CASE WHEN z.reltuples < 0 THEN (SELECT count(*) FROM (SELECT FROM domain_in_force ORDER BY sip_domain LIMIT $2::bigint) n) ELSE z.reltuples END
        FROM size z WHERE z.relname = 'domain_in_force') AS "routes!"
