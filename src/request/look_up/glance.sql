-- What the tags of some requests' pages are made of, in one round trip for one or many: what is
-- shown of them is still the same while this is. Parameters and session as in look_up.sql.
SELECT a.place AS "place!",
       pic_now() AS "now!",
       ROW(ROW(r.state, r.reason, r.ended_at), r.kind, r.submitted_at, EXISTS (SELECT FROM finding b WHERE b.request_id = r.id AND b.severity = 'blocking'),
           EXISTS (SELECT FROM request l WHERE l.service_id = r.service_id AND l.id > r.id AND l.state = 'provisioned'))
           AS "facts!: Facts",
       (SELECT coalesce(max(e.seq), 0) FROM event e WHERE e.request_id = r.id) AS "seq!",
       f.severities AS "severities!: Vec<Severity>",
       coalesce(w.due_at, h.due_at) AS "due_at?",
       coalesce(w.checked_at, h.checked_at, f.at) AS "checked_at?",
       coalesce(x.service_id = r.service_id, false) AS "own!",
       coalesce(x.seen_at < pic_now() - interval '1 minute', false) AS "unseen!"
FROM (
    -- The limit cuts nothing off. By it the planner expects one row whoever many come, so that it keeps one
    -- plan; else it would make one for each call, which takes longer than the look-up.
    SELECT * FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS u (reference, session, place)
    LIMIT cardinality($1::text[])
) a
JOIN request r ON r.reference = a.reference
LEFT JOIN work w ON w.request_id = r.id
LEFT JOIN watch h ON h.request_id = r.id
LEFT JOIN session x ON x.token_hash = a.session
    AND x.began_at > pic_now() - $3::interval AND x.seen_at > pic_now() - $4::interval
CROSS JOIN LATERAL (
    SELECT max(at) AS at, coalesce(array_agg(severity), '{}') AS severities
    FROM finding WHERE request_id = r.id
) f
