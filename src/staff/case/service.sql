-- What the desk sees of one service beyond what its owner sees: who held its domains when, and what
-- the checks of what is in force have found.
WITH wanted AS (
    SELECT DISTINCT d.sip_domain
    FROM pic_requests_of($1) r JOIN request_route d ON d.request_id = r.id
    WHERE r.state = 'provisioned'
    ORDER BY d.sip_domain LIMIT 100
),
holding AS (
    SELECT w.sip_domain, r.service_id, s.number, r.ended_at AS since,
           least((SELECT min(n.ended_at) FROM pic_requests_of(r.service_id) n
                  WHERE n.id > r.id AND n.state = 'provisioned'),
                 (SELECT min(e.at) FROM pic_requests_of(r.service_id) q JOIN event e ON e.request_id = q.id
                  WHERE e.code = 'domain-lost' AND e.subject = w.sip_domain
                    AND e.at >= r.ended_at)) AS until
    FROM wanted w
    JOIN request_route d ON reverse(d.sip_domain) COLLATE "C" = reverse(w.sip_domain) COLLATE "C"
    JOIN request r ON r.id = d.request_id AND r.state = 'provisioned'
    JOIN service s ON s.id = r.service_id
),
latest AS (
    SELECT id, reference FROM pic_requests_of($1) WHERE state = 'provisioned' ORDER BY id DESC LIMIT 1
)
SELECT s.token, s.created_at,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(p.sip_domain, p.service_id, p.number, p.since, p.until)
                                  ORDER BY p.sip_domain, p.since, p.service_id), '[]')
        FROM holding p) AS "holdings!: Json<Vec<Holding>>",
       (SELECT reference FROM latest) AS "latest?: Reference",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(f.code, f.severity, f.subject, f.expected, string_to_array(f.found, E'\n'))
                                  ORDER BY f.subject, f.code), '[]')
        FROM latest l JOIN finding f ON f.request_id = l.id
        WHERE f.severity NOT IN ('ok', 'skipped')) AS "findings!: Json<Vec<Finding>>"
FROM service s
WHERE s.id = $1
