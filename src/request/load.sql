-- All that the pages of some requests tell, in one round trip for one or many. Each timeline, set of
-- routes and set of findings is read once. Whoever asks may bring a session ($2), which has an end
-- when unused ($4) and one of all ($3): whether it opens the request's service, and whether it is
-- time to say that it is in use.
SELECT a.place AS "place!",
       r.id AS "id!", r.service_id AS "service_id!", r.kind AS "kind!: Kind", r.deployment AS "deployment?: Deployment",
       ROW(r.state, r.reason, r.ended_at) AS "state!: State", r.submitted_at AS "submitted_at!", r.turn_at AS "turn_at!",
       s.programme AS "programme!: Programme", s.number AS "number!: AgreementNumber", s.token AS "token!", s.key_hash AS "key_hash!: Vec<u8>",
       pic_now() AS "now!",
       r.superseded AS "superseded!", r.holds AS "holds!",
       ARRAY(SELECT e.access_edge::text FROM request_edge e WHERE e.request_id = r.id ORDER BY e.ordinal) AS "edges!: Vec<AccessEdge>",
       d.edges AS "domain_edges!", d.domains AS "domains!: Vec<SipDomain>",
       e.all_of_them AS "events!: Json<Vec<Event>>",
       ARRAY(SELECT ROW(l.subject::text, coalesce(l.last_at, l.at)) FROM event l
             WHERE l.request_id = r.id AND l.code = 'domain-lost' ORDER BY l.subject)
           AS "lost!: Vec<(SipDomain, DateTime<Utc>)>",
       f.all_of_them AS "findings!: Json<Vec<Finding>>",
       r.due_at, r.checked_at, r.gateways AS "gateways!", r.live_on AS "live_on!", r.live_at,
       coalesce(x.service_id = r.service_id, false) AS "own!",
       coalesce(x.seen_at < pic_now() - interval '1 minute', false) AS "unseen!"
FROM (
    -- The limit cuts nothing off. By it the planner expects one row whoever many come, so that it keeps one
    -- plan; else it would make one for each call, which takes longer than the look-up.
    SELECT * FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS u (reference, session, place)
    LIMIT cardinality($1::text[])
) a
JOIN request_summary r ON r.reference = a.reference
JOIN service s ON s.id = r.service_id
LEFT JOIN session x ON x.token_hash = a.session
    AND x.began_at > pic_now() - $3::interval AND x.seen_at > pic_now() - $4::interval
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(edge), '{}') AS edges, coalesce(array_agg(sip_domain::text), '{}') AS domains
    FROM (SELECT edge, sip_domain FROM request_route WHERE request_id = r.id ORDER BY edge, sip_domain) o
) d
CROSS JOIN LATERAL (
    -- The last ones, the last first: `MOST_EVENTS`.
    SELECT coalesce(jsonb_agg(jsonb_build_array(seq, at, last_at, times, actor, code, subject)), '[]') AS all_of_them
    FROM (SELECT * FROM timeline WHERE request_id = r.id ORDER BY seq DESC LIMIT 100) o
) e
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_array(code, severity, subject, expected, string_to_array(found, E'\n'))), '[]') AS all_of_them
    FROM (SELECT * FROM finding WHERE request_id = r.id ORDER BY subject, code) o
) f
