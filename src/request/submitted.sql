-- What stands in the way of submissions that made no request: `same` where a request with this reference is
-- stored, whether it is the same content; else `pending`, the reference of the service's pending request.
-- Neither: it was stored by somebody else in this very moment.
--
-- One by one by an index, however many the planner takes them for.
SELECT m.place AS "place!", m.reference AS "reference!: Reference", known.same AS "same?",
       waiting.reference AS "pending?: Reference"
FROM unnest($1::text[], $2::bytea[], $3::bigint[]) WITH ORDINALITY AS m (reference, content_hash, service_id, place)
LEFT JOIN LATERAL (
    SELECT r.content_hash = m.content_hash AS same FROM request r WHERE r.reference = m.reference LIMIT 1
) known ON true
LEFT JOIN LATERAL (
    SELECT r.reference FROM pic_requests_of(m.service_id) r WHERE r.state = 'pending' LIMIT 1
) waiting ON true
