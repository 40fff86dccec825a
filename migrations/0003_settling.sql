-- What is due, what checks find, and how claimed requests are settled: the one place where a request
-- leaves pending by the portal's own hand and where routes change.

-- Every row is deleted within moments, and every claim reads the index of due times from its
-- beginning: dead entries there are what slows it down. The table is small, so it is vacuumed at full speed.
--
-- A claim takes whole pages at once, and makes each of its rows longer by the lease: only where there
-- is room for two such versions of every row are claims and renewals HOT updates. At a fill factor of 70 two
-- thirds of the claims were none.
CREATE TABLE work (
    request_id bigint CONSTRAINT work_pkey PRIMARY KEY CONSTRAINT work_request REFERENCES request ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0 CONSTRAINT work_attempts CHECK (attempts >= 0),
    lease_token uuid,
    lease_until timestamptz,
    checked_at timestamptz,
    again boolean NOT NULL DEFAULT false,
    CONSTRAINT work_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (
    fillfactor = 30,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);
COMMENT ON TABLE work IS 'what the background task has to do: one row for each pending request; leases stand in no index, so that taking one is a HOT update';
COMMENT ON COLUMN work.request_id IS 'the pending request';
COMMENT ON COLUMN work.due_at IS 'when it is to be looked at next';
COMMENT ON COLUMN work.attempts IS 'how often it was looked at in vain; sets the back-off';
COMMENT ON COLUMN work.lease_token IS 'the claim that holds it; null when it is free';
COMMENT ON COLUMN work.lease_until IS 'when the claim runs out';
COMMENT ON COLUMN work.checked_at IS 'when its checks last ran; null before the first';
COMMENT ON COLUMN work.again IS 'somebody asked for another look since the claim: whatever the one at hand finds, look again at once';
-- What is due, oldest first.
CREATE INDEX work_due ON work (due_at);

-- Every row gets another due time once a day, so each leaves a dead entry in the index of these.
CREATE TABLE watch (
    request_id bigint CONSTRAINT watch_pkey PRIMARY KEY CONSTRAINT watch_request REFERENCES request ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    lease_token uuid,
    lease_until timestamptz,
    again boolean NOT NULL DEFAULT false,
    CONSTRAINT watch_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE watch IS 'what is in force and looked at again every day: the last provisioned request of each service; nothing in force is taken away by it';
COMMENT ON COLUMN watch.request_id IS 'the request whose routes are in force';
COMMENT ON COLUMN watch.due_at IS 'when it is to be looked at next';
COMMENT ON COLUMN watch.checked_at IS 'when its checks last ran';
COMMENT ON COLUMN watch.lease_token IS 'the claim that holds it; null when it is free';
COMMENT ON COLUMN watch.lease_until IS 'when the claim runs out';
COMMENT ON COLUMN watch.again IS 'as in work';
-- What is due, oldest first.
CREATE INDEX watch_due ON watch (due_at);

-- Findings come and go with every check.
CREATE TABLE finding (
    request_id bigint NOT NULL CONSTRAINT finding_request REFERENCES request ON DELETE CASCADE,
    code text COLLATE "C" NOT NULL CONSTRAINT finding_code CHECK (code IN (
        'srv', 'srv-missing', 'srv-misspelt', 'srv-port', 'srv-target', 'srv-suffix', 'homed-online',
        'routed-to-consumer', 'dns-disagrees', 'domain-held', 'domain-unproven', 'domain-proven', 'edge-no-address',
        'edge-private-address', 'edge-unreachable', 'certificate', 'certificate-name', 'certificate-expired',
        'certificate-not-yet-valid', 'certificate-untrusted', 'certificate-expires-soon', 'certificate-cn-only',
        'certificate-wildcard', 'certificate-domain-san', 'resolver-unreachable')),
    subject dns_name NOT NULL,
    severity text COLLATE "C" NOT NULL CONSTRAINT finding_severity CHECK (
        severity IN ('ok', 'warning', 'blocking', 'unknown', 'skipped')),
    at timestamptz NOT NULL,
    expected evidence NOT NULL DEFAULT '',
    found evidence[] NOT NULL DEFAULT '{}' CONSTRAINT finding_found CHECK (cardinality(found) <= 40),
    CONSTRAINT finding_pkey PRIMARY KEY (request_id, code, subject),
    CONSTRAINT finding_gravity CHECK (CASE severity
        WHEN 'ok' THEN code IN ('srv', 'domain-proven', 'certificate')
        WHEN 'warning' THEN code IN ('srv-suffix', 'dns-disagrees', 'certificate-expires-soon', 'certificate-cn-only',
                                     'certificate-wildcard', 'certificate-domain-san')
        WHEN 'unknown' THEN code IN ('resolver-unreachable', 'domain-unproven')
        WHEN 'blocking' THEN code NOT IN ('srv', 'domain-proven', 'certificate', 'srv-suffix', 'dns-disagrees',
                                          'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
                                          'certificate-domain-san', 'resolver-unreachable')
        ELSE true END)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE finding IS 'the results of the last check of a request';
COMMENT ON COLUMN finding.request_id IS 'the request';
COMMENT ON COLUMN finding.code IS 'what was found';
COMMENT ON COLUMN finding.subject IS 'the SIP domain or Access Edge FQDN it is about';
COMMENT ON COLUMN finding.severity IS 'whether it holds the request back';
COMMENT ON COLUMN finding.at IS 'since when it is like this';
COMMENT ON COLUMN finding.expected IS 'what should be there';
COMMENT ON COLUMN finding.found IS 'what is there, a line each, 8 at most and one that says how many more; 64 KiB for a request in all; of a skipped one the code that it depends on';
-- Whom a domain that becomes free is to be told to.
CREATE INDEX finding_held ON finding (subject) WHERE code = 'domain-held';
-- The desk's list of the requests with one finding.
CREATE INDEX finding_by_code ON finding (code, request_id) WHERE severity NOT IN ('ok', 'skipped');
-- Which requests are held back, and which in force are at risk.
CREATE INDEX finding_blocking ON finding (request_id) WHERE severity = 'blocking';

-- The check of a request goes in turns, so that one of a thousand names keeps nothing from others. What its
-- turns found is kept here until all its names are checked.
CREATE DOMAIN found_in_turn AS text COLLATE "C"
    CONSTRAINT found_in_turn_form CHECK (value ~ '^[ -?A-~]*$');
COMMENT ON DOMAIN found_in_turn IS 'a finding as a JSON array: printable ASCII without "@", so that no address of a person fits';

-- A few rows that are updated all the time.
CREATE TABLE check_progress (
    request_id bigint CONSTRAINT check_progress_pkey PRIMARY KEY
        CONSTRAINT check_progress_request REFERENCES request ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    names_done integer NOT NULL CONSTRAINT check_progress_names_done CHECK (names_done >= 0),
    slow boolean NOT NULL,
    findings found_in_turn[] NOT NULL,
    proven dns_name[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE check_progress IS 'checks that have not come to their end, pending or in force; deleted when the request is settled';
COMMENT ON COLUMN check_progress.request_id IS 'the request that is being checked';
COMMENT ON COLUMN check_progress.began_at IS 'when the first turn of the check ended; after some hours the check begins anew';
COMMENT ON COLUMN check_progress.names_done IS 'how many of its edges and domains, in alphabetical order, edges first, are checked';
COMMENT ON COLUMN check_progress.slow IS 'at least half of the names of the last turn took long to answer, or did not answer';
COMMENT ON COLUMN check_progress.findings IS 'what was found of these, each an array of code, severity, subject, expected, and the lines found';
COMMENT ON COLUMN check_progress.proven IS 'those of its domains whose owner has spoken for the service of the request';

-- ---------------------------------------------------------------------------------------------
-- What checks found

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

-- ---------------------------------------------------------------------------------------------
-- Ending and asking again

CREATE FUNCTION pic_withdraw(id bigint, by_actor text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
BEGIN
    -- Whoever settles it at this moment goes first or not at all. Each statement from here on sees
    -- what that one has left behind.
    DELETE FROM work WHERE request_id = pic_withdraw.id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE request r SET state = 'withdrawn', ended_at = now_at WHERE r.id = pic_withdraw.id;
    DELETE FROM finding WHERE request_id = pic_withdraw.id;
    PERFORM pic_append_event(ARRAY[pic_withdraw.id], now_at, by_actor, 'withdrawn');
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_withdraw(bigint, text) IS
    'takes a pending request back and says whether it did: it may have ended in the meantime';

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

-- ---------------------------------------------------------------------------------------------
-- Settling

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

-- One transaction, so that no lease is needed for what it settles: a crash leaves everything as it was.
--
-- Plain is what nothing stands against: a service's first request, looked at for the first time, whose
-- domains are in force under nobody and wanted by no other request of the batch. Its edges in the
-- state machine are those of pic_conclude, which does all the rest; that gets it under a lease.
--
-- The plans are those for large tables, whatever the statistics say on the day that a connection
-- plans: every row is reached through an index, from a batch of known size.
CREATE FUNCTION pic_settle_plain(
    most integer,
    since timestamptz,
    token uuid,
    lease interval,
    expiry interval,
    OUT provisioned integer,
    OUT rest bigint[],
    OUT full_batch boolean,
    OUT next_since timestamptz,
    OUT idle interval
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    -- A clock that was put back has made what is due look older than what was done.
    from_at constant timestamptz := CASE WHEN since <= now_at THEN since ELSE '-infinity' END;
    mine bigint[];
    fresh boolean[];    -- of each: never looked at
    places tid[];       -- of each: its row of work, which stays where it is while it is locked
    plain bigint[];
BEGIN
    provisioned := 0;
    SELECT coalesce(array_agg(w.request_id), '{}'), array_agg(w.checked_at IS NULL), array_agg(w.ctid), max(w.due_at)
    INTO mine, fresh, places, next_since
    FROM (
        SELECT request_id, checked_at, ctid, due_at FROM work
        WHERE due_at >= from_at AND due_at <= now_at AND (lease_until IS NULL OR lease_until <= now_at)
        ORDER BY due_at LIMIT most FOR UPDATE SKIP LOCKED
    ) w;
    full_batch := cardinality(mine) >= most;
    rest := mine;
    IF cardinality(mine) > 0 THEN
        -- Everything is looked at after the rows of work are locked: whoever ends a request, or has
        -- it looked at again, begins with its row of work too. All of them are plain, as nearly always;
        -- else each is looked at by itself.
        SELECT mine INTO plain
        FROM unnest(mine, fresh) AS m (id, fresh)
        JOIN request r ON r.id = m.id
        LEFT JOIN request o ON o.service_id = r.service_id AND o.id <> r.id
        LEFT JOIN request_route d ON d.request_id = r.id
        LEFT JOIN route x ON x.sip_domain = d.sip_domain
        HAVING bool_and(m.fresh AND r.kind = 'initiate' AND r.state = 'pending' AND r.submitted_at + expiry > now_at
                        AND o.id IS NULL AND d.sip_domain IS NOT NULL AND x.sip_domain IS NULL)
           AND count(DISTINCT d.sip_domain) = count(*);
        IF plain IS NULL THEN
            SELECT array_agg(b.id), array_agg(b.place) INTO plain, places
            FROM (
                SELECT w.id, w.place
                FROM (
                    SELECT m.id, m.place,
                           m.fresh AND r.kind = 'initiate' AND r.state = 'pending' AND r.submitted_at + expiry > now_at
                               AND o.id IS NULL AND d.sip_domain IS NOT NULL AND x.sip_domain IS NULL
                               AND count(*) OVER (PARTITION BY d.sip_domain) = 1 AS fits
                    FROM unnest(mine, fresh, places) AS m (id, fresh, place)
                    JOIN request r ON r.id = m.id
                    LEFT JOIN request o ON o.service_id = r.service_id AND o.id <> r.id
                    LEFT JOIN request_route d ON d.request_id = r.id
                    LEFT JOIN route x ON x.sip_domain = d.sip_domain
                ) w
                GROUP BY w.id, w.place HAVING bool_and(w.fits)
            ) b;
        END IF;
        IF plain IS NOT NULL THEN
            BEGIN
                -- Domains in order, so that two settlements meet in one order.
                INSERT INTO route (sip_domain, access_edge, service_id, request_id, since)
                SELECT d.sip_domain, e.access_edge, r.service_id, r.id, now_at
                FROM request r
                JOIN request_route d ON d.request_id = r.id
                JOIN request_edge e ON e.request_id = r.id AND e.ordinal = d.edge
                WHERE r.id = ANY (plain)
                ORDER BY d.sip_domain;
                INSERT INTO event (request_id, seq, at, actor, code)
                SELECT i, 1 + coalesce((SELECT max(e.seq) FROM event e WHERE e.request_id = i), 0), now_at, 'portal', 'provisioned'
                FROM unnest(plain) AS i;
                UPDATE request SET state = 'provisioned', ended_at = now_at WHERE id = ANY (plain);
                DELETE FROM work WHERE ctid = ANY (places);
                provisioned := cardinality(plain);
                rest := CASE WHEN provisioned = cardinality(mine) THEN '{}'
                             ELSE ARRAY(SELECT i FROM unnest(mine) AS i EXCEPT SELECT i FROM unnest(plain) AS i) END;
            EXCEPTION WHEN unique_violation THEN
                -- Somebody put one of the domains in force, or wrote to one of the timelines, since we
                -- looked. Nothing of this block has happened; pic_conclude waits for whom it has to.
                NULL;
            END;
        END IF;
        IF cardinality(rest) > 0 THEN
            UPDATE work SET lease_token = token, lease_until = now_at + lease, again = false
            WHERE request_id = ANY (rest);
        END IF;
    END IF;
    IF NOT full_batch THEN
        -- What was submitted in these seconds may not have been committed yet.
        next_since := now_at - interval '2 s';
        -- What is due and locked is about to be settled by whoever locked it.
        idle := least((SELECT min(lease_until) FROM work WHERE due_at >= from_at AND due_at <= now_at AND lease_until > now_at),
                      (SELECT due_at FROM work WHERE due_at > now_at ORDER BY due_at LIMIT 1)) - now_at;
    END IF;
END $$;
COMMENT ON FUNCTION pic_settle_plain(integer, timestamptz, uuid, interval, interval) IS
    'settles, without look-ups, up to `most` requests that are due since then (null: since ever) and free, oldest first, in the caller''s transaction; tells how many it provisioned, which it has claimed by `token` for `lease` because they are for pic_conclude, whether there may be more, since when to look next (due rows before that were dealt with, but for those of others), and for how long nothing else will be due (null: nothing is waiting)';

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
