-- Stores a slice of submissions: one statement, one round trip, all or none of it.
--
-- A member without a service makes one, which has the number of the request. Back comes the number of each
-- member's new request, in the order of the slice; 0: it made none. Something stands in its way then: a request
-- with its reference, which the same submission made, or a pending request of its service. `submitted.sql` tells
-- which. $17, where it is not null: the portal submits them, each at its time there or else now.
--
-- The planner knows neither how many members there are nor how large the tables have grown since it
-- planned. So it has nothing to choose here: what stands in the way is found by the unique indexes as
-- rows are inserted, and what belongs to a member by the member's place.
WITH moment AS MATERIALIZED (
    SELECT pic_now() AS now_at
),
member AS MATERIALIZED (
    SELECT m.*, nextval('request_id_seq') AS new_id, coalesce(($17::timestamptz[])[place], now_at) AS submitted_at
    FROM moment,
         unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                $9::bytea[], $10::bigint[], $11::text[])
        WITH ORDINALITY AS m (kind, service_id, programme, number, token, key_hash, reference, deployment,
                              content_hash, staff_id, why, place)
),
-- In order of reference, so that two slices with the same members meet in one order. The request that made a
-- service stands in no index of its pending ones.
stored AS (
    INSERT INTO request (id, service_id, submitted_at, reference, kind, deployment, content_hash)
    OVERRIDING SYSTEM VALUE
    SELECT new_id, coalesce(service_id, new_id), submitted_at, reference, kind, deployment, content_hash
    FROM member m
    WHERE (SELECT r.state FROM request r WHERE r.id = m.service_id AND r.kind = 'initiate') IS DISTINCT FROM 'pending'
    ORDER BY reference, place
    ON CONFLICT DO NOTHING
    RETURNING id
),
made AS MATERIALIZED (
    SELECT ARRAY(SELECT CASE WHEN new_id IN (SELECT id FROM stored) THEN new_id ELSE 0 END FROM member ORDER BY place) AS ids
),
new_service AS (
    INSERT INTO service (id, created_at, programme, number, token, key_hash)
    SELECT new_id, submitted_at, programme, number, token, key_hash
    FROM member WHERE service_id IS NULL AND (SELECT ids FROM made)[place] > 0
),
new_route AS (
    INSERT INTO request_route (request_id, edge, place, access_edge, sip_domain)
    SELECT (SELECT ids FROM made)[d.member], d.edge, d.place, d.access_edge, d.sip_domain
    FROM unnest($12::bigint[], $13::smallint[], $14::smallint[], $15::text[], $16::text[])
        AS d (member, edge, place, access_edge, sip_domain)
    WHERE (SELECT ids FROM made)[d.member] > 0
),
new_work AS (
    INSERT INTO work (request_id, due_at)
    SELECT id, (SELECT now_at FROM moment) FROM unnest((SELECT ids FROM made)) AS n (id) WHERE id > 0
),
-- What staff send for an administrator, and what comes from an older portal.
new_event AS (
    INSERT INTO event (request_id, seq, at, actor, code, staff_id)
    SELECT new_id, 1, submitted_at, CASE WHEN staff_id IS NULL THEN 'portal' ELSE 'staff' END, 'submitted', staff_id
    FROM member WHERE (staff_id IS NOT NULL OR $17::timestamptz[] IS NOT NULL) AND (SELECT ids FROM made)[place] > 0
),
new_audit AS (
    INSERT INTO staff_audit (staff_id, at, action, request_id, service_id, reason)
    SELECT staff_id, (SELECT now_at FROM moment), 'cancelled', new_id, service_id, why
    FROM member, pic_staff_may(staff_id)
    WHERE staff_id IS NOT NULL AND (SELECT ids FROM made)[place] > 0
)
SELECT ids AS "ids!" FROM made
