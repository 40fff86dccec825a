-- What live streams show of several requests, in one round trip: few and narrow columns, since this
-- is asked after every change anywhere.
SELECT r.id AS "id!", pic_now() AS "now!",
       ROW(ROW(r.state, r.reason, r.ended_at), r.kind, r.submitted_at, EXISTS (SELECT FROM finding b WHERE b.request_id = r.id AND b.severity = 'blocking'),
           EXISTS (SELECT FROM request l WHERE l.service_id = r.service_id AND l.id > r.id AND l.state = 'provisioned'))
           AS "facts!: Facts",
       (SELECT coalesce(max(e.seq), 0) FROM event e WHERE e.request_id = r.id) AS "seq!",
       f.severities AS "severities!: Vec<Severity>",
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
