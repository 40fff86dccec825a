-- What the readiness checks find, and when they look again at what is in force.

CREATE DOMAIN evidence AS text COLLATE "C"
    CONSTRAINT evidence_length CHECK (octet_length(value) <= 300)
    CONSTRAINT evidence_form CHECK (value ~ '^[ -?A-~]*$');
COMMENT ON DOMAIN evidence IS 'a line of what was found in DNS or in a certificate: printable ASCII without "@", so that no address of a person fits';

ALTER TABLE finding ADD COLUMN expected evidence NOT NULL DEFAULT '';
COMMENT ON COLUMN finding.expected IS 'what should be there';
ALTER TABLE finding ADD COLUMN found evidence[] NOT NULL DEFAULT '{}'
    CONSTRAINT finding_found CHECK (cardinality(found) <= 40);
COMMENT ON COLUMN finding.found IS 'what is there, a line each; of a skipped one the code that it depends on';
COMMENT ON COLUMN finding.at IS 'since when it is like this';
ALTER TABLE finding DROP CONSTRAINT finding_code;
ALTER TABLE finding ADD CONSTRAINT finding_code CHECK (code IN (
    'srv', 'srv-missing', 'srv-misspelt', 'srv-port', 'srv-target', 'srv-suffix', 'homed-online',
    'routed-to-consumer', 'dns-disagrees', 'domain-held', 'edge-no-address', 'edge-private-address',
    'edge-unreachable', 'certificate', 'certificate-name', 'certificate-expired', 'certificate-not-yet-valid',
    'certificate-untrusted', 'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
    'certificate-domain-san', 'resolver-unreachable'));
ALTER TABLE finding ADD CONSTRAINT finding_gravity CHECK (CASE severity
    WHEN 'ok' THEN code IN ('srv', 'certificate')
    WHEN 'warning' THEN code IN ('srv-suffix', 'dns-disagrees', 'certificate-expires-soon', 'certificate-cn-only',
                                 'certificate-wildcard', 'certificate-domain-san')
    WHEN 'unknown' THEN code = 'resolver-unreachable'
    WHEN 'blocking' THEN code NOT IN ('srv', 'certificate', 'srv-suffix', 'dns-disagrees', 'certificate-expires-soon',
                                      'certificate-cn-only', 'certificate-wildcard', 'certificate-domain-san',
                                      'resolver-unreachable')
    ELSE true END);

ALTER TABLE work ADD COLUMN checked_at timestamptz;
COMMENT ON COLUMN work.checked_at IS 'when its checks last ran; null before the first';

CREATE TABLE watch (
    request_id bigint CONSTRAINT watch_pkey PRIMARY KEY CONSTRAINT watch_request REFERENCES request ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    lease_token uuid,
    lease_until timestamptz,
    CONSTRAINT watch_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE watch IS 'what is in force and looked at again every day: the last provisioned request of each service; nothing in force is taken away by it';
COMMENT ON COLUMN watch.request_id IS 'the request whose routes are in force';
COMMENT ON COLUMN watch.due_at IS 'when it is to be looked at next';
COMMENT ON COLUMN watch.checked_at IS 'when its checks last ran';
COMMENT ON COLUMN watch.lease_token IS 'the claim that holds it; null when it is free';
COMMENT ON COLUMN watch.lease_until IS 'when the claim runs out';
CREATE INDEX watch_due ON watch (due_at);

ALTER TABLE work ADD COLUMN again boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN work.again IS 'somebody asked for another look since the claim: whatever the one at hand finds, look again at once';
ALTER TABLE watch ADD COLUMN again boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN watch.again IS 'as in work';

ALTER TABLE event DROP CONSTRAINT event_code;
ALTER TABLE event ADD CONSTRAINT event_code CHECK (code IN (
    'submitted', 'held', 'blocked', 'provisioned', 'rejected', 'withdrawn', 'domain-gained', 'domain-lost',
    'key-replaced', 'at-risk', 'recovered'));

-- Replaces what was found of each of the given requests; what has not changed is not written again.
-- `domain-held` is not theirs to say: it is decided where routes change.
CREATE FUNCTION pic_store_findings(
    of_requests bigint[],
    seen_at timestamptz,
    by_request bigint[],
    codes text[],
    subjects text[],
    severities text[],
    expectations text[],
    evidences jsonb[]
) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    DELETE FROM finding f
    WHERE f.request_id = ANY (of_requests) AND f.code <> 'domain-held' AND NOT EXISTS (
        SELECT FROM unnest(by_request, codes, subjects) AS n (request_id, code, subject)
        WHERE n.request_id = f.request_id AND n.code = f.code AND n.subject = f.subject);
    INSERT INTO finding AS f (request_id, code, subject, severity, at, expected, found)
    SELECT n.request_id, n.code, n.subject, n.severity, seen_at, n.expected,
           ARRAY(SELECT line FROM jsonb_array_elements_text(n.found) WITH ORDINALITY AS l (line, place) ORDER BY place)
    FROM unnest(by_request, codes, subjects, severities, expectations, evidences)
        AS n (request_id, code, subject, severity, expected, found)
    WHERE n.request_id = ANY (of_requests) AND n.code <> 'domain-held'
    ON CONFLICT (request_id, code, subject) DO UPDATE SET
        severity = EXCLUDED.severity, expected = EXCLUDED.expected, found = EXCLUDED.found,
        at = CASE WHEN f.severity = EXCLUDED.severity THEN f.at ELSE EXCLUDED.at END
        WHERE (f.severity, f.expected, f.found) IS DISTINCT FROM (EXCLUDED.severity, EXCLUDED.expected, EXCLUDED.found);
END;
COMMENT ON FUNCTION pic_store_findings(bigint[], timestamptz, bigint[], text[], text[], text[], text[], jsonb[]) IS
    'replaces the findings of the given requests, domain-held excepted, by those in the parallel arrays';

-- How long until a request that is held back is looked at again: doubles each time, and up to a
-- tenth less, so that what was submitted together does not stay together.
CREATE FUNCTION pic_back_off(attempts integer, first_wait interval, longest_wait interval) RETURNS interval
    LANGUAGE sql VOLATILE
    RETURN least(first_wait * 2 ^ least(attempts, 20), longest_wait) * (1 - random() / 10);
COMMENT ON FUNCTION pic_back_off(integer, interval, interval) IS
    'the wait after so many looks in vain: between 0.9 and 1 times first_wait * 2 ^ attempts, longest_wait at most';

CREATE FUNCTION pic_conclude(
    ids bigint[],
    token uuid,
    expiry interval,
    first_wait interval,
    longest_wait interval,
    watch_every interval,
    proven_by bigint[],
    proven_domain text[],
    blocked bigint[],
    checked bigint[],
    by_request bigint[],
    codes text[],
    subjects text[],
    severities text[],
    expectations text[],
    evidences jsonb[],
    OUT expired bigint[],
    OUT held bigint[],
    OUT waiting bigint[],
    OUT provisioned bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    mine bigint[];      -- what the claim still holds
    seen bigint[];      -- of those, whose checks ran
    were_blocked bigint[];
    newly_blocked bigint[];
    candidates bigint[];-- neither expired nor held nor waiting
    rivals bigint[];    -- candidates that want a domain which an earlier candidate wants too
    held_by bigint[];   -- pairs of a request and a domain that holds it back
    held_domain text[];
    newly_held bigint[];
    freed text[];
    moved record;
BEGIN
    -- The guard: whatever the claim lost in the meantime is not ours to touch.
    SELECT coalesce(array_agg(w.request_id), '{}') INTO mine
    FROM (
        SELECT request_id FROM work WHERE request_id = ANY (ids) AND lease_token = token
        ORDER BY request_id FOR UPDATE
    ) w;

    SELECT coalesce(array_agg(r.id), '{}') INTO expired
    FROM request r WHERE r.id = ANY (mine) AND r.submitted_at + expiry <= now_at;

    -- Every route that matters here, in order of domains, before anything is looked at: those who
    -- share one go one after the other. Else what is released while we look at it is missed.
    PERFORM FROM route x WHERE x.sip_domain IN (
        SELECT d.sip_domain FROM request_route d WHERE d.request_id = ANY (mine)
        UNION ALL
        SELECT o.sip_domain FROM request r JOIN route o ON o.service_id = r.service_id WHERE r.id = ANY (mine))
    ORDER BY x.sip_domain FOR UPDATE;

    -- A domain in force under another service holds the request back, in every mode, unless its
    -- zone's owner has spoken for the requesting service.
    SELECT coalesce(array_agg(d.request_id), '{}'), coalesce(array_agg(d.sip_domain), '{}') INTO held_by, held_domain
    FROM request_route d
    JOIN request r ON r.id = d.request_id
    JOIN route x ON x.sip_domain = d.sip_domain AND x.service_id <> r.service_id
    WHERE d.request_id = ANY (mine) AND d.request_id <> ALL (expired) AND NOT EXISTS (
        SELECT FROM unnest(proven_by, proven_domain) AS p (request_id, sip_domain)
        WHERE p.request_id = d.request_id AND p.sip_domain = d.sip_domain);
    held := ARRAY(SELECT DISTINCT i FROM unnest(held_by) AS i);
    waiting := ARRAY(SELECT i FROM unnest(mine) AS i
                     WHERE i = ANY (blocked) AND i <> ALL (expired) AND i <> ALL (held));

    SELECT coalesce(array_agg(i), '{}') INTO candidates
    FROM unnest(mine) AS i WHERE i <> ALL (expired) AND i <> ALL (held) AND i <> ALL (waiting);

    -- Two candidates that want one domain: the earlier goes first, the later is looked at again
    -- at once, when the domain is in force.
    SELECT coalesce(array_agg(DISTINCT d.request_id) FILTER (WHERE d.request_id > d.earliest), '{}') INTO rivals
    FROM (
        SELECT request_id, min(request_id) OVER (PARTITION BY sip_domain) AS earliest
        FROM request_route WHERE request_id = ANY (candidates)
    ) d;
    SELECT coalesce(array_agg(i), '{}') INTO provisioned FROM unnest(candidates) AS i WHERE i <> ALL (rivals);

    -- What the checks found, whatever becomes of the request.
    seen := ARRAY(SELECT i FROM unnest(checked) AS i WHERE i = ANY (mine));
    IF cardinality(seen) > 0 THEN
        SELECT coalesce(array_agg(DISTINCT f.request_id), '{}') INTO were_blocked
        FROM finding f WHERE f.request_id = ANY (seen) AND f.severity = 'blocking' AND f.code <> 'domain-held';
        PERFORM pic_store_findings(seen, now_at, by_request, codes, subjects, severities, expectations, evidences);
        SELECT coalesce(array_agg(DISTINCT f.request_id), '{}') INTO newly_blocked
        FROM finding f
        WHERE f.request_id = ANY (waiting || held) AND f.request_id = ANY (seen) AND f.severity = 'blocking'
          AND f.code <> 'domain-held' AND f.request_id <> ALL (were_blocked);
        PERFORM pic_append_event(newly_blocked, now_at, 'portal', 'blocked');
    END IF;

    -- Rejected: the limit has passed.
    UPDATE request SET state = 'rejected', reason = 'expired', ended_at = now_at
    WHERE id = ANY (expired) AND state = 'pending';
    PERFORM pic_append_event(expired, now_at, 'portal', 'rejected');

    -- Held: say which domains, look again later.
    DELETE FROM finding f
    WHERE f.request_id = ANY (held || waiting) AND f.code = 'domain-held' AND NOT EXISTS (
        SELECT FROM unnest(held_by, held_domain) AS h (request_id, sip_domain)
        WHERE h.request_id = f.request_id AND h.sip_domain = f.subject);
    SELECT coalesce(array_agg(i), '{}') INTO newly_held FROM unnest(held) AS i
    WHERE NOT EXISTS (SELECT FROM finding WHERE request_id = i AND code = 'domain-held');
    -- What was found of its record is the checks' to say, where they looked.
    INSERT INTO finding AS f (request_id, code, subject, severity, at, expected, found)
    SELECT h.request_id, 'domain-held', h.sip_domain, 'blocking', now_at, coalesce(n.expected, ''),
           ARRAY(SELECT line FROM jsonb_array_elements_text(coalesce(n.found, '[]')) AS line)
    FROM unnest(held_by, held_domain) AS h (request_id, sip_domain)
    LEFT JOIN unnest(by_request, codes, subjects, expectations, evidences) AS n (request_id, code, subject, expected, found)
        ON n.request_id = h.request_id AND n.code = 'domain-held' AND n.subject = h.sip_domain
    ON CONFLICT (request_id, code, subject) DO UPDATE SET expected = EXCLUDED.expected, found = EXCLUDED.found
        WHERE (f.expected, f.found) IS DISTINCT FROM (EXCLUDED.expected, EXCLUDED.found);
    PERFORM pic_append_event(newly_held, now_at, 'portal', 'held');
    UPDATE work w SET
        due_at = CASE WHEN w.again THEN now_at
                 ELSE least(now_at + pic_back_off(w.attempts, first_wait, longest_wait), r.submitted_at + expiry) END,
        attempts = CASE WHEN w.again THEN 0 ELSE least(w.attempts + 1, 32000) END,
        checked_at = now_at, again = false, lease_token = NULL, lease_until = NULL
    FROM request r WHERE r.id = w.request_id AND w.request_id = ANY (held || waiting);

    -- Moved: the routes change hands in place, so that they are never missing; an event on both.
    -- In order of the requests that lose, because others may append to their timelines too.
    FOR moved IN
        SELECT DISTINCT x.request_id AS lost_by, x.sip_domain, e.access_edge, r.service_id, r.id AS gained_by
        FROM request r
        JOIN request_route d ON d.request_id = r.id
        JOIN request_edge e ON e.request_id = r.id AND e.ordinal = d.edge
        JOIN unnest(proven_by, proven_domain) AS p (request_id, sip_domain)
            ON p.request_id = r.id AND p.sip_domain = d.sip_domain
        JOIN route x ON x.sip_domain = d.sip_domain AND x.service_id <> r.service_id
        WHERE r.id = ANY (provisioned)
        ORDER BY x.request_id, x.sip_domain
    LOOP
        UPDATE route x
        SET service_id = moved.service_id, access_edge = moved.access_edge, request_id = moved.gained_by, since = now_at
        WHERE x.sip_domain = moved.sip_domain;
        PERFORM pic_append_event(ARRAY[moved.lost_by], now_at, 'portal', 'domain-lost', moved.sip_domain);
        PERFORM pic_append_event(ARRAY[moved.gained_by], now_at, 'portal', 'domain-gained', moved.sip_domain);
    END LOOP;

    -- Provisioned: make before break. Domains in order, so that two settlements meet in one order.
    INSERT INTO route AS x (sip_domain, access_edge, service_id, request_id, since)
    SELECT d.sip_domain, e.access_edge, r.service_id, r.id, now_at
    FROM request r
    JOIN request_route d ON d.request_id = r.id
    JOIN request_edge e ON e.request_id = r.id AND e.ordinal = d.edge
    WHERE r.id = ANY (provisioned)
    ORDER BY d.sip_domain
    ON CONFLICT (sip_domain) DO UPDATE
        SET access_edge = EXCLUDED.access_edge, request_id = EXCLUDED.request_id, since = EXCLUDED.since
        WHERE x.service_id = EXCLUDED.service_id AND x.access_edge <> EXCLUDED.access_edge;
    IF EXISTS (
        SELECT FROM request r
        JOIN request_route d ON d.request_id = r.id
        LEFT JOIN route x ON x.sip_domain = d.sip_domain AND x.service_id = r.service_id
        WHERE r.id = ANY (provisioned) AND x.sip_domain IS NULL
    ) THEN
        -- Somebody else put one of the domains in force since we looked: undo all, look again.
        RAISE EXCEPTION 'a domain was taken meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    WITH gone AS (
        DELETE FROM route x USING request r
        WHERE r.id = ANY (provisioned) AND x.service_id = r.service_id AND NOT EXISTS (
            SELECT FROM request_route d WHERE d.request_id = r.id AND d.sip_domain = x.sip_domain)
        RETURNING x.sip_domain
    ) SELECT coalesce(array_agg(sip_domain), '{}') INTO freed FROM gone;
    UPDATE request SET state = 'provisioned', ended_at = now_at
    WHERE id = ANY (provisioned) AND state = 'pending';
    DELETE FROM finding WHERE request_id = ANY (provisioned) AND code = 'domain-held';
    PERFORM pic_append_event(provisioned, now_at, 'portal', 'provisioned');

    -- In force: looked at again every day, each at a time of its own; what it replaces no more.
    DELETE FROM watch a USING request r, request o
    WHERE r.id = ANY (provisioned) AND o.service_id = r.service_id AND o.id <> r.id AND a.request_id = o.id;
    INSERT INTO watch (request_id, due_at, checked_at)
    SELECT r.id, now_at + watch_every * (1 - random() / 4), now_at
    FROM request r WHERE r.id = ANY (provisioned) AND r.id = ANY (seen) AND r.kind <> 'cancel';

    DELETE FROM work WHERE request_id = ANY (expired || provisioned);
    -- What waited for another candidate, and what waited for a domain that is free now: at once.
    UPDATE work SET lease_token = NULL, lease_until = NULL
    WHERE request_id = ANY (rivals);
    -- Whoever has locked one of the latter is about to look at the domain: it is not waited for.
    IF cardinality(freed) > 0 THEN
        UPDATE work SET due_at = now_at WHERE request_id IN (
            SELECT w.request_id FROM work w
            JOIN finding f ON f.request_id = w.request_id AND f.code = 'domain-held' AND f.subject = ANY (freed)
            WHERE w.due_at > now_at FOR UPDATE OF w SKIP LOCKED);
    END IF;
END $$;
COMMENT ON FUNCTION pic_conclude(bigint[], uuid, interval, interval, interval, interval, bigint[], text[], bigint[], bigint[],
                                 bigint[], text[], text[], text[], text[], jsonb[]) IS
    'settles those of the given requests that the claim with this token still holds, in the caller''s transaction; `proven_by` and `proven_domain` are pairs of a request and a domain whose zone names the requesting service; `blocked` are the requests whose checks hold them back, `checked` those whose checks ran, and the arrays after it what they found, in parallel; tells which requests expired, are held by a domain, wait for their checks, and were provisioned; serialization_failure: nothing was changed, call again';

-- For processes of the version before: no checks.
CREATE OR REPLACE FUNCTION pic_settle(
    ids bigint[],
    token uuid,
    expiry interval,
    first_wait interval,
    longest_wait interval,
    proven_by bigint[],
    proven_domain text[],
    OUT expired bigint[],
    OUT held bigint[],
    OUT provisioned bigint[]
) LANGUAGE sql
BEGIN ATOMIC
    SELECT c.expired, c.held, c.provisioned
    FROM pic_conclude(ids, token, expiry, first_wait, longest_wait, interval '1 day', proven_by, proven_domain,
                      '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}') AS c;
END;

CREATE FUNCTION pic_watched(
    ids bigint[],
    token uuid,
    watch_every interval,
    by_request bigint[],
    codes text[],
    subjects text[],
    severities text[],
    expectations text[],
    evidences jsonb[],
    OUT at_risk bigint[],
    OUT recovered bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    mine bigint[];
    before bigint[];
    after bigint[];
BEGIN
    SELECT coalesce(array_agg(w.request_id), '{}') INTO mine
    FROM (
        SELECT request_id FROM watch WHERE request_id = ANY (ids) AND lease_token = token
        ORDER BY request_id FOR UPDATE
    ) w;
    SELECT coalesce(array_agg(DISTINCT request_id), '{}') INTO before
    FROM finding WHERE request_id = ANY (mine) AND severity = 'blocking';
    PERFORM pic_store_findings(mine, now_at, by_request, codes, subjects, severities, expectations, evidences);
    SELECT coalesce(array_agg(DISTINCT request_id), '{}') INTO after
    FROM finding WHERE request_id = ANY (mine) AND severity = 'blocking';
    at_risk := ARRAY(SELECT i FROM unnest(after) AS i WHERE i <> ALL (before));
    recovered := ARRAY(SELECT i FROM unnest(before) AS i WHERE i <> ALL (after));
    PERFORM pic_append_event(at_risk, now_at, 'portal', 'at-risk');
    PERFORM pic_append_event(recovered, now_at, 'portal', 'recovered');
    UPDATE watch SET due_at = CASE WHEN again THEN now_at ELSE now_at + watch_every * (1 - random() / 10) END,
                     checked_at = now_at, again = false, lease_token = NULL, lease_until = NULL
    WHERE request_id = ANY (mine);
END $$;
COMMENT ON FUNCTION pic_watched(bigint[], uuid, interval, bigint[], text[], text[], text[], text[], jsonb[]) IS
    'stores what was found of those requests in force that the claim with this token still holds; tells which are newly at risk, and which no longer; nothing in force is changed';

CREATE FUNCTION pic_check_again(id bigint, not_within interval) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE work SET due_at = pic_now(), attempts = 0, again = lease_token IS NOT NULL
    WHERE request_id = pic_check_again.id AND (checked_at IS NULL OR checked_at <= pic_now() - not_within);
    IF FOUND THEN
        RETURN true;
    END IF;
    UPDATE watch SET due_at = pic_now(), again = lease_token IS NOT NULL
    WHERE request_id = pic_check_again.id AND checked_at <= pic_now() - not_within;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION pic_check_again(bigint, interval) IS
    'makes a request due now, pending or in force, and says whether it did: not when it was looked at within the interval, nor when it has ended';
