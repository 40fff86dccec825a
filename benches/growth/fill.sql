-- Requests $FROM to $TO of $ALL, each of a service of its own: submitted evenly over 400 days, two
-- domains at one edge below one of 1,000 parents. Of the last 30 days two thirds are pending; of the
-- others 6 in 100 were rejected and 4 in 100 withdrawn, the rest is in force. One in 1,000 has the
-- rare programme. Constraints hold, the checks of other rows are skipped: they hold by construction.
-- A table at a time, parents first.
SET session_replication_role = replica;
-- next
INSERT INTO service (id, created_at, programme, number, token, key_hash)
SELECT n, pic_now() - interval '400 days' * (1 - n::float8 / $ALL),
       CASE WHEN n % 1000 = 999 THEN 'high_volume'
            ELSE (ARRAY['volume_licensing', 'partner_network', 'service_provider'])[1 + n % 3] END,
       (1000000 + n / 3)::text, upper(lpad(to_hex(n), 16, '0')), substr(sha256(n::text::bytea), 1, 16)
FROM generate_series($FROM, $TO) AS n;
-- next
INSERT INTO request (id, service_id, submitted_at, ended_at, reference, kind, deployment, state, reason,
                     content_hash, provisioned_seq)
OVERRIDING SYSTEM VALUE
SELECT n, n, at, CASE WHEN state <> 'pending' THEN at + interval '1 second' END,
       'PIC' || regexp_replace(upper(left(md5(n::text), 16)), '(.{4})', '-\1', 'g'),
       'initiate', 'on_premises', state, CASE state WHEN 'rejected' THEN 'policy' END,
       substr(sha256(n::text::bytea), 1, 8), CASE state WHEN 'provisioned' THEN 2 END
FROM (SELECT n, pic_now() - interval '400 days' * (1 - n::float8 / $ALL) AS at,
             CASE WHEN n > $ALL * 0.925 AND n % 3 > 0 THEN 'pending'
                  WHEN n % 100 < 6 THEN 'rejected' WHEN n % 100 < 10 THEN 'withdrawn'
                  ELSE 'provisioned' END AS state
      FROM generate_series($FROM, $TO) AS n) r;
-- next
INSERT INTO request_route (request_id, edge, place, access_edge, sip_domain)
SELECT n, 1, place, CASE place WHEN 1 THEN 'sip.d' || n || '.city' || n % 1000 || '.land.example' END,
       p || 'd' || n || '.city' || n % 1000 || '.land.example'
FROM generate_series($FROM, $TO) AS n, (VALUES ('', 1), ('it.', 2)) AS v (p, place);
-- next
INSERT INTO event (request_id, seq, at, actor, code)
SELECT id, 2, ended_at, 'portal', state FROM request WHERE id BETWEEN $FROM AND $TO AND state IN ('rejected', 'withdrawn');
-- next
INSERT INTO work (request_id, due_at) SELECT id, pic_now() FROM request WHERE id BETWEEN $FROM AND $TO AND state = 'pending';
-- next
INSERT INTO watch (request_id, due_at, checked_at)
SELECT id, pic_now(), pic_now() FROM request WHERE id BETWEEN $FROM AND $TO AND state = 'provisioned';
-- next
INSERT INTO domain_in_force (service_id, request_id, edge, sip_domain)
SELECT r.service_id, r.id, d.edge, d.sip_domain
FROM request r JOIN request_route d ON d.request_id = r.id
WHERE r.id BETWEEN $FROM AND $TO AND r.state = 'provisioned';
-- next
INSERT INTO finding (request_id, code, subject, severity, at)
SELECT r.id, f.code, 'd' || r.id || '.city' || r.id % 1000 || '.land.example', f.severity, r.submitted_at
FROM request r
JOIN (VALUES ('srv', 'ok', 0, 1), ('certificate', 'ok', 0, 1), ('srv-suffix', 'warning', 3, 20),
             ('srv-missing', 'blocking', 1, 4), ('srv-port', 'blocking', 7, 40),
             ('homed-online', 'blocking', 7, 5000)) AS f (code, severity, rest, every)
  ON r.id % f.every = f.rest AND (f.severity <> 'blocking' OR r.state = 'pending' OR r.id % 50 = 17)
WHERE r.id BETWEEN $FROM AND $TO AND r.state IN ('pending', 'provisioned');
