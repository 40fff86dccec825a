-- How a request stands was asked in the same words by four queries: they ask here. PostgreSQL works out
-- of it only the columns that a query names.
CREATE VIEW request_summary AS
SELECT r.id, r.service_id, r.reference, r.kind, r.deployment, r.state, r.reason, r.submitted_at, r.ended_at,
       EXISTS (SELECT FROM finding f WHERE f.request_id = r.id AND f.severity = 'blocking') AS blocked,
       EXISTS (SELECT FROM request l WHERE l.service_id = r.service_id AND l.id > r.id AND l.state = 'provisioned')
           AS superseded,
       (SELECT coalesce(max(e.seq), 0) FROM event e WHERE e.request_id = r.id) AS seq,
       ARRAY(SELECT f.severity FROM finding f WHERE f.request_id = r.id) AS severities,
       coalesce(w.due_at, h.due_at) AS due_at,
       coalesce(w.checked_at, h.checked_at, (SELECT max(f.at) FROM finding f WHERE f.request_id = r.id)) AS checked_at
FROM request r
LEFT JOIN work w ON w.request_id = r.id
LEFT JOIN watch h ON h.request_id = r.id;

COMMENT ON VIEW request_summary IS 'requests with what people are told of each: how it stands, and when it is looked at';
COMMENT ON COLUMN request_summary.id IS 'as in request';
COMMENT ON COLUMN request_summary.service_id IS 'as in request';
COMMENT ON COLUMN request_summary.reference IS 'as in request';
COMMENT ON COLUMN request_summary.kind IS 'as in request';
COMMENT ON COLUMN request_summary.deployment IS 'as in request';
COMMENT ON COLUMN request_summary.state IS 'as in request';
COMMENT ON COLUMN request_summary.reason IS 'as in request';
COMMENT ON COLUMN request_summary.submitted_at IS 'as in request';
COMMENT ON COLUMN request_summary.ended_at IS 'as in request';
COMMENT ON COLUMN request_summary.blocked IS 'whether a finding holds it back that the administrator can do something about';
COMMENT ON COLUMN request_summary.superseded IS 'whether a later request of the same service has been provisioned';
COMMENT ON COLUMN request_summary.seq IS 'place of the last entry in its timeline; 0: it has none';
COMMENT ON COLUMN request_summary.severities IS 'how grave each of its findings is';
COMMENT ON COLUMN request_summary.due_at IS 'when it is looked at next; NULL: it is not';
COMMENT ON COLUMN request_summary.checked_at IS 'when its checks last ran; NULL: not yet';
