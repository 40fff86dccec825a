-- One service with a pending request, one with a provisioned, one with a rejected; numbers 1 to 3
-- throughout.
INSERT INTO service (id, created_at, programme, number, token, key_hash)
SELECT n, pic_now(), 'volume_licensing', '123456' || n, '000000000000000' || n, substr(sha256(n::text::bytea), 1, 16)
FROM generate_series(1, 3) AS n;
WITH new AS (
    INSERT INTO request (service_id, submitted_at, ended_at, reference, kind, deployment, state, reason,
                         content_hash, provisioned_seq)
    SELECT n, pic_now(), CASE WHEN n > 1 THEN pic_now() END, 'PIC-0000-0000-0000-000' || n, 'initiate',
           'on_premises', (ARRAY['pending', 'provisioned', 'rejected'])[n],
           CASE n WHEN 3 THEN 'expired' END, substr(sha256(n::text::bytea), 1, 8), CASE n WHEN 2 THEN 3 END
    FROM generate_series(1, 3) AS n RETURNING id)
INSERT INTO request_route SELECT id, 1, 1, 'sip.d' || id || '.example', 'd' || id || '.example' FROM new;
INSERT INTO domain_in_force VALUES (2, 2, 1, 'd2.example');
INSERT INTO session VALUES (sha256('session'), 2, pic_now(), pic_now());
