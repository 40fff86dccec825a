-- All that the pages of one service tell, in one round trip.
WITH latest AS (
    SELECT * FROM request WHERE service_id = $1 ORDER BY id DESC LIMIT 200
)
SELECT s.programme, s.number, pic_now() AS "now!",
       (SELECT deployment FROM latest WHERE deployment IS NOT NULL ORDER BY id DESC LIMIT 1) AS deployment,
       ARRAY(SELECT x.access_edge::text FROM route x WHERE x.service_id = s.id ORDER BY x.sip_domain) AS "edges!",
       ARRAY(SELECT x.sip_domain::text FROM route x WHERE x.service_id = s.id ORDER BY x.sip_domain) AS "domains!",
       ARRAY(SELECT reference FROM latest ORDER BY id DESC) AS "references!",
       ARRAY(SELECT kind FROM latest ORDER BY id DESC) AS "kinds!",
       ARRAY(SELECT state FROM latest ORDER BY id DESC) AS "states!",
       ARRAY(SELECT reason FROM latest ORDER BY id DESC) AS "reasons!: Vec<Option<String>>",
       ARRAY(SELECT submitted_at FROM latest ORDER BY id DESC) AS "submitted!",
       ARRAY(SELECT ended_at FROM latest ORDER BY id DESC) AS "ended!: Vec<Option<DateTime<Utc>>>",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(f.code, f.severity, f.subject, f.expected, f.found)
                                  ORDER BY f.subject, f.code), '[]')
        FROM finding f
        WHERE f.request_id = (SELECT max(r.id) FROM request r WHERE r.service_id = $1 AND r.state = 'provisioned')
          AND f.severity IN ('blocking', 'unknown', 'warning')) AS "risks!: Json<Vec<StoredFinding>>"
FROM service s
WHERE s.id = $1
