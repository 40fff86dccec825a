-- Puts any routes in force, as if settling had: in braces, `routes` is a query for columns sip_domain
-- and access_edge, and `service` the number of the service that is to hold them. A route has its edge from a
-- request: each edge gets one here.
WITH asked AS MATERIALIZED ({routes}),
edge AS MATERIALIZED (
    SELECT access_edge, nextval('request_id_seq') AS id FROM (SELECT DISTINCT access_edge FROM asked) e
),
stored AS (
    INSERT INTO request (id, service_id, submitted_at, ended_at, reference, kind, deployment, state, content_hash, provisioned_seq)
    OVERRIDING SYSTEM VALUE
    SELECT id, {service}, pic_now(), pic_now(), 'PIC-' || regexp_replace(upper(left(md5(id || access_edge), 16)), '(.{4})(.{4})(.{4})', '\1-\2-\3-'),
           'update', 'on_premises', 'provisioned', substr(sha256(id::text::bytea), 1, 8), 2
    FROM edge
),
named AS (
    INSERT INTO request_route (request_id, edge, place, access_edge, sip_domain)
    SELECT id, 1, 1, access_edge, 'first.' || access_edge FROM edge
)
INSERT INTO domain_in_force (service_id, request_id, edge, sip_domain)
SELECT {service}, e.id, 1, a.sip_domain FROM asked a JOIN edge e ON e.access_edge = a.access_edge
ON CONFLICT (sip_domain) DO UPDATE SET request_id = EXCLUDED.request_id
