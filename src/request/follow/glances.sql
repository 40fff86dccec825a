-- What live streams show of several requests, in one round trip: few and narrow columns, since this
-- is asked after every change anywhere.
SELECT r.id AS "id!", r.kind AS "kind!", r.state AS "state!", r.reason, r.submitted_at AS "submitted_at!", r.ended_at,
       pic_now() AS "now!",
       EXISTS (SELECT FROM request l WHERE l.service_id = r.service_id AND l.id > r.id AND l.state = 'provisioned')
           AS "superseded!",
       (SELECT coalesce(max(e.seq), 0) FROM event e WHERE e.request_id = r.id) AS "seq!",
       f.severities AS "severities!: Vec<String>",
       coalesce(w.due_at, a.due_at) AS "due_at?",
       coalesce(w.checked_at, a.checked_at, f.at) AS "checked_at?"
FROM request r
LEFT JOIN work w ON w.request_id = r.id
LEFT JOIN watch a ON a.request_id = r.id
CROSS JOIN LATERAL (
    SELECT max(at) AS at, coalesce(array_agg(severity), '{}') AS severities
    FROM finding WHERE request_id = r.id
) f
WHERE r.id = ANY ($1)
