-- Stores the new requests from place $1 to place $2, each with the service that it makes, whose management
-- key has the hash that stands in $3 for its place: in one
-- statement, because at its end the rules look at whole requests. What is in progress starts at the moment
-- $4: promise and limit count from there. The routes of the others come into force after the last of them.
WITH new AS MATERIALIZED (
    SELECT i.*, CASE WHEN i.provisioned THEN coalesce(i.submitted_at, $4) ELSE $4 END AS stored_at,
           $4 AS now_at
    FROM (SELECT r.*, k.key_hash, nextval('request_id_seq') AS new_id
          FROM pg_temp.import_request r
          JOIN unnest($3::bytea[]) WITH ORDINALITY k(key_hash, nth) ON r.place = $1 + k.nth - 1
          WHERE r.place BETWEEN $1 AND $2 ORDER BY r.place) i
),
marked AS (
    UPDATE pg_temp.import_request i SET request_id = n.new_id, service_id = n.new_id
    FROM new n WHERE i.place = n.place
),
new_service AS (
    INSERT INTO service (id, created_at, programme, number, token, key_hash)
    SELECT new_id, stored_at, programme, number, token, key_hash FROM new
),
new_request AS (
    INSERT INTO request (id, service_id, submitted_at, ended_at, reference, kind, deployment, state, content_hash)
    OVERRIDING SYSTEM VALUE
    SELECT new_id, new_id, stored_at, CASE WHEN provisioned THEN now_at END, reference, 'initiate',
           deployment, CASE WHEN provisioned THEN 'provisioned' ELSE 'pending' END, content_hash
    FROM new
),
new_route AS (
    INSERT INTO request_route (request_id, edge, place, access_edge, sip_domain)
    SELECT n.new_id, d.edge, row_number() OVER (PARTITION BY d.place, d.edge ORDER BY d.sip_domain), e.access_edge,
           d.sip_domain
    FROM new n
    JOIN pg_temp.import_route d ON d.place = n.place
    JOIN pg_temp.import_edge e ON e.place = d.place AND e.ordinal = d.edge
),
new_event AS (
    INSERT INTO event (request_id, seq, at, actor, code)
    SELECT new_id, 1, stored_at, 'portal', 'submitted' FROM new
    UNION ALL
    SELECT new_id, 2, now_at, 'portal', 'provisioned' FROM new WHERE provisioned
),
new_work AS (
    INSERT INTO work (request_id, due_at) SELECT new_id, now_at FROM new WHERE NOT provisioned
)
SELECT place, programme, number, reference FROM new ORDER BY place
