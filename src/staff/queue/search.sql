-- The requests that a search may mean, newest first. What a text is not taken for is an empty range.
-- Each part is bounded, so that the name of a whole country takes no longer than that of a town, and
-- in the order of its index, so that none is read from the table's beginning.
(SELECT r.id AS "id!" FROM service s, pic_requests_of(s.id) r WHERE s.number = $1 LIMIT $6)
UNION
(SELECT r.id FROM request r WHERE r.reference >= $2 AND r.reference < $3 LIMIT $6)
UNION
(SELECT d.request_id FROM request_route d WHERE reverse(d.sip_domain) COLLATE "C" = $4 LIMIT $6)
UNION
(SELECT d.request_id FROM request_route d
 WHERE reverse(d.sip_domain) COLLATE "C" >= $4 || '.' AND reverse(d.sip_domain) COLLATE "C" < $5
 ORDER BY reverse(d.sip_domain) COLLATE "C" LIMIT $6)
UNION
(SELECT e.request_id FROM request_edge e WHERE reverse(e.access_edge) COLLATE "C" = $4 LIMIT $6)
UNION
(SELECT e.request_id FROM request_edge e
 WHERE reverse(e.access_edge) COLLATE "C" >= $4 || '.' AND reverse(e.access_edge) COLLATE "C" < $5
 ORDER BY reverse(e.access_edge) COLLATE "C" LIMIT $6)
ORDER BY 1 DESC
LIMIT $6
