-- Of the candidates those that are meant, in the candidates' order, with what a line tells of each.
WITH picked AS (
    SELECT r.id, r.service_id, r.reference, r.kind, r.state, r.reason, r.submitted_at, r.ended_at, s.programme, s.number, c.place,
           r.turn_at, r.blocked, r.state = 'provisioned' AND r.superseded AS superseded, l.lost, l.lost AND r.holds AS holds
    FROM unnest($1::bigint[]) WITH ORDINALITY AS c (id, place)
    JOIN request_summary r ON r.id = c.id
    JOIN service s ON s.id = r.service_id
    -- What became of the routes is asked where there were any.
    CROSS JOIN LATERAL (SELECT r.state = 'provisioned' AND r.lost AS lost) l
    WHERE ($2::text IS NULL OR r.state = $2)
      AND ($3::interval IS NULL OR r.state = 'pending' AND NOT r.blocked AND r.turn_at < pic_now() - $3)
      AND ($4::interval IS NULL OR r.submitted_at <= pic_now() - $4)
      AND ($5::text IS NULL OR s.programme = $5)
      AND ($6::text IS NULL OR EXISTS (
              SELECT FROM finding f WHERE f.request_id = r.id AND f.code = $6 AND f.severity NOT IN ('ok', 'skipped')))
      AND (NOT $7::bool OR r.state = 'pending' AND r.blocked)
      AND (NOT $8::bool OR r.state = 'provisioned' AND r.blocked AND NOT r.superseded)
      AND ($9::interval IS NULL OR r.state = 'pending' AND (NOT r.blocked OR EXISTS (
              SELECT FROM finding f WHERE f.request_id = r.id AND f.code = 'domain-held' AND f.at < pic_now() - $9)))
      AND ($10::text IS NULL OR EXISTS (SELECT FROM staff_mark m WHERE m.request_id = r.id AND m.mark = $10))
      AND ($11::bigint IS NULL OR EXISTS (
              SELECT FROM staff_mark m WHERE m.request_id = r.id AND m.mark = 'taken' AND m.staff_id = $11))
    ORDER BY c.place
    LIMIT $12
)
SELECT p.id AS "id!", p.service_id AS "service!", p.reference AS "reference!: Reference",
       ROW(ROW(p.state, p.reason, p.ended_at), p.kind, p.submitted_at, p.turn_at, p.blocked, p.superseded, p.lost, p.holds) AS "facts!: Facts",
       p.programme AS "programme!: Programme", p.number AS "number!: AgreementNumber",
       n.about AS "about!", f.sip_domain AS "domain?: SipDomain", f.access_edge AS "edge?: AccessEdge",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(m.mark, st.name) ORDER BY m.mark), '[]')
        FROM staff_mark m JOIN staff st ON st.id = m.staff_id
        WHERE m.request_id = p.id) AS "marks!: Json<Vec<(Mark, Name)>>",
       p.state = 'pending' AND EXISTS (
           SELECT FROM finding f WHERE f.request_id = p.id AND f.code = 'domain-held' AND f.at < pic_now() - $13::interval) AS "held_long!",
       c.domains AS "domains!", c.edges AS "edges!",
       (SELECT f.code FROM finding f WHERE f.request_id = p.id AND f.severity NOT IN ('ok', 'skipped')
        ORDER BY array_position(ARRAY['blocking', 'unknown', 'warning'], f.severity), f.code, f.subject LIMIT 1) AS "worst: Code",
       pic_now() AS "now!"
FROM picked p
-- A cancel has no names of its own: it is about those of the request that was provisioned before it.
CROSS JOIN LATERAL (
    SELECT CASE p.kind WHEN 'cancel' THEN coalesce((
        SELECT max(o.id) FROM pic_requests_of(p.service_id) o
        WHERE o.id < p.id AND o.kind <> 'cancel' AND o.state = 'provisioned'), p.id) ELSE p.id END AS about
) n
LEFT JOIN LATERAL (
    SELECT d.sip_domain, d.access_edge FROM request_route d WHERE d.request_id = n.about ORDER BY d.edge, d.place LIMIT 1
) f ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS domains, count(*) FILTER (WHERE d.place = 1) AS edges FROM request_route d WHERE d.request_id = n.about
) c
ORDER BY p.place
