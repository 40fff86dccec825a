-- What stands in the way of submissions that made no request: `reference` of what is stored under the
-- same submission id, and `same`, whether it is the same content; else `pending`, the reference of the
-- service's pending request. Neither: it was stored by somebody else in this very moment.
--
-- One by one by an index, however many the planner takes them for.
SELECT m.place AS "place!", known.reference AS "reference?: Reference", known.same AS "same?",
       waiting.reference AS "pending?: Reference"
FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])
    WITH ORDINALITY AS m (submission_hash, content_hash, service_id, place)
LEFT JOIN LATERAL (
    SELECT r.reference, r.content_hash = m.content_hash AS same
    FROM request r WHERE r.submission_hash = m.submission_hash LIMIT 1
) known ON true
LEFT JOIN LATERAL (
    SELECT r.reference FROM request r WHERE r.service_id = m.service_id AND r.state = 'pending' LIMIT 1
) waiting ON true
