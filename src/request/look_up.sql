-- All that the pages of one request tell, in one round trip.
SELECT r.id, r.service_id, r.reference, r.kind, r.deployment, r.state, r.reason, r.submitted_at, r.ended_at,
       s.programme, s.number, s.token, s.key_hash AS "key_hash: Vec<u8>",
       pic_now() AS "now!",
       EXISTS (SELECT FROM request l WHERE l.service_id = r.service_id AND l.id > r.id AND l.state = 'provisioned')
           AS "superseded!",
       ARRAY(SELECT e.access_edge::text FROM request_edge e WHERE e.request_id = r.id ORDER BY e.ordinal) AS "edges!",
       ARRAY(SELECT d.edge FROM request_route d WHERE d.request_id = r.id ORDER BY d.edge, d.sip_domain) AS "domain_edges!",
       ARRAY(SELECT d.sip_domain::text FROM request_route d WHERE d.request_id = r.id ORDER BY d.edge, d.sip_domain) AS "domains!",
       ARRAY(SELECT e.at FROM event e WHERE e.request_id = r.id ORDER BY e.seq) AS "event_times!",
       ARRAY(SELECT e.actor FROM event e WHERE e.request_id = r.id ORDER BY e.seq) AS "event_actors!",
       ARRAY(SELECT e.code FROM event e WHERE e.request_id = r.id ORDER BY e.seq) AS "event_codes!",
       ARRAY(SELECT e.subject::text FROM event e WHERE e.request_id = r.id ORDER BY e.seq) AS "event_subjects!: Vec<Option<String>>",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(f.code, f.severity, f.subject, f.expected, f.found)
                                  ORDER BY f.subject, f.code), '[]')
        FROM finding f WHERE f.request_id = r.id) AS "findings!: Json<Vec<StoredFinding>>",
       coalesce(w.due_at, a.due_at) AS "due_at?",
       coalesce(w.checked_at, a.checked_at, (SELECT max(f.at) FROM finding f WHERE f.request_id = r.id)) AS checked_at
FROM request r
JOIN service s ON s.id = r.service_id
LEFT JOIN work w ON w.request_id = r.id
LEFT JOIN watch a ON a.request_id = r.id
WHERE r.reference = $1
