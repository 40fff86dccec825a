-- What must hold between rows at every moment, whatever was killed or failed: each row that comes
-- back names a rule that is broken, and where. What a constraint says is looked at too, where a
-- torn page or a lost row could break it behind the constraint's back.
WITH event AS (SELECT * FROM timeline),
timeline AS (
    SELECT e.*, coalesce(e.last_at, e.at) AS latest, lag(coalesce(e.last_at, e.at)) OVER t AS latest_before
    FROM event e WINDOW t AS (PARTITION BY e.request_id ORDER BY e.seq)
),
ending AS (
    SELECT request_id, count(*) AS n, min(seq) AS seq, min(code) AS code, min(at) AS at
    FROM event WHERE code IN ('provisioned', 'rejected', 'withdrawn') GROUP BY request_id
),
-- What is in force follows from what was provisioned, the last word first. A service holds what its
-- last provisioned request wants, but for domains that a later request of somebody else has won.
last_word AS (
    SELECT DISTINCT ON (service_id) service_id, id FROM request WHERE state = 'provisioned'
    ORDER BY service_id, ended_at DESC, id DESC
),
last_winner AS (
    SELECT DISTINCT ON (d.sip_domain) d.sip_domain, r.service_id
    FROM request r JOIN request_route d ON d.request_id = r.id WHERE r.state = 'provisioned'
    ORDER BY d.sip_domain, r.ended_at DESC, r.id DESC
),
due_in_force AS (
    SELECT w.sip_domain::text AS sip_domain, e.access_edge::text AS access_edge, w.service_id
    FROM last_winner w
    JOIN last_word l ON l.service_id = w.service_id
    JOIN request_route d ON d.request_id = l.id AND d.sip_domain = w.sip_domain
    LEFT JOIN request_edge e ON e.request_id = l.id AND e.ordinal = d.edge
),
in_force AS (SELECT sip_domain::text, access_edge::text, service_id FROM route)
SELECT * FROM (
    -- Whole
    SELECT 'a request has its edges, each with domains' AS rule, r.id::text AS about
    FROM request r
    LEFT JOIN LATERAL (
        SELECT count(*) AS n, count(DISTINCT sip_domain) AS domains, count(*) FILTER (WHERE place = 1) AS edges,
               count(DISTINCT edge) AS numbers, count(DISTINCT access_edge) AS names,
               count(access_edge) AS named, coalesce(max(edge), 0) AS last
        FROM request_route WHERE request_id = r.id
    ) d ON true
    WHERE CASE r.kind WHEN 'cancel' THEN d.n > 0 ELSE d.n NOT BETWEEN 1 AND 1000 OR d.domains <> d.n END
       OR d.last > 10 OR (d.numbers, d.names, d.named, d.last) <> (d.edges, d.edges, d.edges, d.edges)
    UNION ALL
    SELECT 'everything belongs to a request', x.request_id::text
    FROM (SELECT request_id FROM request_route UNION SELECT request_id FROM event
          UNION SELECT request_id FROM finding UNION SELECT request_id FROM work UNION SELECT request_id FROM watch
          UNION SELECT request_id FROM route) x
    LEFT JOIN request r ON r.id = x.request_id WHERE r.id IS NULL
    UNION ALL
    SELECT 'every request has its service', r.id::text
    FROM request r LEFT JOIN service s ON s.id = r.service_id WHERE s.id IS NULL
    UNION ALL
    SELECT 'every service has a request', s.id::text
    FROM service s WHERE NOT EXISTS (SELECT FROM request r WHERE r.service_id = s.id)
    UNION ALL
    SELECT 'a reference names one request', min(id)::text FROM request GROUP BY reference HAVING count(*) > 1
    UNION ALL
    SELECT 'a service has one pending request', service_id::text
    FROM request WHERE state = 'pending' GROUP BY service_id HAVING count(*) > 1
    -- State
    UNION ALL
    SELECT 'what is pending is to be done, and nothing else', coalesce(r.id, w.request_id)::text
    FROM (SELECT * FROM request WHERE state = 'pending') r FULL JOIN work w ON w.request_id = r.id
    WHERE r.id IS NULL OR w.request_id IS NULL
    UNION ALL
    SELECT 'it has ended at a time, and for a reason if it was rejected', id::text
    FROM request WHERE (state = 'pending') <> (ended_at IS NULL) OR (state = 'rejected') <> (reason IS NOT NULL)
    UNION ALL
    SELECT 'only what is in force last is watched', w.request_id::text
    FROM watch w JOIN request r ON r.id = w.request_id LEFT JOIN last_word l ON l.id = r.id
    WHERE l.id IS NULL OR r.kind = 'cancel'
    UNION ALL
    SELECT 'a lease has a holder and an end', request_id::text
    FROM (SELECT request_id, lease_token, lease_until FROM work UNION ALL
          SELECT request_id, lease_token, lease_until FROM watch) l
    WHERE (lease_token IS NULL) <> (lease_until IS NULL)
    -- Timeline
    UNION ALL
    SELECT 'a timeline begins with the only submission', r.id::text
    FROM request r
    WHERE 1 <> (SELECT count(*) FROM event WHERE request_id = r.id AND code = 'submitted')
       OR NOT EXISTS (SELECT FROM event WHERE request_id = r.id AND seq = 1 AND code = 'submitted' AND at = r.submitted_at)
    UNION ALL
    SELECT 'the places of a timeline count what has happened', request_id::text
    FROM event GROUP BY request_id HAVING max(seq) <> sum(times)
    UNION ALL
    -- Two that wait for one row each took the time before: a statement's time limit at most.
    SELECT 'a timeline is in order of time', request_id::text FROM timeline WHERE latest < latest_before - interval '20 s'
    UNION ALL
    SELECT 'a request ends once, and its timeline says how and when', r.id::text
    FROM request r LEFT JOIN ending e ON e.request_id = r.id
    WHERE CASE WHEN r.state = 'pending' THEN e.n IS NOT NULL
          ELSE e.n IS NULL OR e.n <> 1 OR e.code <> r.state OR e.at <> r.ended_at END
    UNION ALL
    SELECT 'nothing holds back what has ended', v.request_id::text
    FROM event v JOIN ending e ON e.request_id = v.request_id
    WHERE v.code IN ('held', 'blocked') AND v.seq > e.seq
    UNION ALL
    SELECT 'only what is in force is at risk or lost', v.request_id::text
    FROM event v LEFT JOIN ending e ON e.request_id = v.request_id
    WHERE v.code IN ('at-risk', 'recovered', 'domain-lost') AND (e.code IS DISTINCT FROM 'provisioned' OR v.seq < e.seq)
    UNION ALL
    SELECT 'a domain that is gained was lost by another', g.request_id || ' ' || g.subject
    FROM event g JOIN request r ON r.id = g.request_id
    WHERE g.code = 'domain-gained' AND (r.state <> 'provisioned' OR 1 <> (
        SELECT count(*) FROM event l JOIN request o ON o.id = l.request_id
        WHERE l.code = 'domain-lost' AND l.subject = g.subject AND l.at = g.at AND o.service_id <> r.service_id))
    UNION ALL
    SELECT 'a domain that is lost was gained by another', l.request_id || ' ' || l.subject
    FROM event l JOIN request o ON o.id = l.request_id
    WHERE l.code = 'domain-lost' AND 1 <> (
        SELECT count(*) FROM event g JOIN request r ON r.id = g.request_id
        WHERE g.code = 'domain-gained' AND g.subject = l.subject AND g.at = l.at AND o.service_id <> r.service_id)
    -- Findings
    UNION ALL
    SELECT 'a finding that holds back is told in the timeline', f.request_id::text
    FROM finding f JOIN request r ON r.id = f.request_id
    WHERE f.code = 'domain-held' AND (r.state NOT IN ('pending', 'rejected') OR NOT EXISTS (
        SELECT FROM event WHERE request_id = f.request_id AND code = 'held'))
    UNION ALL
    SELECT 'what was taken back has no findings', f.request_id::text
    FROM finding f JOIN request r ON r.id = f.request_id WHERE r.state = 'withdrawn'
    -- Routes
    UNION ALL
    (SELECT 'what was provisioned last is in force', concat_ws(' ', d.*) FROM (TABLE due_in_force EXCEPT TABLE in_force) d)
    UNION ALL
    (SELECT 'nothing else is in force', concat_ws(' ', d.*) FROM (TABLE in_force EXCEPT TABLE due_in_force) d)
    UNION ALL
    SELECT 'a route names the request that brought it, and its edge', x.sip_domain
    FROM domain_in_force x
    LEFT JOIN request r ON r.id = x.request_id AND r.service_id = x.service_id AND r.state = 'provisioned'
    LEFT JOIN request_route d ON d.request_id = r.id AND d.sip_domain = x.sip_domain
    WHERE d.edge IS DISTINCT FROM x.edge
    -- Support desk
    UNION ALL
    SELECT 'what staff did is in timeline and audit', coalesce(v.request_id, a.request_id)::text
    FROM (SELECT request_id, staff_id, sum(times) AS n FROM event WHERE staff_id IS NOT NULL GROUP BY 1, 2) v
    FULL JOIN (
        SELECT request_id, staff_id, count(*) AS n FROM staff_audit
        WHERE action IN ('refused', 'withdrew', 'checked-again', 'cancelled') GROUP BY 1, 2
    ) a ON a.request_id = v.request_id AND a.staff_id = v.staff_id
    WHERE v.n IS DISTINCT FROM a.n AND EXISTS (SELECT FROM request r WHERE r.id = coalesce(v.request_id, a.request_id))
    -- Sweeps
    UNION ALL
    SELECT 'one sweep is under way', count(*)::text FROM retention_run WHERE ended_at IS NULL HAVING count(*) > 1
) broken (rule, about)
ORDER BY rule, about LIMIT 50
