-- All that the pages of one service tell, in one round trip.
WITH latest AS (
    SELECT * FROM request_summary
    WHERE id = ANY (ARRAY(SELECT id FROM pic_requests_of($1) ORDER BY id DESC LIMIT 200)) ORDER BY id DESC
)
SELECT s.programme AS "programme: Programme", s.number AS "number: AgreementNumber", pic_now() AS "now!",
       s.watch_hash AS "watch_hash: Vec<u8>",
       (SELECT deployment FROM latest WHERE deployment IS NOT NULL ORDER BY id DESC LIMIT 1) AS "deployment: Deployment",
       ARRAY(SELECT x.access_edge::text FROM route x WHERE x.service_id = s.id ORDER BY x.sip_domain) AS "edges!: Vec<AccessEdge>",
       ARRAY(SELECT x.sip_domain::text FROM route x WHERE x.service_id = s.id ORDER BY x.sip_domain) AS "domains!: Vec<SipDomain>",
       ARRAY(SELECT ROW(reference, ROW(ROW(state, reason, ended_at), kind, submitted_at, turn_at, blocked, superseded, lost, holds))
             FROM latest ORDER BY id DESC) AS "requests!: Vec<(Reference, Facts)>",
       ARRAY(SELECT ROW(l.subject::text, coalesce(l.last_at, l.at)) FROM event l
             WHERE l.request_id = (SELECT max(r.id) FROM pic_requests_of($1) r WHERE r.state = 'provisioned')
               AND l.code = 'domain-lost' ORDER BY l.subject) AS "lost!: Vec<(SipDomain, DateTime<Utc>)>",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(f.code, f.severity, f.subject, f.expected, string_to_array(f.found, E'\n'))
                                  ORDER BY f.subject, f.code), '[]')
        FROM finding f
        WHERE f.request_id = (SELECT max(r.id) FROM pic_requests_of($1) r WHERE r.state = 'provisioned')
          AND f.severity IN ('blocking', 'unknown', 'warning') AND f.code <> 'sip-silent') AS "risks!: Json<Vec<Finding>>",
       (SELECT ROW(live_on, gateways, live_at) FROM latest WHERE state = 'provisioned' ORDER BY id DESC LIMIT 1)
           AS "gateways: (i32, i32, Option<DateTime<Utc>>)"
FROM service s
WHERE s.id = $1
