-- Stores a slice of submissions: one statement, one round trip, all or none of it.
--
-- A member without a service makes one. Back comes the number of each member's new request, in the
-- order of the slice; 0: it made none. Something stands in its way then: the same submission id, or a
-- pending request of its service, in the table or earlier in the slice. `submitted.sql` tells which.
-- $17, where it is not null: the portal submits them, each at its time there or else now.
--
-- The planner knows neither how many members there are nor how large the tables have grown since it
-- planned. So it has nothing to choose here: what stands in the way is found by the unique indexes as
-- rows are inserted, and what belongs to a member by the member's place.
WITH moment AS MATERIALIZED (
    SELECT pic_now() AS now_at
),
member AS MATERIALIZED (
    SELECT m.*, nextval('request_id_seq') AS new_request_id,
           CASE WHEN m.service_id IS NULL THEN nextval('service_id_seq') END AS new_service_id,
           coalesce(($17::timestamptz[])[place], now_at) AS submitted_at
    FROM moment,
         unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                $9::bytea[], $10::bytea[])
        WITH ORDINALITY AS m (kind, service_id, programme, number, token, key_hash, reference, deployment,
                              submission_hash, content_hash, place)
),
-- In order of submission id, so that two slices with the same members meet in one order.
stored AS (
    INSERT INTO request (id, service_id, submitted_at, reference, kind, deployment, submission_hash, content_hash)
    OVERRIDING SYSTEM VALUE
    SELECT new_request_id, coalesce(service_id, new_service_id), submitted_at, reference, kind, deployment,
           submission_hash, content_hash
    FROM member ORDER BY submission_hash, place
    ON CONFLICT DO NOTHING
    RETURNING id
),
made AS MATERIALIZED (
    SELECT ARRAY(
        SELECT CASE WHEN new_request_id IN (SELECT id FROM stored) THEN new_request_id ELSE 0 END
        FROM member ORDER BY place) AS ids
),
new_service AS (
    INSERT INTO service (id, created_at, programme, number, token, key_hash)
    OVERRIDING SYSTEM VALUE
    SELECT new_service_id, submitted_at, programme, number, token, key_hash
    FROM member WHERE new_service_id IS NOT NULL AND (SELECT ids FROM made)[place] > 0
),
new_edge AS (
    INSERT INTO request_edge (request_id, ordinal, access_edge)
    SELECT (SELECT ids FROM made)[e.place], e.ordinal, e.access_edge
    FROM unnest($11::bigint[], $12::smallint[], $13::text[]) AS e (place, ordinal, access_edge)
    WHERE (SELECT ids FROM made)[e.place] > 0
),
new_route AS (
    INSERT INTO request_route (request_id, edge, sip_domain)
    SELECT (SELECT ids FROM made)[d.place], d.edge, d.sip_domain
    FROM unnest($14::bigint[], $15::smallint[], $16::text[]) AS d (place, edge, sip_domain)
    WHERE (SELECT ids FROM made)[d.place] > 0
),
new_event AS (
    INSERT INTO event (request_id, seq, at, actor, code)
    SELECT (SELECT ids FROM made)[place], 1, submitted_at,
           CASE WHEN $17::timestamptz[] IS NULL THEN 'administrator' ELSE 'portal' END, 'submitted'
    FROM member WHERE (SELECT ids FROM made)[place] > 0
),
new_work AS (
    INSERT INTO work (request_id, due_at)
    SELECT id, (SELECT now_at FROM moment) FROM unnest((SELECT ids FROM made)) AS n (id) WHERE id > 0
)
SELECT ids AS "ids!" FROM made
