-- Stores a slice of submissions: one statement, one round trip, all or none of it.
--
-- A member without a service makes one. One row comes back for each member, in any order.
-- `created`: stored now. Else `same` tells a retry of what is stored already from other content
-- under the same submission id; `pending` is the reference of the service's pending request, which
-- stands in the way. A member with neither reference was stored by somebody else in this very
-- moment: ask again for that one.
WITH member AS MATERIALIZED (
    SELECT m.*, nextval('request_id_seq') AS new_request_id,
           CASE WHEN m.service_id IS NULL THEN nextval('service_id_seq') END AS new_service_id
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                $9::bytea[], $10::bytea[])
        WITH ORDINALITY AS m (kind, service_id, programme, number, token, key_hash, reference, deployment,
                              submission_hash, content_hash, place)
),
known AS (
    SELECT m.place, r.reference, r.content_hash = m.content_hash AS same
    FROM member m JOIN request r ON r.submission_hash = m.submission_hash
),
waiting AS (
    SELECT m.place, r.reference
    FROM member m JOIN request r ON r.service_id = m.service_id AND r.state = 'pending'
    WHERE NOT EXISTS (SELECT FROM known k WHERE k.place = m.place)
),
fresh AS (
    SELECT DISTINCT ON (m.submission_hash) m.*
    FROM member m
    WHERE NOT EXISTS (SELECT FROM known k WHERE k.place = m.place)
      AND NOT EXISTS (SELECT FROM waiting w WHERE w.place = m.place)
      AND NOT EXISTS (SELECT FROM member e WHERE e.service_id = m.service_id AND e.place < m.place)
    ORDER BY m.submission_hash, m.place
),
-- In order of submission id, so that two slices with the same members meet in one order.
stored AS (
    INSERT INTO request (id, service_id, submitted_at, reference, kind, deployment, submission_hash, content_hash)
    OVERRIDING SYSTEM VALUE
    SELECT new_request_id, coalesce(service_id, new_service_id), pic_now(), reference, kind, deployment,
           submission_hash, content_hash
    FROM fresh ORDER BY submission_hash
    ON CONFLICT (submission_hash) DO NOTHING
    RETURNING id, reference, submitted_at
),
new AS (
    SELECT f.place, s.id, s.submitted_at, f.new_service_id, f.programme, f.number, f.token, f.key_hash
    FROM stored s JOIN fresh f ON f.new_request_id = s.id
),
new_service AS (
    INSERT INTO service (id, created_at, programme, number, token, key_hash)
    OVERRIDING SYSTEM VALUE
    SELECT new_service_id, submitted_at, programme, number, token, key_hash
    FROM new WHERE new_service_id IS NOT NULL
),
new_edge AS (
    INSERT INTO request_edge (request_id, ordinal, access_edge)
    SELECT n.id, e.ordinal, e.access_edge
    FROM unnest($11::bigint[], $12::smallint[], $13::text[]) AS e (place, ordinal, access_edge)
    JOIN new n USING (place)
),
new_route AS (
    INSERT INTO request_route (request_id, edge, sip_domain)
    SELECT n.id, d.edge, d.sip_domain
    FROM unnest($14::bigint[], $15::smallint[], $16::text[]) AS d (place, edge, sip_domain)
    JOIN new n USING (place)
),
new_event AS (
    INSERT INTO event (request_id, seq, at, actor, code)
    SELECT id, 1, submitted_at, 'administrator', 'submitted' FROM new
),
new_work AS (
    INSERT INTO work (request_id, due_at) SELECT id, submitted_at FROM new
)
SELECT m.place AS "place!", coalesce(s.reference, k.reference) AS reference, w.reference AS "pending?",
       s.id IS NOT NULL AS "created!", coalesce(k.same, false) AS "same!"
FROM member m
LEFT JOIN stored s ON s.id = m.new_request_id
LEFT JOIN known k ON k.place = m.place
LEFT JOIN waiting w ON w.place = m.place
