-- What there is, a line each, without what differs from one time to the next: numbers are counted
-- from the first, times and random names are left out.
WITH s AS (SELECT *, row_number() OVER (ORDER BY id) AS n FROM service),
     r AS (SELECT r.*, row_number() OVER (ORDER BY r.id) AS n, s.n AS of_service FROM request r JOIN s ON s.id = r.service_id)
SELECT line FROM (
    SELECT concat_ws(' ', 'service', n, programme, number) FROM s
    UNION ALL SELECT concat_ws(' ', 'request', n, 'of', of_service, kind, deployment, state, reason) FROM r
    UNION ALL SELECT concat_ws(' ', 'edge', n, ordinal, access_edge) FROM request_edge JOIN r ON r.id = request_id
    UNION ALL SELECT concat_ws(' ', 'wanted', n, edge, sip_domain) FROM request_route JOIN r ON r.id = request_id
    UNION ALL SELECT concat_ws(' ', 'route', sip_domain, access_edge, 'of', s.n, 'by', r.n)
        FROM route x JOIN s ON s.id = x.service_id JOIN r ON r.id = x.request_id
    UNION ALL SELECT concat_ws(' ', 'event', n, seq, times, actor, code, subject, staff_id) FROM timeline JOIN r ON r.id = request_id
    UNION ALL SELECT concat_ws(' ', 'finding', n, code, subject, severity, expected, found) FROM finding JOIN r ON r.id = request_id
    UNION ALL SELECT concat_ws(' ', 'work', n, attempts, again, due_at <= pic_now(), lease_token IS NULL, checked_at IS NULL)
        FROM work JOIN r ON r.id = request_id
    UNION ALL SELECT concat_ws(' ', 'watch', n, again, due_at <= pic_now(), lease_token IS NULL) FROM watch JOIN r ON r.id = request_id
    UNION ALL SELECT concat_ws(' ', 'sessions of', s.n, count(*)) FROM session e JOIN s ON s.id = e.service_id GROUP BY s.n
    UNION ALL SELECT concat_ws(' ', 'audit', action, r.n, s.n, a.reason, a.mark)
        FROM staff_audit a LEFT JOIN r ON r.id = request_id LEFT JOIN s ON s.id = a.service_id
    UNION ALL SELECT concat_ws(' ', 'mark', r.n, mark, staff_id) FROM staff_mark JOIN r ON r.id = request_id
    UNION ALL SELECT concat_ws(' ', 'removed', kind, sum(rows)) FROM retention_removed GROUP BY kind
    UNION ALL SELECT concat_ws(' ', 'sweeps under way', count(*)) FROM retention_run WHERE ended_at IS NULL
    UNION ALL SELECT concat_ws(' ', 'contacts', count(*)) FROM legacy_contact
    UNION ALL SELECT concat_ws(' ', 'instances', count(*)) FROM instance
) lines (line) ORDER BY line
