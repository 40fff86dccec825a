-- Puts the routes of the stored requests in force, from when these say, in order of domains as everybody
-- does, and says how many could not be, because somebody else's came first.
WITH wanted AS (
    SELECT d.sip_domain, e.access_edge, i.service_id, i.request_id, r.ended_at AS since
    FROM pg_temp.import_request i
    JOIN request r ON r.id = i.request_id
    JOIN pg_temp.import_route d ON d.place = i.place
    JOIN pg_temp.import_edge e ON e.place = d.place AND e.ordinal = d.edge
    WHERE i.provisioned
),
put AS (
    INSERT INTO route (sip_domain, access_edge, service_id, request_id, since)
    SELECT sip_domain, access_edge, service_id, request_id, since FROM wanted ORDER BY sip_domain
    ON CONFLICT (sip_domain) DO NOTHING
    RETURNING sip_domain
)
SELECT (SELECT count(*) FROM wanted) - (SELECT count(*) FROM put)
