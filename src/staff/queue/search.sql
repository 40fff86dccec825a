-- The requests that a search may mean, newest first. What a text is not taken for is an empty range.
-- Each part is bounded, so that the name of a whole country takes no longer than that of a town, and
-- in the order of its index, so that none is read from the table's beginning.
(SELECT r.id AS "id!" FROM service s, pic_requests_of(s.id) r
 WHERE s.number >= $1 AND s.number < $2 ORDER BY s.number LIMIT $7)
UNION
(SELECT r.id FROM request r WHERE r.reference >= $3 AND r.reference < $4 LIMIT $7)
UNION
(SELECT d.request_id FROM request_route d WHERE reverse(d.sip_domain) COLLATE "C" = $5 LIMIT $7)
UNION
(SELECT d.request_id FROM request_route d
 WHERE reverse(d.sip_domain) COLLATE "C" >= $5 || '.' AND reverse(d.sip_domain) COLLATE "C" < $6
 ORDER BY reverse(d.sip_domain) COLLATE "C" LIMIT $7)
UNION
(SELECT e.request_id FROM request_edge e WHERE reverse(e.access_edge) COLLATE "C" = $5 LIMIT $7)
UNION
(SELECT e.request_id FROM request_edge e
 WHERE reverse(e.access_edge) COLLATE "C" >= $5 || '.' AND reverse(e.access_edge) COLLATE "C" < $6
 ORDER BY reverse(e.access_edge) COLLATE "C" LIMIT $7)
ORDER BY 1 DESC
LIMIT $7
