-- How some requests stand, in one round trip for one or many: few and narrow columns, since this is asked
-- for each page that has been seen and after every change anywhere. Requests come by reference ($1) or by
-- number ($2). A session ($3) is looked at as in load.sql.
SELECT a.place AS "place!", r.id AS "id!",
       ROW(ROW(r.state, r.reason, r.ended_at), r.kind, r.submitted_at, r.turn_at, r.blocked, r.superseded, r.lost, r.holds) AS "facts!: Facts",
       r.seq AS "seq!", r.severities AS "severities!: Vec<Severity>", r.due_at, r.checked_at,
       r.gateways AS "gateways!", r.live_on AS "live_on!", r.live_at, pic_now() AS "now!",
       coalesce(x.service_id = r.service_id, false) AS "own!",
       coalesce(x.seen_at < pic_now() - interval '1 minute', false) AS "unseen!"
FROM (
    -- The limit cuts nothing off. By it the planner expects one row whoever many come, so that it keeps one
    -- plan; else it would make one for each call, which takes longer than the look-up.
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[]) WITH ORDINALITY AS u (reference, id, session, place)
    LIMIT greatest(cardinality($1::text[]), cardinality($2::bigint[]))
) a
JOIN request_summary r ON r.id = coalesce(a.id, (SELECT q.id FROM request q WHERE q.reference = a.reference))
LEFT JOIN session x ON x.token_hash = a.session
    AND x.began_at > pic_now() - $4::interval AND x.seen_at > pic_now() - $5::interval
