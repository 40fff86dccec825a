-- The requests with a label that begins with a piece ($1), newest first: of all domains in force the first
-- label, by their index; of the newest names ($3), and of those of requests in progress, any label but the
-- last. An index of all labels would cost every submit more than it may. Names without the
-- piece are passed over first: to ask the regular expression of all took three times as long.
(SELECT r.id AS "id!" FROM route x, pic_requests_of(x.service_id) r
 WHERE x.sip_domain >= $1 AND x.sip_domain < $1 || '~' ORDER BY x.sip_domain LIMIT $2)
UNION
(SELECT n.request_id
 FROM (SELECT d.request_id, d.access_edge, d.sip_domain FROM request_route d ORDER BY d.request_id DESC LIMIT $3) n
 WHERE (strpos(n.sip_domain, $1) > 0 OR strpos(n.access_edge, $1) > 0)
   AND concat_ws(' .', '.' || n.sip_domain, n.access_edge) ~ ('\.' || $1 || '[a-z0-9-]*\.') LIMIT $2)
UNION
(SELECT n.request_id
 FROM (SELECT d.* FROM (SELECT request_id FROM work ORDER BY request_id LIMIT $3) w
       CROSS JOIN LATERAL (SELECT d.request_id, d.access_edge, d.sip_domain FROM request_route d
                           WHERE d.request_id = w.request_id OFFSET 0) d
       LIMIT $3) n
 WHERE (strpos(n.sip_domain, $1) > 0 OR strpos(n.access_edge, $1) > 0)
   AND concat_ws(' .', '.' || n.sip_domain, n.access_edge) ~ ('\.' || $1 || '[a-z0-9-]*\.') LIMIT $2)
ORDER BY 1 DESC
LIMIT $2
